"""An agent that runs for hours: tasks by name, each done once, whatever becomes of the process.

    execute_task ─▶ completed before? ─▶ its stored result
                └─▶ begun: kept as running ─▶ its function ─▶ completed: kept ─▶ its result

What has been returned outlives the process, if the engine has a store: the result is on the disk
before `execute_task` returns.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec
import trio
from msgspec import Struct

from understudy.agent.books import Books, books_of
from understudy.agent.errors import AgentLimit, TaskCompacted, TaskCrashed
from understudy.agent.handle import Handle
from understudy.agent.limits import Limits
from understudy.agent.memory import RESULTS_MAX
from understudy.agent.records import (
    NAME_MAX,
    TASK_MAX,
    Checkpoint,
    OnCrash,
    TaskRecord,
    TaskState,
    checked_name,
    packed,
)
from understudy.agent.status import AgentStatus, status_of
from understudy.routing.durable import PATIENCE_S
from understudy_actors.domain.errors import InvalidRequest, ShuttingDown
from understudy_actors.domain.request import Complexity
from understudy_actors.ledger.account import Limit, Scope
from understudy_actors.ledger.windows import Period

if TYPE_CHECKING:
    from understudy.engine import Engine

CHECKPOINT_S: Final = 30.0
"""How often an agent is kept, beside the ends of its tasks."""


class _Task(Struct, frozen=True):
    """What is to be done, by which function, and how."""

    name: str
    function: Callable[[Handle], Any]
    complexity: Complexity | None
    estimated_tokens: int | None
    on_crash: OnCrash
    result_type: Any


class LongRunningAgent:
    """Tasks by name on an engine: `async with LongRunningAgent(engine, "crawler") as agent`.

    Args:
        engine: An open engine, on trio. With a store (`[store]`) the agent outlives the process.
        name: Whose tasks these are; opened again under this name it goes on where it was.
        max_cost_usd, max_runtime_s, max_failures, concurrency: See `Limits`.
        checkpoint_every_s: Seconds between two checkpoints.
        results_max: Completed tasks whose results are kept; of older ones only that they are.

    Raises:
        InvalidRequest: The name cannot be kept, or a number is none.
    """

    def __init__(
        self,
        engine: Engine,
        name: str,
        *,
        max_cost_usd: float | None = None,
        max_runtime_s: float | None = None,
        max_failures: int | None = None,
        concurrency: int = 8,
        checkpoint_every_s: float = CHECKPOINT_S,
        results_max: int = RESULTS_MAX,
    ) -> None:
        self.name = checked_name(name, "the name of an agent", NAME_MAX)
        self.limits = Limits(
            cost_usd=max_cost_usd,
            runtime_s=max_runtime_s,
            failures=max_failures,
            concurrency=concurrency,
        )
        _checked(engine, self.limits, checkpoint_every_s, results_max)
        self._engine = engine
        self._parts = engine._parts
        self._every_s = checkpoint_every_s
        self._most = results_max
        self._label = f"agent:{name}"
        self._room = trio.CapacityLimiter(concurrency)
        self._books: Books | None = None
        self._running: dict[str, trio.CancelScope] = {}
        self._idle = trio.Event()
        self._stopping = False
        self._intervals = trio.CancelScope()

    # Its life

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop(0.0 if error is not None else PATIENCE_S)

    async def start(self) -> None:
        """Take up what an earlier process left, and begin.

        Raises:
            InvalidRequest: It was started before, here or elsewhere in this engine.
            StoreFailed: What was kept of it cannot be read.
        """
        parts = self._parts
        if self.name in parts.agents:
            raise InvalidRequest(
                f"the agent {self.name} was started in this engine already: it is started once"
            )
        clock = parts.ports.clock
        books = books_of(self.name, self.limits, parts.keeping, clock, self._most)
        parts.agents.add(self.name)
        if self.limits.cost_usd is not None:
            scope, micro_usd = Scope("tag", self._label), round(self.limits.cost_usd * 1e6)
            parts.scopes.spend(Limit(scope, Period.TOTAL, micro_usd))
        self._books = books
        books.start()
        self._engine._nursery.start_soon(self._at_intervals, name=f"understudy agent {self.name}")

    async def stop(self, timeout_s: float = PATIENCE_S) -> None:
        """Begin no more tasks, give those that run `timeout_s` to end, and keep where it is.

        What is cut off counts as having crashed: see `OnCrash`. Stopping twice is as once.

        Raises:
            StoreFailed: The store does not have it.
        """
        if self._books is None or self._stopping:
            return
        self._stopping = True
        try:
            with trio.move_on_after(timeout_s):
                await self._until_idle()
            for scope in self._running.values():
                scope.cancel()
            await self._until_idle()
        finally:  # also when whoever stops it is cancelled: the closing engine writes it
            self._intervals.cancel()
            self._books.stop()
        await self._books.kept()

    # Tasks

    async def execute_task(
        self,
        name: str,
        function: Callable[[Handle], Any],
        *,
        complexity: Complexity | str | None = None,
        estimated_tokens: int | None = None,
        on_crash: OnCrash | str = OnCrash.RETRY,
        result_type: Any = Any,
    ) -> Any:
        """Do a task, unless it is done: `function` (sync or async) is called with a `Handle`.

        Args:
            name: Which task of this agent; a completed one is never done again.
            complexity: `simple`, `medium` or `complex`, for the requests that do not say.
            estimated_tokens: The likely length of their answers.
            on_crash: What to do if the process ended while this task ran.
            result_type: What a result is to be read as, e.g. a dataclass; left out, as the dicts,
                lists and plain values that it was kept as.

        Returns:
            What the function returned, in this process or an earlier one.

        Raises:
            AgentLimit: The agent has reached one of its limits.
            TaskCrashed: As `on_crash` says.
            TaskCompacted: It is done, and its result is not kept any more.
            InvalidRequest: It is running, its name or its result cannot be kept, or the agent is
                not started.
            StoreFailed: It is done, but that is not on the disk.
            Exception: What the function raises; the task has failed then, and may be asked for
                again.
        """
        task = _Task(
            checked_name(name, "the name of a task", TASK_MAX),
            function,
            None if complexity is None else _known(Complexity, complexity, "complexity"),
            estimated_tokens,
            _known(OnCrash, on_crash, "on_crash"),
            result_type,
        )
        books = self._open()
        known = books.memory.get(name)
        if known is not None and known.result is not None:
            return _unpacked(known, result_type)
        if books.memory.compacted(name):
            raise TaskCompacted(f"the task {name} is completed, and its result was compacted")
        if name in self._running:
            raise InvalidRequest(f"the task {name} is running: wait for that run")
        self._running[name] = scope = trio.CancelScope()
        try:
            async with self._room:
                self._may_begin(books)
                await self._may_go_on(books, task)
                return await self._run(books, task, scope)
        finally:
            del self._running[name]
            if not self._running:
                self._idle.set()

    def status(self) -> AgentStatus:
        """How it is."""
        books = self._open()
        running = tuple(self._running)
        return status_of(books.record, self.limits, books.runtime_s, self._cost(books), running)

    def tasks(self) -> tuple[TaskRecord, ...]:
        """Every task that is kept whole, in the order in which they began."""
        return self._open().memory.tasks

    # Checkpoints

    @property
    def progress(self) -> float:
        """From 0 to 1, as it was told."""
        return self._open().record.progress

    @progress.setter
    def progress(self, value: float) -> None:
        """Tell how far it is, from 0 to 1."""
        if not 0.0 <= value <= 1.0:
            raise InvalidRequest(f"progress: a number from 0 to 1, not {value!r}")
        self._open().note(progress=float(value))

    def remember(self, state: Any) -> None:
        """Keep a state of the caller's own with the next checkpoint.

        Raises:
            InvalidRequest: It cannot be kept; see `records.packed`.
        """
        self._open().note(custom=packed(state, "the agent's own state"))

    def remembered(self, kind: Any = Any) -> Any:
        """What was kept so last, in this process or an earlier one; None: nothing was."""
        custom = self._open().record.custom
        return None if custom is None else msgspec.msgpack.decode(custom, type=kind)

    async def checkpoint(self) -> Checkpoint:
        """Keep where it is, and wait until that is on the disk.

        Raises:
            StoreFailed: It is not.
        """
        books = self._open()
        mark = books.mark("hand")
        await books.kept()
        return mark

    # Inside

    async def _may_go_on(self, books: Books, task: _Task) -> None:
        """A task that an earlier process left running fails once, if that is to be reported."""
        known = books.memory.get(task.name)
        if known is None or known.state is not TaskState.RUNNING:
            return
        if task.on_crash is OnCrash.REPORT:
            books.failed(known, None, "its process ended while it ran")
            await books.kept()
            raise TaskCrashed(
                f"the task {task.name} was running when its process ended, and nobody knows how "
                "far it came. Asked for again it is done again"
            )

    async def _run(self, books: Books, task: _Task, scope: trio.CancelScope) -> Any:
        record = books.begin(task.name)
        await books.kept()
        handle = Handle(
            self._engine,
            f"{self.name}/{task.name}",
            record.runs,
            label=self._label,
            complexity=task.complexity,
            estimated_tokens=task.estimated_tokens,
        )
        with scope:
            scope.deadline = self._deadline(books)
            try:
                value = task.function(handle)
                if inspect.isawaitable(value):
                    value = await value
                result = packed(value, f"the result of the task {task.name}")
            except Exception as error:
                books.failed(record, handle, f"{type(error).__name__}: {error}"[:500])
                await books.kept()
                raise
            except BaseException:
                books.cut_off(record, handle)
                raise
            done = books.completed(record, handle, result)
        if scope.cancelled_caught:
            if self._stopping:
                raise ShuttingDown(f"the agent {self.name} was stopped while {task.name} ran")
            raise AgentLimit(f"the agent {self.name} stopped {task.name}: its time is over")
        await books.kept()
        return _unpacked(done, task.result_type)

    async def _at_intervals(self) -> None:
        with self._intervals:
            while True:
                await trio.sleep(self._every_s)
                self._open().mark("interval")

    async def _until_idle(self) -> None:
        while self._running:
            self._idle = trio.Event()
            await self._idle.wait()

    def _open(self) -> Books:
        if self._books is None:
            raise InvalidRequest(
                f"the agent {self.name} is not started: use it in its `async with` block"
            )
        return self._books

    def _may_begin(self, books: Books) -> None:
        if self._stopping:
            raise ShuttingDown(f"the agent {self.name} is stopping: it begins no more tasks")
        why = self.limits.reached(books.record, books.runtime_s, self._cost(books))
        if why is not None:
            raise AgentLimit(f"the agent {self.name} begins no more tasks: {why}")

    def _deadline(self, books: Books) -> float:
        """When its time is over, on trio's clock."""
        if self.limits.runtime_s is None:
            return float("inf")
        return trio.current_time() + max(0.0, self.limits.runtime_s - books.runtime_s)

    def _cost(self, books: Books) -> float:
        """By the ledger where it holds the limit: it counts at once, and what nobody knows too."""
        spent = books.record.spent.cost_usd
        if self.limits.cost_usd is None:
            return spent
        own = (b for b in self._engine.budgets() if (b.scope, b.name) == ("tag", self._label))
        return max((each.spent_usd for each in own), default=spent)


def _unpacked(task: TaskRecord, kind: Any) -> Any:
    assert task.result is not None
    try:
        return msgspec.msgpack.decode(task.result, type=kind)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"the result of the task {task.name} is none such: {error}") from None


def _known(kind: Any, value: Any, what: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(each.value for each in kind)
        raise InvalidRequest(f"{what}: one of {known}, not {value!r}") from None


def _checked(engine: Engine, limits: Limits, every_s: float, results_max: int) -> None:
    from understudy.engine import Engine

    if type(engine) is not Engine:
        raise InvalidRequest("an agent runs on trio, on an engine of `open_engine`")
    numbers = {
        "max_cost_usd": limits.cost_usd,
        "max_runtime_s": limits.runtime_s,
        "max_failures": limits.failures,
        "concurrency": limits.concurrency,
        "checkpoint_every_s": every_s,
        "results_max": results_max,
    }
    for name, value in numbers.items():
        if value is not None and not value > 0:
            raise InvalidRequest(f"{name}: a number above 0, not {value!r}")
