"""Laws over the lives of a process: what a store was told of, the next process goes on with."""

from __future__ import annotations

import math
from typing import ClassVar, Final, TypeAlias

import attrs

from understudy_actors.domain.events import (
    ActorStopped,
    AttemptAdmitted,
    BreakerMoved,
    Event,
    RequestAccepted,
    RequestOutcome,
)
from understudy_actors.domain.money_events import BoundBreached, MoneyCharged, MoneyReserved
from understudy_actors.domain.store_events import BooksTaken, StoreFailing, StoreKept
from understudy_actors.ledger.account import EACH, Limit
from understudy_actors.ledger.windows import window_of
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.violation import Violation, Watch, Witness
from understudy_sim.world_events import Delivered, EngineKilled, FaultBegan, FaultEnded

_Key: TypeAlias = tuple[str, str, float]
"""Budget, scope, and when its window begins."""
_AGAIN_S: Final = 12.0
"""The longest wait before a batch is written again, twice, and what a slow write takes."""
_ROUNDING_S: Final = 1e-3
"""A time that goes by way of the wall clock loses its last digits."""
_TRIMMED: Final = 3
"""So many batches after anything was lent or charged, a cover holds nothing ahead of need."""


@attrs.define(slots=True)
class _Window:
    """One window over all lives, in micro-USD.

    Attributes:
        limit: Of its budget.
        spent: Charged, by this process and those before it.
        kept: As much of it as a written batch knows of.
        reserved: By the process that runs.
        lent_at: When anything was lent or charged last.
        batches: Put together since then, and written.
    """

    limit: int
    spent: int = 0
    kept: int = 0
    reserved: int = 0
    lent_at: float = -math.inf
    batches: int = 0


class Books(Watch):
    """S13, S14 over restarts: money is neither forgotten nor booked twice."""

    name = "D1"
    claim = "after a kill a budget has spent what was charged before, and holds all the same"
    lasting: ClassVar[bool] = True

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._windows: dict[_Key, _Window] = {}
        self._loans: dict[int, tuple[int, list[_Key]]] = {}
        self._late: list[tuple[float, _Key, int]] = []  # charges that no batch knows of yet
        self._breached: set[str] = set()
        self._kept: Witness | None = None
        self._killed: Witness | None = None
        self._due: set[_Key] = set()  # of earlier processes, and not taken over yet
        self._killed_at = 0.0
        self._hindered_at = 0.0  # since then nothing hinders the writing
        self._hindered: set[str] = set()
        self.hears = {
            MoneyReserved: self._reserved,
            MoneyCharged: self._charged,
            BoundBreached: self._on_breach,
            StoreKept: self._on_kept,
            EngineKilled: self._on_killed,
            BooksTaken: self._taken,
            FaultBegan: self._fault,
            FaultEnded: self._fault,
        }

    def _reserved(self, seq: int, event: MoneyReserved) -> Violation | None:
        keys = self._keys(event)
        self._loans[event.reservation] = event.micro_usd, keys
        for key in keys:
            window = self._windows[key]
            window.reserved += event.micro_usd
            window.lent_at, window.batches = event.at_s, 0
            if not event.strict:  # what was only expected may be exceeded
                self._breached.add(key[0])
            if key in self._due:
                self._due.discard(key)
                if least := self._least(window):
                    said = f"{key[0]} had spent {least} micro-USD, and begins anew"
                    return self.broken("forgotten", said, self._killed, (seq, event))
                window.spent, window.reserved = 0, event.micro_usd
            used = window.spent + window.reserved
            if used > window.limit and event.strict and key[0] not in self._breached:
                said = f"{used} micro-USD are spent and reserved under {key[0]} over all lives"
                return self.broken("overspent", said, self._killed, (seq, event))
        return None

    def _charged(self, seq: int, event: MoneyCharged) -> None:  # noqa: ARG002
        reserved, keys = self._loans.pop(event.reservation, (0, []))
        for key in keys:
            window = self._windows[key]
            window.reserved -= reserved
            window.spent += event.micro_usd
            window.lent_at, window.batches = event.at_s, 0
            self._late.append((event.at_s, key, event.micro_usd))

    def _on_breach(self, seq: int, event: BoundBreached) -> None:  # noqa: ARG002
        self._breached.add(event.budget)

    def _on_kept(self, seq: int, event: StoreKept) -> None:
        self._kept = seq, event
        for at_s, key, micro_usd in self._late:
            if at_s < event.gathered_at_s:
                self._windows[key].kept += micro_usd
        self._late = [each for each in self._late if each[0] >= event.gathered_at_s]
        for window in self._windows.values():
            window.batches += window.lent_at < event.gathered_at_s

    def _fault(self, seq: int, event: FaultBegan | FaultEnded) -> None:  # noqa: ARG002
        if event.fault_kind in ("disk", "pause"):
            self._hindered ^= {event.fault}
            self._hindered_at = math.inf if self._hindered else event.at_s

    def _on_killed(self, seq: int, event: EngineKilled) -> None:
        self._killed, self._killed_at = (seq, event), event.at_s
        self._loans.clear()
        self._late.clear()
        self._due = set(self._windows)

    def _least(self, window: _Window) -> int:
        """What the next process knows of at least."""
        return window.spent if self.rules.durability == "strict" else window.kept

    def _taken(self, seq: int, event: BooksTaken) -> Violation | None:
        key, here = (event.budget, event.scope, event.since), (seq, event)
        self._due.discard(key)
        window = self._windows.get(key)
        if window is None:
            return None
        least = self._least(window)
        spent, breached = window.spent, event.budget in self._breached
        settled = window.kept == spent and not window.reserved
        idle_s = self._killed_at - max(window.lent_at, self._hindered_at)
        at_rest = settled and (window.batches >= _TRIMMED or idle_s > self.rules.rest_s)
        window.spent = window.kept = event.micro_usd
        window.reserved = window.batches = 0
        told = f"{event.budget} goes on with {event.micro_usd} micro-USD"
        if event.micro_usd < least and not breached:
            said = f"{told}, and {least} were charged"
            return self.broken("lost", said, self._kept, self._killed, here)
        if at_rest and event.micro_usd != spent:
            said = f"{told}, and was at rest with {spent}"
            return self.broken("twice", said, self._kept, self._killed, here)
        if event.micro_usd > window.limit and not breached:
            said = f"{told}, which is more than it may spend"
            return self.broken("too much", said, self._killed, here)
        return None

    def _since(self, event: MoneyReserved, limit: Limit, budget: str) -> float:
        """A clock that was set back opens no window anew: where it is booked is told, see S15."""
        booked = event.windows.get(budget)
        if booked is None:
            return window_of(limit.period, event.wall, self.rules.zone).start
        return booked[0] if booked else -math.inf

    def _keys(self, event: MoneyReserved) -> list[_Key]:
        found: list[_Key] = []
        for scope in event.scopes:
            own = [each for each in self.rules.limits if str(each.scope) == scope]
            kind, _, name = scope.partition(" ")
            every = [e for e in self.rules.limits if e.scope.name == EACH and e.scope.kind == kind]
            for limit in own or every:
                budget = str(limit).replace(f"{kind} {EACH}", f"{kind} {name}", 1)
                key = budget, scope, self._since(event, limit, budget)
                self._windows.setdefault(key, _Window(limit.micro_usd))
                found.append(key)
        return found


class Told(Watch):
    """Where a store is strict, whoever is answered can rely on it."""

    name = "D4"
    claim = "under a strict store an answer is given once what it cost is written"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._charged: dict[str, tuple[int, MoneyCharged]] = {}
        self._streams: set[str] = set()
        self.hears = (
            {
                RequestAccepted: self._accepted,
                MoneyCharged: self._on_charged,
                StoreKept: self._on_kept,
                RequestOutcome: self._outcome,
                Delivered: self._delivered,
            }
            if rules.durability == "strict"
            else {}
        )

    def _accepted(self, seq: int, event: RequestAccepted) -> None:  # noqa: ARG002
        if event.streams:
            self._streams.add(event.request)

    def _on_charged(self, seq: int, event: MoneyCharged) -> None:
        self._charged[event.request] = seq, event

    def _on_kept(self, seq: int, event: StoreKept) -> None:  # noqa: ARG002
        until = event.gathered_at_s
        self._charged = {r: each for r, each in self._charged.items() if each[1].at_s > until}

    def _outcome(self, seq: int, event: RequestOutcome) -> Violation | None:
        if event.request in self._streams:
            return None  # its reader is told of its end later
        return self._told(event.request, event.status == "ok", (seq, event))

    def _delivered(self, seq: int, event: Delivered) -> Violation | None:
        self._streams.discard(event.request_id)
        return self._told(event.request_id, event.whole and not event.degraded, (seq, event))

    def _told(self, request: str, good: bool, here: Witness) -> Violation | None:
        charged = self._charged.pop(request, None)
        if charged is None or not good:
            return None
        said = f"{request} is answered, and no batch knows what it cost"
        return self.broken("early", said, charged, here)


class Gates(Watch):
    """S1 over restarts: whoever was left alone stays so for as long as it would have."""

    name = "D2"
    claim = "after a kill nobody is asked whose breaker a written batch knew to be open"
    lasting: ClassVar[bool] = True

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._moves: list[tuple[int, BreakerMoved]] = []  # that no batch knows of yet
        self._newest: dict[str, tuple[int, BreakerMoved]] = {}
        self._shut: dict[str, tuple[int, BreakerMoved]] = {}
        self._wrong_clock = False
        self.hears = {
            BreakerMoved: self._moved,
            StoreKept: self._on_kept,
            EngineKilled: self._on_killed,
            AttemptAdmitted: self._admitted,
            FaultBegan: self._fault,
        }

    def _moved(self, seq: int, event: BreakerMoved) -> None:
        self._moves.append((seq, event))
        if event.why in ("reset", "enabled"):
            self._shut.pop(event.scope, None)

    def _on_kept(self, seq: int, event: StoreKept) -> None:  # noqa: ARG002
        for move in self._moves:
            if move[1].at_s < event.gathered_at_s:
                self._newest[move[1].scope] = move
        self._moves = [each for each in self._moves if each[1].at_s >= event.gathered_at_s]

    def _on_killed(self, seq: int, event: EngineKilled) -> None:  # noqa: ARG002
        self._moves.clear()
        self._shut = {
            scope: move for scope, move in self._newest.items() if move[1].target == "open"
        }

    def _admitted(self, seq: int, event: AttemptAdmitted) -> Violation | None:
        move = self._shut.get(event.endpoint) if self._shut else None
        if move is None or self._wrong_clock:
            return None
        until = move[1].until
        if until is None or event.at_s >= until - _ROUNDING_S:
            del self._shut[event.endpoint]
            return None
        said = f"{event.endpoint} is asked {until - event.at_s:.3f} s before its cooldown is over"
        return self.broken("too early", said, move, (seq, event))

    def _fault(self, seq: int, event: FaultBegan) -> None:  # noqa: ARG002
        self._wrong_clock |= event.fault_kind == "clock_jump"


class Written(Watch):
    """A store that can be written is."""

    name = "D3"
    claim = "soon after its disk is well, a store is written again"
    lasting: ClassVar[bool] = True

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._hindered: set[str] = set()
        self._failing: Witness | None = None
        self.hears = {
            FaultBegan: self._began,
            FaultEnded: self._ended,
            StoreFailing: self._on_failing,
            StoreKept: self._well,
            EngineKilled: self._well,
            ActorStopped: self._well,
        }

    def _began(self, seq: int, event: FaultBegan) -> None:  # noqa: ARG002
        if event.fault_kind in ("disk", "pause"):
            self._hindered.add(event.fault)
            self.due = math.inf

    def _ended(self, seq: int, event: FaultEnded) -> None:  # noqa: ARG002
        if event.fault in self._hindered:
            self._hindered.discard(event.fault)
            self._expect(event.at_s)

    def _on_failing(self, seq: int, event: StoreFailing) -> None:
        self._failing = seq, event
        self._expect(event.at_s)

    def _well(self, seq: int, event: StoreKept | EngineKilled | ActorStopped) -> None:  # noqa: ARG002
        if isinstance(event, ActorStopped) and event.actor != "keeper":
            return
        self._failing, self.due = None, math.inf

    def _expect(self, now: float) -> None:
        if self._failing is not None and not self._hindered:
            self.due = now + _AGAIN_S

    def late(self, seq: int, event: Event) -> Violation | None:
        """The store had its time."""
        failing, self._failing, self.due = self._failing, None, math.inf
        said = f"the disk is well for {_AGAIN_S:g} s, and the store is not written"
        return self.broken("not written", said, failing, (seq, event))
