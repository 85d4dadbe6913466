"""Budgets hold under any crowd, and say who refused, how much is left, and when they start anew."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from tests.engine.house import Books, house
from understudy import (
    ChatOutput,
    ConfigError,
    Engine,
    InvalidRequest,
    NoCandidate,
    OverBudget,
    Reply,
    Request,
    ServerFailed,
    Usage,
    open_engine,
)
from understudy_actors.domain.money_events import BoundBreached, BudgetAlert, MoneyCharged
from understudy_actors.runtime.actor import State

PRICE = {"input": 0.0, "output": 10.0}
"""10 micro-USD for each token of an answer."""


def answering(tokens: int, seconds: float = 0.0) -> Callable[[Request], Any]:
    """A provider that answers so many tokens after so many seconds."""

    async def answer(request: Request) -> Reply:
        await trio.sleep(seconds)
        return Reply(ChatOutput("ok"), Usage(0, tokens))

    return answer


@asynccontextmanager
async def an_engine(
    functions: dict[str, Any], *budgets: dict[str, Any], **options: Any
) -> AsyncIterator[tuple[Engine, Books]]:
    models = [{"name": "m", "price": PRICE}]
    config = {
        "providers": {name: {"concurrency": 4096, "models": models} for name in functions},
        "budgets": list(budgets),
        **options,
    }
    async with house(config, **functions) as (engine, books):
        yield engine, books
        assert all(each.reserved_usd == 0 for each in engine.budgets())


def ask(tokens: int = 10, **conditions: Any) -> Request:
    return Request.chat("hi", max_tokens=tokens, **conditions)


async def test_a_flood_spends_what_the_budget_has_and_not_a_micro_dollar_more() -> None:
    served: list[str] = []
    left: list[bool] = []
    refused: list[NoCandidate] = []
    async with an_engine({"p": answering(10, 1.0)}, {"usd": 0.01}) as (engine, books):

        async def call(number: int) -> None:
            try:
                with trio.move_on_after(0.5 if number % 7 == 0 else 60) as patience:
                    served.append((await engine.route(ask())).provider)
                left.append(patience.cancelled_caught)
            except OverBudget as error:
                refused.append(error)

        async with trio.open_nursery() as nursery:
            for number in range(2000):
                nursery.start_soon(call, number)
        (budget,) = engine.budgets()
        assert budget.spent_usd == 0.01, "those who left are charged in full: nobody knows better"
        assert (budget.left_usd, budget.charges, budget.spent_percent) == (0.0, 100, 100.0)
        assert len(refused) == 1900
        alerts = [each.percent for each in books.of(BudgetAlert)]
        assert alerts == [50, 80, 100]
    assert 0 < sum(left) == 100 - len(served)


async def test_a_refusal_names_the_budget_what_is_left_and_when_it_starts_anew() -> None:
    async with an_engine({"p": answering(10)}, {"usd": 0.00015, "user": "ann"}) as (engine, _):
        await engine.route(ask(user="ann"))
        with pytest.raises(OverBudget, match="over budget: user ann") as caught:
            await engine.route(ask(user="ann"))
        message = str(caught.value)
        assert "$0.000050 left, up to $0.000100 needed" in message
        assert "starts anew in" in message
        assert caught.value.retry_after_s is not None
        assert 0 < caught.value.retry_after_s <= 86_400
        assert (await engine.route(ask(user="bob"))).text == "ok"
        assert (await engine.route(ask(5, user="ann"))).text == "ok", "five tokens still fit"


async def test_each_user_has_a_budget_of_their_own() -> None:
    async with an_engine(
        {"p": answering(10)},
        {"usd": 0.0001, "user": "*", "per": "total"},
        {"usd": 0.0002, "user": "vip", "per": "total"},
    ) as (engine, _):
        for user, calls in (("ann", 1), ("bob", 1), ("vip", 2)):
            for _ in range(calls):
                await engine.route(ask(user=user))
            with pytest.raises(OverBudget, match="does not start anew by itself"):
                await engine.route(ask(user=user))
        standing = {each.name: each.spent_usd for each in engine.budgets()}
        assert standing == {"vip": 0.0002, "ann": 0.0001, "bob": 0.0001}
        await engine.route(ask())  # who names no user has none


async def test_a_cheaper_provider_serves_what_a_dear_one_may_not() -> None:
    async with an_engine(
        {"dear": answering(10), "cheap": answering(10)},
        {"usd": 0.0001, "provider": "dear"},
        strategy="priority",
    ) as (engine, _):
        served = [(await engine.route(ask())).provider for _ in range(3)]
        assert served == ["dear", "cheap", "cheap"]


async def test_a_failure_that_costs_nothing_is_given_back() -> None:
    calls = 0

    async def flaky(request: Request) -> Reply:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ServerFailed("it broke", status=500)
        return Reply(ChatOutput("ok"), Usage(0, 10))

    async with an_engine({"p": flaky, "q": flaky}, {"usd": 0.0001}) as (engine, _):
        assert (await engine.route(ask())).text == "ok"
        (budget,) = engine.budgets()
        assert (budget.spent_usd, budget.charges) == (0.0001, 1)


async def test_an_attempt_that_costs_more_than_its_worst_case_stops_the_budget() -> None:
    async with an_engine({"p": answering(50)}, {"usd": 1.0}) as (engine, books):
        await engine.route(ask(10))
        assert len(books.of(BoundBreached)) == 1
        (budget,) = engine.budgets()
        assert (budget.spent_usd, budget.frozen, budget.left_usd) == (0.0005, True, 0.0)
        with pytest.raises(OverBudget, match="stopped, since an attempt cost more"):
            await engine.route(ask())
        engine.thaw()
        assert (await engine.route(ask(50))).text == "ok"
        with pytest.raises(InvalidRequest, match=r"no budget of user ann: there is engine\b"):
            engine.thaw("user", "ann")


async def test_expected_costs_may_overspend_and_freeze_nothing() -> None:
    async with an_engine({"p": answering(50)}, {"usd": 0.0006}, budget_mode="expected") as (
        engine,
        books,
    ):
        for _ in range(2):
            await engine.route(Request.chat("hi", output_tokens=10))
        (budget,) = engine.budgets()
        assert (budget.spent_usd, budget.frozen) == (0.001, False)
        assert not books.of(BoundBreached)


async def test_an_unknown_price_is_refused_under_a_budget() -> None:
    providers = {"p": {"models": [{"name": "m"}]}}
    async with an_engine({"p": answering(1)}, {"usd": 1.0}, providers=providers) as (engine, _):
        with pytest.raises(NoCandidate, match="price unknown: set `price`"):
            await engine.route(ask())


async def test_an_answer_without_a_bound_is_refused_under_a_budget() -> None:
    async with an_engine({"p": answering(1)}, {"usd": 1.0}) as (engine, _):
        with pytest.raises(NoCandidate, match="no bound on its answer: set max_tokens"):
            await engine.route(Request.chat("hi"))


async def test_a_provider_that_refuses_gives_the_money_back() -> None:
    async with an_engine({"p": answering(10)}, {"usd": 0.0001}) as (engine, _):
        actor: Any = engine._parts.providers["p"]
        actor.tell("no message of a provider")  # it crashes, and is suspended for a moment
        with pytest.raises(NoCandidate, match="its actor is"):
            await engine.route(ask())
        assert engine.budgets()[0].left_usd == 0.0001
        actor.revive()


async def test_the_books_outlive_the_ledgers_actor() -> None:
    async with an_engine({"p": answering(10)}, {"usd": 0.0002}) as (engine, _):
        await engine.route(ask())
        ledger: Any = engine._wiring.purse._ledger  # type: ignore[union-attr]
        ledger.tell("no message of the ledger")  # raises in its turn
        with pytest.raises(NoCandidate, match="the ledger is"):
            await engine.route(ask())
        ledger.revive()
        await engine.route(ask())
        with pytest.raises(OverBudget):
            await engine.route(ask())


async def test_what_ends_while_the_ledger_has_given_up_is_settled_when_it_is_back() -> None:
    async with an_engine({"p": answering(10, 1.0)}, {"usd": 0.0003}) as (engine, books):
        ledger: Any = engine._wiring.purse._ledger  # type: ignore[union-attr]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(engine.route, ask())
            nursery.start_soon(engine.route, ask())
            await trio.sleep(0.5)
            for number in range(6):  # each of a kind of its own: one kind alone would be refused
                ledger.tell(type(f"Odd{number}", (), {})())
                if ledger.status().state is State.SUSPENDED:
                    ledger.revive()
            assert ledger.status().state is State.UNAVAILABLE
        with pytest.raises(NoCandidate, match="the ledger is"):
            await engine.route(ask())
        ledger.revive()
        (budget,) = engine.budgets()
        assert (budget.spent_usd, budget.reserved_usd) == (0.0002, 0.0)
        assert len(books.of(MoneyCharged)) == 2


async def test_whoever_looks_at_the_budgets_while_they_change_disturbs_nothing() -> None:
    """A listener is called within the ledger's turn: it is refused, and no charge is lost by it."""
    async with an_engine({"p": answering(10)}, {"usd": 0.0003}) as (engine, books):

        def look(_seq: int, event: object) -> None:
            if isinstance(event, MoneyCharged):
                engine.budgets()

        engine.listen(look)
        for _ in range(2):
            await engine.route(ask())
        (budget,) = engine.budgets()
        assert (budget.spent_usd, budget.reserved_usd) == (0.0002, 0.0)
        assert len(books.of(MoneyCharged)) == 2


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"budgets": [{"usd": -1}]}, r"budgets\[0\].usd"),
        ({"budgets": [{"usd": 1, "per": "year"}]}, r"budgets\[0\].per"),
        ({"budgets": [{"usd": 1, "user": "a", "provider": "p"}]}, r"budgets\[0\].user"),
        ({"budgets": [{"usd": 1, "provider": "q"}]}, r"budgets\[0\].provider"),
        ({"budgets": [{"usd": 1}], "time_zone": "Mars/Olympus"}, "time_zone"),
        ({"budgets": [{}]}, r"budgets\[0\].usd"),
    ],
)
async def test_a_wrong_budget_is_refused_by_its_key(given: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError, match=path):
        async with open_engine({"functions": {"p": answering(1)}, **given}):
            pass
