"""Faults planted in the dispatcher and in the provider actor, and who must notice them.

Each is a small lapse that the code invites: a promise not counted, a slot not given back, a check
left out. The first version of a test looks convincing and lets some of these pass.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeAlias

import trio
import trio.testing
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.actors.dispatcher.test_dispatcher import check_line, check_switching
from tests.actors.dispatcher.test_next_step import check_flights
from tests.actors.provider_actor.test_any_interleaving import provider_machine
from tests.actors.provider_actor.test_model_rates import check_learning, check_models
from tests.actors.provider_actor.test_scopes import (
    check_account,
    check_checks,
    check_domain,
    check_rates,
    check_release,
    check_reports,
    check_restart,
    check_timers,
    check_twice,
)
from tests.actors.provider_actor.test_shares import SHARES
from tests.actors.provider_actor.test_time import (
    check_a_clock_set_back,
    check_free_calls,
    check_meter,
    check_months,
    check_time,
    check_zone,
)
from tests.properties.test_admission import ADMISSION, check_identity
from tests.properties.test_bulkhead import BULKHEADS
from tests.properties.test_hedge import CHECKS as HEDGE_CHECKS, budget_machine
from tests.properties.test_queue import queue_machine
from tests.properties.test_queue_order import CHECKS as ORDER_CHECKS, check_coming_back
from tests.properties.test_retry import CHECKS as RETRY_CHECKS
from tests.properties.test_select import (
    check_choosing,
    check_containment,
    check_fallbacks,
    check_ranking,
)
from tests.properties.test_smooth_weighted import check_shares, smooth_machine
from tests.properties.test_strategies import (
    check_keys,
    check_random,
    check_score,
    check_swapped,
    check_two_choices,
)
from tests.support.mutants import Mutant

Check: TypeAlias = Callable[[ModuleType], Any]

BOUNDED: Final = settings(
    max_examples=60,
    stateful_step_count=30,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],  # finding is enough: nobody reads a planted fault's smallest example
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def running(
    machine: Callable[[ModuleType], type[RuleBasedStateMachine]], examples: int = 60
) -> Check:
    """A check that runs a state machine."""

    def check(module: ModuleType) -> None:
        bounds = settings(BOUNDED, max_examples=examples)
        run_state_machine_as_test(machine(module), settings=bounds)

    return check


def on_trio(check: Check) -> Check:
    """A check that needs tasks."""

    def run(module: ModuleType) -> None:
        clock = trio.testing.MockClock(autojump_threshold=0)
        trio.run(partial(check, module), clock=clock)

    return run


PROVIDER: Final = tuple(
    f"understudy_actors.provider.{each}"
    for each in ("free", "endpoint", "telling", "account", "judging", "by_hand", "actor")
)
"""Modules in the order of their imports: a fault in one is seen by those behind it."""

CHECKS: Final[Mapping[str, tuple[Check, ...]]] = {
    "dispatcher.strategies.plain": (check_keys,),
    "dispatcher.strategies.adaptive": (check_keys, check_swapped, check_two_choices),
    "dispatcher.strategies.score": (check_score,),
    "dispatcher.strategies.shares": (check_shares, running(smooth_machine), check_random),
    "dispatcher.retry": RETRY_CHECKS,
    "dispatcher.queue": (running(queue_machine, 120), check_coming_back),
    "dispatcher.order": ORDER_CHECKS,
    "dispatcher.fairness": ORDER_CHECKS,
    "dispatcher.admission": ADMISSION,
    "dispatcher.collapse": (check_identity,),
    "dispatcher.hedge": (*HEDGE_CHECKS, running(budget_machine)),
    "dispatcher.select": (check_ranking, check_fallbacks),
    "dispatcher.ranking": (check_containment, check_choosing, check_ranking, check_fallbacks),
    "dispatcher.actor": (on_trio(check_line), check_switching, check_flights),
    "domain.calendar": (check_months,),
    "domain.bulkhead": BULKHEADS,
    "provider.free": (check_a_clock_set_back, check_meter, check_zone),
}
"""Who notices faults in which module, given that module."""

OF_PROVIDER: Final[tuple[Check, ...]] = (
    check_time,
    check_timers,
    check_restart,
    check_free_calls,
    check_reports,
    check_twice,
    check_checks,
    check_domain,
    check_account,
    check_learning,
    check_models,
    check_rates,
    check_release,
    *SHARES,
    running(provider_machine),
)
"""Who notices faults anywhere in the provider actor, given the actor that is built upon them."""


def checks_of(module: str) -> tuple[Check, ...]:
    """Who must notice a fault in `module`."""
    return CHECKS.get(module.removeprefix("understudy_actors."), OF_PROVIDER)


SEEN_FROM: Final[Mapping[str, str]] = {
    "dispatcher.select": "dispatcher.ranking",
    "dispatcher.fairness": "dispatcher.order",
}
"""Modules whose checks look at another one, which is built upon them."""


def subject(mutant: Mutant) -> ModuleType:
    """The module that a mutant's checks look at, with the fault in or under it."""
    name = mutant.module.removeprefix("understudy_actors.")
    if name in SEEN_FROM:
        return built_upon(mutant, (mutant.module, f"understudy_actors.{SEEN_FROM[name]}"))
    return mutant.plant() if name in CHECKS else built_upon(mutant, PROVIDER)


def built_upon(mutant: Mutant, order: tuple[str, ...]) -> ModuleType:
    """A copy of the last module of `order`, built upon the faulty one instead of the real."""
    real = {name: importlib.import_module(name) for name in order}
    at = order.index(mutant.module)
    try:
        sys.modules[mutant.module] = last = mutant.plant()
        _attach(mutant.module, last)
        for name in order[at + 1 :]:
            sys.modules[name] = last = _copy_of(real[name])
            _attach(name, last)
    finally:
        sys.modules.update(real)
        for name, module in real.items():
            _attach(name, module)
    return last


def _attach(name: str, module: ModuleType) -> None:
    """Make it the one that `from package import module` finds."""
    package, _, own = name.rpartition(".")
    setattr(sys.modules[package], own, module)


def _copy_of(module: ModuleType) -> ModuleType:
    assert module.__file__ is not None
    copy = ModuleType(module.__name__)
    copy.__file__ = module.__file__
    before = sys.modules[module.__name__]
    sys.modules[module.__name__] = copy
    try:
        source = Path(module.__file__).read_text()
        exec(compile(source, module.__file__, "exec"), copy.__dict__)
    finally:
        sys.modules[module.__name__] = before
    return copy


def _in(module: str, *faults: tuple[str, str, str]) -> list[Mutant]:
    return [Mutant(name, f"understudy_actors.{module}", old, new) for name, old, new in faults]


MUTANTS: Final = [
    *_in(
        "dispatcher.strategies.plain",
        ("unknown prices come first", "(math.inf if price is None else price, l", "(price or 0, l"),
        ("load without weight", "c.in_flight / (c.spec.weight * c.ramp)", "c.in_flight"),
        ("fast failures look fast", "= health.seconds_per_success(", "= health.latency_s("),
        ("worst quality first", "(-c.spec.quality,", "(c.spec.quality,"),
    ),
    *_in(
        "dispatcher.strategies.adaptive",
        ("ties by position", "(each_cost[place], each.picked,", "(each_cost[place], 0,"),
        ("the worse of two", "best = first if (", "best = second if ("),
        ("the first is told twice", "0 if place == self._best else place", "place"),
        ("one looks at itself", "second += second >= first", "second = first"),
    ),
    *_in(
        "dispatcher.strategies.score",
        ("busy ones attract", "expected_s * load /", "expected_s / load /"),
        ("heavy ones repel", "/ (each.spec.weight * each.ramp)", "* each.spec.weight / each.ramp"),
    ),
    *_in(
        "dispatcher.strategies.shares",
        ("the picked one pays nothing", "credit[order[0].index] -= total", "pass"),
        ("heavy debts stay", "if total != self._total:", "if False:"),
        ("a new set forgets", "credit[index] *= total / self._total", "credit[index] = 0.0"),
        ("equal chances", "/ (c.spec.weight * c.ramp), c.index", ", c.index"),
    ),
    *_in(
        "dispatcher.retry",
        ("retry-after is no floor", "        failure.retry_after_s or 0.0,\n", ""),
        ("shut gates are no floor", "        failure.ready_at - now,\n", ""),
        ("deadlines need no answer", "now + wait_s + failure.min_useful_s", "now + wait_s"),
        ("an empty budget lends", "return self.tokens >= 1.0", "return self.tokens >= 0.0"),
        ("the budget has no cap", "min(self.cap, self.tokens + (now", "max(0, self.tokens + (now"),
        ("the guard is not clamped", "max(0.0, tokens - self.fail)", "tokens - self.fail"),
        ("throttles cost guard tokens", "if verdict is Verdict.FAIL:", "if verdict is not None:"),
        (
            "one retry too many",
            "if retries_here >= rule.attempts:",
            "if retries_here > rule.attempts:",
        ),
        ("endless preference", "if retries_here >= 1 or not may", "if not may"),
        ("impatience", "hint is not None and hint <= rule.patience_s", "hint is not None"),
        (
            "no cap on waits",
            "return min(self.cap_s, self.base_s * steps)",
            "return self.base_s * steps",
        ),
    ),
    *_in(
        "dispatcher.queue",
        (
            "two are woken for one slot",
            "promise = self._promised[waiter.ticket] = Promise(waiter, candidate)",
            "promise = Promise(waiter, candidate)",
        ),
        ("a promise blocks its own holder", "and holder != ticket", ""),
        (
            "a promise outlives its holder",
            "self._promised.pop(ticket, None) is not None or self",
            "self",
        ),
        ("those who left keep their slot", "if not waiter.wake():", "if waiter.wake() and False:"),
        (
            "newcomers jump the queue",
            "return bool(self._order.wanted(self._barred((candidate,))) >> candidate.seat & 1)",
            "return False",
        ),
        ("shut candidates wake", "each.refusal(now) is None and self", "self"),
        ("one slot wakes all", "                del free[candidate.seat]", "                pass"),
        (
            "a new place for who comes back",
            "if not ticket:\n            self",
            "if True:\n            self",
        ),
        ("age is forgotten on coming back", "now if since is None else since", "now"),
        ("tokens count twice", "tokens if before is None else 0.0", "tokens"),
        ("deadlines do not matter", "came_at, deadline, name,", "came_at, math.inf, name,"),
        ("a full share keeps others out", "wanted(self._barred((candidate,)))", "wanted()"),
        (
            "who is barred is woken",
            "next(mask, now, self._barred(free.values()))",
            "next(mask, now)",
        ),
        ("a promise counts in no share", " + sum(each in own for own in promised)", ""),
        (
            "one share is enough",
            "            return False\n    return True\n",
            "            return False\n        return True\n    return True\n",
        ),
        (
            "who is barred is ahead",
            "priority, self._barred(wanted), within)",
            "priority, {}, within)",
        ),
    ),
    *_in(
        "dispatcher.order",
        ("bands do not rise", "while lifts and lifts[0][0] <= now:", "while False:"),
        ("bands rise without end", "if waiter.band < PRIORITY_MAX:", "if True:"),
        ("low bands first", "sorted(self._bands, reverse=True)", "sorted(self._bands)"),
        ("always the newest first", "now - self.above_since >= rule.window_s", "True"),
        (
            "never the newest first",
            "return self.above_since is not None and now",
            "return False and now",
        ),
        ("delay stands for ever", "            self.above_since = None\n", "            pass\n"),
        ("each sample starts anew", "elif self.above_since is None:", "else:"),
        (
            "nobody is charged",
            "                        band.charge(line, waiter.tokens)",
            "                        pass",
        ),
        (
            "too late all the same",
            "if able and now < each.deadline:",
            "if able:",
        ),
        ("whoever is first, free or not", "if able and now", "if now"),
        ("lower bands are ahead", "if where >= band\n            and (", "if ("),
        (
            "those for others are ahead",
            "else other & mask & ~barred.get(own, 0)",
            "else ~barred.get(own, 0)",
        ),
        ("crowds only grow", "        self._crowds[crowd] -= 1\n", ""),
        (
            "one lift only",
            "            self._plan_lift(waiter)\n\n    def _plan",
            "\n    def _plan",
        ),
    ),
    *_in(
        "dispatcher.fairness",
        ("weights do not matter", "tokens / self.weights.get(tenant, 1.0)", "tokens"),
        (
            "idleness earns credit",
            "max(self.reached, self._ahead.pop(tenant, 0.0))",
            "self._ahead.pop(tenant, 0.0)",
        ),
        ("nobody is forgotten", "            self._forget()\n", "            pass\n"),
        ("who got the most is forgotten", "ahead[-AHEAD_MAX // 2 :]", "ahead[: AHEAD_MAX // 2]"),
        ("leaving wipes the slate", "            self._ahead[tenant] = tag", "            pass"),
        (
            "newcomers wait for the others' past",
            "return max(self.reached, self",
            "return max(2 * self.reached, self",
        ),
    ),
    *_in(
        "dispatcher.admission",
        ("shut ones free slots", "if now >= each.shut_until:", "if True:"),
        ("the fastest alone", "pace += slots / latency_s", "pace = slots / latency_s"),
        ("ignorance is infinite pace", "            return None\n", "            continue\n"),
        ("come again in an hour", "min(HINT_MAX_S, 1.0 / pace)", "1.0 / pace"),
        ("come again before", "min(HINT_MAX_S, expected_s - left_s)", "left_s - expected_s"),
        (
            "the patient are turned away",
            "if expected_s > left_s else",
            "if expected_s < left_s else",
        ),
        ("an endless wait is allowed", "if expected_s > left_s else", "if False else"),
        ("an answer takes no time", " - useful_s(wanted, tokens, now)", ""),
        ("a share frees all slots", "else within.most(each.limit)", "else each.limit"),
        ("its own do not count", "for each in flight.compartments:", "for each in ():"),
        ("its own count less", "if own_s > expected_s:", "if own_s < expected_s:"),
        ("no end of places", "if queue.full:", "if False:"),
        ("half of the slowest", "return min(usual", "return max(usual"),
    ),
    *_in(
        "dispatcher.collapse",
        ("ids tell requests apart", "request, id=None, ", "request, "),
        ("hurry tells requests apart", "timeout_s=None, ", ""),
        (
            "any chat is steady",
            "isinstance(body, ChatInput) and body.temperature == 0",
            "isinstance(body, ChatInput)",
        ),
        ("asked or not", "return request.collapse", "return by_default"),
        ("what has no text is all alike", "return None  # arg", 'return b""  # arg'),
    ),
    *_in(
        "dispatcher.hedge",
        ("one sample is enough", "if seen.oks >= rule.samples else None", ""),
        (
            "no ceiling",
            "min(rule.ceiling_s, max(rule.floor_s, usual_s * rule.factor))",
            "max(rule.floor_s, usual_s * rule.factor)",
        ),
        ("no floor", "max(rule.floor_s, usual_s * rule.factor)", "usual_s * rule.factor"),
        ("the same account twice", "return a.provider != b.provider and not", "return not"),
        ("the same domain twice", "and not same_domain", ""),
        ("stand-ins get copies", "        and not each.spec.degraded\n", ""),
        (
            "copies that come too late",
            "now + each.health.latency_s(now, output_tokens, 0.0) <= deadline",
            "True",
        ),
        ("only one is paid for", "        left_usd -= expected", "        _ = expected"),
        (
            "unknown prices are none",
            "price is not None and price <= left_usd",
            "price is None or price <= left_usd",
        ),
        ("free ones are dear", "if left_usd is None or each.free_left:", "if left_usd is None:"),
        (
            "tokens without end",
            "min(self.rule.burst, self.tokens + self.rule.share)",
            "self.tokens + self.rule.share",
        ),
        ("copies cost nothing", "max(0.0, self.tokens - 1.0)", "self.tokens"),
        ("any number at once", " and self.in_flight < self.rule.concurrent", ""),
        (
            "one more at once",
            "self.in_flight < self.rule.concurrent",
            "self.in_flight <= self.rule.concurrent",
        ),
        ("copies of an earlier life count", "max(0, self.in_flight - 1)", "self.in_flight - 1"),
    ),
    *_in(
        "dispatcher.select",
        ("stand-ins by priority", "return spec.degraded, levels", "return False, levels"),
        ("fallbacks by priority", "levels.get(candidate.index, 0), 0 if", "0, 0 if"),
        ("any fallback is the first", "return place\n", "return 1\n"),
        ("the last fallback comes first", "return place\n", "return len(fallbacks) - place + 1\n"),
        (
            "a fallback is the model itself",
            "levels[each.index], reason = level, None",
            "reason = None",
        ),
        (
            "fallbacks of a chain are none",
            "levels.get(c.index, 0), place[c.name]",
            "place[c.name]",
        ),
        ("disabled ones serve", "if not spec.enabled:", "if False:"),
        ("too big by one", "if input_tokens > bound:", "if input_tokens > bound + 60:"),
    ),
    *_in(
        "dispatcher.ranking",
        ("an operation keeps the strategy it had", "        self._usual.clear()\n", ""),
        (
            "what is usual for one is usual for all",
            "name = self._usual[operation] =",
            "name = self._usual[operation] = self._usual['chat'] =",
        ),
        ("nobody has fallbacks", "self._settings.fallbacks.get(model, ())", "()"),
        ("the guard is forgotten", "if tried and guard is not None and", "if False and"),
        ("asked again", "if each in tried:", "if False:"),
        ("the last to open is waited for", "if until < (math.inf", "if until > (0.0"),
        ("nobody knows of the pick", "decision.ranked[0].picked = self._picks", "pass"),
        (
            "suited or not",
            "unsuited is not None and candidate.index in unsuited",
            "False",
        ),
        (
            "one law broken is none",
            "{id(c) for c in ranked} == {id(c) for c in candidates}",
            "True",
        ),
        ("any number will do", "len(ranked) == len(candidates) and", ""),
        (
            "strategies get the list itself",
            "strategy.rank(tuple(candidates), view)",
            "strategy.rank(candidates, view)",
        ),
        ("windows do not matter", "window is not None and window <= outgrew", "False"),
    ),
    *_in(
        "dispatcher.actor",
        ("queue or not", "if not self._queue.idle:", "if False:"),
        (
            "nobody is woken on leaving",
            "        self._wake(now)\n\n    def _gate_changed",
            "\n    def _gate_changed",
        ),
        (
            "adopted strategies die with it",
            "Switched(dict(self._ranking.chosen), dict(self._adopted))",
            "Switched(dict(self._ranking.chosen), {})",
        ),
        (
            "switches die with it",
            "Switched(dict(self._ranking.chosen), dict(self._adopted))",
            "Switched({}, dict(self._adopted))",
        ),
        ("attempts without end", "if len(flight.attempts) >= flight.max_attempts:", "if False:"),
        (
            "retries past the deadline",
            "if not fits(wait_s, failure, now, flight.deadline):",
            "if False:",
        ),
        ("retries without budget", "if not self._budget.withdraw(now):", "if False:"),
        ("fallback against its will", "if elsewhere and flight.fallback:", "if elsewhere:"),
        ("refusals go shopping", "elsewhere = policy.elsewhere or (", "elsewhere = True or ("),
    ),
    *_in(
        "domain.bulkhead",
        (
            "shares are rounded up",
            "int(self.share * limit + _ROUNDING)",
            "round(self.share * limit)",
        ),
        ("a share of nothing", "max(1, int(self", "max(0, int(self"),
        ("a share of more than all", "min(limit, max(1", "max(limit, max(1"),
        ("a hair's breadth less", "_ROUNDING: Final = 1e-9", "_ROUNDING: Final = 0"),
        ("nobody is everybody else", "self.tenants.get(EACH)", "None"),
        ("a tenant is each other one", "self.tenants.get(tenant, self", "(self"),
        ("that priority alone", "request.priority <= priority", "request.priority == priority"),
        ("higher ones too", "request.priority <= priority", "request.priority >= priority"),
        ("a user is no tenant", 'request.tenant or request.user or ""', 'request.tenant or ""'),
        ("one more", ">= each.most(limit) for", "> each.most(limit) for"),
        ("every one must be full", "return any(held", "return all(held"),
    ),
    *_in(
        "provider.free",
        ("days are those of UTC", "if zone is None else day_of(wall, zone)\n", "\n"),
        (
            "midnight is that of UTC",
            "        if zone is None:\n            return now",
            "        if True:\n            return now",
        ),
        ("a quota of one more", "if self.left(wall) <= 0:", "if self.left(wall) < 0:"),
        ("one window for ever", "if window > self.window:", "if self.window < 0:"),
        ("a clock set back frees anew", "if window > self.window:", "if window != self.window:"),
        ("free calls are not counted", "        self.used += 1\n", "        pass\n"),
        (
            "yesterday's is given back today",
            "self._window_of(wall - after_s) == self.window",
            "True",
        ),
    ),
    *_in(
        "domain.calendar",
        ("leap years are regular", "_ERA_DAYS: Final = 146_097", "_ERA_DAYS: Final = 146_096"),
        ("centuries leap", " - of_era // 1460 + of_era // 36_524", " - of_era // 1460"),
        ("months begin late", "(153 * of_year + 2) // 5", "(153 * of_year + 3) // 5"),
    ),
    *_in(
        "provider.endpoint",
        (
            "calm with something to prove",
            "wider_calm and self.holds.idle and closed",
            "wider_calm and closed",
        ),
        ("calm while open", "closed = self.breaker.state is State.CLOSED", "closed = True"),
        ("calm while too fast", "and closed and slow is None", "and closed"),
        ("the reading forgets its own minute", "(*wider, slow, self", "(*wider, self"),
        ("the reading forgets holds", "slow, self.holds.check(now), self", "slow, self"),
        ("the reading forgets what is wider", "(*wider, slow", "(slow"),
        ("the shortest gate decides", "if end > until:", "if end > 0 and not until:"),
        ("shares only grow", "            held[each.name] -= 1\n", ""),
        ("a crash counts shares twice", "        candidate.held.clear()\n", ""),
        ("slots are published late", "        candidate.in_flight = concurrency.in_flight\n", ""),
        (
            "a crash forgets what was learned",
            "self.rates, self.candidate.metered = snapshot.rates, True",
            "pass",
        ),
        (
            "a reset keeps what was learned",
            "            self.rates.forget()\n",
            "            pass\n",
        ),
        (
            "a crash refills the free quota",
            "self.free.used, self.free.window = snapshot.free_used, snapshot.free_window",
            "pass",
        ),
    ),
    *_in(
        "provider.telling",
        ("the limit never restarts", "endpoint.concurrency.restart()", "pass"),
        (
            "the slot's end is not told",
            "emit(SlotFreed(",
            "bool(SlotFreed(",
        ),
    ),
    *_in(
        "provider.account",
        (
            "the account is not asked",
            "self.holds.check(now)\n            or endpoint.holds",
            "endpoint.holds",
        ),
        (
            "the minute is not asked",
            "for rates in (self.rates, endpoint.rates):\n            if rates is not None and (",
            "for rates in (endpoint.rates,):\n            if rates is not None and (",
        ),
        (
            "the limit of a model is ignored",
            "for rates in (self.rates, endpoint.rates):\n            if rates is not None and (",
            "for rates in (self.rates,):\n            if rates is not None and (",
        ),
        (
            "the calls of a model start unseen",
            "for rates in (self.rates, endpoint.rates):\n            if rates is not None:\n",
            "for rates in (self.rates,):\n            if rates is not None:\n",
        ),
        ("nobody looks when a model's minute ends", "due.append(each.rates.next_at(now))", "pass"),
        (
            "what was learned is not saved",
            "            self.save(now, endpoint)  # from",
            "            pass  # from",
        ),
        (
            "what was learned is not told",
            "            self.tell.learned(now, endpoint, unit)\n",
            "            pass\n",
        ),
        (
            "sightings are of the time of the answer",
            "endpoint.rates.sight(now, message.permit.taken_at, seen)",
            "endpoint.rates.sight(now, now, seen)",
        ),
        (
            "calls start unseen",
            "rates.admit(now, message.attempt, message.input_tokens, message.output_tokens)",
            "pass",
        ),
        ("a crash forgets the minute", "self.rates = snapshot.rates", "pass"),
        (
            "what a crash lost runs for ever",
            "rates.settle_all_but(now, running)",
            "pass",
        ),
        ("nobody looks when a minute ends", "due.append(self.rates.next_at(now))", "pass"),
        (
            "the domain is not asked",
            "            or (self.domain.check(now) if self.domain is not None else None)\n",
            "",
        ),
        ("a hold does not end the calm", "each.calm = False", "pass"),
        ("calm below whatever stands above", "calm = self._concerns_no_other(now)", "calm = True"),
        (
            "the end of a wide hold reaches one",
            "            not self._wide\n",
            "            True\n",
        ),
        ("a wide hold reaches one", "            and self.holds.idle\n", ""),
        ("others are saved as they were", "**self._saved, only.name", "only.name"),
        (
            "the timer is only put off",
            "at = self._timer_at if at is None else min(at, self._timer_at)",
            "at = self._timer_at",
        ),
        ("a restart is not saved", "self.save(now)\n        self._set_timer", "self._set_timer"),
        (
            "nobody looks when it is due",
            "if at != self._timer_at:",
            "if False:",
        ),
        ("timers pile up", "                self._timer.cancel()\n", "                pass\n"),
        ("a slow start without end", "due.append(now + RAMP_STEP_S)", "pass"),
        ("no new day", "due.append(each.free.renewed_at(now, wall))", "pass"),
        (
            "nobody is told",
            "        if changed:\n            self._notify(",
            "        if changed:\n            bool(",
        ),
        ("holds die with it", "self.holds.restore(snapshot.account, now)", "pass"),
        (
            "the domain dies with it",
            "domain.restore(snapshot.domain if snapshot is not None else None, now)",
            "pass",
        ),
    ),
    *_in(
        "provider.judging",
        (
            "the host's fault is the model's",
            "own = _NEUTRAL if verdict is _FAIL else verdict",
            "own = verdict",
        ),
        (
            "an answer proves no host",
            "wide = _OK if message.responded else _NEUTRAL",
            "wide = _NEUTRAL",
        ),
        ("a model's fault is the host's", "elif verdict is not _VOID:", "elif False:"),
        (
            "headers are not heard",
            "    if reached and message.sightings:\n",
            "    if False:\n",
        ),
        (
            "headers of refusals are not heard",
            "    if not reached and message.sightings:\n",
            "    if False:\n",
        ),
        (
            "calls of a model never end",
            "for rates in (account.rates, endpoint.rates):",
            "for rates in (account.rates,):",
        ),
        (
            "calls never end",
            "rates.settle(now, attempt, message.used, reached=reached)",
            "pass",
        ),
        (
            "what never arrived counts",
            "verdict is not _VOID and error not in _NOT_TAKEN",
            "True",
        ),
        ("proof is lost", "account.holds.release(now, attempt, verdict)", "pass"),
        (
            "failures cost no guard tokens",
            "guard.after(candidate.guard_tokens, verdict)",
            "candidate.guard_tokens",
        ),
        (
            "bad keys hold one model",
            "account.hold(None, now, kind, stated, started)",
            "account.hold(endpoint, now, kind, stated, started)",
        ),
        ("free calls are lost", "endpoint.free.give_back(wall, elapsed_s)", "pass"),
    ),
    *_in(
        "provider.by_hand",
        ("checks blame everybody", "if not blames_domain:", "if True:"),
        (
            "any failed check is a failure",
            "Verdict.FAIL if policy is None else policy.verdict",
            "Verdict.FAIL",
        ),
        (
            "checks make up for failures",
            "probing = breaker.state is State.HALF_OPEN and",
            "probing =",
        ),
        (
            "reports do not reach the host",
            "-1 if account.domain is None else _admit(account.domain, now)",
            "-1",
        ),
        (
            "a release forgets the account",
            "scopes.insert(0, (account.name, account.holds))",
            "pass",
        ),
    ),
    *_in(
        "provider.actor",
        (
            "the slot is not freed",
            "            endpoint.concurrency.ended()\n",
            "            pass\n",
        ),
        (
            "one slot too many",
            "concurrency.in_flight >= concurrency.capacity:\n            refusal",
            "concurrency.in_flight > concurrency.capacity:\n            refusal",
        ),
        (
            "a crash forgets the shares",
            "            self._endpoints[permit.endpoint].hold_share(permit.compartments)\n",
            "",
        ),
        (
            "nobody hears of room in a share",
            "        if permit.compartments:  # somebody",
            "        if False:  # somebody",
        ),
        ("shares do not bind", "            refusal = _CROWDED", "            pass"),
        (
            "siblings do not know of the probe",
            "if permit.probe or permit.domain_probe or proving or permit.free:",
            "if permit.probe:",
        ),
        (
            "given back twice",
            "elif permit.generation >= endpoint.breaker.generation:",
            "elif False:",
        ),
        (
            "a crash forgets who is in flight",
            "self._endpoints[permit.endpoint].concurrency.started()",
            "pass",
        ),
        (
            "a crash frees what is owed",
            "            self._owed[attempt] = permit\n            self._endpoints",
            "            self._endpoints",
        ),
    ),
]
