"""The operators' paths: what it cost, why a request went where it did, and hands on the engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from msgspec import Struct, to_builtins
from starlette.requests import Request as Http
from starlette.responses import Response
from starlette.routing import Route

from understudy.gateway.asked import converted
from understudy.gateway.body import read_json
from understudy.gateway.desk import Desk
from understudy.gateway.exchange import header_map
from understudy.gateway.pages import as_json
from understudy.gateway.problem import Refused

ROOT: Final = "/admin"


class _Named(Struct, forbid_unknown_fields=True):
    name: str


class _Held(_Named, forbid_unknown_fields=True):
    seconds: float | None = None


class _Reset(Struct, forbid_unknown_fields=True):
    name: str | None = None


class _Ordered(Struct, forbid_unknown_fields=True):
    strategy: str
    operation: str | None = None


class _Thawed(Struct, forbid_unknown_fields=True):
    scope: str = "engine"
    name: str = ""


class _Nothing(Struct, forbid_unknown_fields=True):
    pass


READ: Final[dict[str, Callable[[Any, Http], Any]]] = {
    "/costs": lambda engine, http: engine.costs(days=_days(http)),
    "/usage": lambda engine, http: engine.usage(_days(http) or 30),
    "/budgets": lambda engine, _: engine.budgets(),
    "/projection": lambda engine, _: engine.projection(),
    "/top/models": lambda engine, http: engine.top("models", days=_days(http)),
    "/top/users": lambda engine, http: engine.top("users", days=_days(http)),
    "/cache": lambda engine, _: engine.cache_stats(),
    "/explain/{request_id}": lambda engine, http: _explained(engine, http),
}
"""What can be looked at."""

DONE: Final[dict[str, tuple[type[Any], Callable[[Any, Any], Any]]]] = {
    "/hold": (_Held, lambda engine, asked: engine.hold(asked.name, seconds=asked.seconds)),
    "/release": (_Named, lambda engine, asked: engine.release(asked.name)),
    "/reset": (_Reset, lambda engine, asked: engine.reset(asked.name)),
    "/isolate": (_Named, lambda engine, asked: engine.isolate(asked.name)),
    "/disable": (_Named, lambda engine, asked: engine.disable(asked.name)),
    "/enable": (_Named, lambda engine, asked: engine.enable(asked.name)),
    "/strategy": (
        _Ordered,
        lambda engine, asked: engine.set_strategy(asked.strategy, operation=asked.operation),
    ),
    "/thaw": (_Thawed, lambda engine, asked: engine.thaw(asked.scope, asked.name)),
    "/cache/clear": (_Nothing, lambda engine, _: {"cleared": engine.clear_cache()}),
}
"""What can be done; each with the body that it takes."""


class Admin:
    """Serves the operators' paths."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[Route]:
        """Where everything is."""
        looked = [Route(ROOT + path, self._reading(read)) for path, read in READ.items()]
        acted = [
            Route(ROOT + path, self._doing(form, act), methods=["POST"])
            for path, (form, act) in DONE.items()
        ]
        return [*looked, *acted]

    def _reading(self, read: Callable[[Any, Http], Any]) -> Callable[[Http], Awaitable[Response]]:
        async def page(http: Http) -> Response:
            self._desk.guard.admin(header_map(http.scope))
            return as_json(to_builtins(read(self._desk.engine, http)))

        return page

    def _doing(
        self, form: type[Any], act: Callable[[Any, Any], Any]
    ) -> Callable[[Http], Awaitable[Response]]:
        async def page(http: Http) -> Response:
            headers = header_map(http.scope)
            self._desk.guard.admin(headers)
            asked = converted(await read_json(http.receive, headers, 65_536), form)
            done = act(self._desk.engine, asked)
            return as_json({"done": True} if done is None else done)

        return page


def _days(http: Http) -> int | None:
    text = http.query_params.get("days")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        raise Refused("days: expected a number of days", param="days")
    return int(text)


def _explained(engine: Any, http: Http) -> Any:
    found = engine.explain(http.path_params["request_id"])
    if found is None:
        why = "nothing is known of such a request: it is running, too long ago, or there was none"
        raise Refused(why, status=404, code="unknown_request")
    return found
