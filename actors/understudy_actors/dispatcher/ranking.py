"""Ranks candidates for one request: route, dynamic filter, tiers, strategy.

Everything here is a reading of the candidates at one moment; nothing is reserved by it.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Final

from understudy_actors.dispatcher.flight import Decision, Flight
from understudy_actors.dispatcher.messages import Select
from understudy_actors.dispatcher.select import (
    Route,
    RouteKey,
    build_route,
    route_key,
    tier,
    too_big,
    too_dear,
)
from understudy_actors.dispatcher.settings import DispatcherSettings
from understudy_actors.dispatcher.strategies.base import Strategy, View
from understudy_actors.domain.bulkhead import Compartments
from understudy_actors.domain.candidate import NO_SHARE, ONLY_BUSY, Candidate
from understudy_actors.domain.outcome import HoldKind
from understudy_actors.domain.request import Request
from understudy_actors.runtime.ports import Stream

ROUTES_MAX: Final = 1024
"""Kinds of requests whose route is kept; the oldest is forgotten first."""

BRIEF: Final = frozenset({HoldKind.RATE.value, HoldKind.BUSY.value})
"""Holds of somebody who is only busy: they are waited for like a slot, up to the patience."""

Report = Callable[[str, str, BaseException, str], None]
"""Tells, once, that code from outside raised: where, who, what, what was done instead."""


class Ranking:
    """Owns the routes, the strategies' memory, and which strategy was chosen since the start.

    Attributes:
        chosen: Names of strategies by operation; by None, that of the engine. `choose` writes it.
    """

    def __init__(
        self,
        settings: DispatcherSettings,
        candidates: Sequence[Candidate],
        chosen: Mapping[str | None, str],
        draws: Stream,
        report: Report,
    ) -> None:
        self._settings = settings
        self._factories = dict(settings.strategies)
        self.chosen = dict(chosen)
        self._candidates = tuple(candidates)
        self._draws = draws
        self._report = report
        self._routes: OrderedDict[RouteKey, Route] = OrderedDict()
        self._by_seat = {c.seat: c for c in candidates}
        self._shut = dict(self._by_seat)  # may refuse now; looked at for each request
        self._usual: dict[str, str] = {}  # what `_find_usual` found, by operation
        self._picks = max((c.picked for c in candidates), default=0)

    def adopt(self, strategy: str | Strategy) -> str:
        """Make sure that a strategy is known; returns its name."""
        if isinstance(strategy, str):
            return strategy
        self._factories[strategy.name] = lambda: strategy
        for route in self._routes.values():
            route.strategies.pop(strategy.name, None)
        return strategy.name

    def choose(self, operation: str | None, strategy: str | Strategy) -> str:
        """Use a strategy from now on, for the engine or for one operation; returns its name."""
        name = self.chosen[operation] = self.adopt(strategy)
        self._usual.clear()
        return name

    def note(self, candidate: Candidate, now: float) -> None:
        """A candidate's gate changed: look at it again, or stop looking at it."""
        if candidate.refusal(now) is None:
            self._shut.pop(candidate.seat, None)
        elif candidate.seat in self._by_seat:  # another one is left over from before a reload
            self._shut[candidate.seat] = candidate

    def look_again(self) -> None:
        """Nobody tells of the gates of candidates that were replaced: look at each of them."""
        self._shut.update(self._by_seat)

    def strategy_name(self, request: Request) -> str:
        """The request's own, else by quality boost, complexity, operation, engine."""
        if request.strategy is not None:
            return request.strategy
        if request.quality_boost:
            return "best_quality"
        if request.complexity is not None:
            named = self._settings.by_complexity.get(request.complexity)
            if named is not None:
                return named
        operation = request.operation
        return self._usual.get(operation) or self._find_usual(operation)

    def _find_usual(self, operation: str) -> str:
        """What requests for an operation are ordered by; it stays so until somebody chooses."""
        name = self._usual[operation] = self._usual_of(operation)
        return name

    def _usual_of(self, operation: str) -> str:
        chosen, settings = self.chosen, self._settings
        if operation in chosen:
            return chosen[operation]
        if operation in settings.by_operation:
            return settings.by_operation[operation]
        if None in chosen:
            return chosen[None]
        # A chain says an order: it is followed unless somebody names another strategy.
        return "priority" if operation in settings.chains else settings.strategy

    def decide(self, flight: Flight, now: float) -> Decision:
        """Rank for a flight; whom it tried already is left out."""
        view = View(now, flight.request, flight.input_tokens, flight.output_tokens, self._draws)
        return self._rank(view, flight.tried, flight.outgrew, flight.compartments)

    def able(self, flight: Flight, now: float) -> Decision:
        """Who could serve a flight now, in configured order: no strategy takes a turn for it."""
        request = flight.request
        key = route_key(request)
        route = self._routes.get(key) or self._make_route(key)
        decision = Decision(now, self.strategy_name(request), route, route.candidates)
        view = View(now, request, flight.input_tokens, flight.output_tokens, self._draws)
        self._filter(decision, view, flight.tried, flight.outgrew, flight.compartments)
        return decision

    def select(self, message: Select, now: float) -> Decision:
        """Rank for a caller who makes the call."""
        tokens = message.input_tokens, message.output_tokens
        return self._rank(View(now, message.request, *tokens, self._draws), (), 0)

    def _rank(
        self,
        view: View,
        tried: Sequence[Candidate],
        outgrew: int,
        compartments: Compartments = (),
    ) -> Decision:
        request = view.request
        key = route_key(request)
        route = self._routes.get(key) or self._make_route(key)
        name = self.strategy_name(request)
        decision = Decision(view.now, name, route, route.candidates)
        if (
            self._shut
            or tried
            or compartments
            or request.max_cost_usd is not None
            or (route.smallest_window is not None and view.input_tokens > route.smallest_window)
        ):
            self._filter(decision, view, tried, outgrew, compartments)
        if name != "priority" and len(decision.ranked) > 1:
            if route.tiered or request.complexity is not None:
                decision.ranked = self._by_tiers(decision, view)
            else:
                decision.ranked = self._ask(name, route, decision.ranked, view)
        if decision.ranked:
            self._picks += 1
            decision.ranked[0].picked = self._picks
        return decision

    def _filter(
        self,
        decision: Decision,
        view: View,
        tried: Sequence[Candidate],
        outgrew: int,
        compartments: Compartments,
    ) -> None:
        """Leave out whoever cannot serve this request now, with the reason."""
        left_out, now = dict[str, str](), view.now
        patience_s = self._settings.default_retry.patience_s
        staying: list[Candidate] = []
        busy_until = 0.0  # when the last one is free again who is only busy; infinity: unknown
        for each in decision.ranked:
            reason = self._unfit_now(each, view, tried, outgrew)
            if reason is None and compartments and each.crowded(compartments):
                reason = NO_SHARE
            if reason is None:
                staying.append(each)
                continue
            left_out[each.name] = reason
            if reason in ONLY_BUSY:
                busy_until = math.inf
            elif each.shut_until > now and reason is each.shut_why:
                until = each.shut_until  # infinity: no time will change it, only a hand
                if until < (math.inf if decision.retry_at is None else decision.retry_at):
                    decision.retry_at = until
                if reason in BRIEF and until <= now + patience_s:
                    busy_until = max(busy_until, until)
        decision.ranked, decision.left_out = staying, left_out
        decision.can_wait, decision.wait_until = busy_until > 0.0, busy_until

    def _unfit_now(
        self, each: Candidate, view: View, tried: Sequence[Candidate], outgrew: int
    ) -> str | None:
        if each in tried:
            return "tried already"
        window = each.spec.max_context_tokens
        if window is not None and window <= outgrew:
            return "its context window is not larger"
        request = view.request
        reason = too_big(each.spec, view.input_tokens) or too_dear(
            each.spec, request, view.input_tokens, view.output_tokens, each.free_left
        )
        if reason is not None:
            return reason
        if each.seat in self._shut:
            reason = each.refusal(view.now)
            if reason is not None:
                return reason
            del self._shut[each.seat]
        guard = self._settings.guard
        if tried and guard is not None and each.guard_tokens <= guard.floor:
            return "failing too often to fail over onto"
        return None

    def _by_tiers(self, decision: Decision, view: View) -> Sequence[Candidate]:
        """Tier after tier, the first one as the strategy says, the others as configured.

        Whom the task's complexity does not suit stands behind whom it does, stand-ins behind all.
        Fallbacks stand behind the model they are for, whatever suits.
        """
        candidates, route, name = decision.ranked, decision.route, decision.strategy
        complexity = view.request.complexity
        unsuited = _unsuited(candidates, complexity) if complexity is not None else None
        if not unsuited and not route.tiered:
            return self._ask(name, route, candidates, view)

        def place(candidate: Candidate) -> tuple[bool, int, bool, int]:
            degraded, level, priority = tier(candidate, route.chained, route.levels)
            return degraded, level, unsuited is not None and candidate.index in unsuited, priority

        tiers = groupby(sorted(candidates, key=place), place)
        first = list(next(tiers)[1])
        return [*self._ask(name, route, first, view), *(c for _, rest in tiers for c in rest)]

    def _ask(
        self, name: str, route: Route, candidates: Sequence[Candidate], view: View
    ) -> Sequence[Candidate]:
        """Ask a strategy; if it raises or breaks its law, report that and keep the given order."""
        try:
            strategy, ours = route.strategies.get(name) or self._make_strategy(name, route)
            if ours:
                return strategy.rank(candidates, view)
            ranked = list(strategy.rank(tuple(candidates), view))
            if _is_permutation(ranked, candidates):
                return ranked
            raise LawBroken(f"strategy {name!r} must return a permutation of its candidates")
        except Exception as error:
            self._report("strategy", name, error, "the configured order was used")
            return candidates

    def _make_strategy(self, name: str, route: Route) -> tuple[Strategy, bool]:
        strategy = self._factories[name]()
        made = strategy, type(strategy).__module__.startswith(_TRUSTED)
        route.strategies[name] = made
        return made

    def _make_route(self, key: RouteKey) -> Route:
        chain = self._settings.chains.get(key[0])
        model, own = key[1], key[5]
        after = self._settings.fallbacks.get(model, ()) if own is None and model else own or ()
        route = self._routes[key] = build_route(key, self._candidates, chain, after)
        if len(self._routes) > ROUTES_MAX:
            self._routes.popitem(last=False)
        return route


class LawBroken(Exception):
    """A strategy returned something else than a permutation of its candidates."""


_TRUSTED: Final = "understudy_actors.dispatcher.strategies"


def _unsuited(candidates: Sequence[Candidate], complexity: str) -> set[int]:
    """Indices of those who suit other complexities only."""
    return {c.index for c in candidates if c.spec.suits and complexity not in c.spec.suits}


def _is_permutation(ranked: Sequence[Candidate], candidates: Sequence[Candidate]) -> bool:
    return len(ranked) == len(candidates) and {id(c) for c in ranked} == {id(c) for c in candidates}
