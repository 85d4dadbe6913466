"""What adapters of one family need not say again: the order of steps, and where errors arise.

A family composes a request, reads a good answer, and says what a free check is. Everything else
follows: statuses, error bodies in a success, keys that no header can carry.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from understudy.adapters.base import Reply, Target
from understudy.adapters.body import NOT_JSON, Unusable, decode
from understudy.adapters.classify import Rules
from understudy.adapters.failure import response_failure, unusable
from understudy.adapters.headers import request_id
from understudy.adapters.limits import UNSAID, RateHeaders
from understudy.adapters.sse import SseParser
from understudy.adapters.streaming import Dialect, Parser, StreamReader
from understudy.transport.http import HttpRequest, HttpResponse
from understudy_actors.domain.errors import ProviderError
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import Request


class Family(ABC):
    """A `WireAdapter`, once the three methods of its format are there.

    Attributes:
        rules: What its errors mean.
        limits: How it speaks of its limits a minute.
        request_ids: Headers that hold its own id of a request.
        forgiven: Errors of a check that say nothing against address and key.
    """

    name: str
    operations: tuple[str, ...]
    rules: Rules
    limits: RateHeaders = UNSAID
    request_ids: tuple[str, ...] = ()
    forgiven: frozenset[ErrorClass] = frozenset()

    @abstractmethod
    def compose(self, request: Request, target: Target, *, stream: bool) -> HttpRequest:
        """The HTTP request.

        Raises:
            Unusable: This format cannot express it.
        """

    @abstractmethod
    def read(self, request: Request, response: HttpResponse, document: Any) -> Reply:
        """The reply inside a response with a success status; `document` is its body.

        Raises:
            Unusable: There is none.
        """

    @abstractmethod
    def probe(self, target: Target) -> HttpRequest:
        """A free request that a wrong key fails.

        Raises:
            Unusable: The key cannot be sent.
        """

    def is_error(self, document: Any) -> bool:
        """Is this body an error, whatever the status says?"""
        return isinstance(document, dict) and bool(document.get("error"))

    def build(self, request: Request, target: Target) -> HttpRequest:
        """The HTTP request; see `WireAdapter.build`."""
        return self._built(request, target, stream=False)

    def parse(
        self, request: Request, target: Target, response: HttpResponse, wall_s: float
    ) -> Reply:
        """The reply; see `WireAdapter.parse`."""
        if not 200 <= response.status < 300:
            raise response_failure(self.rules, target, response, wall_s)
        document = decode(response.body)
        if self.is_error(document):
            raise response_failure(self.rules, target, response, wall_s)
        try:
            return self.read(request, response, document)
        except Unusable as problem:
            error = unusable(target, response.status, problem)
        raise error

    def check(self, target: Target) -> HttpRequest:
        """A free request; see `WireAdapter.check`.

        Raises:
            ProviderError: (AUTH) No header can carry the key.
        """
        try:
            return self.probe(target)
        except Unusable as problem:
            error = unusable(target, None, problem)
        raise error

    def check_failure(
        self, target: Target, response: HttpResponse, wall_s: float
    ) -> ProviderError | None:
        """What is wrong according to the answer to `check`; None if nothing is."""
        if 200 <= response.status < 300 and not self.is_error(decode(response.body)):
            return None
        failed = response_failure(self.rules, target, response, wall_s)
        return None if failed.kind in self.forgiven else failed

    def _built(self, request: Request, target: Target, *, stream: bool) -> HttpRequest:
        try:
            return self.compose(request, target, stream=stream)
        except Unusable as problem:
            error = unusable(target, None, problem)
        raise error


class StreamingFamily(Family):
    """A `StreamingAdapter` as well."""

    parser: Callable[[], Parser] = SseParser
    """What finds the events in the bytes of a stream."""

    @abstractmethod
    def events(self) -> Dialect:
        """What the events of one streamed answer mean."""

    def build_stream(self, request: Request, target: Target) -> HttpRequest:
        """The HTTP request that asks for a stream; see `StreamingAdapter.build_stream`."""
        return self._built(request, target, stream=True)

    def reader(self, target: Target, headers: Mapping[str, str], wall_s: float) -> StreamReader:
        """What reads a streamed answer."""
        known = request_id(headers, self.request_ids)
        events, parser = self.events(), type(self).parser()
        return StreamReader(events, target, headers, wall_s, request_id=known, parser=parser)


def no_such_operation() -> Unusable:
    """The complaint about a request that a format has no words for."""
    return Unusable("this wire format has no such operation", ErrorClass.BAD_REQUEST)


def body_of(document: Any, response: HttpResponse) -> dict[str, Any]:
    """A body that is a JSON object.

    Raises:
        Unusable: It is none.
    """
    if document is NOT_JSON:
        raise Unusable("the body is empty" if not response.body.strip() else "it is no JSON")
    if not isinstance(document, dict):
        raise Unusable("the body is no object")
    return document


def laid_over(body: dict[str, Any], target: Target) -> dict[str, Any]:
    """`body`, under what the target's option `body` lays over every body."""
    extra = target.options.get("body")
    return {**body, **extra} if isinstance(extra, dict) else body
