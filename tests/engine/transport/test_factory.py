"""Which transport a configuration gets; and that ours is had without httpx."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import trio

from tests.engine.transport.kit import post
from tests.engine.transport.server import running_server
from understudy.config import parse
from understudy.transport.factory import LazyTransport, default_transport
from understudy.transport.httpx_transport import HttpxTransport
from understudy.transport.wire.transport import WireTransport
from understudy_actors.domain.errors import ConfigError

pytestmark = pytest.mark.wall_clock


@pytest.mark.parametrize(
    ("section", "real"),
    [
        ({}, WireTransport),
        ({"http": {}}, WireTransport),
        ({"http": {"transport": "own"}}, WireTransport),
        ({"http": {"transport": "httpx"}}, HttpxTransport),
    ],
)
async def test_the_configuration_chooses(section: dict[str, Any], real: type[object]) -> None:
    transport = default_transport(parse({"providers": {"local": {"reply": "hi"}}, **section}))
    assert isinstance(transport, LazyTransport)
    async with running_server() as server:
        with trio.fail_after(10):
            assert (await transport.send("p", post(server.url("/ok")))).body == b"hello"
        assert type(transport._real) is real
        await transport.aclose()


def test_another_word_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r'`http.transport` is "curl": it must be one of own, httpx'
    ):
        parse({"providers": {"local": {"reply": "hi"}}, "http": {"transport": "curl"}})


def test_ours_is_had_without_httpx() -> None:
    code = (
        "import sys; from understudy.transport.factory import LazyTransport;"
        " LazyTransport()._open(); assert 'httpx' not in sys.modules, 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
