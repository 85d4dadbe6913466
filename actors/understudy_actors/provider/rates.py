"""The rate limits of one scope (an account, a model, a user): requests and tokens a minute.

Every limit has a window of its own (see `minute`), and a call passes all of them or none. Which
tokens count, and when, is the provider's to say (`Counting`): some count what a call may use as
soon as it arrives, some leave out what they had cached.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, TypeAlias

from msgspec import Struct

from understudy_actors.domain.outcome import HoldKind
from understudy_actors.domain.rates import Counting, RateRule, Sighting, Unit
from understudy_actors.provider.gate import Refusal
from understudy_actors.provider.minute import Minute, MinuteSnapshot

AGAIN_S: Final = 1.0
"""When to ask again if only the end of running calls makes room, which may be at any moment."""
RATE_LIMITED: Final = HoldKind.RATE.value
_COUNTING: Final = Counting()
_PLACE: Final = {unit: place for place, unit in enumerate(Unit)}
_LEAST: Final = (1, 1, 1, 1)

Amounts: TypeAlias = tuple[int, int, int, int]
"""What a call uses, or may use, of each unit, in the order of `Unit`."""


class Loan(Struct, frozen=True, gc=False):
    """A call that is under way: since when, and what it may use."""

    started_at: float
    amounts: Amounts


class RatesSnapshot(Struct, frozen=True):
    """What survives the process, by unit; times are on the engine's clock."""

    minutes: dict[Unit, MinuteSnapshot] = {}

    def moved(self, by_s: float) -> RatesSnapshot:
        """The same on a clock that shows `by_s` more, such as another process's."""
        return RatesSnapshot({unit: each.moved(by_s) for unit, each in self.minutes.items()})


class Rates:
    """The gate of one scope's limits.

    It outlives its actor: what was lent before a crash is still under way after it.

    Attributes:
        minutes: The window of each unit that is limited.
    """

    __slots__ = ("_counting", "_lent", "_smooth", "_windows", "minutes")

    def __init__(
        self, rule: RateRule, counting: Counting = _COUNTING, *, smooth: bool = True
    ) -> None:
        """Make one of which nothing was used yet.

        Args:
            rule: The limits, as configured.
            counting: How tokens are counted.
            smooth: Whether bursts are smoothed; see `minute`.
        """
        self.minutes: dict[Unit, Minute] = {}
        self._windows: list[tuple[Minute, int]] = []
        self._counting = counting
        self._smooth = smooth
        self._lent: dict[int, Loan] = {}
        for unit in Unit:
            if (most := rule.of(unit)) is not None:
                self._open(unit, most)

    def check(self, now: float, input_tokens: int, output_tokens: int) -> Refusal | None:
        """Would a call that may use so many tokens be refused at `now`?"""
        return self._check(now, _amounts(input_tokens, output_tokens))

    def least(self, now: float) -> Refusal | None:
        """Would even the least of calls be refused at `now`?"""
        return self._check(now, _LEAST)

    def admit(self, now: float, attempt: int, input_tokens: int, output_tokens: int) -> None:
        """The call that `check` let pass in the same turn starts."""
        amounts = _amounts(input_tokens, output_tokens)
        self._lent[attempt] = Loan(now, amounts)
        for minute, place in self._windows:
            minute.hold(now, amounts[place])

    def settle(
        self,
        now: float,
        attempt: int,
        used: tuple[int, int, int] | None = None,
        *,
        reached: bool = True,
    ) -> None:
        """It has ended.

        Args:
            now: The time.
            attempt: Which one; settling it again changes nothing.
            used: Its input, output and cached tokens; None: nobody knows, so all that it may have
                used.
            reached: False says that it never reached the provider.
        """
        loan = self._lent.pop(attempt, None)
        if loan is None:
            return
        spent = self._spent(loan.amounts, used) if reached else (0, 0, 0, 0)
        for minute, place in self._windows:
            minute.settle(now, loan.started_at, loan.amounts[place], spent[place])

    def sight(self, now: float, dispatched_at: float, seen: Iterable[Sighting]) -> list[Unit]:
        """Take what the headers of a call say, before it is settled.

        Returns:
            The units whose limit is another one than before.
        """
        changed: list[Unit] = []
        for each in seen:
            minute = self.minutes.get(each.unit)
            if minute is None:
                minute = self._open(each.unit, None)
            before = minute.limit(now)
            minute.sight(now, dispatched_at, each)
            if minute.limit(now) != before:
                changed.append(each.unit)
        return changed

    def forget(self) -> None:
        """Forget what a provider said of its limits."""
        for minute in self.minutes.values():
            minute.forget()

    def settle_all_but(self, now: float, running: Collection[int]) -> None:
        """Its actor is back: settle the calls whose end it can not have heard of.

        Only those in `running` are still under way. What another has used nobody knows any more, so
        it is all that it may have used; if its end is told later after all, that changes nothing.
        """
        for attempt in [each for each in self._lent if each not in running]:
            self.settle(now, attempt)

    def next_at(self, now: float) -> float | None:
        """When the least of calls fits again, if it does not now."""
        refusal = self.least(now)
        return None if refusal is None else refusal.retry_at

    @property
    def running(self) -> int:
        """How many calls are under way."""
        return len(self._lent)

    def change(self, rule: RateRule, counting: Counting | None = None) -> None:
        """From now on these are its limits; what was used under the old ones counts on.

        Of a unit that was not limited until now, only the calls under way count.
        """
        self._counting = counting or self._counting
        for unit in Unit:
            most, minute = rule.of(unit), self.minutes.get(unit)
            if minute is not None:
                minute.most = most
            elif most is not None:
                self._open(unit, most)

    def idle(self, now: float) -> bool:
        """Would a new one let the same calls pass?"""
        return not any(minute.used(now) for minute in self.minutes.values())

    def snapshot(self, now: float) -> RatesSnapshot:
        """What survives the process."""
        return RatesSnapshot({unit: each.snapshot(now) for unit, each in self.minutes.items()})

    def restore(self, snapshot: RatesSnapshot, now: float) -> None:
        """Go on from what another process left: into a new one, whose configured limits hold."""
        for unit, each in snapshot.minutes.items():
            minute = self.minutes.get(unit)
            if minute is None and each.learned is not None:
                minute = self._open(unit, None)
            if minute is not None:
                minute.restore(each, now)

    def _open(self, unit: Unit, most: int | None) -> Minute:
        minute = self.minutes[unit] = Minute(most, self._smooth)
        for loan in self._lent.values():
            minute.hold(loan.started_at, loan.amounts[_PLACE[unit]])
        self._windows.append((minute, _PLACE[unit]))
        return minute

    def _check(self, now: float, amounts: Amounts) -> Refusal | None:
        latest = now
        for minute, place in self._windows:
            amount = amounts[place]
            if minute.most is not None and amount > minute.most:
                return Refusal(None, _too_much(list(Unit)[place], amount, minute.most))
            at = minute.fits_at(now, amount)
            if at is None:
                at = now + AGAIN_S
            if at > latest:
                latest = at
        return Refusal(latest, RATE_LIMITED) if latest > now else None

    def _spent(self, held: Amounts, used: tuple[int, int, int] | None) -> Amounts:
        """What counts of a call that reached the provider."""
        if used is None:
            return held
        input_tokens, output_tokens, cached_tokens = used
        if not self._counting.cached:
            input_tokens = max(0, input_tokens - cached_tokens)
        spent = _amounts(input_tokens, output_tokens)
        if not self._counting.reserved:
            return spent
        return 1, max(held[1], spent[1]), max(held[2], spent[2]), max(held[3], spent[3])


def _amounts(input_tokens: int, output_tokens: int) -> Amounts:
    return 1, input_tokens + output_tokens, input_tokens, output_tokens


def _too_much(unit: Unit, amount: int, most: int) -> str:
    what = "tokens" if unit is Unit.TOKENS else unit.value.replace("_", " ")
    return f"about {amount} {what} exceed its {most} a minute: set a smaller max_tokens"


def limited(rates: Rates | None, rule: RateRule, counting: Counting) -> Rates | None:
    """The gate of other limits: the same one, if there was one; None if nothing is limited."""
    if rates is None:
        return Rates(rule, counting) if rule.any else None
    rates.change(rule, counting)
    used = any(each.most is not None or each.learned is not None for each in rates.minutes.values())
    return rates if used else None
