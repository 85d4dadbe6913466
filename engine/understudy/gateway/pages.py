"""The small pages beside the formats: health, readiness, status, models, token counts."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request as Http
from starlette.responses import Response
from starlette.routing import Route

from understudy.gateway.body import read_json
from understudy.gateway.desk import Desk
from understudy.gateway.exchange import header_map
from understudy.gateway.headers import of_problem
from understudy.gateway.problem import INVALID, Problem, Refused, problem_of
from understudy.gateway.wires import anthropic_requests
from understudy.gateway.wires.anthropic_messages import error_body as anthropic_error
from understudy.gateway.wires.openai_errors import error_body as openai_error
from understudy.models import RoutableModel
from understudy.prices import estimate_tokens
from understudy.telemetry.metrics import CONTENT_TYPE

ANTHROPIC_VERSION: Final = "anthropic-version"
"""Who sends this header reads Anthropic's formats."""


class Pages:
    """Everything that is no request to a model."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._began = int(desk.wall())

    def routes(self) -> Sequence[Route]:
        """Where each page is."""
        return (
            Route("/health", self.health),
            Route("/ready", self.ready),
            Route("/status", self.status),
            Route("/metrics", self.metrics),
            Route("/v1/models", self.models),
            Route("/v1/models/{name:path}", self.model),
            Route("/v1/messages/count_tokens", self.count_tokens, methods=["POST"]),
        )

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
        return as_json(self._desk.engine.status())

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
        return _told_wrong(http, problem_of(error))

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
        return _told_wrong(http, problem, dict(error.headers or {}))

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
        }


def _anthropic_list(models: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "data": models,
        "has_more": False,
        "first_id": models[0]["id"] if models else None,
        "last_id": models[-1]["id"] if models else None,
    }


def _told_wrong(http: Http, problem: Problem, headers: dict[str, str] | None = None) -> Response:
    """An error in the words of the caller's format."""
    speaks_anthropic = ANTHROPIC_VERSION in http.headers or http.url.path.startswith("/v1/messages")
    body = anthropic_error(problem) if speaks_anthropic else openai_error(problem)
    told = {name.decode(): value.decode() for name, value in of_problem(problem)}
    return as_json(body, problem.status, {**told, **(headers or {})})


def as_json(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A page of JSON."""
    body = msgspec.json.encode(value)
    return Response(body, status, headers, "application/json")
