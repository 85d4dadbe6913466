"""The small sections: retry, guard, breaker, concurrency, holds, health checks, logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeAlias

from msgspec import field

from understudy.config.faults import BadKey
from understudy.config.section import Section
from understudy.config.values import (
    Amount,
    Count,
    CountOrZero,
    Name,
    Portion,
    PriorityName,
    Seconds,
    SecondsOrZero,
    Share,
    Text,
    Weight,
)
from understudy_actors.domain.bulkhead import ShareRule
from understudy_actors.domain.outcome import ErrorClass

BackoffKind: TypeAlias = Literal["exponential", "linear"]
BreakerPreset: TypeAlias = Literal["default", "classic", "expire"]


class Switchable(Section, frozen=True, kw_only=True):
    """A section that `false` switches off and `true` takes as it is.

    Attributes:
        enabled: Whether it works at all.
    """

    should: ClassVar[str] = "a table, true or false"

    enabled: bool = True

    @classmethod
    def expand(cls, value: object) -> Mapping[Any, object] | None:
        """Read `true` and `false`."""
        return {"enabled": value} if isinstance(value, bool) else super().expand(value)


class BudgetConfig(Section, frozen=True, kw_only=True):
    """Tokens for retries on the same provider; first attempts and failovers never need one.

    Attributes:
        ratio: Tokens gained for each accepted request.
        per_second: Tokens gained each second.
        cap: Tokens at most.
        start: Tokens at the start.
    """

    title: ClassVar[str] = "a retry budget"

    ratio: Share = 0.2
    per_second: Amount = 0.2
    cap: Amount = 20.0
    start: Amount = 10.0

    def check(self) -> None:
        """The start fits under the cap."""
        if self.start > self.cap:
            raise BadKey(f"is {self.start:g}: it must not exceed `cap`, {self.cap:g}", "start")


class GuardConfig(Switchable, frozen=True, kw_only=True):
    """Keeps failovers from overrunning the next target: one bucket of tokens for each endpoint.

    Attributes:
        enabled: False lets every failover through.
        max: Tokens at most, and at the start.
        floor: Requests fail over onto a target only while it has more than this.
        fail: Tokens lost for each failure.
        ok: Tokens gained for each success.
    """

    title: ClassVar[str] = "a failover guard"

    max: Amount = 10.0
    floor: Amount = 5.0
    fail: Amount = 1.0
    ok: Amount = 0.1

    def check(self) -> None:
        """A full bucket lets failovers through."""
        if self.floor >= self.max:
            raise BadKey(f"is {self.floor:g}: it must be less than `max`, {self.max:g}", "floor")


class RetryConfig(Section, frozen=True, kw_only=True):
    """Retries on the same provider, for all of them; `providers.NAME.retry` overrides it.

    Attributes:
        attempts: Retries on one endpoint within one request, at most; 0 for none.
        kind: How waits grow: exponential (base, 2·base, 4·base, ...) or linear (base, 2·base, ...).
        base: The first wait.
        cap: The longest wait.
        jitter: full draws each wait between zero and its value; none waits exactly that long.
        patience: Under the priority strategy, a `Retry-After` up to this is waited for before
            failing over.
        budget: Bounds retries over all requests.
        guard: Bounds failovers onto one target; false for no bound.
    """

    title: ClassVar[str] = "retry"

    attempts: CountOrZero = 4
    kind: BackoffKind = "exponential"
    base_s: Seconds = field(default=1.0, name="base")
    cap_s: Seconds = field(default=20.0, name="cap")
    jitter: Literal["full", "none"] = "full"
    patience_s: SecondsOrZero = field(default=2.5, name="patience")
    budget: BudgetConfig = BudgetConfig()
    guard: GuardConfig = GuardConfig()

    def check(self) -> None:
        """The first wait fits under the cap."""
        if self.base_s > self.cap_s:
            raise BadKey(
                f"is {self.base_s:g} s: it must not exceed `cap`, {self.cap_s:g} s", "base"
            )


class ProviderRetryConfig(Section, frozen=True, kw_only=True):
    """Retries on this one provider; what is left out is taken from `retry`.

    Attributes:
        attempts: Retries on one endpoint within one request, at most; 0 for none.
        kind: How waits grow: exponential or linear.
        base: The first wait.
        cap: The longest wait.
        on: The only error classes to retry here, e.g. timeout, server; silent must be named to be
            retried.
    """

    title: ClassVar[str] = "a provider's retry"

    attempts: CountOrZero | None = None
    kind: BackoffKind | None = None
    base_s: Seconds | None = field(default=None, name="base")
    cap_s: Seconds | None = field(default=None, name="cap")
    on: tuple[ErrorClass, ...] | None = None

    def check(self) -> None:
        """The first wait fits under the cap, and our own doing is nothing to retry."""
        if self.base_s is not None and self.cap_s is not None and self.base_s > self.cap_s:
            raise BadKey(
                f"is {self.base_s:g} s: it must not exceed `cap`, {self.cap_s:g} s", "base"
            )
        for place, each in enumerate(self.on or ()):
            if each in NOT_OURS_TO_SET:
                raise BadKey(f'is "{each}", which is never retried').under(place).under("on")


NOT_OURS_TO_SET = frozenset({ErrorClass.CANCELLED, ErrorClass.INTERNAL, ErrorClass.DIVERGED})
"""Error classes that no provider can cause."""


class ConcurrencyConfig(Section, frozen=True, kw_only=True):
    """Attempts in flight at once for each endpoint; the limit adapts to the provider's refusals.

    A whole number is a cap to start at: `concurrency = 8`.

    Attributes:
        initial: The limit at the start; left out, 8 or as near to it as the other two allow.
        min: It never falls below this.
        max: It never rises above this.
    """

    title: ClassVar[str] = "concurrency"
    should: ClassVar[str] = "a whole number, 1 or more, or a table with initial, min, max"

    initial: Count | None = None
    min: Count = 1
    max: Count = 256

    @classmethod
    def expand(cls, value: object) -> Mapping[Any, object] | None:
        """Read a whole number as the cap."""
        if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
            return {"initial": value, "max": value}
        return super().expand(value)

    def check(self) -> None:
        """min ≤ initial ≤ max."""
        if self.min > self.max:
            raise BadKey(f"is {self.min}: it must not exceed `max`, {self.max}", "min")
        if not self.min <= self.start <= self.max:
            bounds = f"`min` ({self.min}) and `max` ({self.max})"
            raise BadKey(f"is {self.start}: it must lie between {bounds}", "initial")

    @property
    def start(self) -> int:
        """The limit at the start."""
        return self.initial if self.initial is not None else max(self.min, min(8, self.max))


class HoldConfig(Section, frozen=True, kw_only=True):
    """How long a provider is left alone after an error that only a person or time can mend.

    Attributes:
        credit: After credit or quota ran out.
        auth: After the key was refused.
        model: After the provider did not know the model.
    """

    title: ClassVar[str] = "hold"

    credit_s: Seconds = field(default=300.0, name="credit")
    auth_s: Seconds = field(default=600.0, name="auth")
    model_s: Seconds = field(default=3600.0, name="model")


class HealthCheckConfig(Switchable, frozen=True, kw_only=True):
    """Free requests at an interval that show whether the provider is reachable. Off unless written.

    Attributes:
        enabled: False switches them off.
        interval: Time between two checks.
        timeout: Limit of one check.
    """

    title: ClassVar[str] = "health_check"

    interval_s: Seconds = field(default=60.0, name="interval")
    timeout_s: Seconds = field(default=5.0, name="timeout")

    def check(self) -> None:
        """One check is over before the next."""
        if self.timeout_s > self.interval_s:
            limit = f"`interval`, {self.interval_s:g} s"
            raise BadKey(f"is {self.timeout_s:g} s: it must not exceed {limit}", "timeout")


class LogConfig(Section, frozen=True, kw_only=True):
    """Log lines on standard error.

    Attributes:
        level: The least important lines to write; off for none.
        format: console for people, text for the same without colours, json for machines.
        access: Whether the gateway writes a line for each request; left out, with level info or
            debug.
    """

    title: ClassVar[str] = "log"

    level: Literal["debug", "info", "warning", "error", "off"] = "info"
    format: Literal["console", "text", "json"] = "console"
    access: bool | None = None

    @property
    def tells_access(self) -> bool:
        """Does the gateway write a line for each request?"""
        return self.level in ("info", "debug") if self.access is None else self.access


class HedgeConfig(Switchable, frozen=True, kw_only=True):
    """A second copy of a request, to another provider, while the first is unusually silent.

    What all copies may cost is a budget of its own: `[[budgets]]` with `hedges = true`.

    Attributes:
        enabled: Whether requests that do not say are hedged.
        quantile: The copy waits for this quantile of the latencies that were observed,
        factor: times this.
        samples: With fewer successes nothing is known of an endpoint, and nothing is hedged.
        floor: The shortest wait.
        ceiling: The longest wait.
        share: Copies for each request, on average.
        burst: Copies in a row before that average binds.
        concurrent: Copies in flight at once.
    """

    title: ClassVar[str] = "hedge"

    quantile: Share = 0.95
    factor: Amount = 1.5
    samples: Count = 20
    floor_s: Seconds = field(default=0.25, name="floor")
    ceiling_s: Seconds = field(default=10.0, name="ceiling")
    share: Share = 0.05
    burst: Amount = 5.0
    concurrent: Count = 8

    def check(self) -> None:
        """floor ≤ ceiling."""
        if self.floor_s > self.ceiling_s:
            limit = f"`ceiling`, {self.ceiling_s:g} s"
            raise BadKey(f"is {self.floor_s:g} s: it must not exceed {limit}", "floor")


class WaitingConfig(Section, frozen=True, kw_only=True):
    """In what order requests that wait for a slot are served: by priority, tenant, and age.

    Attributes:
        ageing: Each time so long waited, while nobody of the same tenant and priority is served,
            lifts a request by one step of priority.
        standing: While the oldest of a tenant waits at least so long, its delay may be standing.
        window: It is after so long; then the tenant's newest request comes first.
        shares: Tenant to its weight against the others, 1 if it is not named.
    """

    title: ClassVar[str] = "waiting"

    ageing_s: Seconds = field(default=10.0, name="ageing")
    standing_s: Seconds = field(default=0.5, name="standing")
    window_s: SecondsOrZero = field(default=5.0, name="window")
    shares: dict[Text, Weight] = field(default_factory=dict)


class ShareConfig(Section, frozen=True, kw_only=True):
    """Bulkheads: how much of each endpoint's slots some requests may hold at once, at most.

    A share is a ceiling, no reserve; one slot is always allowed. Who is not named has no ceiling.

    Attributes:
        operations: Operation to its share.
        tenants: Tenant to its share; * is every one that is not named, each by itself.
        priorities: Priority to the share of all requests of this one or a lower one.
    """

    title: ClassVar[str] = "max_share"

    operations: dict[Name, Portion] = field(default_factory=dict)
    tenants: dict[Text, Portion] = field(default_factory=dict)
    priorities: dict[PriorityName, Portion] = field(default_factory=dict)

    def rule(self) -> ShareRule | None:
        """Which compartments there are; None: none."""
        if not (self.operations or self.tenants or self.priorities):
            return None
        priorities = {int(name): share for name, share in self.priorities.items()}
        return ShareRule(operations=self.operations, tenants=self.tenants, priorities=priorities)


class ComplexityConfig(Section, frozen=True, kw_only=True):
    """Which strategy orders the candidates of simple, medium and complex tasks.

    Attributes:
        simple: Fast and cheap first, unless told otherwise.
        medium: Left out: as every other request.
        complex: Best quality first, unless told otherwise.
    """

    title: ClassVar[str] = "complexity"

    simple: str = "economy"
    medium: str | None = None
    complex: str = "best_quality"
