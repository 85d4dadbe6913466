"""Faults planted in the request's way; each is noticed by one of the tests named beside it.

The tests run over a real engine in which the faulty functions stand in place of the real ones.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

import pytest

from tests.engine import (
    mutants_money,
    test_accounts as accounts_,
    test_budgets as budgets,
    test_cancellation as cancellation,
    test_choosing as choosing,
    test_collapsing as collapsing,
    test_containment as containment,
    test_crashes as crashes,
    test_failover as failover,
    test_hedging as hedging,
    test_invalid_requests as invalid_requests,
    test_lifecycle as lifecycle,
    test_secrets as secrets_,
    test_verbs as verbs,
)
from tests.engine.mutants_caching import FAULTS as CACHING, SEAMS as CACHE_SEAMS
from tests.engine.streaming import test_hedged_streams as hedged_streams
from tests.support.mutants import Mutant
from tests.support.noticing import noticed
from understudy import BadRequest, ErrorClass, Message, Request

Test: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

SEAMS: Final[dict[str, tuple[str, ...]]] = {
    **CACHE_SEAMS,
    "asking": ("understudy.routing.loop:ask", "understudy.routing.loop:ask_now"),
    "attempt": ("understudy.routing.desk:attempt",),
    "calls": ("understudy.assembly:over_wire",),
    "desk": ("understudy.engine:Desk",),
    "endings": ("understudy.routing.loop:exhausted", "understudy.routing.loop:nobody"),
    "explain": ("understudy.assembly:Records",),
    "failure": ("understudy.routing.attempt:typed", "understudy.routing.attempt:no_reply"),
    "collapse": ("understudy.engine:Collapser",),
    "hedging": ("understudy.routing.loop:hedged",),
    "understudy_actors.dispatcher.actor": ("understudy.posts:Dispatcher",),
    "understudy.inspection": ("understudy.engine:check_all",),
    "loop": ("understudy.routing.desk:serve",),
    **mutants_money.SEAMS,
    "settlement": ("understudy.routing.attempt:settle", "understudy.streaming.attempt:settle"),
    "validate": ("understudy.routing.desk:validate",),
}
"""Where each module's functions are called from; one without a dot is of `understudy.routing`."""


def _cancelling(world: str) -> Test:
    async def test() -> None:
        await cancellation.test_cancelling_at_any_step_leaves_a_neutral_trace(world, False)

    return test


async def _refusing_lists() -> None:
    request = Request.chat("hi", capabilities=["vision"])
    await invalid_requests.test_an_invalid_request_is_refused_and_nothing_is_called(request)


async def _refusing_swapped_roles() -> None:
    request = Request.chat([Message(secrets_.PROMPT, "user")])
    await secrets_.test_a_refusal_does_not_repeat_what_was_mixed_up(request)


async def _capping_cost() -> None:
    await choosing.test_the_answers_length_is_capped_so_that_it_cannot_cost_more(0.0006)


async def _passing_refusals_on() -> None:
    await failover.test_what_nobody_else_could_mend_is_passed_on(ErrorClass.BAD_REQUEST, BadRequest)


async def _raising_secrets() -> None:
    await verbs.test_what_the_callers_function_raises_is_classified(
        ValueError("secret words"), "adapter", "failed"
    )


async def _racing_an_error() -> None:
    await hedging.test_an_error_or_a_refusal_of_the_second_copy_never_wins(ErrorClass.SERVER)


async def _hedging_within_the_cap() -> None:
    await hedging.test_no_second_copy_goes_out(Request.chat("hi", max_attempts=1), {})


async def _a_stream_of_an_endpoint_that_says_no() -> None:
    await hedged_streams.test_no_second_copy_goes_out(
        Request.chat("hi"), {"own": {"a": {"stream": {"hedge": False}}}}
    )


async def _stating_a_negative_delay() -> None:
    await containment.test_a_nonsensical_delay_is_not_passed_on(-5.0)


async def _answering_none() -> None:
    await containment.test_an_adapter_that_returns_no_reply_fails_its_attempt(None)


FAULTS: Final[list[tuple[str, str, str, str, Test]]] = [
    *CACHING,
    (
        "settlement",
        "permits are not taken out of the registry",
        "    del wiring.flights.permits[permit.attempt]\n",
        "",
        failover.test_a_healthy_first_choice_answers_alone,
    ),
    (
        "settlement",
        "failed attempts are recorded as somebody else's",
        "    flight.attempts += (\n        Attempt(\n            candidate.spec.provider,",
        "    flight.attempts += (\n        Attempt(\n            'somebody',",
        failover.test_exhausted_chains_carry_every_attempt_and_no_foreign_exception,
    ),
    (
        "settlement",
        "a broken adapter counts as well",
        "    verdict = verdict_of(candidate, kind, now, elapsed_s - idle_s, heard=heard)\n",
        "    verdict = verdict_of(candidate, kind, now, elapsed_s - idle_s, heard=heard)\n"
        "    verdict = _OK if kind is ErrorClass.ADAPTER else verdict\n",
        containment.test_a_function_that_raises_or_answers_nonsense_is_contained,
    ),
    (
        "settlement",
        "a cancelled caller blames the provider",
        "    return POLICY[kind].verdict\n",
        "    return Verdict.FAIL if kind is ErrorClass.CANCELLED else POLICY[kind].verdict\n",
        _cancelling("an async function"),
    ),
    (
        "settlement",
        "silence always blames the provider",
        "        return Verdict.FAIL if fails else Verdict.NEUTRAL\n",
        "        return Verdict.FAIL\n",
        failover.test_a_silence_that_the_callers_deadline_cut_short_does_not_blame_the_provider,
    ),
    (
        "attempt",
        "a cancelled attempt is not settled",
        "        settle(wiring, flight, candidate, permit, answer)\n",
        "        if answer is not None:\n"
        "            settle(wiring, flight, candidate, permit, answer)\n",
        _cancelling("an async function"),
    ),
    (
        "attempt",
        "attempts have no limit of time",
        "trio.CancelScope(deadline=permit.taken_at + timeout_s)",
        "trio.CancelScope()",
        failover.test_one_silent_provider_cannot_eat_the_whole_time,
    ),
    (
        "attempt",
        "scopes stay registered",
        "        del scopes[scope]\n",
        "",
        failover.test_a_healthy_first_choice_answers_alone,
    ),
    (
        "attempt",
        "the engine's end is taken for silence",
        "if not wiring.flights.over:",
        "if True:",
        lifecycle.test_what_the_body_raises_comes_out_as_itself_and_at_once,
    ),
    (
        "attempt",
        "silence while draining is taken for the end",
        "wiring.flights.over",
        "wiring.flights.closing",
        lifecycle.test_a_silence_while_draining_fails_over_as_ever,
    ),
    (
        "attempt",
        "anything is taken for a reply",
        "        elif not isinstance(answer, Reply):",
        "        elif False:",
        _answering_none,
    ),
    (
        "failure",
        "a foreign exception's text is told",
        "raised {type(error).__name__}. ",
        "raised {error!r}. ",
        _raising_secrets,
    ),
    (
        "failure",
        "a negative delay is passed on",
        " and stated >= 0.0",
        "",
        _stating_a_negative_delay,
    ),
    (
        "loop",
        "a retry begins after the deadline",
        "    if now >= flight.deadline:  # the",
        "    if False:  # the",
        failover.test_a_process_that_stood_still_past_the_deadline_asks_nobody_again,
    ),
    (
        "loop",
        "retries of the last target count against the next",
        "        flight.retries_here = 0\n        if wiring.trace.on and",
        "        if wiring.trace.on and",
        failover.test_who_steps_in_is_asked_once_more_too,
    ),
    (
        "loop",
        "the queue is not left",
        "    finally:\n        if flight.ticket:\n            wiring.dispatcher.tell(Left(flight))",
        "    finally:\n        pass",
        failover.test_who_leaves_while_waiting_for_a_slot_leaves_the_line,
    ),
    (
        "asking",
        "what crashed the dispatcher is sent again",
        "    except ActorSuspended:",
        "    except Exception:",
        crashes.test_what_crashed_the_dispatcher_is_not_asked_of_it_again,
    ),
    (
        "loop",
        "attempts begin after the end",
        "    if wiring.flights.over:\n        raise shutting_down()\n",
        "",
        lifecycle.test_what_does_not_end_in_time_is_cancelled_and_told_so,
    ),
    (
        "loop",
        "a retry that is refused ends the request",
        "        if retry and flight.fallback:",
        "        if False:",
        failover.test_a_retry_that_finds_the_breaker_open_goes_to_somebody_else,
    ),
    (
        "loop",
        "a retry that waited for a slot is forgotten",
        "    if again.ranked or again.can_wait or not retry:\n",
        "    if True:\n",
        failover.test_a_retry_that_finds_no_slot_waits_for_one,
    ),
    (
        "loop",
        "one attempt may take all the time",
        "share_s = left_s * SHARE_LEFT",
        "share_s = left_s",
        failover.test_one_silent_provider_cannot_eat_the_whole_time,
    ),
    (
        "loop",
        "permits are not registered",
        "            wiring.flights.permits[number] = answer\n",
        "            wiring.flights.permits[-number] = answer\n",
        failover.test_a_healthy_first_choice_answers_alone,
    ),
    (
        "loop",
        "whom it asked is forgotten",
        "                flight.tried += (candidate,)\n",
        "                pass\n",
        failover.test_a_silent_target_is_never_asked_again,
    ),
    (
        "desk",
        "only successes have an outcome",
        "            if status is not None:\n",
        "            if status is not None and result is not None:\n",
        _passing_refusals_on,
    ),
    (
        "desk",
        "configured content hides a price too high",
        "None if isinstance(error, OverMaxCost) else self.stand_in(flight)",
        "self.stand_in(flight)",
        choosing.test_configured_content_does_not_hide_that_the_price_was_too_high,
    ),
    (
        "desk",
        "requests under way are not counted down",
        "        flights.running -= 1\n",
        "",
        failover.test_a_healthy_first_choice_answers_alone,
    ),
    (
        "calls",
        "the cap forgets what the prompt costs",
        "(limit - spent) * 1e6",
        "limit * 1e6",
        _capping_cost,
    ),
    (
        "explain",
        "prompts are kept",
        "                asked.operation,\n",
        "                asked,\n",
        secrets_.test_a_finished_request_keeps_no_prompt_in_the_engine,
    ),
    (
        "endings",
        "the last error forgets the attempts",
        "        attempts=flight.attempts,\n",
        "",
        failover.test_exhausted_chains_carry_every_attempt_and_no_foreign_exception,
    ),
    (
        "validate",
        "lists pass as names",
        "if type(value) is not tuple or not all(",
        "if not all(",
        _refusing_lists,
    ),
    (
        "understudy.inspection",
        "disabled ones are checked",
        "            if provider.enabled:\n",
        "            if True:\n",
        verbs.test_a_disabled_provider_is_left_alone_by_health_checks,
    ),
    (
        "collapse",
        "the first to leave ends the call",
        "        if not shared.waiting:\n",
        "        if True:\n",
        collapsing.test_who_came_first_may_leave_and_the_others_are_answered,
    ),
    (
        "collapse",
        "a call that nobody waits for goes on",
        "            shared.scope.cancel()\n",
        "            pass\n",
        collapsing.test_the_last_one_to_leave_ends_the_call_and_nobody_joins_it_any_more,
    ),
    (
        "collapse",
        "a call that ends may still be joined",
        "            self._forget(shared)  # whoever comes now begins anew\n",
        "",
        collapsing.test_nobody_joins_a_call_that_is_being_called_off,
    ),
    (
        "collapse",
        "the first one's deadline is everybody's",
        "            extend(self._wiring, shared.flight, flight.deadline)\n",
        "            pass\n",
        collapsing.test_each_is_gone_at_its_own_deadline_and_the_call_lasts_as_long_as_the_latest,
    ),
    (
        "collapse",
        "a longer wait stretches every limit",
        "min(scope.deadline + by_s, latest)",
        "scope.deadline + by_s",
        collapsing.test_a_longer_wait_does_not_stretch_a_providers_own_timeout,
    ),
    (
        "collapse",
        "everybody pays",
        "return replace(result, cost_usd=0.0, attempts=())",
        "return result",
        collapsing.test_identical_requests_under_way_make_one_call_and_it_is_paid_once,
    ),
    (
        "collapse",
        "nobody notes when those who waited were answered",
        "            flight.ended_at = self._wiring.clock.now()\n",
        "",
        collapsing.test_identical_requests_under_way_make_one_call_and_it_is_paid_once,
    ),
    (
        "collapse",
        "all get the same error",
        "error = copied(shared.error)",
        "error = shared.error",
        collapsing.test_errors_are_shared_and_not_tried_again_for_each,
    ),
    (
        "understudy_actors.dispatcher.actor",
        "a copy goes out while others wait",
        "if not (self._queue.idle and self._hedges.spare",
        "if not (self._hedges.spare",
        hedging.test_while_anybody_waits_for_a_slot_no_copy_goes_out,
    ),
    (
        "hedging",
        "retries of the first copy count against the second",
        "flight.hedged, flight.retries_here = True, 0",
        "flight.hedged = True",
        hedging.test_what_was_retried_at_the_first_copys_target_was_not_at_the_seconds,
    ),
    (
        "hedging",
        "an error wins the race",
        "            self._failed.append((seat, answer))\n",
        "            self._failed.append((seat, answer))\n"
        "            self.nursery.cancel_scope.cancel()\n",
        _racing_an_error,
    ),
    (
        "hedging",
        "the loser runs on",
        "            self.nursery.cancel_scope.cancel()\n",
        "            pass\n",
        hedging.test_the_first_copy_may_still_win,
    ),
    (
        "hedging",
        "the loser is booked as one whose caller left",
        "            self.flight.answered = True\n",
        "",
        hedging.test_the_second_copy_wins_and_the_first_is_called_off_and_booked,
    ),
    (
        "hedging",
        "the loser stands last",
        "            flight.attempts = (*attempts[:-2], attempts[-1], attempts[-2])\n",
        "            pass\n",
        hedging.test_the_first_copy_may_still_win,
    ),
    (
        "hedging",
        "a second copy is sent after the first has failed",
        "                timer.cancel()\n",
        "                await trio.sleep(race.flight.deadline)\n",
        hedging.test_no_second_copy_follows_a_failure,
    ),
    (
        "hedging",
        "copies that ended count as in flight",
        "            self.wiring.dispatcher.tell(HedgeEnded())\n",
        "            pass\n",
        hedging.test_copies_stay_within_both_budgets_while_nobody_answers,
    ),
    (
        "hedging",
        "copies cost no token",
        "        wiring.dispatcher.tell(HedgeSent(",
        "        wiring.dispatcher.tell(HedgeEnded()) or (HedgeSent(",
        hedging.test_copies_stay_within_both_budgets_while_nobody_answers,
    ),
    (
        "hedging",
        "copies beyond the cap of attempts",
        "len(flight.attempts) + 2 > flight.max_attempts",
        "False",
        _hedging_within_the_cap,
    ),
    (
        "hedging",
        "the context of the timers",
        "partial(copy_context().run, race.launch, take, after_s)",
        "partial(race.launch, take, after_s)",
        hedging.test_the_second_copy_runs_in_the_context_of_its_request,
    ),
    (
        "hedging",
        "who leaves after a race counts as its loser",
        "        flight.answered = False  #",
        "        pass  #",
        hedged_streams.test_who_leaves_after_the_race_has_left_by_himself,
    ),
    (
        "hedging",
        "a winner still under way changes places with an earlier failure",
        "        if settled and attempts",
        "        if attempts",
        hedged_streams.test_earlier_failures_stand_before_the_race,
    ),
    (
        "hedging",
        "the loser is the one that was asked last",
        "        flight.tried = (*others, seat.candidate)",
        "        flight.tried = (seat.candidate, *others)",
        hedged_streams.test_the_first_copy_may_still_begin_first,
    ),
    (
        "hedging",
        "streams wait as long as whole answers",
        "    if flight.streams:\n",
        "    if False:\n",
        hedged_streams.test_a_stream_that_does_not_begin_is_answered_by_another_and_nobody_is_blamed,
    ),
    (
        "hedging",
        "an endpoint whose streams are not to be hedged is",
        "    if not rule.enabled and flight.hedge is None:\n",
        "    if False:\n",
        _a_stream_of_an_endpoint_that_says_no,
    ),
    (
        "desk",
        "streams are hedged as whole answers are",
        "self._config.hedges(request.operation, streams=True)",
        "self._config.hedges(request.operation)",
        hedged_streams.test_a_stream_that_does_not_begin_is_answered_by_another_and_nobody_is_blamed,
    ),
    (
        "loop",
        "a refused permit keeps the money",
        "        purse.settle(number, 0)  # it is not sent\n",
        "        pass\n",
        budgets.test_a_provider_that_refuses_gives_the_money_back,
    ),
    (
        "loop",
        "what was never sent is charged",
        "        purse.settle(number, 0)  # it is not sent\n",
        "        purse.settle(number, None)\n",
        budgets.test_a_provider_that_refuses_gives_the_money_back,
    ),
    (
        "settlement",
        "failures are charged",
        "wiring.purse.settle(permit.attempt, known)",
        "wiring.purse.settle(permit.attempt, None)",
        budgets.test_a_failure_that_costs_nothing_is_given_back,
    ),
    (
        "settlement",
        "called off is free",
        "known = None if partial and",
        "known = 0 if partial and",
        budgets.test_a_flood_spends_what_the_budget_has_and_not_a_micro_dollar_more,
    ),
    (
        "purse",
        "without a ledger all is free",
        'return Refusal(error.retry_at, f"{NO_LEDGER}{error.why}")',
        "return None",
        budgets.test_the_books_outlive_the_ledgers_actor,
    ),
    (
        "owed",
        "what a dead ledger is owed is forgotten",
        "                waiting.appendleft(first)\n",
        "                pass\n",
        budgets.test_what_ends_while_the_ledger_has_given_up_is_settled_when_it_is_back,
    ),
    (
        "settlement",
        "failed attempts are in no accounts",
        "    if wiring.book is not None:",
        "    if wiring.book is not None and isinstance(answer, Reply):",
        accounts_.test_a_failed_request_is_counted_by_its_attempts,
    ),
    (
        "settlement",
        "a copy that was called off is in no accounts",
        "    if wiring.book is not None:",
        "    if wiring.book is not None and not flight.answered:",
        accounts_.test_a_copy_that_was_called_off_is_counted,
    ),
    (
        "settlement",
        "the tokens of broken answers are lost",
        "    return None if pace is None else pace.usage",
        "    return None",
        accounts_.test_streams_whole_broken_and_left_are_counted,
    ),
    (
        "settlement",
        "slow readers make providers slow",
        "idle_s, request = 0.0 if pace is None else pace.idle_s, flight.request",
        "idle_s, request = 0.0, flight.request",
        accounts_.test_a_slow_reader_makes_no_provider_slow,
    ),
    (
        "settlement",
        "tenants are not told apart",
        "user, tenant = request.user, request.tenant",
        "user, tenant = request.user, None",
        accounts_.test_users_are_told_apart_by_tenant_and_the_dearest_comes_first,
    ),
    (
        "settlement",
        "the accounts are in another time than the windows of budgets",
        "        wall = wiring.clock.wall()\n",
        "        wall = wiring.clock.wall() + 30.0\n",
        accounts_.test_an_attempt_is_in_the_local_day_in_which_it_began_as_its_charge_is,
    ),
    (
        "validate",
        "a wrong role is repeated",
        'raise _invalid(f"{field}.role", "something else",',
        'raise _invalid(f"{field}.role", message.role,',
        _refusing_swapped_roles,
    ),
    *mutants_money.FAULTS,
]


@pytest.mark.parametrize(
    ("module", "fault", "old", "new", "test"), FAULTS, ids=[each[1] for each in FAULTS]
)
def test_a_planted_fault_is_noticed(
    module: str, fault: str, old: str, new: str, test: Test, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not noticed(test), "the test fails without any fault"
    full = module if "." in module else f"understudy.routing.{module}"
    faulty = Mutant(fault.replace("'", ""), full, old, new).plant()
    for seam in SEAMS[module]:
        caller, name = seam.split(":")
        monkeypatch.setattr(importlib.import_module(caller), name, getattr(faulty, name))
    assert noticed(test), "nothing was noticed"
