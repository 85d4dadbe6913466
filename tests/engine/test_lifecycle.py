"""Opening, closing, crashing: an engine leaves nothing behind, however it ends."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.engine.house import HANG, QUIET, Books, Script, Wire, house, ordered, tasks
from understudy import (
    ConfigError,
    Engine,
    ErrorClass,
    Request,
    ShuttingDown,
    UnderstudyError,
    open_engine,
)
from understudy.transport.http import HttpRequest, HttpResponse
from understudy_actors.domain import events
from understudy_actors.domain.money_events import AccountsClosed

HI = Request.chat("hi")


class Oops(Exception):
    """What a body raises."""


async def test_a_block_that_ends_well_leaves_nothing() -> None:
    before, wire = tasks(), Wire()
    async with house(ordered("a"), transport=wire, a=Script(1.0)) as (engine, books):
        await engine.route(HI)
        assert tasks() > before
    assert tasks() == before
    assert wire.closed
    stops = [event.actor for event in books.of(events.ActorStopped)]
    assert stops == ["dispatcher", "provider/a"]
    with pytest.raises(ShuttingDown):
        await engine.route(HI)
    with pytest.raises(UnderstudyError):
        engine.select("chat")


async def test_what_the_body_raises_comes_out_as_itself_and_at_once() -> None:
    before, wire = tasks(), Wire()
    told: list[Exception] = []
    books: Books | None = None

    async def ask(engine: Engine) -> None:
        try:
            await engine.route(HI)
        except ShuttingDown as error:
            told.append(error)

    async with trio.open_nursery() as nursery:
        with pytest.raises(Oops):
            async with open_engine(
                {**QUIET, **ordered("a")}, functions={"a": Script(HANG)}, transport=wire, environ={}
            ) as engine:
                books = Books(engine)
                nursery.start_soon(ask, engine)
                await trio.testing.wait_all_tasks_blocked()
                raise Oops
    assert books is not None
    books.balance()
    assert (len(told), trio.current_time(), wire.closed, tasks()) == (1, 0.0, True, before)
    assert books.outcomes() == {"ShuttingDown": 1}
    assert [(e.verdict, e.origin) for e in books.of(events.AttemptEnded)] == [("neutral", "local")]


async def test_cancelling_the_block_from_outside_settles_everything() -> None:
    before, wire = tasks(), Wire()
    books: Books | None = None
    with trio.move_on_after(3) as scope:
        async with open_engine(
            {**QUIET, **ordered("a")}, functions={"a": Script(HANG)}, transport=wire, environ={}
        ) as engine:
            books = Books(engine)
            async with trio.open_nursery() as nursery:
                for _ in range(12):
                    nursery.start_soon(engine.route, HI)
    assert scope.cancelled_caught
    assert books is not None
    books.balance()
    assert books.outcomes() == {"cancelled": 12}
    assert (trio.current_time(), wire.closed, tasks()) == (3.0, True, before)


async def test_requests_under_way_are_drained_before_the_engine_closes() -> None:
    """Retries, failovers and waits for a slot included; only new requests are refused."""
    a, b = Script(ErrorClass.SERVER), Script(2.0)
    config = ordered("a", "b", providers={"b": {"concurrency": 1}}, retry={"jitter": "none"})
    results: list[str] = []
    async with trio.open_nursery() as nursery:
        async with house(config, a=a, b=b) as (engine, books):

            async def ask() -> None:
                results.append((await engine.route(HI)).provider)

            for _ in range(3):
                nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(_refused, engine)
        assert results == ["b", "b", "b"]
    assert books.outcomes() == {"ok": 3}
    assert trio.current_time() == 7.0


async def _refused(engine: Engine) -> None:
    await trio.sleep(0.5)
    with pytest.raises(ShuttingDown):
        await engine.route(HI)


async def test_a_silence_while_draining_fails_over_as_ever() -> None:
    config = ordered("a", "b", providers={"a": {"timeout": 2}})
    results: list[str] = []
    async with (
        trio.open_nursery() as nursery,
        house(config, a=Script(HANG), b=Script("b")) as (
            engine,
            _,
        ),
    ):

        async def ask() -> None:
            results.append((await engine.route(HI)).provider)

        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
    assert results == ["b"]


async def test_what_does_not_end_in_time_is_cancelled_and_told_so() -> None:
    a = Script(HANG)
    config = ordered("a", "b", providers={n: {"concurrency": 2} for n in "ab"}, deadline=600)
    told: list[str | None] = []
    async with (
        trio.open_nursery() as nursery,
        house(config, drain_s=3.0, a=a, b=Script(HANG)) as (engine, books),
    ):

        async def ask() -> None:
            try:
                await engine.route(HI)
            except ShuttingDown as error:
                told.append(error.request_id)

        for _ in range(10):
            nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
    assert len(set(told) - {None}) == 10
    assert books.outcomes() == {"ShuttingDown": 10}
    assert 3.0 <= trio.current_time() <= 7.0
    assert len(a.calls) == 2
    closing = events.ActorStopped | AccountsClosed
    last = [type(e) for e in books.events if not isinstance(e, closing)][-1]
    assert last is events.RequestOutcome


async def test_a_request_in_back_off_is_told_when_draining_is_over() -> None:
    rule = {"jitter": "none", "base": 20}
    told: list[BaseException] = []
    async with (
        trio.open_nursery() as nursery,
        house(ordered("a", retry=rule), drain_s=1.0, a=Script(ErrorClass.SERVER)) as (
            engine,
            _,
        ),
    ):

        async def ask() -> None:
            try:
                await engine.route(HI)
            except ShuttingDown as error:
                told.append(error)

        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
    assert len(told) == 1
    assert trio.current_time() == 1.0


async def test_a_stubborn_function_is_waited_for_so_that_it_settles() -> None:
    async def stubborn(request: Request) -> str:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1.5)
        return "never"

    async with (
        trio.open_nursery() as nursery,
        house(ordered("a"), drain_s=0.5, a=stubborn) as (engine, books),
    ):

        async def ask() -> None:
            with pytest.raises(ShuttingDown):
                await engine.route(HI)

        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
    assert trio.current_time() == 2.0
    assert books.outcomes() == {"ShuttingDown": 1}


async def test_open_connections_are_closed_with_the_engine() -> None:
    remote = {"kind": "openai-compatible", "base_url": "http://test/v1", "models": ["m"]}
    wire = Wire(lambda _p, _r: 1e6)
    async with (
        trio.open_nursery() as nursery,
        house({"providers": {"p": remote}}, transport=wire, drain_s=1.0) as (engine, _),
    ):

        async def ask() -> None:
            with pytest.raises(ShuttingDown):
                await engine.route(HI)

        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(1)
        assert wire.under_way == 1
    assert (wire.under_way, wire.closed) == (0, True)


async def test_event_streams_end_with_the_engine() -> None:
    heard: list[events.Event] = []
    async with trio.open_nursery() as nursery, house(ordered("a"), a=Script()) as (engine, books):

        async def read() -> None:
            heard.extend([event async for event in engine.events()])

        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        await engine.route(HI)
    assert heard == books.events
    assert isinstance(heard[-1], AccountsClosed)


@pytest.mark.parametrize(
    "config", [{"providers": {}}, {"providers": {"openai": {"models": ["m"]}}}]
)
async def test_a_configuration_that_cannot_run_leaves_nothing_open(config: Any) -> None:
    before, wire = tasks(), Wire()
    with pytest.raises(ConfigError):
        async with open_engine(config, transport=wire, environ={}):
            raise AssertionError("it must not open")
    assert (tasks(), wire.closed) == (before, True)


# Discovery

WOOF = b'{"choices": [{"message": {"content": "woof"}, "finish_reason": "stop"}]}'


async def test_without_configuration_and_keys_the_stand_in_answers() -> None:
    async with open_engine(environ={"UNDERSTUDY_LOG_LEVEL": "off"}, transport=Wire()) as engine:
        result = await engine.route(HI)
        assert (result.provider, result.degraded) == ("local", True)
        assert result.text
        assert engine.status().health == "unhealthy"


async def test_discovery_finds_a_server_on_this_machine() -> None:
    def answer(provider: str, request: HttpRequest) -> HttpResponse:
        if "11434" not in request.url:
            return HttpResponse(404, {}, b"")
        if request.method == "GET":
            return HttpResponse(200, {}, b'{"data": [{"id": "llama"}]}')
        return HttpResponse(200, {}, WOOF)

    environ = {"UNDERSTUDY_LOG_LEVEL": "off"}
    async with open_engine(environ=environ, transport=Wire(answer)) as engine:
        result = await engine.route(HI)
        assert (result.provider, result.model, result.text) == ("ollama", "llama", "woof")
