"""Which proxy the environment wants for an address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_LOOPBACK: Final = ("localhost", "127.", "[::1]")


def is_loopback(authority: str) -> bool:
    """Is this host (with or without a port) this machine itself?"""
    return authority.lower().startswith(_LOOPBACK)


def proxy_for(scheme: str, authority: str, proxies: Mapping[str, str] | None = None) -> str | None:
    """The proxy for an origin; None for loopback, where `no_proxy` excludes it, or if none is set.

    Args:
        scheme: `http` or `https`.
        authority: Host, with a port or without.
        proxies: By default what `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` say, under
            the names `http`, `https`, `all` and `no`.
    """
    if is_loopback(authority):
        return None
    if proxies is None:
        from urllib.request import getproxies  # slow to import

        proxies = getproxies()
    if _excluded(authority.lower(), proxies.get("no", "")):
        return None
    return proxies.get(scheme) or proxies.get("all")


def _excluded(authority: str, no_proxy: str) -> bool:
    """Does `no_proxy` name this host, a domain above it, or everything?"""
    host = authority.rpartition(":")[0] or authority
    for entry in no_proxy.lower().split(","):
        name = entry.strip().lstrip(".")
        if name == "*" or (name and name in (host, authority)):
            return True
        if name and (host.endswith(f".{name}") or authority.endswith(f".{name}")):
            return True
    return False
