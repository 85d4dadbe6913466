"""The dispatcher actor: who is asked next, and in what order requests wait.

It owns the routes, the strategies' memory, the retry budget and the queue. It keeps nothing of a
request but its place in the queue; a restart forgets the queue (those in it are told so), what the
strategies remembered, and how full the budget was. Strategies that were switched stay switched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Struct

from understudy_actors.dispatcher.flight import Decision, Flight
from understudy_actors.dispatcher.messages import (
    Failed,
    GateChanged,
    Left,
    LookOver,
    Overview,
    Rank,
    Select,
    SetStrategy,
    Step,
    WaitForSlot,
)
from understudy_actors.dispatcher.queue import SlotQueue
from understudy_actors.dispatcher.ranking import Ranking, Report
from understudy_actors.dispatcher.retry import (
    Move,
    RetryBudget,
    RetryRule,
    fits,
    may_retry_here,
    prefers_here,
    wait_here_s,
)
from understudy_actors.dispatcher.settings import DispatcherSettings
from understudy_actors.dispatcher.strategies.base import Strategy
from understudy_actors.domain.candidate import NO_SLOT, Candidate
from understudy_actors.domain.errors import Overloaded
from understudy_actors.domain.events import RetryToken, StrategyChanged
from understudy_actors.domain.outcome import POLICY, ErrorClass
from understudy_actors.runtime.actor import LATER, Context

_TICKETS: Final = 1 << 40  # more than one incarnation will ever hand out

WAIT_HINT_S: Final = 1.0
"""What a full queue tells its callers to wait, in seconds."""


class Switched(Struct, frozen=True):
    """What survives a restart: the strategies chosen since the start, and those that were brought
    along, by name; a None stands for the engine's default."""

    chosen: dict[str | None, str]
    adopted: dict[str, Strategy]


class Dispatcher:
    """Ranks candidates, decides what follows a failure, and queues those who must wait."""

    def __init__(
        self,
        context: Context,
        settings: DispatcherSettings,
        candidates: Sequence[Candidate],
        report: Report,
        switched: Switched | None = None,
    ) -> None:
        """Build it fresh, or with the strategies that were chosen before a restart.

        Args:
            context: Clock, trace, chance and the place for snapshots.
            settings: Policies.
            candidates: Everybody, in configured order.
            report: Hears of strategies that raise or break their law.
            switched: What the last incarnation saved.
        """
        self._context = context
        self._now = context.now
        self._trace = context.trace
        self._settings = settings
        switched = switched or Switched({}, {})
        self._chosen = dict(switched.chosen)
        self._adopted = dict(switched.adopted)
        self._ranking = Ranking(
            settings,
            candidates,
            self._chosen,
            context.randomness.stream("dispatcher"),
            report,
        )
        for strategy in self._adopted.values():
            self._ranking.adopt(strategy)
        self._draws = context.randomness.stream("backoff")
        self._queue = SlotQueue(settings.queue_capacity, context.incarnation * _TICKETS)
        self._budget = RetryBudget(
            settings.budget_ratio,
            settings.budget_per_second,
            settings.budget_cap,
            settings.budget_start,
        )
        self._turns: dict[type, Callable[[Any], Any]] = {
            Rank: self._rank,
            Failed: self._failed,
            WaitForSlot: self._wait,
            Left: self._left,
            GateChanged: self._gate_changed,
            Select: self._select,
            SetStrategy: self._set_strategy,
            LookOver: self._look_over,
        }

    def receive(self, message: Any) -> Any:
        """One turn."""
        return self._turns[type(message)](message)

    def _rank(self, message: Rank) -> Decision:
        flight = message.flight
        if not flight.decisions:
            self._budget.deposit()
        return self._decide(flight, self._now())

    def _decide(self, flight: Flight, now: float) -> Decision:
        decision = self._ranking.decide(flight, now)
        if not self._queue.idle:
            self._yield_to_waiters(decision, flight.ticket)
        if decision.can_wait and decision.ranked and decision.ranked[0].spec.degraded:
            self._spare_stand_ins(decision, flight, now)
        flight.decisions.append(decision)
        return decision

    def _yield_to_waiters(self, decision: Decision, ticket: int) -> None:
        """Nobody jumps the queue: leave out whoever has no slot to spare for this flight."""
        spare: list[Candidate] = []
        for each in decision.ranked:
            if self._queue.precedes(ticket, each):
                decision.left_out[each.name] = NO_SLOT
                decision.can_wait, decision.wait_until = True, math.inf
            else:
                spare.append(each)
        decision.ranked = spare

    def _spare_stand_ins(self, decision: Decision, flight: Flight, now: float) -> None:
        """A stand-in answers when nobody else can, not when the others are busy for a moment."""
        patient_until = flight.accepted_at + self._settings.default_retry.patience_s
        if now < min(patient_until, flight.deadline) and not self._queue.full:
            for each in decision.ranked:
                decision.left_out[each.name] = "stands in only after a wait for the others"
            decision.ranked = ()
            decision.wait_until = min(decision.wait_until, patient_until)

    def _failed(self, message: Failed) -> Step:
        flight, failure = message.flight, message.failure
        now = self._now()
        policy = POLICY[failure.error]
        rule = self._settings.retry.get(
            message.candidate.spec.provider, self._settings.default_retry
        )
        if len(flight.attempts) >= flight.max_attempts:
            return Step(Move.END, f"the cap of {flight.max_attempts} attempts is reached")
        if now >= flight.deadline:
            return Step(Move.END, "the deadline has passed")
        ordered = self._ranking.strategy_name(flight.request) == "priority"
        if ordered and prefers_here(failure, rule, flight.retries_here):
            step = self._here(message, rule, now, rule.patience_s)
            if step.move is Move.HERE:
                return step
        elsewhere = policy.elsewhere or (
            failure.error is ErrorClass.CONTENT_POLICY and self._settings.reroute_refused_content
        )
        if failure.error is ErrorClass.CONTEXT_LENGTH:
            window = message.candidate.spec.max_context_tokens
            flight.outgrew = max(flight.outgrew, window or 0)
        if elsewhere and flight.fallback:
            decision = self._decide(flight, now)
            if decision.ranked or decision.can_wait:
                return Step(Move.ELSEWHERE, "the next candidate", decision)
        return self._here(message, rule, now)

    def _here(
        self, message: Failed, rule: RetryRule, now: float, patience_s: float = math.inf
    ) -> Step:
        flight, failure = message.flight, message.failure
        if not may_retry_here(failure, rule, flight.retries_here):
            return Step(Move.END, "nobody else can be asked")
        wait_s = wait_here_s(failure, rule, flight.retries_here, now, self._draws.uniform())
        if wait_s > patience_s:
            return Step(Move.END, "it would take too long to wait for it")
        if not fits(wait_s, failure, now, flight.deadline):
            return Step(Move.END, f"a retry after {wait_s:.1f} s does not fit the deadline")
        if not self._budget.withdraw(now):
            return Step(Move.END, "the retry budget is used up")
        if self._trace.fine:
            self._trace.emit_fine(RetryToken(at_s=now, request=flight.id, left=self._budget.tokens))
        return Step(Move.HERE, f"again after {wait_s:.2f} s", wait_s=wait_s)

    def _wait(self, message: WaitForSlot) -> Any:
        flight = message.flight
        reply = self._context.reply()
        if self._queue.full and not flight.ticket:
            reply.fail(queue_full(self._queue.capacity, self._now()))
            return LATER
        now = self._now()
        flight.ticket = self._queue.join(
            _worth_waiting_for(flight, now), flight.ticket, lambda: reply.send(None)
        )
        self._queue.wake(now)
        return LATER

    def _left(self, message: Left) -> None:
        self._queue.leave(message.flight.ticket)
        self._queue.wake(self._now())

    def _gate_changed(self, message: GateChanged) -> None:
        now = self._now()
        self._ranking.note(message.candidate, now)
        self._queue.wake(now)

    def _select(self, message: Select) -> Decision:
        return self._ranking.select(message, self._now())

    def _look_over(self, _message: LookOver) -> Overview:
        strategy = self._chosen.get(None, self._settings.strategy)
        switched = {name: chosen for name, chosen in self._chosen.items() if name is not None}
        return Overview(len(self._queue), strategy, switched)

    def _set_strategy(self, message: SetStrategy) -> None:
        name = self._ranking.adopt(message.strategy)
        self._chosen[message.operation] = name
        if not isinstance(message.strategy, str):
            self._adopted[name] = message.strategy
        self._context.save(Switched(dict(self._chosen), dict(self._adopted)))
        if self._trace.on:
            self._trace.emit(
                StrategyChanged(at_s=self._now(), strategy=name, operation=message.operation)
            )


def queue_full(capacity: int, now: float) -> Overloaded:
    """The error for a request that finds the queue for a slot full."""
    return Overloaded(
        f"{capacity} requests wait for a slot already. Shed this one, or raise `queue_capacity`.",
        retry_at=now + WAIT_HINT_S,
        retry_after_s=WAIT_HINT_S,
    )


def _worth_waiting_for(flight: Flight, now: float) -> list[Candidate]:
    """Who may serve this flight as soon as they have a slot.

    Not whom it tried, but for the one it asks again; nor who seems free but refused all the same
    (its actor is down, it is too dear): being woken for such a one would lead straight back into
    the queue. Who falls back on nobody waits for the one it asks again, and for no one else.
    """
    if flight.retries_here and not flight.fallback:
        return [flight.tried[-1]]
    decision = flight.decisions[-1]
    done = flight.tried[:-1] if flight.retries_here else flight.tried
    return [
        each
        for each in decision.route.candidates
        if each not in done
        and (decision.left_out.get(each.name) is NO_SLOT or each.refusal(now) is not None)
    ]
