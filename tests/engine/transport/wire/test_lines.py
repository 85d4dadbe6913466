"""Places and lines, in any order of events: none is lost or given twice, nobody is overtaken."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import attrs
import pytest
import trio
import trio.testing
from hypothesis import given, settings, strategies as st

from understudy.transport.wire import lines as real
from understudy.transport.wire.address import Origin

ORIGIN: Final = Origin(False, "a.example", 80)
STEPS: Final = st.lists(
    st.tuples(
        st.sampled_from([*["come"] * 3, "end well", "end badly", "leave", "go stale", "pass"]),
        st.integers(0, 7),
    ),
    min_size=10,
    max_size=40,
)


@attrs.define(eq=False)
class FakeLine:
    """A line that says of itself whether it is of use."""

    gone: bool = False
    closed: int = 0
    idle_at: float = 0.0

    def stale(self) -> bool:
        """Did the server close it?"""
        return self.gone

    def close(self) -> None:
        """It is counted."""
        self.closed += 1


@attrs.define
class Crowd:
    """Whoever asks for places, beside a model of who must have them."""

    lines: Any
    places: int
    nursery: trio.Nursery
    holding: dict[int, FakeLine] = attrs.field(factory=dict)
    waiting: list[int] = attrs.field(factory=list)
    scopes: dict[int, trio.CancelScope] = attrs.field(factory=dict)
    idle: list[FakeLine] = attrs.field(factory=list)
    made: list[FakeLine] = attrs.field(factory=list)
    last: int = 0

    async def come(self, _: int) -> None:
        """Somebody asks."""
        self.last += 1
        if len(self.holding) >= self.places:
            self.waiting.append(self.last)
        self.nursery.start_soon(self._take, self.last)
        await trio.testing.wait_all_tasks_blocked()

    async def _take(self, who: int) -> None:
        with trio.CancelScope() as scope:
            self.scopes[who] = scope
            if not self.lines.take():
                await self.lines.wait()
                assert self.waiting.pop(0) == who, "somebody was overtaken"
            assert len(self.holding) < self.places
            line = self.lines.pick()
            while self.idle and self.idle[-1].gone:
                assert self.idle.pop().closed == 1
            best = self.idle.pop() if self.idle else None
            assert line is best, "not the one that was used last"
            if line is None:
                line = FakeLine()
                self.made.append(line)
                self.lines.busy.add(line)
            self.holding[who] = line

    async def end(self, number: int, *, well: bool) -> None:
        """Somebody has done."""
        if not self.holding:
            return
        who = sorted(self.holding)[number % len(self.holding)]
        line = self.holding.pop(who)
        if well:
            self.lines.keep(line, trio.current_time())
            self.idle.append(line)
        else:
            self.lines.drop(line)
            assert line.closed == 1
        self.lines.give()
        await trio.testing.wait_all_tasks_blocked()

    async def leave(self, number: int) -> None:
        """Somebody will wait no longer."""
        if self.waiting:
            self.scopes[self.waiting.pop(number % len(self.waiting))].cancel()
            await trio.testing.wait_all_tasks_blocked()

    async def go_stale(self, number: int) -> None:
        """A server closes an idle connection."""
        if self.idle:
            self.idle[number % len(self.idle)].gone = True

    async def let_pass(self, number: int) -> None:
        """Time passes, and lines that were idle for long are closed."""
        await trio.sleep(3 * number)
        before = trio.current_time() - 10
        self.lines.retire(before)
        for line in [line for line in self.idle if line.idle_at < before]:
            assert line.closed == 1
            self.idle.remove(line)

    def balance(self) -> None:
        """Everything is somewhere, and once."""
        assert self.lines.free == self.places - len(self.holding)
        assert not (self.waiting and self.lines.free)
        assert self.lines.busy == set(self.holding.values())
        assert list(self.lines.idle) == self.idle
        kept = {*self.idle, *self.holding.values()}
        assert all(line.closed == (line not in kept) for line in self.made)


def check(module: ModuleType) -> None:
    """Any steps in any order."""

    @settings(max_examples=80)
    @given(st.integers(1, 3), STEPS)
    def law(places: int, steps: list[tuple[str, int]]) -> None:
        async def main() -> None:
            async with trio.open_nursery() as nursery:
                crowd = Crowd(module.Lines(ORIGIN, places), places, nursery)
                for what, number in steps:
                    match what:
                        case "come":
                            await crowd.come(number)
                        case "leave":
                            await crowd.leave(number)
                        case "go stale":
                            await crowd.go_stale(number)
                        case "pass":
                            await crowd.let_pass(number)
                        case _:
                            await crowd.end(number, well=what == "end well")
                    crowd.balance()
                while crowd.holding:
                    await crowd.end(0, well=True)
                    crowd.balance()
                crowd.lines.close()
                assert all(line.closed == 1 for line in crowd.made)

        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))

    law()


LAWS: Final = (check,)


@pytest.mark.parametrize("law", LAWS)
def test_lines_keep_the_law(law: Callable[[ModuleType], None]) -> None:
    law(real)


async def test_lines_show_their_state() -> None:
    lines = real.Lines(ORIGIN, 3)
    assert lines.take()
    assert repr(lines) == "<Lines to a.example: 0 busy, 0 idle, 2 free, 0 waiting>"
