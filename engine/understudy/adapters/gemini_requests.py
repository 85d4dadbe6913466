"""Request bodies of the Gemini API."""

from __future__ import annotations

from typing import Any, Final

from understudy.adapters.base import Target
from understudy.adapters.body import decode
from understudy.adapters.openai_requests import answer_limit
from understudy.adapters.pictures import bad, base64_of, only_one, ratio_of
from understudy.adapters.turns import (
    answered_id,
    arguments_of,
    call_names,
    instructions,
    parts_of,
    picture,
    plain_text,
    spoken,
)
from understudy_actors.domain.request import (
    ChatInput,
    EmbeddingInput,
    ImageInput,
    Message,
    Part,
    TextPart,
    Tool,
    ToolCall,
)

UNSIGNED: Final = "skip_thought_signature_validator"
"""What stands for a thought's signature in a call that this model did not make, or that came back
without it. Source: the API's guide "Thought signatures"."""

_MODES: Final = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def generate_body(asked: ChatInput, target: Target) -> dict[str, Any]:
    """The body of `generateContent`.

    Raises:
        Unusable: (BAD_REQUEST) A turn cannot be said in this format.
    """
    body: dict[str, Any] = {
        **(asked.extra or {}).get("gemini", {}),
        "contents": _turns(asked.messages),
    }
    if system := instructions(asked.messages):
        body["systemInstruction"] = {"parts": [{"text": system}]}
    if asked.tools:
        body["tools"] = [{"functionDeclarations": [_tool(tool) for tool in asked.tools]}]
        if asked.tool_choice is not None:
            body["toolConfig"] = {"functionCallingConfig": _tool_choice(asked.tool_choice)}
    if knobs := _knobs(asked, target):
        own = body.get("generationConfig")
        body["generationConfig"] = {**(own if isinstance(own, dict) else {}), **knobs}
    return body


def _knobs(asked: ChatInput, target: Target) -> dict[str, Any]:
    knobs: dict[str, Any] = {
        "temperature": asked.temperature,
        "topP": asked.top_p,
        "maxOutputTokens": answer_limit(asked.max_tokens, target.max_output_tokens),
        "stopSequences": asked.stop or None,
        "seed": asked.seed,
    }
    if asked.json_schema is not None:
        knobs["responseMimeType"] = "application/json"
        knobs["responseJsonSchema"] = asked.json_schema
    return {name: value for name, value in knobs.items() if value is not None}


def embed_body(asked: EmbeddingInput, target: Target) -> dict[str, Any]:
    """The body of `batchEmbedContents`."""
    common: dict[str, Any] = {"model": f"models/{target.model}"}
    if asked.dimensions is not None:
        common["outputDimensionality"] = asked.dimensions
    return {"requests": [{**common, "content": {"parts": [{"text": t}]}} for t in asked.texts]}


def draw_body(asked: ImageInput) -> dict[str, Any]:
    """The body of `generateContent` for a picture, drawn anew or from others.

    Raises:
        Unusable: (BAD_REQUEST) More than one is asked for, its size is none, or a mask is given.
    """
    only_one(asked)
    config: dict[str, Any] = {"responseModalities": ["TEXT", "IMAGE"]}
    if (ratio := ratio_of(asked)) is not None:
        config["imageConfig"] = {"aspectRatio": ratio}
    if asked.mask is not None:
        raise bad("this wire format has no masks")
    shown = [
        {"inlineData": {"mimeType": each.media_type, "data": base64_of(each)}}
        for each in asked.images
    ]
    turn = {"role": "user", "parts": [{"text": asked.prompt}, *shown]}
    return {"contents": [turn], "generationConfig": config}


def _turns(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """The conversation, with neighbours of the same role merged into one turn."""
    turns: list[dict[str, Any]] = []
    names = call_names(messages)
    for message in spoken(messages):
        role = "model" if message.role == "assistant" else "user"
        parts = _parts(message, names)
        if turns and turns[-1]["role"] == role:
            turns[-1]["parts"] += parts
        else:
            turns.append({"role": role, "parts": parts})
    return turns


def _parts(message: Message, names: dict[str, str]) -> list[dict[str, Any]]:
    if message.role == "tool":
        return [_result(message, names)]
    return [*map(_part, parts_of(message)), *map(_call, message.tool_calls)]


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"text": part.text}
    held = picture(part)
    if held is None:
        return {"fileData": {"fileUri": part.url}}
    return {"inlineData": {"mimeType": held[0], "data": held[1]}}


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"id": call.id, "name": call.name, "args": arguments_of(call)}
    return {"functionCall": function, "thoughtSignature": UNSIGNED}


def _result(message: Message, names: dict[str, str]) -> dict[str, Any]:
    """What a function answered: an object as it is, anything else under `result`."""
    call_id, text = answered_id(message), plain_text(message)
    if call_id not in names:
        raise bad("a tool's message answers no call before it")
    said = decode(text.encode("utf-8", "replace"))
    response = said if isinstance(said, dict) else {"result": text}
    return {"functionResponse": {"id": call_id, "name": names[call_id], "response": response}}


def _tool(tool: Tool) -> dict[str, Any]:
    declared: dict[str, Any] = {"name": tool.name}
    if tool.description:
        declared["description"] = tool.description
    if tool.parameters:
        declared["parametersJsonSchema"] = tool.parameters
    return declared


def _tool_choice(choice: str) -> dict[str, Any]:
    if (mode := _MODES.get(choice)) is not None:
        return {"mode": mode}
    return {"mode": "ANY", "allowedFunctionNames": [choice]}
