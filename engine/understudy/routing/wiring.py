"""What the request loop works with: everything of an engine that one request may touch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import attrs
import trio

from understudy.adapters.base import Reply
from understudy.adapters.local import LocalAdapter
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.request import Request
from understudy_actors.provider.messages import Permit
from understudy_actors.runtime.actor import Ref
from understudy_actors.runtime.ports import Clock
from understudy_actors.runtime.trace import Trace

Call: TypeAlias = Callable[[Candidate, Request], Awaitable[Reply]]
"""Makes one attempt: the endpoint's adapter, or the caller's own function."""


@attrs.define(eq=False, slots=True)
class Flights:
    """Registry of what is under way: permits that are owed, and scopes to cancel at shutdown.

    Permits live here and not in the provider actors, so that an actor's crash forgets none.

    `closing` refuses new requests, `over` (when draining has ended) new attempts too.
    """

    permits: dict[int, Permit] = attrs.Factory(dict)
    scopes: dict[trio.CancelScope, None] = attrs.Factory(dict)
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
    """References that stay the same while an engine runs.

    `providers` and `calls` are indexed by `Candidate.index`.
    """

    clock: Clock
    trace: Trace
    dispatcher: Ref
    providers: Sequence[Ref]
    calls: Sequence[Call]
    flights: Flights
    contained: Callable[[str, str, BaseException, str], None]
    stand_ins: tuple[LocalAdapter, ...] = ()
