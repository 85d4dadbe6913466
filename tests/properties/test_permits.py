"""The breaker's invariants, held against what a bystander sees: permits, leases and transitions."""

from __future__ import annotations

import math
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
from msgspec.structs import replace

from understudy_actors.domain.outcome import Verdict
from understudy_actors.provider import breaker
from understudy_actors.provider.policy import DEFAULT, BreakerPolicy
from understudy_actors.provider.transitions import Move, State

SILENT = (Verdict.NEUTRAL, Verdict.THROTTLE, Verdict.VOID)
LEGAL = {
    (State.CLOSED, State.OPEN),
    (State.OPEN, State.HALF_OPEN),
    (State.HALF_OPEN, State.CLOSED),
    (State.HALF_OPEN, State.OPEN),
}
GROWING = ("failures in a row", "share of failures", "probe failed")

POLICIES = [
    BreakerPolicy(run_threshold=2, growth=False, ratio=None),
    BreakerPolicy(run_threshold=1, max_probes=3, close_after=3, cap_s=40.0),
    BreakerPolicy(run_threshold=1, close_after=1, inconclusive_limit=1, jitter=False),
    DEFAULT,
]


def permit_machine(module: ModuleType) -> type[RuleBasedStateMachine]:
    """Permits taken and given back in any order, on the breaker of `module`."""

    class AnyPermits(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.now = 0.0
            self.permits = 0
            self.lent: dict[int, int] = {}  # permit -> generation
            self.leases: dict[int, float] = {}  # probe permit -> lease end
            self.last: Move | None = None

        @initialize(
            policy=st.sampled_from(POLICIES),
            draws=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=5),
        )
        def build(self, policy: BreakerPolicy, draws: list[float]) -> None:
            self.policy = policy
            count = iter(range(1_000_000))
            self.breaker: Any = module.Breaker(policy, lambda: draws[next(count) % len(draws)])

        @rule(timeout=st.floats(0, 200))
        def attempt(self, timeout: float) -> None:
            if self.breaker.check(self.now) is not None:
                self.watch()
                return
            self.watch()
            self.permits += 1
            self.lent[self.permits] = self.breaker.admit(self.now, self.permits, timeout)
            assert self.lent[self.permits] == self.breaker.generation
            assert self.breaker.state not in (State.OPEN, State.ISOLATED), "admitted while refusing"
            if self.breaker.state is State.HALF_OPEN:
                self.leases[self.permits] = self.now + timeout + self.policy.lease_grace_s
                assert self.breaker.is_probe(self.permits)
            self.watch()

        @precondition(lambda self: bool(self.lent))
        @rule(
            data=st.data(),
            verdict=st.sampled_from([*Verdict, Verdict.FAIL, Verdict.FAIL, Verdict.OK]),
            retry_after=st.none() | st.floats(0, 10_000),
            duration=st.floats(0, 200),
        )
        def settle(
            self,
            data: st.DataObject,
            verdict: Verdict,
            retry_after: float | None,
            duration: float,
        ) -> None:
            permit = data.draw(st.sampled_from(sorted(self.lent)))
            generation = self.lent.pop(permit)
            self.breaker.check(self.now)
            self.watch()
            before, probe = self.breaker.snapshot(), self.breaker.is_probe(permit)
            heard = self.breaker.release(
                self.now, permit, generation, verdict, retry_after, duration
            )
            self.leases.pop(permit, None)
            assert heard == (generation == before.generation)
            assert not self.breaker.is_probe(permit), "its slot is free again"
            quiet = verdict is Verdict.VOID or not heard
            quiet = quiet or (verdict in SILENT and before.state is State.CLOSED)
            if quiet or before.state is State.DISABLED:
                assert self.breaker.snapshot() == before, "it may move nothing"
            if heard and probe and verdict is Verdict.FAIL:
                assert self.breaker.state is State.OPEN
                lift = min(2 * duration, self.policy.slow_probe_cap_s)
                assert self.breaker.until >= self.now + lift
            if heard and verdict is Verdict.FAIL and before.run + 1 >= 9 and before.long == ():
                assert self.breaker.state is not State.CLOSED
            self.watch()

        @rule(seconds=st.floats(0, 20) | st.floats(0, 4000))
        def wait(self, seconds: float) -> None:
            self.now += seconds

        @rule(early=st.sampled_from([0.0, 1e-3, 1.0]))
        def wait_until_due(self, early: float) -> None:
            self.breaker.check(self.now)
            self.watch()
            due = self.breaker.next_at()
            if due is None:
                return
            state = self.breaker.state
            self.now = max(self.now, due - early)
            refusal = self.breaker.check(self.now)
            if state is State.OPEN and self.now < due:
                assert refusal is not None, "a probe went early"
                assert refusal.retry_at == due
            elif state is State.OPEN:
                assert refusal is None, "the cooldown is over: this request is the probe"
            elif self.now >= due:
                assert self.breaker.state is State.OPEN, "the lease is over"
            self.watch()

        @rule(
            outcomes=st.lists(st.sampled_from([Verdict.OK, Verdict.FAIL, Verdict.FAIL]), max_size=9)
        )
        def traffic(self, outcomes: list[Verdict]) -> None:
            for verdict in outcomes:
                if self.breaker.check(self.now) is None:
                    generation = self.breaker.admit(self.now, -1, 1.0)
                    if self.breaker.state is State.HALF_OPEN:
                        self.leases[-1] = self.now + 1.0 + self.policy.lease_grace_s
                    self.breaker.release(self.now, -1, generation, verdict, None, 1.0)
                    self.leases.pop(-1, None)
                self.watch()

        @rule()
        def break_and_wait(self) -> None:
            self.traffic([Verdict.FAIL] * 9)
            if self.breaker.next_at() is not None:
                self.wait_until_due(0.0)

        @rule(what=st.sampled_from(["isolate", "disable", "enable", "enable", "reset"]))
        def operate(self, what: str) -> None:
            getattr(self.breaker, what)(self.now)
            self.watch()
            if what == "reset" and self.last is not None:
                self.last = replace(self.last, exponent=0)  # also where it makes no transition
            if what in ("isolate", "disable"):
                assert self.breaker.state.value == what + "d"
                assert (self.breaker.check(self.now) is None) == (what == "disable")
            if what == "enable":
                assert self.breaker.state not in (State.ISOLATED, State.DISABLED)

        def watch(self) -> None:
            """Look at what moved, and at what holds at every moment."""
            for move in self.breaker.moves:
                self.follow(move)
            self.breaker.moves.clear()
            out = [permit for permit in self.leases if self.breaker.is_probe(permit)]
            assert len(out) <= self.policy.max_probes, "too many probes"
            if self.breaker.state is State.HALF_OPEN:
                assert all(self.now < self.leases[permit] for permit in out), "a lease ran over"
                assert set(out) == set(self.leases), "a slot was lost, or freed by another"
            if self.breaker.state is State.OPEN:
                assert self.last is not None
                assert self.breaker.until == self.last.until, "the cooldown was moved"

        def follow(self, move: Move) -> None:
            last, policy = self.last, self.policy
            self.last = move
            before = State.CLOSED if last is None else last.target
            assert move.source is before
            assert move.generation == (0 if last is None else last.generation) + 1
            by_hand = move.why in ("isolated", "disabled", "enabled", "reset")
            assert by_hand or (move.source, move.target) in LEGAL
            assert move.at_s <= self.now
            assert last is None or move.at_s >= last.at_s
            self.follow_exponent(move, last)
            self.leases.clear()
            if move.target is State.HALF_OPEN and not by_hand:
                assert last is not None
                assert move.at_s == last.until, "half-open at the time it was due"
            if move.target is State.OPEN:
                assert move.until is not None
                full = policy.full_s(move.exponent)
                least = full / 2 if policy.jitter else full
                floor = min(move.retry_after or 0.0, policy.retry_after_cap_s)
                cooldown = move.until - move.at_s
                assert cooldown >= max(least, floor) - 1e-6
                if move.why != "probe failed":
                    assert cooldown <= max(full, floor) + 1e-6

        def follow_exponent(self, move: Move, last: Move | None) -> None:
            exponent = 0 if last is None else last.exponent
            if last is not None and last.target is State.CLOSED:
                calm = math.floor((move.at_s - last.at_s) / self.policy.calm_s)
                exponent = max(0, exponent - calm)
            if move.why.startswith(GROWING):
                assert move.target is State.OPEN
                exponent = min(exponent + 1, self.policy.top_exponent)
            assert move.exponent == (0 if move.why == "reset" else exponent)

    return AnyPermits


def test_permits_probes_and_leases_keep_their_rules() -> None:
    run_state_machine_as_test(
        permit_machine(breaker),
        settings=settings(max_examples=80, stateful_step_count=40, deadline=None),
    )
