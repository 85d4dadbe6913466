"""What a stream delivers: pieces of an answer, in the order in which the model made them."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from understudy_actors.domain.result import Usage


class TextDelta(Struct, frozen=True, tag="text", gc=False):
    """The next piece of the answer's text; all of them joined are the text."""

    text: str


class ToolCallDelta(Struct, frozen=True, tag="tool_call", omit_defaults=True, gc=False):
    """The next piece of a function call.

    Pieces with the same `index` (from 0) belong to one call: `id` and `name` stand in its first
    piece, and `arguments` of all of them joined are its JSON text.
    """

    index: int
    arguments: str = ""
    id: str | None = None
    name: str | None = None


class UsageDelta(Struct, frozen=True, tag="usage"):
    """The tokens used so far, as the provider counts them; each one replaces those before it."""

    usage: Usage


Delta: TypeAlias = TextDelta | ToolCallDelta | UsageDelta
