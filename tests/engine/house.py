"""Engines for tests: providers that follow a script, and books that must balance in the end."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import trio

from understudy import Engine, ErrorClass, Request, open_engine
from understudy.adapters.registry import Registry
from understudy.ports import Ports
from understudy.transport.http import (
    HttpRequest,
    HttpResponse,
    HttpStream,
    PiecedStream,
    Transport,
    TransportFailed,
)
from understudy_actors.dispatcher.strategies import Strategy
from understudy_actors.domain import events
from understudy_actors.domain.errors import ProviderError, provider_error
from understudy_actors.domain.events import Event
from understudy_actors.domain.money_events import MoneyCharged, MoneyReserved
from understudy_actors.provider.endpoint import Endpoint
from understudy_actors.runtime.ports import Randomness

HANG = math.inf
"""A step of a script: never answer."""

QUIET = {"log": {"level": "off"}}


def failing(kind: ErrorClass, *, retry_after_s: float | None = None) -> ProviderError:
    """An error of a class, as an adapter would raise it."""
    return provider_error(kind, f"scripted {kind.value}", retry_after_s=retry_after_s)


class Script:
    """A user's async function that does one step for each call; the last one again and again.

    A text answers, a number waits so many seconds and then answers, an exception is raised, a class
    of errors too.
    """

    def __init__(self, *steps: Any) -> None:
        self.steps = steps or ("fine",)
        self.calls: list[float] = []

    async def __call__(self, request: Request) -> Any:
        self.calls.append(trio.current_time())
        step = self.steps[min(len(self.calls), len(self.steps)) - 1]
        if isinstance(step, ErrorClass):
            raise failing(step)
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, int | float):
            await trio.sleep(step) if step < HANG else await trio.sleep_forever()
            return "late"
        return step


class Books:
    """Every event of an engine, and what must balance in them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.events: list[Event] = []
        engine.listen(self._take)

    def _take(self, seq: int, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[Any]) -> list[Any]:
        """Every event of one type."""
        return [event for event in self.events if type(event) is kind]

    def outcomes(self) -> Counter[str]:
        """How requests ended."""
        return Counter(event.status for event in self.of(events.RequestOutcome))

    def balance(self) -> None:
        """Everything lent came back, everything accepted ended once, nothing is left."""
        taken = Counter((e.permit, e.scope) for e in self.of(events.PermitTaken))
        released = Counter((e.permit, e.scope) for e in self.of(events.PermitReleased))
        assert taken == released
        assert all(count == 1 for count in taken.values())
        slots = Counter((e.permit, e.endpoint) for e in self.of(events.SlotTaken))
        assert slots == Counter((e.permit, e.endpoint) for e in self.of(events.SlotFreed))
        admitted = Counter(e.attempt for e in self.of(events.AttemptAdmitted))
        assert admitted == Counter(e.attempt for e in self.of(events.AttemptEnded))
        accepted = Counter(e.request for e in self.of(events.RequestAccepted))
        assert accepted == Counter(e.request for e in self.of(events.RequestOutcome))
        assert all(count == 1 for count in accepted.values())
        reserved = Counter(e.reservation for e in self.of(MoneyReserved))
        assert reserved == Counter(e.reservation for e in self.of(MoneyCharged))
        self._nothing_after_the_outcome()
        parts = self.engine._parts
        assert not parts.wiring.flights.permits
        assert not parts.wiring.flights.scopes
        assert parts.wiring.flights.running == 0
        assert [c.in_flight for c in parts.candidates] == [0] * len(parts.candidates)

    def _nothing_after_the_outcome(self) -> None:
        over: set[str] = set()
        for event in self.events:
            if isinstance(event, events.RequestOutcome):
                over.add(event.request)
            elif isinstance(event, events.AttemptAdmitted | events.AttemptDispatched):
                assert event.request not in over


@contextlib.asynccontextmanager
async def house(
    config: Mapping[str, Any] | None = None,
    *,
    strategies: Mapping[str, Strategy | Callable[[], Strategy]] | None = None,
    registry: Registry | None = None,
    transport: Transport | None = None,
    environ: Mapping[str, str] | None = None,
    drain_s: float = 10.0,
    seed: int = 7,
    **functions: Callable[..., Any],
) -> AsyncIterator[tuple[Engine, Books]]:
    """An engine over the user's functions, silent; its books are balanced when it has closed."""
    books: Books | None = None
    async with open_engine(
        {**QUIET, **(config or {})},
        functions=functions,
        strategies=strategies,
        registry=registry,
        transport=transport or Wire(),
        environ=environ or {},
        ports=Ports(randomness=Randomness(seed)),
        drain_s=drain_s,
    ) as engine:
        books = Books(engine)
        yield engine, books
    books.balance()


def ordered(*names: str, **keys: Any) -> dict[str, Any]:
    """A configuration of functions under the priority strategy, in this order."""
    own = keys.pop("providers", {})
    providers = {n: {"priority": at, **own.get(n, {})} for at, n in enumerate(names, 1)}
    for name in names:
        providers[name].setdefault("kind", "function")
    return {"strategy": "priority", "providers": providers, **keys}


Answer = HttpResponse | TransportFailed | float


class Wire:
    """A transport without a network: `answer` says what comes back; a number is a wait for ever."""

    def __init__(self, answer: Callable[[str, HttpRequest], Answer] | None = None) -> None:
        self.answer = answer
        self.sent: list[tuple[str, HttpRequest]] = []
        self.under_way = 0
        self.closed = False

    async def send(self, provider: str, request: HttpRequest) -> HttpResponse:
        """Connect, write, wait for the head, read the body: four places to be cancelled at."""
        self.sent.append((provider, request))
        if self.answer is None:
            raise TransportFailed("there is no network here", sent=False)
        self.under_way += 1
        try:
            await trio.sleep(0.01)
            await trio.lowlevel.checkpoint()
            answer = self.answer(provider, request)
            if isinstance(answer, float):
                await trio.sleep(answer)
            await trio.sleep(0.02)
            if isinstance(answer, TransportFailed):
                raise answer
            await trio.lowlevel.checkpoint()
            assert isinstance(answer, HttpResponse)
            return answer
        finally:
            self.under_way -= 1

    async def open(self, provider: str, request: HttpRequest) -> HttpStream:
        """The same answer, as a stream of one piece."""
        whole = await self.send(provider, request)
        return PiecedStream(whole.status, whole.headers, (whole.body,))

    async def aclose(self) -> None:
        """Close."""
        self.closed = True


def endpoint_of(engine: Engine, name: str) -> Endpoint:
    """The machines of one endpoint, inside its provider's actor."""
    ref: Any = engine._parts.providers[name.partition("/")[0]]
    endpoint: Endpoint = ref._actor._endpoints[name]
    return endpoint


def tasks() -> int:
    """How many tasks there are below the root."""
    root = trio.lowlevel.current_root_task()
    assert root is not None
    waiting, count = [root], 0
    while waiting:
        task = waiting.pop()
        count += 1
        waiting += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return count
