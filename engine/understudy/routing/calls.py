"""How each endpoint is called: through its adapter and the transport, or inside this process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from msgspec.structs import replace

from understudy.adapters.base import Adapter, CallAdapter, Reply, Target, WireAdapter
from understudy.adapters.failure import transport_failure
from understudy.adapters.limits import UNSAID, Names, RateHeaders, sightings
from understudy.routing.wiring import Call
from understudy.transport.http import HttpRequest, HttpResponse, Transport, TransportFailed
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.errors import ProviderError
from understudy_actors.domain.rates import Counting, Sighting
from understudy_actors.domain.request import ChatInput, Request
from understudy_actors.runtime.ports import Clock

Mark: TypeAlias = Callable[[Request, HttpRequest], HttpRequest]
"""Writes into what is sent which trace it belongs to."""


def over_wire(
    adapter: WireAdapter,
    target: Target,
    transport: Transport,
    clock: Clock,
    connect_timeout_s: float | None = None,
    mark: Mark | None = None,
) -> Call:
    """A call that builds a request, sends it, and reads the answer.

    `connect_timeout_s` limits reaching the provider; None leaves that to the transport. `mark`
    has the last word on what is sent.
    """

    names = limit_headers(adapter, target)

    async def call(candidate: Candidate, request: Request) -> Reply:
        fitted = fit(target, candidate, request)
        outgoing = adapter.build(request, fitted)
        if connect_timeout_s is not None:
            outgoing = replace(outgoing, connect_timeout_s=connect_timeout_s)
        if mark is not None:
            outgoing = mark(request, outgoing)
        try:
            response = await transport.send(target.provider, outgoing)
        except TransportFailed as failed:
            error = transport_failure(failed, target)
        else:
            wall_s = clock.wall()
            seen = sightings(names, response.headers, wall_s)
            return parsed(adapter, request, fitted, response, wall_s, seen)
        raise error

    return call


def limit_headers(adapter: WireAdapter, target: Target) -> tuple[Names, ...]:
    """The headers in which a provider speaks of its limits a minute."""
    names, units = _limits(adapter).names, target.options.get("minute_units")
    if not isinstance(units, tuple):
        return names
    return tuple(each for each in names if each.unit in units)


def counting_of(adapter: Adapter) -> Counting:
    """How a provider counts tokens."""
    return _limits(adapter).counting


def _limits(adapter: Adapter) -> RateHeaders:
    """What stands beside an adapter; one of somebody's own need not have it."""
    said = getattr(adapter, "limits", UNSAID)
    return said if isinstance(said, RateHeaders) else UNSAID


def parsed(
    adapter: WireAdapter,
    request: Request,
    target: Target,
    response: HttpResponse,
    wall_s: float,
    seen: tuple[Sighting, ...],
) -> Reply:
    """The reply, or the error, with what the headers say of limits."""
    if not seen:
        return adapter.parse(request, target, response, wall_s)
    try:
        reply = adapter.parse(request, target, response, wall_s)
    except ProviderError as error:
        error.limits = seen
        raise
    return replace(reply, limits=seen) if isinstance(reply, Reply) else reply


def in_process(adapter: CallAdapter, model: str) -> Call:
    """A call that never leaves this process."""
    answer = adapter.call

    def call(candidate: Candidate, request: Request) -> Awaitable[Reply]:  # noqa: ARG001
        return answer(request, model)

    return call


def fit(target: Target, candidate: Candidate, request: Request) -> Target:
    """Cap the answer at what the request's `max_cost_usd` pays for, so that it is never exceeded.

    The prompt's estimate errs on the high side, so the cap errs on the low one.
    """
    limit, price = request.max_cost_usd, candidate.spec.price
    if limit is None or price is None or not price.output_per_mtok or candidate.free_left:
        return target
    if not isinstance(request.input, ChatInput) or request.input.max_tokens is not None:
        return target
    from understudy.prices import estimate_tokens

    spent = price.request_usd + estimate_tokens(request) * price.input_per_mtok / 1e6
    affordable = int((limit - spent) * 1e6 / price.output_per_mtok)
    cap = target.max_output_tokens
    return replace(
        target, max_output_tokens=max(1, affordable if cap is None else min(cap, affordable))
    )
