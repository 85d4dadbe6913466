"""The events that one actor's life leaves in the trace. With nobody listening, none is built."""

from __future__ import annotations

from typing import Any

from understudy_actors.domain.events import (
    ActorCrashed,
    ActorGaveUp,
    ActorRestarted,
    ActorStarted,
    ActorStopped,
    AskClosed,
    AskOpened,
    DeadLetter,
    SlowTurn,
    TurnEnded,
)
from understudy_actors.runtime.ports import Clock
from understudy_actors.runtime.trace import Trace


class Herald:
    """Emits the events of the actor called `name`."""

    __slots__ = ("_asks", "_clock", "_name", "_trace")

    def __init__(self, name: str, clock: Clock, trace: Trace) -> None:
        self._name = name
        self._clock = clock
        self._trace = trace
        self._asks = 0

    def started(self, incarnation: int) -> None:
        """It runs for the first time."""
        if self._trace.on:
            at_s = self._clock.now()
            self._trace.emit(ActorStarted(at_s=at_s, actor=self._name, incarnation=incarnation))

    def restarted(self, incarnation: int, down_at: float, why: str) -> None:
        """It runs again, having been down since `down_at`."""
        if self._trace.on:
            at_s = self._clock.now()
            self._trace.emit(
                ActorRestarted(
                    at_s=at_s,
                    actor=self._name,
                    incarnation=incarnation,
                    backoff_s=at_s - down_at,
                    why=why,
                )
            )

    def crashed(self, incarnation: int, kind: str, error: Exception) -> None:
        """It raised `error` over a message of `kind`; of the error, only the type is told."""
        if self._trace.on:
            self._trace.emit(
                ActorCrashed(
                    at_s=self._clock.now(),
                    actor=self._name,
                    incarnation=incarnation,
                    error=type(error).__name__,
                    message_kind=kind,
                )
            )

    def gave_up(self, restarts: int, retry_at: float | None) -> None:
        """It is not restarted before `retry_at`, after `restarts` in its period."""
        if self._trace.on:
            at_s = self._clock.now()
            self._trace.emit(
                ActorGaveUp(at_s=at_s, actor=self._name, restarts=restarts, retry_at=retry_at)
            )

    def stopped(self, place: int) -> None:
        """It has ended for good, having been started in this `place`."""
        if self._trace.on:
            at_s = self._clock.now()
            self._trace.emit(ActorStopped(at_s=at_s, actor=self._name, place=place))

    def waiting(self, deadline_s: float) -> int:
        """Somebody has to wait for its reply; returns the number of that wait."""
        self._asks += 1
        at_s = self._clock.now()
        self._trace.emit_fine(
            AskOpened(at_s=at_s, actor=self._name, ask=self._asks, deadline=deadline_s)
        )
        return self._asks

    def waited(self, ask: int, how: str) -> None:
        """A wait for its reply is over."""
        self._trace.emit_fine(AskClosed(at_s=self._clock.now(), actor=self._name, ask=ask, how=how))

    def dead_letter(self, message: Any, why: str) -> None:
        """`message` found nobody."""
        if self._trace.on:
            at_s, kind = self._clock.now(), type(message).__name__
            self._trace.emit(DeadLetter(at_s=at_s, actor=self._name, message_kind=kind, why=why))

    def turned(
        self, message: Any, number: int, sent: int, began: int, lane: str | None = None
    ) -> None:
        """A turn is over; see `TurnEnded`."""
        self._trace.emit_turn(
            TurnEnded(
                at_s=self._clock.now(),
                actor=self._name,
                message=number,
                message_kind=type(message).__name__,
                sent=sent,
                began=began,
                ended=self._trace.seq + 1,
                lane=lane,
            )
        )

    def slow(self, message: Any, elapsed_s: float) -> None:
        """A turn took long."""
        if self._trace.on:
            at_s, kind = self._clock.now(), type(message).__name__
            self._trace.emit(
                SlowTurn(at_s=at_s, actor=self._name, message_kind=kind, elapsed_s=elapsed_s)
            )
