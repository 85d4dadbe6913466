"""The small pages beside the formats: health, readiness, status, models, token counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Struct, to_builtins
from msgspec.structs import replace
from starlette.exceptions import HTTPException
from starlette.requests import Request as Http
from starlette.responses import Response
from starlette.routing import Route

from understudy.gateway.body import read_json
from understudy.gateway.contract.anthropic import AnthropicModel, AnthropicModels, TokenCount
from understudy.gateway.contract.entry import Dialect, Door, Entry, Parameter
from understudy.gateway.contract.openai import Model, ModelList
from understudy.gateway.desk import Desk
from understudy.gateway.exchange import header_map
from understudy.gateway.headers import as_text, named as id_headers, of_problem
from understudy.gateway.problem import INVALID, Problem, Refused, problem_of
from understudy.gateway.wires import anthropic_requests
from understudy.gateway.wires.anthropic_messages import error_body as anthropic_error
from understudy.gateway.wires.openai_errors import error_body as openai_error
from understudy.models import RoutableModel
from understudy.prices import estimate_tokens
from understudy.reports import StatusReport
from understudy.telemetry.metrics import CONTENT_TYPE

Page: TypeAlias = Callable[[Http], Awaitable[Response]]

ANTHROPIC_VERSION: Final = "anthropic-version"
"""Who sends this header reads Anthropic's formats."""


class Seen(Struct, frozen=True, kw_only=True):
    """When the configuration was to be read anew last (Unix seconds), and whether it was taken."""

    at: float
    ok: bool


class Standing(StatusReport, frozen=True, kw_only=True):
    """The status document of an engine, and how its last reload ended; None before the first."""

    last_reload: Seen | None = None


class Living(Struct):
    """The process lives."""

    status: Literal["healthy"]


class Ready(Struct):
    """Whether somebody can be asked."""

    status: Literal["ready", "not ready"]


def _page(summary: str, *answers: Any, **more: Any) -> Entry:
    """What is said of a page: it can be refused for want of a key, and while nobody serves."""
    told = {"refusals": (401, 500, 503), "door": Door.VISITOR, "dialect": Dialect.EITHER}
    return Entry(**{"summary": summary, "routed": False, "answers": answers, **told, **more})


PAGES: Final[Sequence[tuple[str, str, str, Entry]]] = (
    ("/health", "GET", "health", _page(
        "The process lives", Living, tag="Operation", door=Door.OPEN, refusals=(500,),
    )),
    ("/ready", "GET", "ready", _page(
        "Somebody can be asked", Ready, tag="Operation", door=Door.OPEN, good=(200, 503),
        refusals=(500,),
    )),
    ("/status", "GET", "status", _page("The status document", Standing, tag="Operation")),
    ("/metrics", "GET", "metrics", _page(
        "Metrics, as Prometheus reads them", tag="Operation", media=CONTENT_TYPE,
    )),
    ("/openapi.json", "GET", "openapi", _page(
        "This document", dict[str, Any], tag="Operation", door=Door.OPEN, refusals=(500,),
    )),
    ("/v1/models", "GET", "models", _page(
        "Every name that requests may use", ModelList, AnthropicModels, tag="Models",
    )),
    ("/v1/models/{name:path}", "GET", "model", _page(
        "One of them", Model, AnthropicModel, tag="Models", refusals=(401, 404, 500, 503),
        parameters=(Parameter(
            "name", "path", {"type": "string", "minLength": 1},
            "It may hold slashes, and they need no escape.",
        ),),
    )),
    ("/v1/messages/count_tokens", "POST", "count_tokens", _page(
        "About how many tokens a prompt has", TokenCount, tag="Anthropic", name="Count",
        body=anthropic_requests.Prompt, door=Door.CALLER, dialect=Dialect.ANTHROPIC,
        refusals=(400, 401, 408, 413, 500, 503),
    )),
)  # fmt: skip
"""Each page: where it is, by which method, who of `Pages` makes it, and what is said of it."""


class Pages:
    """Everything that is no request to a model."""

    def __init__(self, desk: Desk, contract: Callable[[], bytes]) -> None:
        self._desk = desk
        self._contract = contract
        self._began = int(desk.wall())

    def routes(self) -> Sequence[Route]:
        """Where each page is."""
        return [
            Route(path, with_id(self._desk, getattr(self, name)), methods=[method])
            for path, method, name, _ in PAGES
        ]

    async def openapi(self, _http: Http) -> Response:
        """What callers may expect of every path, as OpenAPI."""
        return Response(self._contract(), media_type="application/json")

    async def health(self, _http: Http) -> Response:
        """The process lives."""
        return as_json({"status": "healthy"})

    async def ready(self, _http: Http) -> Response:
        """Somebody can be asked."""
        ready = self._desk.engine.status().healthy > 0
        return as_json({"status": "ready" if ready else "not ready"}, 200 if ready else 503)

    async def status(self, http: Http) -> Response:
        """The status document."""
        self._desk.guard.visitor(header_map(http.scope))
        renewal, told = self._desk.renewal, to_builtins(self._desk.engine.status())
        if renewal is not None and renewal.last is not None:
            told["last_reload"] = Seen(at=renewal.last.at, ok=renewal.last.ok)
        return as_json(told)

    async def metrics(self, http: Http) -> Response:
        """Metrics, as Prometheus reads them."""
        self._desk.guard.visitor(header_map(http.scope))
        return Response(self._desk.metrics.page(), media_type=CONTENT_TYPE)

    async def models(self, http: Http) -> Response:
        """Every name that requests may use."""
        known = self._models(http)
        if ANTHROPIC_VERSION in http.headers:
            return as_json(_anthropic_list([self._anthropic(each) for each in known]))
        return as_json({"object": "list", "data": [self._openai(each) for each in known]})

    async def model(self, http: Http) -> Response:
        """One of them."""
        known = {each.name: each for each in self._models(http)}
        if (found := known.get(http.path_params["name"])) is None:
            why = "there is no such model: GET /v1/models lists them"
            raise Refused(why, status=404, code="model_not_found", param="model")
        shown = self._anthropic if ANTHROPIC_VERSION in http.headers else self._openai
        return as_json(shown(found))

    async def count_tokens(self, http: Http) -> Response:
        """About how many tokens a prompt has; no provider is asked."""
        headers = header_map(http.scope)
        self._desk.guard.caller(headers)
        body = await read_json(http.receive, headers)
        tokens = estimate_tokens(anthropic_requests.read_prompt(body))
        return as_json({"input_tokens": tokens})

    async def failed(self, http: Http, error: Exception) -> Response:
        """What a page raised, in the words of the caller's format."""
        return self._told_wrong(http, problem_of(error))

    async def no_such_page(self, http: Http, error: Exception) -> Response:
        """What is no page, or not for this method, in the words of the caller's format."""
        assert isinstance(error, HTTPException)
        where = f"{http.method} {http.url.path}"
        why = {404: f"there is no {where} here", 405: f"{where} is not possible"}
        problem = Problem(
            status=error.status_code,
            kind=INVALID,
            code="not_found" if error.status_code == HTTPStatus.NOT_FOUND else None,
            message=why.get(error.status_code, error.detail),
        )
        return self._told_wrong(http, problem, dict(error.headers or {}))

    def _told_wrong(
        self, http: Http, problem: Problem, headers: dict[str, str] | None = None
    ) -> Response:
        """An error in the words of the caller's format."""
        path = http.url.path
        speaks_anthropic = ANTHROPIC_VERSION in http.headers or path.startswith("/v1/messages")
        named = replace(problem, request_id=self._desk.name(http.headers))
        body = anthropic_error(named) if speaks_anthropic else openai_error(named)
        told = as_text([*of_problem(named), *id_headers(named.request_id)])
        return as_json(body, problem.status, {**told, **(headers or {})})

    def _models(self, http: Http) -> list[RoutableModel]:
        """Every name that this caller may use."""
        caller = self._desk.guard.visitor(header_map(http.scope))
        known = self._desk.engine.models()
        return [m for m in known if caller is None or caller.terms.allows(m.name)]

    def _openai(self, model: RoutableModel) -> dict[str, Any]:
        owners = dict.fromkeys(each.partition("/")[0] for each in model.endpoints)
        return {
            "id": model.name,
            "object": "model",
            "created": self._began,
            "owned_by": ", ".join(owners),
        }

    def _anthropic(self, model: RoutableModel) -> dict[str, Any]:
        return {
            "type": "model",
            "id": model.name,
            "display_name": model.name,
            "created_at": "1970-01-01T00:00:00Z",  # the format's own word for: nobody knows
            "lifecycle": "active",
        }


def _anthropic_list(models: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "data": models,
        "has_more": False,
        "first_id": models[0]["id"] if models else None,
        "last_id": models[-1]["id"] if models else None,
    }


def with_id(desk: Desk, page: Page) -> Page:
    """The same page, with the request's id in its headers."""

    async def shown(http: Http) -> Response:
        response = await page(http)
        response.headers.update(as_text(id_headers(desk.name(http.headers))))
        return response

    return shown


def as_json(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A page of JSON."""
    body = msgspec.json.encode(value)
    return Response(body, status, headers, "application/json")
