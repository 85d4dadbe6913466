"""No minute holds more than the limit, wherever the provider's minutes begin; headers only tighten.

In a quiet minute all comes back (L8): with nothing in flight for one window, the full limit fits.
"""

from __future__ import annotations

import math
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
from understudy_actors.domain.rates import Sighting, Unit
from understudy_actors.provider import minute

LIMIT: Final = 100
BURST: Final = 34  # a third, rounded up
STEPS: Final = st.sampled_from([0.0, 0.25, 0.999, 1.0, 5.0, 9.5, 29.5, 60.0, 61.0, 62.0])


@attrs.define
class Call:
    """One call as the provider sees it: it arrives somewhere between its start and its end."""

    started: float
    held: int
    ended: float | None = None
    used: int = 0


def seen(limit: int, remaining: int, reset_s: float | None = None) -> Sighting:
    return Sighting(Unit.TOKENS, limit, remaining, reset_s)


def minute_machine(module: ModuleType) -> type[RuleBasedStateMachine]:
    """Compares a window with a provider that counts each call at the worst possible moment."""

    class AnyTraffic(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.now = 1000.0
            self.minute: Any = module.Minute(LIMIT)
            self.calls: list[Call] = []
            self.told = False

        @rule(amount=st.sampled_from([0, 1, 20, 33, 40, 100]))
        def start(self, amount: int) -> None:
            at = self.minute.fits_at(self.now, amount)
            assert at == self.minute.fits_at(self.now, amount), "asking changes nothing"
            if at != self.now:
                assert at is None or at > self.now
                assert self.told or not self.surely_fits(amount), "refused though it fits"
                return
            lately = [c for c in self.calls if self.now - 10 < c.started]
            assert sum(c.held if c.ended is None else c.used for c in lately) < BURST
            self.minute.hold(self.now, amount)
            self.calls.append(Call(self.now, amount))

        @precondition(lambda self: self.running())
        @rule(which=st.integers(0, 9), share=st.sampled_from([0.0, 0.5, 1.0]))
        def end(self, which: int, share: float) -> None:
            call = self.running()[which % len(self.running())]
            call.ended, call.used = self.now, int(call.held * share)
            self.minute.settle(self.now, call.started, call.held, call.used)

        @precondition(lambda self: self.running())
        @rule(
            which=st.integers(0, 9),
            limit=st.sampled_from([1, 50, 100, 10_000]),
            left=st.floats(0, 1),
            reset_s=st.sampled_from([None, 0.012, 5.0, 360.0]),
        )
        def headers(self, which: int, limit: int, left: float, reset_s: float | None) -> None:
            call = self.running()[which % len(self.running())]
            used, most = self.minute.used(self.now), self.minute.most
            self.minute.sight(self.now, call.started, seen(limit, int(limit * left), reset_s))
            assert self.minute.used(self.now) >= used, "headers only tighten"
            assert 1 <= self.minute.limit(self.now) <= most, "never beyond what is configured"
            self.told = True

        @rule(seconds=STEPS)
        def wait(self, seconds: float) -> None:
            self.now += seconds

        @rule()
        def wait_until_it_fits(self) -> None:
            at = self.minute.fits_at(self.now, 1)
            if at is not None and not self.running():
                self.now = max(self.now, at)
                assert self.minute.fits_at(self.now, 1) == self.now

        @precondition(lambda self: not self.running())
        @rule(forgets=st.booleans())
        def a_quiet_minute(self, forgets: bool) -> None:
            """L8."""
            self.now += 120.0 if forgets else 62.0
            limit = self.minute.limit(self.now)
            assert self.minute.used(self.now) == 0
            assert self.minute.fits_at(self.now, int(limit)) == self.now
            if forgets:
                assert limit == LIMIT, "what nobody says any more is forgotten"
                self.told = False

        @invariant()
        def no_minute_holds_too_much(self) -> None:
            """Every call that ended counts at its end at the latest: spans end there."""
            for span_end in {c.ended for c in self.calls if c.ended is not None}:
                within = [
                    c
                    for c in self.calls
                    if c.ended is not None and span_end - 60 < c.ended <= span_end
                ]
                assert sum(c.used for c in within) <= LIMIT

        @invariant()
        def no_minute_can_hold_too_much_with_what_is_under_way(self) -> None:
            lately = [c for c in self.calls if c.ended is None or self.now - 60 < c.ended]
            assert sum(c.held if c.ended is None else c.used for c in lately) <= LIMIT

        def surely_fits(self, amount: int) -> bool:
            """Would even a gate that counts everything a bucket and a bit longer let it pass?"""
            counts = [c for c in self.calls if c.ended is None or self.now - 62 <= c.ended]
            used = sum(c.held if c.ended is None else c.used for c in counts)
            lately = [c for c in self.calls if self.now - 11 <= c.started]
            burst = sum(c.held if c.ended is None else c.used for c in lately)
            return used + amount <= LIMIT and burst < BURST

        def running(self) -> list[Call]:
            return [call for call in self.calls if call.ended is None]

    return AnyTraffic


def check_minute(module: ModuleType) -> None:
    """Raise unless no minute holds too much, nothing that fits is refused, and all comes back."""
    run_state_machine_as_test(
        minute_machine(module),
        settings=settings(database=None, max_examples=150, stateful_step_count=40),
    )


def check_refund(module: ModuleType) -> None:
    """Raise if what was reserved and not used can be spent twice within a minute."""
    window = module.Minute(100)
    window.hold(0.0, 100)
    assert window.fits_at(60.0, 100) is None, "a minute later it is still under way"
    window.settle(61.0, 0.0, 100, 10)
    assert window.fits_at(61.0, 90) == 61.0
    assert window.fits_at(61.0, 91) == 123.0


def check_lapse(module: ModuleType) -> None:
    """Raise unless what was used a minute ago is forgotten, bucket by bucket."""
    window = module.Minute(100)
    for started in (0.0, 20.0):
        window.hold(started, 50)
        window.settle(started, started, 50, 50)
    assert window.fits_at(31.0, 1) == 62.0
    assert window.fits_at(31.0, 100) == 82.0
    assert window.fits_at(62.0, 50) == 62.0
    assert window.fits_at(62.0, 51) == 82.0
    assert window.fits_at(82.0, 100) == 82.0


def check_bursts(module: ModuleType) -> None:
    """Raise unless ten seconds hold a third, settled in place, and only where that is asked for."""
    window = module.Minute(6)
    for _ in range(2):
        assert window.fits_at(0.5, 1) == 0.5
        window.hold(0.5, 1)
    assert window.fits_at(0.5, 1) == 11.0
    assert window.fits_at(11.0, 1) == 11.0
    window.settle(1.0, 0.5, 1, 0)
    assert window.fits_at(1.0, 1) == 1.0, "who never arrived leaves no trace"
    assert module.Minute(1).fits_at(0.0, 1) == 0.0
    large = module.Minute(100)
    for started, used in ((0.0, 40), (20.0, 1)):
        large.hold(started, 40)
        large.settle(started, started, 40, used)
    assert large.fits_at(20.0, 1) == 20.0, "it is no burst if it used next to nothing"
    loose = module.Minute(6, smooth=False)
    loose.hold(0.0, 5)
    assert loose.fits_at(0.0, 1) == 0.0


def check_foreign(module: ModuleType) -> None:
    """Raise unless what others use with the same key counts, and nobody's use counts twice."""
    window = module.Minute(100)
    window.hold(0.0, 10)
    window.hold(5.0, 30)
    window.sight(6.0, 0.0, seen(100, 50))
    assert window.used(6.0) == 80, "of 50 that were used then 10 are ours; what came later counts"
    window.settle(6.0, 0.0, 10, 10)
    window.sight(7.0, 5.0, seen(100, 20))
    assert window.used(7.0) == 80, "all of that is known"
    window.sight(7.0, 5.0, seen(100, 100))
    assert window.used(7.0) == 80, "headers only tighten"
    assert window.used(68.0) == 30, "what is not confirmed ages"
    window.settle(68.0, 5.0, 30, 30)
    window.hold(70.0, 1)
    window.sight(70.5, 70.0, seen(100, 10, reset_s=12.0))
    assert window.used(70.5) == 90
    assert window.used(82.4) == 90
    assert window.used(82.5) == 31, "until the provider itself forgets it"


def check_order(module: ModuleType) -> None:
    """Raise unless only the latest news is believed."""
    window = module.Minute(100)
    window.hold(10.0, 1)
    assert window.sight(20.0, 10.0, seen(50, 40))
    assert not window.sight(21.0, 9.0, seen(10, 0)), "a later call has reported already"
    assert window.limit(21.0) == 47
    assert window.sight(30.0, 10.0, seen(60, 60))
    assert window.limit(30.0) == 57
    assert not window.sight(200.0, 100.0, seen(10, 0)), "more than a minute old"


def check_limit(module: ModuleType) -> None:
    """Raise unless a limit that was learned stays below the configured one, and ages."""
    window = module.Minute(100)
    window.sight(0.0, 0.0, seen(1000, 1000))
    assert window.limit(0.0) == 100
    window.sight(1.0, 1.0, seen(40, 40))
    assert window.limit(1.0) == 38
    assert window.fits_at(1.0, 100) == 1.0, "what is larger than it needs an empty window"
    window.hold(1.0, 1)
    assert window.fits_at(1.0, 100) is None
    assert window.limit(120.9) == 38
    assert window.limit(121.0) == 100
    free = module.Minute(None)
    assert free.fits_at(0.0, 10**9) == 0.0
    free.sight(0.0, 0.0, seen(1, 1))
    assert free.limit(0.0) == 1
    assert free.limit(120.0) == math.inf
    free.sight(700.0, 700.0, seen(100, 50))
    free.forget()
    assert (free.limit(700.0), free.used(700.0)) == (math.inf, 0)


def check_restored(module: ModuleType) -> None:
    """Raise unless another process goes on where this one was, by its own clock."""
    window = module.Minute(100)
    window.hold(10.0, 20)
    window.settle(10.0, 10.0, 20, 20)
    window.hold(11.0, 30)
    window.sight(11.0, 11.0, seen(80, 20))
    saved = window.snapshot(12.0)
    later = module.Minute(100)
    later.restore(saved.moved(1000.0), 1012.0)
    assert later.limit(1012.0) == 76
    assert later.used(1012.0) == 60, "of calls that nobody will hear of, all that they had"
    assert later.used(1072.0) == 40, "the 20 of then are gone"
    assert later.used(1074.0) == 0
    wild = module.Minute(100)
    wild.restore(saved.moved(1e9), 1012.0)
    assert wild.used(1074.0) == 0, "no clock makes a minute longer"
    assert wild.limit(1132.0) == 100


LAWS: Final[tuple[Callable[[ModuleType], None], ...]] = (
    check_refund,
    check_lapse,
    check_bursts,
    check_foreign,
    check_order,
    check_limit,
    check_restored,
    check_minute,
)

FAULTS: Final = [
    Mutant(name, "understudy_actors.provider.minute", old, new)
    for name, old, new in (
        (
            "running calls do not count",
            "return self.held + self._counted + self.foreign",
            "return self._counted + self.foreign",
        ),
        ("a minute is too short", "now) + 1.0 + SPAN_S + LATE_S", "now) + SPAN_S - 2.0"),
        (
            "one more than the limit",
            "if over <= 0:\n            return sm",
            "if over <= 1:\n            return sm",
        ),
        ("minutes never end", "now) + 1.0 + SPAN_S + LATE_S", "now) + 1e9"),
        (
            "everything is forgotten at once",
            "self._counted -= buckets.popleft().amount",
            "buckets.clear(); self._counted = 0",
        ),
        (
            "a refund of what was counted",
            "            self._count(now, amount)\n\n    def s",
            "            pass\n\n    def s",
        ),
        (
            "counted from its start",
            "self._count(now, amount)\n\n    def sight",
            "self._count(started_at, amount)\n\n    def sight",
        ),
        (
            "voids leak",
            "        self.held -= held\n",
            "        self.held -= held if amount else 0\n",
        ),
        (
            "no short window",
            "smooth_at = self._smooth_at(now, limit) if self.smooth else now",
            "smooth_at = now",
        ),
        ("bursts are settled nowhere", "self._started[second] += amount - held", "pass"),
        ("every window is smoothed", " if self.smooth else now", ""),
        (
            "headers loosen",
            "        if theirs > self.foreign:\n",
            "        if True:\n",
        ),
        ("a header raises the limit", "return min(most, self.learned)", "return self.learned"),
        (
            "published limits are used to the last",
            "PUBLISHED_SHARE: Final = 0.95",
            "PUBLISHED_SHARE: Final = 1.0",
        ),
        ("the order of sightings is ignored", "if dispatched_at < self.seen_at or ", "if "),
        ("old news is believed", " or now - dispatched_at > SPAN_S", ""),
        (
            "later calls of ours are somebody else's",
            "used - self._begun_after(dispatched_at, now)",
            "0",
        ),
        (
            "calls that came later hide others",
            "(used - self._begun_after(dispatched_at, now))",
            "used",
        ),
        ("others' use never ends", "min(_leaves_at(now), now + reset_s)", "math.inf"),
        ("a reset is not heard", "min(_leaves_at(now), now + reset_s)", "_leaves_at(now)"),
        ("what was learned never ages", "if now >= self.learned_at + LEARNED_FOR_S:", "if False:"),
        (
            "too much for a learned limit waits for ever",
            "over = self.used(now) + (amount if amount < limit else limit) - limit",
            "over = self.used(now) + amount - limit",
        ),
        ("the dead process used nothing", "        if snapshot.held:\n", "        if False:\n"),
        (
            "times are not converted",
            "Counted(each.leaves_at + by_s, each.amount)",
            "Counted(each.leaves_at, each.amount)",
        ),
        ("a wild clock is believed", "_Bucket(min(each.leaves_at, latest), each.amount)", "each"),
    )
]


@pytest.mark.parametrize("law", LAWS)
def test_a_minute_keeps_the_law(law: Callable[[ModuleType], None]) -> None:
    law(minute)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_planted_fault_is_noticed(fault: Mutant) -> None:
    assert fault.caught_by(LAWS, TypeError, IndexError, AttributeError, ExceptionGroup)
