"""Everything this library raises on purpose.

UnderstudyError
├── ConfigError              the configuration cannot run: fix the key it names
├── InvalidRequest           the request cannot be served by anybody: fix the request
├── NoCandidate              nobody may be asked right now: see `.reasons` and `.retry_at`
│   ├── OverMaxCost          only because all are dearer than `max_cost_usd`
│   ├── OverBudget           only because budgets have not enough left
│   └── NotCached            it wanted an answer out of the cache, and there is none
├── AllAttemptsFailed        providers were asked and failed: see `.attempts`
├── StreamBroken             an answer broke off after a part of it was delivered
├── OverLimit                the caller's own limit a minute is used up: retry at `.retry_at`
├── Overloaded               refused before anything was spent: shed, or retry later
├── ShuttingDown             the engine is closing
├── StoreFailed              what must outlive the process cannot be read or written
├── ActorError               an actor could not answer: ActorDied, ActorStopped, AskCycle, ...
└── ProviderError            one provider's failure; ends a request only if nobody else may be asked
    ├── AuthenticationFailed, PermissionDenied, CreditExhausted
    ├── RateLimited, ProviderOverloaded
    ├── ContextTooLong, ContentRefused, ModelNotFound, BadRequest
    ├── AttemptTimeout, ConnectionFailed, ServerFailed, MalformedResponse
    └── AdapterFailed, InternalError
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from understudy_actors.domain.outcome import POLICY, ErrorClass
from understudy_actors.domain.rates import Sighting
from understudy_actors.domain.result import Attempt


class UnderstudyError(Exception):
    """Catch this to catch all of ours and nothing else.

    Attributes:
        retry_at: Seconds on the engine's clock at which trying again makes sense; None if never
            or unknown.
        retry_after_s: The same as a relative time, as of the moment of raising.
        attempts: Every attempt of the request, in order.
        reasons: Candidate name to the reason why it was left out.
        request_id: The request that it ended, if any.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_at: float | None = None,
        retry_after_s: float | None = None,
        attempts: Sequence[Attempt] = (),
        reasons: Mapping[str, str] | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_at = retry_at
        self.retry_after_s = retry_after_s
        self.attempts = tuple(attempts)
        self.reasons = dict(reasons or {})
        self.request_id = request_id


class ConfigError(UnderstudyError):
    """The configuration cannot run; the message names the key, its value and what would do."""


class InvalidRequest(UnderstudyError):
    """The request is wrong in itself; nothing was called and nothing was spent."""


class NoCandidate(UnderstudyError):
    """No provider may be asked right now; nothing was called."""


class OverMaxCost(NoCandidate):
    """Every provider that could serve is dearer than the request's `max_cost_usd`."""


class OverBudget(NoCandidate):
    """The budgets have not enough left for any provider that could serve; nothing was called.

    `retry_at` is when the first of them starts anew.
    """


class NotCached(NoCandidate):
    """The request was to be answered out of the response cache only, and there is no answer in it.

    Nothing was called.
    """


class AllAttemptsFailed(UnderstudyError):
    """Providers were asked and failed, and nobody is left to ask."""


class StreamBroken(UnderstudyError):
    """An answer broke off after a part of it was delivered, and nobody could go on with it exactly.

    What was delivered stands: no byte of it was repeated or left out. It is not the whole answer.

    Attributes:
        delivered_chars: Characters of text that were delivered.
        delivered_calls: Function calls of which at least a piece was delivered.
    """

    def __init__(
        self, message: str, *, delivered_chars: int = 0, delivered_calls: int = 0, **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.delivered_chars = delivered_chars
        self.delivered_calls = delivered_calls


class OverLimit(UnderstudyError):
    """A limit a minute of whoever asked (a key, user, team, ...) is used up; nothing was called.

    `retry_at` is when the request fits again; None: it is larger than the limit.
    """


class Overloaded(UnderstudyError):
    """A bounded queue or mailbox is full. Nothing was accepted; nothing changed."""


class ShuttingDown(UnderstudyError):
    """The engine is closing and takes no new work."""


class StoreFailed(UnderstudyError):
    """The store could not be opened, read or written.

    Attributes:
        result: The answer that was got, and paid for, but whose charge may not be kept; None if
            there is none.
    """

    result: Any = None


class ProviderError(UnderstudyError):
    """One provider's failure, typed by what the caller can do about it.

    Attributes:
        provider, model: Who failed.
        status: HTTP status, if there was an answer.
        code: The provider's own error code, if it sent one.
        retry_after_s: The provider's own delay hint in seconds, if it sent one.
        detail: A short excerpt of the provider's own words, keys masked. It may repeat the prompt,
            so it is no part of the message, and nothing logs it by itself.
        limits: What its headers said of rate limits.
        retryable_here, retryable_elsewhere: Whether asking the same provider again, or another
            one, can help.
    """

    error_class: ClassVar[ErrorClass]

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        model: str = "",
        status: int | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
        error_class: ErrorClass | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.provider = provider
        self.model = model
        self.status = status
        self.code = code
        self.detail = detail
        self.limits: tuple[Sighting, ...] = ()
        self.kind = error_class or self.error_class

    @property
    def retryable_here(self) -> bool:
        """May the same provider be asked again?"""
        return POLICY[self.kind].here

    @property
    def retryable_elsewhere(self) -> bool:
        """May another provider be asked?"""
        return POLICY[self.kind].elsewhere


class AuthenticationFailed(ProviderError):
    """The key was refused: set the right one."""

    error_class = ErrorClass.AUTH


class PermissionDenied(ProviderError):
    """The key may not do this: region, organisation or scope."""

    error_class = ErrorClass.PERMISSION


class CreditExhausted(ProviderError):
    """Credit, quota or a spend limit is used up: top up."""

    error_class = ErrorClass.QUOTA


class RateLimited(ProviderError):
    """Too many requests or tokens for now."""

    error_class = ErrorClass.RATE_LIMIT


class ProviderOverloaded(ProviderError):
    """The provider is full."""

    error_class = ErrorClass.OVERLOADED


class ContextTooLong(ProviderError):
    """The prompt does not fit the model's window: shorten it, or use a larger model."""

    error_class = ErrorClass.CONTEXT_LENGTH


class ContentRefused(ProviderError):
    """The provider's policy refused the content."""

    error_class = ErrorClass.CONTENT_POLICY


class ModelNotFound(ProviderError):
    """The provider does not serve this model (to this key)."""

    error_class = ErrorClass.MODEL_NOT_FOUND


class BadRequest(ProviderError):
    """The provider calls the request wrong: fix the request."""

    error_class = ErrorClass.BAD_REQUEST


class AttemptTimeout(ProviderError):
    """No answer in time: the provider said so (`timeout`), or said nothing (`silent`), or nothing
    more (`stalled`).
    """

    error_class = ErrorClass.SILENT


class ConnectionFailed(ProviderError):
    """The provider could not be reached (`connect`), or hung up before it answered (`reset`)."""

    error_class = ErrorClass.CONNECT


class ServerFailed(ProviderError):
    """The provider failed in itself."""

    error_class = ErrorClass.SERVER


class MalformedResponse(ProviderError):
    """The answer is none (truncated, not JSON, HTML, an error inside a 200), or `diverged`: it is
    none that goes on with what another provider began.
    """

    error_class = ErrorClass.MALFORMED


class AdapterFailed(ProviderError):
    """The code that serves this provider raised: an adapter's bug, or the user's own function."""

    error_class = ErrorClass.ADAPTER


class InternalError(ProviderError):
    """A fault of understudy itself: please report it."""

    error_class = ErrorClass.INTERNAL


ERROR_TYPES: Mapping[ErrorClass, type[ProviderError]] = {
    ErrorClass.AUTH: AuthenticationFailed,
    ErrorClass.PERMISSION: PermissionDenied,
    ErrorClass.QUOTA: CreditExhausted,
    ErrorClass.RATE_LIMIT: RateLimited,
    ErrorClass.OVERLOADED: ProviderOverloaded,
    ErrorClass.CONTEXT_LENGTH: ContextTooLong,
    ErrorClass.CONTENT_POLICY: ContentRefused,
    ErrorClass.MODEL_NOT_FOUND: ModelNotFound,
    ErrorClass.BAD_REQUEST: BadRequest,
    ErrorClass.CONFLICT: BadRequest,
    ErrorClass.PREFILL: BadRequest,
    ErrorClass.DIVERGED: MalformedResponse,
    ErrorClass.TIMEOUT: AttemptTimeout,
    ErrorClass.SILENT: AttemptTimeout,
    ErrorClass.STALLED: AttemptTimeout,
    ErrorClass.CONNECT: ConnectionFailed,
    ErrorClass.RESET: ConnectionFailed,
    ErrorClass.SERVER: ServerFailed,
    ErrorClass.MALFORMED: MalformedResponse,
    ErrorClass.ADAPTER: AdapterFailed,
    ErrorClass.CANCELLED: InternalError,
    ErrorClass.INTERNAL: InternalError,
}
"""The type raised for each class."""


def provider_error(
    error_class: ErrorClass,
    message: str,
    *,
    provider: str = "",
    model: str = "",
    status: int | None = None,
    code: str | None = None,
    retry_after_s: float | None = None,
    detail: str | None = None,
) -> ProviderError:
    """Build the typed error of a class."""
    return ERROR_TYPES[error_class](
        message,
        provider=provider,
        model=model,
        status=status,
        code=code,
        retry_after_s=retry_after_s,
        error_class=error_class,
        detail=detail,
    )
