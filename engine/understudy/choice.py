"""A candidate for those who make the call themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec import Struct

from understudy.config import Config, Kind, key_source
from understudy_actors.dispatcher.flight import Decision
from understudy_actors.dispatcher.strategies.base import expected_usd
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.result import Attempt


class Choice(Struct, frozen=True, kw_only=True):
    """The best provider now, for a caller who makes the call.

    Attributes:
        provider, model: Whom to ask, for what.
        operations: What it can do.
        priority: Its configured priority; lower comes first.
        estimated_cost_usd: For the estimated tokens; None if its price is unknown.
        estimated_time_s: Expected seconds until the answer.
        key_variable: The environment variable that holds its key, if it is in one.
        why: The strategy that chose it.
    """

    provider: str
    model: str
    operations: tuple[str, ...]
    priority: int
    estimated_cost_usd: float | None
    estimated_time_s: float
    key_variable: str | None
    why: str

    @property
    def name(self) -> str:
        """Provider and model in one name."""
        return f"{self.provider}/{self.model}"


class Fallback(NamedTuple):
    """What `with_fallback` returns: the function's own result, who it was made with, and how."""

    result: Any
    provider: str
    attempts: tuple[Attempt, ...]


def choice_of(
    candidate: Candidate,
    config: Config,
    kinds: Mapping[str, Kind],
    decision: Decision,
    now: float,
    tokens: tuple[int, int],
) -> Choice:
    """Describe a candidate; `tokens` are the estimates for question and answer."""
    spec = candidate.spec
    source = key_source(spec.provider, config.providers[spec.provider], kinds)
    cost = 0.0 if candidate.free_left else expected_usd(spec, *tokens)
    return Choice(
        provider=spec.provider,
        model=spec.model,
        operations=spec.operations,
        priority=spec.priority,
        estimated_cost_usd=cost,
        estimated_time_s=candidate.health.latency_s(now, float(tokens[1]), 1.0),
        key_variable=source.env if source is not None else None,
        why=decision.strategy,
    )
