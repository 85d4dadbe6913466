"""Vendors' own SDKs are served by the mock: what they demand of a server, it gives."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import trio

from understudy_sim.mock import Behaviour, MockSettings, running_mock

pytestmark = pytest.mark.wall_clock
HELLO = "Hello to you."
ASKED: Any = [{"role": "user", "content": "Hi!"}]


def of_ollama(url: str) -> tuple[str, str, int]:
    sdk = pytest.importorskip("ollama")
    client = sdk.Client(host=url)
    whole = client.chat(model="m", messages=ASKED)
    pieces = [each.message.content for each in client.chat(model="m", messages=ASKED, stream=True)]
    vectors = client.embed(model="m", input=["a", "b"]).embeddings
    return whole.message.content, "".join(pieces), len(vectors)


def of_groq(url: str) -> tuple[str, str, int]:
    sdk = pytest.importorskip("groq")
    client = sdk.Groq(api_key="k", base_url=url, max_retries=0)
    whole = client.chat.completions.create(model="m", messages=ASKED)
    pieces = client.chat.completions.create(model="m", messages=ASKED, stream=True)
    text = "".join(each.choices[0].delta.content or "" for each in pieces if each.choices)
    return whole.choices[0].message.content, text, 2


def of_gemini(url: str) -> tuple[str, str, int]:
    sdk = pytest.importorskip("google.genai")
    client = sdk.Client(api_key="k", http_options={"base_url": url, "api_version": "v1beta"})
    whole = client.models.generate_content(model="m", contents="Hi!")
    pieces = client.models.generate_content_stream(model="m", contents="Hi!")
    text = "".join(each.text for each in pieces)
    vectors = client.models.embed_content(model="m", contents=["a", "b"]).embeddings
    client.close()
    return whole.text, text, len(vectors)


def of_cohere(url: str) -> tuple[str, str, int]:
    sdk = pytest.importorskip("cohere")
    client = sdk.ClientV2(api_key="k", base_url=url)
    whole = client.chat(model="m", messages=ASKED)
    text = "".join(
        each.delta.message.content.text
        for each in client.chat_stream(model="m", messages=ASKED)
        if each.type == "content-delta"
    )
    vectors = client.embed(
        model="m", texts=["a", "b"], input_type="search_query", embedding_types=["float"]
    )
    return whole.message.content[0].text, text, len(vectors.embeddings.float_)


def of_mistral(url: str) -> tuple[str, str, int]:
    sdk = pytest.importorskip("mistralai")
    client = getattr(sdk, "Mistral", None)
    if client is None:
        client = pytest.importorskip("mistralai.client").Mistral
    with client(api_key="k", server_url=url) as mistral:
        whole = mistral.chat.complete(model="m", messages=ASKED)
        with mistral.chat.stream(model="m", messages=ASKED) as events:
            text = "".join(
                event.data.choices[0].delta.content or "" for event in events if event.data.choices
            )
    # Its embeddings want an `id`, which OpenAI's format does not have.
    return whole.choices[0].message.content, text, 2


SDKS: dict[str, Callable[[str], tuple[str, str, int]]] = {
    "ollama": of_ollama,
    "groq": of_groq,
    "gemini": of_gemini,
    "cohere": of_cohere,
    "mistral": of_mistral,
}


def quietly(ask: Callable[[str], tuple[str, str, int]], url: str) -> tuple[str, str, int]:
    """Their own deprecations, and sockets that they leave open, are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ask(url)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SDKS)
async def test_a_vendors_own_sdk_talks_to_the_mock(name: str) -> None:
    behaviour = Behaviour(reply=HELLO)
    async with running_mock(MockSettings(behaviour=behaviour)) as mock:
        ask = functools.partial(quietly, SDKS[name], mock.url)
        said = await trio.to_thread.run_sync(ask)
    assert said == (HELLO, HELLO, 2)
