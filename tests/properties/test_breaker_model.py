"""The breaker against its history: whatever happens when, both show the same."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.properties.breaker_model import BreakerModel, Entry, Era, View
from understudy_actors.domain.outcome import Verdict
from understudy_actors.provider import breaker
from understudy_actors.provider.policy import DEFAULT, BreakerPolicy, classic
from understudy_actors.provider.transitions import State

# Powers of two throughout, so that sums and products of times are exact and compare as equal.
SMALL = BreakerPolicy(
    run_threshold=3,
    growth_from=2,
    background=0.5,
    short_window_s=4,
    short_buckets=4,
    short_min=4,
    long_window_s=16,
    long_buckets=4,
    long_min=6,
    cooldown_s=4,
    cap_s=16,
    slow_probe_cap_s=64,
    retry_after_cap_s=32,
    lease_grace_s=2,
    inconclusive_limit=2,
    calm_s=32,
    ramp_s=8,
    ramp_floor=0.125,
)
GROWING = BreakerPolicy(
    run_threshold=2,
    growth_from=2,
    background=0.5,
    ratio=None,
    long_window_s=16,
    long_buckets=4,
    cooldown_s=2,
    cap_s=64,
    max_probes=2,
    lease_grace_s=1,
    calm_s=8,
)
WINDOWED = BreakerPolicy(
    run_threshold=50,
    growth=False,
    short_window_s=4,
    short_buckets=4,
    short_min=4,
    long_window_s=16,
    long_buckets=4,
    long_min=6,
    max_probes=3,
)

VERDICTS = st.sampled_from([*Verdict, Verdict.OK, Verdict.FAIL, Verdict.FAIL])


RETURNS = st.sampled_from([None, Verdict.VOID, Verdict.NEUTRAL, Verdict.OK])


def jitter(index: int) -> float:
    """Eighths, in an order that is not sorted."""
    return index * 3 % 8 / 8


def breaker_machine(module: ModuleType) -> type[RuleBasedStateMachine]:
    """Any interleaving, on the breaker of `module`."""

    class AnyInterleaving(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.now = 0.0
            self.permits = 0
            self.lent: list[tuple[int, int]] = []
            self.back: list[tuple[int, int]] = []

        @initialize(policy=st.sampled_from([SMALL, GROWING, WINDOWED, classic(2, 8.0), DEFAULT]))
        def build(self, policy: BreakerPolicy) -> None:
            draws = iter(range(1_000_000))
            self.draw = lambda: jitter(next(draws))
            self.policy = policy
            self.breaker: Any = module.Breaker(policy, self.draw)
            self.moves: list[Any] = []
            self.model = BreakerModel(policy, jitter)

        @rule(timeout=st.sampled_from([0.0, 2.0, 32.0]))
        def attempt(self, timeout: float) -> None:
            if self.agree().refusal is not None:
                return
            self.permits += 1
            generation = self.breaker.admit(self.now, self.permits, timeout)
            assert generation == self.model.view(self.now).generation
            self.lent.append((self.permits, generation))
            self.model.log.append(Entry(self.now, "admit", self.permits, timeout=timeout))
            self.agree()

        @precondition(lambda self: bool(self.lent))
        @rule(
            data=st.data(),
            verdict=VERDICTS,
            retry_after=st.sampled_from([None, None, 0.0, 8.0, 1024.0]),
            duration=st.sampled_from([0.0, 4.0, 16.0, 512.0]),
        )
        def settle(
            self,
            data: st.DataObject,
            verdict: Verdict,
            retry_after: float | None,
            duration: float,
        ) -> None:
            index = data.draw(st.integers(0, len(self.lent) - 1))
            permit, generation = self.lent.pop(index)
            if self.breaker.is_probe(permit):
                self.back.append((permit, generation))
            self.release(permit, generation, verdict, retry_after, duration)

        @precondition(lambda self: bool(self.back))
        @rule(verdict=VERDICTS)
        def settle_a_probe_twice(self, verdict: Verdict) -> None:
            permit, generation = self.back[-1]
            if self.model.view(self.now).generation == generation and (
                self.model.view(self.now).state == "half-open"
            ):
                self.release(permit, generation, verdict, None, 0.0)

        @rule(verdicts=st.lists(VERDICTS, min_size=2, max_size=12))
        def traffic(self, verdicts: list[Verdict]) -> None:
            for verdict in verdicts:
                self.once(verdict)
            self.agree()

        @rule(oks=st.integers(5, 12), seconds=st.sampled_from([4.0, 8.0, 16.0]))
        def turn(self, oks: int, seconds: float) -> None:
            self.traffic([Verdict.OK] * oks)
            self.now += seconds
            self.traffic([Verdict.FAIL] * 4)

        @rule(retry_after=st.sampled_from([None, 8.0, 1024.0]))
        def break_and_wait(self, retry_after: float | None) -> None:
            for _ in range(50):
                if not self.once(Verdict.FAIL, retry_after):
                    break
            self.wait_until_something_is_due(0.0)

        @precondition(lambda self: self.breaker.state is State.HALF_OPEN)
        @rule(
            verdicts=st.lists(VERDICTS, min_size=1, max_size=4) | VERDICTS.map(lambda v: [v] * 3),
            retry_after=st.sampled_from([None, 8.0, 1024.0]),
            duration=st.sampled_from([0.0, 16.0, 512.0]),
        )
        def probes(
            self, verdicts: list[Verdict], retry_after: float | None, duration: float
        ) -> None:
            for verdict in verdicts:
                self.once(verdict, retry_after, duration)
                self.agree()

        @precondition(lambda self: self.breaker.state is State.HALF_OPEN)
        @rule(timeout=st.sampled_from([0.0, 32.0]), verdict=RETURNS)
        def lend_all_probes(self, timeout: float, verdict: Verdict | None) -> None:
            before = len(self.lent)
            for _ in range(self.policy.max_probes):
                self.attempt(timeout)
            if verdict is not None and len(self.lent) > before:
                self.back.append(self.lent.pop())
                self.release(*self.back[-1], verdict, None, 0.0)

        @rule(verdict=st.sampled_from(Verdict), duration=st.sampled_from([0.0, 16.0, 512.0]))
        def break_and_probe(self, verdict: Verdict, duration: float) -> None:
            if self.breaker.state is not State.HALF_OPEN:
                self.break_and_wait(None)
            self.probes([verdict] * 3, None, duration)

        @rule(timeout=st.sampled_from([0.0, 2.0, 32.0]), late=st.sampled_from([0.25, 4.0, 64.0]))
        def a_probe_hangs(self, timeout: float, late: float) -> None:
            if self.breaker.state is not State.HALF_OPEN:
                self.break_and_wait(None)
            self.attempt(timeout)
            self.now += timeout + self.policy.lease_grace_s + late
            self.agree()

        @precondition(lambda self: self.breaker.state is State.HALF_OPEN)
        @rule(calm=st.sampled_from([0.0, 8.0, 16.0, 64.0]))
        def recover(self, calm: float) -> None:
            self.probes([Verdict.OK] * self.policy.close_after, None, 0.0)
            self.now += calm
            self.agree()

        @rule(seconds=st.sampled_from([0.25, 1.0, 1.5, 2.0, 4.0, 8.0, 16.0, 64.0, 4096.0]))
        def wait(self, seconds: float) -> None:
            self.now += seconds  # nobody looks: what falls due in between is noticed late

        @rule(early=st.sampled_from([0.0, 0.25, 1.0]))
        def wait_until_something_is_due(self, early: float) -> None:
            due = self.model.view(self.now).next_at
            if due is not None:
                self.now = max(self.now, due - early)
            self.agree()

        @rule(what=st.sampled_from(["isolate", "disable", "enable", "enable", "reset"]))
        def operate(self, what: str) -> None:
            getattr(self.breaker, what)(self.now)
            self.model.log.append(Entry(self.now, what))
            self.agree()

        @rule()
        def crash(self) -> None:
            self.agree()
            snapshot = self.breaker.snapshot()
            self.breaker = module.Breaker(self.policy, self.draw)
            self.breaker.restore(snapshot, self.now)
            self.model.log.append(Entry(self.now, "restore"))
            self.agree()

        def teardown(self) -> None:
            if hasattr(self, "breaker"):
                self.now += 1.0
                self.agree()

        def once(
            self, verdict: Verdict, retry_after: float | None = None, duration: float = 0.0
        ) -> bool:
            """Admit and settle at once, if it admits; comparing is left to the caller."""
            if self.breaker.check(self.now) is not None:
                return False
            self.permits += 1
            generation = self.breaker.admit(self.now, self.permits, 2.0)
            if self.breaker.is_probe(self.permits):
                self.back.append((self.permits, generation))
            self.model.log.append(Entry(self.now, "admit", self.permits, timeout=2.0))
            said = (verdict.value, retry_after, duration)
            self.model.log.append(Entry(self.now, "release", self.permits, generation, *said))
            assert self.breaker.release(
                self.now, self.permits, generation, verdict, retry_after, duration
            )
            return True

        def release(
            self,
            permit: int,
            generation: int,
            verdict: Verdict,
            retry_after: float | None,
            duration: float,
        ) -> None:
            entry = Entry(
                self.now, "release", permit, generation, verdict.value, retry_after, duration
            )
            heard = self.breaker.release(
                self.now, permit, generation, verdict, retry_after, duration
            )
            assert heard == self.model.heard(entry), "heard, or stale"
            self.model.log.append(entry)
            self.agree()

        def agree(self) -> View:
            eras, real = self.model.eras(self.now), self.breaker
            view = self.model.view_of(eras[-1], self.now)
            refusal = real.check(self.now)
            assert (refusal and refusal.why) == view.refusal
            assert (refusal and refusal.retry_at) == view.retry_at
            assert real.state.value == view.state
            assert real.generation == view.generation
            assert real.until == view.until
            assert real.next_at() == view.next_at
            assert real.exponent(self.now) == view.exponent
            assert real.run == view.run
            known = {permit for permit, _ in [*self.lent, *self.back]}
            assert {permit for permit in known if real.is_probe(permit)} == view.probes
            self.moves += real.moves
            real.moves.clear()
            self.agree_on_transitions(eras)
            return view

        def agree_on_transitions(self, eras: list[Era]) -> None:
            assert len(self.moves) == len(eras) - 1
            for move, before, after in zip(self.moves, eras, eras[1:], strict=False):
                assert (move.source.value, move.target.value) == (before.state, after.state)
                assert (move.generation, move.until) == (after.generation, after.until)
                assert move.why == "restored" or move.at_s == after.began

    return AnyInterleaving


def test_the_breaker_is_what_its_history_says() -> None:
    run_state_machine_as_test(
        breaker_machine(breaker),
        settings=settings(max_examples=80, stateful_step_count=40, deadline=None),
    )
