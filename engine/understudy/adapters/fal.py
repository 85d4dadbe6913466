"""fal: a request waits in a queue, and is looked at until its result is there.

Options of a target (each optional): `body`, a mapping that is laid over every request body;
`image_field` and `mask_field`, what a model calls the address of a picture to be edited and of its
mask; `errors`, a mapping from a code or status to an error class.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from understudy.adapters.base import Reply, Step, Target
from understudy.adapters.body import Unusable, encode, is_object, text_of
from understudy.adapters.classify import Phrase, Rules
from understudy.adapters.family import laid_over, no_such_operation
from understudy.adapters.headers import json_headers
from understudy.adapters.jobs import JobFamily, pictures_in
from understudy.adapters.pictures import bad, data_url, size_of
from understudy.transport.http import HttpRequest
from understudy_actors.domain import operation
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import ImageInput, Request
from understudy_actors.domain.result import Usage

CODES: Final = {
    "content_policy_violation": ErrorClass.CONTENT_POLICY,
    "request_timeout": ErrorClass.TIMEOUT,
    "startup_timeout": ErrorClass.TIMEOUT,
    "generation_timeout": ErrorClass.TIMEOUT,
    "runner_scheduling_failure": ErrorClass.OVERLOADED,
}
RULES: Final = Rules(
    codes=CODES,
    types=CODES,
    phrases=(Phrase(ErrorClass.QUOTA, frozenset({403}), ("exhausted balance",)),),
)
_WAITING: Final = frozenset({"IN_QUEUE", "IN_PROGRESS"})
_NOBODYS: Final = "00000000-0000-0000-0000-000000000000"


class FalAdapter(JobFamily):
    """Pictures by fal's models."""

    name = "fal"
    operations: tuple[str, ...] = (operation.IMAGE, operation.IMAGE_EDIT)
    rules = RULES
    domain = "fal.run"
    key_prefix = "Key "
    forgiven = frozenset({ErrorClass.BAD_REQUEST, ErrorClass.MODEL_NOT_FOUND})

    def compose(self, request: Request, target: Target, *, stream: bool) -> HttpRequest:  # noqa: ARG002
        """The HTTP request; see `Family.compose`."""
        if not isinstance(asked := request.input, ImageInput):
            raise no_such_operation()
        body = laid_over(_body(asked, target), target)
        headers = json_headers(target, self.key_header, self.key_prefix)
        url = f"{target.base_url.rstrip('/')}/{quote(target.model)}"
        return HttpRequest("POST", url, headers, encode(body))

    def step(
        self, target: Target, asked: HttpRequest | None, document: dict[str, Any]
    ) -> Reply | Step:
        """What the queue or a model says; see `JobFamily.step`."""
        status = text_of(document.get("status"))
        if status in _WAITING:
            cancel = self.looked_at(target, document.get("cancel_url"), "PUT") if asked else None
            return Step(self.looked_at(target, document.get("status_url")), cancel)
        if status == "COMPLETED":
            if document.get("error"):
                kind = CODES.get(text_of(document.get("error_type")), ErrorClass.SERVER)
                raise Unusable("the job failed", kind, words=text_of(document.get("error")))
            return Step(self.looked_at(target, document.get("response_url")), at_once=True)
        unsafe = document.get("has_nsfw_concepts")
        if isinstance(unsafe, list) and any(each is True for each in unsafe):
            raise Unusable("the picture was withheld", ErrorClass.CONTENT_POLICY)
        rows = document.get("images")
        drawn = pictures_in([document.get("image")] if rows is None else rows)
        return Reply(drawn, Usage(images=len(drawn.images)))

    def is_error(self, document: Any) -> bool:
        """A complaint in place of a status or a result."""
        if not is_object(document) or isinstance(document.get("status"), str):
            return False
        return bool(document.get("error") or document.get("detail"))

    def probe(self, target: Target) -> HttpRequest:
        """The status of nobody's request: free, and refused without a valid key."""
        owner_and_alias = "/".join(target.model.split("/")[:2])
        path = f"/{quote(owner_and_alias)}/requests/{_NOBODYS}/status"
        headers = json_headers(target, self.key_header, self.key_prefix)
        return HttpRequest("GET", target.base_url.rstrip("/") + path, headers)


def _body(asked: ImageInput, target: Target) -> dict[str, Any]:
    options = target.options
    body: dict[str, Any] = {"prompt": asked.prompt, "num_images": asked.n}
    if (size := size_of(asked)) is not None:
        body["image_size"] = {"width": size[0], "height": size[1]}
    if asked.output_format is not None:
        body["output_format"] = asked.output_format
    if len(asked.images) > 1:
        raise bad("this wire format edits one picture a request")
    if asked.images:
        body[str(options.get("image_field", "image_url"))] = data_url(asked.images[0])
    if asked.mask is not None:
        body[str(options.get("mask_field", "mask_url"))] = data_url(asked.mask)
    return body
