"""Waiting for a slot, as callers see it: priorities, fair shares, and refusals in good time."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests.engine.house import Script, house, ordered
from understudy import InvalidRequest, Overloaded, Request
from understudy_actors.domain.request import PRIORITY_MAX
from understudy_actors.domain.waiting_events import QueueRefused, Unqueued

ONE = ordered("a", providers={"a": {"concurrency": 1}})


async def served(arrivals: list[dict[str, Any]], **config: Any) -> list[str]:
    """Ids in the order in which one slot serves those who come while it is taken; 1 s for each."""
    order: list[str] = []
    async with house({**ONE, **config}, a=Script(1.0)) as (engine, books):

        async def ask(number: int, arrival: dict[str, Any]) -> None:
            await trio.sleep(number / 1000)
            identity = arrival.get("id") or str(number)
            await engine.route(Request.chat("hi", **{**arrival, "id": identity}))
            order.append(identity)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(engine.route, Request.chat("first"))
            for number, arrival in enumerate(arrivals, 1):
                nursery.start_soon(ask, number, arrival)
        turns = [event.request for event in books.of(Unqueued)]
        assert turns == order
    return order


async def test_higher_priorities_come_first() -> None:
    arrivals = [{"priority": at} for at in (-1, 0, 1, 0)]
    assert await served(arrivals) == ["3", "2", "4", "1"]


async def test_tenants_share_whatever_the_number_of_their_requests() -> None:
    greedy = [{"tenant": "greedy", "id": f"g{number}"} for number in range(6)]
    modest = [{"user": "modest", "id": f"m{number}"} for number in range(2)]
    steady = {"standing": "1h"}
    order = await served([*greedy, *modest], waiting=steady)
    assert order == ["g0", "m0", "g1", "m1", "g2", "g3", "g4", "g5"]
    order = await served([*greedy, *modest], waiting={**steady, "shares": {"greedy": 2}})
    assert order[:6] == ["g0", "m0", "g1", "m1", "g2", "g3"]


async def test_the_newest_comes_first_while_delay_stands() -> None:
    order = await served([{} for _ in range(10)], waiting={"standing": "1s", "window": "3s"})
    assert order == ["1", "2", "3", "4", "10", "9", "8", "7", "6", "5"]


async def test_who_would_come_too_late_is_refused_at_once_and_told_when_to_come() -> None:
    async with house(ONE, a=Script(2.0)) as (engine, books):
        await engine.route(Request.chat("teaches that an answer takes two seconds"))

        async def ask(timeout_s: float, **conditions: Any) -> None:
            await engine.route(Request.chat("hi", timeout_s=timeout_s, **conditions))

        async with trio.open_nursery() as nursery:
            for _ in range(4):  # one is served, three wait
                nursery.start_soon(ask, 60.0)
                await trio.testing.wait_all_tasks_blocked()
            began = trio.current_time()
            with pytest.raises(Overloaded, match="3 requests wait") as late:
                await ask(5.0)
            assert trio.current_time() == began
            assert late.value.retry_after_s == pytest.approx(3 * 2.0 - (5.0 - 1.0))
            assert late.value.retry_at == pytest.approx(began + 2.0)
            nursery.start_soon(ask, 12.5)  # its turn is the last, after 10 s
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(lambda: ask(5.0, priority=1))  # nobody is ahead of it
            await trio.testing.wait_all_tasks_blocked()
            assert engine.status().waiting == 5
        assert [event.reason for event in books.of(QueueRefused)] == ["late"]


async def test_a_full_queue_says_when_a_place_may_be_free() -> None:
    async with house({**ONE, "queue_capacity": 1}, a=Script(3.0)) as (engine, _):
        await engine.route(Request.chat("teaches that an answer takes three seconds"))
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(engine.route, Request.chat("hi"))
                await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(Overloaded, match="wait for a slot already") as full:
                await engine.route(Request.chat("hi"))
            assert full.value.retry_after_s == pytest.approx(3.0)


@pytest.mark.parametrize("priority", [PRIORITY_MAX + 1, -PRIORITY_MAX - 1, 0.5, "high"])
async def test_a_priority_that_is_none_is_refused(priority: Any) -> None:
    async with house(ONE, a=Script()) as (engine, _):
        with pytest.raises(InvalidRequest, match="priority"):
            await engine.route(Request.chat("hi", priority=priority))
