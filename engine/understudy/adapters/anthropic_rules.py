"""What the Anthropic API means by its errors, and how it speaks of limits: data.

`error.type` is reliable; `details.error_code` is more precise; text is needed for two kinds of 400.
"""

from __future__ import annotations

from typing import Final

from understudy.adapters.classify import Phrase, Rules
from understudy.adapters.limits import Names, RateHeaders
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.rates import Counting, Unit

CODES: Final = {
    "enforced_spend_limit_reached": ErrorClass.QUOTA,
    "contract_spend_limit_reached": ErrorClass.QUOTA,
    "ramp_limit_exceeded": ErrorClass.RATE_LIMIT,
}

TYPES: Final = {
    "authentication_error": ErrorClass.AUTH,
    "billing_error": ErrorClass.QUOTA,
    "permission_error": ErrorClass.PERMISSION,
    "not_found_error": ErrorClass.MODEL_NOT_FOUND,
    "conflict_error": ErrorClass.CONFLICT,
    "request_too_large": ErrorClass.BAD_REQUEST,
    "rate_limit_error": ErrorClass.RATE_LIMIT,
    "api_error": ErrorClass.SERVER,
    "timeout_error": ErrorClass.TIMEOUT,
    "overloaded_error": ErrorClass.OVERLOADED,
}

PHRASES: Final = (
    Phrase(
        ErrorClass.QUOTA,
        frozenset({400, 403, 429}),
        ("credit balance is too low", "reached your specified api usage limits"),
    ),
    Phrase(ErrorClass.CONTENT_POLICY, frozenset({400}), ("content filtering policy",)),
    Phrase(
        ErrorClass.CONTEXT_LENGTH,
        frozenset({400, 413}),
        ("prompt is too long", "exceed context limit", "input is too long"),
    ),
)

LIMITS: Final = tuple(
    Names(
        unit,
        f"anthropic-ratelimit-{name}-limit",
        f"anthropic-ratelimit-{name}-remaining",
        f"anthropic-ratelimit-{name}-reset",
    )
    for unit in Unit
    for name in (unit.value.replace("_", "-"),)
)
"""Headers of limits a minute."""

ANTHROPIC_LIMITS: Final = RateHeaders(LIMITS, Counting(cached=False))
"""Input that was read from the cache does not count."""

ANTHROPIC_RULES: Final = Rules(codes=CODES, types=TYPES, phrases=PHRASES)
