"""A running engine takes another configuration: nothing is dropped, nothing known is forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.engine.house import HANG, Script, endpoint_of, house, ordered
from understudy import (
    ConfigError,
    Engine,
    ErrorClass,
    NoCandidate,
    OverBudget,
    Overloaded,
    Request,
    Result,
    ShuttingDown,
    open_engine,
)
from understudy_actors.domain import events
from understudy_actors.domain.errors import OverLimit
from understudy_actors.domain.reload_events import ConfigReloaded

HI = Request.chat("hello")
FREE = {"price": {"input": 0, "output": 0}}


class Gate:
    """A provider that answers when it is let."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.calls = 0
        self.open = trio.Event()

    async def __call__(self, request: Request) -> str:
        self.calls += 1
        await self.open.wait()
        return self.text


def quiet(**keys: Any) -> dict[str, Any]:
    return {"log": {"level": "off"}, **keys}


async def settled() -> None:
    """Let the task that tidies up behind a reload run."""
    await trio.testing.wait_all_tasks_blocked()


async def ask(engine: Engine, into: list[Result], request: Request = HI) -> None:
    into.append(await engine.route(request))


async def test_a_call_under_way_ends_where_it_began_and_the_next_one_goes_elsewhere() -> None:
    a, b = Gate("from a"), Script("from b")
    got: list[Result] = []
    async with house(ordered("a"), a=a) as (engine, books):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, engine, got)
            await settled()
            done = await engine.reload(quiet(**ordered("b")), functions={"b": b})
            assert (done.added, done.removed, done.running) == (("b",), ("a",), 1)
            assert (await engine.route(HI)).text == "from b"
            assert "provider/a" in _actors(engine), "its call is under way"
            a.open.set()
        assert got[0].text == "from a"
        await settled()
        assert "provider/a" not in _actors(engine)
        assert [engine.explain(r.request_id).generation for r in got] == [0]  # type: ignore[union-attr]
        told = books.of(ConfigReloaded)
        assert [(e.generation, e.added, e.removed) for e in told] == [(1, ("b",), ("a",))]
    assert a.calls == 1


def _actors(engine: Engine) -> list[str]:
    return list(engine._parts.system._members)


async def test_the_same_configuration_again_changes_nothing() -> None:
    config = ordered("a", "b", budgets=[{"usd": 5}], providers={"a": FREE, "b": FREE})
    async with house(config, a=Script(), b=Script()) as (engine, books):
        await engine.route(HI)
        parts, before = engine._parts, len(books.events)
        known = (parts.wiring, parts.design, parts.candidates, engine._desk)
        done = await engine.reload()
        assert (done.generation, done.changed) == (0, ())
        assert known == (parts.wiring, parts.design, parts.candidates, engine._desk)
        assert len(books.events) == before


async def test_what_stays_keeps_all_that_is_known_of_it() -> None:
    """Breaker, holds, score, the learned limit: of a provider whose weight alone is another one."""
    a, b = Script(ErrorClass.SERVER), Script()
    strict = {"breaker": {"trip_after": 2, "cooldown": "60s"}}
    config = ordered("a", "b", retry={"attempts": 0}, **strict)
    async with house(config, a=a, b=b) as (engine, _):
        for _each in range(3):
            await engine.route(HI)
        engine.hold("b", seconds=100)
        before = _known(engine)
        assert before["a"][0] == "open"
        again = ordered("a", "b", retry={"attempts": 0}, providers={"a": {"weight": 7}}, **strict)
        done = await engine.reload(quiet(**again))
        assert done.changed == ("providers.a.weight",)
        assert _known(engine) == before
        assert engine._parts.candidates[0].spec.weight == 7
        with pytest.raises(NoCandidate):
            await engine.route(HI)


def _known(engine: Engine) -> dict[str, tuple[Any, ...]]:
    found = {}
    for each in engine.health():
        own = endpoint_of(engine, each.name)
        found[each.provider] = (
            each.breaker,
            each.hold,
            each.limit,
            each.failures,
            each.total_requests,
            own.breaker.generation,
            own.breaker.until,
            own.health.snapshot(),
        )
    return found


async def test_a_configuration_that_cannot_run_changes_nothing() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"providers": {"a": {"weight": -1}}}, "providers.a.weight"),
        ({"strategy": "priorty"}, "strategy"),
        ({"providers": {"o": {"kind": "openai", "key": "env:NO_SUCH", "models": ["m"]}}}, "key"),
        ({"budgets": [{"usd": 1, "provider": "nobody"}]}, "budgets[0].provider"),
    ]
    async with house(ordered("a"), a=Script()) as (engine, books):
        parts = engine._parts
        before = (parts.design, parts.wiring, _actors(engine), len(books.events))
        for config, path in wrong:
            with pytest.raises(ConfigError) as refused:
                await engine.reload(quiet(**config))
            assert path in str(refused.value)
        assert before == (parts.design, parts.wiring, _actors(engine), len(books.events))
        assert (await engine.route(HI)).provider == "a"


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ({"time_zone": "Europe/Berlin"}, "`time_zone`"),
        ({"store": "elsewhere.db"}, "`store`"),
        ({"accounts": {"days": 99}}, "`accounts.days`"),
        ({"monitoring": False}, "`monitoring`"),
    ],
)
async def test_what_needs_a_restart_is_refused_by_name(keys: dict[str, Any], path: str) -> None:
    async with house(ordered("a"), a=Script()) as (engine, _):
        with pytest.raises(ConfigError) as refused:
            await engine.reload(quiet(**ordered("a", **keys)))
        assert path in str(refused.value)
        assert "restart to change it" in str(refused.value)
        assert (await engine.route(HI)).provider == "a"


async def test_the_file_is_read_anew(tmp_path: Path) -> None:
    place = tmp_path / "understudy.toml"
    text = '[log]\nlevel = "off"\n[providers.x]\nkind = "local"\nreply = "{}"\n'
    place.write_text(text.format("one"))
    async with open_engine(place, environ={}) as engine:
        assert (await engine.route(HI)).text == "one"
        place.write_text(text.format("two"))
        done = await engine.reload()
        assert done.changed == ("providers.x.reply",)
        assert (await engine.route(HI)).text == "two"
        place.write_text("deadline = 'soon'")
        with pytest.raises(ConfigError, match="deadline"):
            await engine.reload()
        assert (await engine.route(HI)).text == "two"


async def test_money_that_is_spent_stays_spent() -> None:
    """A budget below what is spent refuses from then on; one that is taken out comes back as it
    was; one that is raised has the rest."""
    dear = {"providers": {"a": {"price": {"input": 0, "output": 0, "request": 1.0}}}}

    def at(*usd: float) -> dict[str, Any]:
        return quiet(**ordered("a", budgets=[{"usd": each} for each in usd], **dear))

    async with house(at(5.0), a=Script()) as (engine, _):
        for _each in range(3):
            await engine.route(HI)
        assert engine.budgets()[0].spent_usd == 3.0
        await engine.reload(at(2.0))
        assert (engine.budgets()[0].spent_usd, engine.budgets()[0].left_usd) == (3.0, 0.0)
        with pytest.raises(OverBudget):
            await engine.route(HI)
        await engine.reload(at())
        assert engine.budgets() == ()
        await engine.route(HI)
        await engine.reload(at(4.0))
        assert engine.budgets()[0].spent_usd == 3.0, "what nobody limited is in no book"
        await engine.route(HI)
        with pytest.raises(OverBudget):
            await engine.route(HI)


async def test_what_is_reserved_stays_reserved() -> None:
    a, got = Gate("late"), list[Result]()
    dear = {"providers": {"a": {"price": {"input": 0, "output": 0, "request": 1.0}}}}
    async with house(ordered("a", budgets=[{"usd": 9}], **dear), a=a) as (engine, _):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, engine, got)
            await settled()
            await engine.reload(quiet(**ordered("a", budgets=[{"usd": 1.5}], **dear)))
            assert engine.budgets()[0].reserved_usd == 1.0
            with pytest.raises(OverBudget):
                await engine.route(HI)
            a.open.set()
        assert engine.budgets()[0].spent_usd == 1.0
        assert engine.budgets()[0].reserved_usd == 0.0


async def test_limits_of_callers_count_on() -> None:
    def at(most: int) -> dict[str, Any]:
        return quiet(**ordered("a", limits=[{"user": "*", "requests_per_minute": most}]))

    alice = Request.chat("hello", user="alice")
    async with house(at(5), a=Script()) as (engine, _):
        for _each in range(3):
            await engine.route(alice)
        await engine.reload(at(3))
        with pytest.raises(OverLimit):
            await engine.route(alice)
        await engine.reload(at(4))
        await engine.route(alice)
        with pytest.raises(OverLimit):
            await engine.route(alice)


async def test_a_providers_minute_counts_on() -> None:
    def at(most: int) -> dict[str, Any]:
        own = {"a": {"requests_per_minute": most}}
        return quiet(**ordered("a", providers=own))

    async with house(at(10), a=Script()) as (engine, _):
        for _each in range(3):
            await engine.route(HI)
        await engine.reload(at(3))
        began = trio.current_time()
        with pytest.raises((NoCandidate, Overloaded)):
            await engine.route(Request.chat("hello", timeout_s=20))
        assert trio.current_time() - began < 21


async def test_whoever_waits_for_a_provider_that_leaves_is_served_by_the_new_one() -> None:
    a, b, got = Gate("from a"), Script("from b"), list[Result]()
    one = {"providers": {"a": {"concurrency": {"initial": 1, "max": 1}}}}
    async with house(ordered("a", **one), a=a) as (engine, books):
        async with trio.open_nursery() as nursery:
            for _each in range(3):
                nursery.start_soon(ask, engine, got)
            await settled()
            assert engine.status().waiting == 2
            await engine.reload(quiet(**ordered("b")), functions={"b": b})
            await settled()
            assert [each.text for each in got] == ["from b", "from b"]
            a.open.set()
        assert [each.text for each in got] == ["from b", "from b", "from a"]
        assert books.outcomes() == {"ok": 3}


async def test_a_failure_after_the_reload_is_followed_by_whoever_is_left() -> None:
    """The provider that stood behind is removed: the request goes on under the new one."""
    slow, b, c = Script(5.0, ErrorClass.SERVER), Script("from b"), Script("from c")

    async def failing(request: Request) -> str:
        await trio.sleep(5)
        raise ConnectionError

    got: list[Result] = []
    config = ordered("a", "b", retry={"attempts": 0})
    async with house(config, a=failing, b=b) as (engine, books):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, engine, got)
            await settled()
            new = ordered("c", retry={"attempts": 0})
            await engine.reload(quiet(**new), functions={"c": c})
        assert got[0].text == "from c"
        assert [each.provider for each in got[0].attempts] == ["a", "c"]
        assert not b.calls, "nobody is sent to a removed provider"
        assert books.outcomes() == {"ok": 1}
    assert slow.calls == []


async def test_a_request_goes_on_under_the_plan_it_came_with() -> None:
    """Its next candidate is the old configuration's next, though the new one puts it last."""

    async def failing(request: Request) -> str:
        await trio.sleep(5)
        raise ConnectionError

    got: list[Result] = []
    functions: dict[str, Any] = {"a": failing, "b": Script("from b"), "c": Script("from c")}
    config = ordered("a", "b", "c", retry={"attempts": 0})
    async with house(config, **functions) as (engine, _):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, engine, got)
            await settled()
            await engine.reload(quiet(**ordered("c", "b", "a", retry={"attempts": 0})))
            assert (await engine.route(HI)).text == "from c"
        assert got[0].text == "from b"
        await settled()
        assert not engine._parts.earlier
        assert all(not c.elders for c in engine._parts.candidates)


async def test_a_drain_has_an_end() -> None:
    """Past `drain_s` a removed provider's call is given up, and its request fails over."""
    got: list[Result] = []
    b = Script("from b")
    async with house(ordered("a", "b"), a=Script(HANG), b=b) as (engine, _):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, engine, got)
            await settled()
            began = trio.current_time()
            await engine.reload(quiet(**ordered("b")), functions={"b": b}, drain_s=7)
        assert got[0].text == "from b"
        assert trio.current_time() - began == 7
        await settled()
        assert "provider/a" not in _actors(engine)


async def test_a_provider_that_comes_back_while_it_drains_is_the_same_one() -> None:
    a, got = Gate("from a"), list[Result]()
    functions: dict[str, Any] = {"a": a, "b": Script("from b")}
    async with house(ordered("a", "b"), **functions) as (engine, _):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, engine, got)
            await settled()
            ref = engine._parts.providers["a"]
            await engine.reload(quiet(**ordered("b")), functions={"b": functions["b"]})
            await engine.reload(quiet(**ordered("b", "a")), functions=functions)
            assert engine._parts.providers["a"] is ref
            assert {each.provider: each.in_flight for each in engine.health()} == {"b": 0, "a": 1}
            a.open.set()
        await settled()
        assert engine._parts.providers["a"] is ref
        assert [each.in_flight for each in engine.health()] == [0, 0]


async def test_a_crash_after_a_reload_comes_back_under_the_new_configuration() -> None:
    async with house(ordered("a"), a=Script()) as (engine, _):
        new = ordered("a", providers={"a": {"concurrency": {"initial": 2, "max": 2}}})
        await engine.reload(quiet(**new))
        engine._parts.providers["a"].tell("poison")
        engine._parts.wiring.dispatcher.tell("poison")
        await trio.sleep(30)
        assert engine.health()[0].limit == 2
        assert (await engine.route(HI)).provider == "a"


async def test_a_stream_goes_on_while_everything_around_it_changes() -> None:
    texts: list[str] = []
    async with house({"providers": {"x": {"kind": "local", "reply": "one two three"}}}) as (
        engine,
        books,
    ):
        late = engine.stream(HI)
        async with engine.stream(HI) as stream:
            new = {"providers": {"y": {"kind": "local", "reply": "four"}}}
            await engine.reload(quiet(**new))
            async for _ in stream:
                pass
            texts.append(stream.text)
        async with late as stream:  # made before the reload, begun after it
            async for _ in stream:
                pass
            texts.append(stream.text)
        assert texts == ["one two three", "four"]
        assert books.outcomes() == {"degraded": 2}


async def test_strategies_chosen_by_hand_stay_unless_the_configuration_says_otherwise() -> None:
    functions: dict[str, Any] = {"a": Script(), "b": Script()}
    async with house(ordered("a", "b"), **functions) as (engine, _):
        engine.set_strategy("round_robin")
        await engine.reload(quiet(**ordered("a", "b", deadline=50)))
        assert engine.status().strategy == "round_robin"
        await engine.reload(quiet(**{**ordered("a", "b"), "strategy": "fastest"}))
        assert engine.status().strategy == "fastest"


async def test_a_closing_engine_takes_no_configuration() -> None:
    async with house(ordered("a"), a=Script()) as (engine, _):
        pass
    with pytest.raises(ShuttingDown):
        await engine.reload(quiet(**ordered("a", deadline=50)))


async def test_nothing_accumulates() -> None:
    """Fifty reloads with a request always under way: what is left is what one needs."""
    got: list[Result] = []
    async with house(ordered("a", "b"), a=Script(3.0), b=Script(3.0)) as (engine, _):
        async with trio.open_nursery() as nursery:
            for at in range(50):
                nursery.start_soon(ask, engine, got)
                await trio.sleep(0.5)
                names = ("a", "b") if at % 2 else ("b", "a")
                await engine.reload(quiet(**ordered(*names)))
                assert len(engine._parts.earlier) <= 8
        await settled()
        assert len(got) == 50
        assert not engine._parts.earlier
        assert all(not c.elders for c in engine._parts.candidates)
        assert engine.status().generation == 50


def test_an_event_tells_no_values() -> None:
    fields = set(ConfigReloaded.__struct_fields__)
    assert fields == {"at_s", "generation", "changed", "added", "removed", "running"}
    assert issubclass(ConfigReloaded, events.Event)
