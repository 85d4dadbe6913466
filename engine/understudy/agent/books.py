"""An agent's books: what it notes of its tasks and of itself, and when that is on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from understudy.agent import reading
from understudy.agent.handle import Handle
from understudy.agent.limits import Limits
from understudy.agent.memory import Memory
from understudy.agent.records import (
    CHECKPOINTS_KEPT,
    AgentRecord,
    Checkpoint,
    TaskRecord,
    TaskState,
)
from understudy.routing.durable import PATIENCE_S, when_kept
from understudy_actors.domain.errors import StoreFailed
from understudy_actors.runtime.ports import Clock

if TYPE_CHECKING:
    from understudy.store.keeping import Keeping


class Books:
    """One agent's. Everything that is noted goes to the store by itself; `kept` waits for it.

    Attributes:
        memory: What is known.
    """

    def __init__(self, memory: Memory, keeping: Keeping | None, clock: Clock) -> None:
        self.memory = memory
        self._keeping = keeping
        self._clock = clock
        self._since: float | None = None  # its run time up to here is in the record

    @property
    def record(self) -> AgentRecord:
        """The agent itself."""
        return self.memory.record

    @property
    def runtime_s(self) -> float:
        """How long it was running, in all its processes."""
        since = self._since
        return self.record.runtime_s + (0.0 if since is None else self._clock.now() - since)

    def note(self, **changes: object) -> None:
        """The agent itself has changed."""
        self.memory.note(replace(self.record, **changes))

    def start(self) -> None:
        """It runs from now on."""
        self._since = self._clock.now()
        self.note(running=True)

    def stop(self) -> None:
        """It runs no more."""
        self.note(running=False, runtime_s=self.runtime_s)
        self._since = None
        self.mark("stop")

    def begin(self, name: str) -> TaskRecord:
        """A task begins, for the first time or once more."""
        known = self.memory.get(name)
        if known is None:
            self.note(tasks=self.record.tasks + 1)
            known = TaskRecord(name=name, state=TaskState.RUNNING, seq=self.record.tasks, runs=0)
        task = replace(
            known,
            state=TaskState.RUNNING,
            runs=known.runs + 1,
            error=None,
            began_at=self._clock.wall(),
            ended_at=None,
        )
        self.memory.put(task)
        return task

    def completed(self, task: TaskRecord, handle: Handle, result: bytes) -> TaskRecord:
        """It is done."""
        self.note(completed=self.record.completed + 1)
        return self._ended(task, TaskState.COMPLETED, handle, result=result)

    def failed(self, task: TaskRecord, handle: Handle | None, error: str) -> TaskRecord:
        """It has failed; without a handle, in an earlier process."""
        self.note(failed=self.record.failed + 1)
        return self._ended(task, TaskState.FAILED, handle, error=error)

    def cut_off(self, task: TaskRecord, handle: Handle) -> None:
        """It was stopped from outside: it stays running, as if the process had ended."""
        self.memory.put(self._paid(task, handle))

    def mark(self, why: str) -> Checkpoint:
        """A checkpoint."""
        record = self.record
        number = record.checkpoints[-1].number + 1 if record.checkpoints else 1
        mark = Checkpoint(
            number=number,
            at=self._clock.wall(),
            why=why,
            progress=record.progress,
            provider=record.provider,
            completed=record.completed,
            failed=record.failed,
            spent=record.spent,
        )
        kept = (*record.checkpoints, mark)[-CHECKPOINTS_KEPT:]
        self.note(checkpoints=kept, runtime_s=self.runtime_s)
        if self._since is not None:
            self._since = self._clock.now()
        return mark

    async def kept(self) -> None:
        """Wait until all that was noted outlives the process; at once, if there is no store.

        Raises:
            StoreFailed: It does not come to that.
        """
        keeping = self._keeping
        if keeping is None or await when_kept(keeping.keeper, self._clock.now() + PATIENCE_S):
            return
        why = keeping.desk.failing or "it did not answer in time"
        raise StoreFailed(f"the store does not have what the agent {self.record.name} did: {why}")

    def _ended(
        self,
        task: TaskRecord,
        state: TaskState,
        handle: Handle | None,
        *,
        result: bytes | None = None,
        error: str | None = None,
    ) -> TaskRecord:
        paid = task if handle is None else self._paid(task, handle)
        ended = replace(paid, state=state, ended_at=self._clock.wall(), result=result, error=error)
        self.memory.put(ended)
        self.mark("task")
        return ended

    def _paid(self, task: TaskRecord, handle: Handle) -> TaskRecord:
        record = self.record
        provider = handle.provider or record.provider
        self.note(spent=record.spent.plus(handle.spent), provider=provider)
        return replace(task, spent=task.spent.plus(handle.spent))


def books_of(
    name: str, limits: Limits, keeping: Keeping | None, clock: Clock, results_max: int
) -> Books:
    """The books of an agent, with what an earlier process kept in them.

    Raises:
        StoreFailed: That cannot be read.
    """
    states = {} if keeping is None else keeping.saved.states
    tasks, pages = reading.tasks(states, name)
    record = replace(
        reading.agent(states, name) or AgentRecord(name=name, created_at=clock.wall()),
        limit_usd=limits.cost_usd,
        limit_s=limits.runtime_s,
        limit_failures=limits.failures,
    )
    if keeping is None:
        return Books(Memory(record, results_max=results_max), None, clock)
    stir = keeping.desk.stirred
    memory = Memory(record, tasks, pages, stir=stir, results_max=results_max)
    keeping.add(memory)
    return Books(memory, keeping, clock)
