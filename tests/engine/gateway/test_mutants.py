"""The tests of this folder have teeth: faults planted in the gateway are noticed.

Each fault stands with what shows it: the real module and the faulty one must say different things
about it, and the real one what the other tests demand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import pytest
from starlette.requests import Request as Http
from starlette.responses import Response

from tests.engine.gateway.heads import Connection
from tests.support.mutants import Mutant
from understudy.config.terms import KeyTerms
from understudy.gateway import form, guard, heads, overrides, pages
from understudy.gateway.app import contract
from understudy.gateway.asked import Asked
from understudy.gateway.contract import document
from understudy.gateway.desk import Desk
from understudy.gateway.guard import Guard
from understudy.gateway.limits import Limits
from understudy.gateway.problem import Problem, Refused
from understudy.gateway.wires import openai_edits, openai_images, responses, responses_requests
from understudy_actors.domain.request import ImageFile, Request
from understudy_actors.domain.result import ImageOutput, Result, Usage

FORM, EDITS = "understudy.gateway.form", "understudy.gateway.wires.openai_edits"
IMAGES: Final = "understudy.gateway.wires.openai_images"
RESPONSES, ASKS = (
    "understudy.gateway.wires.responses",
    "understudy.gateway.wires.responses_requests",
)
PAGES, DOCUMENT = "understudy.gateway.pages", "understudy.gateway.contract.document"
HEADS, GET = "understudy.gateway.heads", b"GET /health HTTP/1.1\r\n"
GUARD, OVERRIDES = "understudy.gateway.guard", "understudy.gateway.overrides"
SPARED: Final = Request.chat("hi", model="m", fallbacks=("other",))
MODULES: Final = (
    heads,
    guard,
    overrides,
    form,
    openai_edits,
    openai_images,
    responses,
    responses_requests,
    pages,
    document,
)
REAL: Final = {module.__name__: module for module in MODULES}
RESPONSE: Final = Asked(request=Request.chat("hi"), model="m")
LATE: Final = Problem(status=502, message="it was cut", code="stream_broken")
VISIT: Final = Http({"type": "http", "headers": [(b"x-request-id", b"mine")]})
DESK: Final = Desk(Limits(), Guard(), wall=float, new_id=str)
PNG: Final = ImageFile(b"\x89PNG\r\n\x1a\n")
ASKED: Final = {"model": "m", "prompt": "blue", "image": [PNG]}


def tried(judge: Callable[[ModuleType], object]) -> Callable[[ModuleType], object]:
    """The same, with a refusal as its status and its field."""

    def run(module: ModuleType) -> object:
        try:
            return judge(module)
        except Refused as refused:
            return refused.problem.status, refused.problem.param

    return run


def sent(head: str, data: bytes, kind: str = "multipart/form-data; boundary=b") -> Any:
    """What a module of forms reads of one part."""
    body = f"--b\r\ncontent-disposition: form-data; {head}\r\n\r\n".encode() + data + b"\r\n--b--"

    async def receive() -> object:
        return {"type": "http.request", "body": body}

    async def read(module: ModuleType) -> object:
        return await module.read_form(receive, {"content-type": kind})

    return tried(lambda module: asyncio.run(read(module)))


def edit(**more: object) -> Any:
    """What a module of edits makes of a form."""
    return tried(lambda module: module.OpenAIEdits().read({**ASKED, **more}))


async def quiet(_http: Http) -> Response:
    """A page that says nothing."""
    return Response()


def documented(module: ModuleType) -> object:
    """What a module of documents says that callers live by."""
    try:
        told = module.document(contract())
    except AssertionError:
        return "it is none"
    chat = told["paths"]["/v1/chat/completions"]["post"]["responses"]["200"]["content"]
    return (
        all(
            "x-should-retry" in each["headers"] for each in told["components"]["responses"].values()
        ),
        {} in told["paths"]["/admin/hold"]["post"]["security"],
        "[DONE]" in str(chat["text/event-stream"]),
    )


def waited(connection: Connection) -> object:
    """What a connection comes to."""
    connection.loop.pass_time()
    return connection.told()


def later(module: ModuleType) -> object:
    """What the second request of a connection comes to that stops within its head."""
    connection = Connection(module).send(GET + b"\r\n")
    connection.protocol.cycle.response_complete = True
    return waited(connection.send(GET))


def within(connection: Connection) -> object:
    """What becomes of rubbish behind a request that is being answered."""
    connection.protocol.cycle.response_started = True
    return connection.send(b"no such thing\r\n\r\n").told()


FAULTS: Final[list[tuple[Mutant, Callable[[ModuleType], object]]]] = [
    (
        Mutant("any body is a form", FORM, "!= KIND", "== ''"),
        sent('name="a"', b"1", "text/plain; boundary=b"),
    ),
    (
        Mutant("a picture is what its caller calls it", FORM, "data.startswith(magic)", "False"),
        sent('name="image"; filename="a.txt"\r\ncontent-type: text/plain', PNG.data),
    ),
    (
        Mutant("any file is a picture", FORM, 'kind.startswith("image/")', "kind"),
        sent('name="image"; filename="a.txt"\r\ncontent-type: text/plain', b"hello"),
    ),
    (
        Mutant("an empty file is a picture", FORM, "not data or", ""),
        sent('name="image"; filename="a"\r\ncontent-type: image/png', b""),
    ),
    (
        Mutant("a list is another field", FORM, 'given.partition("[")', 'given.partition("\\0")'),
        sent('name="image[]"; filename="a.png"', PNG.data),
    ),
    (
        Mutant("a mask is left out", EDITS, "asked.mask[0] if asked.mask else None", "None"),
        edit(mask=[PNG]),
    ),
    (Mutant("edits are streamed", EDITS, "if asked.stream:", "if False:"), edit(stream="true")),
    (
        Mutant("conditions are left out", EDITS, "=_table(asked.understudy)", "=None"),
        edit(understudy='{"fallback": false}'),
    ),
    (
        Mutant("pictures seen are text", IMAGES, '"image_tokens": seen', '"image_tokens": 0'),
        lambda module: module.drawn(
            Result(
                output=ImageOutput(()),
                provider="a",
                model="m",
                request_id="r",
                elapsed_s=0.0,
                cost_usd=None,
                usage=Usage(9, 4, image_tokens=5),
            ),
            0,
        ),
    ),
    (
        Mutant("a code that is on no list", RESPONSES, "CODES.get(problem.status", "(problem.code"),
        lambda module: module.Responses().frames(RESPONSE, "r", 0).fail(LATE),
    ),
    (
        Mutant("calls are no truth", ASKS, 'parallel_tool_calls") is not False', 'x")'),
        lambda module: module.read({"model": "m", "input": "hi"}).shown["parallel_tool_calls"],
    ),
    (
        Mutant("a page without an id", PAGES, "response.headers.update", "dict"),
        lambda module: asyncio.run(module.with_id(DESK, quiet)(VISIT)).headers.items(),
    ),
    (
        Mutant(
            "a key's own fallbacks open all models",
            GUARD,
            "(request.model, *(request.fallbacks or ()))",
            "(request.model,)",
        ),
        tried(lambda module: module.Caller("ann", KeyTerms(models=("m",))).marked(SPARED)),
    ),
    (
        Mutant("fallbacks in a header are one word", OVERRIDES, '"capabilities", "fallbacks"', ""),
        tried(lambda module: module.overrides(None, {"x-understudy-fallbacks": "b,c"}).fallbacks),
    ),
    (
        Mutant("a head has no end", HEADS, "if self._seen > HEAD_MAX:", "if False:"),
        lambda module: Connection(module).send(b"GET /", *[b"z" * 4096] * 17).told(),
    ),
    (
        Mutant("a head has any number of headers", HEADS, "> HEADERS_MAX", "> 10**9"),
        lambda module: Connection(module).send(GET, b"a: b\r\n" * 300, b"\r\n").told(),
    ),
    (
        Mutant("a head may take for ever", HEADS, "elif self._timer is None:", "elif False:"),
        later,
    ),
    (
        Mutant("a body has no time either", HEADS, "self._settled()\n        if len", "if len"),
        lambda module: waited(Connection(module).send(GET + b"content-length: 9\r\n\r\n")),
    ),
    (
        Mutant("an error within an answer", HEADS, "cycle.response_started and", "False and"),
        lambda module: within(Connection(module).send(GET + b"\r\n")),
    ),
    (
        Mutant("two types of one name", DOCUMENT, "name}Request{", "name}{"),
        documented,
    ),
    (
        Mutant("a stream's end is no event", DOCUMENT, "entry.mark is not None", "False"),
        documented,
    ),
    (
        Mutant("errors without a hint", DOCUMENT, '_EVERY, "x-should-retry"', "_EVERY"),
        documented,
    ),
    (
        Mutant("operators need no key", DOCUMENT, "Door.ADMIN: [{", "Door.ADMIN: [{}, {"),
        documented,
    ),
]


@pytest.mark.parametrize(("fault", "judge"), FAULTS, ids=[str(fault) for fault, _ in FAULTS])
def test_a_planted_fault_shows(fault: Mutant, judge: Callable[[ModuleType], object]) -> None:
    assert judge(REAL[fault.module]) != judge(fault.plant())
