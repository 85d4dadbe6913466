"""Active looks at a provider: one real, cheap call by hand, and free checks at an interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from msgspec import Struct

from understudy.adapters.base import WireAdapter
from understudy.adapters.failure import transport_failure
from understudy.config import HealthCheckConfig
from understudy.routing.failure import silent, typed
from understudy.transport.http import TransportFailed
from understudy_actors.domain import operation as operations
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.errors import ProviderError
from understudy_actors.domain.events import HealthChecked
from understudy_actors.domain.request import Request
from understudy_actors.provider.messages import Checked
from understudy_actors.runtime.mailbox import Lane

if TYPE_CHECKING:
    from understudy.assembly import Parts

PROBE_TEXT = "Reply with the single word: ok"
PROBE_TOKENS = 16


class TestReport(Struct, frozen=True, kw_only=True):
    """What one test call of one endpoint told."""

    __test__ = False  # no test of ours, whatever its name

    provider: str
    model: str
    ok: bool
    elapsed_s: float
    error: str | None = None
    message: str | None = None
    answer: str | None = None


async def try_out(parts: Parts, candidate: Candidate, timeout_s: float) -> TestReport:
    """Make one real, cheap call, past breaker and holds, and tell what happened.

    It counts for nobody's health: it is a person's question, not traffic.
    """
    spec, clock = candidate.spec, parts.ports.clock
    started = clock.now()
    error: ProviderError | None = None
    answer: str | None = None
    try:
        with trio.move_on_after(min(timeout_s, spec.timeout_s)) as scope:
            reply = await parts.wiring.calls[candidate.index](candidate, _question(spec.operations))
            answer = getattr(reply.output, "text", type(reply.output).__name__)
        if scope.cancelled_caught:
            error = silent(spec, clock.now() - started)
    except Exception as raised:
        error = typed(raised, spec)
    return TestReport(
        provider=spec.provider,
        model=spec.model,
        ok=error is None,
        elapsed_s=clock.now() - started,
        error=error.kind.value if error is not None else None,
        message=str(error) if error is not None else None,
        answer=answer,
    )


async def check_all(parts: Parts, timeout_s: float) -> None:
    """Check every enabled provider reached over HTTP, all at once; their actors hear of it."""
    async with trio.open_nursery() as nursery:
        for name, provider in parts.config.providers.items():
            if provider.enabled:
                nursery.start_soon(_check_and_tell, parts, name, timeout_s)


async def keep_checking(parts: Parts, provider: str, config: HealthCheckConfig) -> None:
    """Check one provider at an interval, until cancelled; its actor takes the result."""
    while True:
        await trio.sleep(config.interval_s)
        if not await _check_and_tell(parts, provider, config.timeout_s):
            return


async def _check_and_tell(parts: Parts, provider: str, timeout_s: float) -> bool:
    """Check a provider and tell its actor; False if there is nothing to check."""
    checked = await check_once(parts, provider, timeout_s)
    if checked is None:
        return False
    if (actor := parts.providers.get(provider)) is None:
        return False  # it was left out meanwhile
    actor.tell(checked, Lane.RESULTS)
    if parts.trace.on:
        parts.trace.emit(
            HealthChecked(
                at_s=parts.ports.clock.now(),
                provider=provider,
                ok=checked.ok,
                elapsed_s=checked.elapsed_s,
                error=checked.error.value if checked.error is not None else None,
            )
        )
    return True


async def check_once(parts: Parts, provider: str, timeout_s: float) -> Checked | None:
    """One free request (a list of models); None if this provider is not reached over HTTP."""
    adapter = parts.adapters[provider]
    candidate = next((c for c in parts.candidates if c.spec.provider == provider), None)
    if candidate is None or not isinstance(adapter, WireAdapter):
        return None
    target, clock = parts.targets[candidate.name], parts.ports.clock
    started = clock.now()
    error: ProviderError | None = None
    try:
        with trio.move_on_after(timeout_s) as scope:
            try:
                response = await parts.transport.send(provider, adapter.check(target))
                error = adapter.check_failure(target, response, clock.wall())
            except TransportFailed as failed:
                error = transport_failure(failed, target)
        if scope.cancelled_caught:
            error = silent(candidate.spec, timeout_s)
    except Exception as raised:
        error = typed(raised, candidate.spec)
    return Checked(error is None, clock.now() - started, error.kind if error is not None else None)


def _question(offered: tuple[str, ...]) -> Request:
    if operations.CHAT in offered:
        return Request.chat(PROBE_TEXT, max_tokens=PROBE_TOKENS)
    if operations.EMBEDDING in offered:
        return Request.embed("ok")
    if operations.IMAGE in offered:
        return Request.image("a small red square", size="auto")
    return Request.custom(offered[0] if offered else operations.CHAT)
