"""Faults planted into the engine itself are seen in its trace, without a look inside."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import trio

from tests.engine.house import HANG, Script, failing
from tests.sim.check.engines import ask, trace_of
from tests.support.mutants import Mutant
from understudy import Engine, ErrorClass, Request
from understudy_actors.dispatcher.strategies import Strategy
from understudy_actors.dispatcher.strategies.shares import SmoothWeighted
from understudy_sim.check import check

ACTORS = "understudy_actors"
SEAMS = {
    "provider.breaker": ("provider.endpoint:Breaker",),
    "provider.holds": ("provider.endpoint:Holds", "provider.account:Holds"),
    "provider.concurrency": ("provider.endpoint:Concurrency",),
    "provider.judging": ("provider.actor:judge",),
    "provider.health": ("provider.endpoint:Health",),
    "dispatcher.queue": ("dispatcher.actor:SlotQueue",),
    "dispatcher.retry": ("dispatcher.actor:RetryBudget", "dispatcher.actor:may_retry_here"),
}
FAULTS = [
    ("S1", "provider.holds", "held = [hold for hold in self._held.values() if hold.until > now]",
     "held = []"),
    ("S2", "provider.breaker", "len(self._probes) >= self.policy.max_probes", "False"),
    ("S3", "provider.breaker", "if generation != self.generation:", "if False:"),
    ("S5", "provider.judging", "    if fine and attempt:\n        tell.released",
     "    if fine and attempt % 2:\n        tell.released"),
    ("S6", "provider.breaker", "elif verdict is _FAIL:\n                self._count_failure",
     "elif verdict is not _VOID:\n                self._count_failure"),
    ("S7", "provider.breaker", "self.generation += 1\n        self.until",
     "self.generation += 2\n        self.until"),
    ("S8", "provider.breaker", "self._due = math.inf if until is None else until",
     "self._due = math.inf if until is None else until - 1"),
    ("S9", "provider.breaker", "cooldown_s = cooldown_s / 2 + self._draw() * cooldown_s / 2",
     "cooldown_s = self._draw() * cooldown_s"),
    ("S9", "provider.breaker", "return max(0, self._exponent - int",
     "return max(0, self._exponent - 0 * int"),
    ("S12", "dispatcher.retry", "        return self.tokens >= 1.0", "        return True"),
    ("S10", "dispatcher.retry", "if retries_here >= rule.attempts:",
     "if retries_here > rule.attempts:"),
    ("S26", "provider.concurrency", "self.in_flight -= 1", "self.in_flight -= self.in_flight"),
    ("S28", "provider.health", "self._success *= kept", "self._success /= kept"),
    ("L4", "provider.holds", "return None if first == math.inf else first", "return None"),
    ("L5", "provider.breaker", "if self.run >= policy.run_threshold and", "if self.run >= 99 and"),
    ("F2", "dispatcher.queue", "if not waiter.wake():",
     "if waiter.ticket % 2 or not waiter.wake():"),
]  # fmt: skip
WORLD: dict[str, tuple[Any, ...]] = {
    "a": ((ErrorClass.SERVER,) * 14 + (0.2,) * 4),
    "b": (0.5, ErrorClass.RATE_LIMIT, 0.5, ErrorClass.RATE_LIMIT, ErrorClass.AUTH, 0.5),
    "c": (2.0, ErrorClass.CONFLICT, 30.0, *(ErrorClass.SERVER,) * 6, HANG, 0.5, 4.0),
}


def complaints() -> list[str]:
    """The monitors that complain about two worlds in which everything happens."""
    return [*crowded(), *lonely()]


def crowded() -> list[str]:
    """Three providers that fail in many ways, and more requests than they have slots."""
    provider = {"kind": "function", "timeout": 12.0, "concurrency": {"initial": 2, "max": 2}}
    config = {
        "strategy": "round_robin",
        "max_attempts": 7,
        "providers": dict.fromkeys(WORLD, provider),
    }
    functions = {name: Script(*steps) for name, steps in WORLD.items()}

    async def drive(engine: Engine) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(120):
                nursery.start_soon(ask, engine)
                await trio.sleep(0.1 if number % 4 else 3.0)
        for _ in range(4):
            await trio.sleep(400.0)
            await ask(engine)

    events, rules = trace_of(config, functions, drive)
    return [each.monitor for each in check(events, rules=rules)]


def lonely() -> list[str]:
    """One provider: down twice with calm between, then in conflict with everybody at once."""

    async def only(request: Request) -> str:
        now = trio.current_time()
        if now % 300.0 < 20.0:
            raise failing(ErrorClass.SERVER)
        if now > 700.0:
            raise failing(ErrorClass.CONFLICT)
        return "fine"

    async def drive(engine: Engine) -> None:
        for _ in range(200):
            await ask(engine, 1.5)
            await trio.sleep(2.0)
        await trio.sleep(710.0 - trio.current_time())
        async with trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(ask, engine, 100.0)
        await trio.sleep(200.0)  # the retry budget is full again
        await ask(engine, 100.0)

    config = {"max_attempts": 9, "providers": {"only": {"kind": "function"}}}
    events, rules = trace_of(config, {"only": only}, drive)
    return [each.monitor for each in check(events, rules=rules)]


def weighed(strategy: Strategy) -> list[str]:
    """Shares of 1000, 10 and 5; after 45 turns the heavy one fails for good."""

    async def heavy(request: Request) -> str:
        if trio.current_time() > 45.0:
            raise failing(ErrorClass.SERVER)
        return "fine"

    async def drive(engine: Engine) -> None:
        engine.set_strategy(strategy)
        for _ in range(90):
            await ask(engine)
            await trio.sleep(1.0)

    provider = {"kind": "function", "breaker": {"trip_after": 1, "cooldown": 600.0}}
    weights = {"heavy": 1000.0, "light": 10.0, "lighter": 5.0}
    config = {"providers": {name: {**provider, "weight": w} for name, w in weights.items()}}
    functions = {"heavy": heavy, "light": Script("fine"), "lighter": Script("fine")}
    events, rules = trace_of(config, functions, drive)
    return [each.monitor for each in check(events, rules=rules)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("credit[index] *= total / self._total", "credit[index] *= 1.0"),  # leaves debts behind
        ("credit[order[0].index] -= total", "credit[order[0].index] -= total / 2"),
        ("return candidate.spec.weight", "return 1.0"),
    ],
)
def test_a_fault_of_turns_breaks_the_law_of_shares(old: str, new: str) -> None:
    assert weighed(SmoothWeighted()) == []
    faulty = Mutant("breaks S27", f"{ACTORS}.dispatcher.strategies.shares", old, new).plant()
    assert set(weighed(faulty.SmoothWeighted())) == {"S27"}


def test_without_a_fault_nobody_complains() -> None:
    assert complaints() == []


@pytest.mark.parametrize(("law", "where", "old", "new"), FAULTS)
def test_a_fault_of_the_engine_breaks_a_law(
    law: str, where: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty = Mutant(f"breaks {law}", f"{ACTORS}.{where}", old, new).plant()
    for seam in SEAMS[where]:
        caller, name = seam.split(":")
        module = importlib.import_module(f"{ACTORS}.{caller}")
        monkeypatch.setattr(module, name, getattr(faulty, name))
    assert law in complaints()
