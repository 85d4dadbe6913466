"""Opening, closing, crashing: an engine leaves nothing behind, however it ends."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.engine.house import HANG, QUIET, Books, Script, Wire, endpoint_of, house, ordered, tasks
from understudy import (
    AllAttemptsFailed,
    ConfigError,
    Engine,
    ErrorClass,
    NoCandidate,
    Request,
    ShuttingDown,
    UnderstudyError,
    open_engine,
)
from understudy.transport.http import HttpRequest, HttpResponse
from understudy_actors.dispatcher.messages import Rank
from understudy_actors.domain import events
from understudy_actors.provider.transitions import State
from understudy_actors.runtime.actor import State as Life
from understudy_actors.runtime.errors import Crashed

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
    async with trio.open_nursery() as nursery, house(config, a=Script(HANG), b=Script("b")) as (
        engine,
        _,
    ):

        async def ask() -> None:
            results.append((await engine.route(HI)).provider)

        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
    assert results == ["b"]


async def test_what_does_not_end_in_time_is_cancelled_and_told_so() -> None:
    a = Script(HANG)
    config = ordered("a", "b", providers={n: {"concurrency": 2} for n in "ab"}, deadline=600)
    told: list[str] = []
    async with trio.open_nursery() as nursery:
        async with house(config, drain_s=3.0, a=a, b=Script(HANG)) as (engine, books):

            async def ask() -> None:
                try:
                    await engine.route(HI)
                except ShuttingDown as error:
                    assert error.request_id
                    told.append(type(error).__name__)

            for _ in range(10):
                nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
    assert len(told) == 10
    assert books.outcomes() == {"ShuttingDown": 10}
    assert 3.0 <= trio.current_time() <= 7.0
    assert len(a.calls) == 2
    last = [type(e) for e in books.events if not isinstance(e, events.ActorStopped)][-1]
    assert last is events.RequestOutcome


async def test_a_request_in_back_off_is_told_when_draining_is_over() -> None:
    rule = {"jitter": "none", "base": 20}
    told: list[BaseException] = []
    async with trio.open_nursery() as nursery:
        async with house(
            ordered("a", retry=rule), drain_s=1.0, a=Script(ErrorClass.SERVER)
        ) as (engine, _):

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

    async with trio.open_nursery() as nursery:
        async with house(ordered("a"), drain_s=0.5, a=stubborn) as (engine, books):

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
    async with trio.open_nursery() as nursery:
        async with house({"providers": {"p": remote}}, transport=wire, drain_s=1.0) as (engine, _):

            async def ask() -> None:
                with pytest.raises(ShuttingDown):
                    await engine.route(HI)

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            await trio.sleep(1)
            assert wire.open == 1
    assert (wire.open, wire.closed) == (0, True)


@pytest.mark.parametrize("config", [{"providers": {}}, {"providers": {"openai": {"models": ["m"]}}}])
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


# Crashes


async def test_a_provider_actor_that_crashes_comes_back_as_it_was_alone() -> None:
    config = ordered("a", "b", breaker={"trip_after": 2, "cooldown": "60s", "jitter": False})
    a, b = Script(ErrorClass.SERVER), Script("b")
    async with house(config, a=a, b=b) as (engine, books):
        await engine.route(HI)
        assert engine.health()[0].breaker == "open"
        engine.hold("b", seconds=500)
        for name in ("a", "b"):
            engine._parts.providers[name].tell("poison")
        down = engine.health()
        assert [(each.actor, each.healthy) for each in down] == [("suspended", False)] * 2
        assert engine.status().health == "unhealthy"
        with pytest.raises(NoCandidate) as caught:
            await engine.route(HI)
        assert caught.value.retry_at is not None
        await trio.sleep(5)
        up = engine.health()
        assert [each.actor for each in up] == ["running"] * 2
        assert (up[0].breaker, up[1].hold) == ("open", "held by hand")
        engine.release("b")
        assert (await engine.route(HI)).provider == "b"
        crashes = [(e.actor, e.error, e.message_kind) for e in books.of(events.ActorCrashed)]
        assert crashes == [("provider/a", "KeyError", "str"), ("provider/b", "KeyError", "str")]
        assert [each.where for each in books.of(events.Contained)] == ["actor", "actor"]
        assert engine._parts.wiring.dispatcher.status().restarts == 0


async def test_attempts_in_flight_survive_the_crash_of_their_provider_actor() -> None:
    async with house(ordered("a"), a=Script(3.0)) as (engine, books):
        results: list[str] = []

        async def ask() -> None:
            results.append((await engine.route(HI)).text)

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask)
            await trio.sleep(1)
            engine._parts.providers["a"].tell("poison")
            await trio.sleep(1)
            assert engine.health()[0].in_flight == 5
        assert results == ["late"] * 5
        assert engine.health()[0].in_flight == 0
        assert endpoint_of(engine, "a/function").breaker.state is State.CLOSED
        books.balance()


async def test_attempts_that_end_while_their_actor_is_down_are_settled_after_its_restart() -> None:
    async with house(ordered("a"), a=Script(1.0)) as (engine, books):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(engine.route, HI)
            await trio.sleep(1.0 - 1e-6)
            engine._parts.providers["a"].tell("poison")
            await trio.sleep(2e-6)
            assert engine._parts.providers["a"].status().state is Life.SUSPENDED
        await trio.sleep(5)
        assert engine.health()[0].in_flight == 0
        books.balance()


async def test_a_provider_actor_that_was_given_up_is_unavailable_until_reset() -> None:
    async with house(ordered("a", "b"), a=Script("a"), b=Script("b")) as (engine, books):
        for _ in range(8):
            engine._parts.providers["a"].tell("poison")
            await trio.sleep(0.4)
        while engine.health()[0].actor != "unavailable":
            engine._parts.providers["a"].tell(("other", "poison"))
            engine._parts.providers["a"].tell(b"and another")
            await trio.sleep(0.4)
        assert len(books.of(events.ActorGaveUp)) == 1
        assert (await engine.route(HI)).provider == "b"
        engine.reset("a")
        await trio.sleep(0)
        assert (await engine.route(HI)).provider == "a"


def _crash_dispatcher(engine: Engine, message: Any = "poison") -> None:
    engine._parts.wiring.dispatcher.tell(message)


async def test_requests_survive_a_crash_of_the_dispatcher() -> None:
    a = Script(1.0)
    config = ordered("a", providers={"a": {"concurrency": 1}})
    async with house(config, a=a) as (engine, books):
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(engine.route, HI)
            await trio.sleep(0.5)
            _crash_dispatcher(engine)
            assert engine.status().waiting == 0
            nursery.start_soon(engine.route, HI)
        assert books.outcomes() == {"ok": 5}
        assert max(event.in_flight for event in books.of(events.SlotTaken)) == 1


async def test_switched_strategies_survive_a_crash_of_the_dispatcher() -> None:
    class Last:
        name = "last"

        def rank(self, candidates: Any, view: Any) -> Any:
            """Last one first."""
            return list(reversed(candidates))

    config = {"strategy": "round_robin", "providers": {n: {"kind": "function"} for n in "ab"}}
    async with house(config, a=Script(), b=Script()) as (engine, _):
        engine.set_strategy(Last())
        engine.set_strategy("round_robin", operation="embedding")
        _crash_dispatcher(engine)
        await trio.sleep(5)
        assert engine.status().strategy == "last"
        assert (await engine.route(HI)).provider == "b"
        engine.set_strategy("round_robin")
        _crash_dispatcher(engine)
        await trio.sleep(5)
        assert (await engine.route(Request.chat("hi", strategy="last"))).provider == "b"


async def test_what_crashed_the_dispatcher_is_not_asked_of_it_again() -> None:
    async with house(ordered("a"), a=Script()) as (engine, books):
        dispatcher: Any = engine._parts.wiring.dispatcher

        def crash(message: Rank) -> Any:
            raise ValueError("a fault of ours")

        dispatcher._actor._turns[Rank] = crash  # until its restart
        with pytest.raises(Crashed):
            await engine.route(HI)
        assert (await engine.route(HI)).text == "fine"
        assert [event.message_kind for event in books.of(events.ActorCrashed)] == ["Rank"]
        assert books.outcomes() == {"Crashed": 1, "ok": 1}


async def test_the_engine_fails_as_a_whole_when_its_dispatcher_crashes_too_often() -> None:
    before, wire = tasks(), Wire()
    books: Books | None = None
    with pytest.raises(Exception) as caught:  # noqa: PT011  what crashed it, with a note
        async with open_engine(
            {**QUIET, **ordered("a")}, functions={"a": Script()}, transport=wire, environ={}
        ) as engine:
            books = Books(engine)
            for at in range(100):
                _crash_dispatcher(engine, ["a", b"b", 1, 2.0, (), []][at % 6])
                await trio.sleep(1.0)
    assert not isinstance(caught.value, BaseExceptionGroup)
    assert "dispatcher" in str(caught.value) + str(getattr(caught.value, "__notes__", ""))
    assert books is not None
    books.balance()
    assert (tasks(), wire.closed) == (before, True)
    assert trio.current_time() < 60


async def test_exhausted_retries_of_one_do_not_stop_the_others() -> None:
    async with house(ordered("a", "b"), a=Script(), b=Script()) as (engine, _):
        engine.isolate("a")
        engine.isolate("b")
        with pytest.raises(NoCandidate):
            await engine.route(HI)
        engine.enable("b")
        assert (await engine.route(HI)).provider == "b"
    with pytest.raises(AllAttemptsFailed):
        async with house(ordered("a"), a=Script(ErrorClass.AUTH)) as (engine, _):
            await engine.route(HI)
