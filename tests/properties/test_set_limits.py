"""Limits that are set while requests run: they hold from then on, and nothing is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import pytest
from hypothesis import given, settings, strategies as st

from tests.support.mutants import Mutant
from tests.support.planted import a_law_breaks, planted_profile
from understudy.zones import IanaZone
from understudy_actors.domain.rates import RateRule
from understudy_actors.ledger import money
from understudy_actors.ledger.account import Limit, Scope
from understudy_actors.ledger.books import Keeping
from understudy_actors.ledger.windows import Period
from understudy_actors.limits import gate
from understudy_actors.provider.rates import AGAIN_S

KEY, OTHER = Scope("key", "k"), Scope("key", "other")
EACH = Scope("key", "*")
WALL: Final = 1_772_900_000.0
UTC: Final = IanaZone("UTC")
AMOUNTS: Final = st.sampled_from([None, 0, 5, 20, 100])
BUDGETS: Final = st.fixed_dictionaries({Period.DAY: AMOUNTS, Period.TOTAL: AMOUNTS})


def limits_of(given_: dict[Period, int | None], scope: Scope = KEY) -> tuple[Limit, ...]:
    return tuple(Limit(scope, p, n) for p, n in given_.items() if n is not None)


def check_money_set(module: ModuleType) -> None:
    """Raise unless every grant fits the limits of its moment, and all that was spent counts."""

    @settings(deadline=None, max_examples=40)
    @given(
        st.lists(
            st.one_of(
                st.tuples(st.just("set"), BUDGETS),
                st.tuples(st.just("spend"), st.sampled_from([1, 4, 9])),
                st.tuples(st.just("settle"), st.booleans()),
            ),
            max_size=30,
        )
    )
    def holds(steps: list[tuple[str, Any]]) -> None:
        ledger, own = module.Ledger([], UTC), dict[Period, int | None]()
        spent = dict.fromkeys(Period, 0)
        owed: list[tuple[int, int, list[Period]]] = []
        for what, how in steps:
            if what == "set":
                ledger.set(KEY, limits_of(how), WALL)
                own = how
            elif what == "spend":
                counting = [p for p, n in own.items() if n is not None]
                fits = all(spent[p] + how <= (own[p] or 0) for p in counting)
                answer = ledger.reserve([KEY, OTHER], how, WALL)
                assert hasattr(answer, "number") == fits, (own, spent, how)
                if fits:
                    owed.append((answer.number, how, counting))
                    for period in counting:
                        spent[period] += how
            elif owed:
                number, amount, counting = owed.pop()
                actual = amount if how else 0
                ledger.settle(number, actual)
                for period in counting:
                    spent[period] -= amount - actual
        for each in ledger.standing(WALL):
            assert each.spent + each.reserved == spent[each.limit.period]
            assert each.limit.micro_usd == own[each.limit.period]

    holds()


def check_money_of_each(module: ModuleType) -> None:
    """Raise unless a limit of one's own replaces that of everybody, and gives way to it again."""
    ledger = module.Ledger([Limit(EACH, Period.DAY, 10)], UTC)
    ledger.settle(ledger.reserve([KEY], 6, WALL).number, 6)
    ledger.set(KEY, limits_of({Period.DAY: 20}), WALL)
    assert ledger.room([KEY], WALL) == 14, "what it spent before counts"
    assert ledger.room([OTHER], WALL) == 10
    ledger.settle(ledger.reserve([KEY], 3, WALL).number, 3)
    ledger.set(KEY, (), WALL)
    assert ledger.room([KEY], WALL) == 1, "and goes on counting under the limit of everybody"
    assert ledger.room([Scope("key", "new")], WALL) == 10


def check_money_of_another_life(module: ModuleType) -> None:
    """Raise unless books of a limit that comes later are gone on with."""
    first = module.Ledger(limits_of({Period.DAY: 100}), UTC)
    kept = Keeping(lambda: None)
    first.keep(kept, [], WALL)
    first.reserve([KEY], 30, WALL)
    changes = kept.gather()
    assert changes is not None
    second = module.Ledger([], UTC)
    noted = Keeping(lambda: None)
    assert second.keep(noted, changes.states.values(), WALL) == []
    second.set(KEY, limits_of({Period.DAY: 100}), WALL)
    assert second.room([KEY], WALL) == 40, "what may have been spent is charged"
    told = noted.gather()
    assert told is not None
    assert [kind for _, kind, _ in told.journal] == ["unknown"], "and is written down as such"
    second.set(KEY, limits_of({Period.DAY: 110}), WALL)
    assert second.room([KEY], WALL) == 50, "once"


def check_parallel(module: ModuleType) -> None:
    """Raise unless no more requests of a scope run at once than allowed, and each makes room."""

    @settings(deadline=None, max_examples=40)
    @given(
        st.sampled_from([1, 2, 3]),
        st.lists(st.sampled_from(["enter", "leave", "change"]), max_size=30),
    )
    def holds(most: int, steps: list[str]) -> None:
        kept, running = module.Limits([], each_max=1), list[int]()
        kept.set(KEY, module.RateLimit(KEY, RateRule(), most))
        for step in steps:
            if step == "enter":
                answer = kept.enter((KEY,), 0.0, 1, 1)
                if len(running) < most:
                    running.append(answer)
                    assert isinstance(answer, int)
                else:
                    assert answer.retry_at == AGAIN_S
                    assert str(answer.limit) == f"key k, {most} at once"
                crowd = kept.enter((OTHER, Scope("tag", "x")), 5.0, 1, 1)
                assert isinstance(crowd, int), "who has no limit is free"
                kept.leave(crowd, 5.0, None, reached=True)
            elif step == "leave" and running:
                kept.leave(running.pop(), 1.0, (1, 1, 0), reached=True)
            elif step == "change":
                most = most % 3 + 1
                kept.set(KEY, module.RateLimit(KEY, RateRule(), most))

    holds()
    kept = module.Limits([module.RateLimit(EACH, RateRule(), 1)], each_max=1)
    kept.enter((KEY,), 0.0, 1, 1)
    assert not isinstance(kept.enter((OTHER,), 99.0, 1, 1), int), "who runs makes no room"
    assert not isinstance(kept.enter((KEY,), 99.0, 1, 1), int), "and is not forgotten"


def check_rates_set(module: ModuleType) -> None:
    """Raise unless a limit a minute holds from when it is set, whatever was used before counts."""
    kept = module.Limits([module.RateLimit(EACH, RateRule(requests=9))])
    numbers = [kept.enter((KEY,), 0.0, 10, 0) for _ in range(3)]
    kept.set(KEY, module.RateLimit(KEY, RateRule(requests=4, tokens=100)))
    assert isinstance(kept.enter((KEY,), 0.0, 10, 0), int), "three and one are four"
    refused = kept.enter((KEY,), 0.0, 1, 0)
    assert str(refused.limit) == "key k, 4 requests and 100 tokens a minute"
    for number in numbers:
        kept.leave(number, 1.0, (60, 0, 0), reached=True)
    kept.set(KEY, module.RateLimit(KEY, RateRule(tokens=100)))
    assert not isinstance(kept.enter((KEY,), 1.0, 1, 0), int), "their tokens count, now 190"
    kept.set(KEY, None)
    assert isinstance(kept.enter((KEY,), 1.0, 1, 0), int), "as everybody again: nine"
    for _ in range(4):
        kept.enter((KEY,), 1.0, 1, 0)
    assert not isinstance(kept.enter((KEY,), 1.0, 1, 0), int)
    one, other = RateRule(requests=3, tokens=9), RateRule(requests=5, tokens=4)
    both = module.RateLimit(KEY, one, None).both(module.RateLimit(KEY, other, 2))
    assert both == module.RateLimit(KEY, RateRule(requests=3, tokens=4), 2)


PROFILE: Final = planted_profile("planted in limits that are set", max_examples=40)
MONEY: Final = (check_money_set, check_money_of_each, check_money_of_another_life)
RATES: Final = (check_parallel, check_rates_set)
ALL: Final[list[tuple[ModuleType, Callable[[ModuleType], None]]]] = [
    *((money, law) for law in MONEY),
    *((gate, law) for law in RATES),
]


def _in(module: ModuleType, *faults: tuple[str, str, str]) -> list[Mutant]:
    return [Mutant(name, module.__name__, old, new) for name, old, new in faults]


FAULTS: Final = [
    *_in(
        money,
        (
            "a new limit forgets what was spent",
            "self._retired.pop((limit.scope, limit.period), None)",
            "None",
        ),
        (
            "the old amount stays",
            "        if account is not None:\n            account.change(limit, wall)\n",
            "        if account is not None:\n",
        ),
        (
            "a limit that is taken out stays",
            "        for account in self._accounts.pop(scope, ()):\n"
            "            self._retired[scope, account.limit.period] = account\n"
            "        self._made.pop(scope, None)\n"
            "        accounts = [self._account(limit, wall) for limit in limits]\n",
            "        accounts = [self._account(limit, wall) for limit in limits]\n",
        ),
        (
            "without a limit nothing is lent",
            "        if accounts:\n            self._accounts[scope] = accounts\n",
            "        self._accounts[scope] = accounts\n",
        ),
        (
            "books of another life are left",
            "self._left[limit.scope, limit.period] = books",
            "pass",
        ),
        (
            "what may have been spent is on no journal",
            "            self._keeping.unknown(wall, account, unknown)\n        return unknown",
            "            pass\n        return unknown",
        ),
    ),
    *_in(
        gate,
        (
            "one too many at once",
            "rates.running >= limit.parallel",
            "rates.running > limit.parallel",
        ),
        ("everybody's is not for each", "each.rule, each.parallel)", "each.rule)"),
        ("who runs makes room", "if not r.running and r.idle(now)]", "if r.idle(now)]"),
        (
            "a limit that is set is not",
            "            self._limits[scope] = limit\n",
            "            pass\n",
        ),
        (
            "it stays with the old rule",
            "            rates.change(now.rule)\n",
            "            pass\n",
        ),
        ("a limit stays", "self._limits.pop(scope, None)", "pass"),
        ("the other limit is forgotten", "_less(self.parallel, other.parallel)", "self.parallel"),
    ),
]


@pytest.mark.parametrize(
    ("module", "law"), ALL, ids=[f"{m.__name__}-{law.__name__}" for m, law in ALL]
)
def test_limits_that_are_set_keep_the_law(
    module: ModuleType, law: Callable[[ModuleType], None]
) -> None:
    law(module)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_planted_fault_is_noticed(fault: Mutant) -> None:
    laws = MONEY if fault.module == money.__name__ else RATES
    assert a_law_breaks(laws, fault.plant(), PROFILE)
