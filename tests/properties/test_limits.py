"""Limits of whoever asks: each scope its own, all of a request's scopes or none."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import pytest
from hypothesis import given, settings, strategies as st

from tests.support.mutants import Mutant
from understudy_actors.domain.rates import RateRule
from understudy_actors.ledger.account import Scope
from understudy_actors.limits import gate

ANN, BOB = Scope("user", "ann"), Scope("user", "bob")
TEAM, ENGINE = Scope("team", "x"), Scope("engine")


def limits(module: ModuleType, **options: Any) -> Any:
    """Two requests a minute for every user, three for the engine, 100 tokens for team x."""
    made = (
        (Scope("user", "*"), RateRule(requests=2)),
        (ENGINE, RateRule(requests=3)),
        (TEAM, RateRule(tokens=100)),
        (TEAM, RateRule(tokens=200, requests=50)),
    )
    return module.Limits([module.RateLimit(scope, rule) for scope, rule in made], **options)


def entered(answer: object) -> bool:
    return isinstance(answer, int)


def check_scopes(module: ModuleType) -> None:
    """Raise unless everybody has a limit of their own, and all of a request's limits hold."""
    kept = limits(module)
    first = kept.enter((ANN, ENGINE), 0.0, 1, 1)
    assert entered(first)
    assert entered(kept.enter((ANN,), 0.0, 1, 1))
    refused = kept.enter((ANN, ENGINE), 0.0, 1, 1)
    assert (refused.limit.scope, refused.retry_at) == (ANN, 1.0)
    assert str(refused.limit) == "user ann, 2 requests a minute"
    assert entered(kept.enter((BOB, ENGINE), 0.0, 1, 1)), "of who was refused nothing counts"
    assert entered(kept.enter((ENGINE,), 0.0, 1, 1))
    assert kept.enter((BOB, ENGINE), 0.0, 1, 1).limit.scope == ENGINE
    assert entered(kept.enter((BOB,), 0.0, 1, 1)), "the engine had no room, and bob's was not taken"
    assert entered(kept.enter((Scope("key", "k"),), 0.0, 1, 1)), "who has no limit is free"
    kept.leave(first, 10.0, (1, 1, 0), reached=True)
    assert kept.enter((ANN,), 10.0, 1, 1).retry_at == 72.0
    assert kept.outstanding == 5


def check_tokens(module: ModuleType) -> None:
    """Raise unless what is used counts, what is reserved comes back, and too much is refused."""
    kept = limits(module)
    assert kept.enter((TEAM,), 0.0, 60, 41).retry_at is None, "the smaller of two limits"
    number = kept.enter((TEAM,), 0.0, 60, 40)
    assert kept.enter((TEAM,), 0.0, 0, 1).retry_at == 1.0
    kept.leave(number, 1.0, (60, 5, 0), reached=True)
    kept.leave(number, 1.0, (0, 0, 0), reached=True)
    assert entered(kept.enter((TEAM,), 1.0, 35, 0))
    assert not entered(kept.enter((TEAM,), 1.0, 1, 0))
    void = limits(module)
    number = void.enter((TEAM,), 0.0, 100, 0)
    void.leave(number, 1.0, None, reached=False)
    number = void.enter((TEAM,), 1.0, 100, 0)
    assert entered(number), "nobody was asked: as if it had never been"
    void.leave(number, 2.0, None, reached=True)
    assert not entered(void.enter((TEAM,), 2.0, 1, 0)), "nobody knows: all of it"


def check_crowd(module: ModuleType) -> None:
    """Raise unless memory is bounded, and whoever is idle makes room."""
    kept = limits(module, each_max=10)
    numbers = [kept.enter((Scope("user", str(n)),), 0.0, 1, 1) for n in range(10)]
    refused = kept.enter((ANN,), 0.0, 1, 1)
    assert refused.retry_at == 60.0
    assert "too many others" in refused.why
    for number in numbers:
        kept.leave(number, 0.5, (1, 1, 0), reached=True)
    assert not entered(kept.enter((ANN,), 30.0, 1, 1)), "theirs counts still"
    assert entered(kept.enter((ANN,), 62.0, 1, 1))


def check_restored(module: ModuleType) -> None:
    """Raise unless another process goes on."""
    kept = limits(module)
    number = kept.enter((ANN, ENGINE), 0.0, 1, 1)
    kept.leave(number, 0.0, (1, 1, 0), reached=True)
    kept.enter((ANN,), 5.0, 1, 1)
    kept.enter((Scope("key", "free"),), 5.0, 1, 1)
    later = limits(module)
    later.restore(kept.snapshot(5.0).moved(100.0), 106.0)
    assert later.enter((ANN,), 106.0, 1, 1).retry_at == 162.0
    assert entered(later.enter((BOB,), 106.0, 1, 1))


def check_any_traffic(module: ModuleType) -> None:
    """Raise unless no minute holds more requests of a scope than allowed, however many ask."""

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from([0.0, 0.5, 20.0, 61.0]),
                st.sampled_from([(ANN,), (BOB,), (ANN, ENGINE), (BOB, TEAM, ENGINE)]),
                st.sampled_from([0.0, 1.0, 30.0]),
            ),
            max_size=40,
        )
    )
    def holds(asked: list[tuple[float, tuple[Scope, ...], float]]) -> None:
        kept, now = limits(module), 0.0
        running: list[tuple[float, int]] = []
        times: dict[Scope, list[float]] = {}
        for wait_s, scopes, lasts_s in asked:
            now += wait_s
            for ends_at, number in [each for each in running if each[0] <= now]:
                kept.leave(number, ends_at, (1, 1, 0), reached=True)
                running.remove((ends_at, number))
            answer = kept.enter(scopes, now, 1, 1)
            if entered(answer):
                running.append((now + lasts_s, answer))
                for scope in scopes:
                    times.setdefault(scope, []).append(now)
        for scope, most in ((ANN, 2), (BOB, 2), (ENGINE, 3)):
            began = times.get(scope, [])
            assert all(sum(t - 60 < other <= t for other in began) <= most for t in began)

    holds()


LAWS: Final[tuple[Callable[[ModuleType], None], ...]] = (
    check_scopes,
    check_tokens,
    check_crowd,
    check_restored,
    check_any_traffic,
)
FAULTS: Final = [
    Mutant(name, "understudy_actors.limits.gate", old, new)
    for name, old, new in (
        (
            "one limit is shared by all",
            "own = RateLimit(scope, each.rule, each.parallel)",
            "own = each",
        ),
        (
            "counted before all were asked",
            "            found.append(rates)\n",
            "            rates.admit(now, self._last + 1, 1, 1); found.append(rates)\n",
        ),
        (
            "only the first scope counts",
            "        for rates in found:\n",
            "        for rates in found[:1]:\n",
        ),
        ("who left counts on", "self._lent.pop(number, ())", "()"),
        ("no bound on memory", "len(self._rates) >= self._each_max and", "False and"),
        ("nobody makes room", "                del self._rates[scope]\n", "                pass\n"),
        ("busy ones make room", "not r.running and r.idle(now)]:", "not r.running]:"),
        ("the larger of two limits", "return min((n for", "return max((n for"),
        (
            "a restart gives a new minute",
            "                rates.restore(each, now)\n",
            "                pass\n",
        ),
        ("users are smoothed", "Rates(limit.rule, smooth=False)", "Rates(limit.rule)"),
    )
]


@pytest.mark.parametrize("law", LAWS)
def test_limits_keep_the_law(law: Callable[[ModuleType], None]) -> None:
    law(gate)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_planted_fault_is_noticed(fault: Mutant) -> None:
    assert fault.caught_by(LAWS, TypeError, AttributeError, KeyError)
