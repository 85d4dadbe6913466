"""A job at a provider is one attempt: submitted, looked at until it is done, or given up."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import trio
from msgspec.structs import replace

from understudy.adapters.base import JobAdapter, Reply, Step, Target, WireAdapter
from understudy.adapters.failure import transport_failure
from understudy.routing.calls import fit
from understudy.routing.wiring import Call
from understudy.transport.http import HttpRequest, HttpResponse, Transport, TransportFailed
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.errors import ProviderError
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import Request
from understudy_actors.runtime.ports import Clock

LOOK_S: Final = 0.5
"""The first look comes after so long; most clients of such providers look as often all along."""
LOOK_MAX_S: Final = 5.0
LOOK_GROWTH: Final = 1.5
LOST_MAX: Final = 3
"""So many looks in a row may fail before the job counts as lost: it goes on, and costs, without."""
CANCEL_S: Final = 2.0
"""Nobody waits longer than this for a provider to take note that a job is given up."""
_Send: TypeAlias = Callable[[HttpRequest], Awaitable[HttpResponse]]
PASSING: Final = frozenset(
    {ErrorClass.SERVER, ErrorClass.OVERLOADED, ErrorClass.RATE_LIMIT, ErrorClass.TIMEOUT}
    | {ErrorClass.CONNECT, ErrorClass.RESET, ErrorClass.CONFLICT}
)
"""What may be wrong with a look without being wrong with the job."""


def by_job(
    adapter: WireAdapter,
    target: Target,
    transport: Transport,
    clock: Clock,
    connect_timeout_s: float | None = None,
) -> Call:
    """A call that submits a job and waits for its result; `connect_timeout_s` as for `over_wire`.

    Its limits are those of any attempt, for all of it. When it is left before the job is done, the
    provider is told so, if it wants to know.
    """
    assert isinstance(adapter, JobAdapter)
    follow = adapter.follow

    async def send(asked: HttpRequest) -> HttpResponse:
        error: ProviderError
        if connect_timeout_s is not None:
            asked = replace(asked, connect_timeout_s=connect_timeout_s)
        try:
            return await transport.send(target.provider, asked)
        except TransportFailed as failed:
            error = transport_failure(failed, target)
        raise error

    async def call(candidate: Candidate, request: Request) -> Reply:
        fitted = fit(target, candidate, request)
        asked = adapter.build(request, fitted)
        found = follow(request, fitted, asked, await send(asked), clock.wall())
        wait_s, lost = LOOK_S, 0
        while isinstance(found, Step):
            step = found
            try:
                if lost or not step.at_once:
                    await trio.sleep(wait_s)
                    wait_s = min(wait_s * LOOK_GROWTH, LOOK_MAX_S)
                response = await send(step.request)
                found = follow(request, fitted, step.request, response, clock.wall())
                lost = 0
            except BaseException as error:
                lost += 1
                if lost <= LOST_MAX and _passes(error):
                    continue
                if step.cancel is not None and not _ended(error):
                    await _give_up(send, step.cancel)
                raise
        return found

    return call


async def _give_up(send: _Send, how: HttpRequest) -> None:
    """Tell the provider that nobody wants the result; whether it listens changes nothing here."""
    with trio.move_on_after(CANCEL_S, shield=True), contextlib.suppress(ProviderError):
        await send(how)


def _passes(error: BaseException) -> bool:
    """Was only this look in vain?"""
    return isinstance(error, ProviderError) and error.kind in PASSING and not _is_word(error)


def _ended(error: BaseException) -> bool:
    """Does the error mean that the job is over?"""
    if not isinstance(error, ProviderError) or error.kind is ErrorClass.MALFORMED:
        return False
    return _is_word(error)


def _is_word(error: ProviderError) -> bool:
    """Is it what the provider said of the job, and not of the look?"""
    return error.status is not None and 200 <= error.status < 300
