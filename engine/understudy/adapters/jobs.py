"""Providers that take a job: what their adapters share.

Where a job is looked at is told by the provider. Such an address is asked only where the provider
itself lives, since the key goes along.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Final
from urllib.parse import urlsplit

from understudy.adapters.base import Reply, Step, Target
from understudy.adapters.body import Unusable, decode, need_list, need_object, need_text
from understudy.adapters.failure import response_failure, unusable
from understudy.adapters.family import Family, body_of
from understudy.adapters.headers import json_headers
from understudy.transport.http import HttpRequest, HttpResponse
from understudy_actors.domain.errors import ProviderError
from understudy_actors.domain.request import Request
from understudy_actors.domain.result import Image, ImageOutput

_URL_CHARS_MAX: Final = 4096


class JobFamily(Family):
    """A `JobAdapter`, once `step` is there.

    Attributes:
        domain: Where its addresses may be, besides that of a target's `base_url`.
        key_header, key_prefix: Where the key goes, and what stands before it.
    """

    domain: str
    key_header: str = "authorization"
    key_prefix: str = "Bearer "

    @abstractmethod
    def step(
        self, target: Target, asked: HttpRequest | None, document: dict[str, Any]
    ) -> Reply | Step:
        """What an answer says of the job; `asked` is None if it is not known what it answers.

        Raises:
            Unusable: The job failed, or that is no answer.
        """

    def follow(
        self,
        request: Request,  # noqa: ARG002  the answers say enough
        target: Target,
        asked: HttpRequest,
        response: HttpResponse,
        wall_s: float,
    ) -> Reply | Step:
        """What the answer to `asked` says; see `JobAdapter.follow`."""
        error: ProviderError
        document = decode(response.body)
        if not 200 <= response.status < 300 or self.is_error(document):
            raise response_failure(self.rules, target, response, wall_s)
        try:
            return self.step(target, asked, body_of(document, response))
        except Unusable as problem:
            error = unusable(target, response.status, problem)
        raise error

    def read(self, request: Request, response: HttpResponse, document: Any) -> Reply:  # noqa: ARG002
        """The result, if this answer holds it; see `Family.read`."""
        found = self.step(_NOWHERE, None, body_of(document, response))
        if isinstance(found, Step):
            raise Unusable("the job is not done")
        return found

    def looked_at(self, target: Target, url: object, method: str = "GET") -> HttpRequest:
        """A request to an address of the job's.

        Raises:
            Unusable: The address is not one of the provider's own.
        """
        address = need_text(url, "a job's address")
        if not _is_own(address, target.base_url, self.domain):
            raise Unusable("a job's address is not the provider's own")
        return HttpRequest(method, address, json_headers(target, self.key_header, self.key_prefix))


_NOWHERE: Final = Target(provider="", model="", base_url="")


def _is_own(url: str, base_url: str, domain: str) -> bool:
    """Is `url` where `base_url` is, or (if that is, too) within the provider's domain?"""
    try:
        there, home = urlsplit(url), urlsplit(base_url)
        same = (there.scheme, there.hostname, there.port) == (home.scheme, home.hostname, home.port)
    except ValueError:
        return False
    if len(url) > _URL_CHARS_MAX or not url.isprintable() or there.username is not None:
        return False
    if same or not base_url:
        return True
    inside = all(f".{each.hostname or ''}".endswith(f".{domain}") for each in (there, home))
    return inside and there.scheme == "https" and there.port is None


def picture_at(url: object, media_type: str | None = None) -> Image:
    """A picture that is fetched from its address.

    Raises:
        Unusable: That is none.
    """
    address = need_text(url, "a picture's address")
    if not address.startswith(("https://", "http://")):
        raise Unusable("a picture's address is none")
    ending = urlsplit_path(address).rpartition(".")[2].lower()
    known = media_type or _MEDIA_TYPES.get(ending, "image/png")
    return Image(url=address, media_type=known)


def urlsplit_path(url: str) -> str:
    """The path of an address; empty where there is none."""
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


_MEDIA_TYPES: Final = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp"}


def pictures_in(rows: object) -> ImageOutput:
    """Pictures in the form `[{"url": ...}]`.

    Raises:
        Unusable: There is none.
    """
    listed = [need_object(row, "a picture") for row in need_list(rows, "images")]
    return ImageOutput(tuple(picture_at(row.get("url"), _kind(row)) for row in listed))


def _kind(row: dict[str, Any]) -> str | None:
    kind = row.get("content_type")
    return kind if isinstance(kind, str) and kind.startswith("image/") else None
