"""Every decision and state change, as one typed event.

Logs, the explain record, status and the simulator's checkers all read these. They hold only short
strings and numbers: no prompt, no key, no exception text from outside our own vocabulary.
`at_s` is seconds on the engine's clock.
"""

from __future__ import annotations

from msgspec import Struct


class Event(Struct, frozen=True, kw_only=True, tag_field="kind", omit_defaults=True, gc=False):
    """Something that happened, at `at_s`."""

    at_s: float


class RequestAccepted(Event, frozen=True, kw_only=True, tag="req.accepted"):
    """A request passed validation.

    `timeout_s` is what its caller allows, `cache` what it says of the response cache, `fallbacks`
    which models may stand in, if they do.
    `needs` are the capabilities, the tags and the region that it asks for; None: nothing.
    """

    request: str
    operation: str
    deadline: float
    model: str | None = None
    user: str | None = None
    max_attempts: int = 0
    fallback: bool = True
    timeout_s: float | None = None
    streams: bool = False
    tenant: str | None = None
    priority: int = 0
    cache: str | None = None
    needs: tuple[str, ...] | None = None
    fallbacks: tuple[str, ...] | None = None


class RequestOutcome(Event, frozen=True, kw_only=True, tag="req.outcome"):
    """A request ended, once. `status` is `ok`, `degraded`, `cancelled` or an error's name.

    `cached`: its answer had been given before, by `provider` and `model`.
    """

    request: str
    status: str
    provider: str | None = None
    model: str | None = None
    attempts: int = 0
    elapsed_s: float = 0.0
    cost_usd: float | None = None
    retry_at: float | None = None
    cached: bool = False


class RequestRefused(Event, frozen=True, kw_only=True, tag="req.refused"):
    """A request was refused before acceptance."""

    request: str
    reason: str


class Decided(Event, frozen=True, kw_only=True, tag="route.decide"):
    """The dispatcher ranked candidates; `left_out` says why each other one is not among them."""

    request: str
    strategy: str
    ranked: tuple[str, ...]
    left_out: dict[str, str]


class Selected(Event, frozen=True, kw_only=True, tag="route.select"):
    """The dispatcher ranked candidates for a caller who makes the call."""

    strategy: str
    ranked: tuple[str, ...]


class AttemptAdmitted(Event, frozen=True, kw_only=True, tag="att.admitted"):
    """A provider gave a permit for an attempt, which may last for `timeout_s`."""

    attempt: int
    request: str
    endpoint: str
    generation: int
    probe: bool = False
    wait_s: float = 0.0
    timeout_s: float | None = None


class AttemptRefused(Event, frozen=True, kw_only=True, tag="att.refused"):
    """A provider's gate said no; nothing was sent."""

    request: str
    endpoint: str
    reason: str
    retry_at: float | None = None


class AttemptDispatched(Event, frozen=True, kw_only=True, tag="att.dispatched"):
    """The request is on its way to the provider: from here it may cost money."""

    attempt: int
    request: str
    endpoint: str


class AttemptEnded(Event, frozen=True, kw_only=True, tag="att.ended"):
    """An attempt is over. `origin` is `remote` or `local` (our own doing).

    `retry_after_s` is how long the provider asked us to wait. Tokens are those that it counted,
    else estimates, of which a failure has none.
    """

    attempt: int
    request: str
    endpoint: str
    verdict: str
    error: str | None = None
    status: int | None = None
    origin: str = "remote"
    elapsed_s: float = 0.0
    cost_usd: float | None = None
    retry_after_s: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0


class RetryScheduled(Event, frozen=True, kw_only=True, tag="retry.schedule"):
    """The request waits before its next step: `retry` here, or `wait` for a slot."""

    request: str
    endpoint: str
    wait_s: float
    why: str


class FailedOver(Event, frozen=True, kw_only=True, tag="failover"):
    """The request moves on to another endpoint."""

    request: str
    source: str
    target: str
    why: str


class RetryToken(Event, frozen=True, kw_only=True, tag="retry.token"):
    """A same-endpoint retry took one token of the budget."""

    request: str
    left: float


class PermitTaken(Event, frozen=True, kw_only=True, tag="permit.taken"):
    """One scope's gate lent a permit."""

    permit: int
    scope: str
    generation: int
    probe: bool = False
    request: str | None = None


class PermitReleased(Event, frozen=True, kw_only=True, tag="permit.released"):
    """A permit came back with a verdict."""

    permit: int
    scope: str
    generation: int
    verdict: str
    probe: bool = False
    request: str | None = None


class BreakerMoved(Event, frozen=True, kw_only=True, tag="br.transition"):
    """A breaker changed state; `generation` is the new one."""

    scope: str
    source: str
    target: str
    generation: int
    why: str
    until: float | None = None
    exponent: int = 0
    retry_after: float | None = None
    request: str | None = None


class BreakerCounted(Event, frozen=True, kw_only=True, tag="br.counted"):
    """A breaker counted a verdict."""

    scope: str
    permit: int
    generation: int
    verdict: str
    request: str | None = None


class BreakerStale(Event, frozen=True, kw_only=True, tag="br.stale"):
    """A verdict from an earlier generation: it moves nothing."""

    scope: str
    permit: int
    generation: int
    request: str | None = None


class HoldSet(Event, frozen=True, kw_only=True, tag="hold.set"):
    """A scope waits until a time, for a reason; `stated`: its provider named the time."""

    scope: str
    until: float
    why: str
    stated: bool = False
    request: str | None = None


class HoldCleared(Event, frozen=True, kw_only=True, tag="hold.cleared"):
    """A hold ended, by time or by hand."""

    scope: str
    why: str


class SlotTaken(Event, frozen=True, kw_only=True, tag="slot.taken"):
    """One of an endpoint's concurrency slots is in use."""

    endpoint: str
    permit: int
    in_flight: int
    request: str | None = None


class SlotFreed(Event, frozen=True, kw_only=True, tag="slot.freed"):
    """A concurrency slot is free again."""

    endpoint: str
    permit: int
    in_flight: int
    request: str | None = None


class LimitSet(Event, frozen=True, kw_only=True, tag="limit.set"):
    """An endpoint's concurrency limit was cut or restarted."""

    endpoint: str
    limit: float
    request: str | None = None


class ScoreSet(Event, frozen=True, kw_only=True, tag="score.set"):
    """An endpoint's score moved; `cause` is the verdict that moved it.

    Each reading stands beside what it would have been at the same moment without the verdict.
    """

    endpoint: str
    cause: str
    success: float
    latency_s: float
    success_before: float | None = None
    latency_before_s: float | None = None
    request: str | None = None


class ActorStarted(Event, frozen=True, kw_only=True, tag="actor.start"):
    """An actor runs; `incarnation` counts its starts from 1."""

    actor: str
    incarnation: int


class ActorCrashed(Event, frozen=True, kw_only=True, tag="actor.crash"):
    """A turn raised. `error` is the exception's type name, `message_kind` what it was handling."""

    actor: str
    incarnation: int
    error: str
    message_kind: str


class ActorRestarted(Event, frozen=True, kw_only=True, tag="actor.restart"):
    """An actor was rebuilt from its last snapshot, having been down for `backoff_s`."""

    actor: str
    incarnation: int
    backoff_s: float
    why: str = ""


class ActorGaveUp(Event, frozen=True, kw_only=True, tag="actor.gaveup"):
    """An actor crashed too often; it is tried again at `retry_at`, if that is set."""

    actor: str
    restarts: int
    retry_at: float | None = None


class ActorStopped(Event, frozen=True, kw_only=True, tag="actor.stop"):
    """An actor ended for good. `place` is its own in the order of starting, from 1."""

    actor: str
    place: int = 0


class DeadLetter(Event, frozen=True, kw_only=True, tag="msg.dead"):
    """A message found nobody to handle it."""

    actor: str
    message_kind: str
    why: str


class AskOpened(Event, frozen=True, kw_only=True, tag="ask.opened"):
    """Somebody waits for an actor's reply, until `deadline` at the latest."""

    actor: str
    ask: int
    deadline: float


class AskClosed(Event, frozen=True, kw_only=True, tag="ask.closed"):
    """A wait for a reply is over. `how` is `answered`, `left` or the error's name."""

    actor: str
    ask: int
    how: str


class SlowTurn(Event, frozen=True, kw_only=True, tag="actor.slow_turn"):
    """A turn took longer than 50 ms."""

    actor: str
    message_kind: str
    elapsed_s: float


class TurnEnded(Event, frozen=True, kw_only=True, tag="turn.end"):
    """An actor handled a message. For those who listen to turns; every request takes several.

    Attributes:
        message: A number that grows with each message sent to the actor.
        message_kind: Its type.
        sent, began, ended: Numbers of the engine's last event when the message was sent, when its
            turn began, and of this one.
        lane: Where it waited; None: it was handled in its sender's call.
    """

    actor: str
    message: int
    message_kind: str
    sent: int
    began: int
    ended: int
    lane: str | None = None


class Contained(Event, frozen=True, kw_only=True, tag="contained"):
    """Code from outside (adapter, strategy, listener) raised and was contained.

    Emitted once for each (where, who, error, line); `note` says what the engine did instead.
    """

    where: str
    who: str
    error: str
    note: str
    line: str | None = None


class StrategyChanged(Event, frozen=True, kw_only=True, tag="strategy.set"):
    """The strategy was switched, for the engine or for one operation."""

    strategy: str
    operation: str | None = None


class HealthChecked(Event, frozen=True, kw_only=True, tag="health.checked"):
    """An active health check ended."""

    provider: str
    ok: bool
    elapsed_s: float
    error: str | None = None
