"""Faults planted in what the cache does for requests, each beside the test that notices it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

from tests.engine import test_budget_modes as modes, test_caching as caching
from tests.engine.streaming import test_cached_streams as streams
from understudy import ChatOutput

Test: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

_CACHE: Final = "understudy.cache.cache"
_WORTH: Final = "understudy.cache.worth"
_CODEC: Final = "understudy.cache.codec"
_KEY: Final = "understudy_actors.dispatcher.collapse"
_RULES: Final = "understudy.caching"
_ENGINE: Final = "understudy.engine"
_STREAM: Final = "understudy.streaming.stream"

SEAMS: Final[dict[str, tuple[str, ...]]] = {
    _CACHE: ("understudy.caching:Cache",),
    _WORTH: ("understudy.cache.cache:worth_keeping",),
    _CODEC: ("understudy.cache.cache:entry_of", "understudy.cache.cache:encoded"),
    _KEY: ("understudy.cache.cache:key_of", "understudy.engine:key_of"),
    _RULES: ("understudy.assembly:cache_of",),
    _ENGINE: ("understudy.lifecycle:Engine",),
    _STREAM: ("understudy.engine:ChatStream",),
}


def _unfit(answer: ChatOutput) -> Test:
    async def test() -> None:
        await caching.test_what_is_no_whole_answer_is_not_kept(answer, 2, 2)

    return test


async def _unfit_when_shortened() -> None:
    await modes.test_what_the_budgets_cut_is_nothing_to_give_again()


async def _alone() -> None:
    await caching.test_who_wants_a_call_of_his_own_has_one({"collapse": False})


async def _together() -> None:
    await caching.test_equal_requests_under_way_make_one_call(1.5)


FAULTS: Final[list[tuple[str, str, str, str, Test]]] = [
    (
        _KEY,
        "tenants share",
        "cache=None\n    )\n",
        "cache=None, tenant=None\n    )\n",
        caching.test_no_tenant_is_given_the_answer_of_another,
    ),
    (
        _KEY,
        "users without a tenant share",
        "if alike.tenant is not None:",
        "if True:",
        caching.test_no_tenant_is_given_the_answer_of_another,
    ),
    (
        _CACHE,
        "an answer is one user's",
        "by_tenant=True, ",
        "",
        caching.test_no_tenant_is_given_the_answer_of_another,
    ),
    (
        _ENGINE,
        "a tenant's users share a bill",
        "key = key_of(request) if",
        "key = key_of(request, by_tenant=True) if",
        caching.test_users_of_one_tenant_share_answers_but_no_call_under_way,
    ),
    (
        _WORTH,
        "answers of stand-ins are kept",
        "if result.degraded or result.cached:",
        "if False:",
        streams.test_what_a_stand_in_says_is_not_kept,
    ),
    (
        "desk",
        "what a stand-in answered is kept",
        "        if result.degraded:\n            return self._kept(flight) or result\n",
        "",
        caching.test_an_old_answer_is_better_than_that_of_a_stand_in,
    ),
    (
        _WORTH,
        "cut answers are kept",
        "return isinstance(asked, ChatInput) and asked.max_tokens is not None",
        "return True",
        _unfit(ChatOutput("cut", "length")),
    ),
    (
        _WORTH,
        "answers that the budgets cut are kept",
        "if result.shortened_to is not None:",
        "if False:",
        _unfit_when_shortened,
    ),
    (
        _WORTH,
        "filtered answers are kept",
        "return output.finish_reason in _WHOLE",
        "return True",
        _unfit(ChatOutput("filtered", "content_filter")),
    ),
    (
        _WORTH,
        "empty answers are kept",
        "if not output.text and not output.tool_calls:",
        "if False:",
        _unfit(ChatOutput("")),
    ),
    (
        "desk",
        "errors are kept",
        "            result = None if isinstance(error, OverMaxCost) else self.stand_in(flight)\n",
        "            result = None if isinstance(error, OverMaxCost) else self.stand_in(flight)\n"
        "            self.keep(flight, self.result(flight, Reply(ChatOutput(str(error))),\n"
        "                flight.decisions[-1].route.candidates[0]))\n",
        caching.test_errors_are_never_kept,
    ),
    (
        _CACHE,
        "a refresh answers from the cache",
        "if key is None or asked == Caching.REFRESH:",
        "if key is None:",
        caching.test_a_request_may_bypass_refresh_or_insist,
    ),
    (
        _CACHE,
        "a refresh is not kept",
        "        if asked == Caching.BYPASS:\n",
        "        if asked == Caching.BYPASS or asked == Caching.REFRESH:\n",
        caching.test_a_request_may_bypass_refresh_or_insist,
    ),
    (
        _CACHE,
        "whoever bypasses it leaves an answer",
        "        if asked == Caching.BYPASS:\n            return None\n",
        "",
        caching.test_a_request_may_bypass_refresh_or_insist,
    ),
    (
        "desk",
        "only is asked of providers",
        "if result is not None or asked != Caching.ONLY:",
        "if True:",
        caching.test_a_request_may_bypass_refresh_or_insist,
    ),
    (
        "desk",
        "whoever finds nothing has no outcome",
        "            self.end(flight, type(error).__name__, None, None)\n",
        "            self._flights.running -= 1\n",
        caching.test_without_a_cache_nothing_is_kept_and_there_is_nothing_to_look_into,
    ),
    (
        _CACHE,
        "an old answer is told as fresh",
        "            degraded=stale,\n",
        "            degraded=False,\n",
        caching.test_an_old_answer_stands_in_when_nobody_answers_and_says_so,
    ),
    (
        _CACHE,
        "an answer is born again when it is asked for",
        "        flight.ended_at = now\n",
        "        flight.ended_at = now\n"
        "        self._shelf.put(key, entry_of(raw, 0, now, 10.0, 0.0))\n",
        caching.test_an_answer_is_fresh_until_its_time_is_over,
    ),
    (
        "desk",
        "configured content comes first",
        "self._kept(flight) or self._fallback_content(flight)",
        "self._fallback_content(flight) or self._kept(flight)",
        caching.test_an_old_answer_stands_in_when_nobody_answers_and_says_so,
    ),
    (
        _CACHE,
        "answers are paid again",
        "            cost_usd=0.0,\n",
        "            cost_usd=0.01,\n",
        caching.test_the_same_question_is_answered_from_the_cache_and_costs_nothing,
    ),
    (
        _RULES,
        "an operation's own time is ignored",
        "common.ttl_s if each.ttl_s is None else each.ttl_s",
        "common.ttl_s",
        caching.test_operations_are_cached_as_configured,
    ),
    (
        _RULES,
        "an operation that says no is cached",
        "unasked=each.enabled,",
        "unasked=True,",
        caching.test_operations_are_cached_as_configured,
    ),
    (
        _ENGINE,
        "equal requests under way ask twice",
        "for_all = flight.key is not None and request.collapse is None",
        "for_all = False",
        _together,
    ),
    (
        _ENGINE,
        "who wants a call of his own shares one",
        " and request.collapse is None\n",
        "\n",
        _alone,
    ),
    (
        "collapse",
        "a shared answer is not kept",
        "        flight.key = first.key\n",
        "",
        _together,
    ),
    (
        "collapse",
        "whoever shares a call that is late gets nothing",
        "if not shared.done.is_set() and shared.flight.deadline <=",
        "if False and shared.flight.deadline <=",
        caching.test_a_shared_call_that_is_late_tells_whom_it_asked,
    ),
    (
        "collapse",
        "whoever leaves a shared call in time gets nothing",
        "(stand_in := self._desk.stand_in(flight)) is not None",
        "(stand_in := None) is not None",
        caching.test_who_has_no_more_time_for_a_shared_call_is_given_the_old_answer,
    ),
    (
        _STREAM,
        "rescued answers are kept",
        "if attempt.plan.how is None and not",
        "if not",
        lambda: streams.test_a_rescued_answer_is_the_work_of_two_and_not_kept([]),
    ),
    (
        _STREAM,
        "answers with holes are kept",
        "attempt.plan.how is None and not self.skipped:",
        "attempt.plan.how is None:",
        lambda: streams.test_it_is_kept_only_if_it_came_whole("with an event that cannot be read"),
    ),
    (
        _STREAM,
        "what is played is over before it begins",
        "        self._ready.extend(pieces(kept))\n",
        "        self._ready.extend(pieces(kept))\n        self._finish_replay(kept)\n",
        streams.test_it_is_a_stream_until_its_last_piece,
    ),
    (
        _STREAM,
        "a rescue is played from the cache",
        "        if broken is None and (kept",
        "        if (kept",
        streams.test_a_rescue_asks_anew,
    ),
]
