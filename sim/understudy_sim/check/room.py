"""Law of what is free again: whoever used nothing for a while has the whole of it.

Told are refusals only, so they are what is judged: one that names a limit must be explained by
requests that may count there, and one that names a budget by what the trace says of its window.
"""

from __future__ import annotations

import math
import re
from collections import deque
from typing import Final, TypeAlias

import attrs

from understudy_actors.domain.events import (
    ActorRestarted,
    AttemptAdmitted,
    AttemptEnded,
    AttemptRefused,
    Decided,
    RequestAccepted,
    RequestOutcome,
    RequestRefused,
)
from understudy_actors.domain.money_events import (
    BoundBreached,
    MoneyCharged,
    MoneyRefused,
    MoneyReserved,
    Windows,
)
from understudy_actors.domain.outcome import HoldKind
from understudy_actors.domain.rate_events import RateLearned
from understudy_actors.domain.store_events import BooksTaken, StoreOpened
from understudy_sim.check.gates import ACTOR, Gates
from understudy_sim.check.rules import DEFAULT, Rules, provider_of
from understudy_sim.check.violation import Violation, Watch, Witness

COUNTS_S: Final = 63.0
"""What ended counts for a minute, for the rest of its second, and a second more."""
LEARNED_S: Final = 123.0
"""So long what a provider said of its limits is believed."""
_RATE: Final = HoldKind.RATE.value
_USED_UP: Final = re.compile(r"a limit \((?P<scope>.+), (?P<rule>\d.*) a minute\) is used up")
_REQUESTS: Final = re.compile(r"(\d+) requests")
_TOLD: Final = frozenset({"user", "operation", "route"})
"""Kinds of scope that the trace tells of each request; all may belong to one of another kind."""
_WINDOWS_MAX: Final = 4096


@attrs.define(eq=False, slots=True)
class _Asked:
    """Requests of one scope: how many run, and when others ended."""

    running: int = 0
    ended: deque[float] = attrs.Factory(deque)

    def busy(self, now: float) -> int:
        """How many may count now."""
        while self.ended and self.ended[0] < now - COUNTS_S:
            self.ended.popleft()
        return self.running + len(self.ended)


class Room(Watch):
    """L8, of limits a minute. Whoever goes on with what another process counted may say so for a
    while, as may a provider's actor that comes back."""

    name = "L8"
    claim = "a limit a minute refuses nobody after a minute in which nothing counted"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._scopes: dict[str, _Asked] = {}
        self._live: dict[str, tuple[str, ...]] = {}
        self._used: dict[str, _Asked] = {}
        self._counted_at: dict[str, float] = {}
        self._learned: set[str] = set()
        self._taken_at = -math.inf
        self._gates = Gates()
        self.hears = {
            **self._gates.hears(),
            RequestAccepted: self._accepted,
            RequestOutcome: self._over,
            RequestRefused: self._turned_away,
            AttemptAdmitted: self._admitted,
            AttemptEnded: self._ended,
            RateLearned: self._on_learned,
            Decided: self._decided,
            AttemptRefused: self._refused,
            ActorRestarted: self._restarted,
            StoreOpened: self._opened,
        }

    def _opened(self, seq: int, event: StoreOpened) -> None:  # noqa: ARG002
        if event.states:
            self._taken_at = event.at_s

    # Whoever asks

    def _accepted(self, seq: int, event: RequestAccepted) -> None:  # noqa: ARG002
        scopes = ["", f"operation {event.operation}", f"route {event.model or event.operation}"]
        if event.user is not None:
            scopes.append(f"user {event.user}")
        self._live[event.request] = tuple(scopes)
        for each in scopes:
            self._scopes.setdefault(each, _Asked()).running += 1

    def _over(self, seq: int, event: RequestOutcome) -> None:  # noqa: ARG002
        for each in self._live.pop(event.request, ()):
            asked = self._scopes[each]
            asked.running -= 1
            asked.busy(event.at_s)
            asked.ended.append(event.at_s)

    def _turned_away(self, seq: int, event: RequestRefused) -> Violation | None:
        told = _USED_UP.search(event.reason)
        if told is None or event.at_s < self._taken_at + COUNTS_S:
            return None
        scope, rule = told["scope"], told["rule"]
        asked = self._scopes.get(scope if scope.partition(" ")[0] in _TOLD else "")
        busy = 0 if asked is None else asked.busy(event.at_s)
        requests = _REQUESTS.fullmatch(rule)
        least = int(requests[1]) if requests else 1  # how many tokens they have is not told
        if busy >= least:
            return None
        said = f"{event.request} is refused, since {scope} used up {rule} a minute"
        said = f"{said}, and {busy} requests can count there"
        return self.broken("asker", said, (seq, event))

    # Providers

    def _admitted(self, seq: int, event: AttemptAdmitted) -> None:  # noqa: ARG002
        self._used.setdefault(provider_of(event.endpoint), _Asked()).running += 1

    def _ended(self, seq: int, event: AttemptEnded) -> None:  # noqa: ARG002
        provider = provider_of(event.endpoint)
        self._used.setdefault(provider, _Asked(1)).running -= 1
        self._counted_at[provider] = event.at_s

    def _on_learned(self, seq: int, event: RateLearned) -> None:  # noqa: ARG002
        self._learned.add(provider_of(event.endpoint))

    def _restarted(self, seq: int, event: ActorRestarted) -> None:
        self._gates.rose(seq, event)
        self._counted_at[event.actor.removeprefix(ACTOR)] = event.at_s

    def _decided(self, seq: int, event: Decided) -> Violation | None:
        for endpoint, why in event.left_out.items():
            if why == _RATE and (found := self._pretext(endpoint, event.at_s, (seq, event))):
                return found
        return None

    def _refused(self, seq: int, event: AttemptRefused) -> Violation | None:
        if event.reason != _RATE:
            return None
        return self._pretext(event.endpoint, event.at_s, (seq, event))

    def _pretext(self, endpoint: str, now: float, here: Witness) -> Violation | None:
        provider = provider_of(endpoint)
        used = self._used.get(provider)
        if provider in self._gates.down or (used is not None and used.running > 0):
            return None
        if self._gates.hold_against(endpoint, now) is not None:
            return None
        last_at = max(self._counted_at.get(provider, -math.inf), self._taken_at)
        quiet_s = LEARNED_S if provider in self._learned else COUNTS_S
        if now <= last_at + quiet_s + self.rules.late_s:
            return None
        said = f"{endpoint} refuses for its rate, and nothing counted there for {quiet_s:g} s"
        return self.broken("provider", said, here)


_Key: TypeAlias = tuple[str, float]
"""A budget, and when its window begins."""


class MoneyRoom(Watch):
    """L8, of money: what came home may be lent again. A budget that was breached lends nothing, and
    of one that another process began it takes a reservation to know its window."""

    name = "L8"
    claim = "a budget that refuses says what its window has left: its limit less spent and reserved"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._windows: dict[_Key, int] = {}  # spent and reserved
        self._latest: dict[str, tuple[float, float]] = {}
        self._loans: dict[int, tuple[int, Windows]] = {}
        self._taken: dict[str, tuple[float, int]] = {}
        self._unsure: set[str] = set()
        self._forgot = False
        self.hears = {
            MoneyReserved: self._reserved,
            MoneyCharged: self._charged,
            MoneyRefused: self._refused,
            BoundBreached: self._breached,
            BooksTaken: self._on_taken,
        }

    def _on_taken(self, seq: int, event: BooksTaken) -> None:  # noqa: ARG002
        self._taken[event.budget] = event.since, event.micro_usd

    def _breached(self, seq: int, event: BoundBreached) -> None:  # noqa: ARG002
        self._unsure.add(event.budget)

    def _reserved(self, seq: int, event: MoneyReserved) -> None:  # noqa: ARG002
        self._loans[event.reservation] = event.micro_usd, event.windows
        for budget, window in event.windows.items():
            start, end = _span(window)
            self._latest[budget] = start, end
            self._windows.setdefault((budget, start), self._before(budget, start))
            self._windows[budget, start] += event.micro_usd
        if len(self._windows) > _WINDOWS_MAX:
            self._windows.clear()
            self._forgot = True

    def _before(self, budget: str, start: float) -> int:
        """What another process spent in the window that begins then."""
        since, micro_usd = self._taken.pop(budget, (math.nan, 0))
        if not math.isfinite(since) or not math.isfinite(start):
            return micro_usd
        return micro_usd if since == start else 0

    def _charged(self, seq: int, event: MoneyCharged) -> None:  # noqa: ARG002
        reserved, windows = self._loans.pop(event.reservation, (0, {}))
        for budget, window in windows.items():
            key = budget, _span(window)[0]
            if key in self._windows:
                self._windows[key] += event.micro_usd - reserved

    def _refused(self, seq: int, event: MoneyRefused) -> Violation | None:
        budget = event.budget
        if self._forgot or budget in self._unsure or budget in self._taken:
            return None
        start, end = self._latest.get(budget, (0.0, -math.inf))
        used = self._windows.get((budget, start), 0) if event.wall < end else 0
        left = max(0, _limit(budget) - used)
        if event.room == left:
            return None
        said = f"{budget} has room for {event.room} micro-USD, it says; {used} are spent or set"
        return self.broken("money", f"{said} aside, which leaves {left}", (seq, event))


def _span(window: tuple[int, ...]) -> tuple[float, float]:
    return (float(window[0]), float(window[1])) if window else (-math.inf, math.inf)


def _limit(budget: str) -> int:
    """The limit that a budget's text tells, in micro-USD: all of its digits."""
    dollars = budget.rpartition("$")[2].split()[0]
    whole, _, part = dollars.replace(",", "").partition(".")
    return int(whole) * 1_000_000 + int(part.ljust(6, "0"))
