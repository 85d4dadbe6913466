"""Reads responses from bytes, whatever pieces these come in. Pure: it knows no socket.

The grammar is llhttp's, in its strict mode: it refuses two lengths, a length beside chunks, folded
headers, bare line feeds, and sizes that are none. What it leaves open is decided here: who speaks
another version or an encoding of transfer that nobody asked for is refused as well, a body that
ends with its connection is whole only where nothing else says how long it is, and whatever follows
an answer condemns the connection that it came on.
"""

from __future__ import annotations

from typing import Final, NoReturn

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

BARREN_BYTES_MAX: Final = 65_536
"""Bytes that may come without one of the body: the head with all that precedes it (1xx), sizes and
extensions of chunks, trailers. Servers send 8 KiB of headers at most, some 32."""

_MAGIC: Final = b"HTTP/"
_VERSIONS: Final = ("1.1", "1.0")
_SWITCHING: Final = 101
_BODILESS: Final = (204, 304)


class NoHttp(Exception):
    """What came is no response; says why, in words that hold nothing of what came."""


class Answer:
    """The response under way on one connection; `begin` makes it ready for the next one.

    Attributes:
        status: Its status; 0 until the head is there.
        headers: Names in lower case; values of a repeated one joined by commas.
        pieces: The body, as far as it is here and nobody took it.
        size: Bytes of the body so far.
        declared: Its length, where one is told; -1 elsewhere.
        headed: The head is there.
        done: All of it is there.
    """

    __slots__ = (
        "_barren",
        "_first",
        "_interim",
        "_lasts",
        "_method",
        "_parser",
        "_surplus",
        "_why",
        "declared",
        "done",
        "headed",
        "headers",
        "pieces",
        "size",
        "status",
    )

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._method = ""
        self._surplus = False
        self.begin("GET")

    def __repr__(self) -> str:
        state = "whole" if self.done else "open" if self.headed else "awaited"
        return f"<Answer {self.status or '???'}, {self.size} bytes, {state}>"

    def begin(self, method: str) -> None:
        """Await the answer to a request with this method."""
        if self._method == "HEAD":
            self._parser = HttpResponseParser(self)  # this one still waits for the body
        self._method = method
        self._first = b""
        self._why = ""
        self._barren = self.status = self.size = 0
        self._interim = self._lasts = self._surplus = self.headed = self.done = False
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []
        self.declared = -1

    @property
    def reusable(self) -> bool:
        """May another request follow on this connection?"""
        return self.done and self._lasts and not self._surplus

    def feed(self, data: bytes) -> None:
        """Take what arrived; nothing says that the connection has ended.

        Raises:
            NoHttp: It is no response, or it was cut.
        """
        if not data:
            self._ended()
            return
        if len(self._first) < len(_MAGIC):
            self._first += data[: len(_MAGIC)]
            if not _MAGIC.startswith(self._first[: len(_MAGIC)]):
                self._refuse("it does not begin as a response does")
        self._barren += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if self.done:
                self._surplus = True
            else:
                self._why = self._why or str(error)
        if self._why:
            self._refuse(self._why)
        if self._barren > BARREN_BYTES_MAX and not self.done:
            self._refuse(f"{BARREN_BYTES_MAX} bytes came without one of the body")

    def take(self) -> bytes:
        """The body as far as it is here; it is the caller's now."""
        pieces, self.pieces = self.pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _ended(self) -> None:
        if self.done:
            self._surplus = True
        elif self.headed and self._ends_with_connection():
            self.done = True
        else:
            self._refuse("the connection was closed before a whole answer was there")

    def _refuse(self, why: str) -> NoReturn:
        self.done = False  # the parser may have gone on to its end
        raise NoHttp(why)

    def _ends_with_connection(self) -> bool:
        return self.declared < 0 and "transfer-encoding" not in self.headers

    # What the parser calls

    def on_message_begin(self) -> None:
        """Another response begins: after an interim one the awaited one, else one too many."""
        if self.done:
            self._surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; trailers come here as well and are dropped."""
        if self.headed:
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers = self.headers
        headers[key] = text if key not in headers else f"{headers[key]}, {text}"

    def on_headers_complete(self) -> None:
        """The head is there."""
        if self.done:
            return
        parser, headers = self._parser, self.headers
        status = parser.get_status_code()
        if status < 200:
            self._interim = True
            self.headers = {}
            if status == _SWITCHING:
                self._why = "it switches to a protocol that nobody asked for"
            return
        version = parser.get_http_version()
        if version not in _VERSIONS:
            self._why = "its version of HTTP is none of ours"
        elif (coding := headers.get("transfer-encoding")) is not None:
            if coding.lower() != "chunked" or version != "1.1":
                self._why = "its transfer encoding is none that was asked for"
        elif (length := headers.get("content-length")) is not None:
            self.declared = int(length)
        self.status, self.headed = status, True
        self._lasts = parser.should_keep_alive()
        if self._method == "HEAD" or status in _BODILESS:
            self.declared, self.done = -1, True

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self.done:
            self._surplus = True
            return
        self._barren = 0
        self.size += len(body)
        self.pieces.append(body)

    def on_message_complete(self) -> None:
        """Its end."""
        if self._interim:
            self._interim = False
        else:
            self.done = True
