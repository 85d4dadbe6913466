"""The ledger's books: nobody spends more than a limit, and every micro-dollar is booked once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import attrs
import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import astuple

from understudy.zones import IanaZone
from understudy_actors.ledger import money
from understudy_actors.ledger.account import THRESHOLDS, Limit, Scope
from understudy_actors.ledger.projection import Course, forecast, slot_of
from understudy_actors.ledger.windows import Period, Span, window_of

ENGINE, ANN, BOB, OPENAI = Scope("engine"), Scope("user", "ann"), Scope("user", "bob"), Scope("p")
LIMITS: Final = (
    Limit(ENGINE, Period.DAY, 100),
    Limit(ENGINE, Period.MONTH, 1000),
    Limit(ANN, Period.WEEK, 70),
    Limit(ANN, Period.HOUR, 40),
    Limit(BOB, Period.TOTAL, 150),
    Limit(OPENAI, Period.DAY, 0),
)
SPENDERS: Final = ([ENGINE], [ENGINE, ANN], [ENGINE, BOB], [BOB], [ENGINE, OPENAI], [Scope("tag")])
WHICH: Final = st.integers(0, 9)
ZONES: Final = ("America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC")
START: Final = 1_772_900_000.0
"""In the night of 8 March 2026, in which New York's clocks go forward."""


@attrs.define
class Charge:
    """One reservation as the test remembers it: when and under what it was made."""

    wall: float
    limits: list[Limit]
    amount: int
    actual: int | None = None  # None: not settled yet


def money_machine(module: ModuleType) -> type[RuleBasedStateMachine]:
    """Compares a ledger with the list of everything that ever happened."""

    class AnyOrder(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.zone = IanaZone("UTC")
            self.wall = START
            self.ledger: Any = module.Ledger(LIMITS, self.zone)
            self.charges: dict[int, Charge] = {}
            self.frozen: set[Limit] = set()
            self.alerts: set[tuple[Limit, Span, int]] = set()
            self.seen: dict[Limit, Span] = {}
            self.before: dict[Limit, Span | None] = {}

        @initialize(name=st.sampled_from(ZONES))
        def choose_a_zone(self, name: str) -> None:
            self.zone = IanaZone(name)
            self.ledger = module.Ledger(LIMITS, self.zone)

        @rule(
            scopes=st.sampled_from(SPENDERS),
            amount=st.sampled_from([0, 1, 7, 30, 60, 101]),
            least=st.sampled_from([None, None, 0, 5, 30, 200]),
            strict=st.booleans(),
        )
        def reserve(
            self, scopes: list[Scope], amount: int, least: int | None, strict: bool
        ) -> None:
            limits = [limit for limit in LIMITS if limit.scope in scopes]
            rooms = {limit: self.room(limit) for limit in limits}
            assert self.ledger.room(scopes, self.wall) == min(rooms.values(), default=None)
            answer = self.ledger.reserve(scopes, amount, self.wall, strict=strict, least=least)
            enough = amount if least is None else min(amount, least)
            if isinstance(answer, module.Reserved):
                assert answer.amount == min([amount, *rooms.values()])
                assert answer.amount >= enough
                assert not self.frozen & set(limits)
                lent = answer.amount
                self.charges[answer.number] = Charge(self.wall, limits, lent)
                if not strict:
                    self.charges[answer.number].amount = -lent - 1
            else:
                assert answer.room == rooms[answer.limit]
                assert answer.room < enough or answer.limit in self.frozen
                assert answer.frozen == (answer.limit in self.frozen)
                window = self.window(answer.limit)
                endless = answer.frozen or answer.limit.period is Period.TOTAL
                assert answer.resets_at == (None if endless else window.end)

        @precondition(lambda self: self.open())
        @rule(which=WHICH, share=st.sampled_from([None, 0.0, 0.5, 1.0, 1.5]))
        def settle(self, which: int, share: float | None) -> None:
            numbers = self.open()
            number = numbers[which % len(numbers)]
            charge = self.charges[number]
            strict = charge.amount >= 0
            amount = charge.amount if strict else -charge.amount - 1
            actual = None if share is None else int(amount * share)
            before = set(self.frozen)
            answer = self.ledger.settle(number, actual)
            charge.actual = amount if actual is None else actual
            assert answer.amount == charge.actual
            assert answer.known == (actual is not None)
            if strict and charge.actual > amount:
                self.frozen |= set(charge.limits)
            assert set(answer.frozen) == (set(charge.limits) if self.breach(charge) else set())
            assert before <= self.frozen
            for alert in answer.alerts:
                key = (alert.limit, alert.window, alert.percent)
                assert key not in self.alerts, "told twice"
                self.alerts.add(key)
                assert alert.percent in THRESHOLDS
                assert alert.spent * 100 >= alert.percent * alert.limit.micro_usd
            for limit in charge.limits:
                self.told_of(limit, charge.wall)

        @precondition(lambda self: len(self.charges) > len(self.open()))
        @rule(which=WHICH)
        def settle_twice(self, which: int) -> None:
            done = [n for n, c in self.charges.items() if c.actual is not None]
            before = self.ledger.standing(self.wall)
            assert self.ledger.settle(done[which % len(done)], 50) is None
            assert self.ledger.standing(self.wall) == before

        @rule(scope=st.sampled_from([ENGINE, ANN, BOB]))
        def thaw(self, scope: Scope) -> None:
            self.ledger.thaw(scope)
            self.frozen = {limit for limit in self.frozen if limit.scope != scope}

        @rule(hours=st.sampled_from([0.0, 0.5, 1.0, 7.0, 24.0, 24.0 * 8, 24.0 * 40]))
        def wait(self, hours: float) -> None:
            self.wall += hours * 3600

        @invariant()
        def books_equal_the_sum_of_charges(self) -> None:
            for standing in self.ledger.standing(self.wall):
                window = self.window(standing.limit)
                spent, reserved, charges = self.sums(standing.limit, window)
                assert standing.window == window
                assert (standing.spent, standing.reserved) == (spent, reserved)
                assert standing.charges == charges
                assert standing.frozen == (standing.limit in self.frozen)

        @invariant()
        def what_is_expected_follows_from_the_charges(self) -> None:
            for standing, found in self.ledger.forecasts(self.wall):
                limit, window = standing.limit, standing.window
                last = self.seen.get(limit)
                if last != window:
                    adjacent = last is not None and last.end == window.start
                    self.before[limit] = last if adjacent else None
                    self.seen[limit] = window
                before = self.before[limit]
                course = None if before is None else self.course(limit, before)
                now = self.course(limit, window)
                due = forecast(limit.period, now, course, self.wall)
                assert astuple(found) == astuple(due)

        @invariant()
        def no_window_ever_goes_over_its_limit(self) -> None:
            for limit in LIMITS:
                mine = [c for c in self.charges.values() if limit in c.limits]
                for window in {self.window(limit, c.wall) for c in mine}:
                    spent, reserved, _ = self.sums(limit, window)
                    over = sum(self.excess(c) for c in mine if window.holds(c.wall))
                    assert spent + reserved - over <= limit.micro_usd

        def teardown(self) -> None:
            for number in self.open():
                self.ledger.settle(number, 0)
            assert self.ledger.outstanding == 0
            assert all(each.reserved == 0 for each in self.ledger.standing(self.wall))

        def open(self) -> list[int]:
            return [number for number, charge in self.charges.items() if charge.actual is None]

        def breach(self, charge: Charge) -> bool:
            return 0 <= charge.amount < (charge.actual or 0)

        def excess(self, charge: Charge) -> int:
            return max(0, (charge.actual or 0) - self.lent(charge))

        def lent(self, charge: Charge) -> int:
            return charge.amount if charge.amount >= 0 else -charge.amount - 1

        def window(self, limit: Limit, wall: float | None = None) -> Span:
            return window_of(limit.period, self.wall if wall is None else wall, self.zone)

        def room(self, limit: Limit) -> int:
            spent, reserved, _ = self.sums(limit, self.window(limit))
            left = 0 if limit in self.frozen else limit.micro_usd - spent - reserved
            return max(0, left)

        def sums(self, limit: Limit, window: Span) -> tuple[int, int, int]:
            """Spent, reserved and the number of charges, from scratch."""
            mine = [c for c in self.charges.values() if limit in c.limits and window.holds(c.wall)]
            settled = [c.actual for c in mine if c.actual is not None]
            reserved = sum(self.lent(c) for c in mine if c.actual is None)
            return sum(settled), reserved, sum(1 for each in settled if each)

        def course(self, limit: Limit, window: Span) -> Course:
            """How a window went, from scratch."""
            mine = [c for c in self.charges.values() if limit in c.limits and window.holds(c.wall)]
            paid = [c for c in mine if c.actual]
            profile = Counter[int]()
            for each in paid:
                slot = slot_of(limit.period, window, each.wall)
                if slot is not None:
                    profile[slot] += each.actual or 0
            spent, reserved, charges = self.sums(limit, window)
            first_at = min((each.wall for each in paid), default=None)
            return Course(window, spent, reserved, charges, dict(profile), first_at)

        def told_of(self, limit: Limit, wall: float) -> None:
            window = self.window(limit, wall)
            spent, _, _ = self.sums(limit, window)
            passed = [p for p in THRESHOLDS if spent * 100 >= p * limit.micro_usd]
            if passed:
                assert (limit, window, passed[-1]) in self.alerts, "nobody was told"

    return AnyOrder


def check_money(module: ModuleType) -> None:
    """Raise unless the books of `module` agree with the list of charges, in any order."""
    run_state_machine_as_test(
        money_machine(module),
        settings=settings(database=None, stateful_step_count=40),
    )


def a_ledger(module: ModuleType, **limits: int) -> Any:
    given = (Limit(Scope(kind), Period.DAY, micro) for kind, micro in limits.items())
    return module.Ledger(given, IanaZone("UTC"))


def check_flood(module: ModuleType) -> None:
    """Raise unless a crowd gets exactly what the budget pays for."""
    ledger = a_ledger(module, engine=1000)
    answers = [ledger.reserve([ENGINE], 10, START) for _ in range(2000)]
    served = [each for each in answers if isinstance(each, module.Reserved)]
    assert len(served) == 100
    for each in served:
        ledger.settle(each.number)
    (standing,) = ledger.standing(START)
    assert (standing.spent, standing.reserved, standing.percent) == (1000, 0, 100.0)


def check_all_or_nothing(module: ModuleType) -> None:
    """Raise unless what one scope refuses is reserved nowhere, and says who refused."""
    ledger = a_ledger(module, engine=1000, key=5)
    answer = ledger.reserve([ENGINE, Scope("key")], 10, START)
    assert isinstance(answer, module.TooDear)
    assert str(answer.limit) == "key, $0.000005 a day"
    assert [each.reserved for each in ledger.standing(START)] == [0, 0]


def check_shortening(module: ModuleType) -> None:
    """Raise unless whoever takes what there is takes what the poorest of its scopes has."""
    ledger = a_ledger(module, engine=1000, key=70, user=90)
    scopes = [ENGINE, Scope("user"), Scope("key")]
    answer = ledger.reserve(scopes, 100, START, least=60)
    assert (answer.amount, [each.reserved for each in ledger.standing(START)]) == (70, [70] * 3)
    refused = ledger.reserve(scopes, 100, START, least=10)
    assert (refused.room, refused.limit.scope) == (0, Scope("key"))
    ledger.settle(answer.number, 0)
    assert isinstance(ledger.reserve(scopes, 100, START, least=71), module.TooDear)
    assert ledger.reserve(scopes, 50, START, least=71).amount == 50


def check_forecasts(module: ModuleType) -> None:
    """Raise unless each charge is in the profile of the hour in which it was reserved."""
    ledger = a_ledger(module, engine=1_000_000)
    day = ledger.standing(START)[0].window
    for hour in range(48):
        for _ in range(2):
            wall = day.start + hour * 3600
            number = ledger.reserve([ENGINE], 200, wall).number
            ledger.settle(number, 100 if hour < 24 else 10)
        later = day.start + hour * 3600 + 1800
        ((standing, found),) = ledger.forecasts(later)
        if hour >= 34:
            span = standing.window
            share = (later - span.start) / 86_400
            pace, left_s = standing.spent / (later - span.start), span.end - later
            yesterday = 200 * left_s / 3600
            due = standing.spent + share * pace * left_s + (1 - share) * yesterday
            assert abs(found.at_end - due) <= 2
    endless = module.Ledger([Limit(ENGINE, Period.TOTAL, 10**9)], IanaZone("UTC"))
    lent = [endless.reserve([ENGINE], 100, START + hour * 3600).number for hour in range(24)]
    for number in (*lent[3:], *lent[:3]):
        endless.settle(number, 100)
    ((_, found),) = endless.forecasts(START + 2 * 86_400)
    assert found.next_30_days == 2400 * 15


def check_a_clock_set_back(module: ModuleType) -> None:
    """Raise if it opens a window anew."""
    ledger = a_ledger(module, engine=100)
    first = ledger.reserve([ENGINE], 60, START)
    later = ledger.reserve([ENGINE], 60, START + 86400)
    assert isinstance(later, module.Reserved)
    assert isinstance(ledger.reserve([ENGINE], 60, START), module.TooDear)
    assert ledger.settle(first.number, 60) is not None
    (standing,) = ledger.standing(START)
    assert (standing.spent, standing.reserved) == (0, 60)


def check_a_scope_named_twice(module: ModuleType) -> None:
    """Raise unless it pays once."""
    ledger = a_ledger(module, engine=100)
    ledger.reserve([ENGINE, ENGINE], 60, START)
    assert ledger.standing(START)[0].reserved == 60


def check_breach(module: ModuleType) -> None:
    """Raise unless a charge above its reservation is booked whole and stops all lending."""
    ledger = a_ledger(module, engine=100)
    charged = ledger.settle(ledger.reserve([ENGINE], 10, START).number, 25)
    assert (charged.amount, [each.scope for each in charged.frozen]) == (25, [ENGINE])
    for amount in (0, 1):
        answer = ledger.reserve([ENGINE], amount, START + 90_000)
        assert (answer.frozen, answer.room, answer.resets_at) == (True, 0, None)
    ledger.thaw(ENGINE)
    assert ledger.room([ENGINE], START) == 75


def check_estimates(module: ModuleType) -> None:
    """Raise unless a charge above what was only expected is booked whole, and stops nobody."""
    ledger = a_ledger(module, engine=100)
    charged = ledger.settle(ledger.reserve([ENGINE], 10, START, strict=False).number, 25)
    assert (charged.amount, charged.frozen) == (25, ())
    assert ledger.room([ENGINE], START) == 75


LAWS: Final = (
    check_estimates,
    check_breach,
    check_flood,
    check_all_or_nothing,
    check_shortening,
    check_forecasts,
    check_a_clock_set_back,
    check_a_scope_named_twice,
    check_money,
)


@pytest.mark.parametrize("law", LAWS)
def test_the_books_keep_the_law(law: Callable[[ModuleType], None]) -> None:
    law(money)


def test_nobody_reserves_less_than_nothing() -> None:
    with pytest.raises(ValueError, match="got -1"):
        a_ledger(money, engine=100).reserve([ENGINE], -1, START)
