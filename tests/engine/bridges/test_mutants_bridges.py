"""Faults planted in the bridges; each is noticed by the test named beside it.

A fault may well make a test wait for ever, on a loop that nobody can stop any more. So each runs in
a thread of its own, and whoever is not back in time has noticed.
"""

from __future__ import annotations

import functools
import gc
import importlib
import inspect
import threading
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.engine.bridges import (
    test_asyncio_cancellation as cancellation,
    test_asyncio_engine as engine,
    test_asyncio_shutdown as shutdown,
    test_asyncio_streams as streams,
    test_blocking_engine as blocking,
    test_pump as pump,
)
from tests.support.mutants import Mutant

pytestmark = pytest.mark.filterwarnings("ignore")  # of what a fault leaves behind

PATIENCE_S: Final = 60.0
"""What the real thing may take on a busy machine."""
WAIT_S: Final = 2.5
"""Who is not back by then waits for ever, or is too slow for this machine: noticed either way."""
SEAMS: Final[dict[str, tuple[str, ...]]] = {
    "call": ("call:Call.*",),
    "crossing": ("guest:AsyncioCall", "functions:in_host"),
    "held": ("guest:Held",),
    "workers": ("held:Workers",),
    "pump": ("pump:Pump", "asyncio_engine:open_asyncio_engine._pump=Pump"),
    "guest": ("asyncio_engine:Guest",),
    "asyncio_streams": ("asyncio_engine:AsyncioStream",),
    "functions": (
        "asyncio_engine:Functions",
        "asyncio_engine:awaited_in_host",
        "blocking_engine:in_a_thread",
    ),
    "threadrun": ("blocking_engine:ThreadRun",),
    "blocking_streams": ("blocking_engine:BlockingStream", "blocking_engine:BlockingEvents"),
}
"""Where what is in each module is called from."""

Test = Callable[..., None]


def _cancelling(world: str) -> Test:
    return functools.partial(cancellation.test_cancelling_at_any_moment_leaves_nothing, world)


FAULTS: Final[list[tuple[str, str, str, str, Test]]] = [
    (
        "crossing",
        "a call that is over cancels the next one of its task",
        "elif not self._done:",
        "else:",
        pump.test_whoever_is_cancelled_as_its_call_ends_harms_no_later_call,
    ),
    (
        "crossing",
        "whoever is cancelled does not wait for the end",
        "            while not self._done:\n",
        "            while False:\n",
        _cancelling("a function that cleans up"),
    ),
    (
        "crossing",
        "a second cancellation ends that wait",
        "                    continue  # it has been told already",
        "                    break",
        cancellation.test_whoever_is_cancelled_twice_still_waits_for_the_end,
    ),
    (
        "crossing",
        "a cancellation does not cross",
        "            self._scope.cancel()\n",
        "",
        cancellation.test_a_timeout_is_a_timeout_and_cancels_no_more_than_its_block,
    ),
    (
        "call",
        "context variables do not come back",
        "                variable.set(value)\n",
        "                pass\n",
        engine.test_context_variables_cross_both_ways,
    ),
    (
        "crossing",
        "a function of asyncios has the wrong context variables",
        "context=current.context)",
        "context=contextvars.Context())",
        engine.test_context_variables_cross_both_ways,
    ),
    (
        "crossing",
        "a function of asyncios goes on when its deadline has passed",
        "        task.cancel()\n",
        "",
        cancellation.test_a_request_has_its_deadline,
    ),
    (
        "crossing",
        "trio goes on before asyncios task has ended",
        "        return trio.lowlevel.Abort.FAILED\n",
        "        return trio.lowlevel.Abort.SUCCEEDED\n",
        _cancelling("a function that cleans up"),
    ),
    (
        "crossing",
        "a lost task is taken for its callers cancellation",
        "    if isinstance(error, Exception):\n        raise error\n",
        "    if isinstance(error, BaseException):\n        raise error\n",
        cancellation.test_somebody_who_cancels_a_providers_task_fails_its_attempt,
    ),
    (
        "workers",
        "calls begin in any order",
        "        if not self._entering:\n",
        "        if self._door:\n",
        functools.partial(
            cancellation.test_callers_begin_in_the_order_in_which_they_came, mode="threaded"
        ),
    ),
    (
        "workers",
        "an idle task keeps its last callers context",
        "                task.context = nobodys\n",
        "",
        pump.test_nothing_of_a_callers_is_kept_when_its_call_is_over,
    ),
    (
        "workers",
        "an idle task keeps its last call",
        "                call = None  # whoever",
        "                pass  # whoever",
        pump.test_nothing_of_a_callers_is_kept_when_its_call_is_over,
    ),
    (
        "workers",
        "a cancelled task takes another call",
        "if scope.cancel_called or self._nursery is None",
        "if self._nursery is None",
        pump.test_whoever_ends_well_although_it_was_cancelled_harms_no_later_call,
    ),
    (
        "pump",
        "trio is not told that it waits",
        "        self._state.runner.guest_tick_scheduled = False\n",
        "",
        pump.test_events_set_by_the_host_and_by_other_threads_wake_it,
    ),
    (
        "pump",
        "trio is parked although something has arrived",
        "if self.clock.until is not None and not self._state.unrolled_run_next_send.value:",
        "if self.clock.until is not None:",
        pump.test_threads_of_trios_own_and_sockets_report_back,
    ),
    (
        "pump",
        "an earlier deadline does not bring the timer forward",
        "if until >= self._due_at:",
        "if self._due_at < math.inf:",
        pump.test_an_earlier_deadline_comes_first,
    ),
    (
        "pump",
        "a timer that fired is taken for one that is set",
        "self._timer, self._due_at = None, math.inf",
        "self._timer = None",
        pump.test_sleeps_last_as_long_as_they_should_and_no_longer,
    ),
    (
        "pump",
        "a busy guest keeps its host",
        "for _ in range(TICKS_MAX):",
        "for _ in range(TICKS_MAX * 50):",
        pump.test_a_busy_guest_lets_its_host_have_its_turn,
    ),
    (
        "pump",
        "its file stays open",
        "            os.close(self._file)\n",
        "",
        shutdown.test_many_engines_one_after_the_other_leave_no_file_open,
    ),
    (
        "guest",
        "nobody hears of a crash",
        "            self._interrupted = self._owner.cancel()",
        "            self._interrupted = False",
        shutdown.test_an_engine_that_crashes_ends_the_block_with_its_error,
    ),
    (
        "guest",
        "the task that held a crashed engine stays cancelled",
        "            self._owner.uncancel()\n",
        "            pass\n",
        shutdown.test_an_engine_that_crashes_ends_the_block_with_its_error,
    ),
    (
        "guest",
        "an error in the block waits for what is under way",
        "            else:\n                self._held.scope.cancel()\n",
        "            else:\n                self._goodbye.set()\n",
        shutdown.test_an_error_in_the_block_ends_it_at_once_and_comes_out,
    ),
    (
        "guest",
        "another loop may call",
        "        if asyncio.get_running_loop() is not self._loop:\n",
        "        if False:\n",
        engine.test_an_engine_is_used_from_the_loop_that_it_was_opened_on,
    ),
    (
        "asyncio_streams",
        "a stream that opened for nobody stays open",
        "                await self._let_go()  # it may",
        "                pass  # it may",
        streams.test_a_stream_that_opens_as_its_caller_is_cancelled_is_let_go_of,
    ),
    (
        "functions",
        "functions of asyncios are awaited by trio",
        "return in_host(guest.pump, answer) if inspect.isawaitable(answer) else answer",
        "return answer",
        engine.test_a_request_fails_over_and_is_answered,
    ),
    (
        "functions",
        "a function that blocks stops everybody",
        "    if is_async(function):\n",
        "    if True:\n",
        blocking.test_functions_that_block_run_side_by_side_and_stop_nobody,
    ),
    (
        "functions",
        "a deadline waits for a thread that blocks",
        "abandon_on_cancel=True",
        "abandon_on_cancel=False",
        blocking.test_a_function_that_blocks_has_its_time_and_its_answer_is_dropped,
    ),
    (
        "threadrun",
        "whoever comes when it is closed waits for ever",
        "        if self._over:\n            self._take()\n",
        "",
        blocking.test_started_without_a_block_it_is_closed_by_hand,
    ),
    (
        "threadrun",
        "a fork is not noticed",
        "        self._born.check()\n",
        "",
        blocking.test_another_process_is_noticed,
    ),
    (
        "threadrun",
        "a call from the engines own thread waits for itself",
        "            raise RuntimeError(INSIDE)\n        return ThreadCall",
        "            pass\n        return ThreadCall",
        blocking.test_a_call_that_would_wait_for_itself_is_explained,
    ),
    (
        "threadrun",
        "threads begin in any order",
        "self._inbox.popleft()",
        "self._inbox.pop()",
        blocking.test_callers_begin_in_the_order_in_which_they_came,
    ),
    (
        "threadrun",
        "a block that is left drains nothing",
        "self._held.goodbye if error is None else self._held.scope.cancel",
        "self._held.scope.cancel",
        blocking.test_leaving_the_block_waits_for_what_is_under_way,
    ),
    (
        "threadrun",
        "a block that fails drains all the same",
        "self._held.goodbye if error is None else self._held.scope.cancel",
        "self._held.goodbye",
        blocking.test_an_error_in_the_block_waits_for_nobody,
    ),
    (
        "threadrun",
        "what ended it is not told",
        "        if self._held.failure is not None:\n            raise self._held.failure\n",
        "",
        blocking.test_a_failure_of_the_engines_own_comes_out_of_the_block,
    ),
    (
        "blocking_streams",
        "events that have arrived are lost at the end",
        "                self._taken.extend(self._stream.take())  # the last ones\n",
        "                pass\n",
        blocking.test_events_that_have_arrived_are_read_after_the_end,
    ),
]


def _noticed(test: Test, wait_s: float) -> bool:
    ended: list[BaseException | None] = []

    def run() -> None:
        try:
            given = "mode" in getattr(test, "keywords", {})
            takes = "mode" in inspect.signature(test).parameters
            test(**({"mode": "asyncio"} if takes and not given else {}))
        except BaseException as error:
            ended.append(error)
        else:
            ended.append(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(wait_s)
    return ended != [None]


def _replace(monkeypatch: pytest.MonkeyPatch, seam: str, faulty: Any) -> None:
    module, path = seam.split(":")
    path, _, source = path.partition("=")
    *outer, name = path.split(".")
    owner: Any = importlib.import_module(f"understudy.bridges.{module}")
    for each in outer:
        owner = getattr(owner, each)
    if name == "*":  # a class that others inherit from: its functions
        for each, value in vars(getattr(faulty, outer[-1])).items():
            if inspect.isfunction(value):
                monkeypatch.setattr(owner, each, value)
        return
    monkeypatch.setattr(owner, name, getattr(faulty, source or name))


@pytest.mark.parametrize(
    ("module", "fault", "old", "new", "test"), FAULTS, ids=[each[1] for each in FAULTS]
)
def test_a_planted_fault_is_noticed(
    module: str, fault: str, old: str, new: str, test: Test, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not _noticed(test, PATIENCE_S), "the test fails without any fault"
    faulty = Mutant(fault, f"understudy.bridges.{module}", old, new).plant()
    for seam in SEAMS[module]:
        _replace(monkeypatch, seam, faulty)
    noticed = _noticed(test, WAIT_S)
    gc.collect()  # what a fault leaves behind warns here, and not in the midst of another test
    assert noticed, "nothing was noticed"
