"""The access log: one line for each request, whatever became of it.

A line says who asked (the name of the key, never the key), for what, who answered, how long it
took, and what it used and cost. It never holds a prompt, an answer, a query or a header; of a path
what looks like a secret is left out, and every text in it is short.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import attrs

from understudy.config.faults import looks_secret
from understudy_actors.domain.errors import UnderstudyError
from understudy_actors.domain.result import Result

SEEN: Final = "understudy.seen"
"""Where in an ASGI scope the desk finds the `Seen` of a request, if somebody keeps one."""
GONE: Final = 499
"""The status of whoever hung up before the answer began, as other servers' logs have it."""
TEXT_MAX: Final = 200

Write = Callable[[str, dict[str, Any]], None]


@attrs.define
class Seen:
    """What the desk knows of one request beside its path and its status."""

    request_id: str = ""
    key: str | None = None
    asked: str | None = None
    stream: bool = False
    result: Result | None = None
    error: BaseException | None = None

    def fields(self) -> dict[str, Any]:
        """What a line says of it. A model's name is told once somebody was asked for it."""
        told: dict[str, Any] = {"request_id": self.request_id, "key": self.key}
        told["stream"] = self.stream or None
        if self.error is not None:
            told["error"] = type(self.error).__name__
        if self.result is not None:
            told |= {"model": self.asked, **_of_result(self.result)}
        elif isinstance(self.error, UnderstudyError) and self.error.attempts:
            last = self.error.attempts[-1]
            told |= {"model": self.asked, "endpoint": last.endpoint}
            told["attempts"] = len(self.error.attempts)
            told["cost_usd"] = _sum(each.cost_usd for each in self.error.attempts)
        return {name: _short(value) for name, value in told.items() if value not in (None, "")}


def _of_result(result: Result) -> dict[str, Any]:
    return {
        "provider": result.provider,
        "served_model": result.model,
        "attempts": len(result.attempts) or None,
        "input_tokens": result.usage.input_tokens,
        "output_tokens": result.usage.output_tokens,
        "cost_usd": result.cost_usd,
        "cached": result.cached or None,
        "degraded": result.degraded or None,
    }


def _sum(costs: Any) -> float | None:
    """What all cost together; None if somebody's is not known."""
    known = list(costs)
    return None if None in known else sum(known)


class AccessLog:
    """An ASGI application around another one, which writes a line for each of its requests."""

    def __init__(self, app: Any, write: Write, now: Callable[[], float]) -> None:
        self._app = app
        self._write = write
        self._now = now

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve, and write what it came to."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = scope[SEEN] = Seen()
        began, status = self._now(), 0

        async def sending(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            status = status or HTTPStatus.INTERNAL_SERVER_ERROR
            raise
        finally:
            line = {
                "event": "access",
                "method": _short(scope["method"]),
                "path": shown_path(scope["path"]),
                "status": int(status) or GONE,
                "ms": round((self._now() - began) * 1e3, 2),
                **seen.fields(),
            }
            self._write("info", line)


def shown_path(path: str) -> str:
    """A path as a log may hold it."""
    parts = ("..." if looks_secret(part) else part for part in path.split("/"))
    return str(_short("/".join(parts)))


def _short(value: Any) -> Any:
    """A text of one line that is not long; numbers as they are."""
    if isinstance(value, float):
        return round(value, 6)
    if not isinstance(value, str):
        return value
    clean = "".join(each if each.isprintable() else "?" for each in value[: TEXT_MAX + 1])
    return clean if len(clean) <= TEXT_MAX else f"{clean[:TEXT_MAX]}..."
