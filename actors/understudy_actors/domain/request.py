"""What a caller may ask for: one vocabulary, whatever the provider's wire format is."""

from __future__ import annotations

import enum
from typing import Any, Final, TypeAlias

from msgspec import Struct, field

from understudy_actors.domain import operation

PRIORITY_MAX: Final = 3
"""Priorities go from minus this to this."""
FALLBACKS_MAX: Final = 16
"""A request names this many fallbacks of its own at most."""
IMAGES_MAX: Final = 16
"""A request brings along this many pictures at most, a mask apart: as many as OpenAI takes."""


class Complexity(enum.StrEnum):
    """How hard a task is: it decides which candidates come first (see `dispatcher.complexity`)."""

    SIMPLE = "simple"  # fast and cheap first
    MEDIUM = "medium"  # as the strategy says
    COMPLEX = "complex"  # best quality first


class Caching(enum.StrEnum):
    """What the response cache may do for one request."""

    USE = "use"  # answer from it if it can, and keep the answer otherwise
    BYPASS = "bypass"  # neither
    REFRESH = "refresh"  # ask anew, and keep the answer in place of the older one
    ONLY = "only"  # answer from it, or not at all: nobody is asked


class TextPart(Struct, frozen=True, tag="text"):
    """A piece of text inside a message."""

    text: str


class ImagePart(Struct, frozen=True, tag="image"):
    """An image inside a message, by `url` (https or data URL)."""

    url: str
    detail: str | None = None


Part: TypeAlias = TextPart | ImagePart


class ToolCall(Struct, frozen=True):
    """A function the model wants called; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str


class Message(Struct, frozen=True, omit_defaults=True):
    """One turn of a conversation.

    `role` is `system`, `developer`, `user`, `assistant` or `tool`. A `tool` message answers the
    call named by `tool_call_id`.
    """

    role: str
    content: str | tuple[Part, ...] = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


class Tool(Struct, frozen=True):
    """A function the model may call; `parameters` is a JSON Schema."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)


class ChatInput(Struct, frozen=True, tag="chat", omit_defaults=True):
    """A conversation to continue.

    `max_tokens` bounds the answer; `json_schema` asks for an answer of that shape;
    `tool_choice` is `auto`, `none`, `required` or a tool's name. `extra` holds fields that this
    vocabulary has no word for, by the wire format (`openai`, `anthropic`) whose targets take them.
    """

    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: str | None = None
    json_schema: dict[str, Any] | None = None
    extra: dict[str, dict[str, Any]] | None = None


class EmbeddingInput(Struct, frozen=True, tag="embedding", omit_defaults=True):
    """Texts to embed; the answer holds one vector for each, in order."""

    texts: tuple[str, ...]
    dimensions: int | None = None


class ImageFile(Struct, frozen=True):
    """A picture that a request brings along, as the bytes of a file of that media type."""

    data: bytes
    media_type: str = "image/png"

    def __repr__(self) -> str:
        return f"<ImageFile {self.media_type}, {len(self.data)} bytes>"


class ImageInput(Struct, frozen=True, tag="image", omit_defaults=True):
    """A picture to draw: `size` is `WxH` in pixels or `auto`, `quality` as the provider says.

    `images` are what an `image_edit` starts from; the clear places of `mask` are to be drawn anew.
    """

    prompt: str
    n: int = 1
    size: str | None = None
    quality: str | None = None
    output_format: str | None = None
    images: tuple[ImageFile, ...] = ()
    mask: ImageFile | None = None


def pictures(request: Request) -> int:
    """How many pictures it asks for."""
    return request.input.n if isinstance(request.input, ImageInput) else 0


class CustomInput(Struct, frozen=True, tag="custom", omit_defaults=True):
    """Arguments for the user's own function."""

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


Input: TypeAlias = ChatInput | EmbeddingInput | ImageInput | CustomInput


class Request(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One piece of work, and the conditions under which it may be done.

    Attributes:
        operation: One of `operation.BUILT_IN`, or a name of the user's own.
        input: What to work on.
        model: A model or a model group; None lets any provider of the operation serve.
        timeout_s: Relative limit over everything, all attempts and waits included, in seconds.
        max_cost_usd: Candidates whose estimated cost is higher are left out.
        max_attempts: At most this many attempts, all providers together.
        strategy: Name of a strategy for this request alone.
        complexity: How hard the task is.
        quality_boost: Best-quality candidates first.
        capabilities: Every one of these is needed, e.g. `vision`, `tools`.
        region: Only providers of this region.
        tags: Only providers that carry every one of these.
        fallback: False asks the first choice only.
        fallbacks: Models and groups whose endpoints are asked after those of `model`, in order, in
            place of the configured ones; none of them if empty.
        hedge: Whether a second copy may be sent while the first is silent; None is as configured.
        collapse: Whether it shares one call with identical requests under way; None is as
            configured, which is for answers that are the same each time.
        cache: What the response cache may do: `use`, `bypass`, `refresh` or `only`; None is as
            configured for the operation. Without a cache, all but `only` mean nothing.
        output_tokens: The caller's estimate of the answer's length, for cost and latency.
        user: Whom to account it to.
        team: Whose team that is, for budgets.
        key: The id (never the secret) of the caller's own key to this engine, for budgets.
        labels: Words to account it to, beside `tags`; unlike those they choose nobody.
        tenant: Whose share it counts in while requests wait for a slot; left out, its `user`.
        priority: -3..3: while requests wait for a slot, higher ones come first, and each 10 s in
            which none like it is served lift one by a step.
        id: The caller's own request id; by default the engine makes one.
    """

    operation: str
    input: Input
    model: str | None = None
    timeout_s: float | None = None
    max_cost_usd: float | None = None
    max_attempts: int | None = None
    strategy: str | None = None
    complexity: Complexity | None = None
    quality_boost: bool = False
    capabilities: tuple[str, ...] = ()
    region: str | None = None
    tags: tuple[str, ...] = ()
    fallback: bool = True
    fallbacks: tuple[str, ...] | None = None
    hedge: bool | None = None
    collapse: bool | None = None
    cache: str | None = None
    output_tokens: int | None = None
    user: str | None = None
    team: str | None = None
    key: str | None = None
    labels: tuple[str, ...] = ()
    tenant: str | None = None
    priority: int = 0
    id: str | None = None

    @classmethod
    def chat(
        cls,
        prompt: str | tuple[Message, ...] | list[Message],
        *,
        system: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        stop: tuple[str, ...] = (),
        seed: int | None = None,
        tools: tuple[Tool, ...] = (),
        tool_choice: str | None = None,
        json_schema: dict[str, Any] | None = None,
        **conditions: Any,
    ) -> Request:
        """Ask for text. `prompt` is the user's words or a whole conversation.

        `conditions` are the fields of `Request`: `model`, `timeout_s`, `max_cost_usd`, ...
        """
        turns = (Message("user", prompt),) if isinstance(prompt, str) else tuple(prompt)
        if system is not None:
            turns = (Message("system", system), *turns)
        body = ChatInput(
            turns, max_tokens, temperature, top_p, stop, seed, tools, tool_choice, json_schema
        )
        return cls(operation=operation.CHAT, input=body, **conditions)

    @classmethod
    def embed(cls, *texts: str, dimensions: int | None = None, **conditions: Any) -> Request:
        """Ask for one vector for each text."""
        body = EmbeddingInput(texts, dimensions)
        return cls(operation=operation.EMBEDDING, input=body, **conditions)

    @classmethod
    def image(
        cls,
        prompt: str,
        *,
        n: int = 1,
        size: str | None = None,
        quality: str | None = None,
        output_format: str | None = None,
        **conditions: Any,
    ) -> Request:
        """Ask for a picture."""
        body = ImageInput(prompt, n, size, quality, output_format)
        return cls(operation=operation.IMAGE, input=body, **conditions)

    @classmethod
    def edit_image(
        cls,
        prompt: str,
        *images: ImageFile,
        mask: ImageFile | None = None,
        n: int = 1,
        size: str | None = None,
        quality: str | None = None,
        output_format: str | None = None,
        **conditions: Any,
    ) -> Request:
        """Ask for pictures made from others."""
        body = ImageInput(prompt, n, size, quality, output_format, images, mask)
        return cls(operation=operation.IMAGE_EDIT, input=body, **conditions)

    @classmethod
    def custom(
        cls,
        operation: str,
        *args: Any,
        kwargs: dict[str, Any] | None = None,
        **conditions: Any,
    ) -> Request:
        """Ask for an operation of the user's own, served by the user's own function."""
        return cls(operation=operation, input=CustomInput(args, kwargs or {}), **conditions)
