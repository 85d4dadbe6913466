"""`POST /v1/images/edits`: pictures made from others, asked for with a form."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from understudy.adapters.body import NOT_JSON, decode
from understudy.gateway.asked import Asked, converted, model_of
from understudy.gateway.contract.entry import REFUSALS, Entry
from understudy.gateway.contract.openai import Pictures
from understudy.gateway.overrides import of_texts
from understudy.gateway.problem import Problem, Refused
from understudy.gateway.wires.openai_errors import error_body
from understudy.gateway.wires.openai_images import drawn
from understudy_actors.domain import operation
from understudy_actors.domain.request import IMAGES_MAX, ImageFile, ImageInput, Request
from understudy_actors.domain.result import Result


class Form(Struct):
    """The fields that are understood; `image` comes once, or several times as `image[]`."""

    model: Annotated[str, Meta(min_length=1, max_length=512)]
    prompt: Annotated[str, Meta(min_length=1, max_length=32_000)]
    image: Annotated[list[ImageFile], Meta(min_length=1, max_length=IMAGES_MAX)]
    mask: Annotated[list[ImageFile], Meta(min_length=1, max_length=1)] | None = None
    n: Annotated[int, Meta(ge=1, le=16)] | None = None
    size: str | None = None
    quality: str | None = None
    output_format: str | None = None
    response_format: Literal["url", "b64_json"] | None = None
    stream: bool | None = None
    user: str | None = None
    understudy: str | dict[str, str] | None = None


class OpenAIEdits:
    """The format of edited pictures."""

    operation: str = operation.IMAGE_EDIT
    entry = Entry(
        summary="Draw pictures that start from others",
        tag="OpenAI",
        name="Edit",
        body=Form,
        form=True,
        answers=(Pictures,),
        refusals=(*REFUSALS, 415),
    )

    def read(self, body: Any) -> Asked:
        """See `Wire.read`."""
        asked = converted(body, Form, texts=True)
        if asked.stream:
            raise Refused("stream: pictures come whole here, so false", param="stream")
        edit = ImageInput(
            asked.prompt,
            asked.n or 1,
            asked.size,
            asked.quality,
            asked.output_format,
            tuple(asked.image),
            asked.mask[0] if asked.mask else None,
        )
        return Asked(
            request=Request(
                operation=self.operation, input=edit, model=model_of(asked.model), user=asked.user
            ),
            model=asked.model,
            overrides=_table(asked.understudy),
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


def _table(given: str | dict[str, str] | None) -> Any:
    """The caller's conditions: JSON in one field, or a field for each."""
    if not isinstance(given, str):
        return None if given is None else of_texts(given)
    if (table := decode(given.encode("utf-8", "replace"))) is NOT_JSON:
        raise Refused("understudy: expected a JSON object", param="understudy")
    return table
