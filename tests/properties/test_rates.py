"""No minute holds more requests or tokens than the limit, wherever the provider's minutes begin."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import attrs
import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.mutants import Mutant
from understudy_actors.provider import rates

REQUESTS: Final = 4
TOKENS: Final = 100
STEPS: Final = st.sampled_from([0.0, 0.25, 0.999, 1.0, 5.0, 29.5, 60.0, 61.0, 62.0])


@attrs.define
class Call:
    """One call as the provider sees it: it arrives somewhere between its start and its end."""

    started: float
    held: int
    ended: float | None = None
    used: int = 0
    reached: bool = True


def rates_machine(module: ModuleType) -> type[RuleBasedStateMachine]:
    """Compares the gate with a provider that counts each call at the worst possible moment."""

    class AnyTraffic(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.now = 1000.0
            self.rates: Any = module.Rates(REQUESTS, TOKENS)
            self.calls: dict[int, Call] = {}

        @rule(tokens=st.sampled_from([0, 1, 20, 40, 100, 101]))
        def start(self, tokens: int) -> None:
            refusal = self.rates.check(self.now, tokens)
            assert refusal == self.rates.check(self.now, tokens), "asking changes nothing"
            if tokens > TOKENS:
                assert refusal.retry_at is None
            elif refusal is not None:
                assert refusal.retry_at > self.now
                assert not self.surely_fits(tokens), (
                    "refused though it fits, whenever calls arrived"
                )
            else:
                number = len(self.calls) + 1
                self.rates.admit(number, tokens)
                self.calls[number] = Call(self.now, tokens)

        @precondition(lambda self: self.running())
        @rule(which=st.integers(0, 9), share=st.sampled_from([None, 0.0, 0.5, 1.0]))
        def end(self, which: int, share: float | None) -> None:
            number = self.running()[which % len(self.running())]
            call = self.calls[number]
            call.ended, call.reached = self.now, share is not None
            call.used = int(call.held * (share or 0.0))
            self.rates.settle(self.now, number, call.used, reached=call.reached)
            before = self.readings()
            self.rates.settle(self.now, number, 50)
            assert self.readings() == before, "settled twice"

        @rule(seconds=STEPS)
        def wait(self, seconds: float) -> None:
            self.now += seconds

        @rule()
        def wait_until_it_fits(self) -> None:
            refusal = self.rates.check(self.now, 1)
            if refusal is not None and not self.running():
                self.now = refusal.retry_at
                assert self.rates.check(self.now, 1) is None

        @invariant()
        def no_minute_holds_too_much(self) -> None:
            """Every call that ended counts at its end at the latest: spans end there."""
            for span_end in {c.ended for c in self.calls.values() if c.ended is not None}:
                within = [
                    c
                    for c in self.calls.values()
                    if c.reached and c.ended is not None and span_end - 60 < c.ended <= span_end
                ]
                assert len(within) <= REQUESTS
                assert sum(c.used for c in within) <= TOKENS

        @invariant()
        def no_minute_can_hold_too_much_with_what_is_under_way(self) -> None:
            lately = [c for c in self.calls.values() if self.may_count(c)]
            assert len(lately) <= REQUESTS
            assert sum(c.held if c.ended is None else c.used for c in lately) <= TOKENS

        def may_count(self, call: Call) -> bool:
            if call.ended is None:
                return True
            return call.reached and self.now - 60 < call.ended

        def surely_fits(self, tokens: int) -> bool:
            """Would even a gate that counts everything a bucket and a bit longer let it pass?"""
            counts = [
                c
                for c in self.calls.values()
                if c.ended is None or (c.reached and self.now - 62 <= c.ended)
            ]
            used = sum(c.held if c.ended is None else c.used for c in counts)
            return len(counts) < REQUESTS and used + tokens <= TOKENS

        def running(self) -> list[int]:
            return [number for number, call in self.calls.items() if call.ended is None]

        def readings(self) -> tuple[int, int]:
            return self.rates.requests.used(self.now), self.rates.tokens.used(self.now)

    return AnyTraffic


def check_rates(module: ModuleType) -> None:
    """Raise unless no minute holds too much, and nothing that fits is refused."""
    run_state_machine_as_test(
        rates_machine(module),
        settings=settings(database=None, max_examples=150, stateful_step_count=40),
    )


def check_refund(module: ModuleType) -> None:
    """Raise if what was reserved and not used can be spent twice within a minute."""
    gate = module.Rates(None, 100)
    gate.admit(1, 100)
    assert gate.check(60.0, 100) is not None, "a minute later it is still under way"
    gate.settle(61.0, 1, 10)
    assert gate.check(61.0, 90) is None
    assert gate.check(61.0, 91) is not None


def check_lapse(module: ModuleType) -> None:
    """Raise unless what was used a minute ago is forgotten, bucket by bucket."""
    gate = module.Rates(None, 100)
    for attempt, ended in ((1, 0.0), (2, 10.0)):
        gate.admit(attempt, 50)
        gate.settle(ended, attempt)
    assert gate.check(10.0, 1).retry_at == 62.0
    assert gate.check(10.0, 100).retry_at == 72.0
    assert gate.check(62.0, 50) is None
    assert gate.check(62.0, 51).retry_at == 72.0
    assert gate.check(72.0, 100) is None


LAWS: Final[tuple[Callable[[ModuleType], None], ...]] = (check_refund, check_lapse, check_rates)

FAULTS: Final = [
    Mutant(name, "understudy_actors.provider.rates", old, new)
    for name, old, new in (
        ("running calls do not count", "return self._held + self._counted", "return self._counted"),
        ("a minute is too short", "1.0 + SPAN_S + LATE_S", "SPAN_S - 2.0"),
        (
            "one more than the limit",
            "if over <= 0:\n            return now",
            "if over <= 1:\n            return now",
        ),
        ("minutes never end", "1.0 + SPAN_S + LATE_S", "1e9"),
        (
            "everything is forgotten at once",
            "self._counted -= self._buckets.popleft()[1]",
            "self._buckets.clear(); self._counted = 0",
        ),
        ("what never arrived counts", "used if reached else 0", "used"),
        ("a refund of what was counted", "        self._counted += amount\n", ""),
        ("settled twice", "self._lent.pop(attempt, None)", "self._lent.get(attempt)"),
        ("too much for ever waits", "if amount > minute.limit:", "if False:"),
        (
            "only requests count",
            "((self.requests, 1), (self.tokens, tokens)):\n            if minute is None",
            "((self.requests, 1),):\n            if minute is None",
        ),
        ("the first limit decides", "latest = max(latest, now", "latest = max(now, now"),
    )
]


@pytest.mark.parametrize("law", LAWS)
def test_rates_keep_the_law(law: Callable[[ModuleType], None]) -> None:
    law(rates)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_planted_fault_is_noticed(fault: Mutant) -> None:
    assert fault.caught_by(LAWS, TypeError, IndexError, AttributeError, ExceptionGroup)
