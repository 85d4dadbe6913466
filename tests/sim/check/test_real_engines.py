"""Real engines under fakes break no law, whatever their providers do."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given, settings, strategies as st

from tests.engine.house import HANG, Script, failing
from tests.sim.check.engines import ask, trace_of
from understudy import Engine, ErrorClass
from understudy_sim.check import ALL, Reference, Violation, check

STRATEGIES = ("priority", "round_robin", "weighted", "cheapest", "adaptive", "random")
steps = st.one_of(
    st.sampled_from(["fine", "fine", 0.5, 2.0, 30.0, HANG]),
    st.sampled_from(list(ErrorClass)),
    st.sampled_from([ErrorClass.SERVER, ErrorClass.CONNECT, ErrorClass.RATE_LIMIT]).flatmap(
        lambda kind: st.sampled_from([0.5, 2.0, 20.0]).map(
            lambda wait_s: failing(kind, retry_after_s=wait_s)
        )
    ),
)
scripts = st.lists(steps, min_size=1, max_size=12)
by_hand = st.sampled_from(
    ["hold", "release", "reset", "isolate", "disable", "enable", "report", "switch", "crash"]
)
arrivals = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.05, 1.0, 4.0, 20.0]),  # after the one before
        st.sampled_from([1.0, 5.0, 30.0, 120.0]),  # its timeout
        st.sampled_from([None, None, None, 0.3, 3.0]),  # its caller leaves
        st.none() | st.none() | st.none() | by_hand,
    ),
    min_size=1,
    max_size=25,
)
worlds = st.fixed_dictionaries(
    {
        "strategy": st.sampled_from(STRATEGIES),
        "providers": st.lists(scripts, min_size=1, max_size=3),
        "slots": st.integers(1, 3),
        "priorities": st.booleans(),
        "domain": st.booleans(),
        "max_attempts": st.integers(1, 6),
        "arrivals": arrivals,
        "seed": st.integers(0, 2**32),
    }
)


def config_of(world: dict[str, Any]) -> dict[str, Any]:
    slots = world["slots"]
    providers = {}
    for at, _ in enumerate(world["providers"]):
        providers[f"p{at}"] = {
            "kind": "function",
            "concurrency": {"initial": slots, "min": 1, "max": slots + 1},
            "timeout": "40s",
            "weight": at + 1,
            "priority": at if world["priorities"] else 1,
            "price": {"input": 3 - at, "output": 3 - at},
        }
        if world["domain"]:
            providers[f"p{at}"]["failure_domain"] = "cloud"
    return {
        "strategy": world["strategy"],
        "max_attempts": world["max_attempts"],
        "providers": providers,
    }


async def live(engine: Engine, world: dict[str, Any]) -> None:
    async def one(timeout_s: float, leaves_s: float | None) -> None:
        with trio.move_on_after(leaves_s if leaves_s is not None else HANG):
            await ask(engine, timeout_s)

    async with trio.open_nursery() as nursery:
        for after_s, timeout_s, leaves_s, action in world["arrivals"]:
            await trio.sleep(after_s)
            if action is not None:
                administer(engine, action)
            nursery.start_soon(one, timeout_s, leaves_s)


def administer(engine: Engine, action: str) -> None:
    if action == "hold":
        engine.hold("p0", seconds=3.0)
    elif action == "report":
        engine.report_failure("p0", elapsed_s=1.0)
    elif action == "crash":
        engine._parts.providers["p0"].tell("poison")
    elif action == "switch":
        engine.set_strategy("round_robin")
    else:
        getattr(engine, action)("p0")


def run(world: dict[str, Any]) -> tuple[list[Violation], Reference]:
    """What all monitors and the reference model say of one world."""

    async def drive(engine: Engine) -> None:
        await live(engine, world)
        await trio.sleep(1000.0)  # every hold and every cooldown is over

    functions = {f"p{at}": Script(*each) for at, each in enumerate(world["providers"])}
    events, rules = trace_of(config_of(world), functions, drive, seed=world["seed"])
    reference = Reference(rules)
    return check(events, [*ALL, lambda _: reference], rules=rules), reference


@settings(max_examples=400)
@given(worlds)
def test_a_real_engine_breaks_no_law(world: dict[str, Any]) -> None:
    found, _ = run(world)
    assert not found, "\n".join(f"{v.monitor}: {v.sentence}\n  {v.witness}" for v in found[:3])


PLAIN: dict[str, Any] = {
    "strategy": "priority",
    "slots": 1,
    "priorities": False,
    "domain": False,
    "max_attempts": 4,
    "seed": 0,
}


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(
            {
                **PLAIN,
                "providers": [[failing(ErrorClass.RATE_LIMIT, retry_after_s=0.5)]],
                "arrivals": [(0.0, 1.0, None, None)] * 3,
                "max_attempts": 1,
                "seed": 143289,
            },
            id="a wait that ends without a slot says when the gates end by then",
        ),
        pytest.param(
            {
                **PLAIN,
                "strategy": "round_robin",
                "providers": [[ErrorClass.OVERLOADED]],
                "arrivals": [(4.0, 120.0, None, None)],
            },
            id="a hold that ended just now is told before the next one of its kind",
        ),
    ],
)
def test_what_once_broke_a_law_breaks_none_now(world: dict[str, Any]) -> None:
    found, _ = run(world)
    assert not found


def test_a_report_at_the_very_end_of_a_cooldown_comes_after_the_move_to_half_open() -> None:
    async def drive(engine: Engine) -> None:
        for _ in range(12):  # either may come first: the timer, or the report
            engine.report_failure("a")
            await trio.sleep(10.0)

    config = {"breaker": {"trip_after": 1, "cooldown": "10s"}}
    events, rules = trace_of(config, {"a": Script("fine")}, drive)
    assert check(events, rules=rules) == []
