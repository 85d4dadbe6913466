"""The operators' path to reload: `POST` does it, `GET` tells how the last one ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

from msgspec import to_builtins
from starlette.requests import Request as Http
from starlette.responses import Response
from starlette.routing import Route

from understudy.differences import Reloaded
from understudy.gateway.contract.entry import Dialect, Door, Entry
from understudy.gateway.desk import Desk
from understudy.gateway.exchange import header_map
from understudy.gateway.pages import as_json, with_id
from understudy.gateway.problem import Refused
from understudy.gateway.renewal import LastReload, Renewal
from understudy_actors.domain.errors import ConfigError

PATH: Final = "/admin/reload"


def _said(summary: str, *answers: Any) -> Entry:
    return Entry(
        summary=summary,
        tag="Operation",
        answers=answers,
        refusals=(400, 401, 403, 404, 500, 503),
        routed=False,
        door=Door.ADMIN,
        dialect=Dialect.EITHER,
    )


RELOAD_PAGES: Final[Sequence[tuple[str, str, str, Entry]]] = (
    (PATH, "POST", "_reload", _said("Read the configuration anew", Reloaded)),
    (PATH, "GET", "_last", _said("How the last reload ended", LastReload | None)),
)
"""As `KEY_PAGES`."""


class ReloadPages:
    """Serves it, where there is a configuration to read anew."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[Route]:
        """Where it is."""
        return [self._route(path, method, name) for path, method, name, _ in RELOAD_PAGES]

    def _route(self, path: str, method: str, name: str) -> Route:
        page = partial(self._serve, getattr(self, name))
        return Route(path, with_id(self._desk, page), methods=[method])

    async def _serve(self, verb: Callable[[Renewal], Awaitable[Response]], http: Http) -> Response:
        self._desk.guard.admin(header_map(http.scope))
        if self._desk.renewal is None:
            why = "this gateway has no configuration that it could read anew"
            raise Refused(why, status=404, code="no_reload")
        return await verb(self._desk.renewal)

    async def _reload(self, renewal: Renewal) -> Response:
        try:
            return as_json(to_builtins(await renewal.reload()))
        except ConfigError as error:
            why = f"{error}. What served before serves on"
            raise Refused(why, code="invalid_configuration") from None

    async def _last(self, renewal: Renewal) -> Response:
        return as_json(to_builtins(renewal.last))
