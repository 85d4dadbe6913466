"""What went wrong with a caller's request, apart from the format in which it is told."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from msgspec import Struct

from understudy_actors.domain.errors import (
    ERROR_TYPES,
    AllAttemptsFailed,
    AttemptTimeout,
    BadRequest,
    ContentRefused,
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    NoCandidate,
    NotCached,
    OverBudget,
    OverLimit,
    Overloaded,
    OverMaxCost,
    ProviderError,
    RateLimited,
    ShuttingDown,
    StreamBroken,
    UnderstudyError,
)
from understudy_actors.domain.outcome import ErrorClass

INVALID: Final = "invalid_request_error"
SERVER: Final = "server_error"
RETRY_S: Final = 1.0
"""When to come back if nobody knows better."""


class Problem(Struct, frozen=True, kw_only=True):
    """One error as a caller is told of it.

    Attributes:
        status: The HTTP status.
        kind: The type of error, in OpenAI's words.
        code: What programs look at; None if the kind says all.
        message: What happened, and what to do.
        param: The field that is wrong.
        retry_after_s: When trying again makes sense, in seconds.
        again: Whether the caller's SDK should try again by itself. It should not if this engine
            has tried everything, or if the matter is money.
        request_id: Of the request.
    """

    status: int
    message: str
    kind: str = SERVER
    code: str | None = None
    param: str | None = None
    retry_after_s: float | None = None
    again: bool = False
    request_id: str = ""


class Refused(Exception):
    """A request that is wrong in itself, found out before the engine saw it."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        status: int = HTTPStatus.BAD_REQUEST,
        code: str | None = None,
        kind: str = INVALID,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.problem = Problem(
            status=status,
            message=message,
            kind=kind,
            code=code,
            param=param,
            retry_after_s=retry_after_s,
        )


def problem_of(error: Exception) -> Problem:
    """How an error of the engine is told; what is none of its errors is told without detail."""
    for kind, make in _MADE:
        if isinstance(error, kind):
            return make(error)
    return Problem(
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        message="this gateway broke over the request; its log says how",
        code="internal_error",
    )


def _told(error: UnderstudyError, status: int, code: str, **more: object) -> Problem:
    facts = {"kind": SERVER, "retry_after_s": error.retry_after_s, **more}
    request_id = error.request_id or ""
    return Problem(status=status, message=str(error), code=code, request_id=request_id, **facts)  # type: ignore[arg-type]


def _unanswered(error: AllAttemptsFailed) -> Problem:
    """Everybody failed: told as that failure, if all of them failed in one way."""
    types = {
        ERROR_TYPES[ErrorClass(each.error)]
        for each in error.attempts
        if each.outcome != "refused" and each.error is not None
    }
    if len(types) == 1:
        (failed,) = types
        made = next(make for kind, make in _MADE if issubclass(failed, kind))
        if made is not _providers_fault:
            told: Problem = made(error)
            return told
    return _told(error, 502, "all_providers_failed")


def _nobody(error: NoCandidate) -> Problem:
    """Nobody may be asked: because nobody serves such requests, or only for now."""
    if error.retry_at is None and error.retry_after_s is None:
        return _told(error, 404, "no_provider", kind=INVALID)
    after_s = RETRY_S if error.retry_after_s is None else error.retry_after_s
    return _told(error, 503, "no_provider_available", retry_after_s=after_s, again=True)


def _over_limit(error: OverLimit) -> Problem:
    """The caller's own limit: once there is room again its SDK may come back by itself."""
    return _told(
        error,
        429,
        "rate_limit_exceeded",
        kind="rate_limit_error",
        again=error.retry_after_s is not None,
    )


def _providers_fault(error: UnderstudyError) -> Problem:
    return _told(error, 502, "provider_failed")


_MADE: Final[tuple[tuple[type[Exception], Callable[..., Problem]], ...]] = (
    (Refused, lambda e: e.problem),
    (InvalidRequest, lambda e: _told(e, 400, "invalid_request", kind=INVALID)),
    (OverMaxCost, lambda e: _told(e, 402, "over_max_cost", kind="insufficient_quota")),
    (OverBudget, lambda e: _told(e, 429, "insufficient_quota", kind="insufficient_quota")),
    (NotCached, lambda e: _told(e, 404, "not_cached", kind=INVALID)),
    (NoCandidate, _nobody),
    (OverLimit, _over_limit),
    (Overloaded, lambda e: _told(e, 503, "overloaded", again=True)),
    (ShuttingDown, lambda e: _told(e, 503, "shutting_down", again=True, retry_after_s=RETRY_S)),
    (StreamBroken, lambda e: _told(e, 502, "stream_broken")),
    (AllAttemptsFailed, _unanswered),
    (ContextTooLong, lambda e: _told(e, 400, "context_length_exceeded", kind=INVALID)),
    (ContentRefused, lambda e: _told(e, 400, "content_policy_violation", kind=INVALID)),
    (BadRequest, lambda e: _told(e, 400, "bad_request", kind=INVALID)),
    (ModelNotFound, lambda e: _told(e, 404, "model_not_found", kind=INVALID)),
    (RateLimited, lambda e: _told(e, 429, "rate_limit_exceeded", kind="rate_limit_error")),
    (AttemptTimeout, lambda e: _told(e, 504, "timeout")),
    (ProviderError, _providers_fault),
    (UnderstudyError, lambda e: _told(e, 503, "unavailable", again=True)),
)
"""The first that fits tells of it: special ones stand before general ones."""
