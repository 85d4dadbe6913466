"""What a caller gets back: output, cost and time first, the detail for who asks."""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import Struct

from understudy_actors.domain.request import ToolCall


class Usage(Struct, frozen=True, gc=False):
    """What one attempt used, inclusive: `input_tokens` holds those that were cached, those that a
    cache took up and those that stand for pictures, `output_tokens` the reasoning ones. `images`
    were drawn. `estimated` marks numbers that no provider reported. `told_micro_usd` is what the
    provider itself says that it cost, which counts where no price is known.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    cache_write_tokens: int = 0
    image_tokens: int = 0
    images: int = 0
    told_micro_usd: int | None = None

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


class ChatOutput(Struct, frozen=True, omit_defaults=True):
    """The model's turn. `finish_reason` is `stop`, `length`, `tool_calls` or `content_filter`."""

    text: str
    finish_reason: str = "stop"
    tool_calls: tuple[ToolCall, ...] = ()


class EmbeddingOutput(Struct, frozen=True):
    """One vector for each text, in the order of the request."""

    vectors: tuple[tuple[float, ...], ...]


class Image(Struct, frozen=True, omit_defaults=True):
    """A picture, as base64 text or as a URL, whichever the provider sent."""

    b64: str | None = None
    url: str | None = None
    media_type: str = "image/png"


class ImageOutput(Struct, frozen=True):
    """The pictures that were drawn."""

    images: tuple[Image, ...]


Output: TypeAlias = ChatOutput | EmbeddingOutput | ImageOutput | Any


class Attempt(Struct, frozen=True, omit_defaults=True, gc=False):
    """One try on one provider, and how it ended.

    Attributes:
        provider, model: Where.
        outcome: `ok`, `failed`, `throttled`, `neutral` (says nothing about the provider) or
            `refused` (the provider's own gate said no; nothing was sent).
        error: The error class when it did not succeed, e.g. `rate_limit`.
        reason: One sentence: what happened.
        status: HTTP status, if there was an answer.
        started_s: Seconds from the acceptance of the request to the start of this attempt.
        elapsed_s: Its duration in seconds.
        wait_s: Seconds waited before it.
        cost_usd: What it cost; None when that is unknown.
        max_tokens: What its answer was shortened to, since the budgets pay for no more; None if it
            was not.
    """

    provider: str
    model: str
    outcome: str
    error: str | None = None
    reason: str | None = None
    status: int | None = None
    started_s: float = 0.0
    elapsed_s: float = 0.0
    wait_s: float = 0.0
    cost_usd: float | None = None
    max_tokens: int | None = None

    @property
    def endpoint(self) -> str:
        """Provider and model in one name."""
        return f"{self.provider}/{self.model}"


class Result(Struct, frozen=True, kw_only=True):
    """The answer to a request.

    Attributes:
        output: `ChatOutput`, `EmbeddingOutput`, `ImageOutput` or what the user's function returned.
        cost_usd: Sum over all attempts; None when a price is unknown.
        elapsed_s: Seconds from acceptance to answer.
        usage: Tokens of the attempt that answered.
        provider, model: Who answered.
        attempts: Every attempt in order, the successful one last.
        request_id: Ties together every log line of the request.
        degraded: True if a fallback answered: a `local` provider, an old answer out of the cache,
            or configured fallback content.
        cached: The answer was given before, to a request for the same; `usage`, `provider` and
            `model` are those of that time. With `degraded`: since nobody else could answer.
        age_s: So long ago, in seconds.
    """

    output: Output
    provider: str
    model: str
    request_id: str
    elapsed_s: float
    cost_usd: float | None = None
    usage: Usage = Usage()
    attempts: tuple[Attempt, ...] = ()
    degraded: bool = False
    cached: bool = False
    age_s: float = 0.0

    @property
    def shortened_to(self) -> int | None:
        """The tokens that the answer was limited to, since the budgets pay for no more; None if it
        was not."""
        return self.attempts[-1].max_tokens if self.attempts else None

    @property
    def text(self) -> str:
        """The answer's text; for an output that is no chat, its plain string form."""
        output = self.output
        return output.text if isinstance(output, ChatOutput) else str(output)
