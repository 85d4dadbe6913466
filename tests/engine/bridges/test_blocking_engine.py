"""The engine behind threads: interrupts, forks, blocking functions, and how it ends."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trio

from tests.engine.bridges.house import HI, PATIENCE_S, mock_provider
from tests.engine.house import QUIET, Books, ordered
from understudy import AllAttemptsFailed, Choice, Request, ShuttingDown
from understudy.bridges import BlockingEngine, forks
from understudy_actors.domain import events
from understudy_sim.mock import MockSettings
from understudy_sim.mock.settings import Behaviour

MEETING_S = 2.0
"""Three threads that run side by side meet within that time."""
needs_main_thread = pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(),
    reason="interrupts come to the main thread, and tests run in another one here",
)


async def quick(request: Request) -> str:
    return "yes"


def opened(config: dict[str, Any] | None = None, **functions: Any) -> Any:
    """An engine over functions, to be entered; silent."""
    return BlockingEngine.open({**QUIET, **(config or {})}, functions=functions, environ={})


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also where a shell has switched it off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def in_background(function: Callable[[], object]) -> threading.Thread:
    """A thread that tells by what it leaves: where a fault is planted it may fail long after."""

    def run() -> None:
        with contextlib.suppress(BaseException):
            function()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


# Functions


def test_functions_that_block_run_side_by_side_and_stop_nobody() -> None:
    meet = threading.Barrier(3)  # passed only by three at once

    def blocks(request: Request) -> str:
        try:
            meet.wait(MEETING_S)
        except threading.BrokenBarrierError:
            return "alone"
        return "met"

    answers: list[str] = []
    with opened(ordered("a"), a=blocks) as engine:
        threads = [in_background(lambda: answers.append(engine.route(HI).text)) for _ in range(3)]
        while engine.status().running:  # the engine answers meanwhile
            time.sleep(0.001)
        for thread in threads:
            thread.join(PATIENCE_S)
    assert answers == ["met"] * 3


def test_a_function_that_blocks_has_its_time_and_its_answer_is_dropped() -> None:
    goes_on = threading.Event()

    def blocks(request: Request) -> str:
        goes_on.wait(PATIENCE_S)
        return "late"

    config = ordered("a", "b", providers={"a": {"timeout": 0.05}}, retry={"attempts": 0})
    with opened(config, a=blocks, b=quick) as engine:
        result = engine.route(HI)
        goes_on.set()
        assert (result.text, [each.error for each in result.attempts]) == ("yes", ["silent", None])
        with pytest.raises(AllAttemptsFailed):
            engine.with_fallback("chat", functools.partial(_raises, ConnectionResetError))


def _raises(error: type[Exception], _choice: Choice) -> str:
    raise error


def test_a_function_may_ask_the_same_engine() -> None:
    with opened(ordered("outer", "inner"), outer=quick, inner=quick) as engine:

        def outer(_choice: Choice) -> str:
            return str(engine.route(HI).provider)

        assert engine.with_fallback("chat", outer).result == "outer"


def test_a_call_that_would_wait_for_itself_is_explained() -> None:
    refused: list[str] = []

    async def asks(request: Request) -> str:
        assert engine.status().running == 1  # what need not wait is done
        with pytest.raises(RuntimeError, match="wait for itself") as found:
            engine.route(HI)
        refused.append(str(found.value))
        with pytest.raises(RuntimeError, match="wait for itself"):
            engine.close()
        return "yes"

    with opened(a=asks) as engine:
        assert engine.route(HI).text == "yes"
    assert len(refused) == 1


# Order, and the end


def test_callers_begin_in_the_order_in_which_they_came() -> None:
    begun: list[str] = []
    with opened(a=quick) as engine:
        engine.listen(
            lambda _seq, event: (
                begun.append(event.user or "")
                if isinstance(event, events.RequestAccepted)
                else None
            )
        )
        holds, held = threading.Event(), threading.Event()

        async def stops() -> None:  # trio stands still, while callers line up
            held.set()
            holds.wait(PATIENCE_S)

        threads = [in_background(lambda: engine._run.run(stops))]
        held.wait(PATIENCE_S)
        for number in range(20):
            ask = Request.chat("hi", user=str(number))
            threads.append(in_background(functools.partial(engine.route, ask)))
            while len(engine._run._inbox) <= number:
                time.sleep(0.0005)
        holds.set()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert begun == [str(number) for number in range(20)]


def test_leaving_the_block_waits_for_what_is_under_way() -> None:
    answers: list[str] = []

    async def slow(request: Request) -> str:
        await trio.sleep(0.05)
        return "yes"

    with opened(a=slow) as engine:
        thread = in_background(lambda: answers.append(engine.route(HI).text))
        while not engine.status().running:
            time.sleep(0.001)
    thread.join(PATIENCE_S)
    assert answers == ["yes"]


def test_an_error_in_the_block_waits_for_nobody() -> None:
    ended: list[str] = []

    async def forever(request: Request) -> str:
        await trio.sleep_forever()
        raise AssertionError

    def ask() -> None:
        with pytest.raises(ShuttingDown):
            engine.route(HI)
        ended.append("told")

    block = BlockingEngine.open(QUIET, functions={"a": forever}, environ={}, drain_s=1e6)
    with pytest.raises(ZeroDivisionError), block as engine:
        thread = in_background(ask)
        while not engine.status().running:
            time.sleep(0.001)
        raise ZeroDivisionError
    thread.join(PATIENCE_S)
    assert ended == ["told"]


def test_whoever_waits_when_it_closes_is_told() -> None:
    ended: list[type[BaseException]] = []

    async def forever(request: Request) -> str:
        await trio.sleep_forever()
        raise AssertionError

    def ask() -> None:
        try:
            engine.route(HI)
        except ShuttingDown as error:
            ended.append(type(error))

    def watch() -> None:
        for _event in engine.events():
            pass
        ended.append(StopIteration)

    block = BlockingEngine.open(QUIET, functions={"a": forever}, environ={}, drain_s=0.0)
    with block as engine:
        threads = [in_background(ask) for _ in range(3)] + [in_background(watch)]
        while engine.status().running < 3:
            time.sleep(0.001)
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sorted(each.__name__ for each in ended) == ["ShuttingDown"] * 3 + ["StopIteration"]


def test_it_is_opened_once() -> None:
    block = opened(a=quick)
    with block, pytest.raises(RuntimeError, match="opened once"):
        block.start()


async def test_async_with_is_refused() -> None:
    with pytest.raises(TypeError, match="not `async with`"):
        async with opened(a=quick):
            raise AssertionError


def test_started_without_a_block_it_is_closed_by_hand() -> None:
    engine = opened(a=quick).start()
    assert engine.route(HI).text == "yes"
    engine.close()
    engine.close()
    with pytest.raises(ShuttingDown):
        engine.status()


def test_a_failure_of_the_engines_own_comes_out_of_the_block() -> None:
    def fails(_request: Request) -> str:
        raise AssertionError

    with pytest.raises(ValueError, match="planted"), opened(a=fails) as engine:

        async def breaks() -> None:
            engine._engine._parts.wiring.flights.closing = True
            engine._run._held.failure = ValueError("planted")
            engine._run._held.scope.cancel()

        engine._run.run(breaks)
        with pytest.raises(ShuttingDown):
            engine.route(HI)


# Streams and events


def test_streams_are_read_by_many_threads_over_sockets() -> None:
    text = " ".join(f"word{n}" for n in range(40))
    texts: list[str] = []
    with mock_provider(MockSettings(behaviour=Behaviour(reply=text, tokens_per_s=1000))) as url:
        provider = {"kind": "openai-compatible", "base_url": url, "models": ["m"]}
        with opened({"providers": {"a": provider}}) as engine:

            def read() -> None:
                with engine.stream(HI) as stream:
                    pieces: list[str] = []
                    for delta in stream:
                        pieces.append(getattr(delta, "text", ""))
                        assert stream.text == "".join(pieces)
                    assert len(pieces) > 5
                    assert stream.result().text == stream.text
                    texts.append(stream.text)

            threads = [in_background(read) for _ in range(10)]
            for thread in threads:
                thread.join(PATIENCE_S)
            assert engine.status().running == 0
    assert texts == [text] * 10


def test_events_that_have_arrived_are_read_after_the_end() -> None:
    with opened(a=quick) as engine:
        with engine.events() as heard:
            engine.route(HI)
            assert type(next(heard)).__name__ == "RequestAccepted"
        late = engine.events(fine=False)
        engine.route(HI)
    names = [type(event).__name__ for event in late]
    assert "RequestOutcome" in names
    assert (late.dropped, "RequestOutcome" in [type(event).__name__ for event in heard]) == (
        0,
        True,
    )
    late.close()


# Interrupts and forks


@needs_main_thread
@pytest.mark.parametrize("what", ["a request", "a stream", "an own function"])
@pytest.mark.usefixtures("interrupts")
def test_an_interrupt_at_any_moment_settles_everything(what: str) -> None:
    """Ctrl-C comes as the request's nth event is told, for every n."""
    main = threading.main_thread().ident
    assert main is not None

    async def wanders(request: Request) -> str:
        await trio.sleep(0.001)
        return "yes"

    def act(engine: BlockingEngine) -> None:
        if what == "a request":
            engine.route(HI)
        elif what == "a stream":
            with engine.stream(HI) as stream:
                list(stream)
        else:
            engine.with_fallback("chat", wanders)

    config = ordered("a", "b", retry={"base": 0.001})
    interrupted = at = told = 0
    armed = False

    def tell(_seq: int, _event: object) -> None:
        nonlocal told
        told += armed
        if told == at and armed:
            signal.pthread_kill(main, signal.SIGINT)

    while True:
        at, told, armed = at + 1, 0, True

        with opened(config, a=wanders, b=wanders) as engine:
            books = Books(engine._engine)
            engine.listen(tell)
            try:
                act(engine)
                armed = False
                time.sleep(0.02)  # it may come a little later
            except KeyboardInterrupt:
                armed = False
                interrupted += 1
            assert engine.status().running == 0
            assert engine.route(HI).text == "yes"
        books.balance()
        if told < at:
            break
    assert interrupted >= 5
    gc.collect()


@needs_main_thread
@pytest.mark.usefixtures("interrupts")
def test_an_interrupt_waits_until_the_request_is_settled() -> None:
    main, cleaned = threading.main_thread().ident, []
    assert main is not None

    async def cleans_up(request: Request) -> str:
        try:
            signal.pthread_kill(main, signal.SIGINT)
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.05)
            cleaned.append(True)
        raise AssertionError

    with opened(a=cleans_up) as engine:
        with pytest.raises(KeyboardInterrupt):
            engine.route(HI)
        assert cleaned == [True]
        assert engine.status().running == 0


def play(program: str, *, ends_with: int = 0) -> str:
    """Run a program in a process of its own; returns what it printed."""
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert found.returncode == ends_with, found.stderr
    return found.stdout


def test_a_program_that_never_closes_it_still_ends_and_closes_it() -> None:
    printed = play(
        """
        from understudy import Request
        from understudy.bridges import BlockingEngine, forks

        async def a(request):
            return "yes"

        opener = BlockingEngine.open({"log": {"level": "off"}}, functions={"a": a}, environ={})
        engine = opener.start()
        engine.listen(lambda seq, event: print(type(event).__name__, flush=True), fine=False)
        print(engine.route(Request.chat("hi")).text)
        """
    )
    assert "yes\n" in printed
    assert printed.count("RequestOutcome") == 1


def test_a_fork_is_told_to_open_its_own_and_the_parent_goes_on() -> None:
    printed = play(
        """
        import os, sys
        from understudy import Request
        from understudy.bridges import BlockingEngine, forks

        async def a(request):
            return "yes"

        def opened():
            return BlockingEngine.open({"log": {"level": "off"}}, functions={"a": a}, environ={})

        with opened() as engine:
            engine.route(Request.chat("hi"))
            child = os.fork()
            if not child:
                for act in (lambda: engine.route(Request.chat("hi")), engine.status):
                    try:
                        act()
                    except RuntimeError as error:
                        print("forked" in str(error), flush=True)
                engine.close()
                with opened() as own:
                    print(own.route(Request.chat("hi")).text, flush=True)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            print("parent", engine.route(Request.chat("hi")).text)
        """
    )
    assert printed.split() == ["True", "True", "yes", "parent", "yes"]


def test_another_process_is_noticed() -> None:
    with opened(a=quick) as engine:
        forks._count()
        try:
            with pytest.raises(RuntimeError, match="forked"):
                engine.route(HI)
        finally:
            forks._forks -= 1
        assert engine.route(HI).text == "yes"


def test_opening_may_be_interrupted() -> None:
    printed = play(
        """
        import signal, threading
        from understudy.bridges.threadrun import ThreadRun
        import trio

        async def slowly():
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            await trio.sleep_forever()

        async def leave(kind, error, trace):
            raise AssertionError("it was never entered")

        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            ThreadRun(slowly, leave).open()
        except KeyboardInterrupt:
            print("interrupted", threading.active_count())
        """
    )
    assert printed.split() == ["interrupted", "1"]


def test_importing_it_is_asked_for() -> None:
    assert os.fspath(sys.executable)
    play(
        """
        import sys, understudy.bridges
        assert "understudy.bridges.threadrun" not in sys.modules
        from understudy.bridges import BlockingEngine, forks
        assert BlockingEngine.__name__ == "BlockingEngine"
        """
    )
