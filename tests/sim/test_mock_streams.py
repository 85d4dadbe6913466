"""The mock streams both dialects, well and badly, and flushes each event as it is made."""

from __future__ import annotations

import json
import socket
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from tests.engine.adapters.test_streams import read, text_of
from tests.engine.adapters.wire import ANTHROPIC, OPENAI
from tests.sim.test_mock_wire import CHAT, MESSAGES, answer, provider
from understudy.adapters.base import Reply
from understudy_actors.domain.errors import ProviderError
from understudy_actors.domain.outcome import ErrorClass
from understudy_sim.mock import Behaviour, MockSettings, running_mock
from understudy_sim.mock.server import _accept

TEXT = "one two three four"
BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 99}
PATHS = [(CHAT, OPENAI), (MESSAGES, ANTHROPIC)]


def streamed(path: str, *faults: dict[str, Any], **behaviour: Any) -> bytes:
    """The whole body of a stream."""
    mock = provider(behaviour=Behaviour(**{"reply": TEXT, **behaviour}))
    mock.set_schedule(list(faults))
    return answer(mock, path, {**BODY, "stream": True}).payload


@pytest.mark.parametrize(("path", "adapter"), PATHS)
def test_each_way_to_break_a_stream_is_read_as_what_it_is(path: str, adapter: Any) -> None:
    def end(variant: str) -> tuple[str, Reply | ProviderError]:
        deltas, found = read(adapter, streamed(path, {"kind": "malformed", "variant": variant}))
        return text_of(deltas), found

    for variant in ("bad_event", "unmarked", "absurd_usage"):
        text, found = end(variant)
        assert (text, isinstance(found, Reply)) == (TEXT, True)
    for variant, kind in (("late_error", ErrorClass.SERVER), ("unfinished", ErrorClass.MALFORMED)):
        _, found = end(variant)
        assert isinstance(found, ProviderError)
        assert found.kind is kind
    body = streamed(path, {"kind": "malformed", "variant": "unfinished"})
    text = text_of(read(adapter, body)[0])
    assert 0 < len(text) < len(TEXT)
    assert TEXT.startswith(text)


@pytest.mark.parametrize(("path", "adapter"), PATHS)
def test_it_continues_refuses_or_ignores_what_it_is_given_to_continue(
    path: str, adapter: Any
) -> None:
    def said(prefill: str, **flag: bool) -> str:
        mock = provider(behaviour=Behaviour(reply="Re: {prompt} is {prompt}", prefill=prefill))  # type: ignore[arg-type]
        turns = [*BODY["messages"], {"role": "assistant", "content": "Re: hi", **flag}]  # type: ignore[misc]
        found = answer(mock, path, {**BODY, "messages": turns, "stream": True})
        return text_of(read(adapter, found.payload)[0]) if found.status == 200 else "refused"

    assert said("ignore") == "Re: hi is hi"
    assert said("continue") == " is hi"
    assert said("refuse") == said("refuse", prefix=True) == "refused"
    assert said("flag", prefix=True) == " is hi"
    assert said("flag") == "refused"


@pytest.mark.wall_clock
async def test_each_event_leaves_at_once() -> None:
    behaviour = Behaviour(reply="x " * 200)
    async with (
        running_mock(MockSettings(behaviour=behaviour)) as mock,
        httpx.AsyncClient(base_url=mock.url) as client,
    ):
        mock.control.set_schedule([{"kind": "stall", "after_bytes": 2000}])
        got = b""
        async with client.stream("POST", CHAT, json={**BODY, "stream": True}) as response:
            with trio.move_on_after(0.3):
                async for piece in response.aiter_raw():
                    got += piece
    assert len(got) == 2000  # nothing waits for what never comes
    assert json.loads(got.split(b"\n\n")[0].removeprefix(b"data: "))["choices"]


@pytest.mark.wall_clock
async def test_sockets_do_not_wait_to_fill_a_packet() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    client = await trio.open_tcp_stream("127.0.0.1", listeners[0].socket.getsockname()[1])
    served = await listeners[0].accept()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_accept, provider(), served)
        await trio.testing.wait_all_tasks_blocked()
        assert served.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        await client.aclose()
    for each in (served, listeners[0]):
        await each.aclose()
