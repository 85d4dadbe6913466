"""Replicate: a prediction is submitted, then looked at until it is done.

A model is `owner/name`, or `owner/name:version` for one of the community's. What a model takes is
its own affair, so a target's options (each optional) say how it differs: `input`, a mapping that is
laid over every input; `image_field` and `mask_field`, what it calls a picture to be edited and its
mask; `body`, a mapping that is laid over every request body; `errors`, a mapping from a status or
code to an error class.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from understudy.adapters.base import Reply, Step, Target
from understudy.adapters.body import Unusable, encode, is_object, text_of
from understudy.adapters.classify import Phrase, Rules
from understudy.adapters.family import laid_over, no_such_operation
from understudy.adapters.headers import json_headers
from understudy.adapters.jobs import JobFamily, picture_at
from understudy.adapters.pictures import bad, data_url, ratio_of
from understudy.transport.http import HttpRequest
from understudy_actors.domain import operation
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import ImageInput, Request
from understudy_actors.domain.result import ImageOutput, Usage

RULES: Final = Rules(
    codes={},
    types={},
    phrases=(Phrase(ErrorClass.CONTENT_POLICY, frozenset({400, 422}), ("nsfw",)),),
)
WAIT_S: Final = 5
"""It may hold the first answer back for so long, which spares looking at quick jobs."""

_RUNNING: Final = frozenset({"starting", "processing", "queued"})
_REFUSED: Final = ("nsfw", "sensitive", "flagged")


class ReplicateAdapter(JobFamily):
    """Pictures by Replicate's models."""

    name = "replicate"
    operations: tuple[str, ...] = (operation.IMAGE, operation.IMAGE_EDIT)
    rules = RULES
    domain = "replicate.com"

    def compose(self, request: Request, target: Target, *, stream: bool) -> HttpRequest:  # noqa: ARG002
        """The HTTP request; see `Family.compose`."""
        if not isinstance(asked := request.input, ImageInput):
            raise no_such_operation()
        body: dict[str, Any] = {"input": _input(asked, target)}
        name, _, version = target.model.partition(":")
        path = f"/models/{quote(name)}/predictions"
        if version:
            path, body["version"] = "/predictions", version
        headers = json_headers(target, self.key_header, self.key_prefix)
        headers.setdefault("prefer", f"wait={WAIT_S}")
        url = target.base_url.rstrip("/") + path
        return HttpRequest("POST", url, headers, encode(laid_over(body, target)))

    def step(
        self, target: Target, asked: HttpRequest | None, document: dict[str, Any]
    ) -> Reply | Step:
        """What a prediction says; see `JobFamily.step`."""
        status = text_of(document.get("status"))
        urls = document.get("urls")
        urls = urls if is_object(urls) else {}
        if status in _RUNNING:
            cancel = self.looked_at(target, urls.get("cancel"), "POST") if asked else None
            return Step(self.looked_at(target, urls.get("get")), cancel)
        if status != "succeeded" or document.get("error"):
            raise _failure(status, text_of(document.get("error")))
        output = document.get("output")
        rows = output if isinstance(output, list) else [output]
        if not rows:
            raise Unusable("it holds no picture")
        drawn = ImageOutput(tuple(picture_at(each) for each in rows))
        return Reply(drawn, Usage(images=len(rows)), text_of(document.get("id"))[:128] or None)

    def is_error(self, document: Any) -> bool:
        """A problem in place of a prediction, whose status is a word."""
        if not is_object(document) or isinstance(document.get("status"), str):
            return False
        return bool(document.get("error") or document.get("detail"))

    def probe(self, target: Target) -> HttpRequest:
        """The account: free, and refused without a valid key."""
        headers = json_headers(target, self.key_header, self.key_prefix)
        return HttpRequest("GET", target.base_url.rstrip("/") + "/account", headers)


def _input(asked: ImageInput, target: Target) -> dict[str, Any]:
    options = target.options
    body: dict[str, Any] = {"prompt": asked.prompt}
    if asked.n != 1:
        body["num_outputs"] = asked.n
    if (ratio := ratio_of(asked)) is not None:
        body["aspect_ratio"] = ratio
    if asked.output_format is not None:
        body["output_format"] = asked.output_format
    if len(asked.images) > 1:
        raise bad("this wire format edits one picture a request")
    if asked.images:
        body[str(options.get("image_field", "image"))] = data_url(asked.images[0])
    if asked.mask is not None:
        body[str(options.get("mask_field", "mask"))] = data_url(asked.mask)
    own = options.get("input")
    return {**body, **own} if is_object(own) else body


def _failure(status: str, words: str) -> Unusable:
    if status == "failed" and any(each in words.lower() for each in _REFUSED):
        return Unusable("the content was refused", ErrorClass.CONTENT_POLICY, words=words)
    if status in ("canceled", "aborted"):
        return Unusable("the job was cancelled", ErrorClass.SERVER, words=words)
    if status == "failed":
        return Unusable("the job failed", ErrorClass.SERVER, words=words)
    return Unusable("it is no prediction", words=words)
