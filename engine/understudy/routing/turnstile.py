"""Lets requests in, as far as the limits of whoever asks allow it: before anybody is asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from understudy.routing.owed import Owed
from understudy.routing.payers import payers
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.domain.errors import OverLimit
from understudy_actors.domain.outcome import POLICY, ErrorClass
from understudy_actors.domain.request import ChatInput
from understudy_actors.domain.result import Result
from understudy_actors.ledger.account import Scope
from understudy_actors.limits.actor import Enter, Leave, ReplaceLimits, SetLimit
from understudy_actors.limits.gate import RateLimit, TooFast
from understudy_actors.provider.rates import RATE_LIMITED
from understudy_actors.runtime.actor import Ref
from understudy_actors.runtime.errors import ActorError
from understudy_actors.runtime.ports import Clock

_NOTHING: Final = (0, 0, 0)


class Turnstile:
    """Asks the limits' actor for each request, and tells it how the request ended."""

    def __init__(self, limits: Ref, clock: Clock, kinds: Iterable[str]) -> None:
        """Make one; `kinds` are those of scope that any limit is about."""
        self._limits = limits
        self._clock = clock
        self._kinds = tuple(sorted(set(kinds)))
        self._owed = Owed[Leave | SetLimit | ReplaceLimits](limits)

    def set(self, scope: Scope, limit: RateLimit | None) -> None:
        """From now on this is the limit of one scope; None takes it out."""
        self._kinds = tuple(sorted({*self._kinds, scope.kind}))
        self._owed.tell(SetLimit(scope, limit))

    def replace(self, limits: tuple[RateLimit, ...]) -> None:
        """From now on these are all limits there are."""
        self._owed.tell(ReplaceLimits(limits))

    def enter(self, flight: Flight) -> None:
        """Let a request in; it is marked with a number, by which it is told to leave.

        Raises:
            OverLimit: It would pass a limit; nothing was counted.
        """
        scopes = payers(self._kinds, flight.request, "")
        if not scopes:
            return
        body, output = flight.request.input, flight.output_tokens
        if isinstance(body, ChatInput) and body.max_tokens is not None:
            output = body.max_tokens
        self._owed.tell()
        try:
            answer: int | TooFast = self._limits.ask_now(Enter(scopes, flight.input_tokens, output))
        except ActorError as error:  # whom nobody can count is not let in
            raise self._refused(f"the limits' actor is {error.why}", error.retry_at) from None
        if isinstance(answer, TooFast):
            why = "is used up" if answer.why == RATE_LIMITED else f"is in the way: {answer.why}"
            raise self._refused(f"a limit ({answer.limit}) {why}", answer.retry_at)
        flight.entered = answer

    def leave(self, flight: Flight, result: Result | None, seen: Flight) -> None:
        """A request that was let in has ended; `seen` is what was seen through for it."""
        reached = result is not None or bool(seen.attempts)
        now = self._clock.now()
        self._owed.tell(Leave(flight.entered, now, _used(seen, result), reached))
        flight.entered = 0

    def _refused(self, why: str, retry_at: float | None) -> OverLimit:
        after_s, advice = None, "Raise it, or ask for less."
        if retry_at is not None:
            after_s = max(0.0, retry_at - self._clock.now())
            advice = f"Try again in {after_s:.1f} s."
        return OverLimit(
            f"{why}. {advice} Nothing was called.", retry_at=retry_at, retry_after_s=after_s
        )


def _used(flight: Flight, result: Result | None) -> tuple[int, int, int] | None:
    """The tokens of its answer; without one, nothing, unless somebody may have billed for it.

    An answer out of the cache is none: it is what others did in vain that counts.
    """
    if result is not None and not result.cached:
        usage = result.usage
        if usage.estimated:
            return None
        return usage.input_tokens, usage.output_tokens, usage.cached_tokens
    errors = (each.error for each in flight.attempts)
    billed = any(error is not None and POLICY[ErrorClass(error)].billed for error in errors)
    return None if billed else _NOTHING
