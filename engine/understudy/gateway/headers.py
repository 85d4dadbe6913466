"""Headers of answers: who served it, after how many attempts, at what cost, and when to retry."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

from understudy.gateway.problem import Problem
from understudy_actors.domain.result import Result

Headers: TypeAlias = list[tuple[bytes, bytes]]

JSON: Final = (b"content-type", b"application/json")
STREAM: Final[Headers] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
REQUEST_ID_MAX: Final = 128


def named(request_id: str) -> Headers:
    """The request's id, under the names that both vendors' SDKs look for."""
    value = _safe(request_id)
    return [(b"x-request-id", value), (b"request-id", value)] if value else []


def of_result(result: Result) -> Headers:
    """What is known of a whole answer."""
    attempts = result.attempts
    tried = [each for each in attempts if each.outcome != "refused"]
    waiting = sum(each.elapsed_s + each.wait_s for each in attempts)
    overhead_ms = max(0.0, result.elapsed_s - waiting) * 1e3
    told = [
        *served_by(result.provider, result.model),
        (b"x-understudy-attempts", b"%d" % max(len(tried), 1)),
        (b"x-understudy-fallback", b"true" if len(tried) > 1 or result.degraded else b"false"),
        (b"x-understudy-overhead-ms", f"{overhead_ms:.2f}".encode()),
    ]
    if result.cost_usd is not None:
        told.append((b"x-understudy-cost-usd", f"{result.cost_usd:.6f}".encode()))
    if result.cached:
        told.append((b"x-understudy-cached", b"true"))
    if result.degraded:
        told.append((b"x-understudy-degraded", b"true"))
    return told


def served_by(provider: str, model: str) -> Headers:
    """Who answers."""
    return [(b"x-understudy-provider", _safe(provider)), (b"x-understudy-model", _safe(model))]


def of_problem(problem: Problem) -> Headers:
    """Whether and when the caller's SDK should try again by itself."""
    told: Headers = [(b"x-should-retry", b"true" if problem.again else b"false")]
    if problem.retry_after_s is not None and problem.retry_after_s >= 0:
        told.append((b"retry-after", b"%d" % max(1, math.ceil(problem.retry_after_s))))
    return told


def as_text(headers: Headers) -> dict[str, str]:
    """The same as pages take them."""
    return {name.decode(): value.decode() for name, value in headers}


def own_id(given: str | None) -> str | None:
    """A caller's request id, if it is fit to be repeated in headers and logs."""
    if given is None or not 0 < len(given) <= REQUEST_ID_MAX:
        return None
    return given if given.isascii() and given.isprintable() and " " not in given else None


def _safe(value: str) -> bytes:
    """A header's value: printable ASCII, whatever a configuration calls its models."""
    if not (value.isascii() and value.isprintable()):
        value = "".join(c if c.isascii() and c.isprintable() else "?" for c in value)
    return value.encode()
