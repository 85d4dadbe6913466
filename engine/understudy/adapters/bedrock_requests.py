"""Request bodies of Bedrock's Converse API."""

from __future__ import annotations

from typing import Any, Final

from understudy.adapters.base import Target
from understudy.adapters.body import Unusable
from understudy.adapters.openai_requests import answer_limit
from understudy.adapters.turns import (
    answered_id,
    arguments_of,
    instructions,
    parts_of,
    picture,
    plain_text,
    spoken,
)
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import (
    ChatInput,
    ImagePart,
    Message,
    Part,
    TextPart,
    Tool,
    ToolCall,
)

_CHOICES: Final[dict[str, dict[str, Any]]] = {"auto": {"auto": {}}, "required": {"any": {}}}


def converse_body(asked: ChatInput, target: Target) -> dict[str, Any]:
    """The body of `POST /model/{id}/converse`.

    A seed has no place in this format and is left out: it only ever was a best effort.

    Raises:
        Unusable: (BAD_REQUEST) A turn, or a schema, cannot be said in this format.
    """
    if asked.json_schema is not None:
        raise Unusable("this wire format has no schema for answers", ErrorClass.BAD_REQUEST)
    body: dict[str, Any] = {
        **(asked.extra or {}).get("bedrock", {}),
        "messages": _turns(asked.messages),
    }
    if system := instructions(asked.messages):
        body["system"] = [{"text": system}]
    knobs = {
        "maxTokens": answer_limit(asked.max_tokens, target.max_output_tokens),
        "temperature": asked.temperature,
        "topP": asked.top_p,
        "stopSequences": asked.stop or None,
    }
    if config := {name: value for name, value in knobs.items() if value is not None}:
        body["inferenceConfig"] = config
    if asked.tools:
        body["toolConfig"] = _tool_config(asked)
    return body


def _tool_config(asked: ChatInput) -> dict[str, Any]:
    """The tools. That none may be called has no word here, so such a request is refused."""
    if asked.tool_choice == "none":
        raise Unusable("this wire format cannot forbid its tools", ErrorClass.BAD_REQUEST)
    config: dict[str, Any] = {"tools": [{"toolSpec": _tool(tool)} for tool in asked.tools]}
    if asked.tool_choice is not None:
        named = {"tool": {"name": asked.tool_choice}}
        config["toolChoice"] = _CHOICES.get(asked.tool_choice, named)
    return config


def _tool(tool: Tool) -> dict[str, Any]:
    schema = tool.parameters or {"type": "object", "properties": {}}
    described: dict[str, Any] = {"name": tool.name, "inputSchema": {"json": schema}}
    return described | ({"description": tool.description} if tool.description else {})


def _turns(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """The conversation, with neighbours of the same role merged into one turn."""
    turns: list[dict[str, Any]] = []
    for message in spoken(messages):
        role = "assistant" if message.role == "assistant" else "user"
        content = _content(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += content
        else:
            turns.append({"role": role, "content": content})
    return turns


def _content(message: Message) -> list[dict[str, Any]]:
    if message.role == "tool":
        result = [{"text": plain_text(message)}]
        return [{"toolResult": {"toolUseId": answered_id(message), "content": result}}]
    return [*map(_part, parts_of(message)), *map(_tool_use, message.tool_calls)]


def _part(part: Part) -> dict[str, Any]:
    return {"text": part.text} if isinstance(part, TextPart) else {"image": _image(part)}


def _image(part: ImagePart) -> dict[str, Any]:
    if (held := picture(part)) is None:
        why = "this wire format takes pictures in data URLs only"
        raise Unusable(why, ErrorClass.BAD_REQUEST)
    return {"format": held[0].removeprefix("image/"), "source": {"bytes": held[1]}}


def _tool_use(call: ToolCall) -> dict[str, Any]:
    use = {"toolUseId": call.id, "name": call.name, "input": arguments_of(call)}
    return {"toolUse": use}
