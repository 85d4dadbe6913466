"""The control endpoints: /health, /config/... and /stats. Faults never touch them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import Raw

from understudy_sim.faults import canonical_json
from understudy_sim.mock.provider import MockProvider
from understudy_sim.mock.wire import Answer, json_answer
from understudy_sim.reading import Refused, parse_json

_READ: Final[dict[str, Callable[[MockProvider], object]]] = {
    "/health": lambda mock: {"status": "ok", "provider": mock.settings.provider},
    "/config/failures": lambda mock: mock.failures,
    "/config/schedule": lambda mock: Raw(canonical_json(mock.schedule)),
    "/config/behaviour": lambda mock: mock.behaviour,
    "/stats": lambda mock: mock.stats,
}
_WRITE: Final[dict[str, Callable[[MockProvider, Any], object]]] = {
    "/config/failures": MockProvider.set_failures,
    "/config/schedule": MockProvider.set_schedule,
    "/config/behaviour": MockProvider.set_behaviour,
}
_RESET: Final = "/stats/reset"
PATHS: Final = frozenset({*_READ, *_WRITE, _RESET})


TOO_LARGE: Final = json_answer(
    {"error": {"type": "invalid_config", "key": None, "message": "the body is too large"}}, 413
)


def respond(mock: MockProvider, method: str, path: str, body: bytes) -> Answer:
    """Answer a control request: 200 with the effective configuration, 400, 405 or 422."""
    if method == "GET" and path in _READ:
        return json_answer(_READ[path](mock))
    if method == "POST" and path == _RESET:
        mock.stats.reset()
        return json_answer(mock.stats)
    if method == "POST" and path in _WRITE:
        return _configure(mock, path, body)
    allowed = ["GET"] if path in _READ else []
    if path in _WRITE or path == _RESET:
        allowed.append("POST")
    message = f"{path} does not take {method}; use {' or '.join(allowed)}"
    return _refusal(405, "", message, (("allow", ", ".join(allowed)),))


def _configure(mock: MockProvider, path: str, body: bytes) -> Answer:
    try:
        data = parse_json(body)
    except Refused as error:
        return _refusal(400, "", f"{error}; send a JSON object, {{}} to reset")
    try:
        _WRITE[path](mock, data)
    except Refused as error:
        return _refusal(422, error.key, str(error))
    return json_answer(_READ[path](mock))


def _refusal(
    status: int, key: str, message: str, headers: tuple[tuple[str, str], ...] = ()
) -> Answer:
    error = {"type": "invalid_config", "key": key or None, "message": message}
    return json_answer({"error": error}, status, headers)
