"""Law of turns: where a strategy hands out shares, everybody gets its own, and soon."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import attrs

from understudy_actors.dispatcher.strategies.shares import RoundRobin, SmoothWeighted
from understudy_actors.domain.candidate import NO_SLOT, EndpointSpec
from understudy_actors.domain.events import (
    ActorCrashed,
    ActorRestarted,
    Decided,
    RequestAccepted,
    RequestOutcome,
    Selected,
    StrategyChanged,
)
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.violation import Violation, Watch

_EQUAL: Final = RoundRobin().name
_EXACT: Final = frozenset({_EQUAL, SmoothWeighted().name})
_ROUNDING: Final = 1e-6
_LINES_MAX: Final = 1024
_Line: TypeAlias = tuple[object, ...]
"""What requests have in common that take turns from one strategy."""


@attrs.define(eq=False, slots=True)
class _Stretch:
    """Turns among the same endpoints, one after the other.

    Attributes:
        among: Whose turn it may be.
        ahead: How many turns each had more than its share, and the least and the most of that.
    """

    among: tuple[str, ...]
    ahead: dict[str, tuple[float, float, float]]

    @classmethod
    def of(cls, among: tuple[str, ...]) -> _Stretch:
        """A new one."""
        return cls(among, dict.fromkeys(among, (0.0, 0.0, 0.0)))

    def turn(self, winner: str, shares: dict[str, float]) -> tuple[str, float]:
        """It is somebody's turn; returns who is furthest from its share since any turn, and how
        far."""
        worst, furthest = winner, 0.0
        for name, share in shares.items():
            now, least, most = self.ahead[name]
            now += (name == winner) - share
            least, most = min(least, now), max(most, now)
            self.ahead[name] = now, least, most
            if (apart := max(now - least, most - now)) > furthest:
                worst, furthest = name, apart
        return worst, furthest


class Rotation(Watch):
    """S27, in every stretch of turns among the same endpoints, with N as how many ever had one.

    A turn is that of the first tier. Whoever lets those pass who wait in line shows another ranking
    than its turn was about, so a stretch ends there; it does where somebody else takes a turn
    (`select`), and where the dispatcher begins anew.
    """

    name = "S27"
    claim = "over any turns among the same endpoints each has its share, but for N turns"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._fleet = {each.name: each for each in rules.fleet}
        self._lines: dict[str, _Line] = {}
        self._stretches: dict[_Line, _Stretch] = {}
        self._members: dict[_Line, set[str]] = {}
        self._anew_at = -math.inf
        self._now = -math.inf
        self.hears = {
            RequestAccepted: self._accepted,
            RequestOutcome: self._over,
            Decided: self._decided,
            Selected: self._begin_anew,
            StrategyChanged: self._begin_anew,
            ActorCrashed: self._crashed,
            ActorRestarted: self._crashed,
        }

    def _accepted(self, seq: int, event: RequestAccepted) -> None:  # noqa: ARG002
        if event.model not in self.rules.fallbacks:  # whose tiers are others
            self._lines[event.request] = event.operation, event.model, event.needs

    def _over(self, seq: int, event: RequestOutcome) -> None:  # noqa: ARG002
        self._lines.pop(event.request, None)

    def _begin_anew(self, seq: int, event: Selected | StrategyChanged) -> None:  # noqa: ARG002
        self._stretches.clear()

    def _crashed(self, seq: int, event: ActorCrashed | ActorRestarted) -> None:  # noqa: ARG002
        if event.actor == "dispatcher":
            self._stretches.clear()
            self._members.clear()
            self._anew_at = event.at_s

    def _decided(self, seq: int, event: Decided) -> Violation | None:
        kind = self._lines.get(event.request)
        if event.strategy not in _EXACT or kind is None:
            return None
        line = (event.strategy, *kind)
        late = event.at_s < self._now or event.at_s <= self._anew_at
        self._now = max(self._now, event.at_s)
        if late or not event.ranked or NO_SLOT in event.left_out.values():
            self._stretches.pop(line, None)
            return None
        among = self._first_tier(event.ranked, chained=kind[0] in self.rules.chained)
        if len(among) < 2:
            return None
        stretch = self._stretches.get(line)
        if stretch is None or stretch.among != among:
            self._forget()
            stretch = self._stretches[line] = _Stretch.of(among)
        members = self._members.setdefault(line, set())
        members.update(among)
        shares = self._shares(event.strategy, among)
        who, apart = stretch.turn(event.ranked[0], shares)
        if apart <= len(members) + _ROUNDING:
            return None
        del self._stretches[line]
        said = f"{who} is {apart:.1f} turns from its share of {shares[who]:.3f}, under"
        return self.broken("apart", f"{said} {event.strategy} among {len(members)}", (seq, event))

    def _first_tier(self, ranked: tuple[str, ...], *, chained: bool) -> tuple[str, ...]:
        """Those whose turn it was, in order of name; nobody where that cannot be told."""
        specs = [self._fleet.get(name) for name in ranked]
        known = [each for each in specs if each is not None and not each.suits]
        if not known or len(known) < len(specs):
            return ()
        first = _place(known[0], chained)
        return tuple(sorted(each.name for each in known if _place(each, chained) == first))

    def _shares(self, strategy: str, among: tuple[str, ...]) -> dict[str, float]:
        weights = {n: 1.0 if strategy == _EQUAL else self._fleet[n].weight for n in among}
        total = sum(weights.values())
        return {name: weight / total for name, weight in weights.items()}

    def _forget(self) -> None:
        if len(self._stretches) >= _LINES_MAX:
            self._stretches.clear()
            self._members.clear()


def _place(spec: EndpointSpec, chained: bool) -> tuple[bool, int]:
    return spec.degraded, 0 if chained else spec.priority
