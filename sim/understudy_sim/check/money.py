"""Laws of money: no window is overspent, and what was set aside comes home exactly once."""

from __future__ import annotations

import attrs

from understudy_actors.domain.events import AttemptAdmitted, AttemptEnded, RequestOutcome
from understudy_actors.domain.money_events import MoneyCharged, MoneyReserved
from understudy_actors.ledger.account import EACH, Limit
from understudy_actors.ledger.windows import Span, window_of
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.violation import Violation, Watch, Witness

_WINDOWS_MAX = 4096
"""Windows kept; the oldest that nothing is owed to is forgotten first."""


@attrs.define(slots=True)
class _Window:
    """What one scope did under one limit in one window, in micro-USD."""

    spent: int = 0
    reserved: int = 0


_Key = tuple[Limit, str, Span]


class Budgets(Watch):
    """S13. Windows are those in which money is booked (see S15), if that is told: a clock that was
    set back opens none anew."""

    name = "S13"
    claim = "what is spent and reserved in a window is within every limit, unless one was breached"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._windows: dict[_Key, _Window] = {}
        self._loans: dict[int, tuple[int, list[_Key]]] = {}
        self._breached: set[str] = set()
        self.hears = {
            MoneyReserved: self._reserved,
            MoneyCharged: self._charged,
        }

    def _reserved(self, seq: int, event: MoneyReserved) -> Violation | None:
        keys = list(self._keys(event))
        self._loans[event.reservation] = event.micro_usd, keys
        for key in keys:
            limit, scope, _ = key
            window = self._windows.setdefault(key, _Window())
            window.reserved += event.micro_usd
            used = window.spent + window.reserved
            if used > limit.micro_usd and event.strict and scope not in self._breached:
                said = f"{used} micro-USD are spent and reserved by {scope} under {limit}"
                return self.broken("overspent", said, (seq, event))
        self._forget()
        return None

    def _charged(self, seq: int, event: MoneyCharged) -> None:  # noqa: ARG002
        reserved, keys = self._loans.pop(event.reservation, (0, []))
        for key in keys:
            window = self._windows[key]
            window.reserved -= reserved
            window.spent += event.micro_usd
        if event.micro_usd > reserved and keys:
            self._breached |= {scope for _, scope, _ in keys}

    def _keys(self, event: MoneyReserved) -> list[_Key]:
        """The windows that a reservation counts in: every limit of each of its scopes."""
        found: list[_Key] = []
        for scope in event.scopes:
            own = [each for each in self.rules.limits if str(each.scope) == scope]
            kind = scope.partition(" ")[0]
            every = [e for e in self.rules.limits if e.scope.name == EACH and e.scope.kind == kind]
            for limit in own or every:
                budget = str(limit).replace(f"{kind} {EACH}", scope, 1)
                booked = event.windows.get(budget)
                window = window_of(limit.period, event.wall, self.rules.zone)
                found.append((limit, scope, window if not booked else Span(*booked)))
        return found

    def _forget(self) -> None:
        if len(self._windows) > _WINDOWS_MAX:
            owed = {key for _, keys in self._loans.values() for key in keys}
            for key in [key for key in self._windows if key not in owed][: _WINDOWS_MAX // 2]:
                del self._windows[key]


@attrs.define(slots=True)
class _Loan:
    reserved: Witness
    event: MoneyReserved
    admitted: bool = False


class Reservations(Watch):
    """S14."""

    name = "S14"
    claim = "a reservation is settled once: nothing if nothing was sent, all of it if nobody knows"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._loans: dict[int, _Loan] = {}
        self._of_attempt: dict[int, _Loan] = {}
        self._settled: dict[int, Witness] = {}
        self.hears = {
            MoneyReserved: self._reserved,
            AttemptAdmitted: self._admitted,
            MoneyCharged: self._charged,
            AttemptEnded: self._ended,
            RequestOutcome: self._outcome,
        }

    def _reserved(self, seq: int, event: MoneyReserved) -> Violation | None:
        before = self._of_attempt.get(event.attempt)
        loan = _Loan((seq, event), event)
        self._loans[event.reservation] = self._of_attempt[event.attempt] = loan
        if before is not None and before.event.reservation in self._loans:
            said = f"attempt {event.attempt} was paid for twice"
            return self.broken("twice reserved", said, before.reserved, (seq, event))
        return None

    def _admitted(self, seq: int, event: AttemptAdmitted) -> None:  # noqa: ARG002
        if (loan := self._of_attempt.get(event.attempt)) is not None:
            loan.admitted = True

    def _charged(self, seq: int, event: MoneyCharged) -> Violation | None:
        here = seq, event
        loan = self._loans.pop(event.reservation, None)
        if loan is None:
            said = f"reservation {event.reservation} was settled, and nothing was reserved by it"
            return self.broken("twice", said, self._settled.get(event.reservation), here)
        if self._of_attempt.get(event.attempt) is loan:
            del self._of_attempt[event.attempt]
        self._remember(here, event)
        reserved = loan.event.micro_usd
        if not loan.admitted and event.micro_usd:
            said = f"attempt {event.attempt} was never sent, and cost {event.micro_usd} micro-USD"
            return self.broken("never sent", said, loan.reserved, here)
        if not event.known and event.micro_usd != reserved:
            said = f"nobody knows what attempt {event.attempt} cost, and not all of it was charged"
            return self.broken("unknown", said, loan.reserved, here)
        return None

    def _ended(self, seq: int, event: AttemptEnded) -> Violation | None:
        loan = self._of_attempt.get(event.attempt)
        if loan is None:
            return None
        said = f"attempt {event.attempt} ended, and its money is still set aside"
        return self.broken("kept", said, loan.reserved, (seq, event))

    def _outcome(self, seq: int, event: RequestOutcome) -> Violation | None:
        left = next((e for e in self._loans.values() if e.event.request == event.request), None)
        if left is None:
            return None
        self._loans.pop(left.event.reservation)
        said = f"{event.request} is over, and money is still set aside for it"
        return self.broken("outlived", said, left.reserved, (seq, event))

    def _remember(self, here: Witness, event: MoneyCharged) -> None:
        self._settled[event.reservation] = here
        if len(self._settled) > _WINDOWS_MAX:
            del self._settled[next(iter(self._settled))]
