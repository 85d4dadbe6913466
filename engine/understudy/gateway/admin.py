"""The operators' paths: what it cost, why a request went where it did, and hands on the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from msgspec import Struct, to_builtins
from starlette.requests import Request as Http
from starlette.responses import Response
from starlette.routing import Route

from understudy.accounts.reports import Costs, DayUsage, TopModel, TopSpender, TopUser
from understudy.cache.shelf import CacheStats
from understudy.gateway.asked import converted
from understudy.gateway.body import read_json
from understudy.gateway.contract.entry import Dialect, Door, Entry, Parameter
from understudy.gateway.desk import Desk
from understudy.gateway.exchange import header_map
from understudy.gateway.pages import Page, as_json, with_id
from understudy.gateway.problem import Refused
from understudy.projecting import BudgetProjection
from understudy.routing.explain import Explanation
from understudy.spending import BudgetStanding

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


class Done(Struct):
    """It is done."""

    done: Literal[True]


class Cleared(Struct):
    """So many answers are forgotten."""

    cleared: int


READ: Final[dict[str, tuple[Any, Callable[[Any, Http], Any]]]] = {
    "/costs": (Costs, lambda engine, http: engine.costs(days=_days(http))),
    "/usage": (tuple[DayUsage, ...], lambda engine, http: engine.usage(_days(http) or 30)),
    "/budgets": (tuple[BudgetStanding, ...], lambda engine, _: engine.budgets()),
    "/projection": (tuple[BudgetProjection, ...], lambda engine, _: engine.projection()),
    "/top/models": (
        tuple[TopModel, ...],
        lambda engine, http: engine.top("models", days=_days(http)),
    ),
    "/top/users": (tuple[TopUser, ...], lambda engine, http: engine.top("users", days=_days(http))),
    "/top/keys": (
        tuple[TopSpender, ...],
        lambda engine, http: engine.top("keys", days=_days(http)),
    ),
    "/top/teams": (
        tuple[TopSpender, ...],
        lambda engine, http: engine.top("teams", days=_days(http)),
    ),
    "/top/tags": (
        tuple[TopSpender, ...],
        lambda engine, http: engine.top("tags", days=_days(http)),
    ),
    "/cache": (CacheStats | None, lambda engine, _: engine.cache_stats()),
    "/explain/{request_id}": (Explanation, lambda engine, http: _explained(engine, http)),
}
"""What can be looked at, each with what it shows."""

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

_DAYS: Final = Parameter("days", "query", {"type": "string", "pattern": "^[0-9]{1,4}$"}, "Of late.")
_ID: Final = Parameter("request_id", "path", {"type": "string", "minLength": 1})
_COUNTED: Final = frozenset({"/costs", "/usage", "/top/models", "/top/users"})
_FOUND: Final = (401, 403, 404, 500, 503)
_ASKED: Final = (400, 401, 403, 408, 413, 500, 503)


def _said(path: str) -> tuple[str, str, Entry]:
    """What is said of a path here."""
    words = path.strip("/").partition("/{")[0].replace("/", " ")
    told: dict[str, Any] = {"tag": "Admin", "name": "Admin", "routed": False}
    told |= {"door": Door.ADMIN, "dialect": Dialect.EITHER}
    if path in DONE:
        body, answer = DONE[path][0], Cleared if path == "/cache/clear" else Done
        told |= {"body": body, "answers": (answer,), "refusals": _ASKED}
        return ROOT + path, "POST", Entry(summary=f"Do: {words}", **told)
    parameters = (_DAYS,) if path in _COUNTED else (_ID,) if "{" in path else ()
    refusals = (400, *_FOUND) if path in _COUNTED else _FOUND
    told |= {"answers": (READ[path][0],), "refusals": refusals, "parameters": parameters}
    return ROOT + path, "GET", Entry(summary=f"Show: {words}", **told)


ACTS: Final[Sequence[tuple[str, str, Entry]]] = [_said(path) for path in (*READ, *DONE)]
"""Each path of operators, its method, and what is said of it."""


class Admin:
    """Serves the operators' paths."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[Route]:
        """Where everything is."""
        looked = {path: self._reading(read) for path, (_, read) in READ.items()}
        acted = {path: self._doing(form, act) for path, (form, act) in DONE.items()}
        pages = {**looked, **acted}
        return [
            Route(path, with_id(self._desk, pages[path.removeprefix(ROOT)]), methods=[method])
            for path, method, _ in ACTS
        ]

    def _reading(self, read: Callable[[Any, Http], Any]) -> Page:
        async def page(http: Http) -> Response:
            self._desk.guard.admin(header_map(http.scope))
            return as_json(to_builtins(read(self._desk.engine, http)))

        return page

    def _doing(self, form: type[Any], act: Callable[[Any, Any], Any]) -> Page:
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
