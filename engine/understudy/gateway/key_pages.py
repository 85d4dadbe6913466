"""The operators' paths about keys: made and replaced ones are shown this once, and nowhere else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import structlog
from msgspec import to_builtins
from starlette.requests import Request as Http
from starlette.responses import Response
from starlette.routing import Route

from understudy.config.faults import BadKey
from understudy.config.values import parse_duration
from understudy.gateway.body import read_json
from understudy.gateway.desk import Desk
from understudy.gateway.exchange import header_map
from understudy.gateway.pages import as_json
from understudy.gateway.problem import Refused
from understudy.keys.forms import changing, wanted
from understudy.keys.keys import GRACE_S, Issued, Keys
from understudy_actors.domain.errors import ConfigError

ROOT: Final = "/admin/keys"
_BODY_MAX: Final = 65_536
_SECRET: Final = {"cache-control": "no-store"}
_Verb: TypeAlias = Callable[[Keys, Http], Awaitable[Response]]


class KeyPages:
    """Serves them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._log = structlog.get_logger("understudy.gateway")

    def routes(self) -> Sequence[Route]:
        """Where everything is."""
        one = f"{ROOT}/{{name}}"
        return (
            self._route(ROOT, "GET", self._list),
            self._route(ROOT, "POST", self._create),
            self._route(one, "GET", self._show),
            self._route(one, "PATCH", self._change),
            self._route(one, "DELETE", self._revoke),
            self._route(f"{one}/rotate", "POST", self._rotate),
        )

    def _route(self, path: str, method: str, verb: _Verb) -> Route:
        return Route(path, partial(self._serve, verb), methods=[method])

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
