"""What an operator does by hand: holds, resets, breakers, strategies, and reports of own calls."""

from __future__ import annotations

import math
from collections.abc import Sequence

from understudy.assembly import Parts
from understudy_actors.dispatcher.messages import SetStrategy
from understudy_actors.dispatcher.strategies.base import Strategy
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.errors import InvalidRequest
from understudy_actors.domain.outcome import POLICY, ErrorClass, Verdict
from understudy_actors.ledger.account import Scope
from understudy_actors.provider.messages import (
    Admin,
    HoldScope,
    ReleaseScope,
    Report,
    ResetScope,
    SetAdmin,
)


class Controls:
    """Turns names into the actors they stand for, and words into messages."""

    def __init__(self, parts: Parts, operations: frozenset[str], strategies: set[str]) -> None:
        self._parts = parts
        self._operations = operations
        self._strategies = strategies

    def hold(self, name: str, seconds: float | None) -> None:
        """Hold a provider or an endpoint, for a time or until `release`."""
        if seconds is not None:
            _seconds("seconds", seconds, more_than_none=True)
        until = math.inf if seconds is None else self._parts.ports.clock.now() + seconds
        provider, endpoint = self._scope(name)
        self._parts.providers[provider].tell(HoldScope(until, endpoint))

    def release(self, name: str) -> None:
        """End every hold of a provider or an endpoint."""
        provider, endpoint = self._scope(name)
        self._parts.providers[provider].tell(ReleaseScope(endpoint))

    def reset(self, name: str | None) -> None:
        """Forget what was observed of a provider, an endpoint, or all."""
        for each in [name] if name is not None else list(self._parts.providers):
            provider, endpoint = self._scope(each)
            self._parts.providers[provider].revive()
            self._parts.providers[provider].tell(ResetScope(endpoint))

    def administer(self, name: str, state: Admin) -> None:
        """Put a breaker into an admin state, or take it out."""
        provider, endpoint = self._scope(name)
        self._parts.providers[provider].tell(SetAdmin(state, endpoint))

    def set_strategy(self, strategy: str | Strategy, operation: str | None) -> None:
        """Switch the strategy of the engine or of one operation."""
        if operation is not None and operation not in self._operations:
            known = ", ".join(sorted(self._operations))
            raise InvalidRequest(f"there is no operation {operation!r}: use one of {known}")
        if not isinstance(strategy, str):
            self._strategies.add(strategy.name)
        elif strategy not in self._strategies:
            known = ", ".join(sorted(self._strategies))
            raise InvalidRequest(f"there is no strategy {strategy!r}: use one of {known}")
        self._parts.wiring.dispatcher.tell(SetStrategy(strategy, operation))

    def thaw(self, scope: Scope) -> None:
        """Lend again under the budgets of a scope."""
        purse = self._parts.wiring.purse
        known = () if purse is None else {each.limit.scope for each in purse.standing()}
        if purse is None or scope not in known:
            listed = ", ".join(map(str, sorted(known))) or "none"
            raise InvalidRequest(f"there is no budget of {scope}: there is {listed}")
        purse.thaw(scope)

    def report(
        self,
        provider: str,
        model: str | None,
        error: ErrorClass | None,
        elapsed_s: float | None,
        retry_after_s: float | None = None,
    ) -> None:
        """Take the end of a call that the caller made; None for `error` is a success."""
        for what, seconds in (("elapsed_s", elapsed_s), ("retry_after_s", retry_after_s)):
            if seconds is not None:
                _seconds(what, seconds)
        verdict = Verdict.OK if error is None else POLICY[error].verdict
        for candidate in self.named(provider if model is None else f"{provider}/{model}"):
            self._parts.providers[candidate.spec.provider].tell(
                Report(candidate.name, verdict, error, elapsed_s, retry_after_s)
            )

    def named(self, name: str) -> Sequence[Candidate]:
        """The endpoints that a provider's or an endpoint's name stands for.

        Raises:
            InvalidRequest: There is none of that name.
        """
        own = [c for c in self._parts.candidates if name in (c.name, c.spec.provider)]
        if not own:
            known = ", ".join([*self._parts.providers, *(c.name for c in self._parts.candidates)])
            raise InvalidRequest(f"there is no provider {name!r}: use one of {known}")
        return own

    def _scope(self, name: str) -> tuple[str, str | None]:
        """A provider, or one endpoint of it."""
        if name in self._parts.providers:
            return name, None
        return self.named(name)[0].spec.provider, name


def _seconds(what: str, seconds: float, *, more_than_none: bool = False) -> None:
    """Refuse what is no length of time."""
    good = isinstance(seconds, int | float) and math.isfinite(seconds) and seconds >= 0
    if not good or (more_than_none and seconds == 0):
        least = "more than 0" if more_than_none else "0 or more"
        raise InvalidRequest(f"{what} is {seconds!r}: it must be a number of seconds, {least}")


def error_class(error: ErrorClass | str) -> ErrorClass:
    """The error class of a name.

    Raises:
        InvalidRequest: There is none of that name.
    """
    try:
        return ErrorClass(error)
    except ValueError:
        known = ", ".join(ErrorClass)
        raise InvalidRequest(f"there is no error class {error!r}: use one of {known}") from None
