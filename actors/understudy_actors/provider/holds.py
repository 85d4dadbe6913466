"""Holds: a scope waits because it was told to, not because it broke.

    held ──its time comes, or a hand clears it──▶ free                       RATE BUSY MODEL MANUAL
    held ──its time comes──▶ unproven ──the lone probe succeeds──▶ free      CREDIT AUTH
             ▲                  └─the same error again: twice as long──┐
             └─────────────────────────────────────────────────────────┘

Each kind of hold is kept apart, so that a short one of one kind never hides how another one ends.
A hold that no provider gave an end to has a bounded length: only a hand holds for ever.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import attrs
from msgspec import Struct
from msgspec.structs import replace

from understudy_actors.domain.outcome import HoldKind, Verdict
from understudy_actors.provider.gate import Refusal
from understudy_actors.provider.policy import DEFAULT_HOLDS, HoldPolicy

_LADDER: Final = frozenset((HoldKind.CREDIT, HoldKind.AUTH))
_BRIEF: Final = frozenset((HoldKind.RATE, HoldKind.BUSY))
_LEVEL_MAX: Final = 32  # doubling is over its cap long before
_ENDED_MAX: Final = 32  # there are six kinds; the owner drains after each operation


class Hold(Struct, frozen=True):
    """A scope waits.

    Attributes:
        kind: What for.
        until: Seconds on the engine's clock; infinity: until a hand clears it.
        why: For people; the kind's name if nothing better is known.
        origin: When the call that brought it was dispatched, or else when it was set.
    """

    kind: HoldKind
    until: float
    why: str
    origin: float


class HeldUntil(Struct, frozen=True):
    """A hold in a snapshot; `until` is None for one without an end."""

    kind: HoldKind
    until: float | None
    why: str
    origin: float


class Ladder(Struct, frozen=True):
    """How often the same error came back, and when it was last believed."""

    level: int
    set_at: float


class HoldsSnapshot(Struct, frozen=True):
    """All that the holds know but the probe; times are on the engine's clock."""

    held: tuple[HeldUntil, ...] = ()
    ladders: dict[HoldKind, Ladder] = {}

    def moved(self, by_s: float) -> HoldsSnapshot:
        """The same on a clock that shows `by_s` more, such as another process's."""
        return HoldsSnapshot(
            tuple(
                replace(
                    each,
                    until=None if each.until is None else each.until + by_s,
                    origin=each.origin + by_s,
                )
                for each in self.held
            ),
            {kind: replace(each, set_at=each.set_at + by_s) for kind, each in self.ladders.items()},
        )


@attrs.define(slots=True, repr=False, eq=False)
class Holds:
    """The holds of one scope, at most one of each kind.

    Attributes:
        policy: Lengths.
        ended: Holds whose time came, not drained yet, oldest first.
    """

    policy: HoldPolicy = DEFAULT_HOLDS
    ended: deque[Hold] = attrs.field(factory=lambda: deque(maxlen=_ENDED_MAX), init=False)
    _held: dict[HoldKind, Hold] = attrs.field(factory=dict, init=False)
    _ladders: dict[HoldKind, Ladder] = attrs.field(factory=dict, init=False)
    _probe: int | None = attrs.field(default=None, init=False)
    _lease_end: float = attrs.field(default=math.inf, init=False)

    def set(
        self,
        now: float,
        kind: HoldKind,
        until: float | None = None,
        *,
        dispatched_at: float | None = None,
        why: str | None = None,
    ) -> Hold | None:
        """Hold the scope.

        Args:
            now: The time.
            kind: What for.
            until: The end. RATE and BUSY need one: the provider's, or a back-off. For CREDIT,
                AUTH and MODEL it is the provider's own, if it stated one, else the policy's
                length is taken. For MANUAL none means until cleared. Ends further ahead than
                the policy's `stated_cap_s` are cut to it, except by hand.
            dispatched_at: When the call that brought this was dispatched. A stated end may
                shorten a hold that an earlier-dispatched call brought; nothing else shortens one.
            why: For people, short, without secrets.

        Returns:
            The hold of this kind that is now in force; None if its end is not ahead.

        Raises:
            ValueError: RATE or BUSY without an end; nothing changed.
        """
        if until is None and kind in _BRIEF:
            raise ValueError(f"a {kind.name} hold needs `until`: the stated end, or a back-off")
        self.tick(now)
        origin = now if dispatched_at is None else dispatched_at
        if until is not None and until <= now and kind not in _BRIEF:
            until = None  # an end that is over says nothing about when to come back
        stated = until is not None and dispatched_at is not None
        end = self._end(now, kind, until, origin)
        held = self._held.get(kind)
        if held is None and end <= now:
            return None
        if held is not None and end <= held.until and not (stated and origin > held.origin):
            return held
        hold = self._held[kind] = Hold(kind, end, why or kind.value, origin)
        self.tick(now)
        return hold if end > now else None

    def clear(self, now: float, kind: HoldKind | None = None) -> list[Hold]:
        """End the holds of one kind, or all, and forget what led to them; returns those ended."""
        self.tick(now)
        kinds = list(HoldKind) if kind is None else [kind]
        for each in kinds:
            self._ladders.pop(each, None)
        if not self._ladders:
            self._return_probe()
        return [self._held.pop(each) for each in kinds if each in self._held]

    def active(self, now: float) -> Hold | None:
        """The hold that ends last, or None if nothing holds the scope at `now`."""
        held = [hold for hold in self._held.values() if hold.until > now]
        return max(held, key=lambda hold: hold.until, default=None)

    def check(self, now: float) -> Refusal | None:
        """Would an attempt be refused at `now`? Changes nothing but what was due."""
        if not self._held and not self._ladders:
            return None
        self.tick(now)
        if (hold := self.active(now)) is not None:
            return Refusal(None if hold.until == math.inf else hold.until, hold.why)
        return Refusal(self._lease_end, "probing") if self._probe is not None else None

    def admit(self, now: float, permit: int, timeout_s: float) -> bool:
        """Admit the attempt that `check` let pass in the same turn.

        Args:
            now: The same time as the check's.
            permit: Its id, unique in this scope.
            timeout_s: The attempt's timeout: a probe is lent for this and the grace time.

        Returns:
            True if it is the lone probe that finds out whether a CREDIT or AUTH hold is over.
        """
        if not self._held and not self._ladders:
            return False
        assert self.check(now) is None, f"{self!r} refuses: ask `check` first, in the same turn"
        if not self._ladders:
            return False
        self._probe = permit
        self._lease_end = now + timeout_s + self.policy.lease_grace_s
        return True

    def is_probe(self, permit: int) -> bool:
        """Is this permit the lone probe, lent right now?"""
        return self._probe == permit

    def release(self, now: float, permit: int, verdict: Verdict) -> None:
        """Take a permit back. A probe that succeeded proves the scope; any other just returns.

        The error that set the hold does not come through here but through `set`, before or after.
        """
        if not self._ladders:
            return
        self.tick(now)
        if self._probe != permit:
            return
        self._return_probe()
        if verdict is Verdict.OK:
            self._ladders = {k: each for k, each in self._ladders.items() if k in self._held}

    def tick(self, now: float) -> None:
        """End the holds and the lease whose time has come by `now`."""
        if now >= self._lease_end:
            self._return_probe()
        over = [hold for hold in self._held.values() if hold.until <= now]
        for hold in sorted(over, key=lambda hold: hold.until):
            del self._held[hold.kind]
            self.ended.append(hold)

    def of(self, kind: HoldKind) -> Hold | None:
        """The hold of one kind, over or not."""
        return self._held.get(kind)

    @property
    def kinds(self) -> list[HoldKind]:
        """What it is held for, and whose end has to be proven."""
        return [kind for kind in HoldKind if kind in self._held or kind in self._ladders]

    @property
    def idle(self) -> bool:
        """Does nothing hold the scope, and does nothing have to be proven?"""
        return not self._held and not self._ladders

    def next_at(self) -> float | None:
        """The next time at which something ends by itself; None if nothing does."""
        first = min((hold.until for hold in self._held.values()), default=math.inf)
        first = min(first, self._lease_end)
        return None if first == math.inf else first

    def snapshot(self) -> HoldsSnapshot:
        """Everything but the probe, as plain data."""
        held = (
            HeldUntil(
                each.kind, None if each.until == math.inf else each.until, each.why, each.origin
            )
            for each in self._held.values()
        )
        return HoldsSnapshot(tuple(held), dict(self._ladders))

    def restore(self, snapshot: HoldsSnapshot, now: float) -> None:
        """Go on from a snapshot: without its probe, and with no end further ahead than allowed."""
        latest = now + max(self.policy.cap_s, self.policy.model_s, self.policy.stated_cap_s)
        self._return_probe()
        self._held = {}
        for each in snapshot.held:
            until = math.inf if each.until is None else each.until
            if each.kind is not HoldKind.MANUAL:
                until = min(until, latest)
            self._held[each.kind] = Hold(each.kind, until, each.why, each.origin)
        self._ladders = {k: each for k, each in snapshot.ladders.items() if k in _LADDER}
        self.tick(now)

    def _end(self, now: float, kind: HoldKind, until: float | None, origin: float) -> float:
        """When a hold set at `now` ends."""
        policy = self.policy
        if kind is HoldKind.MANUAL:
            return math.inf if until is None else until
        if kind in _LADDER:
            level = self._climb(now, kind, origin)
            if until is None:
                first_s = policy.credit_s if kind is HoldKind.CREDIT else policy.auth_s
                return now + min(policy.cap_s, first_s * 2.0 ** (level - 1))
        elif kind is HoldKind.MODEL and until is None:
            return now + policy.model_s
        assert until is not None, kind
        return min(until, now + policy.stated_cap_s)

    def _climb(self, now: float, kind: HoldKind, origin: float) -> int:
        """One step up if the error came back after its hold's end; returns the level, from 1."""
        ladder = self._ladders.get(kind)
        if ladder is None:
            level = 1
        elif kind in self._held or origin < ladder.set_at:
            level = ladder.level  # a call from before the hold: known, and answered already
        else:
            level = min(_LEVEL_MAX, ladder.level + 1)
        self._ladders[kind] = Ladder(level, now)
        self._return_probe()
        return level

    def _return_probe(self) -> None:
        self._probe = None
        self._lease_end = math.inf

    def __repr__(self) -> str:
        names = [f"{each.why}, until {each.until:.3f} s" for each in self._held.values()]
        names += [f"{kind.value}, to be proven" for kind in self._ladders if kind not in self._held]
        return f"<Holds {'; '.join(names) or 'none'}>"
