"""`POST /v1/embeddings`: OpenAI's format of vectors as callers send and read it."""

from __future__ import annotations

import struct
from base64 import b64encode
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from understudy.gateway.asked import Asked, converted, model_of
from understudy.gateway.contract.entry import Entry
from understudy.gateway.contract.openai import EmbeddingList
from understudy.gateway.problem import Problem
from understudy.gateway.wires.openai_errors import error_body
from understudy_actors.domain import operation
from understudy_actors.domain.request import EmbeddingInput, Request
from understudy_actors.domain.result import EmbeddingOutput, Result

TEXTS_MAX: Final = 10_000


class Body(Struct):
    """The fields that are understood. Token arrays are not: targets have different tokenizers."""

    model: Annotated[str, Meta(min_length=1, max_length=512)]
    input: str | Annotated[list[str], Meta(min_length=1, max_length=TEXTS_MAX)]
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None
    understudy: Any = None


class OpenAIEmbeddings:
    """The format of embeddings."""

    operation: str = operation.EMBEDDING
    entry = Entry(
        summary="A vector for each text",
        tag="OpenAI",
        name="Embedding",
        body=Body,
        answers=(EmbeddingList,),
    )

    def read(self, body: Any) -> Asked:
        """See `Wire.read`."""
        asked = converted(body, Body)
        texts = (asked.input,) if isinstance(asked.input, str) else tuple(asked.input)
        return Asked(
            request=Request(
                operation=self.operation,
                input=EmbeddingInput(texts, asked.dimensions),
                model=model_of(asked.model),
                user=asked.user,
            ),
            model=asked.model,
            base64=asked.encoding_format == "base64",
            overrides=asked.understudy,
        )

    def answer(self, asked: Asked, result: Result, created: int) -> Any:  # noqa: ARG002
        """See `Wire.answer`."""
        output = result.output
        vectors = output.vectors if isinstance(output, EmbeddingOutput) else ()
        rows = [
            {
                "object": "embedding",
                "index": index,
                "embedding": _packed(each) if asked.base64 else each,
            }
            for index, each in enumerate(vectors)
        ]
        tokens = result.usage.input_tokens
        return {
            "object": "list",
            "data": rows,
            "model": result.model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }

    def frames(self, asked: Asked, request_id: str, created: int) -> None:  # noqa: ARG002
        """See `Wire.frames`."""
        return

    def error(self, problem: Problem) -> Any:
        """See `Wire.error`."""
        return error_body(problem)


def _packed(vector: tuple[float, ...]) -> str:
    """Little-endian 32-bit floats as base64."""
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
