"""A candidate: one model of one provider, as configured and as observed."""

from __future__ import annotations

from typing import Final, Protocol

import attrs
from msgspec import Struct

from understudy_actors.domain.bulkhead import Compartments, full
from understudy_actors.domain.calendar import Zone
from understudy_actors.domain.price import Price
from understudy_actors.domain.rates import Counting, RateRule

_NO_LIMITS: Final = RateRule()
_COUNTING: Final = Counting()

NO_SLOT: Final = "no slot"
"""Why a candidate is left out when only its concurrency is used up: a reason to wait."""
NO_SHARE: Final = "its share of the slots is in use"
"""The same, when only requests of the same compartment stand in the way."""
ONLY_BUSY: Final = frozenset({NO_SLOT, NO_SHARE})
"""The reasons to wait: whoever ends makes room."""


class FreeQuota(Struct, frozen=True):
    """Calls that cost nothing, until `requests` are used up within a `day` or `month` of a `zone`.

    None is UTC.
    """

    requests: int
    per: str = "day"
    zone: Zone | None = None


class FirstTokenRule(Struct, frozen=True, kw_only=True):
    """When to send a second copy of a stream that has not begun.

    Attributes:
        enabled: Whether one is sent for requests that do not say.
        quantile, factor: Wait `factor` times this quantile of the first-token times observed.
        samples: With fewer of them the floor alone is waited for.
        floor_s, ceiling_s: The wait is never shorter, never longer, in seconds. With the default
            bounds of `StreamRule` no learned limit ends the first copy before the second goes out.
    """

    enabled: bool = True
    quantile: float = 0.99
    factor: float = 1.5
    samples: int = 20
    floor_s: float = 8.0
    ceiling_s: float = 45.0


class StreamRule(Struct, frozen=True, kw_only=True):
    """Within which bounds the time limits of streams are learned, in seconds.

    Attributes:
        first_token_min_s, first_token_max_s: Silence before the first token.
        gap_min_s, gap_max_s: Silence between two tokens.
        splice_max_chars: Longer texts are not compared with a second answer to go on with them.
        hedge: When a second copy is sent of one that has not begun.
    """

    first_token_min_s: float = 10.0
    first_token_max_s: float = 60.0
    gap_min_s: float = 10.0
    gap_max_s: float = 30.0
    splice_max_chars: int = 32_768
    hedge: FirstTokenRule = FirstTokenRule()


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
        price_as_of: The ISO date of a published price; None for one that is configured.
        free_quota: Calls that cost nothing.
        capabilities, tags, region: For filtering.
        max_context_tokens: The model's window.
        max_output_tokens: No answer is asked for that has more.
        known_output_tokens: The model gives none that has more, as published.
        max_request_tokens: Larger requests are left out.
        timeout_s: Limit of one attempt in seconds.
        stream: Bounds for its limits on silence within a stream.
        degraded: True for a stand-in such as `local`: it closes chains, and its answers are marked.
        enabled: False keeps it configured but unused.
        failure_domain: What fails together with it, by a name that others may share.
        rates: Limits a minute of this model alone.
        counting: How its provider counts tokens.
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
    price_as_of: str | None = None
    free_quota: FreeQuota | None = None
    capabilities: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    region: str | None = None
    max_context_tokens: int | None = None
    max_output_tokens: int | None = None
    known_output_tokens: int | None = None
    max_request_tokens: int | None = None
    timeout_s: float = 120.0
    stream: StreamRule = StreamRule()
    degraded: bool = False
    enabled: bool = True
    failure_domain: str | None = None
    rates: RateRule = _NO_LIMITS
    counting: Counting = _COUNTING

    @property
    def name(self) -> str:
        """Provider and model in one name."""
        return f"{self.provider}/{self.model}"


class Observed(Protocol):
    """What was seen of an endpoint so far; every reading decays toward ignorance."""

    def latency_s(self, now: float, output_tokens: float, prior_s: float) -> float:
        """Expected seconds for an answer of `output_tokens`; `prior_s` when nothing is known."""
        ...

    def success(self, now: float) -> float:
        """Expected share of attempts that succeed, 0.05..1; 1 when nothing is known."""
        ...

    def seconds_per_success(self, now: float, output_tokens: float, prior_s: float) -> float:
        """The expected latency over the expected share of successes."""
        ...

    @property
    def oks(self) -> int:
        """How many successes."""
        ...

    def latency_quantile(self, q: float) -> float | None:
        """A quantile of the latest successes' latency, in seconds; None before the first."""
        ...

    @property
    def first_tokens(self) -> int:
        """How many first-token times are remembered."""
        ...

    def first_token_quantile(self, q: float) -> float | None:
        """A quantile of the latest first-token times, in seconds; None before the first."""
        ...

    @property
    def min_useful_s(self) -> float:
        """With less time left than this an attempt is not worth its price."""
        ...

    def silence_s(self, now: float, rule: StreamRule) -> tuple[float, float]:
        """How long a stream may be silent: before its first token, and between two tokens."""
        ...

    def timeout_is_failure(
        self, now: float, elapsed_s: float, attempt_timeout_s: float, *, heard: bool = False
    ) -> bool:
        """Does silence of this length, which ends now, count against the endpoint?

        `heard`: a part of the answer had come before.
        """
        ...


@attrs.define(eq=False, slots=True)
class Candidate:
    """One endpoint as the dispatcher and a strategy see it: a reading, not a handle.

    Its provider's actor writes it (`picked`: the dispatcher); everybody else only reads.

    Attributes:
        spec: What configuration says.
        index: Position in configuration, from 0; the last resort between equals.
        in_flight: Attempts running now.
        held: How many of them belong to each compartment, by its name (see `bulkhead`).
        limit: How many may run at once, now.
        shut_until: No attempt is admitted before this time (engine clock, seconds).
        shut_why: Why, e.g. `open` or `rate limited`.
        guard_tokens: Failing over onto it needs more than the guard's floor of these.
        ramp: Share of its weight that it gets while it recovers, 0.1..1.
        free_left: Calls of its free quota that are left; None if it has none.
        health: What was observed of it.
        metered: Is anything limited a minute, here or in all of its account?
        picked: When the dispatcher last put it first (a counter, not a time).
        seat: Its endpoint's own small number, the same under every configuration.
        elders: The same endpoint as earlier configurations describe it, while requests that were
            accepted under them are under way: they read what is written here.
    """

    spec: EndpointSpec
    index: int
    health: Observed
    name: str = attrs.field(init=False)
    in_flight: int = 0
    limit: int = 8
    shut_until: float = 0.0
    shut_why: str = ""
    guard_tokens: float = 10.0
    ramp: float = 1.0
    free_left: int | None = None
    metered: bool = False
    picked: int = 0
    held: dict[str, int] = attrs.Factory(dict)
    seat: int = -1
    elders: tuple[Candidate, ...] = ()

    def __attrs_post_init__(self) -> None:
        self.name = self.spec.name
        if self.seat < 0:
            self.seat = self.index

    def successor(self, spec: EndpointSpec, index: int) -> Candidate:
        """The same endpoint under another configuration; itself if that says nothing new of it."""
        if spec == self.spec and index == self.index:
            return self
        new = Candidate(spec=spec, index=index, health=self.health, held=self.held, seat=self.seat)
        self._tell(new)
        new.picked = self.picked
        return new

    def tell_elders(self) -> None:
        """Let everybody who reads an elder see what was written here."""
        for each in self.elders:
            self._tell(each)

    def _tell(self, other: Candidate) -> None:
        other.health, other.held = self.health, self.held
        other.in_flight, other.limit = self.in_flight, self.limit
        other.shut_until, other.shut_why = self.shut_until, self.shut_why
        other.guard_tokens, other.ramp = self.guard_tokens, self.ramp
        other.free_left, other.metered = self.free_left, self.metered

    def refusal(self, now: float) -> str | None:
        """Why no attempt would be admitted at `now`; None if one would."""
        if now < self.shut_until:
            return self.shut_why
        return NO_SLOT if self.in_flight >= self.limit else None

    def crowded(self, compartments: Compartments) -> bool:
        """Is the share of any of these compartments in use, whoever else has room?"""
        return full(self.held, compartments, self.limit)
