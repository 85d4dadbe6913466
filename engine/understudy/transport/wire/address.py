"""From a URL to whom to connect to, and what to ask for there."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlsplit

from msgspec import Struct

from understudy.transport.http import TransportFailed

PORTS: Final = {"http": 80, "https": 443}

_KEPT: Final = "/:?#[]@!$&'()*+,;=%~"
"""What stands for itself in a request target; letters, digits and `-._` do anyway."""


class Origin(Struct, frozen=True):
    """A server: `host` is a name or an address (IPv6 without brackets), in ASCII."""

    secure: bool
    host: str
    port: int

    @property
    def scheme(self) -> str:
        """`http` or `https`."""
        return "https" if self.secure else "http"

    @property
    def authority(self) -> str:
        """As the Host header says it: without the port where it is the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def split_url(url: str) -> tuple[Origin, str]:
    """The server and the request target of a URL; user, password and fragment are left out.

    Raises:
        TransportFailed: It is no URL of a server.
    """
    why = "the address is no valid URL"
    if all(" " <= character != "\x7f" for character in url):
        try:
            parts = urlsplit(url)
            host, port = _ascii(parts.hostname or ""), parts.port
        except ValueError:
            host, port = "", None
        else:
            if parts.scheme not in PORTS:
                why = "the address must begin with http:// or https://"
            elif host and port != 0:
                target = quote(parts.path or "/", safe=_KEPT)
                if parts.query:
                    target += "?" + quote(parts.query, safe=_KEPT)
                secure = parts.scheme == "https"
                return Origin(secure, host, port or PORTS[parts.scheme]), target
    raise TransportFailed(why, sent=False)


def _ascii(host: str) -> str:
    """A host name in the letters that DNS knows."""
    if " " in host:
        raise ValueError("a host has no blanks")
    if host.isascii():
        return host
    from idna import encode  # for the few who need it

    return encode(host, uts46=True).decode()
