"""Conversations as most formats want them: instructions apart, and every role a known one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from understudy.adapters.body import Unusable, decode
from understudy.adapters.openai_requests import ROLES
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import ImagePart, Message, TextPart, ToolCall

DATA_URL: Final = re.compile(r"data:(image/[a-z0-9.+\-]+);base64,(.+)", re.ASCII | re.DOTALL)
"""A picture within a URL: its media type, and its base64."""


def instructions(messages: tuple[Message, ...]) -> str:
    """All instructions, wherever they stood, as the one text that goes before the conversation.

    Raises:
        Unusable: (BAD_REQUEST) One of them holds an image.
    """
    return "\n\n".join(plain_text(each) for each in messages if is_system(each))


def spoken(messages: tuple[Message, ...]) -> Iterator[Message]:
    """Every message that is no instruction.

    Raises:
        Unusable: (BAD_REQUEST) A message has a role that nobody knows.
    """
    for message in messages:
        if message.role not in ROLES:
            known = ", ".join(sorted(ROLES))
            raise Unusable(f"a message has a role other than {known}", ErrorClass.BAD_REQUEST)
        if not is_system(message):
            yield message


def is_system(message: Message) -> bool:
    """Is it an instruction?"""
    return message.role in ("system", "developer")


def plain_text(message: Message) -> str:
    """A message's text.

    Raises:
        Unusable: (BAD_REQUEST) It holds an image.
    """
    if isinstance(message.content, str):
        return message.content
    if not all(isinstance(part, TextPart) for part in message.content):
        raise Unusable(f"a {message.role} message holds an image", ErrorClass.BAD_REQUEST)
    return "\n\n".join(part.text for part in message.content if isinstance(part, TextPart))


def parts_of(message: Message) -> tuple[TextPart | ImagePart, ...]:
    """A message's content in parts; an empty text is none."""
    if isinstance(message.content, str):
        return (TextPart(message.content),) if message.content else ()
    return message.content


def picture(part: ImagePart) -> tuple[str, str] | None:
    """Media type and base64 of a picture that is here; None for one that stands in the web.

    Raises:
        Unusable: (BAD_REQUEST) It is neither.
    """
    if match := DATA_URL.fullmatch(part.url):
        return match[1], match[2]
    if part.url.startswith(("https://", "http://")):
        return None
    why = "an image is neither a web address nor base64 in a data URL"
    raise Unusable(why, ErrorClass.BAD_REQUEST)


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """A tool call's arguments as an object.

    Raises:
        Unusable: (BAD_REQUEST) They are none.
    """
    arguments = decode(call.arguments.encode("utf-8", "replace")) if call.arguments.strip() else {}
    if not isinstance(arguments, dict):
        raise Unusable("a tool call's arguments are no JSON object", ErrorClass.BAD_REQUEST)
    return arguments


def answered_id(message: Message) -> str:
    """The id of the call that a tool's message answers.

    Raises:
        Unusable: (BAD_REQUEST) It names none.
    """
    if message.tool_call_id is None:
        raise Unusable("a tool's message names no tool_call_id", ErrorClass.BAD_REQUEST)
    return message.tool_call_id


def call_names(messages: tuple[Message, ...]) -> dict[str, str]:
    """The name of every function that was called, by the id of the call."""
    return {call.id: call.name for each in messages for call in each.tool_calls}
