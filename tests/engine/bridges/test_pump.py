"""trio as the guest of a loop: woken by whatever wakes it, asleep otherwise, without a thread."""

from __future__ import annotations

import asyncio
import gc
import selectors
import threading
import time
import weakref
from contextvars import ContextVar
from typing import Any

import pytest
import trio
import trio.lowlevel

from tests.engine.bridges.house import HI, MODE, Threaded, house, on_asyncio
from understudy.bridges import pump as pumps
from understudy.bridges.guest import Guest
from understudy.bridges.pump import TICKS_MAX, Pump

PLACE: ContextVar[object] = ContextVar("PLACE")


class Plain:
    """A block of trio's in which nothing happens."""

    def __init__(self) -> None:
        pump = Threaded if MODE.get() == "threaded" else pumps.Pump
        self.guest: Guest[Plain] = Guest(self._enter, self._leave, pump)

    async def _enter(self) -> Plain:
        return self

    async def _leave(self, *_: object) -> None:
        return None

    async def __aenter__(self) -> Guest[Plain]:
        await self.guest.open()
        return self.guest

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        await self.guest.close(error)


def trios() -> set[str]:
    """Threads of trio's."""
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("Trio")}


@on_asyncio
async def test_waiting_takes_no_thread_if_it_can_be_helped() -> None:
    before = trios()
    async with Plain() as guest:
        await guest.run(trio.sleep, 0.01)
        assert guest.pump.threaded == (MODE.get() == "threaded")
        assert guest.pump.threaded or trios() == before


@on_asyncio
async def test_an_instant_call_needs_no_round_of_the_loop() -> None:
    async def instant() -> str:
        return "now"

    async with Plain() as guest:
        came_round: list[bool] = []
        asyncio.get_running_loop().call_soon(came_round.append, True)
        assert [await guest.run(instant) for _ in range(3)] == ["now"] * 3
        assert came_round == ([True] if guest.pump.threaded else [])


@on_asyncio
async def test_sleeps_last_as_long_as_they_should_and_no_longer() -> None:
    async with Plain() as guest:
        loop = asyncio.get_running_loop()
        began = loop.time()
        lengths = [0.05, 0.02, 0.08, 0.02]
        await asyncio.gather(*(guest.run(trio.sleep, length) for length in lengths))
        assert 0.08 <= loop.time() - began < 2
        assert await guest.run(_now) == pytest.approx(time.monotonic(), abs=1)


@on_asyncio
async def test_an_earlier_deadline_comes_first() -> None:
    async with Plain() as guest:
        task = asyncio.create_task(guest.run(trio.sleep, 3600))
        await asyncio.sleep(0.005)
        await asyncio.wait_for(guest.run(trio.sleep, 0.01), 5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _now() -> float:
    return trio.current_time()


@on_asyncio
async def test_a_later_deadline_may_become_an_earlier_one_from_outside() -> None:
    scopes: list[trio.CancelScope] = []

    async def waits() -> bool:
        with trio.CancelScope(deadline=trio.current_time() + 3600) as scope:
            scopes.append(scope)
            await trio.sleep_forever()
        return scope.cancelled_caught

    async with Plain() as guest:
        task = asyncio.create_task(guest.run(waits))
        await asyncio.sleep(0.01)
        scopes[0].deadline = time.monotonic() + 0.01  # by the host, while trio is parked
        assert await asyncio.wait_for(task, 5)


@on_asyncio
async def test_events_set_by_the_host_and_by_other_threads_wake_it() -> None:
    async with Plain() as guest:
        for by in ("host", "thread"):
            event, token = trio.Event(), trio.lowlevel.current_trio_token()
            task = asyncio.create_task(guest.run(event.wait))
            await asyncio.sleep(0.01)
            if by == "host":
                event.set()
            else:
                await asyncio.to_thread(token.run_sync_soon, event.set)
            await asyncio.wait_for(task, 5)


@on_asyncio
async def test_threads_of_trios_own_and_sockets_report_back() -> None:
    async def talks() -> bytes:
        left, right = trio.socket.socketpair()
        with left, right:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(left.send, await trio.to_thread.run_sync(lambda: b"hello"))
                return await right.recv(10)

    async with Plain() as guest:
        for _ in range(20):
            assert await asyncio.wait_for(guest.run(talks), 5) == b"hello"


@on_asyncio
async def test_a_busy_guest_lets_its_host_have_its_turn() -> None:
    ticks, begun = 0, asyncio.Event()

    async def busy() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            begun.set()
            await trio.lowlevel.checkpoint()

    async with Plain() as guest:
        task = asyncio.create_task(guest.run(busy))
        await begun.wait()  # a thread may take its time
        for _ in range(100):
            before = ticks
            await asyncio.sleep(0)
            assert ticks - before <= 3 * TICKS_MAX
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@on_asyncio
async def test_an_idle_guest_does_nothing() -> None:
    async with house(a=lambda _request: "yes") as (engine, _):
        await engine.route(HI)
        await asyncio.sleep(0.05)
        pump, turns = engine._guest.pump, 0
        clock: Any = pump.clock
        asked = clock.deadline_to_sleep_time

        def counting(deadline: float) -> float:
            nonlocal turns
            turns += 1
            seconds: float = asked(deadline)
            return seconds

        clock.deadline_to_sleep_time = counting
        await asyncio.sleep(0.2)
        assert turns <= 3


@on_asyncio
async def test_whoever_ends_well_although_it_was_cancelled_harms_no_later_call() -> None:
    async def stubborn() -> str:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.01)
        return "done"

    async with Plain() as guest:
        for _ in range(3):
            task = asyncio.create_task(guest.run(stubborn))
            await asyncio.sleep(0.003)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await guest.run(trio.sleep, 0.001)


@on_asyncio
async def test_whoever_is_cancelled_as_its_call_ends_harms_no_later_call() -> None:
    async def ends() -> None:
        await trio.sleep(0.001)
        task.cancel()

    async with Plain() as guest:
        for _ in range(3):
            task = asyncio.create_task(guest.run(ends))
            with pytest.raises(asyncio.CancelledError):
                await task
            await guest.run(trio.sleep, 0.001)


@on_asyncio
async def test_nothing_of_a_callers_is_kept_when_its_call_is_over() -> None:
    class Thing:
        pass

    async def calls(guest: Guest[Plain]) -> weakref.ref[Thing]:
        thing = Thing()
        PLACE.set(thing)
        await guest.run(returns, thing)
        return weakref.ref(thing)

    async def returns(thing: Thing) -> Thing:
        await trio.lowlevel.checkpoint()
        return thing

    async with Plain() as guest:
        kept = await asyncio.create_task(calls(guest))
        await asyncio.sleep(0.001)
        gc.collect()
        assert kept() is None


def test_a_system_without_such_a_file_gets_trios_thread() -> None:
    class NoReaders(asyncio.SelectorEventLoop):
        def add_reader(self, *_: Any) -> None:  # type: ignore[override]
            if self.refusing:
                raise NotImplementedError
            super().add_reader(*_)

        refusing = False

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        loop.refusing = True
        async with Plain() as guest:
            assert guest.pump.threaded
            await guest.run(trio.sleep, 0.01)

    with asyncio.Runner(loop_factory=lambda: NoReaders(selectors.EpollSelector())) as runner:
        runner.run(main())


def test_a_release_of_trio_that_keeps_things_elsewhere_gets_its_thread() -> None:
    loop = asyncio.new_event_loop()
    pump = Pump(loop)
    pump.soon(lambda: None)  # a tick that tells nothing of itself
    assert pump.threaded
    assert pump.clock.deadline_to_sleep_time(time.monotonic() + 60) == pytest.approx(60, abs=5)
    loop.close()
