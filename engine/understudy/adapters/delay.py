"""How long a provider asks us to wait: every form of delay hint, read from response headers.

Order: `retry-after-ms`, `retry-after` in seconds, `retry-after` as a date (RFC 9110, 10.2.3), then
the reset header of a limit whose `remaining` header says 0. What is no time at all is absent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

DELAY_MAX_S: Final = 86_400.0
"""A hint never asks for more than a day."""

HINTED_STATUSES: Final = frozenset({429, 503, 529})
"""Statuses whose delay hints are believed."""

LIMITS: Final = (
    *(
        (f"x-ratelimit-remaining{kind}", f"x-ratelimit-reset{kind}")
        for kind in ("", "-requests", "-tokens")
    ),
    *(
        (f"anthropic-ratelimit-{kind}-remaining", f"anthropic-ratelimit-{kind}-reset")
        for kind in ("requests", "tokens", "input-tokens", "output-tokens")
    ),
)
"""(remaining, reset) header names of each limit."""

_LENGTH_MAX: Final = 64  # no form of time is longer
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DURATION: Final = re.compile(r"-?(\d+(\.\d*)?(ns|us|µs|μs|ms|s|m|h))+", re.ASCII)
_PIECE: Final = re.compile(r"(\d+(?:\.\d*)?)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_UNIT_S: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_EPOCH_MS_MIN: Final = 1e11  # as seconds this is the year 5138, as milliseconds 1973
_EPOCH_S_MIN: Final = 1e9  # as a relative time this is 31 years


def delay_s(
    status: int,
    headers: Mapping[str, str],
    wall_s: float,
    *,
    statuses: frozenset[int] = HINTED_STATUSES,
) -> float | None:
    """Seconds that the provider asks us to wait, in 0..`DELAY_MAX_S`; None without a valid hint.

    Args:
        status: HTTP status of the response.
        headers: Its headers, names in lower case.
        wall_s: The time now in seconds since the Unix epoch; dates are relative to it, unless the
            response has a `date` header of its own.
        statuses: Those on which hints are believed.
    """
    if status not in statuses:
        return None
    asked = _number(headers.get("retry-after-ms"))
    seconds = None if asked is None else asked / 1000.0
    if seconds is None:
        seconds = _number(headers.get("retry-after"))
    if seconds is None:
        wall_s = sent_at(headers, wall_s)
        seconds = _until_http_date(headers.get("retry-after"), wall_s)
    if seconds is None:
        seconds = _exhausted_s(headers, wall_s)
    if seconds is None or not math.isfinite(seconds):
        return None
    return min(max(seconds, 0.0), DELAY_MAX_S)


def _exhausted_s(headers: Mapping[str, str], wall_s: float) -> float | None:
    """The longest reset among the limits that are used up."""
    resets = [
        reset
        for remaining, name in LIMITS
        if _number(headers.get(remaining)) == 0
        and (reset := reset_s(headers.get(name), wall_s)) is not None
    ]
    return max(resets, default=None)


def sent_at(headers: Mapping[str, str], wall_s: float) -> float:
    """When the response was sent, in Unix seconds: by the provider's own clock where it shows one.

    Ours, `wall_s`, may be wrong by hours.
    """
    sent_s = _until_http_date(headers.get("date"), 0.0)
    return wall_s if sent_s is None else sent_s


def reset_s(value: str | None, wall_s: float) -> float | None:
    """Seconds from now to a reset time in any form in use.

    A Go duration (`1m30s`), an RFC 3339 time, an epoch in seconds or milliseconds, or plain
    seconds.
    """
    if value is None or len(value) > _LENGTH_MAX:
        return None
    value = value.strip()
    if (number := _number(value)) is not None:
        if number >= _EPOCH_MS_MIN:
            return number / 1000.0 - wall_s
        return number - wall_s if number >= _EPOCH_S_MIN else number
    if _DURATION.fullmatch(value):
        length = sum(float(n) * _UNIT_S[unit] for n, unit in _PIECE.findall(value))
        return -length if value.startswith("-") else length
    return _until_rfc3339(value, wall_s)


def _number(value: str | None) -> float | None:
    """A finite decimal number; `nan`, `inf`, `1_000` and foreign digits are none."""
    if value is None or len(value) > _LENGTH_MAX or not _NUMBER.fullmatch(value := value.strip()):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _until_rfc3339(value: str, wall_s: float) -> float | None:
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp() - wall_s
    except (ValueError, OverflowError):
        return None


def _until_http_date(value: str | None, wall_s: float) -> float | None:
    """Seconds to a date in any of HTTP's three forms; a date without a zone is UTC."""
    if value is None or len(value) > _LENGTH_MAX:
        return None
    from email.utils import parsedate_tz  # rare, and slow to import

    try:
        if (parts := parsedate_tz(value)) is None:
            return None
        moment = datetime(*parts[:6], tzinfo=UTC)
        return moment.timestamp() - (parts[9] or 0) - wall_s
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
