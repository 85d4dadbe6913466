"""How each endpoint is called: through its adapter and the transport, or inside this process."""

from __future__ import annotations

from collections.abc import Awaitable

from msgspec.structs import replace

from understudy.adapters.base import CallAdapter, Reply, Target, WireAdapter
from understudy.adapters.failure import transport_failure
from understudy.routing.wiring import Call
from understudy.transport.http import Transport, TransportFailed
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.request import ChatInput, Request
from understudy_actors.runtime.ports import Clock


def over_wire(
    adapter: WireAdapter,
    target: Target,
    transport: Transport,
    clock: Clock,
    connect_timeout_s: float | None = None,
) -> Call:
    """A call that builds a request, sends it, and reads the answer.

    `connect_timeout_s` limits reaching the provider; None leaves that to the transport.
    """

    async def call(candidate: Candidate, request: Request) -> Reply:
        fitted = fit(target, candidate, request)
        outgoing = adapter.build(request, fitted)
        if connect_timeout_s is not None:
            outgoing = replace(outgoing, connect_timeout_s=connect_timeout_s)
        try:
            response = await transport.send(target.provider, outgoing)
        except TransportFailed as failed:
            error = transport_failure(failed, target)
        else:
            return adapter.parse(request, fitted, response, clock.wall())
        raise error

    return call


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
