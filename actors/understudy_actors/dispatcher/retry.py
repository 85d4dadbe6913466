"""What comes after a failed attempt: here again, elsewhere, or the end. Pure decisions.

The order: fail over at once to somebody untried; else the same endpoint after a back-off, if that
can help; else end with one typed error. Under `priority` the order of candidates is a preference,
so a target that answered or broke is asked once more before failing over, and a short `Retry-After`
is waited for.
"""

from __future__ import annotations

import enum
from typing import Final

import attrs
from msgspec import Struct

from understudy_actors.domain.outcome import POLICY, ErrorClass, Verdict

_BROKE: Final = frozenset(
    {ErrorClass.SERVER, ErrorClass.TIMEOUT, ErrorClass.CONNECT, ErrorClass.RESET}
)
"""It answered or broke, rather than staying silent: worth one more look."""


class Backoff(Struct, frozen=True):
    """Waits before the n-th retry on the same endpoint, in seconds, with full jitter.

    Exponential: base, 2·base, 4·base, ...; linear: base, 2·base, 3·base, ...; both up to `cap_s`.
    Full jitter draws uniformly from zero to that value (AWS, "Exponential Backoff And Jitter").
    """

    kind: str = "exponential"
    base_s: float = 1.0
    cap_s: float = 20.0
    jitter: bool = True

    def ceiling_s(self, retry: int) -> float:
        """The longest wait before retry number `retry` (from 1)."""
        steps = float(retry) if self.kind == "linear" else 2.0 ** min(retry - 1, 60)
        return min(self.cap_s, self.base_s * steps)

    def wait_s(self, retry: int, draw: float) -> float:
        """The wait before retry number `retry`; `draw` is uniform in [0, 1)."""
        ceiling = self.ceiling_s(retry)
        return ceiling * draw if self.jitter else ceiling


class RetryRule(Struct, frozen=True, kw_only=True):
    """How often and after what one provider is asked again.

    Attributes:
        attempts: Retries on the same endpoint within one request, at most.
        backoff: Waits between them.
        patience_s: Under `priority`, a `Retry-After` up to this is waited for before failing over.
        on: The error classes that may be retried here; None takes those where it can help and is
            not billed twice. A silent target is asked again only if `silent` is named here.
    """

    attempts: int = 4
    backoff: Backoff = Backoff()
    patience_s: float = 2.5
    on: frozenset[ErrorClass] | None = None


@attrs.define(slots=True)
class RetryBudget:
    """Tokens for retries on the same endpoint: first attempts and failovers never need one.

    A share of the accepted requests plus a trickle by time, capped, so that retries cannot multiply
    the load on an endpoint that is already failing (after Finagle's RetryBudget).
    """

    ratio: float = 0.2
    per_second: float = 0.2
    cap: float = 20.0
    tokens: float = 10.0
    _as_of: float | None = None

    def configure(self, ratio: float, per_second: float, cap: float) -> None:
        """Other numbers from now on; what is left is kept, up to the cap."""
        self.ratio, self.per_second, self.cap = ratio, per_second, cap
        self.tokens = min(self.tokens, cap)

    def deposit(self) -> None:
        """A request was accepted."""
        tokens = self.tokens + self.ratio
        self.tokens = tokens if tokens < self.cap else self.cap

    def covers(self, now: float) -> bool:
        """Is there a token for one more try now?"""
        if self._as_of is not None:
            self.tokens = min(self.cap, self.tokens + (now - self._as_of) * self.per_second)
        self._as_of = now
        return self.tokens >= 1.0

    def withdraw(self, now: float) -> bool:
        """Take one token for a retry or a second copy, if there is one."""
        if not self.covers(now):
            return False
        self.tokens -= 1.0
        return True


class GuardRule(Struct, frozen=True):
    """Failover guard of one target (after gRPC's retry throttling, one bucket an endpoint).

    A target starts with `cap` tokens, loses `fail` for each failure and regains `ok` for each
    success; requests fail over onto it only while it has more than `floor`.
    """

    cap: float = 10.0
    floor: float = 5.0
    fail: float = 1.0
    ok: float = 0.1

    def after(self, tokens: float, verdict: Verdict) -> float:
        """The bucket after an attempt with this verdict, clamped to 0..cap."""
        if verdict is Verdict.OK:
            return min(self.cap, tokens + self.ok)
        if verdict is Verdict.FAIL:
            return max(0.0, tokens - self.fail)
        return tokens


class Move(enum.Enum):
    """The kinds of next step."""

    HERE = "here"  # the same endpoint, after a wait
    ELSEWHERE = "elsewhere"  # another endpoint, at once
    END = "end"  # nobody else may be asked


class Failure(Struct, frozen=True, kw_only=True):
    """The facts about a failed attempt that decide what comes next.

    `ready_at` is when the endpoint's own gates would admit again; `min_useful_s` the shortest time
    in which an answer from it makes sense.
    """

    error: ErrorClass
    retry_after_s: float | None = None
    ready_at: float = 0.0
    min_useful_s: float = 1.0


def may_retry_here(failure: Failure, rule: RetryRule, retries_here: int) -> bool:
    """Can asking the same endpoint again help, and is it allowed to?"""
    if retries_here >= rule.attempts:
        return False
    return POLICY[failure.error].here if rule.on is None else failure.error in rule.on


def prefers_here(failure: Failure, rule: RetryRule, retries_here: int) -> bool:
    """Under an order that is a preference: stay with this target once more before failing over?"""
    if retries_here >= 1 or not may_retry_here(failure, rule, retries_here):
        return False
    if POLICY[failure.error].verdict is Verdict.THROTTLE:
        hint = failure.retry_after_s
        return hint is not None and hint <= rule.patience_s
    return failure.error in (_BROKE if rule.on is None else rule.on)


def wait_here_s(
    failure: Failure, rule: RetryRule, retries_here: int, now: float, draw: float
) -> float:
    """Seconds to wait before asking the same endpoint again: `Retry-After` is a floor."""
    return max(
        rule.backoff.wait_s(retries_here + 1, draw),
        failure.retry_after_s or 0.0,
        failure.ready_at - now,
    )


def fits(wait_s: float, failure: Failure, now: float, deadline: float) -> bool:
    """Is there time left for the wait and a useful answer after it?"""
    return now + wait_s + failure.min_useful_s <= deadline
