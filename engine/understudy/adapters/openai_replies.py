"""Reading answers of the OpenAI-compatible wire: a `Reply` that the body fully supports, or not."""

from __future__ import annotations

import binascii
import math
import struct
from typing import Any, Final

import msgspec

from understudy.adapters.body import (
    NOT_JSON,
    Unusable,
    count,
    decode,
    is_object,
    need_list,
    need_object,
    need_text,
)
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import EmbeddingInput, ToolCall
from understudy_actors.domain.result import (
    ChatOutput,
    EmbeddingOutput,
    Image,
    ImageOutput,
    Usage,
)

FINISH: Final = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
}
"""Finish words of servers that speak this format. An unknown one counts as `stop`."""

FINISH_FAILURES: Final = {
    "error": ErrorClass.SERVER,
    "insufficient_system_resource": ErrorClass.OVERLOADED,
}
"""Finish words that say that the answer is none."""

COST_USD_MAX: Final = 10_000.0
"""No answer costs more than this; a larger number is a provider's mistake."""

_MEDIA_MAGIC: Final = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "UklGR": "image/webp",
    "R0lGOD": "image/gif",
}
"""How the base64 text of each kind of picture begins."""

_MEDIA_TYPES: Final = {
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "svg": "image/svg+xml",
}


def chat_output(body: dict[str, Any]) -> ChatOutput:
    """The first choice of a chat completion.

    Raises:
        Unusable: It is no whole answer, or a refusal.
    """
    choice = need_object(need_list(body.get("choices"), "choices")[0], "the first choice")
    message = need_object(choice.get("message"), "message")
    word = need_text(choice.get("finish_reason"), "finish_reason").lower()
    if (failed := FINISH_FAILURES.get(word)) is not None:
        raise Unusable("it gave up within the answer", failed)
    if refusal := message.get("refusal"):
        words = refusal if isinstance(refusal, str) else ""
        raise Unusable("the model declined", ErrorClass.CONTENT_POLICY, words=words)
    text = content_text(message.get("content"))
    calls = tool_calls_of(message.get("tool_calls"), cut=FINISH.get(word) == "length")
    return ChatOutput(text, settled_finish(FINISH.get(word, "stop"), text, calls), calls)


def settled_finish(finish: str, text: str, calls: tuple[ToolCall, ...]) -> str:
    """The finish reason, if text and calls bear it out.

    An answer cut at its length limit may be empty: a reasoning model can think until there.

    Raises:
        Unusable: There is nothing to deliver, or the calls that it announces are missing.
    """
    if finish == "tool_calls" and not calls:
        raise Unusable("it announces tool calls and holds none")
    if finish == "content_filter" and not text and not calls:
        raise Unusable("a filter withheld the answer", ErrorClass.CONTENT_POLICY)
    if finish == "stop" and not text and not calls:
        raise Unusable("the answer is empty")
    return "tool_calls" if finish == "stop" and calls else finish


def content_text(content: object) -> str:
    """The answer's text: a string, or the text parts of a list (thinking is left out).

    Raises:
        Unusable: It is something else.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise Unusable("content is neither text nor a list")
    parts = [need_object(part, "a content part") for part in content]
    return "".join(text_part(part) for part in parts if part.get("type") == "text")


def text_part(part: dict[str, Any]) -> str:
    """The text of a part of type `text`; it may be empty.

    Raises:
        Unusable: It holds none.
    """
    if not isinstance(text := part.get("text"), str):
        raise Unusable("a text part holds no text")
    return text


def tool_calls_of(calls: object, *, cut: bool) -> tuple[ToolCall, ...]:
    """The function calls of an answer; those of one that was `cut` need not be whole.

    Raises:
        Unusable: They are none.
    """
    if calls is None:
        return ()
    if not isinstance(calls, list):
        raise Unusable("tool_calls is no list")
    return tuple(_tool_call(call, index, cut=cut) for index, call in enumerate(calls))


def _tool_call(call: object, index: int, *, cut: bool) -> ToolCall:
    function = need_object(need_object(call, "a tool call").get("function"), "a function call")
    name = need_text(function.get("name"), "a function's name")
    arguments = function.get("arguments")
    if is_object(arguments):  # some servers send the object itself
        arguments = msgspec.json.encode(arguments).decode()
    if not isinstance(arguments, str):
        raise Unusable("a function's arguments are no text")
    if not cut and arguments and decode(arguments.encode("utf-8", "replace")) is NOT_JSON:
        raise Unusable("a function's arguments are no JSON")
    call_id = call.get("id") if is_object(call) else None
    named = isinstance(call_id, str) and call_id
    return ToolCall(str(call_id) if named else f"call_{index}", name, arguments or "{}")


def chat_usage(body: dict[str, Any]) -> Usage | None:
    """Tokens of a chat completion; None when they are not reported, or not believable.

    Some servers count reasoning beside `completion_tokens` and only in the total, so the output is
    what the total leaves after the prompt, if that is more.
    """
    usage = body.get("usage")
    if not is_object(usage):
        return None
    prompt, output = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
    if prompt is None or output is None:
        return None
    beside = max((count(usage.get("total_tokens")) or 0) - prompt - output, 0)
    cached = _detail(usage, "prompt_tokens_details", "cached_tokens")
    if cached is None:
        cached = count(usage.get("prompt_cache_hit_tokens"))
    reasoning = _detail(usage, "completion_tokens_details", "reasoning_tokens") or 0
    output += beside
    cached = min(cached or 0, prompt)
    written = _detail(usage, "prompt_tokens_details", "cache_write_tokens") or 0
    return Usage(
        prompt,
        output,
        cached,
        min(max(reasoning, beside), output),
        cache_write_tokens=min(written, prompt - cached),
        told_micro_usd=_told_micro_usd(usage),
    )


def _told_micro_usd(usage: dict[str, Any]) -> int | None:
    """What OpenRouter says that an answer cost, in micro-USD; None if it does not, or only its fee.

    With a key of one's own at the provider behind it (`is_byok`) the rest is that one's to charge.
    """
    told = usage.get("cost")
    if isinstance(told, bool) or not isinstance(told, int | float) or usage.get("is_byok"):
        return None
    return math.ceil(round(told * 1e6, 6)) if 0 <= told <= COST_USD_MAX else None


def embedding_usage(body: dict[str, Any]) -> Usage | None:
    """Tokens of an embedding; None when they are not reported, or not believable."""
    usage = body.get("usage")
    prompt = count(usage.get("prompt_tokens")) if is_object(usage) else None
    return None if prompt is None else Usage(prompt)


def image_usage(body: dict[str, Any], images: int) -> Usage | None:
    """Tokens of so many pictures; None when they are not reported, or not believable."""
    usage = body.get("usage")
    if not is_object(usage):
        return None
    prompt, output = count(usage.get("input_tokens")), count(usage.get("output_tokens"))
    if prompt is None or output is None:
        return None
    cached = min(_detail(usage, "input_tokens_details", "cached_tokens") or 0, prompt)
    seen = _detail(usage, "input_tokens_details", "image_tokens") or 0
    return Usage(prompt, output, cached, image_tokens=min(seen, prompt - cached), images=images)


def _detail(usage: dict[str, Any], group: str, name: str) -> int | None:
    details = usage.get(group)
    return count(details.get(name)) if is_object(details) else None


def embedding_output(body: dict[str, Any], asked: EmbeddingInput) -> EmbeddingOutput:
    """One vector for each text, in the order of the texts.

    Raises:
        Unusable: A vector is missing, twice there, of another length, or holds no numbers.
    """
    rows = [need_object(row, "an embedding") for row in need_list(body.get("data"), "data")]
    if len(rows) != len(asked.texts):
        raise Unusable(f"it holds {len(rows)} vectors for {len(asked.texts)} texts")
    placed: dict[object, tuple[float, ...]] = {}
    for position, row in enumerate(rows):
        index = row.get("index", position)
        if type(index) is not int or not 0 <= index < len(rows) or index in placed:
            raise Unusable("the vectors' indexes are no permutation")
        placed[index] = vector_of(row.get("embedding"))
    vectors = tuple(placed[index] for index in range(len(rows)))
    if any(len(vector) != (asked.dimensions or len(vectors[0])) for vector in vectors):
        raise Unusable("a vector does not have the dimensions that were asked for")
    return EmbeddingOutput(vectors)


def vector_of(value: object) -> tuple[float, ...]:
    """A vector from a list of numbers or from base64 of little-endian float32.

    Raises:
        Unusable: It is neither.
    """
    try:
        if isinstance(value, str):
            packed = binascii.a2b_base64(value, strict_mode=True)
            vector: tuple[float, ...] = struct.unpack(f"<{len(packed) // 4}f", packed)
        else:
            vector = msgspec.convert(value, tuple[float, ...])
    except (ValueError, struct.error):
        raise Unusable("a vector is no list of numbers") from None
    if not vector or not all(map(math.isfinite, vector)):
        raise Unusable("a vector is empty or not finite")
    return vector


def image_output(body: dict[str, Any], output_format: str | None) -> ImageOutput:
    """Every picture in the answer.

    Raises:
        Unusable: There is none, or one is neither base64 nor a URL.
    """
    named = str(body.get("output_format") or output_format)
    media_type = _MEDIA_TYPES.get(named, "image/png")
    rows = [need_object(row, "a picture") for row in need_list(body.get("data"), "data")]
    return ImageOutput(tuple(_image(row, media_type) for row in rows))


def _image(row: dict[str, Any], media_type: str) -> Image:
    if (url := row.get("url")) and not row.get("b64_json"):
        return Image(url=need_text(url, "a picture's URL"), media_type=media_type)
    return image_of(need_text(row.get("b64_json"), "a picture"), media_type)


def image_of(b64: str, media_type: str) -> Image:
    """A picture from base64; `media_type` counts where its own first bytes say nothing.

    Raises:
        Unusable: It is no base64.
    """
    try:
        binascii.a2b_base64(b64, strict_mode=True)
    except ValueError:
        raise Unusable("a picture is no base64") from None
    for magic, sniffed in _MEDIA_MAGIC.items():
        if b64.startswith(magic):
            return Image(b64=b64, media_type=sniffed)
    return Image(b64=b64, media_type=media_type or "image/png")
