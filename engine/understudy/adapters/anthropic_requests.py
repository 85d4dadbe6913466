"""Request bodies of the Anthropic Messages format."""

from __future__ import annotations

from typing import Any, Final

from understudy.adapters.base import Target
from understudy.adapters.openai_requests import answer_limit
from understudy.adapters.turns import answered_id, arguments_of, instructions, picture, spoken
from understudy_actors.domain.request import (
    ChatInput,
    ImagePart,
    Message,
    Request,
    Tool,
    ToolCall,
)

MAX_TOKENS_DEFAULT: Final = 4096
"""`max_tokens` is required; this is what every current model can write."""


def messages_body(
    request: Request, asked: ChatInput, target: Target, *, sampling: bool = True
) -> dict[str, Any]:
    """The body of `POST /v1/messages`.

    A seed has no place in this format and is left out: it only ever was a best effort.
    A temperature over 1 is sent as 1, the most that this format knows; without `sampling` neither
    it nor top_p is sent.

    Raises:
        Unusable: (BAD_REQUEST) A turn cannot be said in this format.
    """
    limit = answer_limit(asked.max_tokens, target.max_output_tokens)
    body: dict[str, Any] = {
        **(asked.extra or {}).get("anthropic", {}),
        "model": target.model,
        "max_tokens": MAX_TOKENS_DEFAULT if limit is None else limit,
        "messages": _turns(asked.messages),
    }
    if system := instructions(asked.messages):
        body["system"] = system
    if asked.stop:
        body["stop_sequences"] = asked.stop
    if asked.tools:
        body["tools"] = [_tool(tool) for tool in asked.tools]
        if asked.tool_choice is not None:
            body["tool_choice"] = _tool_choice(asked.tool_choice)
    if asked.json_schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": asked.json_schema}}
    if request.user is not None and target.options.get("send_user", True):
        body["metadata"] = {"user_id": request.user}
    if sampling and not target.options.get("drop_sampling"):
        body.update(_sampling(asked))
    return body


def _sampling(asked: ChatInput) -> dict[str, float]:
    sampling = {}
    if asked.temperature is not None:
        sampling["temperature"] = min(asked.temperature, 1.0)
    if asked.top_p is not None:
        sampling["top_p"] = asked.top_p
    return sampling


def _turns(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """The conversation, with neighbours of the same role merged into one turn.

    Tool results are a user's turn here, so those of one round and the words after them are one.
    """
    turns: list[dict[str, Any]] = []
    for message in spoken(messages):
        role = "assistant" if message.role == "assistant" else "user"
        content = _content(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] = [*_blocks(turns[-1]["content"]), *_blocks(content)]
        else:
            turns.append({"role": role, "content": content})
    return turns


def _blocks(content: str | list[Any]) -> list[Any]:
    """`content` as blocks; an empty text is no block, since the API refuses those."""
    if not isinstance(content, str):
        return content
    return [{"type": "text", "text": content}] if content else []


def _content(message: Message) -> str | list[Any]:
    if message.role == "tool":
        return [_tool_result(message)]
    blocks = message.content if isinstance(message.content, str) else _parts(message)
    if not message.tool_calls:
        return blocks
    return [*_blocks(blocks), *(_tool_use(call) for call in message.tool_calls)]


def _parts(message: Message) -> list[dict[str, Any]]:
    assert not isinstance(message.content, str)
    return [
        _image(part) if isinstance(part, ImagePart) else {"type": "text", "text": part.text}
        for part in message.content
    ]


def _image(part: ImagePart) -> dict[str, Any]:
    source = {"type": "url", "url": part.url}
    if (held := picture(part)) is not None:
        source = {"type": "base64", "media_type": held[0], "data": held[1]}
    return {"type": "image", "source": source}


def _tool_result(message: Message) -> dict[str, Any]:
    content = message.content if isinstance(message.content, str) else _parts(message)
    return {"type": "tool_result", "tool_use_id": answered_id(message), "content": content}


def _tool_use(call: ToolCall) -> dict[str, Any]:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments_of(call)}


def _tool(tool: Tool) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": tool.name,
        "input_schema": tool.parameters or {"type": "object", "properties": {}},
    }
    if tool.description:
        described["description"] = tool.description
    return described


def _tool_choice(choice: str) -> dict[str, Any]:
    if choice in ("auto", "none"):
        return {"type": choice}
    return {"type": "any"} if choice == "required" else {"type": "tool", "name": choice}
