"""A request that nobody could serve is refused before anything is called."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.engine.house import Script, house, ordered
from understudy import ImageFile, InvalidRequest, Message, Request
from understudy_actors.domain import events
from understudy_actors.domain.request import ChatInput, EmbeddingInput, ImageInput

HI = Request.chat("hi")
PICTURE = ImageFile(b"x")

BAD: list[Any] = [
    "hi",
    None,
    {"operation": "chat"},
    Request.chat(""),
    Request.chat([]),
    Request.chat([Message("wizard", "hi")]),
    Request.chat([Message(["user"], "hi")]),  # type: ignore[arg-type]
    Request.chat([Message("tool", "42")]),
    Request.chat([Message("user", 42)]),  # type: ignore[arg-type]
    Request.chat([{"role": "user", "content": "hi"}]),  # type: ignore[list-item]
    Request.chat("hi", max_tokens=0),
    Request.chat("hi", max_tokens="9"),  # type: ignore[arg-type]
    Request.chat("hi", temperature=2.1),
    Request.chat("hi", temperature=math.nan),
    Request.chat("hi", temperature="hot"),  # type: ignore[arg-type]
    Request.chat("hi", top_p=-0.1),
    Request.chat("hi", timeout_s=0),
    Request.chat("hi", timeout_s=math.inf),
    Request.chat("hi", timeout_s=math.nan),
    Request.chat("hi", timeout_s="5s"),
    Request.chat("hi", timeout_s=True),
    Request.chat("hi", max_cost_usd=-1),
    Request.chat("hi", max_attempts=0),
    Request.chat("hi", max_attempts=1.5),
    Request.chat("hi", output_tokens=-1),
    Request.chat("hi", strategy="fastest-of-all"),
    Request.chat("hi", strategy=["priority"]),
    Request.chat("hi", model=["m"]),
    Request.chat("hi", capabilities=["vision"]),
    Request.chat("hi", capabilities=(["vision"],)),
    Request.chat("hi", tags="cheap"),
    Request.chat("hi", region=3),
    Request.chat("hi", complexity="impossible"),
    Request.chat("hi", complexity=[1]),
    Request.chat("hi", id=["x"]),
    Request.chat("hi", fallbacks=("m",)),
    Request.chat("hi", model="m", fallbacks="m"),
    Request.chat("hi", model="m", fallbacks=(1,)),
    Request.chat("hi", model="m", fallbacks=("m",) * 17),
    Request.embed(),
    Request.embed("a", ""),
    Request.embed("a", dimensions=0),
    Request.image(""),
    Request.image("cat", n=0),
    Request.edit_image("cat"),
    Request.edit_image("", PICTURE),
    Request.edit_image("cat", *[PICTURE] * 17),
    Request.edit_image("cat", ImageFile(b"")),
    Request.edit_image("cat", b"a picture"),  # type: ignore[arg-type]
    Request.edit_image("cat", ImageFile("text")),  # type: ignore[arg-type]
    Request.edit_image("cat", ImageFile(b"x", "text/html")),
    Request.edit_image("cat", ImageFile(b"x", "image/png\r\nx: y")),
    Request.edit_image("cat", PICTURE, mask=ImageFile(b"")),
    Request(operation="image", input=ImageInput("cat", images=(PICTURE,))),
    Request(operation="image", input=ImageInput("cat", mask=PICTURE)),
    Request(operation="image_edit", input=ImageInput("cat", images=[PICTURE])),  # type: ignore[arg-type]
    Request.custom("no-such-operation"),
    Request(operation=["chat"], input=ChatInput((Message("user", "hi"),))),  # type: ignore[arg-type]
    Request(operation="chat", input="hi"),  # type: ignore[arg-type]
    Request(operation="chat", input=EmbeddingInput((3,))),  # type: ignore[arg-type]
    Request(operation="chat", input=ImageInput(7)),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("request_", BAD, ids=range(len(BAD)))
async def test_an_invalid_request_is_refused_and_nothing_is_called(request_: Any) -> None:
    a = Script()
    async with house(ordered("a"), a=a) as (engine, books):
        with pytest.raises(InvalidRequest, match=r"Nothing was called") as caught:
            await engine.route(request_)
        assert caught.value.request_id
        assert not a.calls
        assert [type(event) for event in books.events] == [events.RequestRefused]
        assert (await engine.route(HI)).text == "fine"
