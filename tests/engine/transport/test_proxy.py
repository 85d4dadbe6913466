"""Proxies are the environment's choice, and never stand before loopback."""

from __future__ import annotations

import subprocess
import sys

import pytest

from understudy.transport.proxy import is_loopback, proxy_for

PROXIES = {"https": "http://proxy:3128", "no": "internal.example, .corp,10.0.0.1:8080"}


@pytest.mark.parametrize("authority", ["localhost", "LOCALHOST:80", "127.0.0.1:8000", "[::1]:80"])
def test_loopback_is_direct(authority: str) -> None:
    assert is_loopback(authority)
    assert proxy_for("https", authority, PROXIES) is None


@pytest.mark.parametrize(
    ("scheme", "authority", "proxy"),
    [
        ("https", "api.openai.com", "http://proxy:3128"),
        ("https", "api.openai.com:443", "http://proxy:3128"),
        ("http", "api.openai.com", None),
        ("https", "internal.example", None),
        ("https", "a.internal.example:444", None),
        ("https", "notinternal.example", "http://proxy:3128"),
        ("https", "host.corp", None),
        ("https", "10.0.0.1:8080", None),
        ("https", "10.0.0.1:8081", "http://proxy:3128"),
    ],
)
def test_the_environment_names_proxies_and_exceptions(
    scheme: str, authority: str, proxy: str | None
) -> None:
    assert proxy_for(scheme, authority, PROXIES) == proxy


def test_one_proxy_may_stand_for_all_and_a_star_for_none() -> None:
    assert proxy_for("http", "a.example", {"all": "http://p"}) == "http://p"
    assert proxy_for("http", "a.example", {"all": "http://p", "no": "*"}) is None
    assert proxy_for("http", "a.example", {}) is None


def test_adapters_and_transport_are_imported_without_httpx() -> None:
    code = (
        "import sys, understudy.adapters.registry, understudy.transport.httpx_transport,"
        " understudy.transport.factory,"
        " understudy.prices;"
        " assert not {'httpx', 'email.utils', 'urllib.request'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
