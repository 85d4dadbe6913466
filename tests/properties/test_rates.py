"""Limits of one scope: what counts, of which unit, and for whom."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import pytest

from tests.support.mutants import Mutant
from understudy_actors.domain.rates import Counting, RateRule, Sighting, Unit
from understudy_actors.provider import rates


def gate(module: ModuleType, counting: Counting | None = None, **limits: int) -> Any:
    """Limits without a short window, to see one thing at a time."""
    return module.Rates(RateRule(**limits), counting or Counting(), smooth=False)


def check_units(module: ModuleType) -> None:
    """Raise unless every limit is asked, and the last one to end decides."""
    both = gate(module, requests=2, tokens=100)
    both.admit(0.0, 1, 10, 20)
    both.settle(0.0, 1, (10, 20, 0))
    assert both.check(0.0, 30, 40) is None
    assert both.check(0.0, 30, 41).retry_at == 62.0
    both.admit(30.0, 2, 1, 1)
    both.settle(30.0, 2)
    assert both.check(30.0, 1, 1).retry_at == 62.0, "two requests"
    assert both.check(30.0, 1, 98).retry_at == 92.0, "tokens last longer"
    assert both.next_at(30.0) == 62.0
    apart = gate(module, input_tokens=10, output_tokens=100)
    apart.admit(0.0, 1, 10, 50)
    assert apart.check(0.0, 0, 50) is None
    assert apart.check(0.0, 1, 1) is not None
    assert apart.check(0.0, 0, 51) is not None


def check_for_good(module: ModuleType) -> None:
    """Raise unless what never fits is refused for good, and says what to do."""
    refusal = gate(module, requests=1, tokens=100).check(0.0, 1, 100)
    assert refusal.retry_at is None
    assert refusal.why == "about 101 tokens exceed its 100 a minute: set a smaller max_tokens"
    apart = gate(module, output_tokens=100).check(0.0, 1000, 101)
    assert (apart.retry_at, "output tokens" in apart.why) == (None, True)
    learned = gate(module)
    learned.sight(0.0, 0.0, [Sighting(Unit.TOKENS, 10, 10)])
    assert learned.check(0.0, 500, 500) is None, "nobody but a person refuses anything for good"
    learned.admit(0.0, 1, 1, 0)
    assert learned.check(0.0, 500, 500).retry_at == 1.0


def check_settled(module: ModuleType) -> None:
    """Raise unless an end counts once, for its own call, as much as it used."""
    window = gate(module, requests=10, tokens=100)
    for attempt, tokens in ((1, 40), (2, 50)):
        window.admit(0.0, attempt, tokens, 0)
    window.settle(0.0, 1, (4, 0, 0))
    window.settle(0.0, 1, (0, 0, 0))
    assert window.check(0.0, 46, 0) is None
    assert window.check(0.0, 47, 0) is not None
    window.settle(0.0, 2, (0, 0, 0), reached=False)
    assert window.check(0.0, 96, 0) is None
    assert window.check(0.0, 97, 0) is not None
    assert window.minutes[Unit.REQUESTS].used(0.0) == 1, "who never arrived is no request"
    window.admit(0.0, 3, 60, 30)
    window.settle(0.0, 3)
    assert window.check(0.0, 7, 0) is not None, "nobody knows: all that it may have used"


def check_counting(module: ModuleType) -> None:
    """Raise unless tokens count as their provider counts them."""
    reserved = gate(module, Counting(reserved=True), tokens=100)
    reserved.admit(0.0, 1, 10, 50)
    reserved.settle(0.0, 1, (8, 2, 0))
    assert reserved.minutes[Unit.TOKENS].used(0.0) == 60
    cached = gate(module, Counting(cached=False), input_tokens=100)
    cached.admit(0.0, 1, 90, 0)
    cached.settle(0.0, 1, (90, 5, 80))
    assert cached.minutes[Unit.INPUT].used(0.0) == 10
    plain = gate(module, input_tokens=100)
    plain.admit(0.0, 1, 90, 0)
    plain.settle(0.0, 1, (90, 5, 80))
    assert plain.minutes[Unit.INPUT].used(0.0) == 90


def check_learned(module: ModuleType) -> None:
    """Raise unless a limit that a header brings counts who is under way, and tells of changes."""
    window = gate(module, requests=10)
    window.admit(0.0, 1, 30, 30)
    window.admit(5.0, 2, 20, 0)
    assert window.sight(6.0, 0.0, [Sighting(Unit.TOKENS, 100, 40)]) == [Unit.TOKENS]
    assert window.minutes[Unit.TOKENS].used(6.0) == 80, "60 of then are ours, and 20 came later"
    assert window.sight(6.0, 0.0, [Sighting(Unit.TOKENS, 100, 40)]) == []
    assert window.sight(6.0, 0.0, [Sighting(Unit.REQUESTS, 900, 900)]) == []
    assert window.check(6.0, 16, 0) is not None
    for attempt in (1, 2):
        window.settle(6.0, attempt, (0, 0, 0))
    assert window.check(6.0, 95, 0) is None
    window.forget()
    assert window.check(6.0, 1000, 0) is None


def check_lost(module: ModuleType) -> None:
    """Raise unless calls that nobody will hear of end, and a new process goes on."""
    window = gate(module, requests=3)
    for attempt in (1, 2, 3):
        window.admit(0.0, attempt, 0, 0)
    window.settle_all_but(5.0, {2})
    assert window.check(66.0, 0, 0).retry_at == 67.0
    assert window.check(67.0, 0, 0) is None
    assert window.minutes[Unit.REQUESTS].used(67.0) == 1
    assert not window.idle(67.0)
    window.settle(67.0, 2, (0, 0, 0), reached=False)
    assert window.idle(67.0)
    window.admit(70.0, 4, 0, 0)
    window.sight(70.0, 70.0, [Sighting(Unit.TOKENS, 200, 200)])
    saved = window.snapshot(70.0).moved(500.0)
    other = gate(module, requests=2)
    other.restore(saved, 571.0)
    assert other.minutes[Unit.REQUESTS].used(571.0) == 1
    assert other.minutes[Unit.REQUESTS].limit(571.0) == 2, "what is configured now"
    assert other.minutes[Unit.TOKENS].limit(571.0) == 190


LAWS: Final[tuple[Callable[[ModuleType], None], ...]] = (
    check_units,
    check_for_good,
    check_settled,
    check_counting,
    check_learned,
    check_lost,
)

FAULTS: Final = [
    Mutant(name, "understudy_actors.provider.rates", old, new)
    for name, old, new in (
        ("what never arrived counts", "if reached else (0, 0, 0, 0)", ""),
        ("settled twice", "self._lent.pop(attempt, None)", "self._lent.get(attempt)"),
        (
            "another's entry is refunded",
            "self._lent.pop(attempt, None)",
            "self._lent.pop(min(self._lent, default=0), None)",
        ),
        ("too much for ever waits", "minute.most is not None and amount > minute.most", "False"),
        (
            "too much for a learned limit never fits",
            "minute.most is not None and amount > minute.most",
            "amount > minute.limit(now)",
        ),
        (
            "only requests count",
            "for minute, place in self._windows:\n            amount",
            "for minute, place in self._windows[:1]:\n            amount",
        ),
        ("the first limit decides", "if at > latest:\n", "if latest == now:\n"),
        (
            "calls start unseen",
            "            minute.hold(now, amounts[place])\n",
            "            pass\n",
        ),
        (
            "input is output",
            "return 1, input_tokens + output_tokens, input_tokens, output_tokens",
            "return 1, input_tokens + output_tokens, output_tokens, input_tokens",
        ),
        ("what is reserved comes back", "if not self._counting.reserved:", "if True:"),
        ("the cache counts", "if not self._counting.cached:", "if False:"),
        (
            "nobody knows, so nothing",
            "if used is None:\n            return held",
            "if used is None:\n            return 0, 0, 0, 0",
        ),
        (
            "who is under way is new to a limit",
            "            minute.hold(loan.started_at, loan.amounts[_PLACE[unit]])\n",
            "            pass\n",
        ),
        (
            "lost calls hold for ever",
            "            self.settle(now, attempt)\n",
            "            pass\n",
        ),
        ("running calls are given up", "if each not in running", ""),
        (
            "a restart forgets the minute",
            "                minute.restore(each, now)\n",
            "                pass\n",
        ),
    )
]


@pytest.mark.parametrize("law", LAWS)
def test_rates_keep_the_law(law: Callable[[ModuleType], None]) -> None:
    law(rates)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_planted_fault_is_noticed(fault: Mutant) -> None:
    assert fault.caught_by(LAWS, TypeError, IndexError, AttributeError, KeyError)
