"""How well and how quickly one endpoint has been answering: what strategies and reports read.

    w        = exp(-(now - last) / 30 s)                   the past's weight in a moving average
    success <- success * min(w, 0.9) + y * (1 - min(w, 0.9))               y = 1 OK, 0 FAIL
    latency <- latency * w + x * (1 - w)                   first token, time per further token
    reading  = prior + (value - prior) * exp(-(now - last) / 120 s)

Averages are lazily decayed: no timers, and a reading changes nothing. A reading fades to the prior
(its peers' median, or full success), or an endpoint that was slow once would never be tried again.

A failure is not a latency sample: fast ones would make a dead endpoint look quick. A call cut
short tells only that it would have lasted longer: it is kept as a lower bound with the weight of
one sample, which may raise a reading and never lower it, whatever the prior; each success fades it.

Source: Eckner, "Algorithms for Unevenly Spaced Time Series: Moving Averages and Other Rolling
Operators"; Finagle's peak EWMA, without the peak, which chases the length of single answers.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import attrs
from msgspec import Struct
from msgspec.structs import replace

from understudy_actors.domain.candidate import StreamRule
from understudy_actors.provider.patience import patience_s, quantile
from understudy_actors.provider.silence import Silence

_TAU_S: Final = 30.0
_FADE_S: Final = 120.0
_SUCCESS_STEP: Final = 0.9  # one outcome weighs at least 1 - this, however many arrive
_SUCCESS_MIN: Final = 0.05
_SAMPLES: Final = 64
_PATIENCE_S: Final = 10.0  # a shorter wait than this proves nothing against anybody
_PATIENCE_FACTOR: Final = 4.0
_ROUNDING_S: Final = 1e-6  # (start + timeout) - start may fall short of timeout


class HealthSnapshot(Struct, frozen=True):
    """All that is known; `…_seen` are on the engine's clock, `last_…_at` on the wall's."""

    attempts: int = 0
    oks: int = 0
    failures: int = 0
    consecutive_failures: int = 0
    ok_total_s: float = 0.0
    last_ok_at: float | None = None
    last_fail_at: float | None = None
    success: float = 1.0
    success_seen: float | None = None
    base_s: float = 0.0
    per_token_s: float = 0.0
    in_parts: bool = False
    latency_seen: float | None = None
    bound_s: float = 0.0
    bound_weight: float = 0.0
    bound_seen: float | None = None
    latencies: tuple[float, ...] = ()
    first_tokens: tuple[float, ...] = ()
    gaps: tuple[float, ...] = ()
    stream_seen: float | None = None

    def moved(self, by_s: float) -> HealthSnapshot:
        """The same on an engine clock that shows `by_s` more, such as another process's."""
        return replace(
            self,
            success_seen=None if self.success_seen is None else self.success_seen + by_s,
            latency_seen=None if self.latency_seen is None else self.latency_seen + by_s,
            bound_seen=None if self.bound_seen is None else self.bound_seen + by_s,
            stream_seen=None if self.stream_seen is None else self.stream_seen + by_s,
        )


@attrs.define(slots=True, repr=False, eq=False)
class Health:
    """One endpoint's score and counters.

    Attributes:
        attempts: Dispatched attempts that ended, whatever the verdict.
        oks, failures: Those that succeeded, and those that were evidence against it.
        consecutive_failures: Failures since the last success.
        last_ok_at, last_fail_at: Seconds since the Unix epoch; None: never yet.
    """

    attempts: int = attrs.field(default=0, init=False)
    oks: int = attrs.field(default=0, init=False)
    failures: int = attrs.field(default=0, init=False)
    consecutive_failures: int = attrs.field(default=0, init=False)
    last_ok_at: float | None = attrs.field(default=None, init=False)
    last_fail_at: float | None = attrs.field(default=None, init=False)
    _ok_total_s: float = attrs.field(default=0.0, init=False)
    _success: float = attrs.field(default=1.0, init=False)
    _success_seen: float = attrs.field(default=-math.inf, init=False)
    _base_s: float = attrs.field(default=0.0, init=False)  # first token, or the whole if unknown
    _per_token_s: float = attrs.field(default=0.0, init=False)
    _in_parts: bool = attrs.field(default=False, init=False)
    _latency_seen: float = attrs.field(default=-math.inf, init=False)
    _bound_s: float = attrs.field(default=0.0, init=False)
    _bound_weight: float = attrs.field(default=0.0, init=False)
    _bound_seen: float = attrs.field(default=-math.inf, init=False)
    _latencies: deque[float] = attrs.field(factory=lambda: deque(maxlen=_SAMPLES), init=False)
    _first_tokens: deque[float] = attrs.field(factory=lambda: deque(maxlen=_SAMPLES), init=False)
    _gaps: deque[float] = attrs.field(factory=lambda: deque(maxlen=_SAMPLES), init=False)
    _stream_seen: float = attrs.field(default=-math.inf, init=False)
    _p50_s: float | None = attrs.field(default=None, init=False)  # of `_latencies`, if computed
    _silence: Silence = attrs.field(factory=Silence, init=False)

    def on_ok(
        self,
        now: float,
        wall: float,
        total_s: float,
        first_token_s: float | None = None,
        output_tokens: int = 0,
    ) -> None:
        """An attempt succeeded.

        Args:
            now, wall: The time on the engine's clock, and since the Unix epoch.
            total_s: How long it took.
            first_token_s: How long until its first token, if that was seen, <= total_s.
            output_tokens: How many tokens it brought; 0 if that means nothing here.
        """
        self.attempts += 1
        self.oks += 1
        self.consecutive_failures = 0
        self.last_ok_at = wall
        self._ok_total_s += total_s
        self._latencies.append(total_s)
        self._p50_s = None
        if self._success < 1.0:
            kept = min(math.exp((self._success_seen - now) / _TAU_S), _SUCCESS_STEP)
            self._success = self._success * kept + (1.0 - kept)
        self._success_seen = now
        kept = math.exp((self._latency_seen - now) / _TAU_S)
        self._latency_seen = now
        self._bound_weight *= kept
        if first_token_s is None and not self._in_parts:
            self._base_s = self._base_s * kept + total_s * (1.0 - kept)
        else:
            self._fold_parts(kept, total_s, first_token_s, output_tokens)

    def on_stream(self, now: float, gap_s: float | None) -> None:
        """A stream that `on_ok` was told of had `gap_s` as its longest silence between tokens."""
        self._stream_seen = now
        if gap_s is not None:
            self._gaps.append(gap_s)

    def on_fail(self, now: float, wall: float, cut_off_s: float | None = None) -> None:
        """An attempt was evidence against the endpoint.

        Args:
            now, wall: The time on the engine's clock, and since the Unix epoch.
            cut_off_s: How long it had lasted, if it was a timeout; None for any other failure.
        """
        self.attempts += 1
        self.failures += 1
        self.consecutive_failures += 1
        self.last_fail_at = wall
        kept = min(math.exp((self._success_seen - now) / _TAU_S), _SUCCESS_STEP)
        self._success *= kept
        self._success_seen = now
        if cut_off_s is not None:
            self._bound(now, cut_off_s)

    def on_other(self, now: float, cut_off_s: float | None = None) -> None:
        """A dispatched attempt ended that says nothing about success: NEUTRAL or THROTTLE.

        `cut_off_s` is how long it had lasted, if a deadline or its caller ended it.
        """
        self.attempts += 1
        if cut_off_s is not None:
            self._bound(now, cut_off_s)

    def left_unanswered(self, now: float, waited_s: float) -> None:
        """The attempt that `on_fail` or `on_other` was told of had heard nothing when it ended."""
        if self.p50_s is not None and waited_s >= self.p50_s:
            self._silence.left(now, waited_s, self._latency_seen)

    def answered(self, now: float) -> None:
        """The attempt that `on_fail` or `on_other` was told of had got some answer."""
        self._silence.answered(now)

    def success(self, now: float) -> float:
        """The share of attempts to expect to succeed, in [0.05, 1]."""
        if self._success == 1.0:
            return 1.0
        fade = math.exp((self._success_seen - now) / _FADE_S)
        return max(_SUCCESS_MIN, 1.0 - (1.0 - self._success) * fade)

    def latency_s(self, now: float, output_tokens: float, prior_s: float) -> float:
        """The seconds to expect for an answer of `output_tokens`.

        `prior_s` is what to expect of an endpoint nobody has heard of: its peers' median.
        """
        fade = math.exp((self._latency_seen - now) / _FADE_S)
        expected = self._base_s + output_tokens * self._per_token_s
        expected = prior_s + (expected - prior_s) * fade
        if self._bound_weight:
            bound = self._bound_s * math.exp((self._bound_seen - now) / _FADE_S)
            if bound > expected:
                expected += (bound - expected) * self._bound_weight
        return expected

    def seconds_per_success(self, now: float, output_tokens: float, prior_s: float) -> float:
        """The seconds to spend on it for one good answer: `latency_s` over `success`."""
        if self._bound_weight or self._success != 1.0:
            return self.latency_s(now, output_tokens, prior_s) / self.success(now)
        # As `latency_s`, without calling it: each ranking asks this of every candidate.
        fade = math.exp((self._latency_seen - now) / _FADE_S)
        expected = self._base_s + output_tokens * self._per_token_s
        return prior_s + (expected - prior_s) * fade

    @property
    def mean_s(self) -> float | None:
        """The mean latency of all successes, in seconds; None before the first."""
        return self._ok_total_s / self.oks if self.oks else None

    @property
    def p50_s(self) -> float | None:
        """The median latency of the last 64 successes, in seconds; None before the first."""
        if self._p50_s is None:
            self._p50_s = quantile(self._latencies, 0.5)
        return self._p50_s

    def latency_quantile(self, q: float) -> float | None:
        """A quantile of the last 64 successes' latency, in seconds; None before the first."""
        return quantile(self._latencies, q)

    @property
    def first_tokens(self) -> int:
        """How many first-token times are remembered, 64 at most."""
        return len(self._first_tokens)

    def first_token_quantile(self, q: float) -> float | None:
        """A quantile of the last 64 first-token times, in seconds; None before the first."""
        return quantile(self._first_tokens, q)

    @property
    def min_useful_s(self) -> float:
        """With less time left than this an attempt is not worth its price."""
        return max(1.0, (self.p50_s or 0.0) / 2)

    def silence_s(self, now: float, rule: StreamRule) -> tuple[float, float]:
        """How long a stream may be silent: before its first token, and between two tokens.

        See `patience`.
        """
        age_s = now - self._stream_seen
        return (
            patience_s(self._first_tokens, age_s, rule.first_token_min_s, rule.first_token_max_s),
            patience_s(self._gaps, age_s, rule.gap_min_s, rule.gap_max_s),
        )

    def timeout_is_failure(
        self, now: float, elapsed_s: float, attempt_timeout_s: float, *, heard: bool = False
    ) -> bool:
        """Does a call cut off now, after `elapsed_s`, count against the endpoint?

        Only if it had all of its configured timeout, or much longer than usual: a deadline
        shorter than what an answer needs is the caller's affair, or one impatient caller would
        open the breaker for everybody. Or if it had the usual time, and with those before it the
        endpoint has left everybody unanswered for as long as that (see `silence`), unless a part
        of its answer was `heard`.
        """
        p50_s = self.p50_s
        long_s = max(_PATIENCE_S, _PATIENCE_FACTOR * (self.p50_s or 0.0)) - _ROUNDING_S
        if elapsed_s >= min(long_s, attempt_timeout_s - _ROUNDING_S):
            return True
        if heard or p50_s is None or elapsed_s < p50_s:
            return False
        return self._silence.with_one_more(now, elapsed_s, self._latency_seen) >= long_s

    def snapshot(self) -> HealthSnapshot:
        """Everything, as plain data."""
        return HealthSnapshot(
            attempts=self.attempts,
            oks=self.oks,
            failures=self.failures,
            consecutive_failures=self.consecutive_failures,
            ok_total_s=self._ok_total_s,
            last_ok_at=self.last_ok_at,
            last_fail_at=self.last_fail_at,
            success=self._success,
            success_seen=_known(self._success_seen),
            base_s=self._base_s,
            per_token_s=self._per_token_s,
            in_parts=self._in_parts,
            latency_seen=_known(self._latency_seen),
            bound_s=self._bound_s,
            bound_weight=self._bound_weight,
            bound_seen=_known(self._bound_seen),
            latencies=tuple(self._latencies),
            first_tokens=tuple(self._first_tokens),
            gaps=tuple(self._gaps),
            stream_seen=_known(self._stream_seen),
        )

    def restore(self, snapshot: HealthSnapshot, now: float) -> None:
        """Go on from a snapshot; what it saw after `now` was seen now."""
        self.attempts = snapshot.attempts
        self.oks = snapshot.oks
        self.failures = snapshot.failures
        self.consecutive_failures = snapshot.consecutive_failures
        self._ok_total_s = snapshot.ok_total_s
        self.last_ok_at = snapshot.last_ok_at
        self.last_fail_at = snapshot.last_fail_at
        self._success = snapshot.success
        self._success_seen = _seen(snapshot.success_seen, now)
        self._base_s = snapshot.base_s
        self._per_token_s = snapshot.per_token_s
        self._in_parts = snapshot.in_parts
        self._latency_seen = _seen(snapshot.latency_seen, now)
        self._bound_s = snapshot.bound_s
        self._bound_weight = snapshot.bound_weight
        self._bound_seen = _seen(snapshot.bound_seen, now)
        self._latencies = deque(snapshot.latencies, maxlen=_SAMPLES)
        self._first_tokens = deque(snapshot.first_tokens, maxlen=_SAMPLES)
        self._gaps = deque(snapshot.gaps, maxlen=_SAMPLES)
        self._stream_seen = _seen(snapshot.stream_seen, now)
        self._p50_s = None

    def _fold_parts(
        self, kept: float, total_s: float, first_token_s: float | None, output_tokens: int
    ) -> None:
        """Fold first-token time and time per further token, as far as this success knows them."""
        if first_token_s is None:
            if not output_tokens:
                return
            first_token_s = min(self._base_s, total_s)  # not streamed: the tokens took the rest
        else:
            if not self._in_parts:  # whole latencies and first tokens do not mix
                self._in_parts, kept = True, 0.0
            self._first_tokens.append(first_token_s)
            self._base_s = self._base_s * kept + first_token_s * (1.0 - kept)
        if output_tokens:
            each_s = max(0.0, total_s - first_token_s) / output_tokens
            self._per_token_s = self._per_token_s * kept + each_s * (1.0 - kept)

    def _bound(self, now: float, cut_off_s: float) -> None:
        """Believe that answers last at least so long, with the weight of one sample."""
        if cut_off_s < self._bound_s * math.exp((self._bound_seen - now) / _FADE_S):
            return
        kept = math.exp((max(self._latency_seen, self._bound_seen) - now) / _TAU_S)
        self._bound_s = cut_off_s
        # In this form no rounding can lower the weight.
        self._bound_weight += (1.0 - self._bound_weight) * (1.0 - kept)
        self._bound_seen = now

    def __repr__(self) -> str:
        return f"<Health {self.failures} of {self.attempts} attempts failed>"


def _known(seen: float) -> float | None:
    return None if seen == -math.inf else seen


def _seen(seen: float | None, now: float) -> float:
    return -math.inf if seen is None else min(seen, now)
