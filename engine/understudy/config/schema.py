"""The configuration as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from msgspec import field
from msgspec.structs import force_setattr, replace

from understudy.config.accounts import AccountsConfig
from understudy.config.alerts import AlertConfig
from understudy.config.breaker import BreakerConfig
from understudy.config.caching import CacheConfig, OperationCacheConfig
from understudy.config.faults import BadKey
from understudy.config.gateway import GatewayConfig
from understudy.config.http import HttpConfig
from understudy.config.kinds import FUNCTION, KINDS
from understudy.config.limits import LimitConfig
from understudy.config.money import SpendingConfig, SpendingMode
from understudy.config.otel import OtelConfig
from understudy.config.provider import ProviderConfig
from understudy.config.section import Function, Section
from understudy.config.sections import (
    ComplexityConfig,
    HedgeConfig,
    LogConfig,
    RetryConfig,
    ShareConfig,
    WaitingConfig,
)
from understudy.config.store import StoreConfig
from understudy.config.streams import StreamConfig
from understudy.config.values import Count, ModelName, Name, Seconds, Text


class OperationConfig(Section, frozen=True, kw_only=True):
    """How one operation is served.

    Attributes:
        strategy: Its own strategy.
        chain: The only endpoints that serve it, in order: provider/model, or a provider for all
            of its models. Left out, everybody who can.
        degraded: The text to answer when all fail; wins over the section `degraded`.
        cache: Whether and for how long its answers are kept; wins over the section `cache`.
        hedge: Whether its requests are hedged; wins over the section `hedge`, and over
            `stream.hedge`.
    """

    title: ClassVar[str] = "an operation"

    strategy: str | None = None
    chain: tuple[ModelName, ...] | None = None
    degraded: Text | None = None
    cache: OperationCacheConfig | None = None
    hedge: bool | None = None


class Config(Section, frozen=True, kw_only=True):
    """Everything an engine is configured with.

    Attributes:
        strategy: Orders the candidates of a request.
        deadline: Limit over everything a request does, waits included.
        max_attempts: Attempts of one request at most, all providers together.
        fallback: False asks the first choice only.
        monitoring: False makes no health checks, writes no log and keeps no explain records.
        reroute_refused_content: True asks another provider when one refuses the content.
        queue_capacity: How many requests may wait for a slot.
        waiting: In what order they are served.
        max_share: How much of each endpoint an operation, a tenant or a priority may hold at once.
        stream: Silence within streams.
        collapse: True lets identical requests under way share one call, if their answer is the same
            each time: embeddings, and chats at temperature 0.
        cache: Answers that were given before, for requests that ask for the same; off unless
            written.
        hedge: A second copy of a request whose first is silent; off unless written. Streams have
            rules of their own, in `stream`, and are hedged unless that is switched off.
        retry: Retries on the same provider.
        budgets: What may be spent, by scope and calendar window; all that apply must have room.
        budget_mode: `strict` sets the worst case aside before each attempt and never overspends;
            nor does `fit_max_tokens`, which shortens answers to what the budgets can still pay;
            `expected` sets aside what the attempt is expected to cost (the caller's estimate, or
            what 95 % of the answers seen stay below), and may overspend.
        budget_min_tokens: `fit_max_tokens` shortens no answer to fewer tokens than this.
        price_max_age: Published prices in use that are older than this are warned of.
        time_zone: Whose days, weeks and months those windows are (an IANA name); the accounts' too.
        accounts: What is kept of use and costs by day, provider, model and user.
        store: Where money, breakers, holds and scores are kept beyond the life of the process;
            left out, they are not.
        limits: How much whoever asks may ask for in any minute, by scope; all that apply must have
            room.
        breaker: When to stop asking a provider, for those that do not say.
        http: How bytes are moved.
        log: Log lines.
        alerts: Who is told of budgets, breakers and availability; nobody unless written.
        otel: Spans and metrics for OpenTelemetry; off unless written.
        gateway: The HTTP service that `understudy serve` runs.
        degraded: Operation to the text to answer when all fail.
        operations: What differs from one operation to another.
        groups: Logical model to its endpoints: provider/model, or a provider for all of its models.
        fallbacks: Model or group to others that are asked after everybody who serves it, in order;
            whoever asks for one of those gets no further ones.
        complexity: Strategy for each complexity of task.
        providers: Whom to ask, by a name of your choice.
        functions: Functions of your own as providers, by name; only in code.
    """

    title: ClassVar[str] = "the configuration"

    strategy: str = "adaptive"
    deadline_s: Seconds = field(default=120.0, name="deadline")
    max_attempts: Count = 5
    fallback: bool = True
    monitoring: bool = True
    reroute_refused_content: bool = False
    queue_capacity: Count = 1000
    waiting: WaitingConfig = WaitingConfig()
    max_share: ShareConfig = ShareConfig()
    stream: StreamConfig = StreamConfig()
    collapse: bool = False
    cache: CacheConfig = CacheConfig(enabled=False)
    hedge: HedgeConfig = HedgeConfig(enabled=False)
    retry: RetryConfig = RetryConfig()
    budgets: tuple[SpendingConfig, ...] = ()
    budget_mode: SpendingMode = "strict"
    budget_min_tokens: Count = 64
    price_max_age_s: Seconds = field(default=90 * 86_400.0, name="price_max_age")
    time_zone: Text = "UTC"
    accounts: AccountsConfig = AccountsConfig()
    store: StoreConfig | None = None
    limits: tuple[LimitConfig, ...] = ()
    breaker: BreakerConfig = BreakerConfig()
    http: HttpConfig = HttpConfig()
    log: LogConfig = LogConfig()
    alerts: tuple[AlertConfig, ...] = ()
    otel: OtelConfig = OtelConfig(enabled=False)
    gateway: GatewayConfig = GatewayConfig()
    degraded: dict[Name, Text] = field(default_factory=dict)
    operations: dict[Name, OperationConfig] = field(default_factory=dict)
    groups: dict[ModelName, tuple[ModelName, ...]] = field(default_factory=dict)
    fallbacks: dict[ModelName, tuple[ModelName, ...]] = field(default_factory=dict)
    complexity: ComplexityConfig = ComplexityConfig()
    providers: dict[Name, ProviderConfig] = field(default_factory=dict)
    functions: dict[Name, Function] = field(default_factory=dict)

    def check(self) -> None:
        """Give every provider its kind, and every function its provider."""
        providers = {name: _with_kind(name, each) for name, each in self.providers.items()}
        for name, function in self.functions.items():
            providers[name] = _with_function(name, providers.get(name), function)
        force_setattr(self, "providers", providers)

    def hedges(self, operation: str, *, streams: bool = False) -> bool | None:
        """Is a request for `operation` that does not say hedged? None: as its endpoint says."""
        own = self.operations.get(operation)
        if own is not None and own.hedge is not None:
            return own.hedge
        return None if streams else self.hedge.enabled

    def degraded_text(self, operation: str) -> str | None:
        """The configured answer to `operation` for when all fail, if there is one."""
        own = self.operations.get(operation)
        return own.degraded if own and own.degraded else self.degraded.get(operation)


def _with_kind(name: str, provider: ProviderConfig) -> ProviderConfig:
    if provider.kind is None and name in KINDS:
        return replace(provider, kind=name)
    return provider


def _with_function(
    name: str, provider: ProviderConfig | None, function: Callable[..., Any]
) -> ProviderConfig:
    if provider is None:
        return ProviderConfig(kind=FUNCTION.name, function=function)
    if provider.kind not in (None, FUNCTION.name):
        why = f"is also a provider of kind `{provider.kind}`: rename one of the two"
        raise BadKey(why).under(name).under("functions")
    return replace(provider, kind=FUNCTION.name, function=function)
