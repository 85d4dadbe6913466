"""What OpenAI-compatible servers mean by their errors, and how they speak of limits: data.

One table serves OpenAI itself and the servers that speak its format: Azure, Groq, xAI, Together,
OpenRouter, Mistral, DeepSeek, Cloudflare, Hugging Face, llama.cpp, vLLM, Ollama. Their codes do not
contradict each other.
"""

from __future__ import annotations

from typing import Final

from understudy.adapters.classify import STATUSES, Phrase, Rules
from understudy.adapters.limits import Names, RateHeaders
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.rates import Counting, Unit

_REQUEST_STATUSES: Final = frozenset({400, 403, 413, 422})

CONTEXT_WORDS: Final = (
    "maximum context length is",
    "prompt is too long",
    "input tokens exceed the configured limit",
    "exceeds the available context size",
    "exceeds the maximum number of tokens allowed",
    "`inputs` tokens + `max_new_tokens` must be",
    "too many tokens",
    "input is too long",
    "is longer than the model's context length",
    "exceed context window of",
    "length limit exceeded",
    "expected maxlength",
    "while limit is",
)
"""How providers say that the prompt does not fit the model's window."""

CODES: Final = {
    # money: never a matter of waiting a moment
    "insufficient_quota": ErrorClass.QUOTA,
    "credit_balance_exhausted": ErrorClass.QUOTA,
    "organization_spend_limit_exceeded": ErrorClass.QUOTA,
    "organization_usage_limit_exceeded": ErrorClass.QUOTA,
    "project_spend_limit_exceeded": ErrorClass.QUOTA,
    "billing_hard_limit_reached": ErrorClass.QUOTA,
    "billing_not_active": ErrorClass.QUOTA,
    "payment_required": ErrorClass.QUOTA,
    "weight_exceeds_budget": ErrorClass.QUOTA,
    "3036": ErrorClass.QUOTA,  # Cloudflare: the day's free share is used up, sent as a 429
    # rates
    "rate_limit_exceeded": ErrorClass.RATE_LIMIT,
    "in_flight_budget_exhausted": ErrorClass.RATE_LIMIT,
    # full
    "503 slow_down": ErrorClass.OVERLOADED,  # on a 429 the same code means a rate
    "server_is_overloaded": ErrorClass.OVERLOADED,
    "provider_overloaded": ErrorClass.OVERLOADED,
    "capacity_exceeded": ErrorClass.OVERLOADED,
    "3505": ErrorClass.OVERLOADED,  # Mistral: the tier's capacity, sent as a 429
    "3040": ErrorClass.OVERLOADED,  # Cloudflare: out of capacity, sent as a 429
    # the key
    "invalid_api_key": ErrorClass.AUTH,
    "authentication": ErrorClass.AUTH,
    "account_deactivated": ErrorClass.AUTH,
    "permission_denied": ErrorClass.PERMISSION,
    "unsupported_country_region_territory": ErrorClass.PERMISSION,
    # the prompt
    "context_length_exceeded": ErrorClass.CONTEXT_LENGTH,
    "max_tokens_exceeded": ErrorClass.CONTEXT_LENGTH,
    "token_limit_exceeded": ErrorClass.CONTEXT_LENGTH,
    "content_policy_violation": ErrorClass.CONTENT_POLICY,
    "responsibleaipolicyviolation": ErrorClass.CONTENT_POLICY,
    "moderation_blocked": ErrorClass.CONTENT_POLICY,
    "content_filter": ErrorClass.CONTENT_POLICY,
    "refusal": ErrorClass.CONTENT_POLICY,
    # the model
    "model_not_found": ErrorClass.MODEL_NOT_FOUND,
    "deploymentnotfound": ErrorClass.MODEL_NOT_FOUND,
    "invalid_model": ErrorClass.MODEL_NOT_FOUND,
    "5007": ErrorClass.MODEL_NOT_FOUND,  # Cloudflare
    "3042": ErrorClass.MODEL_NOT_FOUND,  # Cloudflare
    # the server
    "server": ErrorClass.SERVER,
    "provider_unavailable": ErrorClass.SERVER,
    "timeout": ErrorClass.TIMEOUT,
    "3007": ErrorClass.TIMEOUT,  # Cloudflare
    # the model called a tool wrongly: its answer is none, and another try may be better
    "tool_use_failed": ErrorClass.MALFORMED,
}

TYPES: Final = {
    "insufficient_quota": ErrorClass.QUOTA,
    "rate_limit_error": ErrorClass.RATE_LIMIT,
    "rate_limited": ErrorClass.RATE_LIMIT,
    "service_tier_capacity_exceeded": ErrorClass.OVERLOADED,
    "capacity_exceeded": ErrorClass.OVERLOADED,
    "overloaded_error": ErrorClass.OVERLOADED,
    "unavailable_error": ErrorClass.OVERLOADED,  # llama.cpp is loading the model
    "authentication_error": ErrorClass.AUTH,
    "permission_error": ErrorClass.PERMISSION,
    "exceed_context_size_error": ErrorClass.CONTEXT_LENGTH,
    "invalid_model": ErrorClass.MODEL_NOT_FOUND,
    "server_error": ErrorClass.SERVER,
    "timeout_error": ErrorClass.TIMEOUT,
}

PHRASES: Final = (
    Phrase(ErrorClass.AUTH, frozenset({400}), ("incorrect api key provided",)),
    Phrase(
        ErrorClass.QUOTA,
        frozenset({403, 429}),
        ("used all available credits", "credit balance is too low"),
    ),
    Phrase(
        ErrorClass.OVERLOADED,
        frozenset({429, 503}),
        ("overloaded", "loading model", "is currently loading"),
    ),
    Phrase(ErrorClass.CONTENT_POLICY, frozenset({400}), ("violating our usage policy",)),
    Phrase(ErrorClass.CONTEXT_LENGTH, _REQUEST_STATUSES, CONTEXT_WORDS),
    Phrase(
        ErrorClass.CONTEXT_LENGTH,
        _REQUEST_STATUSES,
        ("string too long",),
        params=("messages", "input", "prompt"),  # about `user` it says nothing of the window
    ),
    Phrase(ErrorClass.MODEL_NOT_FOUND, frozenset({400}), ("invalid model:",)),
)

LIMITS: Final = (
    *(
        Names(
            unit,
            f"x-ratelimit-limit-{unit.value}",
            f"x-ratelimit-remaining-{unit.value}",
            f"x-ratelimit-reset-{unit.value}",
        )
        for unit in (Unit.REQUESTS, Unit.TOKENS)
    ),
    Names(Unit.REQUESTS, "x-ratelimit-limit-req-minute", "x-ratelimit-remaining-req-minute"),
    Names(Unit.TOKENS, "x-ratelimit-limit-tokens-minute", "x-ratelimit-remaining-tokens-minute"),
)
"""Headers of limits a minute. The last two are Mistral's."""

OPENAI_LIMITS: Final = RateHeaders(LIMITS, Counting(reserved=True))
"""OpenAI counts `max_tokens` when a request arrives."""

COMPATIBLE_LIMITS: Final = RateHeaders(LIMITS)

OPENAI_RULES: Final = Rules(
    codes=CODES,
    types=TYPES,
    phrases=PHRASES,
    statuses={**STATUSES, 498: ErrorClass.OVERLOADED},  # 498: Groq's flexible tier is full
)
