"""What a caller may say about how its request is routed, in its body or in headers.

In the body it is a table `understudy`; in headers each field is `x-understudy-NAME`, with dashes
for underscores, and lists separated by commas. What the body says wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

from msgspec import Meta, Struct
from msgspec.structs import replace

from understudy.config.faults import BadKey
from understudy.config.values import parse_duration
from understudy.gateway.asked import converted
from understudy.gateway.problem import Refused
from understudy_actors.domain.request import (
    FALLBACKS_MAX,
    PRIORITY_MAX,
    Caching,
    Complexity,
    Request,
)

PREFIX: Final = "x-understudy-"
LISTS: Final = frozenset({"tags", "labels", "capabilities", "fallbacks"})
WORDS: Final[Mapping[str, type[StrEnum]]] = {"complexity": Complexity, "cache": Caching}
TRUTH: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class Overrides(Struct, frozen=True, forbid_unknown_fields=True):
    """Conditions of one request; what is left out is as configured.

    Attributes:
        fallback: False asks the first choice only.
        fallbacks: Models and groups to ask after the model, in order, in place of configured ones.
        max_attempts: Attempts at most, all providers together.
        timeout: Limit over everything: seconds, or a duration such as "30s".
        strategy: Orders the candidates.
        max_cost_usd: Nobody who would cost more is asked.
        complexity: How hard the task is: simple, medium or complex.
        region: Only providers of this region.
        tags: Only providers that carry all of these.
        capabilities: Every one of these is needed.
        labels: Words to account it to.
        user, team, tenant: Whom it is accounted to, and whose share it counts in; what the
            caller's key says of these wins.
        priority: -3 to 3, while requests wait for a slot.
        hedge, collapse: Whether a second copy may be sent; whether identical requests share a call.
        cache: What to do with the cache: use, bypass, refresh or only.
        mock_response: Answer this, and ask nobody.
    """

    fallback: bool | None = None
    fallbacks: Annotated[list[str], Meta(max_length=FALLBACKS_MAX)] | None = None
    max_attempts: Annotated[int, Meta(ge=1)] | None = None
    timeout: float | str | None = None
    strategy: str | None = None
    max_cost_usd: Annotated[float, Meta(ge=0)] | None = None
    complexity: str | None = None
    region: str | None = None
    tags: list[str] | None = None
    capabilities: list[str] | None = None
    labels: list[str] | None = None
    user: str | None = None
    team: str | None = None
    tenant: str | None = None
    priority: Annotated[int, Meta(ge=-PRIORITY_MAX, le=PRIORITY_MAX)] | None = None
    hedge: bool | None = None
    collapse: bool | None = None
    cache: str | None = None
    mock_response: str | None = None


FIELDS: Final = frozenset(Overrides.__struct_encode_fields__)


def overrides(table: Any, headers: Mapping[str, str]) -> Overrides:
    """Read them from the body's table and from headers (names in lower case).

    Raises:
        Refused: One of them is unknown, or its value is wrong.
    """
    found: dict[str, Any] = {}
    for header, value in headers.items():
        if header.startswith(PREFIX):
            name = header.removeprefix(PREFIX).replace("-", "_")
            if name not in FIELDS:
                raise Refused(f"{header}: there is no such header; see the documentation")
            found[name] = _value(name, value)
    if table is not None:
        if not isinstance(table, dict):
            raise Refused("understudy: expected an object", param="understudy")
        found |= table
    return _EMPTY if not found else _read(found)


def of_texts(table: Mapping[str, str]) -> dict[str, Any]:
    """A table whose values came as texts, as those of headers and forms do."""
    return {name: _value(name, value) for name, value in table.items()}


def _read(found: dict[str, Any]) -> Overrides:
    try:
        return converted(found, Overrides)
    except Refused as refused:
        problem = refused.problem
        param = f"understudy.{problem.param}" if problem.param else "understudy"
        raise Refused(f"understudy: {problem.message}", param=param) from None


_EMPTY: Final = Overrides()


def _value(name: str, text: str) -> Any:
    """A header's text as the type of its field."""
    if name in LISTS:
        return [each.strip() for each in text.split(",") if each.strip()]
    if name in ("fallback", "hedge", "collapse"):
        return TRUTH.get(text.strip().lower(), text)
    if name in ("max_attempts", "priority", "max_cost_usd"):
        return _number(text)
    return text


def _number(text: str) -> Any:
    for form in (int, float):
        try:
            return form(text)
        except ValueError:
            continue
    return text


def conditioned(request: Request, own: Overrides) -> Request:
    """The request under its caller's conditions.

    Raises:
        Refused: A value is wrong.
    """
    if own is _EMPTY:
        return request
    changes: dict[str, Any] = {
        name: value
        for name in FIELDS - {"timeout", "mock_response", *WORDS}
        if (value := getattr(own, name)) is not None
    }
    for name in LISTS & changes.keys():
        changes[name] = tuple(changes[name])
    if own.timeout is not None:
        changes["timeout_s"] = _seconds(own.timeout)
    for name, words in WORDS.items():
        if (value := getattr(own, name)) is not None:
            changes[name] = _word(name, value, words)
    return replace(request, **changes)


def _seconds(value: float | str) -> float:
    try:
        seconds = parse_duration(value)
    except BadKey as bad:
        raise Refused(f"understudy.timeout: {bad}", param="understudy.timeout") from None
    if seconds <= 0:
        raise Refused("understudy.timeout: it must be more than 0", param="understudy.timeout")
    return seconds


def _word(name: str, value: str, words: type[StrEnum]) -> StrEnum:
    try:
        return words(value)
    except ValueError:
        why = f"understudy.{name}: expected one of {', '.join(words)}"
        raise Refused(why, param=f"understudy.{name}") from None
