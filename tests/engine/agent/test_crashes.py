"""An agent whose process ends at any moment: nothing it told is lost, nothing is done twice."""

from __future__ import annotations

import gc
import os
import tracemalloc
from collections import Counter
from typing import Any, Final

import pytest
import trio

from tests.engine.agent.disk import Disk
from tests.engine.agent.test_agent import CENT, HI, asks, engine_on
from understudy import ChatOutput, Handle, LongRunningAgent, Reply, Request, Usage
from understudy.agent.reading import agent as kept_agent, tasks as kept_tasks

TASKS: Final = 20
WHOLE: Final = os.environ.get("UNDERSTUDY_AGENTS") == "1"
"""Every moment, and a week: `make agents`."""
STRIDE: Final = 1 if WHOLE else 23
WEEK: Final = 60_000 if WHOLE else 1_200


class World:
    """What is outside of the processes: the disk, what tasks did, and what callers were told."""

    def __init__(self) -> None:
        self.disk = Disk(delay_s=0.003)
        self.effects: dict[str, int] = {}
        self.runs: Counter[str] = Counter()
        self.told: dict[str, Any] = {}
        self.events = 0

    async def live(self, crash_at: int | None) -> bool:
        """One process; True if it came to its end, False if it crashed at the nth event."""
        with trio.CancelScope() as process:

            def count(_seq: int, _event: object) -> None:
                self.events += 1
                if self.events == crash_at:
                    self.disk.dead = True  # whatever it still does, nobody will know
                    process.cancel()

            async with engine_on(self.disk, budgets=[{"usd": 1000, "per": "total"}]) as engine:
                engine.listen(count)
                agent = LongRunningAgent(engine, "a", concurrency=4, max_cost_usd=100.0)
                async with agent, trio.open_nursery() as nursery:
                    for number in range(TASKS):
                        nursery.start_soon(self._task, agent, f"t{number}")
                self.books(engine.budgets(), agent)
        return not self.disk.dead

    async def _task(self, agent: LongRunningAgent, name: str) -> None:
        async def work(handle: Handle) -> dict[str, Any]:
            assert name not in self.told, f"{name} was told as done, and is done again"
            self.runs[name] += 1
            text = (await handle.route(HI)).text
            if not self.disk.dead:
                self.effects.setdefault(handle.key, handle.run)  # once for each key
            return {"text": text, "of": name}

        result = await agent.execute_task(name, work)
        if not self.disk.dead:
            assert self.told.setdefault(name, result) == result

    def books(self, budgets: Any, agent: LongRunningAgent) -> None:
        """All sums agree: the agent's, its budget's, the engine's, and the journal's."""
        spent = {(each.scope, each.name): round(each.spent_usd * 1e6) for each in budgets}
        assert (
            round(agent.status().cost_usd * 1e6) == spent["tag", "agent:a"] == spent["engine", ""]
        )
        if not self.disk.dead:
            journal = sum(
                body.micro_usd
                for kind, body in self.disk.entries
                if kind == "charge" or str(body.budget.scope) == "engine"
            )
            assert journal == spent["engine", ""]


async def test_a_crash_at_any_event_loses_nothing_that_was_told() -> None:
    crash_at = 1
    while True:
        world = World()
        whole = await world.live(crash_at)
        assert await world.live(None)
        assert world.told == {
            f"t{number}": {"text": "yes", "of": f"t{number}"} for number in range(TASKS)
        }
        assert set(world.effects) == {f"a/t{number}" for number in range(TASKS)}
        assert max(world.runs.values()) <= 2
        record = kept_agent(world.disk.states, "a")
        assert record is not None
        assert (record.completed, record.running) == (TASKS, False)
        tasks, _ = kept_tasks(world.disk.states, "a")
        assert {each.state for each in tasks} == {"completed"}
        if whole:
            break
        crash_at += STRIDE
    assert crash_at > TASKS


@pytest.mark.parametrize("crashes", [3, 6])
async def test_crash_after_crash_it_comes_to_its_end(crashes: int) -> None:
    world = World()
    for number in range(crashes):
        if await world.live(world.events + 40 + 17 * number):
            break
    assert await world.live(None)
    assert len(world.told) == TASKS


async def test_a_week_of_tasks_leaves_memory_and_the_disk_as_they_were() -> None:
    """One process, virtual time: what is kept of tasks is bounded, and so is what is in memory."""
    disk = Disk(delay_s=0.0)

    def provider(request: Request) -> Reply:
        return Reply(ChatOutput("yes"), Usage(0, CENT))

    async with (
        engine_on(disk, function=provider, accounts={"enabled": False}) as engine,
        LongRunningAgent(engine, "a", results_max=200) as agent,
    ):
        sizes: list[int] = []
        if WHOLE:  # it makes everything slow
            tracemalloc.start()
        try:
            for number in range(WEEK):
                await agent.execute_task(f"task {number}", asks)
                await trio.sleep(10)
                if number in (WEEK // 2, WEEK - 1):
                    gc.collect()
                    sizes.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
        status = agent.status()
        assert status.completed == WEEK
        assert status.runtime_s >= WEEK * 10
        assert len(agent.tasks()) == 200
    own = [key for key in disk.states if key.startswith("agent/")]
    assert len(own) == 1 + 200 + -(-(WEEK - 200) // 1000)
    each = (sizes[1] - sizes[0]) / (WEEK / 2)
    assert each < 250, f"{each:.0f} bytes for each task that is over"
