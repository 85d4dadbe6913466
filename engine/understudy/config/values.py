"""The kinds of value a configuration is made of: durations, counts, shares, money, names."""

from __future__ import annotations

import re
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from understudy.config.faults import bad_value

DURATION: Final = 'a duration such as "250ms", "60s", "5m" or "2h30m", or a number of seconds'
_NUMBER: Final = r"([0-9]+(?:\.[0-9]+)?)"
_PARTS: Final = re.compile(
    rf"(?:{_NUMBER}d)?(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s)?(?:{_NUMBER}ms)?"
)
_SECONDS: Final = (86_400.0, 3_600.0, 60.0, 1.0)
_YEAR_S: Final = 366 * 86_400.0
DURATION_PATTERN: Final = r"^([0-9]+(\.[0-9]+)?(d|h|m|s|ms)?)+$"


def parse_duration(value: object) -> float:
    """Seconds in `value`: "250ms", "60s", "5m", "2h30m", "1d", or a number of seconds.

    Units stand in falling order, each at most once. Zero is a duration; less is none.

    Raises:
        BadKey: It is no duration.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if -1e12 < value < 1e12 else _refuse(value)
    if not isinstance(value, str) or not value or len(value) > 40:
        return _refuse(value)
    text = value.replace(" ", "")
    if re.fullmatch(_NUMBER, text):
        return float(text)
    found = _PARTS.fullmatch(text)
    if found is None or not any(found.groups()):
        return _refuse(value)
    *larger, milliseconds = (float(part) if part else 0.0 for part in found.groups())
    whole = sum(part * unit for part, unit in zip(larger, _SECONDS, strict=True))
    return whole + milliseconds / 1_000.0


def _refuse(value: object) -> float:
    raise bad_value(value, DURATION)


Seconds: TypeAlias = Annotated[
    float,
    Meta(
        gt=0,
        le=_YEAR_S,
        extra={"duration": True, "should": f"{DURATION}, more than 0 and at most a year"},
        extra_json_schema={"pattern": DURATION_PATTERN},
    ),
]
"""A relative time in seconds, > 0."""

SecondsOrZero: TypeAlias = Annotated[
    float,
    Meta(
        ge=0,
        le=_YEAR_S,
        extra={"duration": True, "should": f"{DURATION}, 0 or more and at most a year"},
        extra_json_schema={"pattern": DURATION_PATTERN},
    ),
]
"""A relative time in seconds, >= 0."""

Count: TypeAlias = Annotated[
    int, Meta(ge=1, le=10**12, extra={"should": "a whole number, 1 or more"})
]
CountOrZero: TypeAlias = Annotated[
    int, Meta(ge=0, le=10**12, extra={"should": "a whole number, 0 or more"})
]
Share: TypeAlias = Annotated[float, Meta(ge=0, le=1, extra={"should": "a number from 0 to 1"})]
Portion: TypeAlias = Annotated[
    float, Meta(gt=0, le=1, extra={"should": "a number more than 0 and at most 1"})
]
Weight: TypeAlias = Annotated[
    float, Meta(gt=0, le=1e6, extra={"should": "a number more than 0 and at most 1000000"})
]
Amount: TypeAlias = Annotated[
    float, Meta(ge=0, le=1e6, extra={"should": "a number from 0 to 1000000"})
]
"""A number >= 0: USD, tokens of a bucket."""

Text: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=10_000, extra={"should": "a text that is not empty"})
]
# Python's `$` lets a line break follow; `\\Z` would forbid it, but JSON Schema does not know it.
ModelName: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^[^\s,]+$(?!\n)",
        max_length=200,
        extra={"should": "a name without blanks and commas"},
    ),
]
"""A model's name may hold slashes and colons: `openai/gpt-oss-20b`, `llama3.2:1b`."""

Name: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$(?!\n)",
        max_length=100,
        extra={"should": "a name of letters, digits, `_`, `-` and `.`"},
    ),
]
"""A provider's name holds no slash, so that `provider/model` can be read back."""

PriorityName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^(-[1-3]|[0-3])$(?!\n)", extra={"should": "a priority from -3 to 3"}),
]
HeaderName: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$(?!\n)",
        max_length=100,
        extra={"should": "the name of an HTTP header"},
    ),
]
ErrorCode: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^([45][0-9]{2}|[A-Za-z_][A-Za-z0-9_.-]*)$(?!\n)",
        max_length=100,
        extra={"should": "an HTTP status from 400 to 599, or an error code of the provider"},
    ),
]
