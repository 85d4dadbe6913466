"""Responses to be read: drawn ones that are right, with what they say, and ones that are wrong."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Final

import attrs
from hypothesis import strategies as st

OK: Final = b"HTTP/1.1 200 OK\r\n"
CHUNKED: Final = OK + b"Transfer-Encoding: chunked\r\n\r\n"
_NAMES: Final = st.sampled_from(["X-A", "x-a", "x-B!#$%&'*+.^_`|~", "Via", "date"])
_VALUES: Final = st.sampled_from(
    ["", "a", "a,b", "a \t b", "chunked", "2", "~!@#$%^&*()_+ `{}|[]\\:\";'<>?,./"]
)
_BODIES: Final = st.binary(max_size=200)


@attrs.frozen
class Drawn:
    """A response as bytes, and what it says. `lasts`: its connection may be used again."""

    wire: bytes
    status: int
    headers: dict[str, str]
    body: bytes
    lasts: bool
    by_close: bool


def _chunks(draw: st.DrawFn, body: bytes) -> bytes:
    """A body in chunks of any size, with extensions and trailers."""
    wire, left = b"", body
    while left:
        size = draw(st.integers(1, len(left)))
        extension = draw(st.sampled_from([b"", b";a", b";a=b", b';a="b"']))
        digits = draw(st.sampled_from([b"%x", b"%X", b"0%x"]))
        wire += digits % size + extension + b"\r\n" + left[:size] + b"\r\n"
        left = left[size:]
    return wire + b"0\r\n" + draw(st.sampled_from([b"", b"X-Trailer: 1\r\n"])) + b"\r\n"


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    """A response that is right."""
    status = draw(st.integers(200, 599).filter(lambda s: s not in (204, 304)))
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    version = "1.1" if framing == "chunked" else draw(st.sampled_from(["1.1", "1.0"]))
    body, pairs = draw(_BODIES), draw(st.lists(st.tuples(_NAMES, _VALUES), max_size=5))
    lasts = version == "1.1" and framing != "close"
    if framing == "length":
        pairs.append((draw(st.sampled_from(["content-length", "Content-Length"])), str(len(body))))
    elif framing == "chunked":
        pairs.append(("Transfer-Encoding", draw(st.sampled_from(["chunked", "Chunked"]))))
    if draw(st.booleans()):
        pairs.append(("Connection", "close"))
        lasts = False
    elif version == "1.0" and framing == "length" and draw(st.booleans()):
        pairs.append(("Connection", "keep-alive"))
        lasts = True
    pairs = draw(st.permutations(pairs))
    interim = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    interim += draw(st.sampled_from([b"", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"]))
    head = f"HTTP/{version} {status} {draw(st.sampled_from(['OK', '', 'No such thing']))}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in pairs) + "\r\n"
    sent = _chunks(draw, body) if framing == "chunked" else body
    headers: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    wire = interim + head.encode() + sent
    return Drawn(wire, status, headers, body, lasts, framing == "close")


def cut_at(wire: bytes, places: Iterable[int]) -> list[bytes]:
    """The same bytes in pieces; none is empty."""
    edges = sorted({0, len(wire), *(place % (len(wire) + 1) for place in places)})
    return [wire[start:end] for start, end in itertools.pairwise(edges)]


PLACES: Final = st.lists(st.integers(0, 2000), max_size=12)

WRONG: Final[dict[str, bytes]] = {
    "length and chunks": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "one length twice": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
    "two lengths in one": OK + b"Content-Length: 2, 2\r\n\r\nab",
    "a length with a sign": OK + b"Content-Length: +2\r\n\r\nab",
    "a negative length": OK + b"Content-Length: -2\r\n\r\nab",
    "a length in hexadecimal": OK + b"Content-Length: 0x2\r\n\r\nab",
    "a length that is empty": OK + b"Content-Length:\r\n\r\n",
    "a length past every count": OK + b"Content-Length: 99999999999999999999\r\n\r\nab",
    "a folded header": OK + b"X-A: a\r\n b\r\nContent-Length: 2\r\n\r\nab",
    "a folded length": OK + b"Content-Length:\r\n 2\r\n\r\nab",
    "a space before the colon": OK + b"Content-Length : 2\r\n\r\nab",
    "a header without a name": OK + b": x\r\nContent-Length: 2\r\n\r\nab",
    "a header without a colon": OK + b"nothing\r\nContent-Length: 2\r\n\r\nab",
    "a bare line feed": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nab",
    "a bare carriage return": OK + b"X-A: a\rb\r\nContent-Length: 2\r\n\r\nab",
    "a zero byte": OK + b"X-A: a\0b\r\nContent-Length: 2\r\n\r\nab",
    "compressed in transfer": OK + b"Transfer-Encoding: gzip\r\n\r\nab",
    "compressed and in chunks": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "in chunks and compressed": OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "in chunks twice": OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "in chunks twice over": OK + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
    "almost in chunks": OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk size that is none": CHUNKED + b"zz\r\nab\r\n0\r\n\r\n",
    "a chunk size with a prefix": CHUNKED + b"0x2\r\nab\r\n0\r\n\r\n",
    "a chunk size with a sign": CHUNKED + b"-2\r\nab\r\n0\r\n\r\n",
    "a chunk size with a space": CHUNKED + b"2 \r\nab\r\n0\r\n\r\n",
    "a chunk size past every count": CHUNKED + b"fffffffffffffffff\r\nab\r\n0\r\n\r\n",
    "a chunk size that is empty": CHUNKED + b"\r\nab\r\n0\r\n\r\n",
    "a chunk that is longer": CHUNKED + b"2\r\nabc\r\n0\r\n\r\n",
    "a chunk that ends in line feeds": CHUNKED + b"2\nab\n0\n\n",
    "a length in the trailers": CHUNKED + b"2\r\nab\r\n0\r\nContent-Length: 9\r\n\r\n",
    "no HTTP": b"SSH-2.0-OpenSSH_9.9\r\n",
    "another protocol": b"RTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab",
    "a radio": b"ICY 200 OK\r\nContent-Length: 2\r\n\r\nab",
    "lines before it": b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
    "a version to come": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nab",
    "a version long gone": b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nab",
    "a status too short": b"HTTP/1.1 99 OK\r\nContent-Length: 2\r\n\r\nab",
    "a status too long": b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nab",
    "another protocol asked for": b"HTTP/1.1 101 O\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nab",
    "another protocol told": b"HTTP/1.1 101 Over\r\n\r\nab",
    "a body of the interim": b"HTTP/1.1 100 OK\r\nContent-Length: 2\r\n\r\nab"
    + OK
    + b"Content-Length: 2\r\n\r\nab",
}
"""Each must be refused, in whatever pieces it comes."""

ENDLESS: Final[dict[str, tuple[bytes, bytes]]] = {
    "a header": (OK + b"X-A: ", b"a" * 999),
    "headers": (OK, b"X-A: " + b"a" * 90 + b"\r\n"),
    "a reason": (b"HTTP/1.1 200 ", b"a" * 999),
    "interim responses": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "an extension": (CHUNKED + b"2;", b"a" * 999),
    "a chunk size": (CHUNKED, b"0" * 999),
    "trailers": (CHUNKED + b"2\r\nab\r\n0\r\n", b"X-A: " + b"a" * 90 + b"\r\n"),
    "a trailer": (CHUNKED + b"2\r\nab\r\n0\r\nX-A: ", b"a" * 999),
}
"""What begins a response, and what then comes again and again."""
