"""The stand-in always answers what it honestly can, and always says that it is one."""

from __future__ import annotations

import binascii
import math
from typing import Any

import pytest
from hypothesis import given, strategies as st

from understudy.adapters.base import CallAdapter
from understudy.adapters.local import ENTRIES_MAX, ENTRY_BYTES_MAX, LocalAdapter, hashed_vector
from understudy_actors.domain.errors import BadRequest
from understudy_actors.domain.request import Request, Tool
from understudy_actors.domain.result import ChatOutput, EmbeddingOutput, Image, ImageOutput

OUTPUTS = [
    ChatOutput("An answer."),
    EmbeddingOutput(((1.0, 2.0),)),
    ImageOutput((Image(b64="AAAA"),)),
]


async def output_of(local: LocalAdapter, request: Request) -> Any:
    """What the stand-in answers, for a model called `m`."""
    reply = await local.call(request, "m")
    assert reply.degraded
    return reply.output


async def test_it_says_what_is_configured_and_which_model_it_stands_in_for() -> None:
    local = LocalAdapter(reply="{model} is away {0} {}")
    assert isinstance(local, CallAdapter)
    reply = await local.call(Request.chat("hi", model="large"), "echo")
    assert reply.output == ChatOutput("large is away {0} {}")
    assert reply.degraded
    assert (await output_of(local, Request.chat("hi"))).text.startswith("m is away")


async def test_it_serves_embeddings_and_pictures_too() -> None:
    local = LocalAdapter(dimensions=8)
    vectors = (await output_of(local, Request.embed("a", "b"))).vectors
    assert [len(vector) for vector in vectors] == [8, 8]
    asked = (await output_of(local, Request.embed("a", dimensions=3))).vectors
    assert [len(vector) for vector in asked] == [3]
    images = (await output_of(local, Request.image("a", n=2))).images
    assert len(images) == 2
    assert binascii.a2b_base64(images[0].b64, strict_mode=True).startswith(b"\x89PNG")


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: type(output).__name__)
async def test_it_repeats_the_last_good_answer_to_the_same_request(output: object) -> None:
    local = LocalAdapter()
    asked = Request.chat("hi", user="anna")
    local.remember(asked, ChatOutput("An older answer."))
    local.remember(asked, output)
    again = Request.chat("hi", user="anna", timeout_s=3.0, id="another")
    reply = await local.call(again, "m")
    assert (reply.output, reply.degraded) == (output, True)


async def test_nobody_gets_what_another_user_was_answered() -> None:
    local = LocalAdapter(reply="none")
    local.remember(Request.chat("hi", user="anna"), ChatOutput("For Anna."))
    local.remember(Request.chat("hi", tenant="acme"), ChatOutput("For Acme."))
    for other in (
        Request.chat("hi"),
        Request.chat("hi", user="ben"),
        Request.chat("ho"),
        Request.chat("hi", tenant="anna"),
        Request.chat("hi", tenant="acme", user="anna"),
    ):
        assert (await output_of(local, other)) == ChatOutput("none")


async def test_it_remembers_a_bounded_number_and_forgets_the_least_used() -> None:
    local = LocalAdapter(reply="none")
    for number in range(ENTRIES_MAX):
        local.remember(Request.chat(str(number)), ChatOutput(str(number)))
    await local.call(Request.chat("0"), "m")
    local.remember(Request.chat("one more"), ChatOutput("one more"))
    assert (await output_of(local, Request.chat("0"))) == ChatOutput("0")
    assert (await output_of(local, Request.chat("1"))) == ChatOutput("none")


@pytest.mark.parametrize(
    "output",
    [
        ChatOutput("x" * (ENTRY_BYTES_MAX + 1)),
        ChatOutput("cut", "length"),
        ChatOutput("filtered", "content_filter"),
        ImageOutput((Image(b64="A" * (ENTRY_BYTES_MAX + 1)),)),
        EmbeddingOutput(((0.0,) * ENTRY_BYTES_MAX,)),
        "no output of ours",
    ],
    ids=["long", "cut", "filtered", "picture", "vectors", "foreign"],
)
async def test_it_remembers_nothing_large_or_bad(output: object) -> None:
    local = LocalAdapter(reply="none")
    local.remember(Request.chat("hi"), output)
    assert (await output_of(local, Request.chat("hi"))) == ChatOutput("none")


@pytest.mark.parametrize(
    "asked",
    [
        Request.chat("hi", json_schema={"type": "object"}),
        Request.chat("hi", tools=(Tool("f"),), tool_choice="required"),
        Request.chat("hi", tools=(Tool("f"),), tool_choice="f"),
        Request.custom("mine", object()),
    ],
    ids=["schema", "any tool", "a tool", "custom"],
)
async def test_it_refuses_what_it_cannot_honestly_answer(asked: Request) -> None:
    with pytest.raises(BadRequest):
        await LocalAdapter().call(asked, "m")


async def test_it_answers_in_a_schema_when_its_reply_is_json() -> None:
    local = LocalAdapter(reply='{"answer": null}')
    reply = await local.call(Request.chat("hi", json_schema={"type": "object"}), "m")
    assert reply.output == ChatOutput('{"answer": null}')


@given(text=st.text(), dimensions=st.integers(1, 300))
def test_a_hashed_vector_is_fixed_by_its_text_and_of_length_one(text: str, dimensions: int) -> None:
    vector = hashed_vector(text, dimensions)
    assert vector == hashed_vector(text, dimensions)
    assert len(vector) == dimensions
    assert math.isclose(math.hypot(*vector), 1.0)


def test_like_texts_have_like_vectors() -> None:
    def likeness(one: str, other: str) -> float:
        return sum(
            a * b for a, b in zip(hashed_vector(one, 256), hashed_vector(other, 256), strict=True)
        )

    near = likeness("a red cube on a table", "a red cube on the table")
    assert near > likeness("a red cube on a table", "rates rose again")


@pytest.mark.parametrize("dimensions", [0, -1, 10**6])
def test_dimensions_are_bounded(dimensions: int) -> None:
    with pytest.raises(ValueError, match="dimensions"):
        LocalAdapter(dimensions=dimensions)
