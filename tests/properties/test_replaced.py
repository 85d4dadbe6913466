"""What a reload replaces at once keeps what is known: money, breakers, slots, plans."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import pytest
from hypothesis import given, strategies as st

from tests.support.mutants import Mutant
from tests.support.planted import a_law_breaks, planted_profile
from understudy_actors.dispatcher import plans
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.dispatcher.settings import DispatcherSettings
from understudy_actors.domain.outcome import Verdict
from understudy_actors.domain.request import Request
from understudy_actors.ledger import money
from understudy_actors.ledger.account import Limit, Scope
from understudy_actors.ledger.windows import Period
from understudy_actors.provider import breaker, concurrency
from understudy_actors.provider.policy import BreakerPolicy
from understudy_actors.provider.transitions import State


class Utc:
    """Days of 86,400 seconds."""

    def day_start(self, day: int) -> float:
        return day * 86_400.0


EACH: Final = Scope("user", "*")
SCOPES: Final = (Scope("engine"), Scope("user", "u"), Scope("user", "v"))
LIMITS: Final = st.lists(
    st.builds(
        Limit,
        st.sampled_from([*SCOPES, EACH]),
        st.sampled_from([Period.DAY, Period.TOTAL]),
        st.integers(0, 50),
    ),
    max_size=5,
    unique_by=lambda limit: (limit.scope, limit.period),
)
SPENDING: Final = st.lists(st.tuples(st.sampled_from(SCOPES), st.integers(0, 20)), max_size=6)
STEPS: Final = st.lists(st.tuples(LIMITS, SPENDING), min_size=1, max_size=5)


def _of(limits: list[Limit], scope: Scope) -> list[Limit]:
    """The limits that a scope has: its own ones, else those that everybody of its kind has."""
    own = [each for each in limits if each.scope == scope]
    common = [each for each in limits if each.scope == EACH and scope.kind == EACH.kind]
    return own or [Limit(scope, each.period, each.micro_usd) for each in common]


def check_money_replaced(module: ModuleType) -> None:
    """Raise unless each limit knows all that was spent under it, whatever stood beside it when."""

    @given(STEPS)
    def holds(steps: list[tuple[list[Limit], list[tuple[Scope, int]]]]) -> None:
        books, spent = module.Ledger([], Utc()), dict[tuple[Scope, Period], int]()
        for limits, spending in steps:
            books.replace(limits, 0.0)
            for scope, amount in spending:
                own = _of(limits, scope)
                rooms = [e.micro_usd - spent.get((scope, e.period), 0) for e in own]
                answer = books.reserve([scope], amount, 0.0)
                fits = all(amount <= max(0, room) for room in rooms)
                assert isinstance(answer, module.Reserved) == fits
                if fits:
                    books.settle(answer.number, amount)
                    for each in own:
                        key = (scope, each.period)
                        spent[key] = spent.get(key, 0) + amount
            for each in books.standing(0.0):
                assert each.spent == spent.get((each.limit.scope, each.limit.period), 0)
                assert each.limit in _of(limits, each.limit.scope)

    holds()
    books = module.Ledger([Limit(SCOPES[0], Period.DAY, 10)], Utc())
    lent = books.reserve([SCOPES[0]], 8, 0.0)
    books.replace([Limit(SCOPES[0], Period.DAY, 5)], 0.0)
    assert books.standing(0.0)[0].reserved == 8, "what is reserved stays reserved"
    books.settle(lent.number, 8)
    assert not isinstance(books.reserve([SCOPES[0]], 1, 0.0), module.Reserved)
    books.replace([Limit(SCOPES[0], Period.DAY, 100)], 0.0)
    more = books.reserve([SCOPES[0]], 45, 0.0)
    assert books.settle(more.number, 45).alerts[0].percent == 50, "of the new amount"
    books = module.Ledger([Limit(EACH, Period.DAY, 10)], Utc())
    books.settle(books.reserve([SCOPES[1]], 8, 0.0).number, 8)
    books.replace([Limit(EACH, Period.DAY, 20)], 0.0)
    assert [(e.limit.micro_usd, e.spent) for e in books.standing(0.0)] == [(20, 8)], "it is listed"


def check_breaker_configured(module: ModuleType) -> None:
    """Raise unless another policy decides from now on, over what was seen before."""

    @given(st.integers(0, 6), st.integers(1, 8), st.booleans())
    def holds(failures: int, threshold: int, windows: bool) -> None:
        policy = BreakerPolicy(run_threshold=9, growth=False, ratio=None)
        one = module.Breaker(policy, lambda: 0.5)
        for at in range(failures):
            one.release(1.0, at + 1, one.admit(1.0, at + 1, 1.0), Verdict.FAIL)
        before = one.generation, one.run
        length_s = 30.0 if windows else policy.short_window_s
        one.configure(
            BreakerPolicy(
                run_threshold=threshold, growth=False, ratio=None, short_window_s=length_s
            ),
            1.0,
        )
        assert (one.generation, one.run) == before
        one.release(1.0, 99, one.admit(1.0, 99, 1.0), Verdict.FAIL)
        assert (one.state is State.OPEN) == (failures + 1 >= threshold)

    holds()
    policy = BreakerPolicy(growth=False, run_threshold=99, short_min=4, ratio=0.5)
    one = module.Breaker(policy, lambda: 0.5)
    for at in range(3):
        one.release(1.0, at + 1, one.admit(1.0, at + 1, 1.0), Verdict.FAIL)
    one.configure(BreakerPolicy(growth=False, run_threshold=99, short_min=4, calm_s=9.0), 1.0)
    one.release(1.0, 9, one.admit(1.0, 9, 1.0), Verdict.FAIL)
    assert one.state is State.OPEN, "the windows remember the three before"
    until = one.until
    one.configure(BreakerPolicy(cooldown_s=0.1, cap_s=0.1), 1.0)
    assert (one.state, one.until) == (State.OPEN, until), "a cooldown ends when it would have"


def check_slots_configured(module: ModuleType) -> None:
    """Raise unless what was learned stays within the new bounds, and no slot is lost."""

    @given(st.integers(0, 30), st.integers(1, 9), st.integers(1, 9), st.integers(0, 5))
    def holds(oks: int, least: int, most: int, running: int) -> None:
        least, most = min(least, most), max(least, most)
        one = module.Concurrency(lambda: 0.5, initial=4.0, least=1, most=20)
        for _ in range(oks):
            one.on_ok(20)
        for _ in range(running):
            one.started()
        learned = one.limit
        one.configure(2.0, least, most)
        assert one.limit == min(max(learned, least), most)
        assert one.capacity == int(one.limit)
        assert one.in_flight == running
        for _ in range(50):
            one.on_ok(20)
        assert one.limit == most

    holds()


class Stub:
    """Stands where a ranking does."""

    def __init__(self, plan: Any, chosen: Any) -> None:
        self.plan, self.chosen, self.looked = plan, dict(chosen), 0

    def look_again(self) -> None:
        self.looked += 1


def check_plans(module: ModuleType) -> None:
    """Raise unless each flight is decided under the plan that it came with."""

    def plan(at: int, **settings: Any) -> Any:
        return module.Plan(at, DispatcherSettings({}, **settings), ())

    def flight(at: int) -> Flight:
        return Flight(Request.chat("x"), "r", 0.0, 1.0, 1, 1, 1, generation=at)

    first = plan(0, strategy="fastest", queue_capacity=5)
    kept = module.Plans(first, (), {None: "cheapest", "chat": "priority"}, Stub)
    old = kept.ranking
    second = plan(1, strategy="weighted", queue_capacity=6)
    kept.configure(module.Configure(second, (first,)))
    assert kept.of(flight(0)) == (first.settings, old)
    assert old.looked == 1, "nobody tells it of gates any more"
    assert kept.of(flight(1)) == (second.settings, kept.ranking)
    assert kept.ranking is not old
    assert kept.ranking.chosen == {"chat": "priority"}, "what is configured anew was not chosen"
    new = kept.ranking
    third = plan(2, strategy="weighted", queue_capacity=6)
    kept.configure(module.Configure(third, (first, second)))
    assert kept.ranking is new, "whose plan decides alike goes on with what it remembers"
    kept.configure(module.Configure(third))
    assert not kept.earlier
    assert kept.of(flight(2))[0] is third.settings


LAWS: Final[list[tuple[ModuleType, Callable[[ModuleType], None]]]] = [
    (money, check_money_replaced),
    (breaker, check_breaker_configured),
    (concurrency, check_slots_configured),
    (plans, check_plans),
]
PROFILE: Final = planted_profile("planted in what is replaced", max_examples=60)


def _in(module: ModuleType, *faults: tuple[str, str, str]) -> list[Mutant]:
    return [Mutant(name, module.__name__, old, new) for name, old, new in faults]


FAULTS: Final = [
    *_in(
        money,
        (
            "a limit that stays forgets",
            "account = own.pop(0)",
            "account = Account(limit, self._zone)",
        ),
        (
            "one that stays keeps its amount",
            "            account = own.pop(0)\n            account.change(limit, wall)\n",
            "            account = own.pop(0)\n",
        ),
        (
            "one that is left out forgets",
            "                if account.busy(wall):\n",
            "                if False:\n",
        ),
        (
            "everybody's own window is forgotten",
            "            if scope.kind in self._each and scope not in self._accounts:\n",
            "            if False:\n",
        ),
        (
            "old limits of everybody stay",
            "made, self._made, self._accounts, self._each = self._made, {}, {}, {}",
            "made, self._made, self._accounts = self._made, {}, {}",
        ),
    ),
    *_in(
        breaker,
        (
            "the old policy stays",
            "        self.policy = policy\n        self.__attrs",
            "        self.__attrs",
        ),
        ("windows are forgotten", "        self._short.load(seen[0], now)\n", ""),
    ),
    *_in(
        concurrency,
        (
            "the limit begins anew",
            "self._set(float(min(max(self.limit, least), most)))",
            "self._set(float(min(max(initial, least), most)))",
        ),
        (
            "the old bound stays",
            "self.least, self.most = min(max(initial, least), most), least, most",
            "self.least = min(max(initial, least), most), least",
        ),
    ),
    *_in(
        plans,
        (
            "all are decided under the newest",
            "ranking = self.earlier.get(flight.generation)",
            "ranking = None",
        ),
        ("gates are looked at no more", "        ranking.look_again()\n", ""),
        (
            "an earlier one has the newest settings",
            "return self._plans[flight.generation].settings, ranking",
            "return self.plan.settings, ranking",
        ),
        (
            "by hand wins over the file",
            "if _configured(old, op) == _configured(new, op)",
            "if True",
        ),
        ("shares begin anew each time", "self.ranking if plan.like(before) else", "False or"),
    ),
]


@pytest.mark.parametrize(("module", "law"), LAWS, ids=[law.__name__ for _, law in LAWS])
def test_what_is_replaced_keeps_the_law(
    module: ModuleType, law: Callable[[ModuleType], None]
) -> None:
    law(module)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_planted_fault_is_noticed(fault: Mutant) -> None:
    laws = [law for module, law in LAWS if module.__name__ == fault.module]
    assert a_law_breaks(laws, fault.plant(), PROFILE)
