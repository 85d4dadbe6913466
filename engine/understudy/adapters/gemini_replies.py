"""Reading answers of the Gemini API, whole ones and the fragments of a stream."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from understudy.adapters.body import (
    Unusable,
    count,
    is_object,
    need_list,
    need_object,
    need_text,
    text_of,
)
from understudy.adapters.gemini_rules import FINISH, FINISH_FAILURES
from understudy.adapters.openai_replies import image_of, settled_finish, vector_of
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import EmbeddingInput, ToolCall
from understudy_actors.domain.result import (
    ChatOutput,
    EmbeddingOutput,
    Image,
    ImageOutput,
    Usage,
)


class Fragment(Struct, frozen=True):
    """What one document says: `finish` is the core's word, None while the answer goes on.

    `call_ids` stand beside `calls`: None where the provider gave no id.
    """

    text: str = ""
    calls: tuple[tuple[str | None, str, str], ...] = ()
    images: tuple[Image, ...] = ()
    thought: bool = False
    finish: str | None = None


def fragment(body: dict[str, Any]) -> Fragment:
    """What an answer, or a piece of one, says.

    Raises:
        Unusable: The prompt was refused, the answer failed, or it is none.
    """
    feedback = body.get("promptFeedback")
    if is_object(feedback) and feedback.get("blockReason"):
        raise Unusable(
            "the prompt was blocked",
            ErrorClass.CONTENT_POLICY,
            words=text_of(feedback.get("blockReason")),
        )
    if "candidates" not in body:
        if is_object(body.get("usageMetadata")):
            return Fragment()
        raise Unusable("it holds no candidates")
    candidate = need_object(need_list(body["candidates"], "candidates")[0], "a candidate")
    word = candidate.get("finishReason")
    if word is not None and not isinstance(word, str):
        raise Unusable("finishReason is no text")
    if word in FINISH_FAILURES:
        raise Unusable("it gave up within the answer", ErrorClass.SERVER, words=word)
    finish = FINISH.get(word, "stop") if word else None
    return _said(candidate.get("content"), finish)


def _said(content: object, finish: str | None) -> Fragment:
    if content is None:
        return Fragment(finish=finish)
    listed = need_object(content, "content").get("parts")
    if listed is None:
        return Fragment(finish=finish)
    if not isinstance(listed, list):
        raise Unusable("parts is no list")
    parts = [need_object(part, "a part") for part in listed]
    told = [part for part in parts if part.get("thought") is not True]
    return Fragment(
        "".join(_text(part) for part in told if "text" in part),
        tuple(_call(part["functionCall"]) for part in told if "functionCall" in part),
        tuple(_image(part["inlineData"]) for part in told if "inlineData" in part),
        len(told) < len(parts),
        finish,
    )


def _text(part: dict[str, Any]) -> str:
    if not isinstance(text := part["text"], str):
        raise Unusable("a part's text is none")
    return text


def _call(call: object) -> tuple[str | None, str, str]:
    function = need_object(call, "a function call")
    arguments = function.get("args")
    arguments = {} if arguments is None else need_object(arguments, "a function's arguments")
    call_id = text_of(function.get("id")) or None
    name = need_text(function.get("name"), "a function's name")
    return call_id, name, msgspec.json.encode(arguments).decode()


def _image(data: object) -> Image:
    held = need_object(data, "a picture")
    return image_of(need_text(held.get("data"), "a picture"), text_of(held.get("mimeType")))


def chat_output(body: dict[str, Any]) -> ChatOutput:
    """The model's turn.

    Raises:
        Unusable: It is no whole answer, or a refusal.
    """
    said = fragment(body)
    if said.finish is None:
        raise Unusable("it has no finishReason")
    calls = tuple(
        ToolCall(call_id or f"call_{index}", name, arguments)
        for index, (call_id, name, arguments) in enumerate(said.calls)
    )
    return ChatOutput(said.text, settled_finish(said.finish, said.text, calls), calls)


def image_output(body: dict[str, Any]) -> ImageOutput:
    """The pictures within the model's turn.

    Raises:
        Unusable: There is none.
    """
    said = fragment(body)
    if said.finish == "content_filter":
        raise Unusable("a filter withheld the picture", ErrorClass.CONTENT_POLICY)
    if not said.images or said.finish is None:
        raise Unusable("it holds no picture")
    return ImageOutput(said.images)


def embedding_output(body: dict[str, Any], asked: EmbeddingInput) -> EmbeddingOutput:
    """One vector for each text, in the order of the texts.

    Raises:
        Unusable: A vector is missing, of another length, or holds no numbers.
    """
    rows = need_list(body.get("embeddings"), "embeddings")
    return vectors_for(asked, [need_object(row, "an embedding").get("values") for row in rows])


def vectors_for(asked: EmbeddingInput, rows: list[Any]) -> EmbeddingOutput:
    """These vectors, if they fit the texts.

    Raises:
        Unusable: One is missing, of another length, or holds no numbers.
    """
    if len(rows) != len(asked.texts):
        raise Unusable(f"it holds {len(rows)} vectors for {len(asked.texts)} texts")
    vectors = tuple(vector_of(row) for row in rows)
    if any(len(vector) != (asked.dimensions or len(vectors[0])) for vector in vectors):
        raise Unusable("a vector does not have the dimensions that were asked for")
    return EmbeddingOutput(vectors)


def usage_of(body: dict[str, Any], images: int = 0) -> Usage | None:
    """Tokens of an answer; None when they are not reported, or not believable.

    Thoughts are counted beside the candidates, and what tools put into the prompt beside it.
    """
    usage = body.get("usageMetadata")
    if not is_object(usage):
        return None
    prompt = count(usage.get("promptTokenCount"))
    output = count(usage.get("candidatesTokenCount", 0))
    if prompt is None or output is None:
        return None
    thoughts = count(usage.get("thoughtsTokenCount")) or 0
    prompt = count(prompt + (count(usage.get("toolUsePromptTokenCount")) or 0))
    whole = count(output + thoughts)
    if prompt is None or whole is None:
        return None
    cached = min(count(usage.get("cachedContentTokenCount")) or 0, prompt)
    return Usage(prompt, whole, cached, thoughts, images=images)
