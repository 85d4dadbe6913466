"""Traces written by hand: one short call an event, with times that only grow."""

from __future__ import annotations

from typing import Any

from understudy_actors.domain import events as e
from understudy_actors.domain.events import Event
from understudy_sim.check import Rules, Violation, Watch
from understudy_sim.check.rules import DEFAULT
from understudy_sim.world_events import FaultBegan, FaultEnded, Quiet


class Tape:
    """A trace in the making. `at` sets the time, everything else adds an event at that time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.events: list[tuple[int, Event]] = []

    def at(self, now: float) -> Tape:
        self.now = now
        return self

    def add(self, kind: type[Event], *, at_s: float | None = None, **fields: Any) -> Tape:
        moment = self.now if at_s is None else at_s
        self.events.append((len(self.events) + 1, kind(at_s=moment, **fields)))
        return self

    # Requests

    def accept(self, request: str = "r", deadline: float = 100.0, **fields: Any) -> Tape:
        fields = {"operation": "chat", **fields}
        return self.add(e.RequestAccepted, request=request, deadline=deadline, **fields)

    def decide(
        self,
        *ranked: str,
        request: str = "r",
        strategy: str = "adaptive",
        out: dict[str, str] | None = None,
    ) -> Tape:
        return self.add(
            e.Decided, request=request, strategy=strategy, ranked=ranked, left_out=out or {}
        )

    def admit(
        self, attempt: int = 1, endpoint: str = "p/m", request: str = "r", **fields: Any
    ) -> Tape:
        fields = {"generation": 0, **fields}
        return self.add(
            e.AttemptAdmitted, attempt=attempt, request=request, endpoint=endpoint, **fields
        )

    def refuse(
        self, reason: str, retry_at: float | None = None, endpoint: str = "p/m", request: str = "r"
    ) -> Tape:
        return self.add(
            e.AttemptRefused, request=request, endpoint=endpoint, reason=reason, retry_at=retry_at
        )

    def dispatch(self, attempt: int = 1, endpoint: str = "p/m", request: str = "r") -> Tape:
        return self.add(e.AttemptDispatched, attempt=attempt, request=request, endpoint=endpoint)

    def ended(
        self,
        verdict: str = "ok",
        attempt: int = 1,
        endpoint: str = "p/m",
        request: str = "r",
        **fields: Any,
    ) -> Tape:
        return self.add(
            e.AttemptEnded,
            attempt=attempt,
            request=request,
            endpoint=endpoint,
            verdict=verdict,
            **fields,
        )

    def pause(
        self, wait_s: float = 1.0, endpoint: str = "p/m", request: str = "r", why: str = "retry"
    ) -> Tape:
        return self.add(
            e.RetryScheduled, request=request, endpoint=endpoint, wait_s=wait_s, why=why
        )

    def queue(self, request: str = "r") -> Tape:
        return self.pause(0.0, "", request, "slot")

    def token(self, request: str = "r", left: float = 9.0) -> Tape:
        return self.add(e.RetryToken, request=request, left=left)

    def failover(self, source: str, target: str, request: str = "r") -> Tape:
        return self.add(e.FailedOver, request=request, source=source, target=target, why="server")

    def outcome(self, status: str = "ok", request: str = "r", **fields: Any) -> Tape:
        return self.add(e.RequestOutcome, request=request, status=status, **fields)

    # Scopes

    def lend(self, permit: int = 1, scope: str = "p/m", generation: int = 0, **fields: Any) -> Tape:
        return self.add(e.PermitTaken, permit=permit, scope=scope, generation=generation, **fields)

    def back(
        self,
        verdict: str = "ok",
        permit: int = 1,
        scope: str = "p/m",
        generation: int = 0,
        **fields: Any,
    ) -> Tape:
        return self.add(
            e.PermitReleased,
            permit=permit,
            scope=scope,
            generation=generation,
            verdict=verdict,
            **fields,
        )

    def slot(self, in_flight: int = 1, permit: int = 1, endpoint: str = "p/m") -> Tape:
        return self.add(e.SlotTaken, endpoint=endpoint, permit=permit, in_flight=in_flight)

    def free(self, in_flight: int = 0, permit: int = 1, endpoint: str = "p/m") -> Tape:
        return self.add(e.SlotFreed, endpoint=endpoint, permit=permit, in_flight=in_flight)

    def count(
        self, verdict: str = "failed", permit: int = 1, generation: int = 0, scope: str = "p/m"
    ) -> Tape:
        return self.add(
            e.BreakerCounted, scope=scope, permit=permit, generation=generation, verdict=verdict
        )

    def stale(self, permit: int = 1, generation: int = 0, scope: str = "p/m") -> Tape:
        return self.add(e.BreakerStale, scope=scope, permit=permit, generation=generation)

    def move(
        self,
        source: str,
        target: str,
        generation: int,
        why: str = "",
        scope: str = "p/m",
        **fields: Any,
    ) -> Tape:
        return self.add(
            e.BreakerMoved,
            scope=scope,
            source=source,
            target=target,
            generation=generation,
            why=why or f"to {target}",
            **fields,
        )

    def open(
        self, until: float, generation: int = 1, exponent: int = 1, scope: str = "p/m", **also: Any
    ) -> Tape:
        also = {"why": "failures in a row", **also}
        return self.move(
            "closed", "open", generation, scope=scope, until=until, exponent=exponent, **also
        )

    def half_open(self, generation: int = 2, exponent: int = 1, scope: str = "p/m") -> Tape:
        return self.move("open", "half-open", generation, "cooldown over", scope, exponent=exponent)

    def close(self, generation: int = 3, exponent: int = 1, scope: str = "p/m") -> Tape:
        return self.move(
            "half-open", "closed", generation, "probes succeeded", scope, exponent=exponent
        )

    def hold(
        self, until: float, why: str = "rate limited", scope: str = "p/m", **also: Any
    ) -> Tape:
        return self.add(e.HoldSet, scope=scope, until=until, why=why, **also)

    def clear(self, why: str = "rate limited", how: str = "over", scope: str = "p/m") -> Tape:
        return self.add(e.HoldCleared, scope=scope, why=f"{why}: {how}")

    def limit(self, limit: float, endpoint: str = "p/m") -> Tape:
        return self.add(e.LimitSet, endpoint=endpoint, limit=limit)

    def score(self, cause: str, endpoint: str = "p/m", **fields: Any) -> Tape:
        fields = {"success": 0.9, "latency_s": 1.0, **fields}
        return self.add(e.ScoreSet, endpoint=endpoint, cause=cause, **fields)

    def scores(self, cause: str, times: int, endpoint: str = "p/m") -> Tape:
        for _ in range(times):
            self.score(cause, endpoint)
        return self

    # Actors and world

    def start(self, actor: str = "provider/p") -> Tape:
        return self.add(e.ActorStarted, actor=actor, incarnation=1)

    def crash(self, actor: str = "provider/p", incarnation: int = 1) -> Tape:
        return self.add(
            e.ActorCrashed, actor=actor, incarnation=incarnation, error="Bug", message_kind="Settle"
        )

    def restart(self, actor: str = "provider/p", incarnation: int = 2, why: str = "crash") -> Tape:
        return self.add(
            e.ActorRestarted, actor=actor, incarnation=incarnation, backoff_s=0.1, why=why
        )

    def give_up(self, actor: str = "provider/p", retry_at: float | None = 300.0) -> Tape:
        return self.add(e.ActorGaveUp, actor=actor, restarts=5, retry_at=retry_at)

    def stop(self, actor: str = "provider/p", place: int = 0) -> Tape:
        return self.add(e.ActorStopped, actor=actor, place=place)

    def turn(
        self,
        message: int,
        lane: str | None = None,
        *,
        sent: int | None = None,
        began: int | None = None,
        actor: str = "dispatcher",
    ) -> Tape:
        """A turn that ends now; unless told otherwise it was sent and began just before."""
        last = len(self.events)
        return self.add(
            e.TurnEnded,
            actor=actor,
            message=message,
            message_kind="Rank",
            sent=last if sent is None else sent,
            began=last if began is None else began,
            ended=last + 1,
            lane=lane,
        )

    def turns(self, count: int, lane: str, first: int = 1) -> Tape:
        for number in range(first, first + count):
            self.turn(number, lane)
        return self

    def fault(self) -> Tape:
        return self.add(FaultBegan, fault="0", fault_kind="status", target="p")

    def quiet(self) -> Tape:
        self.add(FaultEnded, fault="0", fault_kind="status", target="p")
        return self.add(Quiet)

    def tick(self) -> Tape:
        """Something without meaning, so that time is seen to go on."""
        return self.add(e.HealthChecked, provider="nobody", ok=True, elapsed_s=0.0)


def breaks(monitor: type[Watch], tape: Tape, rules: Rules = DEFAULT) -> list[Violation]:
    """What one monitor alone has to say."""
    watch = monitor(rules)
    found = [watch.on(seq, event) for seq, event in tape.events]
    return [each for each in (*found, watch.end()) if each is not None]
