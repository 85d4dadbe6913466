"""Laws of accounts: they are what the attempts of the trace come to, and what was kept of that."""

from __future__ import annotations

from collections import deque
from typing import ClassVar

from understudy_actors.domain.events import AttemptAdmitted, AttemptEnded
from understudy_actors.domain.money_events import (
    AccountsClosed,
    AccountsTaken,
    MoneyCharged,
    MoneyReserved,
)
from understudy_actors.domain.store_events import StoreKept
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.violation import Violation, Watch, Witness


class Sums(Watch):
    """A1: no attempt is lost or counted twice, and the ledger charged what the accounts say."""

    name = "A1"
    claim = "the accounts are the sum of all attempts, and known charges are what attempts cost"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._attempts = self._successes = self._unknown = self._micro_usd = 0
        self._last: Witness | None = None
        self._owed: set[int] = set()  # attempts with money set aside that was not charged yet
        self._sent: set[int] = set()  # attempts that were sent and have not ended
        self._ended: dict[int, tuple[Witness, int | None]] = {}
        self._charged: dict[int, tuple[Witness, int]] = {}
        self.hears = {
            AttemptAdmitted: self._on_admitted,
            AttemptEnded: self._on_ended,
            MoneyReserved: self._on_reserved,
            MoneyCharged: self._on_charged,
            AccountsClosed: self._on_closed,
        }

    def _on_reserved(self, seq: int, event: MoneyReserved) -> None:  # noqa: ARG002
        self._owed.add(event.attempt)

    def _on_admitted(self, seq: int, event: AttemptAdmitted) -> None:  # noqa: ARG002
        self._sent.add(event.attempt)

    def _on_charged(self, seq: int, event: MoneyCharged) -> Violation | None:
        attempt = event.attempt
        self._owed.discard(attempt)
        ended, paid = self._ended.pop(attempt, None), ((seq, event), event.micro_usd)
        if not event.known:
            return None
        if ended is not None:
            return self._compare(attempt, ended, paid)
        if attempt in self._sent:
            self._charged[attempt] = paid
        return None

    def _on_ended(self, seq: int, event: AttemptEnded) -> Violation | None:
        here, cost, attempt = (seq, event), event.cost_usd, event.attempt
        micro_usd = None if cost is None else round(cost * 1e6)
        self._last = here
        self._attempts += 1
        self._successes += event.verdict == "ok"
        self._unknown += micro_usd is None
        self._micro_usd += micro_usd or 0
        self._sent.discard(attempt)
        if (paid := self._charged.pop(attempt, None)) is not None:
            return self._compare(attempt, (here, micro_usd), paid)
        if attempt in self._owed:  # the ledger is down: it charges when it is back
            self._ended[attempt] = here, micro_usd
        return None

    def _compare(
        self, attempt: int, ended: tuple[Witness, int | None], paid: tuple[Witness, int]
    ) -> Violation | None:
        cost = ended[1]
        if cost == paid[1]:
            return None
        said = f"attempt {attempt} cost {cost} micro-USD, and {paid[1]} were charged"
        return self.broken("charge", said, *sorted((ended[0], paid[0]), key=lambda each: each[0]))

    def _on_closed(self, seq: int, event: AccountsClosed) -> Violation | None:
        kept = event.attempts, event.successes, event.unknown, event.micro_usd
        made = self._attempts, self._successes, self._unknown, self._micro_usd
        self._attempts = self._successes = self._unknown = self._micro_usd = 0
        if kept == made:
            return None
        words = "{} attempts, {} good, {} of unknown cost, {} micro-USD"
        said = f"the accounts say {words.format(*kept)}; there were {words.format(*made)}"
        return self.broken("sums", said, self._last, (seq, event))


class Taken(Watch):
    """A2: what a store was told of is neither lost nor counted twice, whoever is killed when."""

    name = "A2"
    claim = "accounts that go on hold all that was written, and nothing that never happened"
    lasting: ClassVar[bool] = True

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._kept = (0, 0)  # attempts and micro-USD of which a written batch knows
        self._late: deque[tuple[float, int]] = deque()  # when the others ended, and their cost
        self._stored = False  # is there a store at all?
        self._written: Witness | None = None
        self.hears = {
            AttemptEnded: self._on_ended,
            StoreKept: self._on_kept,
            AccountsTaken: self._on_taken,
        }

    def _on_ended(self, seq: int, event: AttemptEnded) -> None:  # noqa: ARG002
        if self._stored:
            self._late.append((event.at_s, round((event.cost_usd or 0.0) * 1e6)))

    def _on_kept(self, seq: int, event: StoreKept) -> None:
        self._written = seq, event
        attempts, micro_usd = self._kept
        while self._late and self._late[0][0] < event.gathered_at_s:
            micro_usd += self._late.popleft()[1]
            attempts += 1
        self._kept = attempts, micro_usd

    def _on_taken(self, seq: int, event: AccountsTaken) -> Violation | None:
        taken, (attempts, micro_usd) = (event.attempts, event.micro_usd), self._kept
        most = attempts + len(self._late), micro_usd + sum(cost for _, cost in self._late)
        written, self._written = self._written, None
        self._kept = taken
        self._stored = True
        self._late.clear()
        if attempts <= taken[0] <= most[0] and micro_usd <= taken[1] <= most[1]:
            return None
        said = (
            f"accounts go on with {taken[0]} attempts of {taken[1]} micro-USD; written were "
            f"{attempts} of {micro_usd}, and there were {most[0]} of {most[1]}"
        )
        shape = "lost" if taken < (attempts, micro_usd) else "too many"
        return self.broken(shape, said, written, (seq, event))
