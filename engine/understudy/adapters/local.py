"""The stand-in that closes a chain: always there, free, and marked as degraded in every answer."""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from hashlib import blake2b
from typing import Final

import msgspec

from understudy.adapters.base import Reply, Target
from understudy.adapters.body import NOT_JSON, decode
from understudy.adapters.failure import failure
from understudy_actors.domain import operation
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import ChatInput, EmbeddingInput, ImageInput, Request
from understudy_actors.domain.result import (
    ChatOutput,
    EmbeddingOutput,
    Image,
    ImageOutput,
    Output,
    Usage,
)

REPLY: Final = "No AI provider can be reached at the moment. Please try again later."
"""What is said when nothing is configured."""

DIMENSIONS: Final = 256
DIMENSIONS_MAX: Final = 16_384
ENTRIES_MAX: Final = 256
ENTRY_BYTES_MAX: Final = 65_536

PIXEL: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAHLCMmQAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""

_WORD: Final = re.compile(r"\w+")


class LocalAdapter:
    """Answers from the last good answer to the same request, or with a configured text.

    Chat says `reply`, in which `{model}` stands for the model that was asked for. Embeddings are
    hashed words: alike for like texts, and comparable only with one another. Pictures are one
    pixel. What it cannot honestly answer (a tool call that is required, a schema that `reply` is
    no JSON for) it refuses.
    """

    operations: tuple[str, ...] = (
        operation.CHAT,
        operation.EMBEDDING,
        operation.IMAGE,
        operation.IMAGE_EDIT,
    )

    def __init__(
        self, *, name: str = "local", reply: str = REPLY, dimensions: int = DIMENSIONS
    ) -> None:
        if not 1 <= dimensions <= DIMENSIONS_MAX:
            raise ValueError(f"dimensions must be 1..{DIMENSIONS_MAX}, got {dimensions!r}")
        self.name = name
        self._reply = reply
        self._dimensions = dimensions
        self._answers: OrderedDict[bytes, Output] = OrderedDict()

    def remember(self, request: Request, output: Output) -> None:
        """Keep a good answer of a real provider, to repeat it when none is left.

        At most `ENTRIES_MAX` are kept, the least recently used goes first; larger ones than
        `ENTRY_BYTES_MAX` are not kept, nor are answers that were cut or filtered.
        """
        if (key := _key(request)) is None or not _worth_keeping(output):
            return
        self._answers[key] = output
        self._answers.move_to_end(key)
        if len(self._answers) > ENTRIES_MAX:
            self._answers.popitem(last=False)

    async def call(self, request: Request, model: str) -> Reply:
        """Answer at once; see `CallAdapter.call`.

        Raises:
            ProviderError: (BAD_REQUEST) The request is one that no stand-in can serve.
        """
        key = _key(request)
        if key is not None and (known := self._answers.get(key)) is not None:
            self._answers.move_to_end(key)
            return Reply(known, Usage(), degraded=True)
        if (output := self._made(request, request.model or model)) is None:
            target = Target(provider=self.name, model=model, base_url="")
            why = "a stand-in cannot give this kind of answer"
            raise failure(ErrorClass.BAD_REQUEST, target, why=why)
        return Reply(output, Usage(), degraded=True)

    def _made(self, request: Request, model: str) -> Output | None:
        asked = request.input
        if isinstance(asked, ChatInput):
            text = self._reply.replace("{model}", model)
            return ChatOutput(text) if _fits(asked, text) else None
        if isinstance(asked, EmbeddingInput):
            size = min(asked.dimensions or self._dimensions, DIMENSIONS_MAX)
            return EmbeddingOutput(tuple(hashed_vector(text, size) for text in asked.texts))
        if isinstance(asked, ImageInput):
            return ImageOutput((Image(b64=PIXEL),) * min(max(asked.n, 1), 10))
        return None


def hashed_vector(text: str, dimensions: int) -> tuple[float, ...]:
    """A unit vector for `text`: each word adds +1 or -1 at a place that its hash names.

    Source: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009.
    """
    vector = [0.0] * dimensions
    for word in _WORD.findall(text.lower()):
        drawn = int.from_bytes(blake2b(word.encode("utf-8", "replace"), digest_size=8).digest())
        vector[(drawn >> 1) % dimensions] += 1.0 if drawn & 1 else -1.0
    length = math.sqrt(math.fsum(x * x for x in vector))
    if length == 0.0:  # no words, or words that cancel out
        vector[0] = length = 1.0
    return tuple(x / length for x in vector)


def _fits(asked: ChatInput, text: str) -> bool:
    """May `text` answer this request, as far as its form goes?"""
    if asked.tools and asked.tool_choice not in (None, "auto", "none"):
        return False
    return asked.json_schema is None or decode(text.encode("utf-8", "replace")) is not NOT_JSON


def _key(request: Request) -> bytes | None:
    """What makes two requests the same: who asks, for what; None if that has no JSON form.

    Tenant and user are part of it, so that nobody is given what another one was answered.
    """
    asks = (request.operation, request.tenant, request.user, request.model, request.input)
    try:
        parts = msgspec.json.encode(asks)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None
    return blake2b(parts, digest_size=16).digest()


def _worth_keeping(output: Output) -> bool:
    if isinstance(output, ChatOutput):
        size = len(output.text) + sum(len(call.arguments) for call in output.tool_calls)
        return output.finish_reason in ("stop", "tool_calls") and size <= ENTRY_BYTES_MAX
    if isinstance(output, EmbeddingOutput):
        return sum(map(len, output.vectors)) * 32 <= ENTRY_BYTES_MAX
    if isinstance(output, ImageOutput):
        return sum(len(image.b64 or image.url or "") for image in output.images) <= ENTRY_BYTES_MAX
    return False
