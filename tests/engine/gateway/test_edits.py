"""Pictures made from others: a form comes in, whoever serves it, and what is none is refused."""

from __future__ import annotations

from typing import Any

import httpx
import openai

from tests.engine.gateway.service import on_loop, oracle, serving
from understudy.gateway import Limits
from understudy_sim.mock.settings import Behaviour

EDITS = "/v1/images/edits"
PNG = b"\x89PNG\r\n\x1a\n a picture \r\n--"
WEBP = b"RIFF\x04\x00\x00\x00WEBPVP8 "
ASKED = {"model": "auto", "prompt": "make it blue"}


def sdk(url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=f"{url}/v1",
        api_key="sk-test-caller",
        max_retries=0,
        _strict_response_validation=True,
    )


@on_loop
async def test_the_sdk_edits_one_picture_and_many() -> None:
    seen: list[Any] = []

    async def artist(request: Any) -> Any:
        seen.append(request)
        return await oracle(request)

    async with serving(oracle=artist) as service, sdk(service.url) as client:
        one = await client.images.edit(model="auto", prompt="blue", image=PNG, n=2)
        assert [each.b64_json for each in one.data or ()] == ["iVBORw0KGgo="] * 2
        await client.images.edit(
            model="auto",
            prompt="both",
            image=[("a.png", PNG), ("b.bin", WEBP)],
            mask=("m.avif", b"mask", "image/avif"),
            size="1024x1024",
            extra_body={"understudy": {"labels": "batch", "fallback": False}},
        )
        first, second = (each.input for each in seen)
        assert (first.n, first.images[0].data, first.mask) == (2, PNG, None)
        assert [each.media_type for each in second.images] == ["image/png", "image/webp"]
        assert (second.mask.data, second.mask.media_type) == (b"mask", "image/avif")
        assert (second.size, seen[1].labels, seen[1].fallback) == ("1024x1024", ("batch",), False)


@on_loop
async def test_an_edit_fails_over() -> None:
    async with serving(
        {"operations": {"image_edit": {"chain": ["m0/m", "m1/m"]}}},
        behaviours=(Behaviour(), Behaviour()),
    ) as service:
        service.mocks[0].control.set_schedule([{"kind": "status"}])
        async with sdk(service.url) as client:
            raw = await client.images.with_raw_response.edit(
                model="m", prompt="blue", image=PNG, n=3
            )
        assert len(raw.parse().data or ()) == 3
        assert raw.headers["x-understudy-provider"] == "m1"
        assert raw.headers["x-understudy-fallback"] == "true"


WRONG: list[tuple[dict[str, Any], int, str]] = [
    ({"json": ASKED}, 415, "send it as multipart/form-data"),
    ({"content": b"", "headers": {"content-type": "multipart/form-data"}}, 400, "boundary"),
    ({"data": ASKED, "files": {"other": PNG}}, 400, "image"),
    ({"data": ASKED, "files": {"image": ("a.txt", b"hello", "text/plain")}}, 400, "a picture"),
    ({"data": ASKED, "files": {"image": ("a.png", b"", "image/png")}}, 400, "a picture"),
    ({"data": ASKED, "files": [("image[]", PNG)] * 18}, 400, "Too many files"),
    ({"data": ASKED, "files": [("image[]", PNG)] * 17}, 400, "image"),
    ({"data": ASKED, "files": [("image", PNG), ("mask", PNG), ("mask", PNG)]}, 400, "mask"),
    ({"data": {"model": "auto"}, "files": {"image": PNG}}, 400, "prompt"),
    ({"data": {**ASKED, "n": "many"}, "files": {"image": PNG}}, 400, "n: expected"),
    ({"data": {**ASKED, "n": "17"}, "files": {"image": PNG}}, 400, "n: expected"),
    ({"data": {**ASKED, "stream": "true"}, "files": {"image": PNG}}, 400, "stream"),
    ({"data": {**ASKED, "image": "text"}, "files": {"image": PNG}}, 400, "image"),
    ({"data": {**ASKED, "prompt[a]": "b"}, "files": {"image": PNG}}, 400, "prompt"),
    ({"data": {**ASKED, "understudy": "{"}, "files": {"image": PNG}}, 400, "understudy"),
    ({"data": {**ASKED, "understudy[x]": "1"}, "files": {"image": PNG}}, 400, "understudy"),
    ({"data": {**ASKED, "prompt": "x" * 262_145}, "files": {"image": PNG}}, 400, "maximum"),
    ({"data": ASKED, "files": {"image": PNG * 20_000}}, 413, "larger than 300000"),
]


@on_loop
async def test_what_is_no_edit_is_refused() -> None:
    async with (
        serving(oracle=oracle, limits=Limits(body_max=300_000)) as service,
        httpx.AsyncClient(base_url=service.url, trust_env=False) as http,
    ):
        for more, status, said in WRONG:
            answer = await http.post(EDITS, **more)
            assert (answer.status_code, said) == (status, said), answer.text
            assert said in answer.json()["error"]["message"]
            assert "x-request-id" in answer.headers
        assert (await http.post(EDITS, data=ASKED, files={"image": PNG})).status_code == 200
