"""When nobody is answered: what those who left early prove together, and what they never do."""

from __future__ import annotations

import math
from types import ModuleType

import pytest
from hypothesis import given, settings, strategies as st

from tests.support.mutants import Mutant
from understudy_actors.provider import silence as real
from understudy_actors.provider.health import Health

USUAL_S = 4.0
LONG_S = 16.0
"""Four times the usual: so long one call must be silent to count by itself."""
ENDS = st.sampled_from(["left", "left", "left", "ok", "answered"])
WAITS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), ENDS), min_size=1, max_size=30)


def known(usual_s: float = USUAL_S, at_s: float = 0.0) -> Health:
    """An endpoint that usually answers within so long."""
    health = Health()
    for _ in range(9):
        health.on_ok(at_s, at_s, usual_s)
    return health


def leave(health: Health, now: float, waited_s: float) -> bool:
    """A caller leaves unanswered; does that count against the endpoint?"""
    counts = health.timeout_is_failure(now, waited_s, math.inf)
    health.on_other(now, waited_s)
    health.left_unanswered(now, waited_s)
    return counts


def covered_s(waits: list[tuple[float, float]], after: float) -> float:
    """The length of the union of intervals, as far as it lies after a time."""
    total, reached = 0.0, after
    for start, end in sorted(waits):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def check_silence(module: ModuleType) -> None:
    """Raise if `module` does not count what nobody was answered in."""

    @settings(database=None)
    @given(WAITS)
    def any_waits(acts: list[tuple[int, int, str]]) -> None:
        silence, now, answered_at, ok_at = module.Silence(), 0.0, -math.inf, -math.inf
        waits: list[tuple[float, float]] = []
        for gap_s, waited_s, end in acts:
            now += gap_s
            if end != "left":
                answered_at = now
                waits.clear()
            if end == "ok":
                ok_at = now
            elif end == "answered":
                silence.answered(now)
            else:
                waits.append((now - waited_s, now))
                expected = covered_s(waits, answered_at)
                counted = silence.with_one_more(now, waited_s, ok_at)
                assert counted <= expected + 1e-9
                if waits == sorted(waits):  # who came first leaves first: then it is exact
                    assert counted == pytest.approx(expected)
                silence.left(now, waited_s, ok_at)

    any_waits()


def test_silence_is_the_time_in_which_somebody_waited_in_vain_since_the_last_answer() -> None:
    check_silence(real)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("max(ok_at, self._answered_at)", "ok_at"),
        ("max(ok_at, self._answered_at)", "self._answered_at"),
        ("min(waited_s, now - answered_at)", "waited_s"),
        ("min(waited_s, now - self._until)", "waited_s"),
        ("self._unanswered_s + max", "max"),
        ("self._until = now", "pass"),
    ],
)
def test_a_planted_fault_is_noticed(old: str, new: str) -> None:
    faulty = Mutant(f"{old} {new}", real.__name__, old, new).plant()
    with pytest.raises(AssertionError):
        check_silence(faulty)


@given(st.lists(st.tuples(st.floats(0.0, 10.0), st.floats(0.0, LONG_S - 0.01)), max_size=60))
def test_nobody_is_blamed_for_haste_while_somebody_is_answered_in_time(
    hasty: list[tuple[float, float]],
) -> None:
    """However many leave early, and however slow the answers: they come, one in each 16 s."""
    health, now, ok_at = known(), 0.0, 0.0
    for gap_s, waited_s in hasty:
        if now + gap_s >= ok_at + LONG_S:
            ok_at = min(now + gap_s, ok_at + LONG_S - 0.01)
            health.on_ok(ok_at, ok_at, USUAL_S)
        now += gap_s
        if now < ok_at + LONG_S - 0.01:
            assert not leave(health, now, waited_s)


@given(waited_s=st.floats(0.01, USUAL_S - 0.01), callers=st.integers(1, 500))
def test_a_deadline_shorter_than_usual_proves_nothing_however_often(
    waited_s: float, callers: int
) -> None:
    health = known()
    assert not any(leave(health, number * waited_s, waited_s) for number in range(1, callers + 1))


@given(waited_s=st.floats(USUAL_S, LONG_S - 0.01), pause_s=st.floats(0.0, 1000.0))
def test_one_after_the_other_prove_what_one_who_stays_would(
    waited_s: float, pause_s: float
) -> None:
    health, now = known(), 0.0
    needed = math.ceil((LONG_S - 1e-6) / waited_s)
    for number in range(1, needed + 3):
        now += pause_s + waited_s
        assert leave(health, now, waited_s) is (number >= needed)


@given(callers=st.integers(1, 1000), waited_s=st.floats(USUAL_S, LONG_S - 0.01))
def test_many_at_once_prove_no_more_than_one(callers: int, waited_s: float) -> None:
    health = known()
    assert not any(leave(health, 100.0, waited_s) for _ in range(callers))


def test_an_answer_that_is_no_success_breaks_the_silence_too() -> None:
    health = known()
    assert not leave(health, 12.0, 12.0)
    health.on_other(13.0)
    health.answered(13.0)
    assert not leave(health, 24.0, 12.0)
    assert leave(health, 36.0, 12.0)


def test_nothing_is_known_of_one_that_never_answered() -> None:
    health = Health()
    assert not any(leave(health, at * 9.0, 9.0) for at in range(1, 20))
    assert leave(health, 200.0, 10.0)


def test_a_part_of_an_answer_is_no_silence() -> None:
    health = known()
    assert not leave(health, 12.0, 12.0)
    assert health.timeout_is_failure(24.0, 12.0, math.inf)
    assert not health.timeout_is_failure(24.0, 12.0, math.inf, heard=True)
    assert health.timeout_is_failure(24.0, LONG_S, math.inf, heard=True)
