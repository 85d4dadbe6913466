"""What follows a failed attempt: the arithmetic of waiting, of the budget and of the guard."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from understudy_actors.dispatcher import retry as real_retry
from understudy_actors.domain.outcome import POLICY, ErrorClass, Verdict

seconds = st.floats(0, 1e4)
draws = st.floats(0, 1, exclude_max=True)
errors = st.sampled_from(list(ErrorClass))


def backoffs(module: ModuleType) -> st.SearchStrategy[Any]:
    return st.builds(
        module.Backoff,
        kind=st.sampled_from(["exponential", "linear"]),
        base_s=st.floats(0.01, 5),
        cap_s=st.floats(0.01, 60),
        jitter=st.booleans(),
    )


def check_backoff(module: ModuleType) -> None:
    """Raise unless waits grow as they should, within their bounds."""

    @settings(database=None)
    @given(backoffs(module), st.integers(1, 200), draws, draws)
    def bounds(backoff: Any, retry: int, low: float, high: float) -> None:
        low, high = sorted((low, high))
        steps = retry if backoff.kind == "linear" else 2.0 ** min(retry - 1, 100)
        ceiling = min(backoff.cap_s, backoff.base_s * steps)
        assert abs(backoff.ceiling_s(retry) - ceiling) <= 1e-9 * ceiling
        assert backoff.ceiling_s(retry) <= backoff.ceiling_s(retry + 1)
        assert 0 <= backoff.wait_s(retry, low) <= backoff.wait_s(retry, high)
        assert backoff.wait_s(retry, high) <= backoff.ceiling_s(retry)
        if backoff.jitter:
            assert backoff.wait_s(retry, 0.0) == 0.0, "full jitter reaches down to nothing"
        else:
            assert backoff.wait_s(retry, low) == backoff.ceiling_s(retry)

    bounds()
    assert [module.Backoff().ceiling_s(n) for n in range(1, 8)] == [1, 2, 4, 8, 16, 20, 20]
    assert [module.Backoff("linear").ceiling_s(n) for n in range(1, 4)] == [1, 2, 3]


def check_waits(module: ModuleType) -> None:
    """Raise unless a wait respects what the provider said, and the deadline."""

    @settings(database=None)
    @given(
        errors,
        st.none() | seconds,
        seconds,
        seconds,
        st.floats(0, 60),
        draws,
        st.integers(0, 6),
        seconds,
    )
    def wait(
        error: ErrorClass,
        hint_s: float | None,
        ready_at: float,
        now: float,
        useful_s: float,
        draw: float,
        retries: int,
        deadline: float,
    ) -> None:
        rule = module.RetryRule()
        failure = module.Failure(
            error=error, retry_after_s=hint_s, ready_at=ready_at, min_useful_s=useful_s
        )
        wait_s = module.wait_here_s(failure, rule, retries, now, draw)
        own = rule.backoff.wait_s(retries + 1, draw)
        assert wait_s >= (hint_s or 0.0), "Retry-After is a floor"
        assert wait_s >= ready_at - now, "its own gates are shut until then"
        assert wait_s >= own
        assert wait_s in (own, hint_s, ready_at - now)
        fits = module.fits(wait_s, failure, now, deadline)
        assert fits == (now + wait_s + useful_s <= deadline)

    wait()


def check_permission(module: ModuleType) -> None:
    """Raise unless only what can help is retried, and only so often."""

    @settings(database=None, max_examples=300)
    @given(
        errors | st.sampled_from([ErrorClass.RATE_LIMIT, ErrorClass.SERVER]),
        st.integers(0, 3),
        st.none() | st.frozensets(errors),
        st.none() | st.sampled_from([0.0, 2.5, 2.6, 30.0]),
    )
    def permission(
        error: ErrorClass, retries: int, on: frozenset[ErrorClass] | None, hint_s: float | None
    ) -> None:
        rule = module.RetryRule(on=on, attempts=3)
        failure = module.Failure(error=error, retry_after_s=hint_s)
        may = module.may_retry_here(failure, rule, retries)
        assert may == (retries < 3 and (POLICY[error].here if on is None else error in on))
        if error is ErrorClass.SILENT and not (on and error in on):
            assert not may, "whoever was silent is not asked again, for it may be billed twice"
        prefers = module.prefers_here(failure, rule, retries)
        assert not prefers or (may and retries == 0), "once, at most"
        if POLICY[error].verdict is Verdict.THROTTLE:
            patient = hint_s is not None and hint_s <= rule.patience_s
            assert prefers == (may and retries == 0 and patient)
        elif on is None:
            broke = error in {
                ErrorClass.SERVER,
                ErrorClass.TIMEOUT,
                ErrorClass.CONNECT,
                ErrorClass.RESET,
            }
            assert prefers == (broke and retries == 0)

    permission()


STEPS: dict[str, list[tuple[str, float]]] = {
    "accept": [("accept", 0.0)],
    "retry": [("retry", 0.0)],
    "burst": [("retry", 0.0)] * 12,
    "a moment": [("wait", 0.5)],
    "a while": [("wait", 50.0)],
}
steps = st.lists(st.sampled_from(list(STEPS)), max_size=40).map(
    lambda names: [step for name in names for step in STEPS[name]]
)


def check_budget(module: ModuleType) -> None:
    """Raise if retries can outgrow their share of the requests, in any interval."""

    @settings(database=None)
    @given(steps)
    def share(steps: list[tuple[str, float]]) -> None:
        budget, now = module.RetryBudget(), 0.0
        earned, spent, times = [0.0], [0], [0.0]
        lent_at: float | None = None
        tokens = 10.0
        for kind, amount in steps:
            lent = 0
            if kind == "accept":
                budget.deposit()
                tokens = min(20.0, tokens + 0.2)
            elif kind == "wait":
                now += amount
            else:
                tokens = min(20.0, tokens + 0.2 * (now - (now if lent_at is None else lent_at)))
                lent_at = now
                lent = int(budget.withdraw(now))
                if abs(tokens - 1.0) > 1e-6:
                    assert lent == (tokens >= 1.0)
                tokens -= lent
            earned.append(earned[-1] + 0.2 * (kind == "accept"))
            spent.append(spent[-1] + lent)
            times.append(now)
            assert 0 <= budget.tokens <= 20
        for start in range(len(spent)):
            most = 10.0 if start == 0 else 20.0
            limit = most + earned[-1] - earned[start] + 0.2 * (times[-1] - times[start])
            assert spent[-1] - spent[start] <= limit + 1e-6

    share()


def check_guard(module: ModuleType) -> None:
    """Raise unless a guard's bucket moves by verdicts alone, within its bounds."""

    @settings(database=None)
    @given(st.lists(st.sampled_from([*Verdict, *[Verdict.FAIL] * 5]), max_size=60))
    def bucket(verdicts: list[Verdict]) -> None:
        rule = module.GuardRule()
        tokens = rule.cap
        for verdict in verdicts:
            after = rule.after(tokens, verdict)
            moved = {Verdict.OK: 0.1, Verdict.FAIL: -1.0}.get(verdict, 0.0)
            assert after == min(10.0, max(0.0, tokens + moved))
            tokens = after

    bucket()


CHECKS = (check_backoff, check_waits, check_permission, check_budget, check_guard)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_arithmetic_of_retrying_keeps_its_laws(check: Any) -> None:
    check(real_retry)


def test_an_empty_budget_fills_with_time_and_with_requests() -> None:
    budget = real_retry.RetryBudget()
    assert [budget.withdraw(0.0) for _ in range(11)] == [True] * 10 + [False]
    for _ in range(5):
        budget.deposit()
    assert [budget.withdraw(0.0), budget.withdraw(0.0)] == [True, False]
    assert [budget.withdraw(5.0), budget.withdraw(5.0)] == [True, False]
