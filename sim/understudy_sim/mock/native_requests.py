"""What clients of Gemini, Cohere and Ollama ask for, and where: in the words of OpenAI's format."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final
from urllib.parse import unquote

import msgspec
from msgspec import Meta, Struct, field

from understudy_sim.mock.requests import (
    Body,
    ChatRequest,
    EmbeddingRequest,
    Message,
    Model,
    ModelsRequest,
    Native,
    Route,
    StreamOptions,
)

_USAGE: Final = StreamOptions(include_usage=True)
_Limit = Annotated[int, Meta(ge=1)] | None


class GeminiKnobs(Struct, frozen=True, rename="camel"):
    """What stands under `generationConfig`."""

    max_output_tokens: _Limit = None


class GeminiTurn(Struct, frozen=True):
    """One turn: of its parts only the texts matter."""

    role: str = "user"
    parts: list[dict[str, Any]] = field(default_factory=list)

    def said(self) -> Message:
        """The same as a message."""
        return Message("assistant" if self.role == "model" else "user", _text(self.parts))


class GeminiRequest(Native, frozen=True, kw_only=True, rename="camel"):
    """Body of `generateContent` and `streamGenerateContent`; the model stands in the path."""

    contents: Annotated[list[GeminiTurn], Meta(min_length=1)]
    system_instruction: GeminiTurn | None = None
    generation_config: GeminiKnobs = GeminiKnobs()

    def plain(self, route: Route) -> Body:
        """A chat."""
        turns = [each.said() for each in self.contents]
        if self.system_instruction is not None:
            turns.insert(0, Message("system", _text(self.system_instruction.parts)))
        limit = self.generation_config.max_output_tokens
        return _chat(route.model, turns, limit, stream=route.stream)


class GeminiText(Struct, frozen=True, kw_only=True, rename="camel"):
    """One text of `batchEmbedContents`."""

    content: GeminiTurn
    output_dimensionality: int | None = None


class GeminiEmbedRequest(Native, frozen=True, kw_only=True):
    """Body of `batchEmbedContents`."""

    requests: Annotated[list[GeminiText], Meta(min_length=1)]

    def plain(self, route: Route) -> Body:
        """Embeddings."""
        texts = [_text(each.content.parts) for each in self.requests]
        return _embedding(route.model, texts, self.requests[0].output_dimensionality)


class CohereRequest(Native, frozen=True, kw_only=True):
    """Body of POST /v2/chat."""

    model: Model
    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool = False
    max_tokens: _Limit = None

    def plain(self, route: Route) -> Body:  # noqa: ARG002  the body says all
        """A chat."""
        return _chat(self.model, self.messages, self.max_tokens, stream=self.stream)


class CohereEmbedRequest(Native, frozen=True, kw_only=True):
    """Body of POST /v2/embed."""

    model: Model
    texts: Annotated[list[str], Meta(min_length=1)]
    input_type: str
    output_dimension: int | None = None

    def plain(self, route: Route) -> Body:  # noqa: ARG002  the body says all
        """Embeddings."""
        return _embedding(self.model, self.texts, self.output_dimension)


class OllamaKnobs(Struct, frozen=True):
    """What stands under `options`; an answer without a limit may have -1 tokens."""

    num_predict: int | None = None


class OllamaRequest(Native, frozen=True, kw_only=True):
    """Body of POST /api/chat, which streams unless told not to."""

    model: Model
    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool = True
    options: OllamaKnobs | None = None

    def plain(self, route: Route) -> Body:  # noqa: ARG002  the body says all
        """A chat."""
        limit = self.options.num_predict if self.options is not None else None
        bounded = limit if limit is not None and limit > 0 else None
        return _chat(self.model, self.messages, bounded, stream=self.stream)


class OllamaEmbedRequest(Native, frozen=True, kw_only=True):
    """Body of POST /api/embed."""

    model: Model
    input: str | list[str]
    dimensions: int | None = None

    def plain(self, route: Route) -> Body:  # noqa: ARG002  the body says all
        """Embeddings."""
        texts = [self.input] if isinstance(self.input, str) else self.input
        return _embedding(self.model, texts, self.dimensions)


NATIVE_ROUTES: Final[dict[str, Route]] = {
    "/openai/v1/chat/completions": Route("POST", "chat", "openai", ChatRequest),  # Groq's
    "/v2/chat": Route("POST", "chat", "cohere", CohereRequest),
    "/v2/embed": Route("POST", "embedding", "cohere", CohereEmbedRequest),
    "/api/chat": Route("POST", "chat", "ollama", OllamaRequest),
    "/api/embed": Route("POST", "embedding", "ollama", OllamaEmbedRequest),
    "/api/tags": Route("GET", "models", "ollama", ModelsRequest),
    "/v1beta/models": Route("GET", "models", "gemini", ModelsRequest),
}
_GEMINI: Final = re.compile(r"/v1(?:beta)?/models/([^/:]{1,256}):(\w+)", re.ASCII)
_VERBS: Final[dict[str, tuple[str, type[Native], bool]]] = {
    "generateContent": ("chat", GeminiRequest, False),
    "streamGenerateContent": ("chat", GeminiRequest, True),
    "batchEmbedContents": ("embedding", GeminiEmbedRequest, False),
}


def native_route(path: str) -> Route | None:
    """What is asked for at `path` in a format of a provider's own; None if nothing is."""
    if (known := NATIVE_ROUTES.get(path)) is not None:
        return known
    if (found := _GEMINI.fullmatch(path)) is None or (verb := _VERBS.get(found[2])) is None:
        return None
    operation, body, stream = verb
    return Route("POST", operation, "gemini", body, unquote(found[1]), stream)


def _text(parts: list[Any]) -> str:
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _chat(model: str, messages: list[Message], limit: int | None, *, stream: bool) -> ChatRequest:
    return ChatRequest(
        model=model, messages=messages, max_tokens=limit, stream=stream, stream_options=_USAGE
    )


def _embedding(model: str, texts: list[str], dimensions: int | None) -> EmbeddingRequest:
    asked = {"model": model, "input": texts, "dimensions": dimensions or 8}
    return msgspec.convert(asked, EmbeddingRequest)
