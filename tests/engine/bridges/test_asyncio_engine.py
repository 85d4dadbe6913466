"""The engine on an asyncio program's own loop: the same verbs, the same errors, nothing left."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import subprocess
import sys
from typing import Any

import pytest
import uvloop

from tests.engine.bridges.house import HI, house, on_asyncio
from tests.engine.house import QUIET, ordered
from understudy import (
    AllAttemptsFailed,
    Choice,
    ConfigError,
    Engine,
    InvalidRequest,
    Request,
    ShuttingDown,
    open_engine,
)
from understudy.bridges import AsyncioEngine
from understudy_actors.domain import events

PLACE: contextvars.ContextVar[str] = contextvars.ContextVar("PLACE")


async def quick(request: Request) -> str:
    await asyncio.sleep(0)
    return "yes"


async def broken(request: Request) -> str:
    raise ConnectionResetError


@on_asyncio
async def test_a_request_fails_over_and_is_answered() -> None:
    async with house(ordered("a", "b", retry={"attempts": 0}), a=broken, b=quick) as (
        engine,
        books,
    ):
        result = await engine.route(HI)
        assert (result.text, result.provider) == ("yes", "b")
        assert [attempt.endpoint for attempt in result.attempts] == ["a/function", "b/function"]
        assert books.outcomes() == {"ok": 1}
        explained = engine.explain(result.request_id)
        assert explained is not None


@on_asyncio
async def test_errors_cross_unchanged() -> None:
    async with house(ordered("a", retry={"attempts": 0}), a=broken) as (engine, _):
        with pytest.raises(AllAttemptsFailed) as failed:
            await engine.route(Request.chat("hi", max_attempts=1))
        assert failed.value.attempts[0].error == "reset"
        assert isinstance(failed.value.__cause__, Exception)
        with pytest.raises(InvalidRequest):
            await engine.route(Request.chat("hi", timeout_s=-1))


@on_asyncio
async def test_an_answer_is_streamed_piece_by_piece() -> None:
    async with house(a=quick) as (engine, _):
        async with engine.stream(HI) as stream:
            pieces = [delta async for delta in stream]
        assert [getattr(piece, "text", "") for piece in pieces] == ["yes"]
        assert stream.result().text == "yes"


@on_asyncio
async def test_the_callers_own_function_is_asyncios() -> None:
    async def own(choice: Choice, word: str, *, times: int) -> str:
        await asyncio.sleep(0.001)
        if choice.provider == "a":
            raise ConnectionResetError
        return word * times

    async with house(ordered("a", "b", retry={"attempts": 0}), a=quick, b=quick) as (engine, _):
        done = await engine.with_fallback("chat", own, "ha", times=2)
        assert (done.result, done.provider) == ("haha", "b")
        again = await engine.with_fallback("chat", lambda _choice: "now")
        assert again.result == "now"


@on_asyncio
async def test_verbs_that_do_not_wait_need_no_await() -> None:
    async with house(a=quick, b=quick) as (engine, _):
        engine.hold("a")
        assert engine.select("chat").provider == "b"
        engine.report_failure("b", elapsed_s=0.1)
        engine.release("a")
        engine.isolate("b")
        assert (await engine.route(HI)).provider == "a"
        engine.enable("b")
        engine.set_strategy("priority")
        engine.reset()
        assert {each.provider for each in engine.health()} == {"a", "b"}
        assert engine.status().running == 0
        assert engine.budgets() == ()


@on_asyncio
async def test_looks_at_providers_are_awaited() -> None:
    async with house(a=quick) as (engine, _):
        (report,) = await engine.test_provider("a")
        assert (report.ok, report.answer) == (True, "yes")
        assert (await engine.check()).running == 0


@on_asyncio
async def test_events_are_an_async_iterator_that_ends_with_the_engine() -> None:
    async def listen(engine: AsyncioEngine) -> list[str]:
        return [type(event).__name__ async for event in engine.events()]

    async with house(a=quick) as (engine, _):
        heard = asyncio.create_task(listen(engine))
        await asyncio.sleep(0)
        await engine.route(HI)
    names = await heard
    assert events.RequestAccepted.__name__ in names
    assert events.RequestOutcome.__name__ in names


def test_every_verb_that_waits_has_its_twin() -> None:
    def waiting(kind: type[Any]) -> set[str]:
        own = inspect.getmembers(kind, inspect.iscoroutinefunction)
        return {name for name, _ in own if not name.startswith("_")}

    assert waiting(Engine) == {
        "route",
        "with_fallback",
        "test_provider",
        "check",
        "reload",
        "drain",
    }
    for name in (*waiting(Engine), "stream", "events"):
        assert name in vars(AsyncioEngine), f"{name} would run outside of trio"


@on_asyncio
async def test_context_variables_cross_both_ways() -> None:
    seen = []

    async def looks(request: Request) -> str:
        seen.append(PLACE.get())
        PLACE.set("provider")
        await asyncio.sleep(0)
        return PLACE.get()

    async def caller(place: str, engine: AsyncioEngine) -> tuple[str, str]:
        PLACE.set(place)
        text = (await engine.route(HI)).text
        return text, PLACE.get()

    async with house(a=looks) as (engine, _):
        pairs = await asyncio.gather(*(caller(str(n), engine) for n in range(5)))
    assert sorted(seen) == ["0", "1", "2", "3", "4"]
    assert pairs == [("provider", "provider")] * 5
    assert PLACE.get("outside") == "outside"


@on_asyncio
async def test_a_function_may_use_whatever_asyncio_offers() -> None:
    async def busy(request: Request) -> str:
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            tasks = [group.create_task(asyncio.sleep(0.001, str(n))) for n in range(3)]
        return "".join(task.result() for task in tasks)

    def future(request: Request) -> asyncio.Future[str]:
        made: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(made.set_result, "future")
        return made

    async with house(ordered("a", "b"), a=busy, b=future) as (engine, _):
        assert (await engine.route(HI)).text == "012"
        engine.hold("a")
        assert (await engine.route(HI)).text == "future"


@on_asyncio
async def test_a_function_is_called_as_on_trio() -> None:
    class Answers:
        async def __call__(self, request: Request, model: str) -> str:
            await asyncio.sleep(0)
            return f"{model} says yes"

    def sync(request: Request) -> str:
        return "sync"

    async with house(ordered("a", "b"), a=Answers(), b=sync) as (engine, _):
        assert (await engine.route(HI)).text == "function says yes"
        engine.hold("a")
        assert (await engine.route(HI)).text == "sync"


@on_asyncio
async def test_a_request_within_a_provider_goes_through_the_same_engine() -> None:
    async with house(ordered("outer", "inner"), outer=quick, inner=quick) as (engine, books):

        async def outer(choice: Choice) -> str:
            return (await engine.route(HI)).provider

        assert (await engine.with_fallback("chat", outer)).result == "outer"
        assert books.outcomes() == {"ok": 2}


@on_asyncio
async def test_configuration_that_cannot_run_is_refused_as_on_trio() -> None:
    with pytest.raises(ConfigError, match="no_such_key"):
        async with AsyncioEngine.open({"no_such_key": 1}, environ={}):
            pass


@on_asyncio
async def test_a_second_engine_on_the_loop_is_explained_and_harms_nothing() -> None:
    async with house(a=quick) as (engine, _):
        with pytest.raises(RuntimeError, match="Open one engine and pass it"):
            async with AsyncioEngine.open(QUIET, functions={"a": quick}, environ={}):
                pass
        assert (await engine.route(HI)).text == "yes"
    async with house(a=quick) as (engine, _):  # one after the other is fine
        assert (await engine.route(HI)).text == "yes"


async def test_a_trio_program_is_sent_to_open_engine() -> None:
    with pytest.raises(RuntimeError, match="open_engine"):
        async with AsyncioEngine.open(QUIET, functions={"a": quick}, environ={}):
            pass
    async with open_engine(QUIET, functions={"a": lambda _r: "yes"}, environ={}) as engine:
        assert (await engine.route(HI)).text == "yes"


@on_asyncio
async def test_an_engine_is_used_from_the_loop_that_it_was_opened_on() -> None:
    async with house(a=quick) as (engine, _):

        def elsewhere() -> None:
            with pytest.raises(RuntimeError, match="another event loop"):
                asyncio.run(engine.route(HI))

        await asyncio.to_thread(elsewhere)


@on_asyncio
async def test_after_the_block_there_is_nobody_to_ask() -> None:
    async with house(a=quick) as (engine, _):
        pass
    with pytest.raises(ShuttingDown):
        await engine.route(HI)
    with pytest.raises(ShuttingDown):
        async with engine.stream(HI):
            pass
    with pytest.raises(ShuttingDown):
        await engine.check()


@pytest.mark.parametrize("factory", [None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_notebook_opens_in_one_cell_and_closes_in_another(factory: Any) -> None:
    opener = AsyncioEngine.open(QUIET, functions={"a": quick}, environ={})
    with asyncio.Runner(loop_factory=factory, debug=True) as runner:  # one task a cell
        engine = runner.run(opener.__aenter__())
        for _ in range(2):
            assert runner.run(engine.route(HI)).text == "yes"
        runner.run(asyncio.sleep(0.02))
        assert runner.run(engine.check()).running == 0
        runner.run(opener.__aexit__(None, None, None))
        with pytest.raises(ShuttingDown):
            runner.run(engine.route(HI))


def test_importing_the_bridges_costs_nothing() -> None:
    program = (
        "import sys, understudy.bridges\n"
        "assert 'understudy.bridges.guest' not in sys.modules\n"
        "from understudy.bridges import AsyncioEngine\n"
        "assert AsyncioEngine.__name__ == 'AsyncioEngine'\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
