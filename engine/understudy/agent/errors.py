"""How tasks of an agent fail, beyond what their functions raise."""

from __future__ import annotations

from understudy_actors.domain.errors import UnderstudyError


class AgentLimit(UnderstudyError):
    """The agent has reached one of its limits: it begins no further task."""


class TaskCrashed(UnderstudyError):
    """The process ended while this task ran, and nobody knows how far it came."""


class TaskCompacted(UnderstudyError):
    """The task is completed, and its result is not kept any more."""
