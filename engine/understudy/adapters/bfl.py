"""Black Forest Labs (FLUX): a task is submitted, then looked at where its answer says.

Options of a target (each optional): `body`, a mapping that is laid over every request body;
`errors`, a mapping from a status or code to an error class.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from understudy.adapters.base import Reply, Step, Target
from understudy.adapters.body import Unusable, encode, is_object, need_object, text_of
from understudy.adapters.classify import STATUSES, Rules
from understudy.adapters.family import laid_over, no_such_operation
from understudy.adapters.headers import json_headers
from understudy.adapters.jobs import JobFamily, picture_at
from understudy.adapters.pictures import base64_of, only_one, size_of
from understudy.transport.http import HttpRequest
from understudy_actors.domain import operation
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import ImageInput, Request
from understudy_actors.domain.result import ImageOutput, Usage

RULES: Final = Rules(
    codes={},
    types={},
    phrases=(),
    statuses={**STATUSES, 403: ErrorClass.AUTH},  # what it answers to a missing or wrong key
)
FAILURES: Final = {
    "Request Moderated": ErrorClass.CONTENT_POLICY,
    "Content Moderated": ErrorClass.CONTENT_POLICY,
    "Error": ErrorClass.SERVER,
    "Failed": ErrorClass.SERVER,
    "Task not found": ErrorClass.SERVER,
}
_PENDING: Final = frozenset({"Pending", "Queued", "Processing"})


class BflAdapter(JobFamily):
    """Pictures by FLUX."""

    name = "bfl"
    operations: tuple[str, ...] = (operation.IMAGE, operation.IMAGE_EDIT)
    rules = RULES
    domain = "bfl.ai"
    key_header = "x-key"
    key_prefix = ""
    forgiven = frozenset({ErrorClass.BAD_REQUEST, ErrorClass.MODEL_NOT_FOUND})

    def compose(self, request: Request, target: Target, *, stream: bool) -> HttpRequest:  # noqa: ARG002
        """The HTTP request; see `Family.compose`."""
        if not isinstance(asked := request.input, ImageInput):
            raise no_such_operation()
        headers = json_headers(target, self.key_header, self.key_prefix)
        url = f"{_root(target)}/v1/{quote(target.model)}"
        return HttpRequest("POST", url, headers, encode(laid_over(_body(asked), target)))

    def step(
        self, target: Target, asked: HttpRequest | None, document: dict[str, Any]
    ) -> Reply | Step:
        """What a task says; see `JobFamily.step`."""
        status = text_of(document.get("status"))
        if "status" not in document:
            return Step(self.looked_at(target, document.get("polling_url")))
        if status in _PENDING:
            return Step(self.looked_at(target, asked.url if asked else None))
        if (failed := FAILURES.get(status)) is not None:
            raise Unusable("the job failed", failed, words=status)
        if status != "Ready":
            raise Unusable("it is no task")
        drawn = picture_at(need_object(document.get("result"), "result").get("sample"))
        known = text_of(document.get("id"))[:128] or None
        return Reply(ImageOutput((drawn,)), Usage(images=1), known)

    def is_error(self, document: Any) -> bool:
        """A complaint in place of a task."""
        return is_object(document) and bool(document.get("error") or document.get("detail"))

    def probe(self, target: Target) -> HttpRequest:
        """The result of nobody's task: free, and refused without a valid key."""
        headers = json_headers(target, self.key_header, self.key_prefix)
        return HttpRequest("GET", f"{_root(target)}/v1/get_result?id=none", headers)


def _root(target: Target) -> str:
    return target.base_url.rstrip("/").removesuffix("/v1")


def _body(asked: ImageInput) -> dict[str, Any]:
    """With a mask the first picture is `image` (fill models), else they are `input_image...`."""
    only_one(asked)
    body: dict[str, Any] = {"prompt": asked.prompt}
    if (size := size_of(asked)) is not None:
        body["width"], body["height"] = size
    if asked.output_format is not None:
        body["output_format"] = asked.output_format
    for at, each in enumerate(asked.images, start=1):
        body["input_image" if at == 1 else f"input_image_{at}"] = base64_of(each)
    if asked.mask is not None:
        body["image"] = body.pop("input_image", None)
        body["mask"] = base64_of(asked.mask)
    return body
