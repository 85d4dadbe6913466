"""Providers of pictures: what each is asked, and where a job is looked at."""

from __future__ import annotations

from binascii import a2b_base64
from typing import Any

import msgspec
import pytest

from tests.engine.adapters.families import DRAW, PIXEL, family_of
from tests.engine.adapters.wire import EXAMPLES, WALL_S, answer, example, target
from understudy.adapters.base import JobAdapter, Reply, Step, Target
from understudy.adapters.pictures import complete
from understudy.adapters.raw_pictures import HuggingFaceAdapter
from understudy.secret import Secret
from understudy.transport.http import HttpRequest, HttpResponse
from understudy_actors.domain.errors import BadRequest, ProviderError
from understudy_actors.domain.request import ImageFile, Request
from understudy_actors.domain.result import ImageOutput

PNG = a2b_base64(PIXEL)
FILE = ImageFile(PNG)
DATA = f"data:image/png;base64,{PIXEL}"
SIZED = Request.image("a red cube", size="1024x1024", output_format="png")
HOMES = {
    "stability": ("https://api.stability.ai", "core"),
    "replicate": ("https://api.replicate.com/v1", "black-forest-labs/flux-schnell"),
    "fal": ("https://queue.fal.run", "fal-ai/flux/schnell"),
    "bfl": ("https://api.bfl.ai", "flux-2-pro"),
    "pollinations": ("https://gen.pollinations.ai", "flux"),
}


def at(name: str, **fields: Any) -> Target:
    base_url, model = HOMES[name]
    return target(name, **{"base_url": base_url, "model": model, **fields})


def built(name: str, request: Request = SIZED, **fields: Any) -> HttpRequest:
    request_: HttpRequest = family_of(name).build(request, at(name, **fields))
    return request_


def sent(name: str, request: Request = SIZED, **fields: Any) -> Any:
    return msgspec.json.decode(built(name, request, **fields).body)


def test_a_prediction_is_asked_for_as_documented() -> None:
    expected = example("replicate.submit.request")
    key = Secret("r8_test")
    options = {"input": {"seed": 7}}
    request = built("replicate", DRAW, key=key, options=options)
    assert request.url.endswith(expected["path"])
    assert expected["headers"].items() <= request.headers.items()
    assert msgspec.json.decode(request.body) == {"input": expected["body"]["input"]}
    versioned = built("replicate", DRAW, model="me/mine:abc")
    assert versioned.url.endswith("/v1/predictions")
    assert msgspec.json.decode(versioned.body)["version"] == "abc"


def test_a_place_in_the_queue_is_asked_for_as_documented() -> None:
    expected = example("fal.submit.request")
    options = {"body": {"image_size": "square", "seed": 7}}
    request = built("fal", DRAW, key=Secret("id:secret"), options=options)
    assert request.url == expected["url"].partition("?")[0]
    assert request.headers["authorization"] == expected["headers"]["authorization"]
    assert msgspec.json.decode(request.body) == expected["body"]


def test_a_task_is_asked_for_as_documented() -> None:
    expected = example("bfl.submit.request")
    hooks = {name: expected["body"].pop(name) for name in ("webhook_url", "webhook_secret")}
    assert hooks
    options = {"body": {"seed": 7, "safety_tolerance": 2}}
    request = built("bfl", key=Secret("bfl_test"), options=options)
    assert request.url.endswith(expected["path"])
    assert expected["headers"].items() <= request.headers.items()
    assert msgspec.json.decode(request.body) == expected["body"]


def test_a_form_for_stability_is_built_as_documented() -> None:
    expected = example("stability.generate.request")
    extra = {n: expected["fields"][n] for n in ("negative_prompt", "seed", "style_preset")}
    request = built("stability", options={"body": extra})
    assert request.url.endswith(expected["path"])
    assert expected["headers"].items() <= request.headers.items()
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    for name, value in expected["fields"].items():
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in request.body


def test_a_picture_by_its_address_is_asked_for_as_documented() -> None:
    expected = example("pollinations.image.request")
    options = {"body": {"seed": 7}}
    asked = Request.image("a red cube", size="512x512")
    request = built("pollinations", asked, key=Secret("sk_test"), options=options)
    assert (request.method, request.url) == ("GET", expected["url"])
    assert expected["headers"].items() <= request.headers.items()
    assert "cube" not in repr(request)
    assert request.body == b""
    free = built("pollinations", DRAW, key=None, options={"path": "prompt"})
    assert "/prompt/a%20red%20cube?" in free.url
    assert "authorization" not in free.headers


def test_hugging_faces_own_servers_answer_with_the_file() -> None:
    adapter = HuggingFaceAdapter()
    to = target(base_url="https://router.huggingface.co/hf-inference", model="a/b")
    request = adapter.build(SIZED, to)
    assert request.url == "https://router.huggingface.co/hf-inference/models/a/b"
    assert msgspec.json.decode(request.body) == {
        "inputs": "a red cube",
        "parameters": {"width": 1024, "height": 1024},
    }
    assert adapter.check(to).url == "https://router.huggingface.co/v1/models"
    whole = HttpResponse(200, {"content-type": "image/png"}, PNG)
    drawn = adapter.parse(SIZED, to, whole, WALL_S).output
    assert isinstance(drawn, ImageOutput)
    assert drawn.images[0].b64 == PIXEL


def test_pictures_to_be_edited_go_where_each_wants_them() -> None:
    edit = Request.edit_image("make it blue", FILE)
    masked = Request.edit_image("make it blue", FILE, mask=FILE)
    assert sent("replicate", edit)["input"]["image"] == DATA
    assert sent("fal", masked)["mask_url"] == sent("fal", masked)["image_url"] == DATA
    named = {"image_field": "input_image"}
    assert sent("replicate", edit, options=named)["input"]["input_image"] == DATA
    several = Request.edit_image("both", FILE, FILE)
    assert sent("bfl", several)["input_image_2"] == PIXEL
    assert sent("bfl", masked)["image"] == sent("bfl", masked)["mask"] == PIXEL
    for model, words in (("inpaint", True), ("erase", False)):
        form = built("stability", masked, model=model)
        assert form.url.endswith(f"/edit/{model}")
        assert (b'name="prompt"' in form.body) == words
        assert form.body.count(PNG) == 2


def test_models_of_the_sd3_family_share_an_address() -> None:
    form = built("stability", model="sd3.5-large")
    assert form.url.endswith("/generate/sd3")
    assert b'name="model"\r\n\r\nsd3.5-large\r\n' in form.body


@pytest.mark.parametrize(
    ("name", "request_", "model"),
    [
        ("stability", Request.image("x", n=2), "core"),
        ("stability", Request.image("x", size="1000x7"), "core"),
        ("stability", Request.image("x"), "erase"),
        ("stability", Request.edit_image("x", FILE), "core"),
        ("stability", Request.edit_image("x", FILE, FILE), "inpaint"),
        ("replicate", Request.edit_image("x", FILE, FILE), "a/b"),
        ("fal", Request.edit_image("x", FILE, FILE), "a/b"),
        ("bfl", Request.image("x", n=2), "flux-dev"),
        ("pollinations", Request.image("x", n=2), "flux"),
        ("pollinations", Request.edit_image("x", FILE), "flux"),
        ("pollinations", Request.image("x", size="0x0"), "flux"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.operation,
)
def test_what_a_vendor_cannot_do_is_a_bad_request(name: str, request_: Request, model: str) -> None:
    with pytest.raises(BadRequest):
        built(name, request_, model=model)


# Jobs


def follow(name: str, body: Any, url: str = "https://x/", **fields: Any) -> Reply | Step:
    asked = HttpRequest("GET", url, {})
    status = body.get("status", 200) if "body" in body else 200
    adapter = family_of(name)
    assert isinstance(adapter, JobAdapter)
    response = answer(body.get("body", body), status)
    return adapter.follow(DRAW, at(name, **fields), asked, response, WALL_S)


STEPS = {
    "replicate.submit.response": "GET https://api.replicate.com/v1/predictions/ex",
    "fal.submit.response": "GET https://queue.fal.run/fal-ai/flux/requests/ex/status",
    "fal.status.queued-response": "GET https://queue.fal.run/fal-ai/flux/requests/ex/status",
    "fal.status.progress-response": "GET https://queue.fal.run/fal-ai/flux/requests/ex/status",
    "fal.status.completed-response": "GET https://queue.fal.run/fal-ai/flux/requests/ex",
    "bfl.submit.response": "GET https://api.eu1.bfl.ai/v1/get_result?id=ex",
    "bfl.poll.pending-response": "GET https://api.bfl.ai/v1/get_result?id=1",
}
CANCELS = {
    "replicate.submit.response": "POST https://api.replicate.com/v1/predictions/ex/cancel",
    "fal.submit.response": "PUT https://queue.fal.run/fal-ai/flux/requests/ex/cancel",
}


@pytest.mark.parametrize("name", STEPS)
def test_an_unfinished_job_says_what_to_ask_next(name: str) -> None:
    step = follow(name.partition(".")[0], example(name), "https://api.bfl.ai/v1/get_result?id=1")
    assert isinstance(step, Step)
    assert f"{step.request.method} {step.request.url}" == STEPS[name]
    assert any("sk-test" in value for value in step.request.headers.values())
    assert step.at_once == (name == "fal.status.completed-response")
    if name in CANCELS:
        assert step.cancel is not None
        assert f"{step.cancel.method} {step.cancel.url}" == CANCELS[name]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v1/x",
        "http://api.bfl.ai/v1/x",
        "https://api.bfl.ai.evil.example/v1/x",
        "https://evilbfl.ai/x",
        "https://me:you@api.bfl.ai/x",
        "https://api.bfl.ai:8443/x",
        "https://[oops/x",
        "",
        7,
    ],
)
def test_a_key_goes_nowhere_but_to_its_provider(url: object) -> None:
    with pytest.raises(ProviderError, match=r"own|text"):
        follow("bfl", {"id": "ex", "polling_url": url})


def test_a_job_at_an_address_of_ones_own_stays_there() -> None:
    here = "http://127.0.0.1:8080"
    step = follow("bfl", {"polling_url": f"{here}/v1/get_result?id=1"}, base_url=here)
    assert isinstance(step, Step)
    with pytest.raises(ProviderError):
        follow("bfl", {"polling_url": "https://api.bfl.ai/x"}, base_url=here)


def test_a_job_that_is_not_done_is_no_reply() -> None:
    for name in STEPS:
        body = example(name)
        with pytest.raises(ProviderError):
            family_of(name).parse(DRAW, at(name.partition(".")[0]), answer(body), WALL_S)


def test_a_picture_that_was_found_unsafe_is_refused() -> None:
    body = example("fal.result.response") | {"has_nsfw_concepts": [True]}
    with pytest.raises(ProviderError) as caught:
        follow("fal", body)
    assert caught.value.kind == "content_policy"


def test_what_a_picture_is_shows_whether_all_of_it_is_there() -> None:
    webp = b"RIFF" + (4).to_bytes(4, "little") + b"WEBP"
    for whole in (PNG, b"\xff\xd8...\xff\xd9", webp):
        assert complete(whole)
        assert not any(complete(whole[:cut]) for cut in range(len(whole)))
    assert not complete(b"<svg/>")


def test_every_example_of_a_job_is_tried() -> None:
    jobs = {each.stem for name in ("bfl", "fal", "replicate") for each in EXAMPLES.glob(f"{name}*")}
    left = {each for each in jobs if ".error." not in each and ".request" not in each} - {*STEPS}
    assert len(left) == 8  # those in the table of families: replies and refusals
