"""A provider's section, and what stands inside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from msgspec import Meta, field
from msgspec.structs import force_setattr

from understudy.config.breaker import BreakerConfig
from understudy.config.faults import BadKey, at
from understudy.config.key import HeaderSource, KeySource, check_headers
from understudy.config.price import PriceConfig, QuotaConfig
from understudy.config.section import Function, Section
from understudy.config.sections import (
    NOT_OURS_TO_SET,
    ConcurrencyConfig,
    HealthCheckConfig,
    HoldConfig,
    ProviderRetryConfig,
)
from understudy.config.streams import StreamConfig
from understudy.config.values import (
    Count,
    CountOrZero,
    ErrorCode,
    HeaderName,
    ModelName,
    Name,
    Seconds,
    Share,
    Text,
    Weight,
)
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import Complexity


class ModelConfig(Section, frozen=True, kw_only=True):
    """One model of a provider; its name alone is enough.

    Attributes:
        name: As the provider calls it.
        aliases: Other names that a request may use for it.
        groups: Logical models it belongs to.
        operations: What it can do; left out, as the provider, else by its name.
        capabilities: What it can do beyond that, e.g. vision, tools; the provider's are added.
        suits: Task complexities it suits; left out, as the provider.
        quality: How good its answers are, 0 to 1; left out, as the provider.
        weight: Share of the traffic; left out, as the provider.
        priority: Lower comes first; left out, as the provider.
        price: What it costs; left out, as the provider, else as published.
        free_quota: Calls that cost nothing; left out, as the provider.
        max_context: Tokens its window holds, question and answer together.
        max_output: Tokens an answer may have.
        max_request_tokens: Larger requests go elsewhere; left out, as the provider.
        requests_per_minute: No minute sees more requests for this model than this, whatever its
            provider allows.
        tokens_per_minute: Nor more of its tokens, prompt and answer together.
        input_tokens_per_minute: Nor more tokens of prompts.
        output_tokens_per_minute: Nor more tokens of answers.
    """

    title: ClassVar[str] = "a model"
    should: ClassVar[str] = "a model's name, or a table with `name`"

    name: ModelName
    aliases: tuple[ModelName, ...] = ()
    groups: tuple[ModelName, ...] = ()
    operations: tuple[Name, ...] | None = None
    capabilities: tuple[Name, ...] = ()
    suits: tuple[Complexity, ...] | None = None
    quality: Share | None = None
    weight: Weight | None = None
    priority: CountOrZero | None = None
    price: PriceConfig | None = None
    free_quota: QuotaConfig | None = None
    max_context: Count | None = None
    max_output: Count | None = None
    max_request_tokens: Count | None = None
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    input_tokens_per_minute: Count | None = None
    output_tokens_per_minute: Count | None = None

    @classmethod
    def expand(cls, value: object) -> Mapping[Any, object] | None:
        """Read a name."""
        return {"name": value} if isinstance(value, str) else super().expand(value)


class ProviderConfig(Section, frozen=True, kw_only=True):
    """One account at one provider, with its models.

    Attributes:
        kind: What it is; left out, the section's name.
        enabled: False keeps it configured but unused.
        priority: Lower comes first; left out, 100, and 1000 for a stand-in.
        weight: Share of the traffic, under the strategies that share.
        quality: How good its answers are, 0 to 1.
        region: Where it is.
        tags: Free words to select it by.
        capabilities: What all its models can do, e.g. vision, tools.
        operations: What its models can do, e.g. chat, embedding, image, or a name of your own.
        suits: Task complexities it suits; empty suits all.
        key: Where its key is: `env:NAME` or `file:/path`; left out, the usual variable of its kind
            (only while `base_url` is the usual one too).
        base_url: Its address; left out, the usual one of its kind.
        headers: Further HTTP headers to send.
        timeout: Limit of one attempt.
        connect_timeout: Limit for reaching it.
        stream: Bounds for its limits on silence within streams; left out, as for all.
        failure_domain: Providers that name the same one share a breaker for failed connections.
        models: Its models.
        price: What a model costs that has no price of its own.
        free_quota: Calls that cost nothing, for each model.
        max_request_tokens: Larger requests go elsewhere.
        requests_per_minute: No minute sees more requests of ours than this, all models together.
        tokens_per_minute: Nor more tokens, prompt and answer together: what an answer may have is
            reserved, what it had is counted.
        input_tokens_per_minute: Nor more tokens of prompts, for vendors that limit them apart.
        output_tokens_per_minute: Nor more tokens of answers.
        retry: Retries on it, where they differ.
        breaker: When to stop asking it, where that differs.
        concurrency: Attempts in flight at once, for each model.
        hold: How long to leave it alone after errors that waiting alone does not mend.
        health_check: Checks while nobody asks; off unless written.
        errors: Error code or HTTP status to error class, where ours is wrong for it.
        options: How it differs from others of its wire format; each adapter has its own.
        reply: The text that a provider of kind local answers.
        function: The function behind a provider of kind function; only in code.
    """

    title: ClassVar[str] = "a provider"

    kind: Name | None = None
    enabled: bool = True
    priority: CountOrZero | None = None
    weight: Weight = 1.0
    quality: Share = 0.5
    region: Name | None = None
    tags: tuple[Name, ...] = ()
    capabilities: tuple[Name, ...] = ()
    operations: tuple[Name, ...] | None = None
    suits: tuple[Complexity, ...] = ()
    key: KeySource | None = None
    base_url: Annotated[str, Meta(extra={"should": "an http or https address"})] | None = None
    headers: dict[HeaderName, HeaderSource] = field(default_factory=dict)
    timeout_s: Seconds = field(default=120.0, name="timeout")
    connect_timeout_s: Seconds = field(default=10.0, name="connect_timeout")
    stream: StreamConfig | None = None
    failure_domain: Name | None = None
    models: tuple[ModelConfig, ...] = ()
    price: PriceConfig | None = None
    free_quota: QuotaConfig | None = None
    max_request_tokens: Count | None = None
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    input_tokens_per_minute: Count | None = None
    output_tokens_per_minute: Count | None = None
    retry: ProviderRetryConfig = ProviderRetryConfig()
    breaker: BreakerConfig | None = None
    concurrency: ConcurrencyConfig = ConcurrencyConfig()
    hold: HoldConfig = HoldConfig()
    health_check: HealthCheckConfig | None = None
    errors: dict[ErrorCode, ErrorClass] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    reply: Text | None = None
    function: Function | None = None

    def check(self) -> None:
        """An address that can be one, no model twice, no secret in plain headers."""
        if self.base_url is not None:
            at("base_url", lambda: check_address(self.base_url or ""))
        if self.health_check is not None and not self.health_check.enabled:
            force_setattr(self, "health_check", None)
        at("headers", lambda: check_headers(self.headers))
        at("models", lambda: check_models(self.models))
        for code, each in self.errors.items():
            if each in NOT_OURS_TO_SET:
                raise (
                    BadKey(f'is "{each}", which no provider can cause').under(code).under("errors")
                )


def check_address(url: str) -> None:
    """Refuse what is no plain http address; it is not shown, since it may hold a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise BadKey("is no address: write it like https://host/v1") from None
    if parts.username is not None or parts.password is not None:
        raise BadKey("holds a name or password: put the secret into `key` or `headers`")
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isprintable():
        raise BadKey("must be an http or https address such as https://host/v1")
    if parts.query or parts.fragment:
        raise BadKey("must end with its path: no `?` or `#`")


def check_models(models: tuple[ModelConfig, ...]) -> None:
    """Refuse a model or alias that stands twice."""
    seen: set[str] = set()
    for place, model in enumerate(models):
        for name in (model.name, *model.aliases):
            if name in seen:
                raise BadKey(f'names "{name}", which this provider lists already').under(place)
            seen.add(name)
