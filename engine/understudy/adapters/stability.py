"""Stability AI (version 2 beta): every request is a form, and the answer is one picture.

A model is what its address ends with: `core`, `ultra`, `sd3.5-large` and the like draw; `erase`,
`inpaint`, `outpaint`, `search-and-replace`, `search-and-recolor` and `remove-background` edit.
Options of a target (each optional): `body`, a mapping that is laid over every form; `errors`, a
mapping from a code or status to an error class.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from understudy.adapters.base import Reply, Target
from understudy.adapters.body import Unusable, is_object, need_text
from understudy.adapters.classify import Rules
from understudy.adapters.family import Family, body_of, laid_over, no_such_operation
from understudy.adapters.headers import json_headers, request_id
from understudy.adapters.multipart import form
from understudy.adapters.openai_replies import image_of
from understudy.adapters.pictures import bad, only_one, ratio_of
from understudy.transport.http import HttpRequest, HttpResponse
from understudy_actors.domain import operation
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import ImageFile, ImageInput, Request
from understudy_actors.domain.result import ImageOutput, Usage

RULES: Final = Rules(
    codes={"content_moderation": ErrorClass.CONTENT_POLICY},
    types={},
    phrases=(),
)
EDITS: Final = frozenset(
    {"erase", "inpaint", "outpaint", "search-and-replace", "search-and-recolor"}
    | {"remove-background"}
)
UNPROMPTED: Final = frozenset({"erase", "remove-background", "outpaint"})
"""Edits that do without words."""
RATIOS: Final = frozenset({"16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21"})


class StabilityAdapter(Family):
    """Pictures by Stability's models."""

    name = "stability"
    operations: tuple[str, ...] = (operation.IMAGE, operation.IMAGE_EDIT)
    rules = RULES
    request_ids: tuple[str, ...] = ("x-request-id",)

    def compose(self, request: Request, target: Target, *, stream: bool) -> HttpRequest:  # noqa: ARG002
        """The HTTP request; see `Family.compose`."""
        if not isinstance(asked := request.input, ImageInput):
            raise no_such_operation()
        only_one(asked)
        path, fields = _edit(asked, target) if asked.images else _drawing(asked, target)
        headers = json_headers(target, "authorization", "Bearer ")
        headers["accept"] = "application/json"
        headers["content-type"], body = form(laid_over(fields, target), _files(asked))
        root = target.base_url.rstrip("/").removesuffix("/v2beta")
        return HttpRequest("POST", f"{root}/v2beta/stable-image/{path}", headers, body)

    def read(self, request: Request, response: HttpResponse, document: Any) -> Reply:  # noqa: ARG002
        """The reply; see `Family.read`."""
        body = body_of(document, response)
        reason = need_text(body.get("finish_reason"), "finish_reason")
        if reason == "CONTENT_FILTERED":  # a success, with a picture that is blurred
            raise Unusable("a filter withheld the picture", ErrorClass.CONTENT_POLICY)
        if reason != "SUCCESS":
            raise Unusable("it does not say that it succeeded", ErrorClass.SERVER)
        drawn = image_of(need_text(body.get("image"), "a picture"), "image/png")
        known = request_id(response.headers, self.request_ids)
        return Reply(ImageOutput((drawn,)), Usage(images=1), known)

    def is_error(self, document: Any) -> bool:
        """A complaint in place of a picture."""
        return is_object(document) and bool(document.get("errors") or document.get("error"))

    def probe(self, target: Target) -> HttpRequest:
        """The account's balance: free, and refused without a valid key."""
        root = target.base_url.rstrip("/").removesuffix("/v2beta")
        headers = json_headers(target, "authorization", "Bearer ")
        return HttpRequest("GET", f"{root}/v1/user/balance", headers)


def _drawing(asked: ImageInput, target: Target) -> tuple[str, dict[str, Any]]:
    if target.model in EDITS:
        raise bad("this model edits pictures, and there is none")
    fields: dict[str, Any] = {"prompt": asked.prompt, "output_format": asked.output_format or "png"}
    if (ratio := ratio_of(asked)) is not None:
        if ratio not in RATIOS:
            raise bad(f"a picture of {ratio} is none of {', '.join(sorted(RATIOS))}")
        fields["aspect_ratio"] = ratio
    if target.model.startswith("sd3"):
        return "generate/sd3", {**fields, "model": target.model}
    return f"generate/{quote(target.model, safe='')}", fields


def _edit(asked: ImageInput, target: Target) -> tuple[str, dict[str, Any]]:
    if len(asked.images) > 1:
        raise bad("this wire format edits one picture a request")
    if target.model not in EDITS:
        raise bad(f"models that edit pictures are {', '.join(sorted(EDITS))}")
    fields: dict[str, Any] = {"output_format": asked.output_format or "png"}
    if asked.prompt and target.model not in UNPROMPTED:
        fields["prompt"] = asked.prompt
    return f"edit/{target.model}", fields


def _files(asked: ImageInput) -> list[tuple[str, ImageFile]]:
    files = [("image", each) for each in asked.images]
    return files if asked.mask is None else [*files, ("mask", asked.mask)]
