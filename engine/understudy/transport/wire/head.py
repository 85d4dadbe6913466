"""The head of a request, made once for all requests that share it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from understudy.transport.http import TransportFailed

USER_AGENT: Final = "understudy"

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*", re.ASCII)
_FRAMING: Final = frozenset({"content-length", "transfer-encoding"})
"""How long the body is says the transport, and nobody else: two answers to that are an attack."""
_BODY_EXPECTED: Final = frozenset({"POST", "PUT", "PATCH"})


class Head:
    """A request without its body: `write` adds that."""

    __slots__ = ("_bare", "_framed", "method")

    def __init__(self, method: str, target: str, host: str, headers: Mapping[str, str]) -> None:
        lines = [f"{method} {target} HTTP/1.1"]
        every = {"host": host, "user-agent": USER_AGENT, "accept-encoding": "gzip"}
        every.update((name.lower(), value) for name, value in headers.items())
        for name, value in every.items():
            _check(name, value)
            lines.append(f"{name}: {value.strip()}")
        if _TOKEN.fullmatch(method) is None:
            raise TransportFailed("the method of the request is no valid HTTP", sent=False)
        head = "\r\n".join(lines).encode("ascii")
        self.method = method
        self._framed = head + b"\r\ncontent-length: "
        self._bare = head + b"\r\n\r\n"

    def __repr__(self) -> str:  # without the headers, which hold the key
        return f"<Head {self.method}, {len(self._bare)} bytes>"

    def write(self, body: bytes) -> bytes:
        """The whole request."""
        if body or self.method in _BODY_EXPECTED:
            return b"%b%d\r\n\r\n%b" % (self._framed, len(body), body)
        return self._bare


def _check(name: str, value: str) -> None:
    """Nothing but a header: no second line, no foreign letter, no word about the body's length."""
    if name in _FRAMING:
        why = f"the header {name} is the transport's own: leave it out of the configuration"
        raise TransportFailed(why, sent=False)
    if _TOKEN.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
        why = "the request is no valid HTTP: is there a foreign character in a header?"
        raise TransportFailed(why, sent=False)
