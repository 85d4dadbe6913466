"""The mock speaks Gemini's, Cohere's and Ollama's own formats, over real sockets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.sim.test_mock_wire import StillClock
from understudy import AllAttemptsFailed, Request, StreamBroken, TextDelta, open_engine
from understudy_actors.domain.result import ChatOutput, EmbeddingOutput
from understudy_sim.mock import Behaviour, MockProvider, MockSettings, running_mock
from understudy_sim.mock.native_requests import native_route

pytestmark = pytest.mark.wall_clock
KEY = "k3y-0f-the-m0ck"
HELLO = "Hello to you, from far away."
BASES = {"gemini": "/v1beta", "cohere": "", "ollama-native": ""}


def configured(kind: str, url: str) -> dict[str, Any]:
    provider = {
        "kind": kind,
        "base_url": url + BASES[kind],
        "key": "env:KEY",
        "models": [{"name": "chat-1"}, {"name": "embed-1", "operations": ["embedding"]}],
        "price": {"input": 1, "output": 2},
    }
    return {"providers": {"p": provider}, "log": {"level": "off"}}


def running(**more: Any) -> Any:
    behaviour = Behaviour(reply=HELLO)
    return running_mock(MockSettings(key=KEY, behaviour=behaviour, **more))


@pytest.mark.parametrize("kind", BASES)
async def test_chats_streams_and_vectors_come_over_a_socket(kind: str) -> None:
    async with (
        running() as mock,
        open_engine(configured(kind, mock.url), environ={"KEY": KEY}) as engine,
    ):
        said = await engine.route(Request.chat("Hi there!", system="Be brief."))
        assert said.text == HELLO
        assert said.usage.output_tokens == 7
        assert said.cost_usd
        short = await engine.route(Request.chat("Hi there!", max_tokens=2))
        assert short.output == ChatOutput(HELLO[:8], "length")
        async with engine.stream(Request.chat("Hi there!")) as stream:
            deltas = [delta async for delta in stream]
        text = "".join(each.text for each in deltas if isinstance(each, TextDelta))
        assert text == HELLO
        assert len(deltas) > 3
        assert stream.result().usage.output_tokens == 7
        vectors = await engine.route(Request.embed("a", "b", "a", dimensions=4))
        assert isinstance(vectors.output, EmbeddingOutput)
        one, other, again = vectors.output.vectors
        assert one == again != other
        assert len(one) == 4


@pytest.mark.parametrize("kind", BASES)
async def test_each_provider_can_be_checked_for_free(kind: str) -> None:
    async with (
        running(models=("chat-1",)) as mock,
        open_engine(configured(kind, mock.url), environ={"KEY": KEY}) as engine,
    ):
        report = await engine.test_provider("p/chat-1")
        assert report[0].ok


FAULTS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "rate": ({"kind": "rate_limit", "retry_after": 3}, {"rate_limit"}),
    "busy": ({"kind": "status", "statuses": [503]}, {"overloaded", "server"}),
    "money": ({"kind": "credit", "variant": "hard"}, {"quota"}),
    "key": ({"kind": "auth"}, {"auth"}),
    "long": ({"kind": "context_length"}, {"context_length"}),
    "model": ({"kind": "model_not_found"}, {"model_not_found"}),
    "slow": ({"kind": "status", "statuses": [504]}, {"timeout"}),
    "html": ({"kind": "malformed", "variant": "html"}, {"malformed"}),
    "cut": ({"kind": "malformed", "variant": "truncated_json"}, {"malformed"}),
    "error": ({"kind": "malformed", "variant": "error_in_200"}, {"malformed", "server"}),
    "reset": ({"kind": "reset"}, {"reset"}),
}


@pytest.mark.parametrize("kind", BASES)
async def test_every_fault_gets_its_class(kind: str) -> None:
    async with running() as mock:
        for name, (fault, expected) in FAULTS.items():
            config = configured(kind, mock.url)
            mock.control.set_schedule([fault])
            async with open_engine(config, environ={"KEY": KEY}) as engine:
                with pytest.raises(AllAttemptsFailed) as caught:
                    await engine.route(Request.chat("Hi there!", max_attempts=1))
            assert caught.value.attempts[0].error in expected, name


@pytest.mark.parametrize("variant", ["late_error", "unfinished"])
@pytest.mark.parametrize("kind", BASES)
async def test_a_stream_that_breaks_off_is_never_taken_for_a_whole_one(
    kind: str, variant: str
) -> None:
    async with running() as mock:
        mock.control.set_schedule([{"kind": "malformed", "variant": variant}])
        config = configured(kind, mock.url)
        async with open_engine(config, environ={"KEY": KEY}) as engine:
            with pytest.raises(StreamBroken):
                async with engine.stream(Request.chat("Hi!", max_attempts=1)) as stream:
                    async for _ in stream:
                        pass


# Without sockets


def planned(path: str, body: object) -> Any:
    mock = MockProvider(MockSettings(), StillClock())
    route = native_route(path)
    assert route is not None
    answer = mock.plan(mock.call(path, route, {}), json.dumps(body).encode()).answer
    assert answer is not None
    return answer


BAD: dict[str, Callable[[], object]] = {
    "/v2/chat": lambda: {"model": "m", "messages": []},
    "/v2/embed": lambda: {"model": "m", "texts": ["a"]},
    "/api/chat": lambda: {"model": "", "messages": [{"role": "user", "content": "x"}]},
    "/api/embed": lambda: {"model": "m"},
    "/v1beta/models/m:generateContent": lambda: {"contents": []},
    "/v1/models/m:batchEmbedContents": lambda: {"requests": [{"content": 7}]},
}


@pytest.mark.parametrize("path", BAD)
def test_a_request_that_is_none_is_refused_in_its_own_format(path: str) -> None:
    assert planned(path, BAD[path]()).status == 400
    assert planned(path, 7).status == 400


def test_a_model_may_stand_in_the_path() -> None:
    route = native_route("/v1beta/models/a%2Fb:streamGenerateContent")
    assert route is not None
    assert (route.model, route.stream) == ("a/b", True)
    assert native_route("/v1beta/models/m:juggle") is None
    assert native_route("/v3/chat") is None


def test_ollama_streams_unless_told_not_to() -> None:
    turns = [{"role": "user", "content": "x"}]
    assert planned("/api/chat", {"model": "m", "messages": turns}).frames
    assert not planned("/api/chat", {"model": "m", "messages": turns, "stream": False}).frames
