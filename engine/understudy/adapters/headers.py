"""Headers: what an adapter sends, and the request id that it finds in an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from understudy.adapters.base import Target
from understudy.adapters.body import Unusable
from understudy_actors.domain.outcome import ErrorClass

_SENDABLE: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)
_REQUEST_ID: Final = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)


def json_headers(target: Target, key_header: str, prefix: str = "") -> dict[str, str]:
    """Headers of a JSON request with the target's key; the target's own headers come last and win.

    Raises:
        Unusable: (AUTH) The key holds characters that no header can carry.
    """
    headers = {"content-type": "application/json"}
    if target.key:
        key = target.key.reveal().strip()
        if not _SENDABLE.fullmatch(key):
            raise Unusable("the key holds blanks or foreign characters", ErrorClass.AUTH)
        headers[key_header] = prefix + key
    headers.update((name.lower(), value) for name, value in target.headers.items())
    return headers


def stream_headers(headers: dict[str, str]) -> dict[str, str]:
    """The same for a stream: no compression, since whoever compresses holds pieces back."""
    return {"accept": "text/event-stream", "accept-encoding": "identity", **headers}


def request_id(headers: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    """The provider's own id of the request: what its support asks for."""
    for name in names:
        if (value := headers.get(name)) and _REQUEST_ID.fullmatch(value):
            return value
    return None
