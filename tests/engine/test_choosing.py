"""Who comes first: strategies, groups, conditions, money, and what the record says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from tests.engine.house import Books, Script, Wire, failing, house, ordered
from understudy import (
    AllAttemptsFailed,
    Candidate,
    Complexity,
    ConfigError,
    Engine,
    ErrorClass,
    InvalidRequest,
    NoCandidate,
    OverMaxCost,
    Request,
    View,
)
from understudy.transport.http import HttpRequest, HttpResponse
from understudy_actors.domain import events

HI = Request.chat("hi")


class Backwards:
    """A user's own strategy."""

    def __init__(self, name: str = "backwards") -> None:
        self.name = name

    def rank(self, candidates: Sequence[Candidate], view: View) -> Sequence[Candidate]:
        """Last one first."""
        return list(reversed(candidates))


def three(**own: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Providers a, b and c of one tier under round robin, with what is their own."""
    providers = {n: {"kind": "function", **own.get(n, {})} for n in ("a", "b", "c")}
    config = {"strategy": "round_robin", "providers": providers}
    return config, {name: Script(f"of {name}") for name in providers}


async def served_by(engine: Engine, **conditions: Any) -> str:
    """Who answers such a request."""
    return (await engine.route(Request.chat("hi", **conditions))).provider


async def test_the_strategy_is_the_requests_else_the_operations_else_the_engines() -> None:
    config, scripts = three()
    async with house(config, strategies={"backwards": Backwards()}, **scripts) as (engine, books):
        assert [await served_by(engine) for _ in range(3)] == ["a", "b", "c"]
        assert await served_by(engine, strategy="backwards") == "c"
        engine.set_strategy("backwards", operation="chat")
        assert await served_by(engine) == "c"
        assert await served_by(engine, strategy="priority") == "a"
        engine.set_strategy("priority")
        assert await served_by(engine) == "c"
        engine.set_strategy("priority", operation="chat")
        assert await served_by(engine) == "a"
        assert engine.status().strategy == "priority"
        changes = [(e.strategy, e.operation) for e in books.of(events.StrategyChanged)]
        assert changes == [("backwards", "chat"), ("priority", None), ("priority", "chat")]


async def test_a_strategy_object_is_taken_while_running_and_known_by_its_name_ever_after() -> None:
    config, scripts = three()
    async with house(config, **scripts) as (engine, _):
        engine.set_strategy(Backwards("mine"))
        assert await served_by(engine) == "c"
        engine.set_strategy("round_robin")
        assert await served_by(engine, strategy="mine") == "c"


@pytest.mark.parametrize(("strategy", "operation"), [("nobody's", None), ("priority", "dancing")])
async def test_unknown_strategies_and_operations_are_refused(
    strategy: str, operation: str | None
) -> None:
    config, scripts = three()
    async with house(config, **scripts) as (engine, _):
        with pytest.raises(InvalidRequest, match="use one of"):
            engine.set_strategy(strategy, operation=operation)


async def test_complexity_and_quality_decide_who_comes_first() -> None:
    config, scripts = three(
        a={"quality": 0.2, "price": {"input": 1, "output": 1}},
        b={"quality": 0.9, "price": {"input": 9, "output": 9}},
        c={"quality": 0.5, "price": {"input": 5, "output": 5}},
    )
    scripts = {name: Script(0.5) for name in scripts}
    async with house(config, **scripts) as (engine, _):
        assert await served_by(engine, complexity=Complexity.COMPLEX) == "b"
        assert await served_by(engine, quality_boost=True) == "b"
        assert await served_by(engine, complexity=Complexity.SIMPLE) == "a"


async def test_whom_a_complexity_suits_comes_before_the_others() -> None:
    config, scripts = three(a={"suits": ["complex"]}, b={"suits": ["simple"]}, c={})
    async with house(config, **scripts) as (engine, _):
        assert {await served_by(engine, complexity="simple") for _ in range(4)} <= {"b", "c"}
        first = Counter([await served_by(engine, complexity="medium") for _ in range(6)])
        assert first == {"c": 6}


async def test_models_groups_regions_tags_and_capabilities_narrow_the_choice() -> None:
    config, scripts = three(
        a={"region": "eu", "tags": ["cheap"], "models": ["small"]},
        b={
            "region": "us",
            "tags": ["cheap", "fast"],
            "models": [{"name": "big", "aliases": ["L"]}],
        },
        c={"capabilities": ["vision"], "models": ["big", "small"]},
    )
    config["groups"] = {"any-big": ["b/big", "c/big"]}
    async with house(config, **scripts) as (engine, _):
        assert await served_by(engine, region="us") == "b"
        assert await served_by(engine, tags=("cheap",), region="eu") == "a"
        assert await served_by(engine, tags=("fast", "cheap")) == "b"
        assert await served_by(engine, capabilities=("vision",)) == "c"
        assert await served_by(engine, model="L") == "b"
        assert await served_by(engine, model="c/small") == "c"
        several = {await served_by(engine, model="any-big") for _ in range(4)}
        assert several == {"b", "c"}
        with pytest.raises(NoCandidate) as caught:
            await engine.route(Request.chat("hi", model="huge", region="eu"))
        assert caught.value.reasons["c/big"] == "does not serve model huge"
        assert caught.value.retry_at is None


async def test_a_chain_names_its_members_in_order() -> None:
    config, scripts = three()
    config["operations"] = {"chat": {"chain": ["c", "a"]}}
    scripts["c"] = Script(ErrorClass.AUTH)
    async with house(config, **scripts) as (engine, _):
        result = await engine.route(HI)
        assert [each.provider for each in result.attempts] == ["c", "a"]
        record = engine.explain(result.request_id)
        assert record is not None
        assert record.decisions[0].left_out == {"b/function": "not in the chain of chat"}


async def test_local_closes_the_chain_and_marks_its_answer() -> None:
    config = ordered("a", "b", providers={"a": {"priority": 5000}, "b": {"priority": 6000}})
    config["providers"]["local"] = {"priority": 0, "reply": "sorry"}
    scripts: dict[str, Any] = {name: Script(ErrorClass.AUTH) for name in "ab"}
    async with house(config, **scripts) as (engine, books):
        result = await engine.route(HI)
        assert [each.provider for each in result.attempts] == ["a", "b", "local"]
        assert (result.text, result.degraded) == ("sorry", True)
        assert books.outcomes() == {"degraded": 1}
        assert engine.status().health == "unhealthy"


async def test_local_repeats_the_last_good_answer() -> None:
    config = ordered("a")
    config["providers"]["local"] = {}
    async with house(config, a=Script("forty-two", ErrorClass.AUTH)) as (engine, _):
        assert not (await engine.route(HI)).degraded
        again = await engine.route(HI)
        assert (again.text, again.provider, again.degraded) == ("forty-two", "local", True)


async def test_configured_content_answers_when_all_fail_and_when_nobody_may_be_asked() -> None:
    config = ordered("a", degraded={"chat": "come back later"})
    async with house(config, a=Script(ErrorClass.AUTH)) as (engine, books):
        for attempts in (1, 0):  # then the key is held
            result = await engine.route(HI)
            assert (result.text, result.degraded) == ("come back later", True)
            assert (result.provider, len(result.attempts)) == ("fallback", attempts)
        assert books.outcomes() == {"degraded": 2}


async def test_a_free_quota_is_used_up_first_and_never_overdrawn() -> None:
    config, scripts = three(
        a={"price": {"input": 1, "output": 1}},
        b={"price": {"input": 5, "output": 5}, "free_quota": {"requests": 2}},
        c={"price": {"input": 3, "output": 3}},
    )
    config["strategy"] = "cheapest"
    async with house(config, **scripts) as (engine, _):
        results = [await engine.route(HI) for _ in range(4)]
        assert [each.provider for each in results] == ["b", "b", "a", "a"]
        assert [each.cost_usd for each in results[:2]] == [0.0, 0.0]
        assert results[2].cost_usd
        assert [each.free_left for each in engine.health()] == [None, 0, None]


async def test_over_max_cost_is_refused_before_any_call() -> None:
    config, scripts = three(
        a={"price": {"input": 100, "output": 100}}, b={"price": {"request": 1}}, c={}
    )
    async with house(config, **scripts) as (engine, books):
        with pytest.raises(OverMaxCost, match="max_cost_usd") as caught:
            await engine.route(Request.chat("hi", max_cost_usd=0.0001))
        assert caught.value.reasons["c/function"].startswith("price unknown")
        assert not any(script.calls for script in scripts.values())
        assert books.outcomes() == {"OverMaxCost": 1}


async def test_configured_content_does_not_hide_that_the_price_was_too_high() -> None:
    config = ordered("a", providers={"a": {"price": {"request": 1}}}, degraded={"chat": "later"})
    async with house(config, a=Script()) as (engine, _):
        with pytest.raises(OverMaxCost):
            await engine.route(Request.chat("hi", max_cost_usd=0.5))


@pytest.mark.parametrize("limit", [0.0006, 0.001, 0.01])
async def test_the_answers_length_is_capped_so_that_it_cannot_cost_more(limit: float) -> None:
    asked: list[dict[str, Any]] = []

    def answer(provider: str, request: HttpRequest) -> HttpResponse:
        body = msgspec.json.decode(request.body)
        asked.append(body)
        most = body.get("max_completion_tokens") or body.get("max_tokens")
        usage = {"prompt_tokens": 5, "completion_tokens": most}
        choice = {"index": 0, "message": {"content": "x"}, "finish_reason": "length"}
        return HttpResponse(200, {}, msgspec.json.encode({"choices": [choice], "usage": usage}))

    provider = {
        "kind": "openai-compatible",
        "base_url": "http://test/v1",
        "models": ["m"],
        "price": {"input": 1, "output": 1},
    }
    async with house({"providers": {"p": provider}}, transport=Wire(answer)) as (engine, _):
        result = await engine.route(Request.chat("hi", max_cost_usd=limit))
        assert result.cost_usd is not None
        assert result.cost_usd <= limit
        assert result.usage.output_tokens > 0.8 * limit * 1e6 - 20


def _complete(books: Books, engine: Engine, request_id: str) -> None:
    record = engine.explain(request_id)
    assert record is not None
    everybody = {c.name for c in engine._parts.candidates}
    for decision in record.decisions:
        assert set(decision.ranked) | set(decision.left_out) == everybody
    told = [e for e in books.of(events.Decided) if e.request == request_id]
    assert all(set(e.ranked) | set(e.left_out) == everybody for e in told)


async def test_the_record_of_a_request_names_every_candidate_or_why_not() -> None:
    config, scripts = three(a={"enabled": False}, b={"models": ["m", "n"]})
    scripts["b"] = Script(failing(ErrorClass.RATE_LIMIT, retry_after_s=60), ErrorClass.SERVER)
    async with house(config, **scripts) as (engine, books):
        results = [await engine.route(HI) for _ in range(5)]
        with pytest.raises(NoCandidate) as caught:
            await engine.route(Request.chat("hi", model="none"))
        for request_id in [r.request_id for r in results] + [caught.value.request_id or ""]:
            _complete(books, engine, request_id)
        record = engine.explain(results[0].request_id)
        assert record is not None
        assert record.operation == "chat"
        assert record.outcome == "ok"
        assert record.served_by == f"{results[0].provider}/{results[0].model}"
        assert record.attempts == results[0].attempts
        assert engine.explain("unknown") is None


async def test_the_decision_to_ask_once_more_says_why_the_others_wait() -> None:
    scripts: dict[str, Any] = {"a": Script(ErrorClass.SERVER), "b": Script(), "c": Script()}
    own = {"c": {"operations": ["embedding"]}}
    async with house(ordered("a", "b", "c", providers=own), **scripts) as (engine, books):
        result = await engine.route(HI)
        _complete(books, engine, result.request_id)
        told = books.of(events.Decided)[1].left_out
        assert told == {
            "b/function": "a/function is asked again first",
            "c/function": "does not offer chat",
        }


async def test_fallbacks_are_asked_in_order_when_nobody_of_the_model_can_answer() -> None:
    providers = {
        name: {"kind": "function", "models": [{"name": name, "groups": groups}]}
        for name, groups in {"a1": ["a"], "a2": ["a"], "b1": ["b"], "c1": ["c"]}.items()
    }
    config = {
        "strategy": "least_busy",
        "providers": providers,
        "fallbacks": {"a": ["c", "b"], "b": ["a"]},
        "retry": {"attempts": 0},
    }
    down = Script(ErrorClass.CONNECT)
    scripts: dict[str, Any] = {"a1": down, "a2": down, "b1": Script("of b"), "c1": down}
    async with house(config, **scripts) as (engine, _):
        result = await engine.route(Request.chat("hi", model="a"))
        asked = [each.endpoint.partition("/")[0] for each in result.attempts]
        assert sorted(asked[:2]) == ["a1", "a2"]
        assert asked[2:] == ["c1", "b1"]
        assert await served_by(engine, model="b") == "b1", "a cycle is none"


async def test_a_request_names_its_own_fallbacks() -> None:
    providers = {
        name: {"kind": "function", "models": [{"name": name, "groups": [name[0]]}]}
        for name in ("a1", "b1", "c1", "d1")
    }
    config = {
        "providers": providers,
        "fallbacks": {"a": ["b"]},
        "retry": {"attempts": 0},
        "breaker": {"trip_after": 100},
    }
    down = Script(ErrorClass.CONNECT)
    async with house(config, a1=down, b1=Script("b"), c1=down, d1=Script("d")) as (engine, _):
        result = await engine.route(Request.chat("hi", model="a", fallbacks=("c", "nobody", "d")))
        asked = [each.endpoint.partition("/")[0] for each in result.attempts]
        assert asked == ["a1", "c1", "d1"], "in place of the configured ones, in order"
        assert await served_by(engine, model="a") == "b1", "nobody else's request"
        assert await served_by(engine, model="nobody", fallbacks=("b",)) == "b1"
        with pytest.raises(AllAttemptsFailed):
            await engine.route(Request.chat("hi", model="a", fallbacks=()))
        with pytest.raises(AllAttemptsFailed):
            await engine.route(Request.chat("hi", model="a", fallback=False, fallbacks=("d",)))


@pytest.mark.parametrize(
    ("fallbacks", "said"),
    [
        ({"a": []}, "`fallbacks.a` is empty"),
        ({"nobody": ["m"]}, '`fallbacks` is "nobody"'),
        ({"m": ["nobody"]}, '`fallbacks.m[0]` is "nobody"'),
        ({"m": ["m"]}, '`fallbacks.m[0]` is "m", which comes before it already'),
        ({"m": ["n", "n"]}, '`fallbacks.m[1]` is "n", which comes before it already'),
    ],
)
async def test_fallbacks_that_cannot_be_are_refused(
    fallbacks: dict[str, list[str]], said: str
) -> None:
    config = {
        "providers": {"p": {"kind": "ollama", "models": ["m", "n", "a"]}},
        "fallbacks": fallbacks,
    }
    with pytest.raises(ConfigError) as caught:
        async with house(config):
            raise AssertionError
    assert said in str(caught.value)


async def test_what_decides_about_a_route_is_told_and_so_is_a_choice_for_a_caller() -> None:
    config, functions = three(a={"tags": ["x"]})
    async with house(config, **functions) as (engine, books):
        await engine.route(HI)
        await engine.route(Request.chat("hi", tags=("x",)))
        chosen = engine.select(HI)
        assert [each.needs for each in books.of(events.RequestAccepted)] == [None, ("x",)]
        (told,) = books.of(events.Selected)
        assert told.strategy == "round_robin"
        assert told.ranked[0].startswith(chosen.provider)
