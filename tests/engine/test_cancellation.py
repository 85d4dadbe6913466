"""Cancelling the caller at every place where it can be cancelled leaves nothing behind."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

import msgspec
import pytest
import trio
import trio.testing

from tests.engine.house import Books, Script, Wire, endpoint_of, failing, house, ordered
from understudy import Choice, Engine, ErrorClass, Request
from understudy.transport.http import HttpResponse, TransportFailed
from understudy_actors.domain import events
from understudy_actors.provider.transitions import State

HI = Request.chat("hi")
STEPS_MAX: Final = 60
Act: TypeAlias = Callable[[Engine], Awaitable[object]]


class AtStep(trio.abc.Instrument):
    """Cancels a scope when its task has made so many steps: while it waits, or just before it goes
    on."""

    def __init__(self, step: int, *, before: bool) -> None:
        self.scope = trio.CancelScope()
        self.task: trio.lowlevel.Task | None = None
        self._step = step
        self._before = before
        self._made = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """A task goes on."""
        if task is self.task and self._before and self._made == self._step:
            self.scope.cancel()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """A task waits."""
        if task is self.task:
            self._made += 1
            if not self._before and self._made == self._step:
                self.scope.cancel()


async def cancelled_at(step: int, before: bool, act: Act, engine: Engine) -> bool:
    """Do `act` and cancel it at its k-th step; False if it was over before that."""
    instrument = AtStep(step, before=before)

    async def run() -> None:
        with instrument.scope:
            instrument.task = trio.lowlevel.current_task()
            await act(engine)
        instrument.task = None

    trio.lowlevel.add_instrument(instrument)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
    finally:
        trio.lowlevel.remove_instrument(instrument)
    return instrument.scope.cancelled_caught


def as_if_neutral(engine: Engine, books: Books) -> None:
    """Every provider is as its ended attempts leave it, the cancelled one counting for nothing."""
    parts = engine._parts
    for candidate in parts.candidates:
        ended = [e for e in books.of(events.AttemptEnded) if e.endpoint == candidate.name]
        breaker = endpoint_of(engine, candidate.name).breaker
        run = failures = 0
        for event in ended:
            run = 0 if event.verdict == "ok" else run + (event.verdict == "failed")
            failures += event.verdict == "failed"
        assert breaker.state is State.CLOSED
        assert (breaker.generation, breaker.run) == (0, run)
        oks = sum(event.verdict == "ok" for event in ended)
        assert candidate.guard_tokens == pytest.approx(
            min(10.0, 10.0 - failures + 0.1 * oks), abs=0.11
        )
        health = next(each for each in engine.health() if each.name == candidate.name)
        assert (health.failures, health.consecutive_failures) == (failures, run)
        assert (health.in_flight, health.limit) == (0, candidate.limit)
        assert health.hold is None or any(event.verdict == "throttled" for event in ended)


def wire(*answers: Any) -> Wire:
    """A transport that gives these answers, the last one again and again."""
    left = list(answers)
    return Wire(lambda _p, _r: left.pop(0) if len(left) > 1 else left[0])


GOOD = HttpResponse(
    200,
    {},
    msgspec.json.encode({"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]}),
)
BROKEN = HttpResponse(500, {}, b"{}")
REMOTE = {"kind": "openai-compatible", "base_url": "http://test/v1", "models": ["m"]}
CLAUDE = {"kind": "anthropic", "base_url": "http://test", "models": ["m"]}


async def _wanders(request: Request) -> str:
    for _ in range(3):
        await trio.lowlevel.checkpoint()
        await trio.sleep(0.01)
    return "yes"


async def _stubborn(request: Request) -> str:
    """Cleans up after being cancelled, and takes its time."""
    try:
        await trio.sleep(1)
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.5)
    return "yes"


async def _nested(request: Request) -> str:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, 0.2)
        await trio.sleep(0.1)
    return "yes"


async def _route(engine: Engine) -> object:
    return await engine.route(HI)


async def _own_call(engine: Engine) -> object:
    async def call(choice: Choice) -> str:
        await trio.sleep(0.1)
        if choice.provider == "a":
            raise ConnectionResetError
        return "yes"

    return await engine.with_fallback("chat", call)


async def _behind_another(engine: Engine) -> object:
    """A request that waits for the slot that another one has."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(engine.route, Request.chat("first"))
        await trio.sleep(0.01)
        await engine.route(HI)
    return None


JITTERLESS = {"retry": {"jitter": "none", "base": 0.5}}
World: TypeAlias = tuple[Mapping[str, Any], Callable[[], dict[str, Any]], Act]
WORLDS: dict[str, World] = {
    "an async function": (ordered("a"), lambda: {"a": _wanders}, _route),
    "a function that cleans up": (ordered("a"), lambda: {"a": _stubborn}, _route),
    "a function with tasks of its own": (ordered("a"), lambda: {"a": _nested}, _route),
    "a failover": (
        {**ordered("a", "b"), "strategy": "round_robin"},
        lambda: {"a": _fails_slowly(), "b": _wanders},
        _route,
    ),
    "a retry after back-off, then a failover": (
        ordered("a", "b", **JITTERLESS),
        lambda: {"a": _fails_slowly(), "b": _wanders},
        _route,
    ),
    "a Retry-After": (
        ordered("a"),
        lambda: {"a": Script(failing(ErrorClass.RATE_LIMIT, retry_after_s=1.0), 0.1)},
        _route,
    ),
    "a wait for a slot": (
        ordered("a", providers={"a": {"concurrency": 1}}),
        lambda: {"a": Script(0.2)},
        _behind_another,
    ),
    "the caller's own function": (
        ordered("a", "b"),
        lambda: {"a": Script(), "b": Script()},
        _own_call,
    ),
    "a wire adapter": (
        {"providers": {"p": REMOTE}},
        lambda: {"transport": wire(GOOD)},
        _route,
    ),
    "wire adapters that fail over": (
        {"strategy": "round_robin", "providers": {"p": REMOTE, "q": CLAUDE, "r": REMOTE}},
        lambda: {"transport": wire(BROKEN, TransportFailed("cut", sent=True), GOOD)},
        _route,
    ),
    "a wire adapter that is retried": (
        {"providers": {"p": REMOTE}, **JITTERLESS},
        lambda: {"transport": wire(BROKEN, BROKEN, GOOD)},
        _route,
    ),
    "a wire adapter that is silent, then the next": (
        {
            "strategy": "priority",
            "providers": {"p": {**REMOTE, "timeout": 2, "priority": 1}, "q": CLAUDE},
        },
        lambda: {"transport": wire(60.0, BROKEN)},
        _route,
    ),
}


def _fails_slowly() -> Callable[[Request], Awaitable[str]]:
    async def function(request: Request) -> str:
        await trio.sleep(0.01)
        raise failing(ErrorClass.SERVER)

    return function


@pytest.mark.parametrize("before", [False, True], ids=["waiting", "going on"])
@pytest.mark.parametrize("name", WORLDS)
async def test_cancelling_at_any_step_leaves_a_neutral_trace(name: str, before: bool) -> None:
    config, scripts, act = WORLDS[name]
    cancelled = 0
    for step in range(0 if before else 1, STEPS_MAX):
        made = scripts()
        async with house(config, **made) as (engine, books):
            caught = False
            with contextlib.suppress(ExceptionGroup):  # the request failed by itself before
                caught = await cancelled_at(step, before, act, engine)
            _check_end(engine, books, caught)
            if (transport := made.get("transport")) is not None:
                assert transport.under_way == 0
        cancelled += caught
        if not caught and step > cancelled + 2:
            break
    else:
        raise AssertionError(f"{name} does not end within {STEPS_MAX} steps")
    assert cancelled >= 1


def _check_end(engine: Engine, books: Books, caught: bool) -> None:
    books.balance()
    as_if_neutral(engine, books)
    ended = books.of(events.AttemptEnded)
    left = [event for event in ended if event.error == "cancelled"]
    assert all((e.verdict, e.origin) == ("neutral", "local") for e in left)
    assert len(left) <= 2
    outcomes = books.outcomes()
    assert outcomes["cancelled"] >= caught
    if left and outcomes["cancelled"] == 1:
        assert ended[-1].error == "cancelled"
        assert not [
            e for e in books.events if isinstance(e, events.FailedOver) and e.at_s > left[0].at_s
        ]
    assert engine.status().waiting == 0


async def test_a_cancelled_probe_gives_its_place_to_the_next_one() -> None:
    config = ordered("a", breaker={"trip_after": 1, "cooldown": 5, "close_after": 1})
    a = Script(ErrorClass.SERVER, 1.0, "yes")
    async with house(config, a=a) as (engine, books):
        with pytest.raises(Exception, match="failed"):
            await engine.route(Request.chat("hi", max_attempts=1))
        await trio.sleep(20)
        with trio.move_on_after(0.5):
            await engine.route(HI)
        assert engine.health()[0].breaker == "half-open"
        assert (await engine.route(HI)).text == "yes"
        assert engine.health()[0].breaker == "closed"
        assert sum(event.probe for event in books.of(events.PermitTaken)) == 2


async def test_everybody_cancelled_at_once_leaves_an_idle_engine() -> None:
    config = ordered("a", "b", providers={n: {"concurrency": 4} for n in "ab"})
    async with house(config, a=Script(5.0), b=Script(5.0)) as (engine, books):
        with trio.move_on_after(7):
            async with trio.open_nursery() as nursery:
                for _ in range(50):
                    nursery.start_soon(engine.route, HI)
        books.balance()
        assert books.outcomes() == {"ok": 8, "cancelled": 42}
        status = engine.status()
        assert (status.running, status.waiting) == (0, 0)
        assert (await engine.route(HI)).text == "late"
