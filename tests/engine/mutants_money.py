"""Faults planted where attempts are paid for, each beside the test that notices it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

from tests.engine import (
    test_budget_modes as modes,
    test_budget_scopes as scopes,
    test_budgets as budgets,
)
from tests.engine.streaming import test_money as streams
from understudy import Request
from understudy.routing import purse

Test: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

SEAMS: Final[dict[str, tuple[str, ...]]] = {
    "bounds": ("understudy.routing.purse:worst", "understudy.routing.purse:expected"),
    "payers": ("understudy.routing.purse:payers",),
    "purse": ("understudy.spending:Purse",),
    "owed": ("understudy.routing.purse:Owed",),
}


async def _paying_once() -> None:
    request = Request.chat("hi", labels=("a", "a"), tags=("a",))
    assert len(vars(purse)["payers"]({"tag"}, request, "p")) == 1


async def _long_prompts_under_a_budget() -> None:
    await modes.test_an_unknown_price_is_allowed_without_a_budget_and_its_cost_unknown([{"usd": 1}])


async def _charging_the_unreported() -> None:
    await modes.test_an_answer_whose_tokens_nobody_reports_is_charged_in_full()


async def _a_flood_that_is_shortened() -> None:
    await modes.test_a_flood_that_is_shortened_spends_all_there_is_and_no_more(1.0)


FAULTS: Final[list[tuple[str, str, str, str, Test]]] = [
    (
        "bounds",
        "an unknown price is nothing",
        'return f"{UNPRICED}set `price` for it to use it under a budget"',
        'return ""',
        budgets.test_an_unknown_price_is_refused_under_a_budget,
    ),
    (
        "bounds",
        "a price is good for any prompt",
        "known_to is not None and flight.input_tokens > known_to",
        "False",
        _long_prompts_under_a_budget,
    ),
    (
        "bounds",
        "an answer without a bound has none",
        "        if price.charges_output:",
        "        if False:",
        budgets.test_an_answer_without_a_bound_is_refused_under_a_budget,
    ),
    (
        "bounds",
        "pictures are forgotten",
        "pictures(request) if price.image_usd else 0",
        "0",
        modes.test_what_cannot_be_shortened_is_refused_as_ever,
    ),
    (
        "bounds",
        "whoever asks for little gets less",
        "    least_tokens = min(least_tokens, tokens)\n",
        "",
        modes.test_no_answer_is_shortened_below_the_least_that_makes_sense,
    ),
    (
        "bounds",
        "what was seen goes before what the caller says",
        "if request.output_tokens is None and usual_most is not None:",
        "if usual_most is not None:",
        modes.test_what_95_percent_of_the_answers_stay_below_is_expected,
    ),
    (
        "bounds",
        "more is expected than is allowed",
        "usual_most if most is None else min(most, usual_most)",
        "usual_most",
        modes.test_what_95_percent_of_the_answers_stay_below_is_expected,
    ),
    (
        "bounds",
        "the published longest answer is no bound",
        "asked or cap or spec.known_output_tokens",
        "asked or cap",
        modes.test_without_max_tokens_the_published_longest_answer_is_the_worst_case,
    ),
    (
        "payers",
        "a request's tags pay together once",
        "                found += [Scope(kind, each) for each in _words(request)]",
        "                found += [Scope(kind, each) for each in _words(request)][:1]",
        scopes.test_each_tag_of_a_request_pays,
    ),
    (
        "payers",
        "a tag pays as often as it is written",
        "dict.fromkeys((*request.tags, *request.labels))",
        "(*request.tags, *request.labels, *request.labels)",
        _paying_once,
    ),
    (
        "payers",
        "tags that choose do not pay",
        "(*request.tags, *request.labels)",
        "(*request.labels,)",
        scopes.test_tags_that_choose_a_provider_pay_too,
    ),
    (
        "payers",
        "users pay for each other",
        "name = getattr(request, kind)",
        'name = "somebody"',
        budgets.test_each_user_has_a_budget_of_their_own,
    ),
    (
        "payers",
        "first copies pay for second ones",
        "(HEDGES,) if copy else ()",
        "(HEDGES,)",
        scopes.test_second_copies_stop_when_their_own_budget_is_spent,
    ),
    (
        "payers",
        "second copies have no budget",
        "(HEDGES,) if copy else ()",
        "()",
        scopes.test_second_copies_stop_when_their_own_budget_is_spent,
    ),
    (
        "payers",
        "a route without a model has no name",
        "request.model or request.operation",
        'request.model or ""',
        scopes.test_a_request_without_a_model_goes_the_route_of_its_operation,
    ),
    (
        "purse",
        "a shorter limit stays at home",
        "        return replace(request, input=replace(body, max_tokens=limit))\n",
        "        return request\n",
        modes.test_the_shorter_limit_goes_over_the_wire,
    ),
    (
        "purse",
        "a shorter limit is not told",
        "        return lent.max_tokens\n",
        "        return None\n",
        modes.test_an_answer_is_shortened_to_what_the_budgets_still_pay_for,
    ),
    (
        "purse",
        "answers are always shortened",
        "limit = None if answer.amount >= amount else",
        "limit =",
        modes.test_an_answer_is_shortened_to_what_the_budgets_still_pay_for,
    ),
    (
        "purse",
        "what was not shortened far enough is lent",
        'least_tokens if mode == "fit_max_tokens" else None',
        '1 if mode == "fit_max_tokens" else None',
        modes.test_no_answer_is_shortened_below_the_least_that_makes_sense,
    ),
    (
        "purse",
        "strict budgets shorten as well",
        'least_tokens if mode == "fit_max_tokens" else None',
        "least_tokens",
        modes.test_strict_budgets_shorten_nothing,
    ),
    (
        "purse",
        "settlements of those who left are lost",
        "        self._owed.tell(SettleMoney(lent.number, actual, lent.request, attempt))\n",
        "        if actual is not None:\n"
        "            self._owed.tell(SettleMoney(lent.number, actual, lent.request, attempt))\n",
        _a_flood_that_is_shortened,
    ),
    (
        "purse",
        "every candidate has its own ledger",
        "self._lent[attempt] = Lent(answer.number, flight.id, limit)",
        "self._lent[attempt] = Lent(answer.number + 1, flight.id, limit)",
        budgets.test_a_failure_that_costs_nothing_is_given_back,
    ),
    (
        "purse",
        "answers of all endpoints are alike",
        "self._seen.setdefault(candidate.name, SeenOutput())",
        'self._seen.setdefault("", SeenOutput())',
        modes.test_what_95_percent_of_the_answers_stay_below_is_expected,
    ),
    (
        "bounds",
        "free calls are set money aside for",
        '    if candidate.free_left:\n        return ""\n',
        "",
        modes.test_a_crowd_gets_as_many_free_calls_as_there_are_and_pays_for_the_others,
    ),
    (
        "loop",
        "second copies pay as first ones",
        "copy=decision.copy",
        "copy=False",
        scopes.test_second_copies_stop_when_their_own_budget_is_spent,
    ),
    (
        "settlement",
        "an answer that broke off costs what came of it",
        "known = None if partial and not permit.free else cost",
        "known = cost",
        streams.test_a_whole_stream_is_charged_by_its_own_count_and_a_broken_one_in_full,
    ),
    (
        "settlement",
        "free calls are charged",
        "    if permit.free:\n        return 0\n",
        "",
        modes.test_a_crowd_gets_as_many_free_calls_as_there_are_and_pays_for_the_others,
    ),
    (
        "settlement",
        "what was estimated is charged",
        "cost if exact else None",
        "cost",
        _charging_the_unreported,
    ),
]
