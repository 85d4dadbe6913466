"""The actor that owns the limits of whoever asks: a turn lets a request in everywhere, or nowhere.

A crash forgets nothing: the limits outlive their actor, as rates of providers do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from understudy_actors.ledger.account import Scope
from understudy_actors.limits.gate import Limits, LimitsSnapshot, RateLimit, TooFast
from understudy_actors.runtime.actor import Context


class Enter(Struct, frozen=True, gc=False):
    """May a request of these scopes, which may use so many tokens, be served now?

    Answer: its number, or `TooFast`.
    """

    scopes: tuple[Scope, ...]
    input_tokens: int
    output_tokens: int


class Leave(Struct, frozen=True, gc=False):
    """A request ended `at` that time; see `Limits.leave`. It may be heard much later."""

    number: int
    at: float
    used: tuple[int, int, int] | None
    reached: bool


class SetLimit(Struct, frozen=True):
    """From now on this is the limit of a scope; None takes it out. See `Limits.set`."""

    scope: Scope
    limit: RateLimit | None


class ReplaceLimits(Struct, frozen=True):
    """From now on these are all limits there are. See `Limits.replace`."""

    limits: tuple[RateLimit, ...]


class TakeLimits(Struct, frozen=True):
    """Answers the `LimitsSnapshot` of now."""


class LimitsActor:
    """Lets in, and takes back."""

    def __init__(self, context: Context, limits: Limits, poison: object = None) -> None:
        """Build it.

        Args:
            context: Clock and the place for snapshots.
            limits: New ones, or those of the last incarnation.
            poison: The message whose turn took that one down; the end of a request is made good.
        """
        self._now = context.now
        self._limits = limits
        self._turns: dict[type, Callable[[Any], Any]] = {
            Enter: self._enter,
            Leave: self._leave,
            TakeLimits: self._take,
            SetLimit: self._set,
            ReplaceLimits: self._replace,
        }
        context.save(limits)
        if isinstance(poison, Leave):
            self._leave(poison)
        elif isinstance(poison, SetLimit):
            self._set(poison)
        elif isinstance(poison, ReplaceLimits):
            self._replace(poison)

    def receive(self, message: Any) -> Any:
        """One turn."""
        return self._turns[type(message)](message)

    def _enter(self, message: Enter) -> int | TooFast:
        return self._limits.enter(
            message.scopes, self._now(), message.input_tokens, message.output_tokens
        )

    def _take(self, _message: TakeLimits) -> LimitsSnapshot:
        return self._limits.snapshot(self._now())

    def _set(self, message: SetLimit) -> None:
        self._limits.set(message.scope, message.limit)

    def _replace(self, message: ReplaceLimits) -> None:
        self._limits.replace(message.limits)

    def _leave(self, message: Leave) -> None:
        self._limits.leave(message.number, message.at, message.used, reached=message.reached)
