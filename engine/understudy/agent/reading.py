"""Agents as a store holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from understudy.agent.memory import Done
from understudy.agent.records import PREFIX, SCHEMA, AgentRecord, TaskRecord, agent_key
from understudy_actors.domain.errors import StoreFailed

T = TypeVar("T")


def agents(states: Mapping[str, bytes]) -> list[AgentRecord]:
    """Every agent of a store, by name.

    Raises:
        StoreFailed: One cannot be read.
    """
    keys = (key for key in states if key.startswith(PREFIX) and key.count("/") == 1)
    return [_agent(key, states[key]) for key in sorted(keys)]


def agent(states: Mapping[str, bytes], name: str) -> AgentRecord | None:
    """One agent; None: there is none of that name.

    Raises:
        StoreFailed: It cannot be read.
    """
    key = agent_key(name)
    return _agent(key, states[key]) if key in states else None


def tasks(states: Mapping[str, bytes], name: str) -> tuple[list[TaskRecord], list[Done]]:
    """The tasks of an agent: those kept whole, and pages of older ones.

    Raises:
        StoreFailed: One cannot be read.
    """
    prefix = f"{agent_key(name)}/"
    own = sorted(key for key in states if key.startswith(prefix))
    whole = [_read(k, states[k], TaskRecord) for k in own if not k.startswith(f"{prefix}/")]
    pages = [_read(k, states[k], Done) for k in own if k.startswith(f"{prefix}/")]
    return sorted(whole, key=lambda each: each.seq), pages


def _agent(key: str, data: bytes) -> AgentRecord:
    record = _read(key, data, AgentRecord)
    if record.schema > SCHEMA:
        raise StoreFailed(
            f"the agent {record.name} was written by a newer understudy (schema {record.schema}, "
            f"this one reads up to {SCHEMA}): upgrade understudy"
        )
    return record


def _read(key: str, data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise StoreFailed(f"the store holds {key!r}, which cannot be read ({error})") from None
