"""Reaching a server: every address of it in turn (RFC 8305), then TLS, within one time limit."""

from __future__ import annotations

import socket
import ssl
from typing import Final

import trio

from understudy.transport.http import TransportFailed
from understudy.transport.wire.address import Origin
from understudy.transport.wire.line import Line, PlainLine, TlsLine

ALPN: Final = ["http/1.1"]


def tls_context() -> ssl.SSLContext:
    """A context that trusts whom certifi trusts, or SSL_CERT_FILE and SSL_CERT_DIR name."""
    import os

    import certifi

    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        context = ssl.create_default_context(
            cafile=os.environ.get("SSL_CERT_FILE") or None,
            capath=os.environ.get("SSL_CERT_DIR") or None,
        )
    else:
        context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(ALPN)
    return context


async def reach(origin: Origin, timeout_s: float, tls: ssl.SSLContext | None) -> Line:
    """A new connection; `tls` is needed where the origin is secure.

    Raises:
        TransportFailed: There is none, or the server does not prove who it is.
    """
    failed = TransportFailed("no connection came about in time", sent=False)
    with trio.move_on_after(timeout_s):
        try:
            stream = await trio.open_tcp_stream(origin.host, origin.port)
            return _plain(stream) if tls is None else await _secured(stream, origin.host, tls)
        except (OSError, trio.BrokenResourceError, UnicodeError, ValueError) as error:
            failed = _failed(error)
    # Raised out here, so that no foreign exception hangs on it as its context.
    raise failed


def _plain(stream: trio.SocketStream) -> PlainLine:
    """The bare socket, without trio's wrappers; TCP_NODELAY stays set."""
    bare = socket.socket(fileno=stream.socket.detach())
    bare.setblocking(False)
    return PlainLine(bare)


async def _secured(stream: trio.SocketStream, host: str, tls: ssl.SSLContext) -> TlsLine:
    """Shake hands. An end without its notice is an error: a body may not be cut by a stranger."""
    secured = trio.SSLStream(stream, tls, server_hostname=host, https_compatible=False)
    try:
        await secured.do_handshake()
    except BaseException:
        stream.socket.close()
        raise
    return TlsLine(secured)


def _failed(error: BaseException) -> TransportFailed:
    told = "no connection could be made"
    cause: BaseException | None = error
    for _ in range(8):
        if isinstance(cause, ssl.SSLCertVerificationError):
            told = f"{told}: the certificate does not hold ({cause.verify_message})"
        cause = None if cause is None else cause.__cause__ or cause.__context__
    return TransportFailed(told, sent=False)
