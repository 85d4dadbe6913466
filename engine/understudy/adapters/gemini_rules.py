"""What the Gemini API means by its errors and its finish words: data."""

from __future__ import annotations

from typing import Final

from understudy.adapters.classify import Phrase, Rules
from understudy.adapters.openai_rules import CONTEXT_WORDS
from understudy_actors.domain.outcome import ErrorClass

CODES: Final = {
    "api_key_invalid": ErrorClass.AUTH,  # comes with status 400
    "400 failed_precondition": ErrorClass.PERMISSION,
}

TYPES: Final = {
    "unauthenticated": ErrorClass.AUTH,
    "permission_denied": ErrorClass.PERMISSION,
    "failed_precondition": ErrorClass.PERMISSION,  # the region, or a project without billing
    "not_found": ErrorClass.MODEL_NOT_FOUND,
    "internal": ErrorClass.SERVER,
    "unavailable": ErrorClass.OVERLOADED,
    "deadline_exceeded": ErrorClass.TIMEOUT,
}
"""`error.status`; RESOURCE_EXHAUSTED is money under a 402 and a rate under a 429, so that the HTTP
status tells."""

PHRASES: Final = (
    Phrase(ErrorClass.QUOTA, frozenset({429}), ("prepayment credits are depleted",)),
    Phrase(ErrorClass.CONTEXT_LENGTH, frozenset({400}), CONTEXT_WORDS),
)

GEMINI_RULES: Final = Rules(codes=CODES, types=TYPES, phrases=PHRASES)

FINISH: Final = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "PUP_LIMITED_DISABLED": "content_filter",
    "ESCALATION": "content_filter",
}
"""Finish words, in the core's. An unknown one counts as `stop`."""

FINISH_FAILURES: Final = frozenset(
    {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"}
    | {"MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE", "LANGUAGE", "OTHER", "IMAGE_OTHER"}
    | {"NO_IMAGE"}
)
"""Finish words that say that the answer is none."""
