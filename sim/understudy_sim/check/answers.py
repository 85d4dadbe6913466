"""The law of the response cache: what is given again was given before, to the same owner."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import attrs

from understudy_actors.domain.cache_events import CacheEvicted, CacheHit, CacheMissed, CacheStored
from understudy_actors.domain.collapse_events import RequestJoined
from understudy_actors.domain.events import (
    AttemptAdmitted,
    AttemptEnded,
    RequestAccepted,
    RequestOutcome,
)
from understudy_actors.domain.outcome import Verdict
from understudy_actors.domain.request import Caching
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.violation import Violation, Watch, Witness

_OK: Final = Verdict.OK.value
_GONE: Final = frozenset({"cancelled", "ShuttingDown"})
_ROUNDING: Final = 1e-6
_WISHES_FOR_NO_OLD: Final = frozenset({Caching.BYPASS.value, Caching.REFRESH.value})


def owner_of(asked: RequestAccepted) -> str:
    """On whose behalf a request asks."""
    if asked.tenant is not None:
        return f"tenant {asked.tenant}"
    return "nobody" if asked.user is None else f"user {asked.user}"


@attrs.define(slots=True, eq=False)
class _Asking:
    """One request under way: what it wishes, whether it was answered, given, and kept."""

    accepted: tuple[int, RequestAccepted]
    answered: Witness | None = None
    given: tuple[int, CacheHit] | None = None
    stored: Witness | None = None
    joined: bool = False


class Answers(Watch):
    """C1. Which entry is the least recently used, and what all take, is counted here anew."""

    name = "C1"
    claim = (
        "an answer out of the cache is the last one that was kept for the same question of the "
        "same owner, within its time, and nobody is asked for it; only whole answers are kept, "
        "within the bounds, and the least recently used goes first"
    )

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._live: dict[str, _Asking] = {}
        self._kept: OrderedDict[str, tuple[int, CacheStored]] = OrderedDict()
        self._owners: dict[str, str] = {}
        self._size = 0
        self._crowded: Witness | None = None
        if rules.cache is None:
            self.hears = {}
            return
        self._rule = rules.cache
        self.hears = {
            RequestAccepted: self._accepted,
            RequestJoined: self._joined,
            CacheMissed: self._missed,
            CacheHit: self._hit,
            AttemptAdmitted: self._admitted,
            AttemptEnded: self._attempt_ended,
            CacheStored: self._stored,
            CacheEvicted: self._evicted,
            RequestOutcome: self._outcome,
        }

    def _accepted(self, seq: int, event: RequestAccepted) -> None:
        self._live[event.request] = _Asking((seq, event))

    def _joined(self, seq: int, event: RequestJoined) -> None:  # noqa: ARG002
        if (asking := self._live.get(event.request)) is not None:
            asking.joined = True

    def _attempt_ended(self, seq: int, event: AttemptEnded) -> None:
        if event.verdict == _OK and (asking := self._live.get(event.request)) is not None:
            asking.answered = seq, event

    # Given

    def _missed(self, seq: int, event: CacheMissed) -> Violation | None:
        kept = self._kept.get(event.key)
        if kept is None or event.at_s >= kept[1].fresh_until - _ROUNDING:
            return self._no_room()
        said = f"{event.request} was told that there is no answer, and there is one"
        return self.broken("missed", said, kept, (seq, event))

    def _hit(self, seq: int, event: CacheHit) -> Violation | None:
        asking, kept, here = self._live.get(event.request), self._kept.get(event.key), (seq, event)
        wish = None
        if asking is not None:
            asking.given, wish = here, asking.accepted[1].cache
        who = f"{event.request} was given"
        if kept is None:
            return self.broken("unknown", f"{who} an answer that is not kept", here)
        self._kept.move_to_end(event.key)
        before, owner = kept[1], self._owners[event.key]
        if asking is not None and owner_of(asking.accepted[1]) != owner:
            said = f"{who} the answer of {owner}, and asks for {owner_of(asking.accepted[1])}"
            return self.broken("owner", said, kept, here)
        if before.answer != event.answer:
            return self.broken("other", f"{who} another answer than the last one", kept, here)
        if abs(event.at_s - before.at_s - event.age_s) > _ROUNDING:
            said = (
                f"{who} an answer {event.at_s - before.at_s:.3f} s old, told as {event.age_s:.3f}"
            )
            return self.broken("age", said, kept, here)
        if event.at_s >= (before.stale_until if event.stale else before.fresh_until) + _ROUNDING:
            kind = "an answer" if event.stale else "as fresh an answer"
            return self.broken("late", f"{who} {kind} whose time was over", kept, here)
        if wish == Caching.BYPASS or (wish in _WISHES_FOR_NO_OLD and not event.stale):
            return self.broken("unwanted", f"{who} an old answer, and wanted {wish}", kept, here)
        return None

    def _admitted(self, seq: int, event: AttemptAdmitted) -> Violation | None:
        asking = self._live.get(event.request)
        if asking is None:
            return None
        if asking.given is not None:
            said = f"{event.request} was given an old answer, and asked {event.endpoint} too"
            return self.broken("asked", said, asking.given, (seq, event))
        if asking.accepted[1].cache == Caching.ONLY:
            said = f"{event.request} wanted an old answer only, and asked {event.endpoint}"
            return self.broken("only", said, asking.accepted, (seq, event))
        return None

    # Kept

    def _stored(self, seq: int, event: CacheStored) -> Violation | None:
        here, crowded = (seq, event), self._no_room()
        before = self._kept.pop(event.key, None)
        self._size += event.size - (before[1].size if before is not None else 0)
        self._kept[event.key] = here
        if self._over_bounds:
            self._crowded = here
        who = f"the answer to {event.request}"
        asking = self._live.get(event.request)
        if asking is None:
            return self.broken("nobody", f"{who} was kept, and nobody asks", here)
        owner = owner_of(asking.accepted[1])
        if self._owners.setdefault(event.key, owner) != owner:
            return self.broken("shared", f"{who} took the place of another owner's", before, here)
        asking.stored = here
        if asking.answered is None:
            return self.broken("unanswered", f"{who} was kept before there was one", here)
        accepted = asking.accepted[1]
        if accepted.cache == Caching.BYPASS:
            said = f"{who} was kept although it bypasses the cache"
            return self.broken("unwanted", said, asking.accepted, here)
        life = self._rule.life(accepted.operation)
        fresh_s, stale_s = event.fresh_until - event.at_s, event.stale_until - event.fresh_until
        if abs(fresh_s - life.ttl_s) > _ROUNDING or abs(stale_s - life.stale_for_s) > _ROUNDING:
            said = f"{who} is kept for {fresh_s:.3f} s and {stale_s:.3f} s, not as configured"
            return self.broken("life", said, asking.accepted, here)
        return crowded

    def _evicted(self, seq: int, event: CacheEvicted) -> Violation | None:
        here, who = (seq, event), f"entry {event.key[:8]}"
        if event.key not in self._kept:
            return self.broken("gone", f"{who} is gone, and was not there", here)
        crowded, first = self._over_bounds, next(iter(self._kept))
        kept = self._kept.pop(event.key)
        self._owners.pop(event.key, None)
        self._size -= kept[1].size
        if not self._over_bounds:
            self._crowded = None
        if event.why == "cleared":
            return None
        if event.why == "expired":
            if event.at_s >= kept[1].stale_until - _ROUNDING:
                return None
            return self.broken("early", f"{who} was dropped before its time", kept, here)
        if not crowded:
            return self.broken("roomy", f"{who} had to go although there was room", kept, here)
        if first != event.key:
            said = f"{who} had to go, and another one was used less recently"
            return self.broken("order", said, self._kept.get(first), kept, here)
        return None

    @property
    def _over_bounds(self) -> bool:
        return len(self._kept) > self._rule.max_entries or self._size > self._rule.max_bytes

    def _no_room(self) -> Violation | None:
        crowded, self._crowded = self._crowded, None
        if crowded is None:
            return None
        said = f"{len(self._kept)} entries of {self._size} bytes are kept, more than the bounds"
        return self.broken("bounds", said, crowded)

    # Told

    def _outcome(self, seq: int, event: RequestOutcome) -> Violation | None:
        asking, here = self._live.pop(event.request, None), (seq, event)
        if asking is None or event.status in _GONE:
            return None
        given = asking.given
        if given is None:
            if event.cached and not asking.joined:
                said = f"{event.request} says that its answer is an old one, and was given none"
                return self.broken("not given", said, here)
            if asking.stored is not None and event.status != "ok":
                said = f"{event.request} ended as {event.status}, and its answer was kept"
                return self.broken("kept", said, asking.stored, here)
            return None
        told = "degraded" if given[1].stale else "ok"
        if event.status != told or not event.cached:
            said = f"{event.request} was given an old answer, and ended as {event.status}"
            return self.broken("told", said, given, here)
        if not given[1].stale and event.cost_usd:
            said = f"{event.request} was given an old answer, and is booked for it"
            return self.broken("booked", said, given, here)
        return None

    def end(self) -> Violation | None:
        """The last one kept had room as well."""
        return self._no_room()
