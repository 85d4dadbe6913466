"""What the request loop works with: everything of an engine that one request may touch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

import attrs
import trio

from understudy.accounts.book import Book
from understudy.adapters.base import Reply
from understudy.adapters.local import LocalAdapter
from understudy.routing.purse import Purse
from understudy.routing.turnstile import Turnstile
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.dispatcher.hedge import HedgeRule
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.request import Request
from understudy_actors.provider.messages import Permit
from understudy_actors.runtime.actor import Ref
from understudy_actors.runtime.ports import Clock, Timers
from understudy_actors.runtime.trace import Trace

if TYPE_CHECKING:
    from understudy.routing.durable import Durable
    from understudy.streaming.channel import Opener

Call: TypeAlias = Callable[[Candidate, Request], Awaitable[Reply]]
"""Makes one attempt: the endpoint's adapter, or the caller's own function."""


class Cancellable(Protocol):
    """What is under way and can be ended: a cancel scope, or a stream between two pieces."""

    def cancel(self) -> None:
        """End it."""
        ...


@attrs.define(eq=False, slots=True)
class Flights:
    """Registry of what is under way: permits that are owed, and scopes to cancel at shutdown.

    Permits live here and not in the provider actors, so that an actor's crash forgets none.

    A scope stands beside the flight whose attempt it limits, if it limits one.

    `closing` refuses new requests, `over` (when draining has ended) new attempts too.
    """

    permits: dict[int, Permit] = attrs.Factory(dict)
    scopes: dict[Cancellable, Flight | None] = attrs.Factory(dict)
    accepted: int = 0
    running: int = 0
    attempts: int = 0
    closing: bool = False
    over: bool = False
    idle: trio.Event | None = None

    def next_attempt(self) -> int:
        """A number for an attempt, unique in this engine."""
        self.attempts += 1
        return self.attempts


@attrs.define(eq=False, slots=True)
class Wiring:
    """References that stay the same for all requests of one configuration, from first to last.

    `providers`, `calls` and `openers` are indexed by `Candidate.index`; `refuse_prefill` holds the
    indexes of those who would not continue an answer that another one began. `durable` is there
    only where requests wait for a store. `generation` is that of the configuration, `candidates`
    are its endpoints.
    """

    clock: Clock
    trace: Trace
    dispatcher: Ref
    providers: Sequence[Ref]
    calls: Sequence[Call]
    flights: Flights
    contained: Callable[[str, str, BaseException, str], None]
    timers: Timers
    hedge: HedgeRule
    stand_ins: tuple[LocalAdapter, ...] = ()
    purse: Purse | None = None
    book: Book | None = None
    turnstile: Turnstile | None = None
    openers: Sequence[Opener] = ()
    refuse_prefill: set[int] = attrs.Factory(set)
    durable: Durable | None = None
    generation: int = 0
    candidates: Sequence[Candidate] = ()
