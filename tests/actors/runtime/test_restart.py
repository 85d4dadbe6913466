"""The arithmetic of restarts."""

from __future__ import annotations

from types import ModuleType

from hypothesis import example, given, settings, strategies as st

from understudy_actors.runtime import restart as real_restart

gaps_s = st.lists(st.floats(0, 20), max_size=40)


def check_restart(module: ModuleType) -> None:
    """Raise if `module` does not keep the laws of restarting."""

    @settings(database=None)
    @given(gaps_s, st.integers(0, 5), st.floats(0.5, 60))
    def intensity(gaps_s: list[float], max_restarts: int, period_s: float) -> None:
        machine = module.RestartIntensity(max_restarts, period_s)
        now_s, allowed_at = 0.0, list[float]()
        for gap_s in gaps_s:
            now_s += gap_s
            room = sum(at > now_s - period_s for at in allowed_at) < max_restarts
            assert machine.allows(now_s) is room
            if room:
                allowed_at.append(now_s)
            assert machine.recent <= max_restarts

    @settings(database=None)
    @given(
        st.lists(st.integers(0, 360).map(lambda quarters: quarters / 4), max_size=40),
        st.floats(0, 1, exclude_max=True),
    )
    def backoff(gaps_s: list[float], chance: float) -> None:
        machine, now_s, in_a_row = module.Backoff(), 100.0, -1
        for gap_s in gaps_s:
            now_s += gap_s
            in_a_row = 0 if gap_s >= 60 else in_a_row + 1
            full_s = min(30.0, 0.1 * 2.0**in_a_row)
            wait_s = machine.wait_s(now_s, chance)
            assert abs(wait_s - full_s * (1 - 0.2 * chance)) < 1e-9
            assert 0.08 <= wait_s <= 30.0

    @settings(database=None)
    @example([(0.0, int), (0.0, int), (0.0, int), (61.0, str)])
    @given(st.lists(st.tuples(st.floats(0, 25), st.sampled_from([int, str])), max_size=30))
    def door(crashes: list[tuple[float, type]]) -> None:
        machine, now_s = module.PoisonDoor(), 0.0
        times: dict[type, list[float]] = {int: [], str: []}
        until = {int: 0.0, str: 0.0}
        for gap_s, kind in crashes:
            now_s += gap_s
            machine.crashed(kind, now_s)
            times[kind] = [*(at for at in times[kind] if at > now_s - 30), now_s]
            if len(times[kind]) == 3:
                times[kind], until[kind] = [], now_s + 60
            for each, end_s in until.items():
                assert machine.refused_until(each, now_s) == (end_s if end_s > now_s else None)
            assert machine.ajar is any(end_s > now_s for end_s in until.values())

    intensity()
    backoff()
    door()


def test_restart_arithmetic_keeps_its_laws() -> None:
    check_restart(real_restart)


def test_a_thousand_crashes_in_a_row_wait_no_longer_than_the_maximum() -> None:
    backoff = real_restart.Backoff()
    waits_s = [backoff.wait_s(float(nth), 0.0) for nth in range(1000)]
    assert waits_s[:4] == [0.1, 0.2, 0.4, 0.8]
    assert waits_s[-1] == 30.0
