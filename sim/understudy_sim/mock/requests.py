"""What clients ask for: routes, and request bodies checked as far as a provider checks them."""

from __future__ import annotations

from collections.abc import Sequence
from email import message_from_bytes
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from understudy_sim.mock.wire import Wire

Model: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256)]
Token: TypeAlias = Annotated[int, Meta(ge=0, le=2**31)]
Content: TypeAlias = str | list[dict[str, Any]] | None


class Message(Struct, frozen=True):
    """One turn of a conversation; of its content only the length of the text matters.

    `prefix` says that the answer is to go on with it (Mistral's and DeepSeek's field).
    """

    role: str
    content: Content = None
    prefix: bool = False


class StreamOptions(Struct, frozen=True):
    """Whether a stream ends with token counts."""

    include_usage: bool = False


class ChatRequest(Struct, frozen=True, kw_only=True):
    """Body of POST /v1/chat/completions."""

    model: Model
    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None

    @property
    def limit(self) -> int | None:
        """The most tokens that the answer may have."""
        return self.max_completion_tokens or self.max_tokens


class MessagesRequest(Struct, frozen=True, kw_only=True):
    """Body of POST /v1/messages."""

    model: Model
    messages: Annotated[list[Message], Meta(min_length=1)]
    max_tokens: Annotated[int, Meta(ge=1)]
    system: Content = None
    stream: bool | None = None


class EmbeddingRequest(Struct, frozen=True, kw_only=True):
    """Body of POST /v1/embeddings."""

    model: Model
    input: (
        Annotated[str, Meta(min_length=1)]
        | Annotated[
            list[str | Token | Annotated[list[Token], Meta(min_length=1)]],
            Meta(min_length=1, max_length=2048),
        ]
    )
    dimensions: Annotated[int, Meta(ge=1, le=4096)] = 8
    encoding_format: Literal["float", "base64"] = "float"

    @property
    def inputs(self) -> list[str]:
        """One text for each vector; a list of token numbers is one text."""
        if isinstance(self.input, str):
            return [self.input]
        if isinstance(self.input[0], int):
            return [str(self.input)]
        return [str(each) for each in self.input]


class ImageRequest(Struct, frozen=True, kw_only=True):
    """Body of POST /v1/images/generations."""

    prompt: Annotated[str, Meta(min_length=1, max_length=32_000)]
    model: Model = "mock-image"
    n: Annotated[int, Meta(ge=1, le=10)] | None = 1
    size: str = "1024x1024"
    quality: str = "low"
    background: str = "opaque"
    output_format: str = "png"


class EditRequest(ImageRequest, frozen=True, kw_only=True):
    """Form of POST /v1/images/edits; of its pictures nothing but their number is looked at."""

    pictures: Annotated[int, Meta(ge=1, le=16)]


class ModelsRequest(Struct, frozen=True):
    """GET /v1/models has no body."""

    model: str = ""


Body: TypeAlias = ChatRequest | MessagesRequest | EmbeddingRequest | ImageRequest | ModelsRequest


class Route(Struct, frozen=True):
    """One path: its method, the operation behind it, its wire format and its body's type.

    `model` and `stream` are what the path itself says of them, where a format puts them there.
    """

    method: str
    operation: str
    wire: Wire
    body: type[Body | Native]
    model: str = ""
    stream: bool = False


class Native(Struct, frozen=True):
    """A body in another format than OpenAI's and Anthropic's."""

    def plain(self, route: Route) -> Body:
        """The same in the words of OpenAI's."""
        raise NotImplementedError


ROUTES: Final[dict[str, Route]] = {
    "/v1/chat/completions": Route("POST", "chat", "openai", ChatRequest),
    "/chat/completions": Route("POST", "chat", "openai", ChatRequest),
    "/beta/chat/completions": Route("POST", "chat", "openai", ChatRequest),
    "/v1/messages": Route("POST", "chat", "anthropic", MessagesRequest),
    "/v1/embeddings": Route("POST", "embedding", "openai", EmbeddingRequest),
    "/v1/images/generations": Route("POST", "image", "openai", ImageRequest),
    "/v1/images/edits": Route("POST", "image_edit", "openai", EditRequest),
    "/v1/models": Route("GET", "models", "openai", ModelsRequest),
}


def read_body(route: Route, raw: bytes) -> Body | str:
    """The request in `raw`, or in words what is wrong with it (without quoting the prompt)."""
    if route.body is ModelsRequest:
        return ModelsRequest()
    try:
        if route.body is EditRequest:
            return msgspec.convert(_form(raw), EditRequest, strict=False)
        found = msgspec.json.decode(raw, type=route.body)
        return found.plain(route) if isinstance(found, Native) else found
    except msgspec.ValidationError as error:
        return f"Invalid request: {error}"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "We could not parse the JSON body of your request."


def _form(raw: bytes) -> dict[str, str | int]:
    """The texts of a form, and how many pictures it holds; its boundary is its first line."""
    first = raw.partition(b"\r\n")[0].removeprefix(b"--")
    head = b'content-type: multipart/form-data; boundary="' + first + b'"\r\n\r\n'
    found: dict[str, str | int] = {"pictures": 0}
    for part in message_from_bytes(head + raw).walk():
        name = str(part.get_param("name", "", "content-disposition"))
        value = part.get_payload(decode=True)
        if part.get_filename() is None and name and isinstance(value, bytes):
            found[name] = value.decode("utf-8", "replace")
        elif name in ("image", "image[]"):
            found["pictures"] = int(found["pictures"]) + 1
    return found


def count_tokens(text_length: int) -> int:
    """Tokens in a text of so many characters: four to the token, at least one."""
    return max(1, -(-text_length // 4))


def prompt_length(request: Body) -> int:
    """Characters of text in the prompt."""
    match request:
        case ChatRequest(messages=messages):
            return _length(messages)
        case MessagesRequest(messages=messages, system=system):
            return _length([*messages, Message("system", system)])
        case EmbeddingRequest():
            return sum(map(len, request.inputs))
        case ImageRequest(prompt=prompt):
            return len(prompt)
        case ModelsRequest():
            return 0


def _length(messages: Sequence[Message]) -> int:
    total = 0
    for message in messages:
        if isinstance(message.content, str):
            total += len(message.content)
        for part in message.content if isinstance(message.content, list) else ():
            if isinstance(text := part.get("text"), str):
                total += len(text)
    return total
