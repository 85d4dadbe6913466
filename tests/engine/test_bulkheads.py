"""Bulkheads as callers meet them: a flood fills its own compartment, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests.engine.house import Books, Script, house, ordered
from understudy import ConfigError, Engine, NoCandidate, Request, open_engine
from understudy_actors.domain.candidate import NO_SHARE
from understudy_actors.domain.events import AttemptAdmitted, SlotTaken
from understudy_actors.domain.waiting_events import Queued

FOUR = {"a": {"concurrency": 4}}
"""One endpoint with four slots."""


def engine_with(**max_share: Any) -> dict[str, Any]:
    return ordered("a", providers=FOUR, max_share=max_share)


async def flood(engine: Engine, nursery: trio.Nursery, count: int, **request: Any) -> None:
    for number in range(count):
        call = Request.chat("hi", id=f"f{number}", **request)
        nursery.start_soon(engine.route, call)
    await trio.testing.wait_all_tasks_blocked()


def admitted(books: Books) -> list[str]:
    return [event.request for event in books.of(AttemptAdmitted)]


@pytest.mark.parametrize(
    ("max_share", "crowd", "other"),
    [
        ({"tenants": {"*": 0.5}}, {"tenant": "greedy"}, {"tenant": "modest"}),
        ({"tenants": {"greedy": 0.5}}, {"user": "greedy"}, {}),
        ({"operations": {"chat": 0.5}}, {}, {"operation": "rank", "input": ()}),
        ({"priorities": {"0": 0.5}}, {"priority": -1}, {"priority": 1}),
    ],
)
async def test_a_flood_fills_its_share_and_others_are_served_at_once(
    max_share: dict[str, Any], crowd: dict[str, Any], other: dict[str, Any]
) -> None:
    providers = {"a": {"concurrency": 4, "operations": ["chat", "rank"]}}
    config = ordered("a", providers=providers, max_share=max_share)
    async with house(config, a=Script(5.0)) as (engine, books), trio.open_nursery() as nursery:
        await flood(engine, nursery, 10, **crowd)
        assert len(admitted(books)) == 2
        assert engine.status().waiting == 8
        began = trio.current_time()
        if "operation" in other:
            await engine.route(Request.custom(other["operation"], id="other"))
        else:
            await engine.route(Request.chat("hi", id="other", **other))
        assert trio.current_time() - began == 5.0, "it did not wait for those who wait"
    assert len(books.of(SlotTaken)) == 11
    assert "other" not in [event.request for event in books.of(Queued)]


async def test_the_reason_stands_in_the_explanation() -> None:
    config = engine_with(tenants={"*": 0.25})
    async with house(config, a=Script(60.0)) as (engine, _):
        with trio.move_on_after(2):
            async with trio.open_nursery() as nursery:
                await flood(engine, nursery, 1, tenant="t")
                with pytest.raises(NoCandidate, match=NO_SHARE) as caught:
                    await engine.route(Request.chat("hi", id="x", tenant="t", timeout_s=1))
                assert caught.value.reasons == {"a/function": NO_SHARE}
                nursery.cancel_scope.cancel()
        explained = engine.explain("x")
        assert explained is not None
        assert NO_SHARE in str(explained)


async def test_whoever_ends_makes_room_for_its_own_though_others_had_room_all_along() -> None:
    config = engine_with(tenants={"t": 0.25})
    async with house(config, a=Script(1.0)) as (engine, books), trio.open_nursery() as nursery:
        await flood(engine, nursery, 5, tenant="t")
    times = [event.at_s for event in books.of(AttemptAdmitted)]
    assert [round(at - times[0]) for at in times] == [0, 1, 2, 3, 4]


async def test_a_request_goes_to_the_next_provider_when_its_share_of_the_first_is_in_use() -> None:
    config = ordered("a", "b", providers=FOUR, max_share={"operations": {"chat": 0.25}})
    async with house(config, a=Script(5.0), b=Script(5.0)) as (engine, books):
        async with trio.open_nursery() as nursery:
            await flood(engine, nursery, 2)
        assert [event.endpoint for event in books.of(AttemptAdmitted)] == [
            "a/function",
            "b/function",
        ]


@pytest.mark.parametrize(
    ("max_share", "path"),
    [
        ({"tenants": {"a": 0}}, r"max_share\.tenants\.a"),
        ({"operations": {"chat": 1.5}}, r"max_share\.operations\.chat"),
        ({"priorities": {"4": 0.5}}, r"max_share\.priorities\.4"),
        ({"priorities": {"-0": 0.5}}, r"max_share\.priorities\.-0"),
        ({"users": {}}, r"max_share\.users"),
    ],
)
async def test_what_is_no_share_is_refused(max_share: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError, match=path):
        async with open_engine({"providers": {"local": {}}, "max_share": max_share}):
            raise AssertionError
