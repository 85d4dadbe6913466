"""What models cost and how much they hold, as far as it is known; and estimates before the fact.

The table is a small one of facts, with a date and a source. A model that is not in it is unknown:
it is never guessed, and never free; nor is the price of prompts longer than it was written down
for. What a price comes to is computed in `understudy_actors.domain.price`.
"""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from understudy_actors.domain.price import Price
from understudy_actors.domain.request import (
    ChatInput,
    EmbeddingInput,
    ImageInput,
    Request,
    TextPart,
)

BYTES_PER_TOKEN: Final = 3
"""Fewer than the usual four for English: an estimate should rather be too high."""

IMAGE_TOKENS: Final = 1600
"""For an image in a prompt: the most that a large one costs at today's providers."""

MESSAGE_TOKENS: Final = 4
"""For the frame around a message."""

_DATED: Final = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8})$", re.ASCII)
_DAY_S: Final = 86_400


class ModelFacts(Struct, frozen=True, kw_only=True):
    """What is known about a model.

    Attributes:
        price: What it costs.
        context_tokens, max_output_tokens: Its window; None if unknown.
        shutdown: The day on which its provider ends it (ISO date), if announced.
    """

    price: Price
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    shutdown: str | None = None


class PriceTable(Struct, frozen=True):
    """Facts by provider kind and model. `as_of` is the ISO date of their source."""

    as_of: str
    source: str
    models: dict[tuple[str, str], ModelFacts]

    def facts(self, provider_kind: str, model: str) -> ModelFacts | None:
        """What is known about a model, by its exact id or by the id without a date at its end."""
        exact = self.models.get((provider_kind, model))
        return exact or self.models.get((provider_kind, _DATED.sub("", model)))

    def age_days(self, wall: float) -> int:
        """How many days have passed since `as_of`, at a time in Unix seconds; 0 before it."""
        as_of = datetime.fromisoformat(self.as_of).replace(tzinfo=UTC).timestamp()
        return max(0, int((wall - as_of) // _DAY_S))


class _Row(Struct, frozen=True, forbid_unknown_fields=True):
    """A model in the file; prices in USD for 1,000,000 tokens, `image` for each picture drawn.

    A prompt of more than `known_to` tokens has another price, which is not in the file.
    """

    model: str
    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None
    reasoning: float | None = None
    image_input: float | None = None
    image: float = 0.0
    known_to: int | None = None
    context: int | None = None
    max_output: int | None = None
    shutdown: str | None = None

    def facts(self) -> ModelFacts:
        return ModelFacts(
            price=Price(
                self.input,
                self.output,
                self.cached_input,
                reasoning_per_mtok=self.reasoning,
                cache_write_per_mtok=self.cache_write,
                image_input_per_mtok=self.image_input,
                image_usd=self.image,
                known_to_tokens=self.known_to,
            ),
            context_tokens=self.context,
            max_output_tokens=self.max_output,
            shutdown=self.shutdown,
        )


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    as_of: str
    source: str
    unit: str
    providers: dict[str, list[_Row]]


def read_table(document: bytes) -> PriceTable:
    """Read a price table in the format of `prices.json`.

    Raises:
        msgspec.ValidationError: It has another format; the message names the place.
    """
    read = msgspec.json.decode(document, type=_File)
    rows = ((kind, row) for kind, models in read.providers.items() for row in models)
    return PriceTable(read.as_of, read.source, {(k, row.model): row.facts() for k, row in rows})


@functools.cache
def bundled_table() -> PriceTable:
    """The table that comes with this library; read once, never changed."""
    return read_table(Path(__file__).with_name("prices.json").read_bytes())


def lookup(provider_kind: str, model: str) -> Price | None:
    """The price of a model; None if it is unknown."""
    facts = bundled_table().facts(provider_kind, model)
    return None if facts is None else facts.price


def estimate_tokens(request: Request) -> int:
    """About how many tokens the input of `request` has, rather too many than too few.

    A third of its bytes in UTF-8, rounded up, plus a fixed number for each image and message.
    """
    asked = request.input
    fixed = 0
    if isinstance(asked, ChatInput):
        size = _schema_bytes(asked) if asked.tools or asked.json_schema is not None else 0
        for message in asked.messages:
            fixed += MESSAGE_TOKENS
            if isinstance(message.content, str):
                size += _bytes(message.content)
            else:
                texts = [part.text for part in message.content if isinstance(part, TextPart)]
                size += sum(map(_bytes, texts))
                fixed += IMAGE_TOKENS * (len(message.content) - len(texts))
            for call in message.tool_calls:
                size += _bytes(call.name) + _bytes(call.arguments)
    elif isinstance(asked, EmbeddingInput):
        size = sum(map(_bytes, asked.texts))
    elif isinstance(asked, ImageInput):
        size = _bytes(asked.prompt)
        fixed = IMAGE_TOKENS * (len(asked.images) + (asked.mask is not None))
    else:
        size = 0
    return -(-size // BYTES_PER_TOKEN) + fixed


def message_tokens(text: str) -> int:
    """About how many tokens one more message of this text adds, rather too many than too few."""
    return -(-_bytes(text) // BYTES_PER_TOKEN) + MESSAGE_TOKENS


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _schema_bytes(asked: ChatInput) -> int:
    """Everything else that the model reads: tools and the schema of the answer."""
    try:
        return len(msgspec.json.encode((asked.tools, asked.json_schema)))
    except (TypeError, ValueError, OverflowError, RecursionError):
        return 0  # it has no JSON form, so no adapter will send it
