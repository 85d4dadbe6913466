"""An actor that crashes comes back as it was, and takes nobody along."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests.engine.house import QUIET, Books, Script, Wire, endpoint_of, house, ordered, tasks
from understudy import (
    AllAttemptsFailed,
    Engine,
    ErrorClass,
    NoCandidate,
    Request,
    open_engine,
)
from understudy_actors.dispatcher.messages import Rank
from understudy_actors.domain import events
from understudy_actors.provider.transitions import State
from understudy_actors.runtime.actor import State as Life
from understudy_actors.runtime.errors import Crashed

HI = Request.chat("hi")


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


async def test_who_waited_in_vain_is_told_of_a_restart_that_comes_before_a_slot() -> None:
    """The restart of `a` is due after the deadline, and long before the hold of `c` ends."""
    config = ordered("a", "b", "c", providers={"b": {"concurrency": 1}})
    async with house(config, a=Script("a"), b=Script(60.0), c=Script("c")) as (engine, _):
        a = engine._parts.providers["a"]
        engine.hold("c", seconds=50)
        async with trio.open_nursery() as nursery:
            a.tell("poison")
            await trio.sleep(2)
            a.tell(b"the second crash in a row is followed by a longer pause")
            back_at = a.status().retry_at
            assert back_at is not None
            nursery.start_soon(engine.route, Request.chat("takes the slot of b"))
            await trio.sleep(0.001)
            with pytest.raises(NoCandidate, match="no slot became free") as caught:
                await engine.route(Request.chat("hi", timeout_s=0.05))
            assert a.status().state is Life.SUSPENDED
            assert caught.value.retry_at == back_at
            nursery.cancel_scope.cancel()


async def test_nobody_is_sent_back_to_the_past_by_a_restart_that_is_overdue() -> None:
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, trio.testing.MockClock)
    async with house(ordered("a"), a=Script("a")) as (engine, _):
        engine._parts.providers["a"].tell("poison")
        clock.jump(5.0)  # the process stood still: timers are late
        now = trio.current_time()
        with pytest.raises(NoCandidate) as caught:
            await engine.route(HI)
        assert caught.value.retry_at == now
        assert caught.value.retry_after_s == 0.0
        await trio.sleep(0.001)
        assert (await engine.route(HI)).provider == "a"


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
        await trio.lowlevel.checkpoint()
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
