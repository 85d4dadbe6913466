"""Reading what a caller sends: bounded in bytes and time, and JSON or a clear refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from understudy.adapters.body import NOT_JSON, decode
from understudy.gateway.problem import Refused

BODY_MAX: Final = 32 * 1024 * 1024
"""Bytes: a few pictures in base64 fit."""
BODY_S: Final = 30.0

Receive = Callable[[], Awaitable[Any]]


class Gone(Exception):
    """The caller has hung up."""


async def read_json(
    receive: Receive, headers: Mapping[str, str], most: int = BODY_MAX, limit_s: float = BODY_S
) -> dict[str, Any]:
    """A caller's body as a JSON object.

    Raises:
        Refused: It is too large, comes too slowly, or is no JSON object.
        Gone: The caller has hung up.
    """
    value = decode(await read_bytes(receive, headers, most, limit_s))
    if value is NOT_JSON:
        raise Refused("the body is no JSON: send a JSON object in UTF-8", code="invalid_json")
    if not isinstance(value, dict):
        raise Refused("the body is JSON, but no object", code="invalid_json")
    return value


async def read_bytes(
    receive: Receive, headers: Mapping[str, str], most: int = BODY_MAX, limit_s: float = BODY_S
) -> bytes:
    """A caller's body, whatever it holds.

    Raises:
        Refused: It is too large, or comes too slowly.
        Gone: The caller has hung up.
    """
    try:
        async with asyncio.timeout(limit_s):
            return await _read(receive, headers, most)
    except TimeoutError:
        why = f"the body did not arrive within {limit_s:g} s"
        raise Refused(why, status=408, code="request_timeout") from None


async def _read(receive: Receive, headers: Mapping[str, str], most: int) -> bytes:
    told = headers.get("content-length", "")
    if told.isdigit() and int(told) > most:
        raise _too_large(most)
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _too_large(most: int) -> Refused:
    why = f"the body is larger than {most} bytes: shorten it"
    return Refused(why, status=413, code="request_too_large")
