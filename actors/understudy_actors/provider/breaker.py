"""Circuit breaker: a pure state machine with generations, permits and probe leases.

    CLOSED ──failures in a row, or a share of failures──▶ OPEN
    OPEN ──cooldown over──▶ HALF_OPEN ──probes succeed──▶ CLOSED
                             └─a probe fails, hangs, or too many say nothing──▶ OPEN
    any ──isolate──▶ ISOLATED     any ──disable──▶ DISABLED     both ──enable──▶ CLOSED

It never reads a clock: `now` comes in, a decision goes out. Transitions that time makes happen at
the moment when they were due, not when somebody noticed, so many ticks equal one late tick.
Every transition raises the generation; a verdict from an earlier one moves nothing, because calls
that last longer than a cooldown report about a world that is gone.

Sources: Nygard, "Release It!" (the states); gobreaker (generations); Finagle (equal jitter);
Semian (probes that must succeed); Envoy (the fading multiplier, slow start); linkerd2-proxy (a run
and a windowed share side by side); Polly (isolation by hand, the time of retry in a refusal).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Final

import attrs

from understudy_actors.domain.outcome import Verdict
from understudy_actors.provider.gate import Refusal
from understudy_actors.provider.policy import BreakerPolicy
from understudy_actors.provider.transitions import BreakerSnapshot, Move, State
from understudy_actors.provider.windows import Window

# Module constants: member access through the class costs a descriptor call on CPython 3.11.
_CLOSED, _OPEN, _HALF_OPEN = State.CLOSED, State.OPEN, State.HALF_OPEN
_ISOLATED, _DISABLED = State.ISOLATED, State.DISABLED
_OK, _FAIL, _VOID = Verdict.OK, Verdict.FAIL, Verdict.VOID
_ISOLATED_REFUSAL: Final = Refusal(None, "isolated")
_MOVES_MAX: Final = 64  # one operation makes three at most; the owner drains after each


@attrs.define(slots=True, repr=False, eq=False)
class Breaker:
    """One scope's breaker. Its owner gives back every permit exactly once, whatever happens.

    Attributes:
        policy: Thresholds and times.
        draw: Gives uniform numbers in [0, 1), for the jitter.
        generation: Raised by each transition. A breaker built in place of one that died starts
            from the highest generation the scope has had, or old permits would count again.
        run: Failures since the last success, without any decay in time: a run that aged would
            never trip on sparse traffic.
        until: End of the cooldown while OPEN, else None.
        moves: Transitions not drained yet, oldest first.
    """

    policy: BreakerPolicy
    _draw: Callable[[], float]
    generation: int = 0
    state: State = attrs.field(default=State.CLOSED, init=False)
    run: int = attrs.field(default=0, init=False)
    until: float | None = attrs.field(default=None, init=False)
    moves: deque[Move] = attrs.field(factory=lambda: deque(maxlen=_MOVES_MAX), init=False)
    _exponent: int = attrs.field(default=0, init=False)  # as of `_since`
    _since: float = attrs.field(default=-math.inf, init=False)
    _due: float = attrs.field(default=math.inf, init=False)
    _ramp_end: float = attrs.field(default=-math.inf, init=False)
    _ok_in_row: int = attrs.field(default=0, init=False)
    _inconclusive: int = attrs.field(default=0, init=False)
    _probes: dict[int, float] = attrs.field(factory=dict, init=False)
    _top: int = attrs.field(init=False)
    _windowed: bool = attrs.field(init=False)
    _short: Window = attrs.field(init=False)
    _long: Window = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        policy = self.policy
        self._top = policy.top_exponent
        self._windowed = policy.ratio is not None or policy.growth
        self._short = Window(policy.short_window_s, policy.short_buckets)
        self._long = Window(policy.long_window_s, policy.long_buckets)

    def configure(self, policy: BreakerPolicy, now: float) -> None:
        """Another policy from now on; what was seen stays, and a cooldown ends when it would."""
        if policy == self.policy:
            return
        seen = self._short.dump(), self._long.dump()
        self.policy = policy
        self.__attrs_post_init__()
        self._short.load(seen[0], now)
        self._long.load(seen[1], now)
        self._exponent = min(self._exponent, self._top)

    def check(self, now: float) -> Refusal | None:
        """Would an attempt be refused at `now`? Changes nothing but what was due."""
        if self.state is _CLOSED:
            return None
        self.tick(now)
        if self.state is _OPEN:
            return Refusal(self.until, "open")
        if self.state is _HALF_OPEN and len(self._probes) >= self.policy.max_probes:
            return Refusal(self._due, "probing")
        if self.state is _ISOLATED:
            return _ISOLATED_REFUSAL
        return None

    def admit(self, now: float, permit: int, timeout_s: float) -> int:
        """Admit the attempt that `check` let pass in the same turn.

        Args:
            now: The same time as the check's.
            permit: Its id, unique in this scope.
            timeout_s: The attempt's timeout: a probe is lent for this and the grace time.

        Returns:
            The generation, which comes back with the permit.
        """
        if self.state is not _CLOSED:
            assert self.check(now) is None, f"{self!r} refuses: ask `check` first, in the same turn"
            if self.state is _HALF_OPEN:
                self._probes[permit] = now + timeout_s + self.policy.lease_grace_s
                self._due = min(self._probes.values())
        return self.generation

    def is_probe(self, permit: int) -> bool:
        """Is this permit a probe that is lent right now?"""
        return permit in self._probes

    def release(
        self,
        now: float,
        permit: int,
        generation: int,
        verdict: Verdict,
        retry_after_s: float | None = None,
        duration_s: float = 0.0,
    ) -> bool:
        """Take a permit back with its verdict.

        Args:
            now: The time.
            permit, generation: As in `admit`.
            verdict: What the attempt says about this scope.
            retry_after_s: The provider's own delay, a floor for the cooldown that may follow.
            duration_s: How long the attempt took; a slow failed probe is followed by a longer
                cooldown.

        Returns:
            True if it was heard: lent in the current generation and not back yet. False if it
            was stale and changed nothing.
        """
        if self.state is not _CLOSED:
            self.tick(now)
        if generation != self.generation:
            return False
        if self.state is _CLOSED:
            if verdict is _OK:
                self.run = 0
                if self._windowed:
                    self._short.add_ok(now)
                    self._long.add_ok(now)
            elif verdict is _FAIL:
                self._count_failure(now, retry_after_s)
            return True
        if self.state is _HALF_OPEN:
            return self._settle_probe(now, permit, verdict, retry_after_s, duration_s)
        return True

    def tick(self, now: float) -> None:
        """Make the transitions that were due by `now`, each at the time when it was due."""
        while now >= self._due:
            if self.state is _OPEN:
                self._enter(self._due, _HALF_OPEN, "cooldown over")
            else:
                self._open(self._due, "lease over", grow=False)

    def next_at(self) -> float | None:
        """When the next transition is due if nothing else happens; None if none is."""
        return None if self._due == math.inf else self._due

    def exponent(self, now: float) -> int:
        """Which cooldown came last (1 is the first), less one for each calm time closed since."""
        if self._exponent and self.state is _CLOSED:
            return max(0, self._exponent - int((now - self._since) // self.policy.calm_s))
        return self._exponent

    def ramp(self, now: float) -> float:
        """Slow start: the share of its usual weight, rising to 1 after it closed."""
        if now >= self._ramp_end:
            return 1.0
        return max(self.policy.ramp_floor, 1.0 - (self._ramp_end - now) / self.policy.ramp_s)

    def isolate(self, now: float) -> None:
        """Refuse everything until `enable`."""
        self._administer(now, _ISOLATED, "isolated")

    def disable(self, now: float) -> None:
        """Admit everything and count nothing until `enable`."""
        self._administer(now, _DISABLED, "disabled")

    def enable(self, now: float) -> None:
        """End `isolate` or `disable`: CLOSED. Changes nothing in other states."""
        self.tick(now)
        if self.state is _ISOLATED or self.state is _DISABLED:
            self._enter(now, _CLOSED, "enabled")

    def reset(self, now: float) -> None:
        """Forget all evidence: CLOSED, unless isolated or disabled, which it stays."""
        self.tick(now)
        self._exponent = 0
        if self.state is not _ISOLATED and self.state is not _DISABLED:
            self._enter(now, _CLOSED, "reset")
            self._ramp_end = -math.inf

    def snapshot(self) -> BreakerSnapshot:
        """Everything but the probes, as plain data."""
        return BreakerSnapshot(
            state=self.state,
            generation=self.generation,
            exponent=self._exponent,
            until=self.until,
            since=0.0 if self._since == -math.inf else self._since,
            ramp_end=None if self._ramp_end == -math.inf else self._ramp_end,
            run=self.run,
            ok_in_row=self._ok_in_row,
            inconclusive=self._inconclusive,
            short=tuple(self._short.dump()),
            long=tuple(self._long.dump()),
        )

    def restore(self, snapshot: BreakerSnapshot | None, now: float) -> None:
        """Go on from a snapshot with the generation raised and all probes dropped.

        None, or one that makes no sense under this policy, means that nothing is known: HALF_OPEN
        with exponent 1, so that one attempt finds out.
        """
        if snapshot is None or not self._usable(snapshot, now):
            if snapshot is not None:
                self.generation = max(self.generation, snapshot.generation)
            self._exponent = 1
            self._enter(now, _HALF_OPEN, "snapshot unusable")
            return
        self.generation = max(self.generation, snapshot.generation)
        self.state = snapshot.state
        self._exponent = max(0, min(snapshot.exponent, self._top))
        self._enter(now, snapshot.state, "restored", until=snapshot.until)
        self._due = max(self._due, now)  # one that ran out meanwhile is over now, not earlier
        self._since = min(snapshot.since, now)
        self._ramp_end = -math.inf if snapshot.ramp_end is None else snapshot.ramp_end
        self.run = snapshot.run
        self._ok_in_row = snapshot.ok_in_row
        self._inconclusive = snapshot.inconclusive
        self._short.load(snapshot.short, now)
        self._long.load(snapshot.long, now)

    def _usable(self, snapshot: BreakerSnapshot, now: float) -> bool:
        if snapshot.state is not _OPEN:
            return snapshot.until is None
        # Further ahead than any cooldown reaches: another clock's time, not a cooldown.
        return snapshot.until is not None and snapshot.until <= now + self.policy.longest_s

    def _count_failure(self, now: float, retry_after_s: float | None) -> None:
        self.run += 1
        if self._windowed:
            self._short.add_bad(now)
            self._long.add_bad(now)
        if (why := self._trips()) is not None:
            self._open(now, why, grow=True, retry_after=retry_after_s)

    def _trips(self) -> str | None:
        """Why it opens on the failure just counted, or None."""
        policy = self.policy
        if self.run >= policy.run_threshold and self.run >= policy.threshold(self._long.n):
            return "failures in a row"
        if policy.ratio is not None:
            short, long = self._short, self._long
            if short.n >= policy.short_min and short.bad >= policy.ratio * short.n:
                return "share of failures, short window"
            if long.n >= policy.long_min and long.bad >= policy.ratio * long.n:
                return "share of failures, long window"
        return None

    def _settle_probe(
        self,
        now: float,
        permit: int,
        verdict: Verdict,
        retry_after_s: float | None,
        duration_s: float,
    ) -> bool:
        if self._probes.pop(permit, None) is None:
            return False  # back already: it holds no slot any more
        self._due = min(self._probes.values(), default=math.inf)
        if verdict is _VOID:
            return True
        if verdict is _OK:
            self._inconclusive = 0
            self._ok_in_row += 1
            if self._ok_in_row >= self.policy.close_after:
                self._enter(now, _CLOSED, "probes succeeded")
        elif verdict is _FAIL:
            self._open(
                now, "probe failed", grow=True, retry_after=retry_after_s, probe_s=duration_s
            )
        else:  # reachable, or not heard: no evidence, but it must not go on for ever
            self._inconclusive += 1
            if self._inconclusive >= self.policy.inconclusive_limit:
                self._open(now, "probes inconclusive", grow=False, retry_after=retry_after_s)
        return True

    def _open(
        self,
        at_s: float,
        why: str,
        *,
        grow: bool,
        retry_after: float | None = None,
        probe_s: float = 0.0,
    ) -> None:
        """Start a cooldown; `grow` makes it the next longer one."""
        policy = self.policy
        self._exponent = min(self._top, self.exponent(at_s) + grow)
        cooldown_s = policy.full_s(self._exponent)
        if policy.jitter:  # equal, not full: a full one may probe at once
            cooldown_s = cooldown_s / 2 + self._draw() * cooldown_s / 2
        floor_s = min(2 * probe_s, policy.slow_probe_cap_s)
        if retry_after is not None:
            floor_s = max(floor_s, min(retry_after, policy.retry_after_cap_s))
        until = at_s + max(cooldown_s, floor_s)
        self._enter(at_s, _OPEN, why, until=until, retry_after=retry_after)

    def _administer(self, now: float, target: State, why: str) -> None:
        self.tick(now)
        if self.state is not target:
            self._exponent = self.exponent(now)
            self._enter(now, target, why)

    def _enter(
        self,
        at_s: float,
        target: State,
        why: str,
        *,
        until: float | None = None,
        retry_after: float | None = None,
    ) -> None:
        """Perform a transition. Nothing else does."""
        source, self.state = self.state, target
        self.generation += 1
        self.until = until
        self._due = math.inf if until is None else until
        self._since = at_s
        recovered = source is _HALF_OPEN and target is _CLOSED
        self._ramp_end = at_s + self.policy.ramp_s if recovered else -math.inf
        self.run = self._ok_in_row = self._inconclusive = 0
        self._probes.clear()
        self._short.clear()
        self._long.clear()
        self.moves.append(
            Move(at_s, source, target, self.generation, why, until, self._exponent, retry_after)
        )

    def __repr__(self) -> str:
        if self.state is _OPEN:
            return f"<Breaker open, until {self.until:.3f} s>"
        if self.state is _HALF_OPEN:
            return (
                f"<Breaker half-open, {len(self._probes)} of {self.policy.max_probes} probes out>"
            )
        if self.state is _CLOSED:
            return f"<Breaker closed, {self.run} failures in a row>"
        return f"<Breaker {self.state.value}>"
