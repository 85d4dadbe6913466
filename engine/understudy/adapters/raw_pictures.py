"""Providers that answer with the bytes of one picture: Pollinations and Hugging Face.

Options of a target (each optional): `path`, what stands before the prompt in Pollinations'
addresses (`image` with a key, `prompt` at its older, keyless host); `body`, a mapping that is laid
over Hugging Face's request body, or over what Pollinations is asked for; `errors`, a mapping from a
code or status to an error class.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote, urlencode

from understudy.adapters.base import Reply, Target
from understudy.adapters.body import Unusable, encode
from understudy.adapters.classify import Phrase, Rules
from understudy.adapters.family import Family, laid_over, no_such_operation
from understudy.adapters.headers import json_headers, request_id
from understudy.adapters.pictures import only_drawn, only_one, picture_of, size_of
from understudy.transport.http import HttpRequest, HttpResponse
from understudy_actors.domain import operation
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import ImageInput, Request
from understudy_actors.domain.result import ImageOutput, Usage

POLLINATIONS: Final = Rules(
    codes={
        "unauthorized": ErrorClass.AUTH,
        "forbidden": ErrorClass.PERMISSION,
        "payment_required": ErrorClass.QUOTA,
        "rate_limited": ErrorClass.RATE_LIMIT,
    },
    types={},
    phrases=(),
)
HUGGING_FACE: Final = Rules(
    codes={"model_not_found": ErrorClass.MODEL_NOT_FOUND},
    types={"overloaded": ErrorClass.OVERLOADED},
    phrases=(Phrase(ErrorClass.OVERLOADED, frozenset({503}), ("loading",)),),
)


class RawPictures(Family):
    """One picture a request, and the answer is its file."""

    operations: tuple[str, ...] = (operation.IMAGE,)
    request_ids: tuple[str, ...] = ("x-request-id", "cf-ray")

    def read(self, request: Request, response: HttpResponse, document: Any) -> Reply:  # noqa: ARG002
        """The reply; see `Family.read`."""
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind and not kind.startswith(("image/", "application/octet-stream")):
            raise Unusable("the body is no picture")
        drawn = picture_of(response.body, kind if kind.startswith("image/") else "image/png")
        known = request_id(response.headers, self.request_ids)
        return Reply(ImageOutput((drawn,)), Usage(images=1), known)


class PollinationsAdapter(RawPictures):
    """Pictures by Pollinations. The prompt is part of the address, so nobody is shown that."""

    name = "pollinations"
    rules = POLLINATIONS

    def compose(self, request: Request, target: Target, *, stream: bool) -> HttpRequest:  # noqa: ARG002
        """The HTTP request; see `Family.compose`."""
        asked = _drawing(request)
        said = {"model": target.model, **_sizes(asked)}
        start = f"{target.base_url.rstrip('/')}/{target.options.get('path', 'image')}/"
        prompt = quote(asked.prompt.encode("utf-8", "replace"), safe="")
        url = f"{start}{prompt}?{urlencode(laid_over(said, target))}"
        headers = _without_type(target)
        return HttpRequest("GET", url, headers, shown=f"{start}...")

    def probe(self, target: Target) -> HttpRequest:
        """The list of models: free."""
        path = "/image/models" if target.options.get("path", "image") == "image" else "/models"
        return HttpRequest("GET", target.base_url.rstrip("/") + path, _without_type(target))


class HuggingFaceAdapter(RawPictures):
    """Pictures by Hugging Face's own servers."""

    name = "huggingface"
    rules = HUGGING_FACE

    def compose(self, request: Request, target: Target, *, stream: bool) -> HttpRequest:  # noqa: ARG002
        """The HTTP request; see `Family.compose`."""
        asked = _drawing(request)
        body: dict[str, Any] = {"inputs": asked.prompt}
        if sizes := _sizes(asked):
            body["parameters"] = sizes
        headers = {**json_headers(target, "authorization", "Bearer "), "accept": "image/png"}
        url = f"{target.base_url.rstrip('/')}/models/{quote(target.model)}"
        return HttpRequest("POST", url, headers, encode(laid_over(body, target)))

    def probe(self, target: Target) -> HttpRequest:
        """The router's list of models: free."""
        root = target.base_url.rstrip("/").removesuffix("/hf-inference")
        headers = json_headers(target, "authorization", "Bearer ")
        return HttpRequest("GET", f"{root}/v1/models", headers)


def _drawing(request: Request) -> ImageInput:
    if not isinstance(asked := request.input, ImageInput):
        raise no_such_operation()
    only_one(asked)
    only_drawn(asked)
    return asked


def _sizes(asked: ImageInput) -> dict[str, int]:
    size = size_of(asked)
    return {} if size is None else {"width": size[0], "height": size[1]}


def _without_type(target: Target) -> dict[str, str]:
    headers = json_headers(target, "authorization", "Bearer ")
    del headers["content-type"]
    return headers
