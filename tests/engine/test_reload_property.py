"""Whatever two configurations are: after a reload, an engine answers as one opened with the new."""

from __future__ import annotations

from typing import Any

import trio
import trio.testing
from hypothesis import given, settings, strategies as st

from tests.engine.house import Books, Script
from understudy import Engine, NoCandidate, Request, open_engine
from understudy.ports import Ports
from understudy_actors.runtime.ports import Randomness

NAMES = ("a", "b", "c")
WEIGHTS = st.fixed_dictionaries(
    {},
    optional={
        "weight": st.sampled_from([1, 3]),
        "priority": st.integers(1, 3),
        "quality": st.sampled_from([0.1, 0.9]),
        "enabled": st.booleans(),
        "price": st.sampled_from([{"input": 0, "output": 0, "request": 0.5}, {"input": 0}]),
        "concurrency": st.sampled_from([{"initial": 1, "max": 2}, {"initial": 4}]),
        "requests_per_minute": st.sampled_from([100, 200]),
        "timeout": st.sampled_from(["5s", "50s"]),
    },
)


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    providers = {name: {"kind": "function", **draw(WEIGHTS)} for name in names}
    if not any(each.get("enabled", True) for each in providers.values()):
        providers[names[0]]["enabled"] = True
    config: dict[str, Any] = {
        "log": {"level": "off"},
        "strategy": draw(st.sampled_from(["priority", "cheapest", "best_quality"])),
        "providers": providers,
    }
    if draw(st.booleans()):
        config["operations"] = {"chat": {"chain": draw(st.permutations(names))}}
    if draw(st.booleans()):
        config["deadline"] = draw(st.integers(5, 50))
    return config


def opened(config: dict[str, Any]) -> open_engine:
    functions = {name: Script(f"from {name}") for name in config["providers"]}
    ports = Ports(randomness=Randomness(7))
    return open_engine(config, functions=functions, environ={}, ports=ports)


def told(engine: Engine) -> dict[str, Any]:
    """What of an engine its configuration decides, before anything was asked of it."""
    parts = engine._parts
    try:
        chosen: Any = engine.select("chat").name
    except NoCandidate as nobody:
        chosen = str(nobody)
    status = engine.status()
    return {
        "chosen": chosen,
        "models": engine.models(),
        "budgets": engine.budgets(),
        "strategy": status.strategy,
        "health": [(e.name, e.healthy, e.limit, e.breaker, e.in_flight) for e in status.providers],
        "specs": [(c.spec, c.index, c.metered, c.free_left) for c in parts.candidates],
        "settings": list(parts.design.providers.values()),
        "actors": sorted(parts.posts.providers),
        "shut": [c.refusal(parts.ports.clock.now()) for c in parts.candidates],
    }


@given(configs(), configs(), st.booleans())
@settings(max_examples=40)
def test_reloaded_is_opened_anew(
    before: dict[str, Any], after: dict[str, Any], under_way: bool
) -> None:
    async def main() -> None:
        async with opened(after) as engine:
            wanted = told(engine)
            served = await _served(engine)
        async with opened(before) as engine:
            books = Books(engine)
            if under_way:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(engine.route, Request.chat("hello"))
                    await engine.reload(after, functions=_functions(after))
            else:
                await engine.reload(after, functions=_functions(after))
            await trio.testing.wait_all_tasks_blocked()
            if not under_way:
                found = told(engine)
                assert wanted == found | {"health": _grown(wanted, found)}
            assert await _served(engine) == served
            again = await engine.reload()
            assert again.changed == ()
        books.balance()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def _functions(config: dict[str, Any]) -> dict[str, Script]:
    return {name: Script(f"from {name}") for name in config["providers"]}


def _grown(wanted: dict[str, Any], found: dict[str, Any]) -> list[Any]:
    """What was learned of concurrency stays: only its bounds are configured."""
    limits = {each[0]: each[2] for each in wanted["health"]}
    return [(name, ok, limits[name], *rest) for name, ok, _, *rest in found["health"]]


async def _served(engine: Engine) -> list[str]:
    answers = []
    for _ in range(3):
        result = await engine.route(Request.chat("hello"))
        answers.append(result.provider)
    return answers
