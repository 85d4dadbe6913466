"""A flood over real sockets against a budget that pays for a hundred: what the providers bill for
is within it, and nearly everybody is served whom it could pay for."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Final

import attrs
import pytest
import trio

from tests.engine.house import Books
from understudy import Engine, Request, UnderstudyError, open_engine
from understudy.ports import Ports
from understudy_actors.domain import events
from understudy_actors.domain.hedge_events import HedgeLaunched
from understudy_actors.domain.money_events import BoundBreached, MoneyCharged
from understudy_actors.runtime.ports import Randomness
from understudy_sim.mock import MockHandle, MockSettings, running_mock
from understudy_sim.mock.settings import Behaviour

pytestmark = pytest.mark.wall_clock

CLIENTS: Final = 2000
EARLY: Final = 40
"""So many come before the others, while there is money for second copies and nobody waits."""
PAID_FOR: Final = 100
TOKENS: Final = 40
PRICE: Final = {"input": 1.0, "output": 10.0}
WORST: Final = 8 + 10 * TOKENS
"""Micro-USD: a prompt of ten characters counts as eight tokens."""
FREE: Final[list[dict[str, Any]]] = [
    {"kind": "status", "statuses": [500, 502], "share": 0.2},
    {"kind": "rate_limit", "share": 0.03, "retry_after": "missing"},
]
"""Failures that cost nothing."""
DEAR: Final[list[dict[str, Any]]] = [
    {"kind": "stall", "times": 3, "after_bytes": 10},  # so that second copies are sent
    {"kind": "cut", "share": 0.04, "after_bytes": 300},
    {"kind": "stall", "share": 0.02, "after_bytes": 10},
]
"""Failures of which nobody knows what they cost: they are charged in full."""


@contextlib.asynccontextmanager
async def mocks(faults: list[dict[str, Any]]) -> AsyncIterator[list[MockHandle]]:
    async with contextlib.AsyncExitStack() as stack:
        handles = []
        for at in range(3):
            behaviour = Behaviour(reply="word " * 40, latency_s=0.03, tokens_per_s=2000)
            settings = MockSettings(provider=f"m{at}", seed=40 + at, behaviour=behaviour)
            handle = await stack.enter_async_context(running_mock(settings))
            handle.control.set_schedule(faults)
            handles.append(handle)
        yield handles


def config(handles: list[MockHandle], *, hedged: bool) -> dict[str, Any]:
    common = {"models": [{"name": "m", "price": PRICE}], "timeout": "15s", "concurrency": 64}
    kinds = ("openai-compatible", "anthropic", "openai-compatible")
    return {
        "log": {"level": "off"},
        "deadline": "20s",
        "queue_capacity": CLIENTS,
        "breaker": {"preset": "default", "cooldown": "0.2s", "cap": "0.5s"},
        "retry": {"base": "20ms", "cap": "100ms", "guard": False},
        "hedge": {"enabled": hedged, "samples": 5, "floor": "0.2s", "share": 1.0, "burst": 20},
        "stream": {"hedge": {"enabled": hedged, "samples": 5, "floor": "0.2s"}},
        "budgets": [{"usd": PAID_FOR * WORST / 1e6}, {"usd": 1.0, "user": "*", "per": "month"}],
        "providers": {
            f"p{at}": {
                "kind": kind,
                "base_url": handle.url + ("" if kind == "anthropic" else "/v1"),
                **common,
            }
            for at, (kind, handle) in enumerate(zip(kinds, handles, strict=True))
        },
    }


@attrs.define
class Flood:
    """A crowd, how each of it ended, and what was told of it."""

    impatient: bool
    engine: Engine
    books: Books
    ends: Counter[str] = attrs.Factory(Counter)

    async def run(self) -> None:
        """Let everybody ask."""
        with trio.fail_after(90):
            async with trio.open_nursery() as nursery:
                for number in range(CLIENTS):
                    nursery.start_soon(self._client, number)

    async def _client(self, number: int) -> None:
        """Every other one wants a stream; of the impatient, every twentieth leaves at once."""
        if number >= EARLY:
            await trio.sleep(0.6 + number % 50 * 0.005)
        user = f"u{number % 7}"
        request = Request.chat(f"number {number % 1000:03d}", max_tokens=TOKENS, user=user)
        leaves = self.impatient and number % 20 == 0
        status = "left"
        try:
            with trio.move_on_after(0.02 if leaves else 60):
                await (self._stream(request) if number % 2 else self.engine.route(request))
                status = "ok"
        except UnderstudyError as error:
            status = type(error).__name__
        self.ends[status] += 1

    async def _stream(self, request: Request) -> None:
        async with self.engine.stream(request) as stream:
            async for _ in stream:
                pass
        stream.result()

    def balance(self, handles: list[MockHandle]) -> int:
        """To the micro-dollar: what was billed <= what is booked <= the budget.

        Returns:
            What was charged for attempts that nobody got an answer from, in micro-USD.
        """
        budget, *users = self.engine.budgets()
        stats = [handle.control.stats for handle in handles]
        billed = sum(each.billed_input + 10 * each.billed_output for each in stats)
        spent = round(budget.spent_usd * 1e6)
        charged = self.books.of(MoneyCharged)
        assert billed <= spent <= PAID_FOR * WORST
        assert spent == sum(each.micro_usd for each in charged)
        assert spent == round(sum(each.spent_usd for each in users) * 1e6)
        assert budget.reserved_usd == 0
        assert not self.books.of(BoundBreached)
        outcomes = self.books.of(events.RequestOutcome)
        served = {each.request for each in outcomes if each.status == "ok"}
        assert len(served) == self.ends["ok"]
        won = {e.attempt for e in self.books.of(events.AttemptEnded) if e.verdict == "ok"}
        assert sum(self.ends.values()) == CLIENTS
        return sum(e.micro_usd for e in charged if e.attempt not in won or e.request not in served)

    def errors(self) -> Counter[str | None]:
        """How attempts ended."""
        return Counter(each.error for each in self.books.of(events.AttemptEnded))


@contextlib.asynccontextmanager
async def flooded(
    faults: list[dict[str, Any]], *, impatient: bool
) -> AsyncIterator[tuple[Flood, list[MockHandle]]]:
    async with mocks(faults) as handles:
        ports = Ports(randomness=Randomness(3))
        settings = config(handles, hedged=impatient)
        async with open_engine(settings, ports=ports, environ={}) as engine:
            flood = Flood(impatient, engine, Books(engine))
            await flood.run()
            flood.books.balance()
            yield flood, handles


async def test_what_fails_free_of_charge_takes_nobodys_place() -> None:
    async with flooded(FREE, impatient=False) as (flood, handles):
        flood.balance(handles)
        assert flood.ends["ok"] >= 0.95 * PAID_FOR
        assert flood.errors()["server"]
        assert flood.books.of(events.FailedOver)


async def test_a_flood_is_served_as_far_as_its_budget_pays_and_no_further() -> None:
    async with flooded([*DEAR, *FREE], impatient=True) as (flood, handles):
        lost = flood.balance(handles)
        affordable = (PAID_FOR * WORST - lost) // WORST
        assert flood.ends["ok"] >= 0.95 * affordable
        assert affordable >= PAID_FOR / 2, "most of the budget buys answers"
        errors = flood.errors()
        assert all(errors[kind] for kind in ("server", "reset", "cancelled")), errors
        assert flood.books.of(HedgeLaunched)
