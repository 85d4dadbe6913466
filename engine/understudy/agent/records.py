"""What is kept of an agent and of its tasks. Money is in USD, times in Unix seconds."""

from __future__ import annotations

import enum
from typing import Any, Final

import msgspec
from msgspec import Struct

from understudy_actors.domain.errors import InvalidRequest

SCHEMA: Final = 1
"""The version of what is written here; a newer one is refused."""
PREFIX: Final = "agent/"
"""How the state of an agent is called in a store, before its name."""
NAME_MAX: Final = 100
TASK_MAX: Final = 300
"""Characters in the names of agents and of tasks."""
CHECKPOINTS_KEPT: Final = 20
"""Checkpoints of an agent that are kept; older ones are dropped."""
STATE_MAX: Final = 16 * 1024 * 1024
"""Bytes of a task's result and of an agent's own state, each at most."""


class TaskState(enum.StrEnum):
    """Where a task is."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class OnCrash(enum.StrEnum):
    """What becomes of a task whose process ended while it ran."""

    RETRY = "retry"  # it is done again, with the same key
    REPORT = "report"  # it fails with `TaskCrashed`, once; asked for again it is done again


class Spent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What requests came to.

    Attributes:
        cost_usd: Of all attempts whose price is known.
        unknown: Attempts whose cost nobody knows.
        tokens: Input and output together.
        requests: How many there were, failed ones included.
        providers: How many of them each provider answered.
    """

    cost_usd: float = 0.0
    unknown: int = 0
    tokens: int = 0
    requests: int = 0
    providers: dict[str, int] = {}

    def plus(self, other: Spent) -> Spent:
        """Both together."""
        providers = dict(self.providers)
        for name, count in other.providers.items():
            providers[name] = providers.get(name, 0) + count
        return Spent(
            cost_usd=self.cost_usd + other.cost_usd,
            unknown=self.unknown + other.unknown,
            tokens=self.tokens + other.tokens,
            requests=self.requests + other.requests,
            providers=providers,
        )


class TaskRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One task.

    Attributes:
        seq: The order in which tasks first began, from 1.
        runs: How often it was begun.
        result: What its function returned, as MessagePack; None unless it is completed.
        error: Why it failed.
        spent: By all its runs.
    """

    name: str
    state: TaskState
    seq: int
    runs: int = 1
    began_at: float = 0.0
    ended_at: float | None = None
    result: bytes | None = None
    error: str | None = None
    spent: Spent = Spent()


class Checkpoint(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An agent at one moment.

    Attributes:
        number: From 1.
        at: When.
        why: `interval`, `task`, `hand` or `stop`.
        progress: From 0 to 1, as the agent was told.
        provider: Who answered last.
        completed, failed: Tasks.
        spent: By all tasks that have ended.
    """

    number: int
    at: float
    why: str
    progress: float = 0.0
    provider: str | None = None
    completed: int = 0
    failed: int = 0
    spent: Spent = Spent()


class AgentRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An agent between two of its tasks.

    Attributes:
        schema: See `SCHEMA`.
        running: It was started and not stopped: if no process has it, that one has crashed.
        runtime_s: How long it was running, in all its processes.
        tasks: How many tasks ever began.
        custom: The user's own state, as MessagePack.
        checkpoints: The newest ones, oldest first.
        limit_usd, limit_s, limit_failures: What it may cost, last, and fail.
    """

    name: str
    schema: int = SCHEMA
    created_at: float = 0.0
    running: bool = False
    runtime_s: float = 0.0
    tasks: int = 0
    completed: int = 0
    failed: int = 0
    progress: float = 0.0
    provider: str | None = None
    spent: Spent = Spent()
    custom: bytes | None = None
    checkpoints: tuple[Checkpoint, ...] = ()
    limit_usd: float | None = None
    limit_s: float | None = None
    limit_failures: int | None = None


def agent_key(name: str) -> str:
    """Where an agent is kept."""
    return f"{PREFIX}{name}"


def task_key(agent: str, task: str) -> str:
    """Where a task is kept."""
    return f"{PREFIX}{agent}/{task}"


def packed(value: Any, what: str) -> bytes:
    """A value as MessagePack.

    Raises:
        InvalidRequest: It cannot be written so, or is too large.
    """
    try:
        data = msgspec.msgpack.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidRequest(
            f"{what} cannot be kept ({error}): return numbers, texts, bytes, lists, dicts, "
            "dataclasses or msgspec structs"
        ) from None
    if len(data) > STATE_MAX:
        raise InvalidRequest(
            f"{what} has {len(data):,} bytes, and {STATE_MAX:,} can be kept: keep it elsewhere, "
            "and return where"
        )
    return data


def checked_name(name: str, what: str, most: int) -> str:
    """A name that can be kept.

    Raises:
        InvalidRequest: It is empty, too long, or has a slash or a control character in it.
    """
    fine = isinstance(name, str) and 0 < len(name) <= most and name.isprintable()
    if not fine or "/" in name:
        raise InvalidRequest(
            f"{what}: 1 to {most} printable characters without a slash, e.g. 'page-17'"
        )
    return name
