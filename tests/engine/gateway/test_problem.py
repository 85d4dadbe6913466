"""Each error of the engine has a status, a code, and an answer to: should I try again?"""

from __future__ import annotations

import pytest

from understudy import (
    AllAttemptsFailed,
    Attempt,
    ErrorClass,
    InvalidRequest,
    NoCandidate,
    NotCached,
    OverBudget,
    Overloaded,
    OverMaxCost,
    ShuttingDown,
    StreamBroken,
    UnderstudyError,
)
from understudy.gateway.problem import problem_of
from understudy_actors.domain.errors import ERROR_TYPES, provider_error

RETRY: list[tuple[Exception, int, bool]] = [
    (InvalidRequest("no"), 400, False),
    (OverMaxCost("no"), 402, False),
    (OverBudget("no", retry_after_s=60.0), 429, False),
    (NoCandidate("no"), 404, False),
    (NotCached("no"), 404, False),
    (NoCandidate("no", retry_at=9.0, retry_after_s=3.0), 503, True),
    (Overloaded("no", retry_after_s=2.0), 503, True),
    (ShuttingDown("no"), 503, True),
    (StreamBroken("no"), 502, False),
    (UnderstudyError("no"), 503, True),
    (RuntimeError("a secret of ours"), 500, False),
]


@pytest.mark.parametrize(("error", "status", "again"), RETRY, ids=lambda e: type(e).__name__)
def test_an_error_has_its_status(error: Exception, status: int, again: bool) -> None:
    problem = problem_of(error)
    assert (problem.status, problem.again) == (status, again)
    assert ("secret" in problem.message) is False


@pytest.mark.parametrize("error_class", ERROR_TYPES)
def test_a_providers_failure_is_not_the_callers_key(error_class: ErrorClass) -> None:
    """401 and 403 would have a caller look at a key that is fine."""
    problem = problem_of(provider_error(error_class, "it failed"))
    assert problem.status in (400, 404, 429, 502, 504)
    assert not problem.again, "everything was tried already"


@pytest.mark.parametrize(
    ("kinds", "status"),
    [
        (["rate_limit", "rate_limit"], 429),
        (["silent", "timeout"], 504),
        (["silent", "server"], 502),
        ([], 502),
    ],
)
def test_when_all_failed_in_one_way_that_is_told(kinds: list[str], status: int) -> None:
    tried = [Attempt("p", "m", "failed", error=kind) for kind in kinds]
    assert problem_of(AllAttemptsFailed("all", attempts=tried)).status == status
