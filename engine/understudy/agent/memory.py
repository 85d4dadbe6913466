"""An agent's tasks in memory, and what of them a store has yet to hear. Pure, and bounded.

The newest results are kept whole. Of older tasks only this is kept: that they are completed, as 16
bytes each; so no task is ever done twice, and a store does not grow with every result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, Final

from msgspec import Struct

from understudy.agent.records import AgentRecord, TaskRecord, TaskState, agent_key, task_key
from understudy_actors.keeper.outbox import Changes

RESULTS_MAX: Final = 10_000
"""Completed tasks of one agent whose results are kept."""
PAGE: Final = 1_000
"""Older tasks that are written together."""


class Done(Struct, frozen=True):
    """A page of older tasks, all of them completed: 16 bytes of each name's hash."""

    digests: bytes


class Memory:
    """What an agent knows. It is a `Source` for the keeper: everything that changed since."""

    def __init__(
        self,
        record: AgentRecord,
        tasks: Iterable[TaskRecord] = (),
        pages: Iterable[Done] = (),
        *,
        stir: Callable[[], None] = lambda: None,
        results_max: int = RESULTS_MAX,
    ) -> None:
        self.record = record
        self._stir = stir
        self._most = results_max
        self._tasks = {each.name: each for each in sorted(tasks, key=lambda t: t.seq)}
        self._ended = {n: None for n, t in self._tasks.items() if t.state is TaskState.COMPLETED}
        self._pages = [_split(each.digests) for each in pages]
        self._older = {digest for page in self._pages for digest in page}
        self._changed: dict[str, Any] = {}

    def get(self, name: str) -> TaskRecord | None:
        """What is known of a task."""
        return self._tasks.get(name)

    def compacted(self, name: str) -> bool:
        """Is it completed, and its result gone?"""
        return bool(self._older) and _digest(name) in self._older

    @property
    def tasks(self) -> tuple[TaskRecord, ...]:
        """Every task that is kept whole, in the order in which they began."""
        return tuple(self._tasks.values())

    def put(self, task: TaskRecord) -> None:
        """A task has begun, or has ended."""
        self._tasks[task.name] = task
        self._change(task_key(self.record.name, task.name), task)
        if task.state is TaskState.COMPLETED:
            self._ended[task.name] = None
            if len(self._ended) > self._most:
                self._compact()

    def note(self, record: AgentRecord) -> None:
        """The agent itself has changed."""
        self.record = record
        self._change(agent_key(record.name), record)

    def gather(self, wall: float) -> Changes | None:  # noqa: ARG002
        """See `Source`."""
        if not self._changed:
            return None
        changed, self._changed = self._changed, {}
        return Changes(changed)

    def kept(self) -> None:
        """See `Source`."""

    def _compact(self) -> None:
        """Let go of the oldest result, but not of the fact that there was one."""
        oldest = next(iter(self._ended))
        del self._ended[oldest], self._tasks[oldest]
        self._change(task_key(self.record.name, oldest), None)
        if not self._pages or len(self._pages[-1]) >= PAGE:
            self._pages.append([])
        digest = _digest(oldest)
        self._pages[-1].append(digest)
        self._older.add(digest)
        key = page_key(self.record.name, len(self._pages))
        self._change(key, Done(b"".join(self._pages[-1])))

    def _change(self, key: str, value: Any) -> None:
        self._changed[key] = value
        self._stir()


def page_key(agent: str, number: int) -> str:
    """Where a page of older tasks is kept; no task's name has a slash in it."""
    return task_key(agent, f"/{number:06}")


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _split(digests: bytes) -> list[bytes]:
    return [digests[at : at + 16] for at in range(0, len(digests), 16)]
