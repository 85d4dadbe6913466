"""What an agent knows, and what a store is told of it: the same, whenever the process ends."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from understudy.agent.memory import Memory
from understudy.agent.reading import agent, tasks
from understudy.agent.records import AgentRecord, TaskRecord, TaskState

NAMES = [f"t{number}" for number in range(12)]
MOST = 4


class MemoryMachine(RuleBasedStateMachine):
    """Against a model that forgets nothing: every state of every task, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.stirred = 0
        self.disk: dict[str, bytes] = {}
        self.states: dict[str, TaskState] = {}
        self.ended: list[str] = []
        self.memory = self._opened()
        self.memory.note(AgentRecord(name="a"))

    def _opened(self) -> Memory:
        whole, pages = tasks(self.disk, "a")
        record = agent(self.disk, "a") or AgentRecord(name="a")
        return Memory(record, whole, pages, stir=self._stir, results_max=MOST)

    def _stir(self) -> None:
        self.stirred += 1

    @rule(name=st.sampled_from(NAMES), state=st.sampled_from(TaskState))
    def put(self, name: str, state: TaskState) -> None:
        """A task that is not completed begins, ends or fails."""
        if self.states.get(name) is TaskState.COMPLETED:
            return
        known, before = self.memory.get(name), self.stirred
        seq = len(self.states) + 1 if known is None else known.seq
        result = b"\x01" if state is TaskState.COMPLETED else None
        self.memory.put(TaskRecord(name=name, state=state, seq=seq, result=result))
        self.states[name] = state
        self.ended += [name] if state is TaskState.COMPLETED else []
        assert self.stirred > before

    @rule()
    def write(self) -> None:
        """A batch is written."""
        changes = self.memory.gather(0.0)
        for key, value in (changes.states if changes is not None else {}).items():
            if value is None:
                self.disk.pop(key, None)
            else:
                self.disk[key] = msgspec.msgpack.encode(value)
        assert self.memory.gather(0.0) is None

    @rule()
    def reopen(self) -> None:
        """The process ends after a batch, and another one goes on."""
        self.write()
        self.memory = self._opened()
        order = {each.name: each for each in self.memory.tasks}
        kept = [name for name in order if self.states[name] is TaskState.COMPLETED]
        self.ended = [n for n in self.ended if n not in kept] + kept

    @invariant()
    def nothing_is_forgotten_that_is_done(self) -> None:
        """Completed is completed: whole, or compacted, never both."""
        for name, state in self.states.items():
            known = self.memory.get(name)
            if state is TaskState.COMPLETED:
                assert (known is not None and known.result is not None) != self.memory.compacted(
                    name
                )
            else:
                assert known is not None
                assert known.state is state
                assert not self.memory.compacted(name)

    @invariant()
    def results_are_bounded(self) -> None:
        """At most so many, the newest."""
        whole = [t.name for t in self.memory.tasks if t.state is TaskState.COMPLETED]
        assert len(whole) == min(MOST, len(self.ended))


TestMemory = MemoryMachine.TestCase


def test_names_with_pages_and_names_like_pages_do_not_mix() -> None:
    memory = Memory(AgentRecord(name="a"), results_max=1)
    disk: dict[str, Any] = {}
    for number in range(3):
        name = f"{number:06}"
        memory.put(TaskRecord(name=name, state=TaskState.COMPLETED, seq=number, result=b"\x01"))
    changes = memory.gather(0.0)
    assert changes is not None
    disk = {k: msgspec.msgpack.encode(v) for k, v in changes.states.items() if v is not None}
    whole, pages = tasks(disk, "a")
    assert [each.name for each in whole] == ["000002"]
    assert [len(each.digests) for each in pages] == [32]
    assert tasks(disk, "ab") == ([], [])
