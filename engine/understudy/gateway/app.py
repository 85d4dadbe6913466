"""The application: which path leads where, and what every request goes through."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp

from understudy.config.sections import LogConfig
from understudy.gateway.access import AccessLog
from understudy.gateway.admin import ACTS, Admin
from understudy.gateway.asked import Wire
from understudy.gateway.contract.document import document
from understudy.gateway.contract.entry import Entry
from understudy.gateway.desk import Desk
from understudy.gateway.guard import Guard
from understudy.gateway.key_pages import KEY_PAGES, KeyPages
from understudy.gateway.limits import Limits
from understudy.gateway.pages import PAGES, Pages
from understudy.gateway.problem import Refused
from understudy.gateway.reload_pages import RELOAD_PAGES, ReloadPages
from understudy.gateway.renewal import Renewal
from understudy.gateway.wires.anthropic_messages import AnthropicMessages
from understudy.gateway.wires.openai_chat import OpenAIChat
from understudy.gateway.wires.openai_edits import OpenAIEdits
from understudy.gateway.wires.openai_embeddings import OpenAIEmbeddings
from understudy.gateway.wires.openai_images import OpenAIImages
from understudy.gateway.wires.responses import Responses
from understudy.ports import Ports
from understudy.telemetry.log import writer
from understudy_actors.domain.errors import UnderstudyError

WIRES: Final[Sequence[tuple[str, Wire]]] = (
    ("/v1/chat/completions", OpenAIChat()),
    ("/v1/embeddings", OpenAIEmbeddings()),
    ("/v1/images/generations", OpenAIImages()),
    ("/v1/images/edits", OpenAIEdits()),
    ("/v1/responses", Responses()),
    ("/v1/messages", AnthropicMessages()),
)
"""Where each format is spoken."""


def contract() -> Iterator[tuple[str, str, Entry]]:
    """Every path as OpenAPI writes it, its method in lower case, and what is said of it."""
    for path, wire in WIRES:
        yield path, "post", wire.entry
    listed = (*PAGES, *KEY_PAGES, *RELOAD_PAGES)
    pages = [(path, method, entry) for path, method, _, entry in listed]
    for path, method, entry in (*pages, *ACTS):
        yield path.replace(":path}", "}"), method.lower(), entry


@cache
def openapi() -> bytes:
    """The OpenAPI document of every gateway, as JSON."""
    return msgspec.json.encode(document(contract()))


def create_app(
    opening: Callable[[], AbstractAsyncContextManager[Any]],
    *,
    limits: Limits | None = None,
    guard: Guard | None = None,
    ports: Ports | None = None,
    on_ready: Callable[[Any], None] = lambda _engine: None,
    log: LogConfig | None = None,
    renewing: Callable[[Desk], Renewal] | None = None,
) -> ASGIApp:
    """The gateway as an ASGI application, which opens its engine as it starts.

    Args:
        opening: Opens the engine on the server's own loop, e.g.
            `lambda: AsyncioEngine.open("understudy.toml")`.
        limits: What callers may ask of it.
        guard: Who may come in; left out, everybody, and nobody as an operator.
        ports: Its clock, and the ids of requests that bring none.
        on_ready: Called with the engine once it serves.
        log: What it writes to standard error: faults of its own, and a line for each request if
            that is asked for; left out, the former.
        renewing: Makes what reads the configuration anew; left out, nothing does.
    """
    own = ports or Ports()
    said = log or LogConfig(access=False)
    write = writer(said, sys.stderr)
    desk = Desk(
        limits or Limits(),
        guard or Guard(),
        wall=own.clock.wall,
        new_id=own.ids.request_id,
        write=None if said.level == "off" else write,
    )
    pages = Pages(desk, openapi)
    if renewing is not None:
        desk.renewal = renewing(desk)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with opening() as engine:
            desk.open(engine)
            on_ready(engine)
            try:
                yield
            finally:
                desk.close()

    routes = [Route(path, _Endpoint(desk, wire), methods=["POST"]) for path, wire in WIRES]
    operators = [r for each in (Admin, KeyPages, ReloadPages) for r in each(desk).routes()]
    app = Starlette(
        routes=[*routes, *pages.routes(), *operators],
        lifespan=lifespan,
        exception_handlers={HTTPException: pages.no_such_page, Exception: pages.failed}
        | dict.fromkeys((Refused, UnderstudyError), pages.failed),
    )
    return AccessLog(app, write, own.clock.now) if said.tells_access else app


class _Endpoint:
    """One path where a format is spoken."""

    def __init__(self, desk: Desk, wire: Wire) -> None:
        self._desk = desk
        self._wire = wire

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._desk.serve(self._wire, scope, receive, send)
