"""Whoever a budget is about pays for the attempts that are theirs, and for no others."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tests.engine.house import HANG, QUIET, Script, house, ordered
from tests.engine.test_budgets import an_engine, answering, ask
from understudy import ConfigError, NoCandidate, OverBudget, Request, open_engine
from understudy.routing.payers import payers
from understudy_actors.domain.hedge_events import HedgeLaunched
from understudy_actors.ledger.account import Scope

KINDS = (
    *("engine", "hedges", "provider", "key", "user", "team"),
    *("tenant", "tag", "route", "operation"),
)
WHO: dict[str, dict[str, Any]] = {
    "key": {"key": "k1"},
    "user": {"user": "ann"},
    "team": {"team": "red"},
    "tenant": {"tenant": "acme"},
    "tag": {"labels": ("batch", "night")},
    "route": {"model": "fast"},
}
NAMED = {"key": "k1", "user": "ann", "team": "red", "tenant": "acme", "tag": "night"}
words = st.sampled_from(["a", "b", "c"])
requests = st.builds(
    lambda labels, tags, **who: Request.chat("hi", labels=labels, tags=tags, **who),
    labels=st.lists(words).map(tuple),
    tags=st.lists(words).map(tuple),
    key=st.none() | words,
    user=st.none() | words,
    team=st.none() | words,
    tenant=st.none() | words,
    model=st.none() | words,
)


@given(requests, st.sets(st.sampled_from(KINDS)), st.booleans())
def test_everybody_concerned_pays_once(request: Request, kinds: set[str], copy: bool) -> None:
    who = {
        "engine": [""],
        "hedges": [""] if copy else [],
        "provider": ["p"],
        "route": [request.model or "chat"],
        "tag": sorted({*request.tags, *request.labels}),
        "operation": ["chat"],
    }
    for kind in ("key", "user", "team", "tenant"):
        name = getattr(request, kind)
        who[kind] = [] if name is None else [name]
    paying = payers(kinds, request, "p", copy=copy)
    assert Counter(paying) == Counter(Scope(kind, n) for kind in kinds for n in who[kind])


@pytest.mark.parametrize("kind", WHO)
@pytest.mark.parametrize("each", [False, True], ids=["named", "each"])
async def test_a_budget_stops_those_it_is_about_and_nobody_else(kind: str, each: bool) -> None:
    name = "*" if each else {**NAMED, "route": "fast"}[kind]
    options = {"groups": {"fast": ["p"], "slow": ["p"]}}
    budget = {"usd": 0.0001, kind: name}
    async with an_engine({"p": answering(10)}, budget, **options) as (engine, _):
        await engine.route(ask(**WHO[kind]))
        with pytest.raises(OverBudget, match=rf"over budget: {kind} "):
            await engine.route(ask(**WHO[kind]))
        other: dict[str, Any] = {"model": "slow"} if kind == "route" else {}
        assert (await engine.route(ask(**other))).text == "ok"


async def test_each_tag_of_a_request_pays() -> None:
    async with an_engine(
        {"p": answering(10)}, {"usd": 0.0003, "tag": "*", "per": "hour"}, {"usd": 1, "tag": "day"}
    ) as (engine, _):
        await engine.route(ask(labels=("day", "batch")))
        await engine.route(ask(labels=("batch", "night", "batch")))
        spent = {each.name: each.spent_usd for each in engine.budgets()}
        assert spent == {"day": 0.0001, "batch": 0.0002, "night": 0.0001}


async def test_tags_that_choose_a_provider_pay_too() -> None:
    models = [{"name": "m", "price": {"output": 10.0}}]
    providers = {"p": {"tags": ["eu"], "models": models}, "q": {"models": models}}
    async with an_engine(
        {"p": answering(10), "q": answering(10)}, {"usd": 0.0001, "tag": "eu"}, providers=providers
    ) as (engine, _):
        assert (await engine.route(ask(tags=("eu",)))).provider == "p"
        with pytest.raises(OverBudget, match="over budget: tag eu"):
            await engine.route(ask(tags=("eu",)))
        await engine.route(ask())


async def test_a_request_without_a_model_goes_the_route_of_its_operation() -> None:
    async with an_engine({"p": answering(10)}, {"usd": 0.0001, "route": "chat"}) as (engine, _):
        await engine.route(ask())
        with pytest.raises(OverBudget, match="over budget: route chat"):
            await engine.route(ask())
        await engine.route(ask(model="m"))


async def test_second_copies_stop_when_their_own_budget_is_spent() -> None:
    price = {"price": {"request": 0.01}}
    a, b = Script(*["quick"] * 20, 3.0), Script("second")
    config = ordered(
        "a",
        "b",
        hedge={"floor": 1.0},
        providers={"a": price, "b": price},
        budgets=[{"usd": 0.01, "hedges": True, "per": "hour"}],
    )
    async with house(config, a=a, b=b) as (engine, books):
        for _ in range(20):
            await engine.route(Request.chat("hi"))
        assert engine.budgets()[0].spent_usd == 0.0, "first copies are none of its business"
        served = [(await engine.route(Request.chat("hi"))).provider for _ in range(3)]
        assert served == ["b", "a", "a"]
        assert len(books.of(HedgeLaunched)) == 1
        (budget,) = engine.budgets()
        assert (budget.scope, budget.per, budget.spent_usd) == ("hedges", "hour", 0.01)


async def test_a_copy_of_unknown_price_is_not_sent_under_a_budget_of_copies() -> None:
    a, b = Script(*["quick"] * 20, HANG, "quick"), Script("second")
    config = ordered(
        "a",
        "b",
        hedge={"floor": 1.0},
        providers={"b": {"kind": "function", "models": [{"name": "m"}]}},
        budgets=[{"usd": 1.0, "hedges": True}],
        retry={"attempts": 0},
    )
    async with house(config, a=a, b=b) as (engine, books):
        for _ in range(20):
            await engine.route(Request.chat("hi"))
        await engine.route(Request.chat("hi"))
        assert not books.of(HedgeLaunched)


@pytest.mark.parametrize(
    ("budget", "path"),
    [
        ({"usd": 1, "route": "fats"}, r"budgets\[0\].route.*did you mean"),
        ({"usd": 1, "hedges": True, "user": "a"}, r"budgets\[0\].hedges.*beside `user`"),
        ({"usd": 1, "key": ""}, r"budgets\[0\].key"),
        ({"usd": 1, "per": "minute"}, r"budgets\[0\].per"),
    ],
)
async def test_a_wrong_scope_is_refused_by_its_key(budget: dict[str, Any], path: str) -> None:
    config = {"functions": {"p": answering(1)}, "groups": {"fast": ["p"]}, "budgets": [budget]}
    with pytest.raises(ConfigError, match=path):
        async with open_engine(config):
            pass


@pytest.mark.parametrize("route", ["*", "fast", "chat", "function", "p/function"])
async def test_a_route_is_whatever_a_request_can_ask_for(route: str) -> None:
    async with an_engine(
        {"p": answering(1)},
        {"usd": 1, "route": route},
        groups={"fast": ["p"]},
        providers={"p": {"kind": "function"}},
    ) as (engine, _):
        assert len(engine.budgets()) == (route != "*")


async def test_who_has_no_budget_needs_no_price() -> None:
    """A budget of somebody else's does not make their provider's price matter."""
    config = {**QUIET, "budgets": [{"usd": 1.0, "key": "alice"}]}
    async with open_engine(config, functions={"f": Script("fine")}, environ={}) as engine:
        assert (await engine.route(Request.chat("hi", key="bob"))).text == "fine"
        assert (await engine.route(Request.chat("hi"))).text == "fine"
        with pytest.raises(NoCandidate, match="price unknown"):
            await engine.route(Request.chat("hi", key="alice", max_tokens=5))
