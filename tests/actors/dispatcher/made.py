"""Candidates, requests and flights for tests, with as little said as a test needs."""

from __future__ import annotations

from typing import Any

import attrs

from understudy_actors.dispatcher.flight import Flight
from understudy_actors.dispatcher.strategies.base import View
from understudy_actors.domain.candidate import Candidate, EndpointSpec, StreamRule
from understudy_actors.domain.request import Request
from understudy_actors.runtime.ports import Randomness


@attrs.define
class Seen:
    """What was observed of an endpoint, written down; None is nothing."""

    latency: float | None = None
    rate: float = 1.0
    useful_s: float = 1.0
    oks: int = 0
    first_token_s: float | None = None
    first_tokens: int = 0

    def latency_s(self, now: float, output_tokens: float, prior_s: float) -> float:
        return prior_s if self.latency is None else self.latency

    def success(self, now: float) -> float:
        return self.rate

    def seconds_per_success(self, now: float, output_tokens: float, prior_s: float) -> float:
        return self.latency_s(now, output_tokens, prior_s) / self.rate

    def latency_quantile(self, q: float) -> float | None:
        return self.latency

    def first_token_quantile(self, q: float) -> float | None:
        return self.first_token_s

    @property
    def min_useful_s(self) -> float:
        return self.useful_s

    def silence_s(self, now: float, rule: StreamRule) -> tuple[float, float]:
        return rule.first_token_max_s, rule.gap_max_s

    def timeout_is_failure(
        self, now: float, elapsed_s: float, attempt_timeout_s: float, *, heard: bool = False
    ) -> bool:
        return True


def spec(provider: str = "a", model: str = "m", **facts: Any) -> EndpointSpec:
    """An endpoint that chats."""
    return EndpointSpec(
        provider=provider, model=model, operations=facts.pop("operations", ("chat",)), **facts
    )


def candidates(*specs: EndpointSpec, seen: Seen | None = None) -> list[Candidate]:
    """One candidate for each, in configured order."""
    return [Candidate(each, index, seen or Seen()) for index, each in enumerate(specs)]


def many(count: int, **facts: Any) -> list[Candidate]:
    """So many alike, of different providers."""
    return candidates(*(spec(f"p{index}", **facts) for index in range(count)))


def view(seed: int = 0, now: float = 0.0, request: Request | None = None, **given: Any) -> View:
    """What a strategy may know."""
    return View(
        now,
        request or Request.chat("hi"),
        given.get("input_tokens", 1000),
        given.get("output_tokens", 500),
        Randomness(seed).stream("test"),
    )


def flight(request: Request | None = None, **given: Any) -> Flight:
    """A request on its way, accepted at 0 with a deadline far away."""
    facts: dict[str, Any] = {
        "id": "r",
        "accepted_at": 0.0,
        "deadline": 1e6,
        "max_attempts": 100,
        "input_tokens": 100,
        "output_tokens": 100,
    }
    return Flight(request or Request.chat("hi"), **{**facts, **given})
