"""`POST /v1/images/generations`: OpenAI's format of pictures as callers send and read it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from understudy.gateway.asked import Asked, converted, model_of, others
from understudy.gateway.contract.entry import Entry
from understudy.gateway.contract.openai import Pictures
from understudy.gateway.problem import Problem, Refused
from understudy.gateway.wires.openai_errors import error_body
from understudy_actors.domain import operation
from understudy_actors.domain.request import ImageInput, Request
from understudy_actors.domain.result import Image, ImageOutput, Result


class Body(Struct):
    """The fields that are understood."""

    model: Annotated[str, Meta(min_length=1, max_length=512)]
    prompt: Annotated[str, Meta(min_length=1)]
    n: Annotated[int, Meta(ge=1, le=16)] | None = None
    size: str | None = None
    quality: str | None = None
    output_format: str | None = None
    response_format: Literal["url", "b64_json"] | None = None
    stream: bool | None = None
    user: str | None = None
    understudy: Any = None


class OpenAIImages:
    """The format of pictures."""

    operation: str = operation.IMAGE
    entry = Entry(
        summary="Draw pictures", tag="OpenAI", name="Image", body=Body, answers=(Pictures,)
    )

    def read(self, body: Any) -> Asked:
        """See `Wire.read`."""
        asked = converted(body, Body)
        if asked.stream:
            raise Refused("stream: pictures come whole here, so false", param="stream")
        others(body, Body, ("partial_images",))
        picture = ImageInput(
            asked.prompt, asked.n or 1, asked.size, asked.quality, asked.output_format
        )
        return Asked(
            request=Request(
                operation=self.operation,
                input=picture,
                model=model_of(asked.model),
                user=asked.user,
            ),
            model=asked.model,
            overrides=asked.understudy,
        )

    def answer(self, asked: Asked, result: Result, created: int) -> Any:  # noqa: ARG002
        """See `Wire.answer`."""
        return drawn(result, created)

    def frames(self, asked: Asked, request_id: str, created: int) -> None:  # noqa: ARG002
        """See `Wire.frames`."""
        return

    def error(self, problem: Problem) -> Any:
        """See `Wire.error`."""
        return error_body(problem)


def drawn(result: Result, created: int) -> dict[str, Any]:
    """Pictures in this format, whether drawn or edited."""
    output, usage = result.output, result.usage
    pictures = output.images if isinstance(output, ImageOutput) else ()
    told: dict[str, Any] = {"created": created, "data": [_picture(each) for each in pictures]}
    if usage.total_tokens and not usage.estimated:
        seen = min(usage.image_tokens, usage.input_tokens)
        told["usage"] = {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "total_tokens": usage.total_tokens,
            "input_tokens_details": {
                "text_tokens": usage.input_tokens - seen,
                "image_tokens": seen,
            },
        }
    return told


def _picture(image: Image) -> dict[str, Any]:
    return {"url": image.url} if image.b64 is None else {"b64_json": image.b64}
