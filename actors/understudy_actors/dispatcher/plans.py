"""Which configuration a flight is decided under: the one it was accepted under, to its end.

A reload brings a new plan; those before it stay for as long as requests of theirs are under way.
Whom a later configuration left out is shut for all of them (its provider sees to that).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from understudy_actors.dispatcher.flight import Flight
from understudy_actors.dispatcher.ranking import Ranking
from understudy_actors.dispatcher.settings import DispatcherSettings
from understudy_actors.dispatcher.strategies.base import Strategy
from understudy_actors.domain.candidate import Candidate


@attrs.frozen(eq=False)
class Plan:
    """One configuration as the dispatcher sees it.

    Attributes:
        generation: Its number, from 0.
        settings: Policies.
        candidates: Everybody, in configured order.
    """

    generation: int
    settings: DispatcherSettings
    candidates: Sequence[Candidate]

    def like(self, other: Plan) -> bool:
        """Would it decide as that one does?"""
        return (
            self.settings == other.settings
            and len(self.candidates) == len(other.candidates)
            and all(a is b for a, b in zip(self.candidates, other.candidates, strict=True))
        )


@attrs.frozen(eq=False)
class Configure:
    """These configurations are in use from now on: the one for whoever comes, and earlier ones.

    `gone` are the seats that no request may be dispatched to any more.
    """

    plan: Plan
    earlier: Sequence[Plan] = ()
    gone: Collection[int] = ()


Chosen: TypeAlias = Mapping[str | None, str]
"""Strategies that were chosen by hand: see `Ranking.chosen`."""
Make: TypeAlias = Callable[[Plan, Chosen], Ranking]


class Plans:
    """The rankings that are in use: the newest plan's, and those of earlier ones.

    Attributes:
        plan, ranking: The newest.
        earlier: By generation; empty unless requests from before a reload are under way.
    """

    def __init__(self, newest: Plan, earlier: Sequence[Plan], chosen: Chosen, make: Make) -> None:
        self._make = make
        self._plans = {each.generation: each for each in (*earlier, newest)}
        self.plan = newest
        self.ranking = make(newest, chosen)
        self.earlier = {each.generation: make(each, chosen) for each in earlier}

    def of(self, flight: Flight) -> tuple[DispatcherSettings, Ranking]:
        """What decides about a flight."""
        ranking = self.earlier.get(flight.generation)
        if ranking is None:
            return self.plan.settings, self.ranking
        ranking.look_again()
        return self._plans[flight.generation].settings, ranking

    def configure(self, message: Configure) -> None:
        """Take the plans of a message; whose plan stays as it is goes on with what it remembers."""
        known = {**self.earlier, self.plan.generation: self.ranking}
        before, plan = self.plan, message.plan
        if plan.generation not in known:
            known[plan.generation] = self.ranking if plan.like(before) else self._heir(plan)
        self.plan, self.ranking = plan, known[plan.generation]
        self._plans = {each.generation: each for each in (*message.earlier, plan)}
        self.earlier = {each.generation: known[each.generation] for each in message.earlier}

    def choose(self, operation: str | None, strategy: str | Strategy) -> str:
        """Use a strategy from now on, under every plan; returns its name."""
        for each in [*self.earlier.values(), self.ranking]:
            name = each.choose(operation, strategy)
        return name

    def _heir(self, plan: Plan) -> Ranking:
        """A new plan's ranking. What was chosen by hand stays, unless that is configured anew."""
        old, new = self.plan.settings, plan.settings
        chosen = self.ranking.chosen.items()
        return self._make(
            plan, {op: name for op, name in chosen if _configured(old, op) == _configured(new, op)}
        )


def _configured(settings: DispatcherSettings, operation: str | None) -> Any:
    if operation is None:
        return settings.strategy
    return settings.by_operation.get(operation), settings.chains.get(operation)
