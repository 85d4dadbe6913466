"""Faults planted in the clock, the policies and the digest, and the laws that find each of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from types import ModuleType

import pytest
import trio

from tests.support.mutants import Mutant
from understudy_actors.domain.events import RequestAccepted
from understudy_actors.runtime.ports import Randomness
from understudy_sim import clock, control, digest
from understudy_sim.pin import pinned
from understudy_sim.progress import Watch

Law = Callable[[ModuleType], None]


class FakeTask:
    """Hashable and weakly referable, as a task is."""


def time_goes_where_it_is_due(module: ModuleType) -> None:
    """Timers and deadlines, on and off the grid, cancelled ones, and one set by another."""
    for quantum, replies_first, expected in (
        (0.0, False, ["timer 1.0", "timeout 1.0", "late 1.0", "timer 1.3"]),
        (0.5, False, ["timer 1.0", "timeout 1.0", "late 1.0", "timer 1.5"]),
        (0.0, True, ["timer 1.0", "reply 1.0", "late 1.0", "timer 1.3"]),
    ):
        watch = Watch(steps_max=500)
        virtual = module.JumpClock(quantum_s=quantum, replies_first=replies_first, watch=watch)
        assert run_timers(virtual, watch) == expected


def run_timers(virtual: clock.JumpClock, watch: Watch) -> list[str]:
    log: list[str] = []

    def note(what: str) -> None:
        log.append(f"{what} {trio.current_time():.1f}")

    async def receiver(reply: trio.Event) -> None:
        with trio.move_on_at(1.0) as timeout:
            await reply.wait()
        note("timeout" if timeout.cancelled_caught else "reply")

    async def main() -> None:
        with trio.CancelScope() as scope, watch.over(scope):
            virtual.at(0.9, lambda: note("cancelled")).cancel()
            async with trio.open_nursery() as nursery:
                reply = trio.Event()
                nursery.start_soon(receiver, reply)
                await virtual.sleep_until(1.0)
                note("timer")
                reply.set()
                virtual.at(0.5, lambda: note("late"))
                await virtual.sleep_until(1.3)
                note("timer")

    with pinned(list.reverse):
        trio.run(main, clock=virtual)
    return log


def policies_keep_their_law(module: ModuleType) -> None:
    tasks = [FakeTask() for _ in range(9)]
    for make in (module.Shuffle, module.FairPct):
        first, again, other = make(Randomness(1)), make(Randomness(1)), make(Randomness(2))
        orders = [list(first.arrange(contest, tasks)) for contest in range(600)]
        assert all(sorted(order) == list(range(9)) for order in orders)
        assert [list(again.arrange(contest, tasks)) for contest in range(600)] == orders
        assert [list(other.arrange(contest, tasks)) for contest in range(600)] != orders
        assert len({tuple(order) for order in orders}) > 2
        assert {order[0] for order in orders[-20:]} <= set(range(9))
    late = list(module.Shuffle(Randomness(1)).arrange(5, tasks))
    shuffle = module.Shuffle(Randomness(1))
    assert [list(shuffle.arrange(contest, tasks)) for contest in range(6)][5] == late
    assert list(module.Replay({0: (2, 0, 1)}).arrange(0, tasks[:3])) == [2, 0, 1]
    fair, alone = module.FairPct(Randomness(1)), module.Stress(Randomness(1))
    assert list(alone.arrange(0, tasks)) == list(fair.arrange(0, tasks))[:1]
    ahead = [alone.arrange(contest, tasks)[0] for contest in range(1, 600)]
    changes = [at for at, (one, other) in enumerate(pairwise(ahead), 2) if one != other]
    for start, end in ((2, 16), (16, 32), (32, 64), (64, 128), (128, 256), (256, 512)):
        assert 0 < sum(start <= at < end for at in changes) <= 2
    gone = module.Replay({0: (3,)})
    assert (list(gone.arrange(0, tasks[:3])), gone.misfits) == ([0, 1, 2], 1)
    assert list(module.Replay({0: (2,)}).arrange(0, tasks[:3])) == [2]
    short = module.Replay({0: (1, 0)})
    assert (list(short.arrange(0, tasks[:3])), short.misfits) == ([0, 1, 2], 1)


def digests_miss_nothing(module: ModuleType) -> None:
    every = 4096
    events = [
        (n, RequestAccepted(at_s=n / 8, request="r", operation="chat", deadline=9.0))
        for n in range(1, every + 5)
    ]
    whole = module.digest(events)
    assert (whole.events, len(whole.checkpoints)) == (every + 4, 1)
    assert module.digest(events[:every]).semantic == whole.checkpoints[0]
    assert module.digest(events[:-1]).semantic != whole.semantic
    moved = RequestAccepted(at_s=every / 8 + 1e-6, request="r", operation="chat", deadline=9.0)
    other = module.digest([*events[: every - 1], (every, moved), *events[every:]])
    assert other.semantic != whole.semantic
    line = module.encode(events[:1])
    assert b'"at_us":125000,' in line
    assert b'"deadline_micro":9000000' in line


def faults(module: ModuleType, *faults: tuple[str, str, str]) -> list[Mutant]:
    """(name, old text, new text) of each."""
    return [Mutant(name, module.__name__, old, new) for name, old, new in faults]


IN_CLOCK = faults(
    clock,
    ("rounds down", "math.ceil(at_s", "math.floor(at_s"),
    ("stays put", "self._now_s = target\n", "pass\n"),
    ("fires nothing", "callback()\n", "pass\n"),
    ("fires what was cancelled", "self.callback = None", "pass"),
    ("forgets the grid", "if not self._quantum_s or", "if True or"),
    ("timeouts always win", "if self._replies_first and", "if False and"),
    ("replies always win", "if self._replies_first and", "if True and"),
    ("stops before the reply", "return deadline\n", "return self._now_s\n"),
)
IN_CONTROL = faults(
    control,
    ("one draw for all contests", 'f"schedule/{contest}"', '"schedule"'),
    ("loses a position", "order[top], order[other] = order[other], order[top]", "order[top] = 0"),
    ("shuffles nothing", "range(len(order) - 1, 0, -1)", "()"),
    ("ranks by age", "key=ranks.__getitem__, reverse=True", "key=int"),
    ("never changes", "if contest in self._changes", "if False"),
    ("replays what does not fit", "or not _fits(order, len(tasks))", ""),
    ("replays who is not there", "order[0] < count if", "True if"),
    ("stress is fair", ".arrange(contest, tasks)[:1]", ".arrange(contest, tasks)"),
    ("stress steps the last", ".arrange(contest, tasks)[:1]", ".arrange(contest, tasks)[-1:]"),
    ("counts no misfit", "self.misfits += order is not None", "pass"),
)
IN_DIGEST = faults(
    digest,
    ("drops the rest", "if self._block:\n", "if False:\n"),
    ("checkpoints late", "CHECKPOINT_EVERY: Final = 4096", "CHECKPOINT_EVERY: Final = 4097"),
    ("milliseconds", "MICRO: Final = 1_000_000", "MICRO: Final = 1_000"),
    ("hashes the last block", "self._hash.update(lines)", "self._hash = blake2b(lines)"),
    ("keeps the block", "self._block.clear()", "pass"),
    ("keeps the unit", 'f"{name}_micro"', "name"),
)
LAWS: dict[Law, tuple[ModuleType, list[Mutant]]] = {
    time_goes_where_it_is_due: (clock, IN_CLOCK),
    policies_keep_their_law: (control, IN_CONTROL),
    digests_miss_nothing: (digest, IN_DIGEST),
}


@pytest.mark.parametrize("law", LAWS)
def test_the_law_holds(law: Law) -> None:
    law(LAWS[law][0])


@pytest.mark.parametrize(
    ("law", "mutant"),
    [(law, mutant) for law in LAWS for mutant in LAWS[law][1]],
    ids=lambda each: str(each) if isinstance(each, Mutant) else each.__name__,
)
def test_a_planted_fault_is_found(law: Law, mutant: Mutant) -> None:
    planted = mutant.plant()
    with pytest.raises((AssertionError, trio.TrioInternalError, IndexError)):
        law(planted)
