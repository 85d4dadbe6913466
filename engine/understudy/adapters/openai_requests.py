"""Request bodies of the OpenAI-compatible wire."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from understudy.adapters.base import Target
from understudy.adapters.body import Unusable
from understudy.adapters.pictures import size_of
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import (
    ChatInput,
    EmbeddingInput,
    ImageFile,
    ImageInput,
    Message,
    Part,
    Request,
    TextPart,
    Tool,
    ToolCall,
)


class Dialect(Struct, frozen=True):
    """Where servers that speak this format differ; a target's options override each field.

    Attributes:
        max_tokens_field: What bounds the answer is called.
        seed_field: What the seed is called.
        send_user: Send `Request.user` along? Some servers refuse fields that they do not know.
        strict: Ask for strict schemas wherever the schema allows it?
        encoding_format: How embeddings are to be sent; None leaves it to the server.
        prefix_flag: Does an assistant's turn that is to be continued say so (`prefix: true`)?
        prefix_path: Where such a request goes, before the usual path and in place of a `/v1`.
        stream_usage: Ask for token counts in streams? Some send them unasked, and know no options.
        key_header, key_prefix: Where the key goes, and what stands before it.
        model_path: What a path begins with; `{model}` stands for the model's name.
        query: What every address ends with, after its `?`.
        check_path: Where a free check goes, in place of a `/v1`; empty asks `/models` behind it.
        sizes_apart: Are a picture's width and height two fields, and is base64 to be asked for?
    """

    max_tokens_field: str = "max_tokens"
    seed_field: str = "seed"
    send_user: bool = False
    strict: bool = False
    encoding_format: str | None = None
    prefix_flag: bool = False
    prefix_path: str = ""
    stream_usage: bool = True
    key_header: str = "authorization"
    key_prefix: str = "Bearer "
    model_path: str = ""
    query: str = ""
    check_path: str = ""
    sizes_apart: bool = False


ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool"})

# Strict mode refuses schemas with other keywords than these (or with some more, by model).
_STRICT_KEYWORDS: Final = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf"}
    | {"title", "description", "$defs", "$ref"}
)


def chat_body(
    request: Request, asked: ChatInput, target: Target, dialect: Dialect
) -> dict[str, Any]:
    """The body of `POST /chat/completions`.

    Raises:
        Unusable: (BAD_REQUEST) A message has a role that this format does not know.
    """
    turns = [message_body(each) for each in asked.messages]
    if dialect.prefix_flag and continues(asked):
        turns[-1]["prefix"] = True
    body: dict[str, Any] = {
        **(asked.extra or {}).get("openai", {}),
        "model": target.model,
        "messages": turns,
    }
    if (limit := answer_limit(asked.max_tokens, target.max_output_tokens)) is not None:
        body[dialect.max_tokens_field] = limit
    if asked.temperature is not None:
        body["temperature"] = asked.temperature
    if asked.top_p is not None:
        body["top_p"] = asked.top_p
    if asked.stop:
        body["stop"] = asked.stop
    if asked.seed is not None:
        body[dialect.seed_field] = asked.seed
    if asked.tools:
        body["tools"] = [tool_body(tool, strict=dialect.strict) for tool in asked.tools]
        if asked.tool_choice is not None:
            body["tool_choice"] = _tool_choice(asked.tool_choice)
    if asked.json_schema is not None:
        body["response_format"] = _response_format(asked.json_schema, dialect)
    return _with_user(body, request, dialect)


def continues(asked: ChatInput) -> bool:
    """Is the answer to go on with the assistant's own last turn?"""
    last = asked.messages[-1] if asked.messages else None
    return last is not None and last.role == "assistant" and not last.tool_calls


def embedding_body(
    request: Request, asked: EmbeddingInput, target: Target, dialect: Dialect
) -> dict[str, Any]:
    """The body of `POST /embeddings`."""
    body: dict[str, Any] = {"model": target.model, "input": asked.texts}
    if asked.dimensions is not None:
        body["dimensions"] = asked.dimensions
    if dialect.encoding_format is not None:
        body["encoding_format"] = dialect.encoding_format
    return _with_user(body, request, dialect)


def image_body(
    request: Request, asked: ImageInput, target: Target, dialect: Dialect
) -> dict[str, Any]:
    """The body of `POST /images/generations`, and the fields of a form at `/images/edits`."""
    body: dict[str, Any] = {"model": target.model, "prompt": asked.prompt, "n": asked.n}
    for name in ("size", "quality", "output_format"):
        if (value := getattr(asked, name)) is not None:
            body[name] = value
    if dialect.sizes_apart:
        body.pop("size", None)
        body["response_format"] = "base64"
        if (size := size_of(asked)) is not None:
            body["width"], body["height"] = size
    return _with_user(body, request, dialect)


def image_files(asked: ImageInput) -> list[tuple[str, ImageFile]]:
    """The files of a form at `/images/edits`, each with the name of its field."""
    name = "image" if len(asked.images) == 1 else "image[]"
    files = [(name, each) for each in asked.images]
    return files if asked.mask is None else [*files, ("mask", asked.mask)]


def answer_limit(asked: int | None, cap: int | None) -> int | None:
    """What bounds the answer: the smaller of the caller's limit and the target's cap, if any."""
    if asked is None or cap is None:
        return cap if asked is None else asked
    return min(asked, cap)


def _with_user(body: dict[str, Any], request: Request, dialect: Dialect) -> dict[str, Any]:
    if dialect.send_user and request.user is not None:
        body["user"] = request.user
    return body


def message_body(message: Message) -> dict[str, Any]:
    """One turn of a conversation.

    Raises:
        Unusable: (BAD_REQUEST) It has a role that this format does not know.
    """
    if message.role not in ROLES:
        known = ", ".join(sorted(ROLES))
        raise Unusable(f"a message has a role other than {known}", ErrorClass.BAD_REQUEST)
    turn: dict[str, Any] = {"role": message.role, "content": _content(message.content)}
    if message.tool_calls:
        turn["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
        turn["content"] = turn["content"] or None
    if message.tool_call_id is not None:
        turn["tool_call_id"] = message.tool_call_id
    return turn


def _content(content: str | tuple[Part, ...]) -> object:
    return content if isinstance(content, str) else [_part(part) for part in content]


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    image = {"url": part.url}
    if part.detail is not None:
        image["detail"] = part.detail
    return {"type": "image_url", "image_url": image}


def _tool_call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def tool_body(tool: Tool, *, strict: bool = False) -> dict[str, Any]:
    """One tool, under strict rules where they are asked for and its schema allows them."""
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.parameters}
    if tool.description:
        function["description"] = tool.description
    if strict and fits_strict(tool.parameters):
        function["strict"] = True
    return {"type": "function", "function": function}


def _tool_choice(choice: str) -> object:
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


def _response_format(schema: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    wrapped: dict[str, Any] = {"name": "answer", "schema": schema}
    if dialect.strict and fits_strict(schema):
        wrapped["strict"] = True
    return {"type": "json_schema", "json_schema": wrapped}


def fits_strict(schema: object) -> bool:
    """Would strict mode take this schema?

    It wants every object closed and every property required, and knows few keywords; asking for it
    with another schema is an error, not asking costs only the guarantee.
    """
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return False
    return _strict_node(schema)


def _strict_node(node: object) -> bool:
    if not isinstance(node, dict) or not node.keys() <= _STRICT_KEYWORDS:
        return False
    properties = node.get("properties", {})
    if node.get("type") == "object":
        if node.get("additionalProperties") is not False or not isinstance(properties, dict):
            return False
        if set(properties) != set(node.get("required", ())):
            return False
    children = [*properties.values(), *node.get("$defs", {}).values(), *node.get("anyOf", ())]
    if "items" in node:
        children.append(node["items"])
    return all(_strict_node(child) for child in children)
