"""What models cost and how much they hold, as far as it is known; and estimates before the fact.

The table is a small one of facts, with a date and a source. A model that is not in it is unknown:
it is never guessed, and never free. Money is computed in integer micro-USD, rounded up.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from understudy_actors.domain.candidate import Price
from understudy_actors.domain.request import (
    ChatInput,
    EmbeddingInput,
    ImageInput,
    Request,
    TextPart,
)
from understudy_actors.domain.result import Usage

BYTES_PER_TOKEN: Final = 3
"""Fewer than the usual four for English: an estimate should rather be too high."""

IMAGE_TOKENS: Final = 1600
"""For an image in a prompt: the most that a large one costs at today's providers."""

MESSAGE_TOKENS: Final = 4
"""For the frame around a message."""

_DATED: Final = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8})$", re.ASCII)
_PICO_PER_MICRO: Final = 1_000_000


class ModelFacts(Struct, frozen=True, kw_only=True):
    """What is known about a model.

    Attributes:
        price: Of its tokens. With `long_context_tier` there is a second, higher one for prompts of
            more than some 128,000 to 272,000 tokens, which this table does not know.
        context_tokens, max_output_tokens: Its window; None if unknown.
        shutdown: The day on which its provider ends it (ISO date), if announced.
    """

    price: Price
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    long_context_tier: bool = False
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


class _Row(Struct, frozen=True, forbid_unknown_fields=True):
    """A model in the file; prices in USD for 1,000,000 tokens."""

    model: str
    input: float
    output: float
    cached_input: float | None = None
    context: int | None = None
    max_output: int | None = None
    long_context_tier: bool = False
    shutdown: str | None = None

    def facts(self) -> ModelFacts:
        return ModelFacts(
            price=Price(self.input, self.output, self.cached_input),
            context_tokens=self.context,
            max_output_tokens=self.max_output,
            long_context_tier=self.long_context_tier,
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


def cost_micro_usd(price: Price, usage: Usage) -> int:
    """What `usage` costs in micro-USD (1e-6 USD), rounded up.

    Cached input without a price of its own costs what other input costs.
    """
    cached = min(usage.cached_tokens, usage.input_tokens)
    cached_price = price.cached_input_per_mtok
    if cached_price is None:
        cached_price = price.input_per_mtok
    # A price in USD for 1,000,000 tokens is one in micro-USD for a token: whole pico-USD keep the
    # sum exact, since a float such as 30 * 0.1 is more than 3 and would round up to 4.
    pico = (
        (usage.input_tokens - cached) * _pico(price.input_per_mtok)
        + cached * _pico(cached_price)
        + usage.output_tokens * _pico(price.output_per_mtok)
        + _pico(price.request_usd * 1e6)
    )
    return -(-pico // _PICO_PER_MICRO)


def _pico(micro_usd: float) -> int:
    return round(micro_usd * _PICO_PER_MICRO)


def cost_usd(price: Price, usage: Usage) -> float:
    """What `usage` costs in USD, rounded up to a whole micro-USD."""
    return cost_micro_usd(price, usage) / 1e6


def estimate_usd(price: Price, input_tokens: int, output_tokens: int) -> float:
    """What so many tokens cost in USD, with nothing cached, rounded up to a whole micro-USD."""
    return cost_usd(price, Usage(input_tokens, output_tokens))


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
    else:
        size = _bytes(asked.prompt) if isinstance(asked, ImageInput) else 0
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
