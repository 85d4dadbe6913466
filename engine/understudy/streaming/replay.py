"""An answer that is there as a whole, as the pieces of a stream."""

from __future__ import annotations

from typing import Final

from understudy_actors.domain.delta import Delta, TextDelta, ToolCallDelta, UsageDelta
from understudy_actors.domain.result import ChatOutput, Result

PIECE_CHARS: Final = 1000
"""Text comes in pieces of this length, so that no reader gets a book in one event."""


def pieces(result: Result) -> list[Delta]:
    """What a stream delivers of an answer that was kept, or that was configured."""
    output = result.output
    if not isinstance(output, ChatOutput):
        return [TextDelta(result.text)]
    text = output.text
    deltas: list[Delta] = [
        TextDelta(text[at : at + PIECE_CHARS]) for at in range(0, len(text), PIECE_CHARS)
    ]
    for index, call in enumerate(output.tool_calls):
        deltas.append(ToolCallDelta(index, call.arguments, call.id, call.name))
    if result.cached:
        deltas.append(UsageDelta(result.usage))
    return deltas
