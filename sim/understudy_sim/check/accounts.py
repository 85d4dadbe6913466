"""The law of accounts: what they say at the end is what the attempts of the trace come to."""

from __future__ import annotations

from understudy_actors.domain.events import AttemptAdmitted, AttemptEnded
from understudy_actors.domain.money_events import AccountsClosed, MoneyCharged, MoneyReserved
from understudy_actors.domain.store_events import StoreOpened
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
            StoreOpened: self._on_opened,
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

    def _on_opened(self, seq: int, event: StoreOpened) -> None:  # noqa: ARG002
        """Another process: what the one before it has counted, it has counted for itself."""
        self._attempts = self._successes = self._unknown = self._micro_usd = 0

    def _on_closed(self, seq: int, event: AccountsClosed) -> Violation | None:
        kept = event.attempts, event.successes, event.unknown, event.micro_usd
        made = self._attempts, self._successes, self._unknown, self._micro_usd
        self._attempts = self._successes = self._unknown = self._micro_usd = 0
        if kept == made:
            return None
        words = "{} attempts, {} good, {} of unknown cost, {} micro-USD"
        said = f"the accounts say {words.format(*kept)}; there were {words.format(*made)}"
        return self.broken("sums", said, self._last, (seq, event))
