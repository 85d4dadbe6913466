"""From a response or a broken connection to the typed error that says it, and shows no secret.

The message is our own sentence. The provider's words may repeat the prompt or the key, so they stay
out of it: a short excerpt with keys masked is the error's `detail`.
"""

from __future__ import annotations

import re
from typing import Final

from understudy.adapters.base import Target
from understudy.adapters.body import Unusable
from understudy.adapters.classify import Complaint, Rules, classify, complaint_of
from understudy.adapters.delay import DELAY_MAX_S, delay_s, reset_s
from understudy.transport.http import HttpResponse, TransportFailed
from understudy_actors.domain.errors import ProviderError, provider_error
from understudy_actors.domain.outcome import ErrorClass

DETAIL_CHARS_MAX: Final = 200

SENTENCES: Final = {
    ErrorClass.AUTH: "refused the key: check the one configured for this provider",
    ErrorClass.PERMISSION: "does not allow this to the key: check its region, scope and project",
    ErrorClass.QUOTA: "has no credit or quota left for this account: top it up or raise its limit",
    ErrorClass.RATE_LIMIT: "had too many requests or tokens for now: slow down",
    ErrorClass.OVERLOADED: "is full for now: try again later",
    ErrorClass.CONTEXT_LENGTH: "cannot fit the prompt: shorten it or use a larger model",
    ErrorClass.CONTENT_POLICY: "refused the content",
    ErrorClass.MODEL_NOT_FOUND: "does not serve this model: check its name and the base URL",
    ErrorClass.BAD_REQUEST: "calls the request wrong: see the error's detail",
    ErrorClass.TIMEOUT: "timed out on its side",
    ErrorClass.SILENT: "did not answer in time",
    ErrorClass.STALLED: "sent no token for too long",
    ErrorClass.CONNECT: "could not be reached",
    ErrorClass.RESET: "broke the connection before a whole answer arrived",
    ErrorClass.SERVER: "failed on its side",
    ErrorClass.MALFORMED: "sent an answer that is none",
    ErrorClass.CONFLICT: "reports a conflict with another request",
    ErrorClass.PREFILL: "does not continue an answer that another provider began",
    ErrorClass.DIVERGED: "gave another answer than the one that was delivered in part",
    ErrorClass.ADAPTER: "failed in the code that serves it",
    ErrorClass.CANCELLED: "was cancelled",
    ErrorClass.INTERNAL: "failed through a fault of understudy",
}
"""What happened and what to do, for each class."""

_CODE: Final = re.compile(r"[A-Za-z0-9_.\-]{1,64}", re.ASCII)
_KEY_LIKE: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:sk|pk|rk|gsk|xai|hf|r8|pplx)[-_][A-Za-z0-9_*.\-]{4,}"  # prefixes that vendors give keys
    r"|AIza[A-Za-z0-9_*.\-]{4,}"
    r"|(?:Bearer|Basic)\s+\S+"
    r"|[A-Za-z0-9]{32,}"  # no word is that long
    r")",
    re.IGNORECASE,
)
_BLANK: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_SCANNED_CHARS_MAX: Final = 2_000
_MASK: Final = "***"


def response_failure(
    rules: Rules, target: Target, response: HttpResponse, wall_s: float
) -> ProviderError:
    """The typed error for a response that is an error, whatever its status says.

    An error body under a success status is judged by its own code; it is never a success.
    """
    complaint = complaint_of(response.body)
    status: int | None = response.status
    if 200 <= response.status < 300:
        status = complaint.status
    hint_s = None if status is None else _hint_s(rules, status, complaint, response, wall_s)
    error_class = classify(
        rules,
        status,
        complaint,
        hinted=hint_s is not None,
        overrides=target.options.get("errors"),
    )
    return failure(
        error_class,
        target,
        status=response.status,
        code=_shown_code(complaint, target),
        retry_after_s=hint_s,
        detail=_excerpt(complaint.message, target),
    )


def _hint_s(
    rules: Rules, status: int, complaint: Complaint, response: HttpResponse, wall_s: float
) -> float | None:
    """Seconds that a response asks to wait: by its headers, else by its body."""
    if status not in rules.hint_statuses:
        return None
    told = delay_s(status, response.headers, wall_s, statuses=rules.hint_statuses)
    if told is not None or complaint.wait is None:
        return told
    told = reset_s(complaint.wait, wall_s)
    return None if told is None else min(max(told, 0.0), DELAY_MAX_S)


def unusable(target: Target, status: int | None, problem: Unusable) -> ProviderError:
    """The typed error for an answer that may not be passed on, or a request that was not sent."""
    detail = _excerpt(problem.words, target)
    return failure(problem.error_class, target, status=status, why=problem.why, detail=detail)


def transport_failure(failed: TransportFailed, target: Target) -> ProviderError:
    """The typed error for a connection that could not be made, or broke."""
    kind = ErrorClass.RESET if failed.sent else ErrorClass.CONNECT
    return failure(kind, target, why=str(failed))


def failure(
    error_class: ErrorClass,
    target: Target,
    *,
    why: str | None = None,
    status: int | None = None,
    code: str | None = None,
    retry_after_s: float | None = None,
    detail: str | None = None,
) -> ProviderError:
    """Build the error of a class; `why` is our own sentence, where we know more than the class."""
    facts = [error_class.value]
    if status is not None:
        facts.append(f"HTTP {status}")
    if code is not None:
        facts.append(code)
    sentence = SENTENCES[error_class] if why is None else f"{SENTENCES[error_class]} ({why})"
    return provider_error(
        error_class,
        f"{target.provider}/{target.model} {sentence} [{', '.join(facts)}]",
        provider=target.provider,
        model=target.model,
        status=status,
        code=code,
        retry_after_s=retry_after_s,
        detail=detail,
    )


def _shown_code(complaint: Complaint, target: Target) -> str | None:
    """The most precise code that is a plain word and no secret; a type where there is no code."""
    for name in (*complaint.codes, *complaint.types):
        if _CODE.fullmatch(name) and mask(name, target) == name:
            return name
    return None


def _excerpt(message: str, target: Target) -> str | None:
    """The provider's words on one line, keys masked, at most `DETAIL_CHARS_MAX` characters."""
    text = _BLANK.sub(" ", mask(message, target)).strip()
    return text[:DETAIL_CHARS_MAX] or None


def mask(text: str, target: Target) -> str:
    """`text` without the target's own key and headers, and without anything like a key.

    The own ones go first and everywhere, so that no cut can leave half of one behind.
    """
    own = [value.strip() for value in target.headers.values()]
    if target.key:
        own.append(target.key.reveal().strip())
    for secret in sorted(filter(None, own), key=len, reverse=True):
        text = re.sub(re.escape(secret), _MASK, text, flags=re.IGNORECASE)
    return _KEY_LIKE.sub(_MASK, text[:_SCANNED_CHARS_MAX])
