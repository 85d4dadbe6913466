"""The operators' paths about keys: made and replaced ones are shown this once, and nowhere else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import structlog
from msgspec import Struct, to_builtins
from msgspec.structs import replace
from starlette.requests import Request as Http
from starlette.responses import Response
from starlette.routing import Route

from understudy.config.faults import BadKey
from understudy.config.terms import KeyBudget, KeyTerms
from understudy.config.values import Name, parse_duration
from understudy.gateway.body import read_json
from understudy.gateway.contract.entry import Dialect, Door, Entry, Parameter
from understudy.gateway.desk import Desk
from understudy.gateway.exchange import header_map
from understudy.gateway.pages import as_json, with_id
from understudy.gateway.problem import Refused
from understudy.keys.forms import changing, wanted
from understudy.keys.keys import GRACE_S, Issued, Keys, KeyView
from understudy.spending import BudgetStanding
from understudy_actors.domain.errors import ConfigError

ROOT: Final = "/admin/keys"
_BODY_MAX: Final = 65_536
_SECRET: Final = {"cache-control": "no-store"}
_Verb: TypeAlias = Callable[[Keys, Http], Awaitable[Response]]


class KeyChange(KeyTerms, frozen=True, kw_only=True):
    """Terms of a key; `expires` is a length of time, a date, or null: never."""

    budgets: tuple[KeyBudget | str, ...] = ()  # type: ignore[assignment]  # as people write them
    expires: str | float | None = None


class KeyWish(KeyChange, frozen=True, kw_only=True):
    """A key to be made; left out, its name is made up."""

    name: Name | None = None


class KeyRotation(Struct, forbid_unknown_fields=True):
    """How long the present key is good beside the new one."""

    grace: str | float = GRACE_S


class KeyList(Struct):
    """Every key."""

    keys: list[KeyView]


class KeyShown(KeyView, frozen=True, kw_only=True):
    """A key, and what it has spent."""

    budgets: list[BudgetStanding]


class KeyMade(KeyView, frozen=True, kw_only=True):
    """A key that was made just now; `key` is shown this once."""

    key: str


_ONE: Final = f"{ROOT}/{{name}}"
_NAME: Final = Parameter("name", "path", {"type": "string", "minLength": 1}, "Of the key.")


def _said(summary: str, answer: Any, body: Any = None, *, made: bool = False) -> Entry:
    """What is said of a path here."""
    return Entry(
        summary=summary,
        tag="Keys",
        body=body,
        answers=(answer,),
        good=(201,) if made else (200,),
        refusals=(400, 401, 403, 404, 408, 409, 413, 500, 503),
        routed=False,
        door=Door.ADMIN,
        dialect=Dialect.EITHER,
    )


def _of_one(entry: Entry) -> Entry:
    return replace(entry, parameters=(_NAME,))


KEY_PAGES: Final[Sequence[tuple[str, str, str, Entry]]] = (
    (ROOT, "GET", "_list", _said("Show all keys", KeyList)),
    (ROOT, "POST", "_create", _said("Make a key", KeyMade, KeyWish, made=True)),
    (_ONE, "GET", "_show", _of_one(_said("Show a key", KeyShown))),
    (_ONE, "PATCH", "_change", _of_one(_said("Change a key's terms", KeyView, KeyChange))),
    (_ONE, "DELETE", "_revoke", _of_one(_said("Revoke a key", KeyView))),
    (f"{_ONE}/rotate", "POST", "_rotate", _of_one(
        _said("Replace a key", KeyMade, KeyRotation, made=True)
    )),
)  # fmt: skip
"""Each path: where it is, by which method, who of `KeyPages` serves it, and what is said of it."""


class KeyPages:
    """Serves them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._log = structlog.get_logger("understudy.gateway")

    def routes(self) -> Sequence[Route]:
        """Where everything is."""
        return [self._route(path, method, name) for path, method, name, _ in KEY_PAGES]

    def _route(self, path: str, method: str, name: str) -> Route:
        page = partial(self._serve, getattr(self, name))
        return Route(path, with_id(self._desk, page), methods=[method])

    async def _serve(self, verb: _Verb, http: Http) -> Response:
        self._desk.guard.admin(header_map(http.scope))
        keys: Keys = self._desk.engine.keys
        name = http.path_params.get("name")
        if name is not None and name not in keys.ring.records:
            why = "there is no key of that name: GET /admin/keys lists all"
            raise Refused(why, status=404, code="unknown_key")
        try:
            return await verb(keys, http)
        except BadKey as bad:
            raise Refused(str(bad), param=bad.path or None) from None
        except ConfigError as error:
            raise Refused(str(error), status=409, code="no_store") from None

    async def _list(self, keys: Keys, _http: Http) -> Response:
        return as_json({"keys": to_builtins(keys.every())})

    async def _show(self, keys: Keys, http: Http) -> Response:
        name = http.path_params["name"]
        budgets = [b for b in self._desk.engine.budgets() if (b.scope, b.name) == ("key", name)]
        return as_json({**to_builtins(keys.show(name)), "budgets": to_builtins(budgets)})

    async def _create(self, keys: Keys, http: Http) -> Response:
        name, terms, end = wanted(await _body(http), keys.wall())
        issued = await keys.create(name, terms, expires_at=end)
        return self._issued("gateway.key.created", issued)

    async def _change(self, keys: Keys, http: Http) -> Response:
        change = changing(await _body(http), keys.wall())
        view = await keys.change(http.path_params["name"], change)
        self._log.info("gateway.key.changed", key=view.name)
        return as_json(to_builtins(view))

    async def _revoke(self, keys: Keys, http: Http) -> Response:
        view = await keys.revoke(http.path_params["name"])
        self._log.info("gateway.key.revoked", key=view.name)
        return as_json(to_builtins(view))

    async def _rotate(self, keys: Keys, http: Http) -> Response:
        body = await _body(http)
        grace = body.pop("grace", GRACE_S)
        if body:
            raise Refused('there is only `grace`, a length of time such as "1h"')
        seconds = parse_duration(grace)
        issued = await keys.rotate(http.path_params["name"], seconds)
        return self._issued("gateway.key.rotated", issued)

    def _issued(self, event: str, issued: Issued) -> Response:
        self._log.info(event, key=issued.view.name, id=issued.view.id)
        told: dict[str, Any] = {"key": issued.key.reveal(), **to_builtins(issued.view)}
        return as_json(told, 201, _SECRET)


async def _body(http: Http) -> dict[str, Any]:
    headers = header_map(http.scope)
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return {}
    return await read_json(http.receive, headers, _BODY_MAX)
