"""Laws of the actors: restarts are bounded, asks end, time goes on, nothing outlives the end."""

from __future__ import annotations

from collections import deque
from typing import Final

from understudy_actors.domain.events import (
    ActorCrashed,
    ActorGaveUp,
    ActorRestarted,
    ActorStarted,
    ActorStopped,
    AskClosed,
    AskOpened,
    AttemptRefused,
    BreakerMoved,
    Decided,
    Event,
    PermitTaken,
    RequestAccepted,
    RequestOutcome,
)
from understudy_sim.check.agenda import Agenda
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.violation import Violation, Watch, Witness
from understudy_sim.world_events import EngineKilled

_INTENSITY: Final = {"dispatcher": (3, 60.0)}
_USUAL: Final = (5, 30.0)  # restarts, within seconds
_BACKOFF_S, _BACKOFF_MAX_S, _QUIET_S, _JITTER = 0.1, 30.0, 60.0, 0.2
_REVIVED: Final = "revived"
_ROUNDING_S: Final = 1e-3


class Asks(Watch):
    """S23. Asks that are answered in their own turn never open."""

    name = "S23"
    claim = "whoever waits for a reply stops waiting exactly once, by their deadline"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._open: Agenda[tuple[int, AskOpened]] = Agenda(rules.late_s)
        self._highest: dict[str, int] = {}
        self._late: set[object] = set()
        self.hears = {AskOpened: self._opened, AskClosed: self._closed}

    def _opened(self, seq: int, event: AskOpened) -> None:
        self._highest[event.actor] = event.ask
        self._open.add((event.actor, event.ask), event.deadline, (seq, event))
        self.due = self._open.due

    def _closed(self, seq: int, event: AskClosed) -> Violation | None:
        key = event.actor, event.ask
        known = event.ask <= self._highest.get(event.actor, 0)
        if self._open.drop(key) is not None or not known:
            return None
        if key in self._late:
            self._late.discard(key)
            return None
        said = f"wait {event.ask} for a reply of {event.actor} ended twice"
        return self.broken("twice", said, (seq, event))

    def late(self, seq: int, event: Event) -> Violation | None:
        """A deadline has passed."""
        late = self._open.overdue(event.at_s)
        self.due = self._open.due
        self._late.update(key for key, _ in late)
        for _, opened in late:
            said = f"somebody waits for a reply of {opened[1].actor} beyond their deadline"
            return self.broken("late", said, opened, (seq, event))
        return None

    def end(self) -> Violation | None:
        """Nobody waits."""
        for opened in self._open.things():
            said = f"somebody still waits for a reply of {opened[1].actor}"
            return self.broken("open", said, opened)
        return None


class _Life:
    """What one actor went through lately."""

    __slots__ = ("crashed", "crashes", "doublings", "gave_up", "incarnation", "over")

    def __init__(self) -> None:
        self.crashes: deque[float] = deque()
        self.crashed: tuple[int, ActorCrashed] | None = None
        self.doublings = 0
        self.over = False  # the last crash was one too many
        self.gave_up: tuple[int, ActorGaveUp] | None = None
        self.incarnation = 0


class Restarts(Watch):
    """S24. A restart by hand is nobody's back-off, and says so."""

    name = "S24"
    claim = "an actor restarts after its back-off, and no more often than its intensity allows"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._lives: dict[str, _Life] = {}
        self.hears = {
            ActorCrashed: self._crashed,
            ActorGaveUp: self._gave_up,
            ActorRestarted: self._restarted,
        }

    def _crashed(self, seq: int, event: ActorCrashed) -> None:
        if event.message_kind == "stop":
            return  # it said goodbye badly; it was down already
        life = self._lives.setdefault(event.actor, _Life())
        now, before = event.at_s, life.crashed
        if before is None or now - before[1].at_s >= _QUIET_S:
            life.doublings = 0
        else:
            life.doublings += 1
        most, period_s = _INTENSITY.get(event.actor, _USUAL)
        while life.crashes and life.crashes[0] <= now - period_s:
            life.crashes.popleft()
        life.over = len(life.crashes) >= most
        if not life.over:
            life.crashes.append(now)
        life.crashed, life.gave_up = (seq, event), None

    def _gave_up(self, seq: int, event: ActorGaveUp) -> Violation | None:
        life = self._lives.get(event.actor)
        if life is None:
            return None
        life.gave_up = here = seq, event
        if life.over:
            return None
        said = f"{event.actor} was given up after {len(life.crashes)} crashes in its period"
        return self.broken("gave up early", said, life.crashed, here)

    def _restarted(self, seq: int, event: ActorRestarted) -> Violation | None:
        life = self._lives.get(event.actor)
        if life is None:
            return None
        here: Witness = (seq, event)
        before, life.incarnation = life.incarnation, event.incarnation
        if event.incarnation <= before:
            said = f"{event.actor} restarted as incarnation {event.incarnation} again"
            return self.broken("incarnation", said, here)
        if event.why == _REVIVED or life.crashed is None:
            return None
        if life.gave_up is not None:
            retry_at = life.gave_up[1].retry_at
            if retry_at is not None and event.at_s >= retry_at - _ROUNDING_S:
                return None
            said = f"{event.actor} restarted before its pause was over"
            return self.broken("pause", said, life.gave_up, here)
        if life.over:
            said = f"{event.actor} restarted more often than its intensity allows"
            return self.broken("intensity", said, life.crashed, here)
        full_s = min(_BACKOFF_MAX_S, _BACKOFF_S * 2.0 ** min(life.doublings, 60))
        waited_s = event.at_s - life.crashed[1].at_s
        if waited_s >= full_s * (1 - _JITTER) - _ROUNDING_S:
            return None
        said = f"{event.actor} restarted {waited_s:.3f} s after a crash, its back-off is {full_s} s"
        return self.broken("back-off", said, life.crashed, here)


class Returns(Watch):
    """L10. Whoever depends on others that are down waits for them: nobody else is down then."""

    name = "L10"
    claim = "an actor that crashed is up again when its longest back-off, or its pause, is over"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._down: Agenda[Witness] = Agenda(rules.late_s)
        self.hears = {
            ActorCrashed: self._crashed,
            ActorGaveUp: self._gave_up,
            ActorRestarted: self._up,
            ActorStopped: self._up,
            EngineKilled: self._killed,
        }

    def _crashed(self, seq: int, event: ActorCrashed) -> None:
        if event.message_kind == "stop":
            return
        self._expect(event.actor, event.at_s + _BACKOFF_MAX_S * (1 + _JITTER), (seq, event))

    def _gave_up(self, seq: int, event: ActorGaveUp) -> None:
        if event.retry_at is None:
            self._down.drop(event.actor)
        else:
            self._expect(event.actor, event.retry_at + _ROUNDING_S, (seq, event))

    def _expect(self, actor: str, at_s: float, crash: Witness) -> None:
        self._down.add(actor, at_s, crash)
        self.due = self._down.due

    def _up(self, seq: int, event: ActorRestarted | ActorStopped) -> None:  # noqa: ARG002
        self._down.drop(event.actor)

    def _killed(self, seq: int, event: EngineKilled) -> None:  # noqa: ARG002
        self._down = Agenda(self.rules.late_s)
        self.due = self._down.due

    def late(self, seq: int, event: Event) -> Violation | None:
        """A back-off is over."""
        late = self._down.overdue(event.at_s)
        self.due = self._down.due
        for actor, crash in late:
            said = f"{actor} crashed, and is not up again when its back-off is over"
            return self.broken("down", said, crash, (seq, event))
        return None


class Shutdown(Watch):
    """S25."""

    name = "S25"
    claim = "actors stop in reverse order of starting, and nothing is taken after that or left over"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._started: list[str] = []
        self._stopped: tuple[int, ActorStopped] | None = None
        self._stops: set[str] = set()
        self._running: dict[str, Witness] = {}
        self.hears = {
            ActorStarted: self._on_started,
            ActorStopped: self._on_stopped,
            PermitTaken: self._on_taken,
            RequestAccepted: self._on_accepted,
            RequestOutcome: self._on_outcome,
        }

    def _on_started(self, seq: int, event: ActorStarted) -> None:  # noqa: ARG002
        self._started.append(event.actor)

    def _on_stopped(self, seq: int, event: ActorStopped) -> Violation | None:
        before = self._stopped
        self._stopped = here = seq, event
        self._stops.add(event.actor)
        if before is not None and 0 < before[1].place < event.place:
            said = f"{event.actor} stopped after {before[1].actor}, which had started before it"
            return self.broken("order", said, before, here)
        if event.actor in self._started:
            later = self._started[self._started.index(event.actor) + 1 :]
            self._started.remove(event.actor)
            if later:
                said = f"{event.actor} stopped before {later[-1]}, which started after it"
                return self.broken("order", said, here)
        return None

    def _on_taken(self, seq: int, event: PermitTaken) -> Violation | None:
        if not self._stops:
            return None
        provider = event.scope.partition("/")[0]
        if f"provider/{provider}" not in self._stops:
            return None
        said = f"{event.scope} lent permit {event.permit} after its actor had stopped"
        return self.broken("taken", said, self._stopped, (seq, event))

    def _on_accepted(self, seq: int, event: RequestAccepted) -> Violation | None:
        self._running[event.request] = here = seq, event
        if self._stopped is None:
            return None
        said = f"{event.request} was accepted after actors had stopped"
        return self.broken("accepted", said, self._stopped, here)

    def _on_outcome(self, seq: int, event: RequestOutcome) -> None:  # noqa: ARG002
        self._running.pop(event.request, None)

    def end(self) -> Violation | None:
        """If it was shut down, everybody was answered."""
        if self._stopped is None:
            return None
        for request, accepted in self._running.items():
            said = f"the engine is closed, and {request} was not answered"
            return self.broken("unanswered", said, accepted, self._stopped)
        return None


_BACKDATED: Final = frozenset({BreakerMoved, Decided, AttemptRefused})
"""A breaker moves when that was due; a decision is told when its request goes on."""


class Time(Watch):
    """Part of S26."""

    name = "S26"
    claim = "time never goes back, and events are numbered in order"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._last: Witness | None = None
        self._now = 0.0
        self._seq = 0
        self.hears = {Event: self._any}

    def _any(self, seq: int, event: Event) -> Violation | None:
        now, last = event.at_s, self._last
        if now >= self._now and seq > self._seq:
            self._now, self._seq, self._last = now, seq, (seq, event)
            return None
        if last is None:
            self._now, self._seq, self._last = now, seq, (seq, event)
            return None
        if seq <= self._seq:
            return self.broken("number", f"event {seq} comes after {self._seq}", last, (seq, event))
        self._seq = seq
        if type(event) in _BACKDATED or now >= self._now - self.rules.late_s:
            return None
        said = f"time went back from {self._now:.6f} s to {now:.6f} s"
        return self.broken("back", said, last, (seq, event))
