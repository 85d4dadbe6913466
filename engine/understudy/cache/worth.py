"""Which answers are kept: whole ones of a real provider. A pure decision.

Not kept are answers that were

- given by a stand-in, out of the cache, or by configured content: `degraded` ones;
- cut: at the model's own limit (at the caller's `max_tokens` it is what was asked for), at what
  the budgets paid for, or by a content filter;
- empty: asking again may bring one;
- pictures by URL: the link dies sooner than the entry.
"""

from __future__ import annotations

from typing import Final

from understudy_actors.domain.request import ChatInput, Request
from understudy_actors.domain.result import ChatOutput, EmbeddingOutput, ImageOutput, Result

_WHOLE: Final = frozenset({"stop", "tool_calls"})
_FLOAT_BYTES: Final = 9


def worth_keeping(request: Request, result: Result) -> bool:
    """May this answer be given to whoever asks the same later?"""
    if result.degraded or result.cached:
        return False
    output, asked = result.output, request.input
    if isinstance(output, ChatOutput):
        if not output.text and not output.tool_calls:
            return False
        if output.finish_reason == "length" and not output.tool_calls:
            if result.shortened_to is not None:
                return False
            return isinstance(asked, ChatInput) and asked.max_tokens is not None
        return output.finish_reason in _WHOLE
    if isinstance(output, ImageOutput):
        return bool(output.images) and all(each.url is None for each in output.images)
    return True


def least_bytes(result: Result) -> int:
    """A lower bound of what it takes, to turn the largest away before they are encoded."""
    output = result.output
    if isinstance(output, ChatOutput):
        return len(output.text) + sum(len(call.arguments) for call in output.tool_calls)
    if isinstance(output, EmbeddingOutput):
        return sum(map(len, output.vectors)) * _FLOAT_BYTES
    if isinstance(output, ImageOutput):
        return sum(len(each.b64 or "") for each in output.images)
    return 0
