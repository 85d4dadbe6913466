"""Hedging: when a second copy of a request may be sent, and to whom. Pure decisions.

A copy goes out when the first attempt has been silent for longer than that endpoint usually takes
(a high quantile of what was observed, within bounds), only to somebody who does not fail with the
first (another account, another failure domain), only if both can be paid for, and only within two
budgets: a share of the requests, so that a slow day cannot double the load, and a number at once,
so that an outage cannot either. Deterministic failures end the first attempt and are never hedged.

Source: Dean and Barroso, "The Tail at Scale", CACM 2013: a copy after the 95th percentile costs a
few percent of load and cuts the tail several times over. We wait half as long again: one request in
twenty is that slow without any trouble, and would use up the budget before trouble comes.

A stream is silent until its first token. What is usual then is short, and a reader waits for it: so
its copy is sent by default, after a floor that hardly any first token takes, learned or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
from msgspec import Struct

from understudy_actors.dispatcher.strategies.base import expected_usd
from understudy_actors.domain.candidate import Candidate, FirstTokenRule, Observed

_ROUNDING: Final = 1e-9


class HedgeRule(Struct, frozen=True, kw_only=True):
    """When to send a second copy, and how many.

    Attributes:
        quantile, factor: Wait `factor` times this quantile of the latencies that were observed.
        samples: With fewer successes than this nothing is known, and nothing is hedged.
        floor_s, ceiling_s: The wait is never shorter, never longer, in seconds.
        share: Copies for each accepted request, on average.
        burst: Copies that may go out in a row before that average binds.
        concurrent: Copies in flight at once.
    """

    quantile: float = 0.95
    factor: float = 1.5
    samples: int = 20
    floor_s: float = 0.25
    ceiling_s: float = 10.0
    share: float = 0.05
    burst: float = 5.0
    concurrent: int = 8


def delay_s(rule: HedgeRule, seen: Observed) -> float | None:
    """Seconds of silence after which a copy may be sent; None: too little is known."""
    usual_s = seen.latency_quantile(rule.quantile) if seen.oks >= rule.samples else None
    if usual_s is None:
        return None
    return min(rule.ceiling_s, max(rule.floor_s, usual_s * rule.factor))


def first_token_delay_s(rule: FirstTokenRule, seen: Observed) -> float:
    """Seconds without a first token after which a copy of a stream may be sent."""
    known = seen.first_tokens >= rule.samples
    usual_s = seen.first_token_quantile(rule.quantile) if known else None
    return min(rule.ceiling_s, max(rule.floor_s, (usual_s or 0.0) * rule.factor))


def apart(one: Candidate, other: Candidate) -> bool:
    """Is there nothing known that would fail both at once?"""
    a, b = one.spec, other.spec
    same_domain = a.failure_domain is not None and a.failure_domain == b.failure_domain
    return a.provider != b.provider and not same_domain


def targets(
    first: Candidate,
    ranked: Sequence[Candidate],
    *,
    now: float,
    deadline: float,
    input_tokens: int,
    output_tokens: int,
    max_cost_usd: float | None,
) -> list[Candidate]:
    """Those of `ranked` who may get the copy of what `first` is silent about, best first.

    A stand-in is none: it has no answer of its own. Who usually takes longer than the time left
    would cost its price for nothing.
    """
    left_usd = max_cost_usd
    if left_usd is not None:
        left_usd -= expected_usd(first.spec, input_tokens, output_tokens) or 0.0
    return [
        each
        for each in ranked
        if apart(first, each)
        and not each.spec.degraded
        and now + each.health.latency_s(now, output_tokens, 0.0) <= deadline
        and _affordable(each, left_usd, input_tokens, output_tokens)
    ]


def _affordable(each: Candidate, left_usd: float | None, inputs: int, outputs: int) -> bool:
    if left_usd is None or each.free_left:
        return True
    price = expected_usd(each.spec, inputs, outputs)
    return price is not None and price <= left_usd


@attrs.define(slots=True, eq=False)
class HedgeBudget:
    """Copies that may be sent: a share of the requests, up to a burst, and so many at once."""

    rule: HedgeRule
    tokens: float = attrs.field(init=False)
    in_flight: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.tokens = self.rule.burst

    def configure(self, rule: HedgeRule) -> None:
        """Another rule from now on; what is left is kept, up to the burst."""
        self.rule, self.tokens = rule, min(self.tokens, rule.burst)

    def deposit(self) -> None:
        """A request was accepted."""
        self.tokens = min(self.rule.burst, self.tokens + self.rule.share)

    @property
    def spare(self) -> bool:
        """May one more copy be sent now?"""
        return self.tokens >= 1.0 - _ROUNDING and self.in_flight < self.rule.concurrent

    def sent(self) -> None:
        """A copy was sent."""
        self.tokens = max(0.0, self.tokens - 1.0)
        self.in_flight += 1

    def ended(self) -> None:
        """A copy ended; one that an earlier incarnation sent is not counted any more."""
        self.in_flight = max(0, self.in_flight - 1)
