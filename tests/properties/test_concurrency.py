"""The concurrency limit: its history decides it, and its promises to provider and user hold."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from understudy_actors.provider import concurrency


def concurrency_machine(module: ModuleType) -> type[RuleBasedStateMachine]:
    """Calls that start and end in any order, on the limit of `module`."""

    class AnyCalls(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.now = 0.0
            self.calls: list[tuple[float, int]] = []  # started at, in flight then
            self.history: list[tuple[str, float, float]] = []

        @initialize(
            initial=st.sampled_from([1.0, 3.0, 8.0]),
            most=st.sampled_from([4, 256]),
            draw=st.sampled_from([0.0, 0.5, 0.96875]),
        )
        def build(self, initial: float, most: int, draw: float) -> None:
            self.draw, self.most, self.initial = draw, most, min(initial, most)
            self.limit: Any = module.Concurrency(lambda: draw, initial=initial, most=most)

        @rule(count=st.integers(1, 6))
        def start(self, count: int) -> None:
            for _ in range(count):
                if self.limit.in_flight >= math.floor(self.limit.limit):
                    assert self.limit.full, "every slot is taken"
                    return
                assert not self.limit.full, "a slot is free"
                self.calls.append((self.now, self.limit.started()))
                assert self.calls[-1][1] == len(self.calls)

        @precondition(lambda self: bool(self.calls))
        @rule(data=st.data(), end=st.sampled_from(["ok", "ok", "throttle", "throttle", "fail"]))
        def finish(self, data: st.DataObject, end: str) -> None:
            self.end(data.draw(st.integers(0, len(self.calls) - 1)), end)

        @precondition(lambda self: bool(self.calls))
        @rule(end=st.sampled_from(["ok", "throttle"]))
        def finish_all(self, end: str) -> None:
            while self.calls:
                self.end(0, end)

        @rule(seconds=st.sampled_from([0.125, 1.0, 64.0]))
        def wait(self, seconds: float) -> None:
            self.now += seconds

        @rule(epochs=st.integers(1, 9))
        def refuse(self, epochs: int) -> None:
            for _ in range(epochs):
                self.start(1)
                self.now += 0.125
                if self.calls:
                    self.end(len(self.calls) - 1, "throttle")

        @rule(rounds=st.integers(1, 3))
        def serve(self, rounds: int) -> None:
            for _ in range(rounds):
                self.start(6)
                while self.calls:
                    self.end(0, "ok")
            self.recover()

        @rule()
        def recover(self) -> None:
            self.limit.restart()
            self.history.append(("restart", self.now, 0.0))
            self.agree()

        @rule()
        def crash(self) -> None:
            snapshot, in_flight = self.limit.snapshot(), self.limit.in_flight
            self.limit = module.Concurrency(lambda: self.draw, initial=self.initial, most=self.most)
            self.limit.restore(snapshot, self.now)
            self.limit.in_flight = in_flight
            self.agree()

        def end(self, index: int, end: str) -> None:
            started_at, load = self.calls.pop(index)
            self.limit.ended()
            if end == "ok":
                self.limit.on_ok(load)
                self.history.append(("ok", self.now, float(load)))
            elif end == "throttle":
                streak = self.replay()[1]
                back_off = self.limit.on_throttle(self.now, started_at)
                cuts = len(self.replay()[2])
                self.history.append(("throttle", self.now, started_at))
                assert (back_off is not None) == (len(self.replay()[2]) > cuts), "one an epoch"
                if back_off is not None:
                    assert back_off == self.draw * min(15.0, 2.0**streak)
            self.agree()

        def replay(self) -> tuple[float, int, list[float]]:
            """Limit, streak and cuts, from the whole history."""
            limit, streak, cuts = float(self.initial), 0, list[float]()
            known = math.inf  # up to where it is known to be safe, once anything is
            for what, at, detail in self.history:
                if what == "ok":
                    streak = 0
                    if detail >= limit / 2:
                        limit = min(self.most, limit + (1 if limit < known else 1 / limit))
                elif what == "restart":
                    limit, known = min(limit, self.initial), limit
                elif not cuts or detail >= cuts[-1]:
                    limit, streak = max(1.0, limit * 0.85), streak + 1
                    known = limit
                    cuts.append(at)
            return limit, streak, cuts

        def agree(self) -> None:
            limit, streak, _ = self.replay()
            assert self.limit.limit == pytest.approx(limit)
            assert 1 <= self.limit.limit <= self.most
            assert self.limit.capacity == math.floor(self.limit.limit)
            assert self.limit.streak == min(streak, 16), "counted no further than it matters"
            assert self.limit.in_flight == len(self.calls)

    return AnyCalls


def test_the_limit_is_what_its_history_says() -> None:
    run_state_machine_as_test(
        concurrency_machine(concurrency),
        settings=settings(max_examples=60, stateful_step_count=30, deadline=None),
    )


def test_the_limit_doubles_with_each_round_until_somebody_refuses() -> None:
    limit = concurrency.Concurrency(lambda: 0.0, initial=8.0)
    for rounds in (16, 32, 64):
        loads = [limit.started() for _ in range(limit.capacity)]
        for load in loads[-(rounds // 2) :]:
            limit.ended()
            limit.on_ok(max(load, rounds))  # the limit is in full use
        assert limit.limit == rounds
    limit.on_throttle(1.0, started_at=0.5)
    limit.on_ok(64)
    assert limit.limit == pytest.approx(64 * 0.85 + 1 / (64 * 0.85))


@given(calls=st.integers(1, 256), draw=st.floats(0, 1, exclude_max=True))
def test_many_refusals_at_once_are_one_piece_of_news(calls: int, draw: float) -> None:
    limit = concurrency.Concurrency(lambda: draw, initial=256.0)
    back_offs = [limit.on_throttle(1.0, started_at=0.5) for _ in range(calls)]
    assert back_offs[0] == draw
    assert set(back_offs[1:]) <= {None}
    assert limit.limit == 256 * 0.85


@given(epochs=st.integers(1, 100))
def test_while_all_is_refused_back_offs_reach_15_s_and_the_limit_one(epochs: int) -> None:
    limit = concurrency.Concurrency(lambda: 0.5)
    back_off = 0.0
    for now in range(epochs):
        back_off = limit.on_throttle(now, started_at=now) or 0.0
    assert back_off == min(15, 2 ** (epochs - 1)) / 2
    assert limit.capacity >= 1
    limit.on_ok(1)
    assert limit.streak == 0
