"""The response cache in an engine: who is given what, what is never kept, what stands in."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given, strategies as st

from tests.engine.house import HANG, Books, Script, house, ordered
from tests.engine.test_collapsing import OPTIONS, together
from understudy import (
    AllAttemptsFailed,
    Caching,
    ChatOutput,
    Engine,
    ErrorClass,
    InvalidRequest,
    NotCached,
    OverMaxCost,
    Request,
    Result,
    Usage,
)
from understudy.adapters.base import Reply
from understudy.caching import cache_rule, salt_of
from understudy.config import parse
from understudy_actors.dispatcher.collapse import key_of
from understudy_actors.domain import events
from understudy_actors.domain.cache_events import CacheEvicted, CacheHit, CacheMissed, CacheStored

SAME = Request.chat("hi")
ON = {"cache": {"ttl": "10s"}}
STALE = {"cache": {"ttl": "10s", "stale_for": "20s"}, "retry": {"attempts": 0}}
PAID = {"providers": {"a": {"price": {"request": 0.01}}}}


def asking(text: str = "hi", **conditions: Any) -> Request:
    return Request.chat(text, **conditions)


async def texts(engine: Engine, *requests: Request) -> list[str]:
    """What is answered, one after the other."""
    return [(await engine.route(each)).text for each in requests]


def told(books: Books) -> list[str]:
    """What the cache told, in order."""
    kinds = (CacheHit, CacheMissed, CacheStored, CacheEvicted)
    return [str(e.__struct_config__.tag)[6:] for e in books.events if isinstance(e, kinds)]


async def test_the_same_question_is_answered_from_the_cache_and_costs_nothing() -> None:
    a = Script(Reply(ChatOutput("one"), Usage(7, 3)), "two")
    async with house({**ordered("a", **PAID), **ON}, a=a) as (engine, books):
        first = await engine.route(SAME)
        await trio.sleep(4.0)
        again = await engine.route(asking(id="mine", timeout_s=3.0, priority=1))
        assert (first.cached, first.cost_usd, first.age_s) == (False, 0.01, 0.0)
        assert (again.text, again.cached, again.degraded) == ("one", True, False)
        assert (again.cost_usd, again.attempts, again.age_s) == (0.0, (), 4.0)
        assert (again.provider, again.model, again.usage) == ("a", "function", Usage(7, 3))
        assert (again.request_id, again.elapsed_s) == ("mine", 0.0)
        assert len(a.calls) == 1
        assert told(books) == ["miss", "stored", "hit"]
        outcomes = [e for e in books.of(events.RequestOutcome) if e.request == "mine"]
        assert [(e.status, e.attempts, e.cost_usd, e.cached) for e in outcomes] == [
            ("ok", 0, 0.0, True)
        ]
        record = engine.explain("mine")
        assert record is not None
        assert (record.outcome, record.served_by) == ("ok", "a/function")
        stats = engine.cache_stats()
        assert stats is not None
        assert (stats.hits, stats.misses, stats.hit_rate, stats.entries) == (1, 1, 0.5, 1)
        assert engine.status().cache == stats


async def test_an_answer_is_fresh_until_its_time_is_over() -> None:
    a = Script("one", "two")
    async with house({**ordered("a"), **ON}, a=a) as (engine, books):
        await engine.route(SAME)
        await trio.sleep(9.999)
        assert await texts(engine, SAME) == ["one"]
        await trio.sleep(0.001)
        assert await texts(engine, SAME) == ["two"], "being asked for makes it no younger"
        assert told(books) == ["miss", "stored", "hit", "evicted", "miss", "stored"]
        assert [e.why for e in books.of(CacheEvicted)] == ["expired"]


async def test_without_a_cache_nothing_is_kept_and_there_is_nothing_to_look_into() -> None:
    async with house(ordered("a"), a=Script("one", "two")) as (engine, books):
        assert await texts(engine, SAME, asking(cache="use")) == ["one", "two"]
        assert engine.cache_stats() is None
        assert engine.clear_cache() == 0
        assert engine.status().cache is None
        assert told(books) == []
        with pytest.raises(NotCached, match="the engine has none"):
            await engine.route(asking(cache="only"))
        assert books.outcomes() == {"ok": 2, "NotCached": 1}


async def test_a_request_may_bypass_refresh_or_insist() -> None:
    a = Script("one", "two", "three", "four")
    async with house({**ordered("a"), **ON}, a=a) as (engine, _):
        with pytest.raises(NotCached, match='cache="use"') as caught:
            await engine.route(asking(cache="only", id="r"))
        assert (caught.value.request_id, len(a.calls)) == ("r", 0)
        wishes = ["bypass", "only", "use", "bypass", None, "refresh", "only", Caching.USE, "use"]
        answers: list[str] = []
        for wish in wishes:
            try:
                answers.append((await engine.route(asking(cache=wish))).text)
            except NotCached:
                answers.append("-")
        assert answers == ["one", "-", "two", "three", "two", "four", "four", "four", "four"]


async def test_a_refresh_that_fails_leaves_the_older_answer_where_it_was() -> None:
    a = Script("one", ErrorClass.SERVER, ErrorClass.SERVER)
    async with house({**ordered("a", retry={"attempts": 0}), **ON}, a=a) as (engine, _):
        await engine.route(SAME)
        stood_in = await engine.route(asking(cache="refresh"))
        assert (stood_in.text, stood_in.cached, stood_in.degraded) == ("one", True, True)
        kept = await engine.route(SAME)
        assert (kept.text, kept.degraded, len(a.calls)) == ("one", False, 2)


@pytest.mark.parametrize("wish", ["yes", True, "", 1, "ONLY"])
async def test_a_wish_that_is_none_is_refused_before_anything_is_looked_up(wish: Any) -> None:
    async with house({**ordered("a"), **ON}, a=Script()) as (engine, books):
        with pytest.raises(InvalidRequest, match=r"cache is .*use, bypass, refresh, only"):
            await engine.route(asking(cache=wish))
        assert told(books) == []


async def test_what_is_invalid_is_refused_although_its_answer_is_kept() -> None:
    async with house({**ordered("a"), **ON}, a=Script()) as (engine, books):
        await engine.route(SAME)
        with pytest.raises(InvalidRequest):
            await engine.route(asking(timeout_s=-1.0))
        assert told(books) == ["miss", "stored"]


# Whose answer it is


async def test_no_tenant_is_given_the_answer_of_another() -> None:
    count = 0

    async def a(request: Request) -> str:
        nonlocal count
        count += 1
        return f"for {request.tenant} {request.user}, {count}"

    async with house({**ordered("a"), **ON}, a=a) as (engine, books):
        asked = [
            asking(),
            asking(user="x"),
            asking(user="y"),
            asking(tenant="x"),
            asking(tenant="y"),
            asking(tenant="y", user="x"),
        ]
        given_first = await texts(engine, *asked)
        assert len(set(given_first)) == 5
        assert given_first[5] == given_first[4], "users of one tenant share"
        assert await texts(engine, *asked) == given_first
        assert count == 5
        assert len({e.key for e in books.of(CacheStored)}) == 5


def conditioned(chosen: set[str]) -> Request:
    return Request.chat("hi", **{name: OPTIONS[name] for name in chosen})


@given(st.sets(st.sampled_from(sorted(OPTIONS))), st.sets(st.sampled_from(sorted(OPTIONS))))
def test_answers_are_the_same_if_and_only_if_all_that_matters_is(
    one: set[str], other: set[str]
) -> None:
    keys = [key_of(conditioned(each), by_tenant=True) for each in (one, other)]
    who = {"user", "team", "key"}
    matters = [(each - who if "tenant" in each else each) - {"labels"} for each in (one, other)]
    assert (keys[0] == keys[1]) == (matters[0] == matters[1])
    for wish in Caching:
        named: dict[str, Any] = {"id": "x", "timeout_s": 9.0, "priority": 2, "cache": wish.value}
        again = Request.chat("hi", **{n: OPTIONS[n] for n in one}, **named)
        assert key_of(again, by_tenant=True) == keys[0]
    assert key_of(conditioned(one), by_tenant=True, salt=b"other") != keys[0]


VALUES = [None, True, 1, 1.0, "1", "", [], {}, "None", [1], ["1"], {"a": 1}, {"a": 1.0}, -0.0, 0.0]


@given(st.sampled_from(VALUES), st.sampled_from(VALUES))
def test_arguments_of_other_types_are_other_arguments(one: Any, other: Any) -> None:
    keys = [key_of(Request.custom("f", each)) for each in (one, other)]
    assert None not in keys
    assert (keys[0] == keys[1]) == (repr(one) == repr(other))


@pytest.mark.parametrize(
    "value",
    [b"hi", float("nan"), float("inf"), {1: 2}, object(), {1}],
    ids=lambda value: type(value).__name__,
)
def test_arguments_that_read_as_others_are_like_none(value: Any) -> None:
    for request in (Request.custom("f", value), Request.custom("f", kwargs={"x": [value]})):
        assert key_of(request) is None


def test_another_configuration_finds_nothing_of_an_older_one() -> None:
    def salt(config: dict[str, Any]) -> bytes:
        from understudy.config import endpoints
        from understudy_actors.domain.candidate import Candidate
        from understudy_actors.provider.health import Health

        parsed = parse({"log": {"level": "off"}, **config})
        made = [Candidate(s, n, Health()) for n, s in enumerate(endpoints(parsed))]
        return salt_of(parsed, made)

    def openai(*models: str, **keys: Any) -> dict[str, Any]:
        return {"providers": {"openai": {"models": list(models), **keys}}}

    plain = salt(openai("m"))
    assert plain == salt({**openai("m", priority=3), "deadline": "5s"})
    others = [
        openai("n"),
        openai("m", "n"),
        openai("m", tags=["x"]),
        openai("m", region="eu"),
        {**openai("m"), "groups": {"big": ["openai/m"]}},
        {**openai("m"), "operations": {"chat": {"chain": ["openai"]}}},
        {**openai("m"), "fallbacks": {"m": ["openai/m"]}},
    ]
    assert len({plain, *map(salt, others)}) == len(others) + 1


# What is never kept


async def test_errors_are_never_kept() -> None:
    a = Script(ErrorClass.SERVER, ErrorClass.BAD_REQUEST, "fine")
    async with house({**ordered("a", retry={"attempts": 0}), **STALE}, a=a) as (engine, _):
        for _error in range(2):
            with pytest.raises(Exception):  # noqa: B017, PT011  whatever it is
                await engine.route(SAME)
        assert await texts(engine, SAME, SAME) == ["fine", "fine"]
        assert len(a.calls) == 3


@pytest.mark.parametrize(
    ("answer", "calls", "unfit"),
    [
        (Reply(ChatOutput("stand-in"), degraded=True), 2, 0),
        (ChatOutput("cut", "length"), 2, 2),
        (ChatOutput("filtered", "content_filter"), 2, 2),
        (ChatOutput(""), 2, 2),
        (ChatOutput("x" * 9_000_000), 2, 2),
        (ChatOutput("fine"), 1, 0),
    ],
    ids=["degraded", "cut", "filtered", "empty", "too large", "fine"],
)
async def test_what_is_no_whole_answer_is_not_kept(answer: Any, calls: int, unfit: int) -> None:
    a = Script(answer)
    async with house({**ordered("a"), **ON}, a=a) as (engine, _):
        await texts(engine, SAME, SAME)
        assert len(a.calls) == calls
        stats = engine.cache_stats()
        assert stats is not None
        assert stats.unfit == unfit


async def test_configured_content_is_not_kept() -> None:
    a = Script(ErrorClass.SERVER, "fine")
    config = {"degraded": {"chat": "sorry"}, "retry": {"attempts": 0}}
    async with house({**ordered("a"), **ON, **config}, a=a) as (engine, _):
        assert await texts(engine, SAME, SAME, SAME) == ["sorry", "fine", "fine"]


async def test_operations_are_cached_as_configured() -> None:
    config: dict[str, Any] = {
        "cache": {"ttl": "10s", "operations": ["look", "see"]},
        "operations": {
            "see": {"cache": {"ttl": "20s"}},
            "dance": {"cache": False},
            "read": {"cache": True},
        },
    }
    names = ["chat", "look", "see", "dance", "read"]
    own = {"providers": {"a": {"operations": names}}}
    calls: list[str] = []

    async def a(request: Request) -> Any:
        calls.append(request.operation)
        return "x"

    def twice_and_later(**conditions: Any) -> list[Request]:
        return [Request.custom(name, "it", **conditions) for name in names[1:]]

    async with house({**ordered("a", **own), **config}, a=a) as (engine, _):
        await texts(engine, SAME, SAME, *twice_and_later(), *twice_and_later())
        assert calls == ["chat", "chat", "look", "see", "dance", "read", "dance"]
        await trio.sleep(15.0)
        calls.clear()
        await texts(engine, *twice_and_later())
        assert calls == ["look", "dance", "read"]
        calls.clear()
        await texts(engine, *twice_and_later(cache="use"), *twice_and_later(cache="use"))
        assert calls == ["dance"], "who says so uses it, wherever there is one"


async def test_the_callers_own_function_is_always_called() -> None:
    called: list[str] = []

    def function(choice: Any, word: str) -> str:
        called.append(word)
        return word

    async with house({**ordered("a"), **ON}, a=Script()) as (engine, books):
        for _ in range(2):
            await engine.with_fallback("chat", function, "hi")
        assert called == ["hi", "hi"]
        assert told(books) == []


# Bounds


async def test_the_least_recently_used_makes_room() -> None:
    config = {"cache": {"max_entries": 2}}
    a = Script(*map(str, range(9)))
    async with house({**ordered("a"), **config}, a=a) as (engine, books):
        one, two, three = (asking(each) for each in ("1", "2", "3"))
        assert await texts(engine, one, two, one, three, one, two) == list("010203")
        assert [e.why for e in books.of(CacheEvicted)] == ["entries", "entries"]
        stats = engine.cache_stats()
        assert stats is not None
        assert (stats.entries, stats.evicted) == (2, 2)
        assert engine.clear_cache() == 2
        assert await texts(engine, one) == ["4"]


async def test_what_is_changed_by_one_is_not_changed_for_another() -> None:
    own = {"providers": {"a": {"operations": ["look"]}}}
    config = {"operations": {"look": {"cache": True}}}

    async def a(request: Request) -> Any:
        return {"found": [1, 2]}

    async with house({**ordered("a", **own), **config}, a=a) as (engine, _):
        look = Request.custom("look", "here")
        for _ in range(3):
            output = (await engine.route(look)).output
            assert output == {"found": [1, 2]}
            output["found"].clear()


# Together


@pytest.mark.parametrize("temperature", [None, 0.0, 1.5])
async def test_equal_requests_under_way_make_one_call(temperature: float | None) -> None:
    a = Script(1.0)
    async with house({**ordered("a", **PAID), **ON}, a=a) as (engine, books):
        same = asking(temperature=temperature)
        answers = await together(engine, same, same, same)
        assert [each.text for each in answers] == ["late"] * 3
        assert sorted(each.cost_usd for each in answers) == [0.0, 0.0, 0.01]
        assert (await engine.route(same)).cached
        assert len(a.calls) == 1
        assert told(books) == ["miss"] * 3 + ["stored", "hit"]


@pytest.mark.parametrize("conditions", [{"collapse": False}, {"cache": "bypass"}], ids=str)
async def test_who_wants_a_call_of_his_own_has_one(conditions: dict[str, Any]) -> None:
    a = Script(1.0)
    async with house({**ordered("a"), **ON}, a=a) as (engine, _):
        await together(engine, asking(**conditions), asking(**conditions))
        assert len(a.calls) == 2


async def test_users_of_one_tenant_share_answers_but_no_call_under_way() -> None:
    a = Script(1.0)
    async with house({**ordered("a"), **ON}, a=a) as (engine, _):
        await together(engine, asking(tenant="t", user="x"), asking(tenant="t", user="y"))
        assert len(a.calls) == 2, "one must not meet the other's budget"
        assert (await engine.route(asking(tenant="t", user="z"))).cached


# When nobody answers


async def test_an_old_answer_stands_in_when_nobody_answers_and_says_so() -> None:
    a = Script("one", ErrorClass.SERVER)
    config = {**ordered("a", **PAID), **STALE, "degraded": {"chat": "sorry"}}
    async with house(config, a=a) as (engine, books):
        await engine.route(SAME)
        await trio.sleep(29.0)
        old = await engine.route(asking(id="late"))
        assert (old.text, old.cached, old.degraded, old.age_s) == ("one", True, True, 29.0)
        assert [each.outcome for each in old.attempts] == ["failed"]
        assert [(e.stale, e.age_s) for e in books.of(CacheHit)] == [(True, 29.0)]
        (outcome,) = (e for e in books.of(events.RequestOutcome) if e.request == "late")
        assert (outcome.status, outcome.cached) == ("degraded", True)
        await trio.sleep(1.0)
        assert await texts(engine, SAME) == ["sorry"], "and not for ever"
        stats = engine.cache_stats()
        assert stats is not None
        assert (stats.hits, stats.misses, stats.stale) == (0, 3, 1)


async def test_an_old_answer_is_better_than_that_of_a_stand_in() -> None:
    a = Script("one", ErrorClass.SERVER)
    config = ordered("a", "spare", providers={"spare": {"kind": "local"}})
    async with house({**config, **STALE}, a=a) as (engine, _):
        assert await texts(engine, SAME) == ["one"]
        await trio.sleep(15.0)
        old = await engine.route(SAME)
        assert (old.text, old.cached, old.degraded, len(old.attempts)) == ("one", True, True, 2)
        await trio.sleep(15.0)
        new = await engine.route(asking("never asked"))
        assert (new.provider, new.cached, new.degraded) == ("spare", False, True)


async def test_an_old_answer_stands_in_after_a_silence_too() -> None:
    a = Script("one", HANG)
    async with house({**ordered("a"), **STALE, "deadline": "3s"}, a=a) as (engine, _):
        await engine.route(SAME)
        await trio.sleep(12.0)
        assert await texts(engine, SAME) == ["one"]
        assert trio.current_time() == 15.0


async def test_an_old_answer_does_not_stand_in_where_it_may_not() -> None:
    a = Script("one", ErrorClass.SERVER)
    async with house({**ordered("a", **PAID), **STALE}, a=a) as (engine, _):
        await engine.route(SAME)
        dear = asking(max_cost_usd=0.001)
        with pytest.raises(OverMaxCost):
            await engine.route(dear)
        await trio.sleep(12.0)
        with pytest.raises(AllAttemptsFailed):
            await engine.route(asking(cache="bypass"))
        with pytest.raises(AllAttemptsFailed):
            await engine.route(asking(tenant="somebody else"))
    async with house({**ordered("a", retry={"attempts": 0}), **ON}, a=Script(*a.steps)) as (e, _):
        await e.route(SAME)
        await trio.sleep(12.0)
        with pytest.raises(AllAttemptsFailed):
            await e.route(SAME)


async def test_who_wants_nothing_but_the_cache_takes_an_old_answer_too() -> None:
    a = Script("one", "two")
    async with house({**ordered("a"), **STALE}, a=a) as (engine, _):
        await engine.route(SAME)
        await trio.sleep(12.0)
        old = await engine.route(asking(cache="only"))
        assert (old.text, old.degraded, old.cost_usd, old.attempts) == ("one", True, 0.0, ())
        assert len(a.calls) == 1


async def test_all_who_share_a_call_that_fails_are_given_the_old_answer() -> None:
    calls, script = Script(1.0), Script("one", ErrorClass.SERVER)

    async def a(request: Request) -> Any:
        await calls(request)
        return await script(request)

    async with house({**ordered("a"), **STALE}, a=a) as (engine, _):
        await engine.route(SAME)
        await trio.sleep(12.0)
        answers: list[Result] = await together(engine, SAME, SAME)
        assert [(each.text, each.cached, each.degraded) for each in answers] == [
            ("one", True, True)
        ] * 2
        assert len({each.request_id for each in answers}) == 2
        assert len(calls.calls) == 2


async def test_a_shared_call_that_is_late_tells_whom_it_asked() -> None:
    async with house({**ordered("a"), **ON, "deadline": "3s"}, a=Script(HANG)) as (engine, _):
        # Both limits end in the same instant, in any order: hence many.
        for error in await together(engine, *(asking(str(number)) for number in range(8))):
            assert isinstance(error, AllAttemptsFailed)
            assert [each.error for each in error.attempts] == ["silent"]
        assert trio.current_time() == 3.0


async def test_who_has_no_more_time_for_a_shared_call_is_given_the_old_answer() -> None:
    async with house({**ordered("a"), **STALE}, a=Script("one", 8.0)) as (engine, _):
        await engine.route(SAME)
        await trio.sleep(12.0)
        hasty, patient = await together(engine, asking(timeout_s=2.0), SAME)
        assert (hasty.text, hasty.cached, hasty.degraded, hasty.elapsed_s) == ("one", True, True, 2)
        assert (patient.text, patient.cached, patient.elapsed_s) == ("late", False, 8.0)


async def test_answers_cost_no_budget_when_they_are_given_again() -> None:
    budget = {"budgets": [{"usd": 0.01, "per": "total"}]}
    config = {**ordered("a", **PAID), **ON, **budget}
    price = {"providers": {"a": {"kind": "function", "price": {"request": 0.01}}}}
    async with house({**config, **price}, a=Script("one")) as (engine, _):
        asked = asking(max_tokens=5)
        assert await texts(engine, asked, asked, asked) == ["one"] * 3
        (left,) = engine.budgets()
        assert (left.spent_usd, left.reserved_usd, left.charges) == (0.01, 0.0, 1)


# Configuration


def test_the_section_is_off_unless_it_is_written() -> None:
    providers: dict[str, Any] = {"providers": {"local": {}}}
    assert not cache_rule(parse(providers)).operations
    rule = cache_rule(parse({**providers, "cache": True}))
    assert {name: each.ttl_s for name, each in rule.operations.items()} == {
        "chat": 300.0,
        "embedding": 300.0,
    }
    own = {"operations": {"chat": {"cache": {"stale_for": "1h"}}}}
    life = cache_rule(parse({**providers, **own})).life("chat")
    assert (life.ttl_s, life.stale_for_s, life.unasked) == (300.0, 3600.0, True)
