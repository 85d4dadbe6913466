"""A candidate: one model of one provider, as configuration describes it."""

from __future__ import annotations

from msgspec import Struct


class Price(Struct, frozen=True):
    """What tokens cost, in USD for 1,000,000 of them; `request_usd` is a fixed part of a call."""

    input_per_mtok: float = 0.0
    output_per_mtok: float = 0.0
    cached_input_per_mtok: float | None = None
    request_usd: float = 0.0


class FreeQuota(Struct, frozen=True):
    """Calls that cost nothing, until `requests` are used up within a UTC `day` or `month`."""

    requests: int
    per: str = "day"


class EndpointSpec(Struct, frozen=True, kw_only=True):
    """The unchanging facts about one endpoint (provider and model).

    Attributes:
        provider, model: Its name is `provider/model`.
        operations: What it can do.
        groups: Model groups (logical models) it belongs to.
        priority: Lower comes first.
        weight: Share under `weighted`, `random` and the score, > 0.
        quality: 0..1, how good its answers are.
        suits: Task complexities it suits; empty suits all.
        price: None is unknown, never free.
        free_quota: Calls that cost nothing.
        capabilities, tags, region: For filtering.
        max_context_tokens, max_output_tokens: The model's window.
        max_request_tokens: Larger requests are left out.
        timeout_s: Limit of one attempt in seconds.
        degraded: True for a stand-in such as `local`: it closes chains, and its answers are marked.
        enabled: False keeps it configured but unused.
    """

    provider: str
    model: str
    operations: tuple[str, ...]
    groups: tuple[str, ...] = ()
    priority: int = 100
    weight: float = 1.0
    quality: float = 0.5
    suits: tuple[str, ...] = ()
    price: Price | None = None
    free_quota: FreeQuota | None = None
    capabilities: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    region: str | None = None
    max_context_tokens: int | None = None
    max_output_tokens: int | None = None
    max_request_tokens: int | None = None
    timeout_s: float = 120.0
    degraded: bool = False
    enabled: bool = True

    @property
    def name(self) -> str:
        """Provider and model in one name."""
        return f"{self.provider}/{self.model}"
