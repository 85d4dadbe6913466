"""Answers in OpenAI's formats: chats, vectors, pictures, models and errors."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

Finish = Literal["stop", "length", "tool_calls", "content_filter"]


class OpenAIFault(Struct):
    """What happened; `code` is what programs look at, `param` the field that is wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(Struct):
    """Every error of these paths, and the event that ends a broken stream."""

    error: OpenAIFault


class CalledFunction(Struct):
    """Which function, and its arguments as JSON text."""

    name: str
    arguments: str


class CalledTool(Struct):
    """A call that the model wants made."""

    id: str
    type: Literal["function"]
    function: CalledFunction


class ChatAnswer(Struct):
    """What is said, or which calls are to be made."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    tool_calls: list[CalledTool] | UnsetType = UNSET


class ChatChoice(Struct):
    """The one answer."""

    index: int
    message: ChatAnswer
    logprobs: None
    finish_reason: Finish


class PromptDetails(Struct):
    """Of the prompt."""

    cached_tokens: int
    audio_tokens: int


class CompletionDetails(Struct):
    """Of the answer."""

    reasoning_tokens: int
    audio_tokens: int
    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class ChatUsage(Struct):
    """Token counts."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class ChatCompletion(Struct):
    """A whole answer of a chat."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage


class FunctionPiece(Struct):
    """More of the arguments; the name comes with the first."""

    arguments: str
    name: str | UnsetType = UNSET


class ToolPiece(Struct):
    """More of the call at this place."""

    index: int
    function: FunctionPiece
    id: str | UnsetType = UNSET
    type: Literal["function"] | UnsetType = UNSET


class ChatDelta(Struct):
    """What is new."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    refusal: UnsetType | None = UNSET
    tool_calls: list[ToolPiece] | UnsetType = UNSET


class ChunkChoice(Struct):
    """More of the one answer."""

    index: int
    delta: ChatDelta
    logprobs: None
    finish_reason: Finish | None


class ChatChunk(Struct):
    """A piece of a streamed chat; after the last one comes `[DONE]`."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: ChatUsage | UnsetType | None = UNSET


class Embedding(Struct):
    """One vector: numbers, or base64 of little-endian 32-bit floats."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(Struct):
    """Token counts."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(Struct):
    """One vector for each text, in order."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


class Picture(Struct):
    """One picture, in base64 or at an address."""

    b64_json: str | UnsetType = UNSET
    url: str | UnsetType = UNSET


class PictureDetails(Struct):
    """Tokens of the prompt, and of pictures that came with it."""

    text_tokens: int
    image_tokens: int


class PictureUsage(Struct):
    """Token counts."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: PictureDetails


class Pictures(Struct):
    """Every picture of an answer."""

    created: int
    data: list[Picture]
    usage: PictureUsage | UnsetType = UNSET


class Model(Struct):
    """A name that requests may use: a model, a group or an alias."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(Struct):
    """All of them."""

    object: Literal["list"]
    data: list[Model]
