"""The healthy answer to a request, in the wire format of its path."""

from __future__ import annotations

from types import ModuleType
from typing import Final

from understudy_sim.mock import anthropic, cohere, gemini, ollama, openai
from understudy_sim.mock.requests import (
    Body,
    ChatRequest,
    EmbeddingRequest,
    ImageRequest,
    MessagesRequest,
    ModelsRequest,
    count_tokens,
    prompt_length,
)
from understudy_sim.mock.settings import Behaviour, FixedUsage
from understudy_sim.mock.wire import EVENTS, LINES, Answer, Hint, Origin, Tokens, Wire

_WIRES: Final[dict[Wire, ModuleType]] = {
    "openai": openai,
    "anthropic": anthropic,
    "gemini": gemini,
    "cohere": cohere,
    "ollama": ollama,
}
_IMAGE_TOKENS: Final = 272
_NO_HINT: Final = Hint()
_BY_STATUS: Final = {
    401: "auth",
    402: "credit_hard",
    403: "permission",
    404: "not_found",
    405: "method",
    413: "too_large",
    429: "rate_limit",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}


def error(
    origin: Origin, problem: str, hint: Hint = _NO_HINT, message: str | None = None
) -> Answer:
    """An error answer of the kind `problem`, in the wire format of `origin`."""
    answer: Answer = _WIRES[origin.wire].error(origin, problem, hint, message=message)
    return answer


def error_of_status(origin: Origin, status: int, hint: Hint) -> Answer:
    """An error answer with exactly this status, and the body that fits it best."""
    problem = _BY_STATUS.get(status, "bad_request" if status < 500 else "server")
    answer: Answer = _WIRES[origin.wire].error(origin, problem, hint, status=status)
    return answer


def reply(
    request: Body,
    origin: Origin,
    behaviour: Behaviour,
    models: tuple[str, ...],
    tokens: Tokens | None = None,
) -> tuple[Answer, int]:
    """The healthy answer, and how many tokens it took to make.

    Args:
        request: The request's body.
        origin: Where and when it is answered.
        behaviour: How texts and token counts are made.
        models: The names for a list of models.
        tokens: Token counts to report, whatever the behaviour says.
    """
    match request:
        case ChatRequest() | MessagesRequest():
            return _text(request, origin, behaviour, tokens)
        case EmbeddingRequest():
            tokens = tokens or _usage(behaviour, request, 0)
            inputs, base64 = request.inputs, request.encoding_format == "base64"
            speak = _WIRES[origin.wire].embeddings
            vectors: Answer = speak(origin, inputs, request.dimensions, base64, tokens)
            return vectors, 0
        case ImageRequest():
            n = request.n or 1
            names = ("background", "output_format", "quality", "size")
            options = {name: str(getattr(request, name)) for name in names}
            tokens = tokens or _usage(behaviour, request, n * _IMAGE_TOKENS)
            return openai.images(origin, n, options, tokens), n * _IMAGE_TOKENS
        case ModelsRequest():
            answer: Answer = _WIRES[origin.wire].models(origin, models or ("mock-model",))
            return answer, 0


def _text(
    request: ChatRequest | MessagesRequest,
    origin: Origin,
    behaviour: Behaviour,
    tokens: Tokens | None,
) -> tuple[Answer, int]:
    text, finish = said(request, origin, behaviour)
    made = count_tokens(len(text))
    tokens = tokens or _usage(behaviour, request, made)
    if isinstance(request, MessagesRequest):
        if not request.stream:
            return anthropic.messages(origin, text, tokens, finish), made
        frames = anthropic.message_frames(origin, text, tokens, finish)
    else:
        wire = _WIRES[origin.wire]
        if not request.stream:
            return wire.chat(origin, text, tokens, finish), made
        asked = request.stream_options is not None and request.stream_options.include_usage
        frames = wire.chat_frames(origin, text, tokens if asked else None, finish)
    pace_s = made / behaviour.tokens_per_s / len(frames) if behaviour.tokens_per_s else 0.0
    name = "request-id" if origin.wire == "anthropic" else "x-request-id"
    content_type = LINES if origin.wire == "ollama" else EVENTS
    headers = ((name, origin.request_id),)
    answer = Answer(headers=headers, content_type=content_type, frames=frames, pace_s=pace_s)
    return answer, made


def said(
    request: ChatRequest | MessagesRequest, origin: Origin, behaviour: Behaviour
) -> tuple[str, str]:
    """The text of an answer, and why it ends there."""
    text = _fill(behaviour.reply, origin, prompt(request))
    if behaviour.prefill in ("continue", "flag"):
        text = text.removeprefix(begun(request))
    limit = request.limit if isinstance(request, ChatRequest) else request.max_tokens
    if limit is not None and count_tokens(len(text)) > limit:
        return text[: 4 * limit], "length"
    return text, "stop"


def begun(request: Body) -> str:
    """The answer's beginning that the client gives as the provider's own last message."""
    if not isinstance(request, ChatRequest | MessagesRequest):
        return ""
    last = request.messages[-1]
    return last.content if last.role == "assistant" and isinstance(last.content, str) else ""


def refuses(behaviour: Behaviour, request: Body) -> bool:
    """Does it refuse to go on with what the client gives as the answer's beginning?"""
    if not begun(request):
        return False
    assert isinstance(request, ChatRequest | MessagesRequest)
    flagged = request.messages[-1].prefix
    return behaviour.prefill == "refuse" or (behaviour.prefill == "flag" and not flagged)


def prompt(request: ChatRequest | MessagesRequest) -> str:
    """The text of the client's last message."""
    said = [m.content for m in request.messages if m.role == "user" and isinstance(m.content, str)]
    return said[-1] if said else ""


def _fill(template: str, origin: Origin, prompt: str) -> str:
    # Not str.format: a template is a stranger's text, and may hold braces of its own.
    return (
        template.replace("{provider}", origin.provider)
        .replace("{model}", origin.model)
        .replace("{n}", str(origin.n))
        .replace("{prompt}", prompt)
    )


def billed(behaviour: Behaviour, request: Body, made: int) -> tuple[int, int]:
    """The tokens of prompt and answer, whether or not the behaviour tells of them."""
    if isinstance(request, ModelsRequest):
        return 0, 0
    told = behaviour.usage
    if isinstance(told, FixedUsage):
        return told.input_tokens, told.output_tokens
    return count_tokens(prompt_length(request)), made


def _usage(behaviour: Behaviour, request: Body, made: int) -> Tokens | None:
    match behaviour.usage:
        case "missing":
            return None
        case FixedUsage(input_tokens=given, output_tokens=output):
            return Tokens(given, output)
        case "derived":
            return Tokens(count_tokens(prompt_length(request)), made)
