"""Tasks are done once; limits hold; what is kept is what happened."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import trio

from tests.engine.agent.disk import Disk
from tests.engine.house import QUIET
from understudy import (
    AgentLimit,
    ChatOutput,
    Engine,
    Handle,
    InvalidRequest,
    LongRunningAgent,
    OverBudget,
    Reply,
    Request,
    ShuttingDown,
    StoreFailed,
    TaskCompacted,
    TaskCrashed,
    Usage,
    open_engine,
)
from understudy.agent.records import SCHEMA, AgentRecord

PRICE = {"input": 0.0, "output": 10.0}
CENT = 1_000  # tokens of an answer that costs one cent
HI = Request.chat("hi", max_tokens=CENT)


async def answers(request: Request) -> Reply:
    await trio.sleep(0.1)
    return Reply(ChatOutput("yes"), Usage(0, CENT))


@contextlib.asynccontextmanager
async def engine_on(
    disk: Disk | None = None, *, function: Any = answers, **config: Any
) -> AsyncIterator[Engine]:
    """An engine with one provider, whose answers cost a cent each."""
    more: dict[str, Any] = {} if disk is None else {"store": {"path": "in memory"}}
    provider = {"p": {"models": [{"name": "m", "price": PRICE}]}}
    settings = {**QUIET, "providers": provider, **more, **config}
    async with open_engine(settings, functions={"p": function}, environ={}, store=disk) as engine:
        yield engine


async def asks(handle: Handle) -> str:
    return (await handle.route(HI)).text


async def test_a_task_is_done_and_counted() -> None:
    async with engine_on() as engine, LongRunningAgent(engine, "crawler") as agent:
        assert await agent.execute_task("one", asks, complexity="simple") == "yes"
        assert await agent.execute_task("two", lambda _handle: {"n": 2}) == {"n": 2}
        agent.progress = 0.5
        status = agent.status()
        assert (status.completed, status.failed, status.running) == (2, 0, ())
        assert (status.cost_usd, status.tokens, status.requests) == (0.01, CENT, 1)
        assert (status.providers, status.provider) == ({"p": 1}, "p")
        assert (status.progress, status.limit_reached) == (0.5, None)
        assert [each.name for each in agent.tasks()] == ["one", "two"]
    assert agent.status().runtime_s >= 0.1


async def test_a_completed_task_is_never_done_again() -> None:
    disk, runs = Disk(), 0

    @dataclass
    class Page:
        title: str
        words: int

    def work(handle: Handle) -> Page:
        nonlocal runs
        runs += 1
        return Page("home", 7)

    for _ in range(3):
        async with engine_on(disk) as engine, LongRunningAgent(engine, "crawler") as agent:
            assert await agent.execute_task("page", work) == {"title": "home", "words": 7}
            assert await agent.execute_task("page", work, result_type=Page) == Page("home", 7)
            assert agent.status().completed == 1
            with pytest.raises(InvalidRequest, match="none such"):
                await agent.execute_task("page", work, result_type=int)
    assert runs == 1


async def test_a_failed_task_may_be_asked_for_again() -> None:
    disk, runs = Disk(), list[int]()

    async def work(handle: Handle) -> str:
        runs.append(handle.run)
        await handle.route(HI)
        if handle.run < 3:
            raise ValueError("no luck")
        return handle.key

    for _ in range(2):
        async with engine_on(disk) as engine, LongRunningAgent(engine, "a") as agent:
            with pytest.raises(ValueError, match="no luck"):
                await agent.execute_task("t", work)
            (task,) = agent.tasks()
            assert (task.state, task.error) == ("failed", "ValueError: no luck")
    async with engine_on(disk) as engine, LongRunningAgent(engine, "a") as agent:
        assert await agent.execute_task("t", work) == "a/t"
        (task,) = agent.tasks()
        assert (task.state, task.runs, task.error) == ("completed", 3, None)
        assert round(task.spent.cost_usd, 6) == 0.03
        status = agent.status()
        assert (status.completed, status.failed, round(status.cost_usd, 6)) == (1, 2, 0.03)
    assert runs == [1, 2, 3]


async def test_what_the_budget_does_not_pay_for_is_not_asked() -> None:
    """The ledger holds it: to the micro-dollar, beside other tasks, and in the next process."""
    disk = Disk()
    for spent in (0.02, 0.03, 0.03):
        async with engine_on(disk) as engine:
            agent = LongRunningAgent(engine, "a", max_cost_usd=0.03)
            async with agent:
                done = len(disk.entries)

                async def attempt(name: str, agent: LongRunningAgent = agent) -> None:
                    with contextlib.suppress(AgentLimit, OverBudget):
                        await agent.execute_task(name, asks)

                async with trio.open_nursery() as nursery:
                    for number in range(2):
                        nursery.start_soon(attempt, f"{done}-{number}")
                assert round(agent.status().cost_usd, 6) == spent
            assert round(sum(each.spent_usd for each in engine.budgets()), 6) == spent
    charged = [body.micro_usd for kind, body in disk.entries if kind == "charge"]
    assert charged == [10_000] * 3


async def test_an_agent_whose_limits_are_reached_begins_nothing() -> None:
    async with engine_on() as engine:
        async with LongRunningAgent(engine, "costs", max_cost_usd=0.01) as agent:
            await agent.execute_task("one", asks)
            with pytest.raises(AgentLimit, match="cost"):
                await agent.execute_task("two", asks)
            assert await agent.execute_task("one", asks) == "yes"  # it is done
        async with LongRunningAgent(engine, "fails", max_failures=1) as agent:
            with pytest.raises(ZeroDivisionError):
                await agent.execute_task("one", lambda _handle: 1 / 0)
            with pytest.raises(AgentLimit, match="failed"):
                await agent.execute_task("two", asks)
            limit = agent.status().limit_reached
            assert limit is not None
            assert "failed" in limit


async def test_its_time_ends_a_task_in_the_midst() -> None:
    disk = Disk()

    async def sleeps(_handle: Handle) -> None:
        await trio.sleep(100)

    async with engine_on(disk) as engine:
        async with LongRunningAgent(engine, "a", max_runtime_s=10) as agent:
            with pytest.raises(AgentLimit, match="time is over"):
                await agent.execute_task("one", sleeps)
            with pytest.raises(AgentLimit, match="has run"):
                await agent.execute_task("two", asks)
        assert agent.status().runtime_s == pytest.approx(10, abs=0.5)
    async with engine_on(disk) as engine, LongRunningAgent(engine, "a", max_runtime_s=10) as agent:
        with pytest.raises(AgentLimit, match="has run"):
            await agent.execute_task("three", asks)


async def test_tasks_run_side_by_side_up_to_a_bound() -> None:
    busy = most = 0

    async def work(_handle: Handle) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await trio.sleep(1)
        busy -= 1

    async with engine_on() as engine, LongRunningAgent(engine, "a", concurrency=3) as agent:
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(agent.execute_task, str(number), work)
            await trio.sleep(0.5)
            with pytest.raises(InvalidRequest, match="is running"):
                await agent.execute_task("0", work)
            assert len(agent.status().running) == 10
        assert most == 3


async def test_the_agents_own_state_and_checkpoints_are_kept() -> None:
    disk = Disk()
    async with (
        engine_on(disk) as engine,
        LongRunningAgent(engine, "a", checkpoint_every_s=30) as agent,
    ):
        assert agent.remembered() is None
        agent.remember({"page": 17})
        mark = await agent.checkpoint()
        assert (mark.number, mark.why) == (1, "hand")
        await trio.sleep(95)
        assert agent.status().checkpoint == 4
        with pytest.raises(InvalidRequest, match="cannot be kept"):
            agent.remember(object())
        await trio.sleep(3600)
    async with engine_on(disk) as engine, LongRunningAgent(engine, "a") as agent:
        assert agent.remembered() == {"page": 17}
        assert agent.remembered(dict[str, int]) == {"page": 17}
        assert agent.status().runtime_s == pytest.approx(3695, abs=1)
        record = agent._open().record
        assert [each.why for each in record.checkpoints][-1] == "stop"
        assert len(record.checkpoints) == 20


async def test_stopping_cuts_off_what_does_not_end() -> None:
    disk, told = Disk(), list[str]()

    async def sleeps(_handle: Handle) -> None:
        await trio.sleep(100)

    async def run(agent: LongRunningAgent, name: str) -> None:
        with pytest.raises(ShuttingDown):
            await agent.execute_task(name, sleeps)
        told.append(name)

    async with engine_on(disk) as engine, trio.open_nursery() as nursery:
        async with LongRunningAgent(engine, "a", concurrency=1) as agent:
            nursery.start_soon(run, agent, "one")
            await trio.sleep(1)
            nursery.start_soon(run, agent, "two")  # it waits for its turn
            await trio.sleep(1)
        await agent.stop()
        with pytest.raises(ShuttingDown):
            await agent.execute_task("three", asks)
        await trio.sleep(100)
        assert agent._open().record.checkpoints[-1].why == "stop"
    assert sorted(told) == ["one", "two"]
    async with engine_on(disk) as engine, LongRunningAgent(engine, "a") as agent:
        assert {each.name: each.state for each in agent.tasks()} == {"one": "running"}
        with pytest.raises(TaskCrashed):
            await agent.execute_task("one", asks, on_crash="report")
        assert agent.status().failed == 1
        assert await agent.execute_task("one", asks, on_crash="report") == "yes"


async def test_old_results_are_compacted_and_their_tasks_never_done_again() -> None:
    disk = Disk(delay_s=0.0)
    async with engine_on(disk) as engine, LongRunningAgent(engine, "a", results_max=5) as agent:
        for number in range(12):
            await agent.execute_task(str(number), lambda _handle: "kept")
        assert len(agent.tasks()) == 5
    assert len([key for key in disk.states if key.startswith("agent/a/")]) == 5 + 1
    async with engine_on(disk) as engine, LongRunningAgent(engine, "a", results_max=5) as agent:
        for number in range(12):
            if number < 7:
                with pytest.raises(TaskCompacted):
                    await agent.execute_task(str(number), lambda _handle: "again")
            else:
                assert await agent.execute_task(str(number), lambda _handle: "again") == "kept"
        assert agent.status().completed == 12


async def test_what_is_not_on_the_disk_is_told() -> None:
    disk = Disk()
    async with engine_on(disk) as engine:
        agent = LongRunningAgent(engine, "a")
        await agent.start()
        disk.full = True
        with pytest.raises(StoreFailed, match="disk is full"):
            await agent.execute_task("one", asks)
        with pytest.raises(StoreFailed):
            await agent.checkpoint()
        disk.full = False
        await trio.sleep(10)
        await agent.stop()


async def test_streams_and_own_calls_are_counted() -> None:
    async def work(handle: Handle) -> str:
        async with handle.stream(HI) as stream:
            pieces = [getattr(delta, "text", "") async for delta in stream]
        done = await handle.with_fallback("chat", lambda choice: choice.provider)
        assert handle.select("chat").provider == done.provider == "p"
        return "".join(pieces)

    async with engine_on() as engine, LongRunningAgent(engine, "a") as agent:
        assert await agent.execute_task("one", work) == "yes"
        status = agent.status()
        assert (status.requests, status.providers) == (2, {"p": 2})
        assert status.tokens >= CENT


@pytest.mark.parametrize(
    ("name", "more", "why"),
    [
        ("", {}, "name of an agent"),
        ("a/b", {}, "name of an agent"),
        ("a", {"max_cost_usd": 0}, "max_cost_usd"),
        ("a", {"concurrency": 0}, "concurrency"),
        ("a", {"max_runtime_s": -1.0}, "max_runtime_s"),
    ],
)
async def test_what_cannot_be_an_agent_is_refused(name: str, more: Any, why: str) -> None:
    async with engine_on() as engine:
        with pytest.raises(InvalidRequest, match=why):
            LongRunningAgent(engine, name, **more)


async def test_what_cannot_be_a_task_is_refused_and_nothing_is_done() -> None:
    async with engine_on() as engine:
        agent = LongRunningAgent(engine, "a")
        with pytest.raises(InvalidRequest, match="not started"):
            await agent.execute_task("one", asks)
        async with agent:
            with pytest.raises(InvalidRequest, match="started"):
                await LongRunningAgent(engine, "a").start()
            for name in ("", "x/y", "x" * 301, "new\nline"):
                with pytest.raises(InvalidRequest, match="name of a task"):
                    await agent.execute_task(name, asks)
            with pytest.raises(InvalidRequest, match="complexity"):
                await agent.execute_task("one", asks, complexity="hard")
            with pytest.raises(InvalidRequest, match="on_crash"):
                await agent.execute_task("one", asks, on_crash="ignore")
            with pytest.raises(InvalidRequest, match="progress"):
                agent.progress = 2
            assert agent.tasks() == ()
            with pytest.raises(InvalidRequest, match="cannot be kept"):
                await agent.execute_task("one", lambda _handle: object())
            assert [each.state for each in agent.tasks()] == ["failed"]


async def test_another_configuration_leaves_an_agents_budget_as_it_is() -> None:
    async with engine_on() as engine, LongRunningAgent(engine, "a", max_cost_usd=0.02) as agent:
        await agent.execute_task("one", asks)
        provider = {"p": {"models": [{"name": "m", "price": PRICE}]}}
        await engine.reload({**QUIET, "providers": provider, "strategy": "priority"})
        assert [each.name for each in engine.budgets()] == ["agent:a"]
        await agent.execute_task("two", asks)
        assert round(agent.status().cost_usd, 6) == 0.02
        with pytest.raises(AgentLimit, match="cost"):
            await agent.execute_task("three", asks)


async def test_a_task_says_how_hard_and_how_long_its_requests_are() -> None:
    seen: list[Request] = []

    def provider(request: Request) -> Reply:
        seen.append(request)
        return Reply(ChatOutput("yes"), Usage(0, CENT))

    async def own(handle: Handle) -> None:
        await handle.route(Request.chat("hi", complexity="complex", output_tokens=7))

    async with engine_on(function=provider) as engine, LongRunningAgent(engine, "a") as agent:
        await agent.execute_task("one", asks, complexity="simple", estimated_tokens=50)
        await agent.execute_task("two", own, complexity="simple", estimated_tokens=50)
    assert [(each.complexity, each.output_tokens) for each in seen] == [
        ("simple", 50),
        ("complex", 7),
    ]


async def test_what_a_newer_version_wrote_is_refused() -> None:
    disk = Disk()
    disk.states["agent/a"] = msgspec.msgpack.encode(AgentRecord(name="a", schema=SCHEMA + 1))
    async with engine_on(disk) as engine:
        with pytest.raises(StoreFailed, match="newer understudy"):
            await LongRunningAgent(engine, "a").start()
