"""Holds against their history, and the laws that a user of holds relies on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from understudy_actors.domain.outcome import HoldKind, Verdict
from understudy_actors.provider import holds
from understudy_actors.provider.policy import DEFAULT_HOLDS, HoldPolicy

LADDER = (HoldKind.CREDIT, HoldKind.AUTH)
BRIEF = (HoldKind.RATE, HoldKind.BUSY)
OWN = (*LADDER, HoldKind.MODEL, HoldKind.MANUAL)
POLICY = HoldPolicy(credit_s=8, auth_s=16, model_s=64, cap_s=64, stated_cap_s=256, lease_grace_s=2)


@dataclass(frozen=True)
class Said:
    """One thing that the outside did; `ago` tells how old the call was that brought it."""

    at: float
    what: str  # set, clear, admit, ok, other, restore
    kind: HoldKind = HoldKind.MANUAL
    until: float | None = None
    dispatched_at: float | None = None
    permit: int = 0


class HoldsModel:
    """What holds the scope follows from all that was ever said, read from the start each time."""

    def __init__(self) -> None:
        self.log: list[Said] = []

    def until(self, kind: HoldKind, now: float) -> float | None:
        """The end of this kind's hold, or None."""
        end = self._fold(kind)[0]
        return end if end > now else None

    def ends(self, now: float) -> dict[HoldKind, float]:
        """All holds at `now`."""
        found = {kind: self.until(kind, now) for kind in HoldKind}
        return {kind: end for kind, end in found.items() if end is not None}

    def unproven(self, kind: HoldKind) -> int:
        """How often the error came since the last proof; 0: proven, or never."""
        return self._fold(kind)[2]

    def _fold(self, kind: HoldKind) -> tuple[float, float, int, float]:
        """Its end, the dispatch of who set it, the level, and when it was last set."""
        end, origin, level, set_at = -math.inf, -math.inf, 0, -math.inf
        for index, said in enumerate(self.log):
            if said.what == "clear" and said.kind is kind:
                end, level = -math.inf, 0
            elif said.what == "ok" and end <= said.at and self.probe(said.at, index) == said.permit:
                level = 0
            elif said.what == "set" and said.kind is kind:
                dispatched = said.at if said.dispatched_at is None else said.dispatched_at
                fresh = end <= said.at and dispatched >= set_at
                if level == 0 or fresh:
                    level += 1
                set_at = said.at
                wanted, stated = self._wanted(said, level)
                believed = stated and said.dispatched_at is not None and dispatched > origin
                if end <= said.at or wanted > end or believed:
                    end, origin = wanted, dispatched
        return end, origin, level, set_at

    def _wanted(self, said: Said, level: int) -> tuple[float, bool]:
        if said.kind is HoldKind.MANUAL:
            stated = said.until is not None and said.until > said.at
            return (said.until if stated and said.until else math.inf), stated
        if said.until is not None and (said.until > said.at or said.kind in BRIEF):
            return min(said.until, said.at + POLICY.stated_cap_s), True
        first = {
            HoldKind.CREDIT: POLICY.credit_s,
            HoldKind.AUTH: POLICY.auth_s,
            HoldKind.MODEL: POLICY.model_s,
        }[said.kind]
        doublings = level - 1 if said.kind in LADDER else 0
        return said.at + min(first * 2**doublings, max(first, POLICY.cap_s)), False

    def probe(self, now: float, upto: int | None = None) -> int | None:
        """The permit of the lone probe that is out at `now`, by the log up to an index."""
        lent: tuple[int, float] | None = None
        for said in self.log[:upto]:
            if lent is not None and said.at >= lent[1]:
                lent = None
            back = said.what in ("ok", "other") and lent is not None and lent[0] == said.permit
            answered = said.what == "set" and said.kind in LADDER
            if said.what == "admit":
                lent = (said.permit, said.until or 0.0)
            elif back or answered or said.what == "restore":
                lent = None
        return lent[0] if lent is not None and now < lent[1] else None


def holds_machine(module: ModuleType) -> type[RuleBasedStateMachine]:
    """Errors, probes, hands and time in any order, on the holds of `module`."""

    class AnyHolds(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.now = 0.0
            self.permits = 0
            self.holds: Any = module.Holds(POLICY)
            self.model = HoldsModel()
            self.lent: list[int] = []
            self.ended: list[Any] = []

        @rule(
            kind=st.sampled_from(HoldKind),
            ahead=st.none() | st.sampled_from([-1.0, 0.0, 1.0, 4.0, 32.0, 1024.0]),
            age=st.none() | st.sampled_from([0.0, 2.0, 16.0]),
        )
        def error(self, kind: HoldKind, ahead: float | None, age: float | None) -> None:
            if kind in BRIEF and ahead is None:
                ahead = 2.0
            until = None if ahead is None else self.now + ahead
            dispatched_at = None if age is None else self.now - age
            self.agree()
            hold = self.holds.set(self.now, kind, until, dispatched_at=dispatched_at)
            self.model.log.append(Said(self.now, "set", kind, until, dispatched_at))
            assert (hold and hold.until) == self.model.until(kind, self.now)
            self.agree()

        @rule(kind=st.sampled_from(LADDER))
        def same_error_again(self, kind: HoldKind) -> None:
            self.error(kind, None, None)

        @rule(kind=st.sampled_from(LADDER))
        def same_error_from_long_before(self, kind: HoldKind) -> None:
            self.error(kind, None, 4096.0)

        @rule(kind=st.sampled_from(LADDER), rounds=st.integers(2, 5))
        def same_error_after_each_hold(self, kind: HoldKind, rounds: int) -> None:
            for _ in range(rounds):
                self.error(kind, None, None)
                self.now = max(self.now, self.model.until(kind, self.now) or 0.0)

        @rule(verdict=st.sampled_from([Verdict.OK, Verdict.OK, Verdict.FAIL]))
        def prove(self, verdict: Verdict) -> None:
            self.now = max([self.now, *(e for e in self.model.ends(self.now).values() if e < 1e9)])
            before = len(self.lent)
            self.attempt(6.0)
            if len(self.lent) > before:
                self.end(self.lent.pop(), verdict)

        @rule(timeout=st.sampled_from([0.0, 6.0]), kind=st.sampled_from(LADDER))
        def a_probe_hangs(self, timeout: float, kind: HoldKind) -> None:
            self.same_error_after_each_hold(kind, 1)
            self.attempt(timeout)
            self.now += timeout + POLICY.lease_grace_s
            self.agree()

        @rule(kind=st.sampled_from(HoldKind), later=st.sampled_from([-2.0, 0.0, 2.0]))
        def another_word(self, kind: HoldKind, later: float) -> None:
            self.error(kind, 128.0, 4.0)
            self.error(kind, 2.0, 4.0 - later)

        @rule()
        def a_success_from_before(self) -> None:
            self.holds.release(self.now, -1, Verdict.OK)
            self.model.log.append(Said(self.now, "ok", permit=-1))
            self.agree()

        @rule(timeout=st.sampled_from([0.0, 6.0]))
        def attempt(self, timeout: float) -> None:
            self.agree()
            if self.holds.check(self.now) is not None:
                return
            self.permits += 1
            probe = self.holds.admit(self.now, self.permits, timeout)
            unproven = any(self.model.unproven(kind) for kind in LADDER)
            assert probe == unproven == self.holds.is_probe(self.permits)
            if probe:
                lease_end = self.now + timeout + POLICY.lease_grace_s
                self.model.log.append(Said(self.now, "admit", until=lease_end, permit=self.permits))
            self.lent.append(self.permits)
            self.agree()

        @precondition(lambda self: bool(self.lent))
        @rule(data=st.data(), verdict=st.sampled_from([*Verdict, Verdict.OK]))
        def settle(self, data: st.DataObject, verdict: Verdict) -> None:
            self.end(self.lent.pop(data.draw(st.integers(0, len(self.lent) - 1))), verdict)

        def end(self, permit: int, verdict: Verdict) -> None:
            self.holds.release(self.now, permit, verdict)
            what = "ok" if verdict is Verdict.OK else "other"
            self.model.log.append(Said(self.now, what, permit=permit))
            self.agree()

        @rule(kind=st.sampled_from(HoldKind))
        def clear(self, kind: HoldKind) -> None:
            held = self.model.until(kind, self.now)
            gone = self.holds.clear(self.now, kind)
            assert [hold.until for hold in gone] == ([] if held is None else [held])
            self.model.log.append(Said(self.now, "clear", kind))
            self.agree()

        @rule(seconds=st.sampled_from([0.5, 2.0, 8.0, 64.0, 512.0]))
        def wait(self, seconds: float) -> None:
            self.now += seconds

        @rule(early=st.sampled_from([0.0, 0.5]))
        def wait_until_something_ends(self, early: float) -> None:
            due = self.holds.next_at()
            if due is not None:
                self.now = max(self.now, due - early)
            self.agree()

        @rule()
        def crash(self) -> None:
            snapshot = self.holds.snapshot()
            self.ended += self.holds.ended
            self.holds = module.Holds(POLICY)
            self.holds.restore(snapshot, self.now)
            self.model.log.append(Said(self.now, "restore"))
            self.agree()

        def teardown(self) -> None:
            self.agree()

        def agree(self) -> None:
            ends = self.model.ends(self.now)
            refusal = self.holds.check(self.now)
            active = self.holds.active(self.now)
            assert (active and active.until) == max(ends.values(), default=None)
            if ends:
                assert refusal is not None, "a hold lets nobody through"
                end = max(ends.values())
                assert refusal.retry_at == (None if end == math.inf else end)
            elif self.model_probe() is not None:
                assert refusal is not None, "one probe at a time"
                assert refusal.why == "probing"
            else:
                assert refusal is None, "nothing holds the scope any more"
            for hold in self.holds.ended:
                assert hold.until <= self.now
            self.holds.ended.clear()

        def model_probe(self) -> int | None:
            if not any(self.model.unproven(kind) for kind in LADDER):
                return None
            return self.model.probe(self.now)

    return AnyHolds


def test_holds_are_what_was_said_about_them() -> None:
    run_state_machine_as_test(
        holds_machine(holds),
        settings=settings(max_examples=80, stateful_step_count=30, deadline=None),
    )


@given(
    errors=st.lists(
        st.tuples(
            st.sampled_from([k for k in HoldKind if k is not HoldKind.MANUAL]),
            st.none() | st.floats(-1e6, 1e9),
            st.none() | st.floats(0, 1e6),
            st.floats(0, 1e5),
        ),
        max_size=30,
    )
)
def test_no_error_bans_for_ever(
    errors: list[tuple[HoldKind, float | None, float | None, float]],
) -> None:
    machine, now = holds.Holds(), 0.0
    for kind, ahead, age, gap in errors:
        now += gap
        until = None if ahead is None and kind not in BRIEF else now + (ahead or 0.0)
        machine.set(now, kind, until, dispatched_at=None if age is None else now - age)
        active = machine.active(now)
        assert active is None or active.until <= now + DEFAULT_HOLDS.stated_cap_s
    assert machine.check(now + DEFAULT_HOLDS.stated_cap_s) is None


@given(rounds=st.integers(1, 40), kind=st.sampled_from(LADDER), late=st.floats(0, 1e6))
def test_the_same_error_after_each_hold_doubles_it_up_to_the_cap(
    rounds: int, kind: HoldKind, late: float
) -> None:
    machine, now = holds.Holds(), 0.0
    first = DEFAULT_HOLDS.credit_s if kind is HoldKind.CREDIT else DEFAULT_HOLDS.auth_s
    for index in range(rounds):
        hold = machine.set(now, kind)
        assert hold is not None
        assert hold.until == now + min(DEFAULT_HOLDS.cap_s, first * 2**index)
        now = hold.until + late
        assert machine.check(now) is None
        assert machine.admit(now, index, 30.0)
        machine.release(now, index, Verdict.NEUTRAL)


@given(
    steps=st.lists(st.tuples(st.floats(0, 500), st.sampled_from(OWN)), max_size=12),
    looks=st.lists(st.floats(0, 1), max_size=4),
)
def test_many_ticks_are_one_late_tick(
    steps: list[tuple[float, HoldKind]], looks: list[float]
) -> None:
    seldom, often, now = holds.Holds(), holds.Holds(), 0.0
    for gap, kind in [*steps, (10_000.0, HoldKind.MODEL)]:
        for look in sorted(looks):
            often.tick(now + look * gap)
        now += gap
        for each in (seldom, often):
            if kind is not HoldKind.MANUAL:
                each.set(now, kind)
    assert seldom.snapshot() == often.snapshot()
    assert list(seldom.ended) == list(often.ended)
