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

from understudy_actors.dispatcher.admission import turned_away, worth_waiting_for
from understudy_actors.dispatcher.flight import Decision, Flight
from understudy_actors.dispatcher.hedge import HedgeBudget, targets
from understudy_actors.dispatcher.messages import (
    Disperse,
    Failed,
    GateChanged,
    Hedge,
    HedgeEnded,
    HedgeSent,
    Left,
    LookOver,
    Overview,
    Rank,
    Select,
    SetStrategy,
    Step,
    WaitForSlot,
)
from understudy_actors.dispatcher.plans import Chosen, Configure, Plan, Plans
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
from understudy_actors.dispatcher.telling import queued, turn_of
from understudy_actors.domain.bulkhead import tenant_of
from understudy_actors.domain.candidate import NO_SLOT, Candidate
from understudy_actors.domain.errors import Overloaded
from understudy_actors.domain.events import (
    RetryToken,
    Selected,
    StrategyChanged,
)
from understudy_actors.domain.hedge_events import HedgeLaunched
from understudy_actors.domain.outcome import POLICY, ErrorClass
from understudy_actors.domain.waiting_events import QueueLeft, QueueRefused
from understudy_actors.runtime.actor import LATER, Context

_TICKETS: Final = 1 << 40  # more than one incarnation will ever hand out


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
        *,
        generation: int = 0,
        earlier: Sequence[Plan] = (),
    ) -> None:
        """Build it fresh, or with the strategies that were chosen before a restart.

        Args:
            context: Clock, trace, chance and the place for snapshots.
            settings: Policies.
            candidates: Everybody, in configured order.
            report: Hears of strategies that raise or break their law.
            switched: What the last incarnation saved.
            generation: Of the configuration.
            earlier: Configurations before it that requests under way were accepted under.
        """
        self._context = context
        self._now = context.now
        self._trace = context.trace
        self._settings = settings
        switched = switched or Switched({}, {})
        self._adopted = dict(switched.adopted)
        draws = context.randomness.stream("dispatcher")

        def make(plan: Plan, chosen: Chosen) -> Ranking:
            ranking = Ranking(plan.settings, plan.candidates, chosen, draws, report)
            for strategy in self._adopted.values():
                ranking.adopt(strategy)
            return ranking

        newest = Plan(generation, settings, candidates)
        self._plans = Plans(newest, earlier, switched.chosen, make)
        self._ranking, self._earlier = self._plans.ranking, self._plans.earlier
        self._draws = context.randomness.stream("backoff")
        self._queue = SlotQueue(
            settings.queue_capacity, context.incarnation * _TICKETS, settings.waiting
        )
        self._budget = RetryBudget(
            settings.budget_ratio,
            settings.budget_per_second,
            settings.budget_cap,
            settings.budget_start,
        )
        self._hedges = HedgeBudget(settings.hedge)
        self._turns = self._handlers()

    def receive(self, message: Any) -> Any:
        """One turn."""
        return self._turns[type(message)](message)

    def _handlers(self) -> dict[type, Callable[[Any], Any]]:
        return {
            Rank: self._rank,
            Failed: self._failed,
            WaitForSlot: self._wait,
            Left: self._left,
            Hedge: self._hedge,
            HedgeSent: self._hedge_sent,
            HedgeEnded: self._hedge_ended,
            GateChanged: self._gate_changed,
            Select: self._select,
            SetStrategy: self._set_strategy,
            LookOver: self._look_over,
            Configure: self._configure,
            Disperse: lambda _: self._queue.disperse(),
        }

    def _rank(self, message: Rank) -> Decision:
        flight = message.flight
        if not flight.decisions:
            self._budget.deposit()
            self._hedges.deposit()
        return self._decide(flight, self._now())

    def _decide(self, flight: Flight, now: float) -> Decision:
        ranking = self._ranking if not self._earlier else self._plans.of(flight)[1]
        decision = ranking.decide(flight, now)
        if not self._queue.idle:
            self._yield_to_waiters(decision, flight)
        if decision.can_wait and decision.ranked and decision.ranked[0].spec.degraded:
            self._spare_stand_ins(decision, flight, now)
        flight.decisions += (decision,)
        return decision

    def _yield_to_waiters(self, decision: Decision, flight: Flight) -> None:
        """Nobody jumps the queue: leave out whoever has no slot to spare for this flight."""
        ticket, compartments = flight.ticket, flight.compartments
        spare: list[Candidate] = []
        behind: dict[str, str] = {}
        for each in decision.ranked:
            if self._queue.precedes(ticket, each, compartments):
                behind[each.name] = NO_SLOT
            else:
                spare.append(each)
        if behind:
            decision.leave_out(behind)
            decision.can_wait, decision.wait_until = True, math.inf
        decision.ranked = spare

    def _spare_stand_ins(self, decision: Decision, flight: Flight, now: float) -> None:
        """A stand-in answers when nobody else can, not when the others are busy for a moment."""
        patience_s = self._plans.of(flight)[0].default_retry.patience_s
        patient_until = flight.accepted_at + patience_s
        if now < min(patient_until, flight.deadline) and not self._refusal(flight, decision, now):
            why = "stands in only after a wait for the others"
            decision.leave_out({each.name: why for each in decision.ranked})
            decision.ranked = ()
            decision.wait_until = min(decision.wait_until, patient_until)

    def _failed(self, message: Failed) -> Step:
        flight, failure = message.flight, message.failure
        now = self._now()
        settings, ranking = self._plans.of(flight)
        policy = POLICY[failure.error]
        rule = settings.retry.get(message.candidate.spec.provider, settings.default_retry)
        if len(flight.attempts) >= flight.max_attempts:
            return Step(Move.END, f"the cap of {flight.max_attempts} attempts is reached")
        if now >= flight.deadline:
            return Step(Move.END, "the deadline has passed")
        ordered = ranking.strategy_name(flight.request) == "priority"
        if ordered and prefers_here(failure, rule, flight.retries_here):
            step = self._here(message, rule, now, rule.patience_s)
            if step.move is Move.HERE:
                return step
        elsewhere = policy.elsewhere or (
            failure.error is ErrorClass.CONTENT_POLICY and settings.reroute_refused_content
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

    def _hedge(self, message: Hedge) -> Decision | None:
        flight, first, now = message.flight, message.first, self._now()
        if not (self._queue.idle and self._hedges.spare and self._budget.covers(now)):
            return None  # nor is a second copy for one a reason to let another wait
        decision = self._plans.of(flight)[1].able(flight, now)
        decision.copy = True
        decision.ranked = targets(
            first,
            decision.ranked,
            now=now,
            deadline=flight.deadline,
            input_tokens=flight.input_tokens,
            output_tokens=flight.output_tokens,
            max_cost_usd=flight.request.max_cost_usd,
        )
        return decision if decision.ranked else None

    def _hedge_sent(self, message: HedgeSent) -> None:
        flight, now = message.flight, self._now()
        self._hedges.sent()
        self._budget.withdraw(now)
        if self._trace.fine:
            self._trace.emit_fine(RetryToken(at_s=now, request=flight.id, left=self._budget.tokens))
        if self._trace.on:
            self._trace.emit(
                HedgeLaunched(
                    at_s=now,
                    request=flight.id,
                    attempt=message.attempt,
                    endpoint=message.candidate.name,
                    after_s=message.after_s,
                )
            )

    def _hedge_ended(self, _message: HedgeEnded) -> None:
        self._hedges.ended()

    def _wait(self, message: WaitForSlot) -> Any:
        flight, now = message.flight, self._now()
        reply = self._context.reply()
        decision = flight.decisions[-1]
        refusal = self._refusal(flight, decision, now)
        if refusal is not None:
            if self._trace.on:
                reason = "full" if self._queue.full else "late"
                self._trace.emit(
                    QueueRefused(
                        at_s=now, request=flight.id, reason=reason, retry_at=refusal.retry_at or now
                    )
                )
            reply.fail(refusal)
            return LATER
        if not flight.ticket:
            flight.queued_at = now
        request = flight.request
        waiter = self._queue.join(
            worth_waiting_for(flight, decision, now),
            flight.ticket,
            lambda: reply.send(None),
            flight.id,
            now=now,
            since=flight.queued_at,
            priority=request.priority,
            tenant=tenant_of(request),
            tokens=float(flight.input_tokens + flight.output_tokens),
            deadline=flight.deadline,
            compartments=flight.compartments,
        )
        flight.ticket = waiter.ticket
        if self._trace.fine:
            self._trace.emit_fine(queued(waiter, now))
        self._wake(now)
        return LATER

    def _refusal(self, flight: Flight, decision: Decision, now: float) -> Overloaded | None:
        """Why a request may not wait in line; None if it may, as whoever has a place there."""
        queue = self._queue
        if flight.ticket or not len(queue):
            return None
        return turned_away(queue, flight, worth_waiting_for(flight, decision, now), now)

    def _wake(self, now: float) -> None:
        """Let in whoever is next, as far as there are slots."""
        woken = self._queue.wake(now)
        if woken and self._trace.fine:
            for promise in woken:
                self._trace.emit_fine(turn_of(promise, now))

    def _left(self, message: Left) -> None:
        flight, now = message.flight, self._now()
        self._queue.leave(flight.ticket)  # it may be gone: nobody was there to be woken
        if self._trace.fine:
            self._trace.emit_fine(QueueLeft(at_s=now, request=flight.id, ticket=flight.ticket))
        self._wake(now)

    def _gate_changed(self, message: GateChanged) -> None:
        now = self._now()
        self._ranking.note(message.candidate, now)
        self._wake(now)

    def _select(self, message: Select) -> Decision:
        decision = self._ranking.select(message, self._now())
        if self._trace.fine:
            ranked = tuple(each.name for each in decision.ranked)
            self._trace.emit_fine(
                Selected(at_s=decision.at_s, strategy=decision.strategy, ranked=ranked)
            )
        return decision

    def _look_over(self, _message: LookOver) -> Overview:
        chosen = self._ranking.chosen
        strategy = chosen.get(None, self._settings.strategy)
        switched = {name: each for name, each in chosen.items() if name is not None}
        return Overview(len(self._queue), strategy, switched)

    def _set_strategy(self, message: SetStrategy) -> None:
        name = self._plans.choose(message.operation, message.strategy)
        if not isinstance(message.strategy, str):
            self._adopted[name] = message.strategy
        self._save()
        if self._trace.on:
            self._trace.emit(
                StrategyChanged(at_s=self._now(), strategy=name, operation=message.operation)
            )

    def _configure(self, message: Configure) -> None:
        settings = self._settings = message.plan.settings
        self._plans.configure(message)
        self._ranking, self._earlier = self._plans.ranking, self._plans.earlier
        self._save()
        self._budget.configure(
            settings.budget_ratio, settings.budget_per_second, settings.budget_cap
        )
        self._hedges.configure(settings.hedge)
        self._queue.configure(settings.queue_capacity, settings.waiting, message.gone)
        self._wake(self._now())

    def _save(self) -> None:
        self._context.save(Switched(dict(self._ranking.chosen), dict(self._adopted)))
