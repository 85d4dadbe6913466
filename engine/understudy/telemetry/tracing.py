"""Names of traces and spans: what comes in with `traceparent`, and what goes out with it.

The ids of a request's trace and span are digests of its id, so that whoever knows that knows them,
before the span is made and without a table: a header to a provider can be written while the request
is under way, and its span when it is over.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from hashlib import blake2b
from typing import Final

import attrs
from msgspec import Struct
from msgspec.structs import replace

from understudy.config import Config
from understudy.transport.http import HttpRequest
from understudy_actors.domain.request import Request

REMOTES_MAX: Final = 10_000
"""Requests under way whose callers brought a trace; the oldest is forgotten first."""
_FORM: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class Parent(Struct, frozen=True):
    """A caller's span."""

    trace_id: int
    span_id: int
    flags: int


def read_traceparent(header: str | None) -> Parent | None:
    """W3C's header; None if there is none that is right."""
    found = _FORM.fullmatch(header.strip()) if header is not None and len(header) < 200 else None
    if found is None or found[1] == "ff" or (found[1] == "00" and found[5]):
        return None
    parent = Parent(int(found[2], 16), int(found[3], 16), int(found[4], 16))
    return parent if parent.trace_id and parent.span_id else None


def trace_id_of(request_id: str) -> int:
    """The trace of a request whose caller brought none; never 0."""
    return _number("trace", request_id, 16)


def span_id_of(request_id: str) -> int:
    """The span of a request; never 0."""
    return _number("span", request_id, 8)


def _number(kind: str, request_id: str, size: int) -> int:
    said = f"{kind} {request_id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(said, digest_size=size).digest(), "big") or 1


@attrs.define
class Remotes:
    """Which caller's span a request belongs under, while it is under way."""

    _kept: OrderedDict[str, Parent] = attrs.field(factory=OrderedDict)

    def note(self, request_id: str, traceparent: str | None) -> None:
        """Remember what a caller brought, if it is right."""
        if (parent := read_traceparent(traceparent)) is None:
            return
        self._kept[request_id] = parent
        if len(self._kept) > REMOTES_MAX:
            self._kept.popitem(last=False)

    def take(self, request_id: str) -> Parent | None:
        """The caller's span of a request that is over; it is forgotten."""
        return self._kept.pop(request_id, None)

    def mark(self, request: Request, outgoing: HttpRequest) -> HttpRequest:
        """A request to a provider, with the trace that it belongs to."""
        if request.id is None:
            return outgoing
        parent = self._kept.get(request.id)
        trace_id = parent.trace_id if parent is not None else trace_id_of(request.id)
        flags = parent.flags if parent is not None else 1
        header = f"00-{trace_id:032x}-{span_id_of(request.id):016x}-{flags:02x}"
        return replace(outgoing, headers={**outgoing.headers, "traceparent": header})


def heard(config: Config) -> Remotes | None:
    """Where callers' traces are noted; None if nobody makes spans."""
    return Remotes() if config.otel.enabled else None
