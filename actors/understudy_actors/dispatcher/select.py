"""Who may serve a request, and why each other one may not.

What never changes while the engine runs (operation, model, capability, region, tag, disabled) is
filtered once for each kind of request and kept as a `Route`; what changes from call to call (tried,
held, open, no slot, price, size, failover guard) is filtered for each request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Final, TypeAlias

import attrs

from understudy_actors.dispatcher.strategies.base import Strategy, expected_usd
from understudy_actors.domain.candidate import Candidate, EndpointSpec
from understudy_actors.domain.request import Request

RouteKey: TypeAlias = tuple[
    str, str | None, tuple[str, ...], str | None, tuple[str, ...], tuple[str, ...] | None
]
"""Operation, model, capabilities, region, tags, fallbacks of its own."""
_NONE: Final[Mapping[int, int]] = MappingProxyType({})


@attrs.define(eq=False, slots=True, frozen=True)
class Route:
    """Everybody who could serve one kind of request, in configured order, and why others cannot.

    `chained` says that the operation has a chain: its order is the priority, and there are no tiers
    but those of fallbacks and stand-ins.
    `levels` are those who serve a fallback of the model, by index: 1 for the first fallback.
    `smallest_window` is the smallest token bound among them, None if none has one.
    `strategies` are those that rank them, by name, each with whether it is one of ours: a strategy
    remembers nothing beyond one kind of request.
    """

    candidates: tuple[Candidate, ...]
    left_out: Mapping[str, str]
    chained: bool
    tiered: bool
    smallest_window: int | None
    levels: Mapping[int, int] = _NONE
    strategies: dict[str, tuple[Strategy, bool]] = attrs.field(factory=dict)


route_key: Final[Callable[[Request], RouteKey]] = attrgetter(
    "operation", "model", "capabilities", "region", "tags", "fallbacks"
)
"""Requests with equal keys share a route."""


def build_route(
    key: RouteKey,
    candidates: Sequence[Candidate],
    chain: Sequence[str] | None,
    fallbacks: Sequence[str] = (),
) -> Route:
    """Filter by what never changes. `chain` names endpoints in order; None is everybody.

    `fallbacks` are models and groups whose endpoints come after those of the model, in order.
    """
    left_out: dict[str, str] = {}
    serving: list[Candidate] = []
    levels: dict[int, int] = {}
    place = {name: position for position, name in enumerate(chain or ())}
    for each in candidates:
        reason = unfit(each.spec, key)
        if reason is not None and (level := _level(each.spec, key, fallbacks)):
            levels[each.index], reason = level, None
        if reason is None and chain is not None and each.name not in place:
            reason = f"not in the chain of {key[0]}"
        if reason is None:
            serving.append(each)
        else:
            left_out[each.name] = reason
    if chain is not None:
        serving.sort(key=lambda c: (c.spec.degraded, levels.get(c.index, 0), place[c.name]))
    else:
        serving.sort(
            key=lambda c: (c.spec.degraded, levels.get(c.index, 0), c.spec.priority, c.index)
        )
    windows = [w for c in serving for w in _windows(c.spec)]
    return Route(
        candidates=tuple(serving),
        left_out=left_out,
        chained=chain is not None,
        tiered=len({tier(c, chain is not None, levels) for c in serving}) > 1,
        smallest_window=min(windows, default=None),
        levels=levels or _NONE,
    )


def _level(spec: EndpointSpec, key: RouteKey, fallbacks: Sequence[str]) -> int:
    """The place of the first fallback that this endpoint serves, from 1; 0: it serves none."""
    for place, name in enumerate(fallbacks, 1):
        if unfit(spec, (key[0], name, *key[2:])) is None:
            return place
    return 0


def unfit(spec: EndpointSpec, key: RouteKey) -> str | None:
    """Why this endpoint can never serve such requests; None if it can."""
    operation, model, capabilities, region, tags, _ = key
    if not spec.enabled:
        return "disabled"
    if operation not in spec.operations:
        return f"does not offer {operation}"
    if model is not None and not serves(spec, model):
        return f"does not serve model {model}"
    if missing := _missing(capabilities, spec.capabilities):
        return f"lacks capability {missing}"
    if region is not None and spec.region != region:
        return f"is not in region {region}"
    if missing := _missing(tags, spec.tags):
        return f"lacks tag {missing}"
    return None


def serves(spec: EndpointSpec, model: str) -> bool:
    """Does `model` name this endpoint: its model, its full name, or one of its groups?"""
    return model in (spec.model, spec.name) or model in spec.groups or "*" in spec.groups


def too_big(spec: EndpointSpec, input_tokens: int) -> str | None:
    """Why a request of so many tokens does not fit; None if it does."""
    for bound in _windows(spec):
        if input_tokens > bound:
            return f"about {input_tokens} tokens exceed its {bound}"
    return None


def too_dear(
    spec: EndpointSpec,
    request: Request,
    input_tokens: int,
    output_tokens: int,
    free_left: int | None = None,
) -> str | None:
    """Why the request's `max_cost_usd` leaves this endpoint out; None if it does not."""
    limit = request.max_cost_usd
    if limit is None or free_left:
        return None
    price = expected_usd(spec, input_tokens, output_tokens, request)
    if price is None:
        return "price unknown: set `price` for it to use it under max_cost_usd"
    if price > limit:
        return f"over max_cost_usd: about ${price:.6f} > ${limit:.6f}"
    return None


def tier(
    candidate: Candidate, chained: bool, levels: Mapping[int, int] = _NONE
) -> tuple[bool, int, int]:
    """Lower tiers come first: stand-ins last, fallbacks before them, then by configured priority,
    which a chain replaces."""
    spec = candidate.spec
    return spec.degraded, levels.get(candidate.index, 0), 0 if chained else spec.priority


def _missing(wanted: Iterable[str], present: Sequence[str]) -> str | None:
    return next((each for each in wanted if each not in present), None)


def _windows(spec: EndpointSpec) -> list[int]:
    return [w for w in (spec.max_context_tokens, spec.max_request_tokens) if w is not None]
