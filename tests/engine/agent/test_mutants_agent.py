"""Faults planted in agents; each is noticed by the test named beside it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

import pytest

from tests.engine.agent import test_agent as agents, test_crashes as crashes
from tests.support.mutants import Mutant
from tests.support.noticing import noticed

Test: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
SEAMS: Final[dict[str, tuple[str, ...]]] = {
    "memory": ("understudy.agent.books:Memory",),
    "books": ("understudy.agent.agent:books_of",),
    "limits": ("understudy.agent.agent:Limits",),
    "handle": ("understudy.agent.agent:Handle",),
    "agent": (
        "tests.engine.agent.test_agent:LongRunningAgent",
        "tests.engine.agent.test_crashes:LongRunningAgent",
    ),
}


async def _crash_after_crash() -> None:
    await crashes.test_crash_after_crash_it_comes_to_its_end(6)


FAULTS: Final[list[tuple[str, str, str, str, Test]]] = [
    (
        "memory",
        "a task whose result is gone is done again",
        "return bool(self._older) and _digest(name) in self._older",
        "return False",
        agents.test_old_results_are_compacted_and_their_tasks_never_done_again,
    ),
    (
        "memory",
        "results pile up",
        "            if len(self._ended) > self._most:\n",
        "            if False:\n",
        agents.test_old_results_are_compacted_and_their_tasks_never_done_again,
    ),
    (
        "memory",
        "what is done is known to this process only",
        '        self._change(key, Done(b"".join(self._pages[-1])))\n',
        "        pass\n",
        agents.test_old_results_are_compacted_and_their_tasks_never_done_again,
    ),
    (
        "memory",
        "a store is told of tasks once only",
        "        changed, self._changed = self._changed, {}\n",
        "        changed = dict(self._changed)\n        self._change = lambda key, value: None\n",
        _crash_after_crash,
    ),
    (
        "books",
        "runs are not counted",
        "            runs=known.runs + 1,\n",
        "            runs=1,\n",
        agents.test_a_failed_task_may_be_asked_for_again,
    ),
    (
        "books",
        "failures are not counted",
        "self.note(failed=self.record.failed + 1)",
        "pass",
        agents.test_an_agent_whose_limits_are_reached_begins_nothing,
    ),
    (
        "books",
        "a task pays for its last run only",
        "return replace(task, spent=task.spent.plus(handle.spent))",
        "return replace(task, spent=handle.spent)",
        agents.test_a_failed_task_may_be_asked_for_again,
    ),
    (
        "books",
        "each process has all the time anew",
        "self.note(running=False, runtime_s=self.runtime_s)",
        "self.note(running=False, runtime_s=0.0)",
        agents.test_its_time_ends_a_task_in_the_midst,
    ),
    (
        "books",
        "checkpoints pile up",
        "[-CHECKPOINTS_KEPT:]",
        "[:]",
        agents.test_the_agents_own_state_and_checkpoints_are_kept,
    ),
    (
        "books",
        "time between two checkpoints counts twice",
        "        if self._since is not None:\n            self._since = self._clock.now()\n",
        "",
        agents.test_the_agents_own_state_and_checkpoints_are_kept,
    ),
    (
        "books",
        "nobody waits for the disk",
        "        if keeping is None or await when_kept(",
        "        if True or await when_kept(",
        crashes.test_a_crash_at_any_event_loses_nothing_that_was_told,
    ),
    (
        "limits",
        "a limit on costs is passed by one task",
        "cost_usd >= self.cost_usd",
        "cost_usd > self.cost_usd",
        agents.test_an_agent_whose_limits_are_reached_begins_nothing,
    ),
    (
        "limits",
        "a limit on time holds nobody back",
        "runtime_s >= self.runtime_s",
        "runtime_s < 0",
        agents.test_its_time_ends_a_task_in_the_midst,
    ),
    (
        "handle",
        "requests are on nobodys account",
        "labels=(*request.labels, self._label),",
        "labels=request.labels,",
        agents.test_what_the_budget_does_not_pay_for_is_not_asked,
    ),
    (
        "handle",
        "a task does not say how hard it is",
        "complexity=request.complexity or self._complexity,",
        "complexity=request.complexity,",
        agents.test_a_task_says_how_hard_and_how_long_its_requests_are,
    ),
    (
        "handle",
        "a task does not say how long its answers are",
        "output_tokens=request.output_tokens or self._tokens,",
        "output_tokens=request.output_tokens,",
        agents.test_a_task_says_how_hard_and_how_long_its_requests_are,
    ),
    (
        "handle",
        "who answered is forgotten",
        "        self.provider = provider\n",
        "",
        agents.test_a_task_is_done_and_counted,
    ),
    (
        "handle",
        "streams cost nothing",
        "            else:\n                self._count(result.attempts, result)\n",
        "",
        agents.test_streams_and_own_calls_are_counted,
    ),
    (
        "agent",
        "each run has another key",
        'f"{self.name}/{task.name}",\n            record.runs,',
        'f"{self.name}/{task.name}/{record.runs}",\n            record.runs,',
        agents.test_a_failed_task_may_be_asked_for_again,
    ),
    (
        "agent",
        "a crash is not reported",
        "        if task.on_crash is OnCrash.REPORT:\n",
        "        if False:\n",
        agents.test_stopping_cuts_off_what_does_not_end,
    ),
    (
        "agent",
        "any number of tasks run at once",
        "            async with self._room:\n",
        "            if True:\n",
        agents.test_tasks_run_side_by_side_up_to_a_bound,
    ),
    (
        "agent",
        "a completed task is done again",
        "        if known is not None and known.result is not None:\n",
        "        if False:\n",
        agents.test_a_completed_task_is_never_done_again,
    ),
    (
        "agent",
        "a result is told before it is kept",
        "        await books.kept()\n        return _unpacked(done, task.result_type)\n",
        "        return _unpacked(done, task.result_type)\n",
        crashes.test_a_crash_at_any_event_loses_nothing_that_was_told,
    ),
    (
        "agent",
        "a stopped agent goes on making checkpoints",
        "            self._intervals.cancel()\n",
        "",
        agents.test_stopping_cuts_off_what_does_not_end,
    ),
]


@pytest.mark.parametrize(
    ("module", "fault", "old", "new", "test"), FAULTS, ids=[each[1] for each in FAULTS]
)
def test_a_planted_fault_is_noticed(
    module: str, fault: str, old: str, new: str, test: Test, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not noticed(test), "the test fails without any fault"
    faulty = Mutant(fault, f"understudy.agent.{module}", old, new).plant()
    for seam in SEAMS[module]:
        caller, name = seam.split(":")
        monkeypatch.setattr(importlib.import_module(caller), name, getattr(faulty, name))
    assert noticed(test), "nothing was noticed"
