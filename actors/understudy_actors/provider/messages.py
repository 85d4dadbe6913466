"""What a provider actor understands."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import attrs
from msgspec import Struct

from understudy_actors.domain.bulkhead import Compartments
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.outcome import ErrorClass, HoldKind, Verdict
from understudy_actors.domain.rates import Sighting
from understudy_actors.provider.settings import ProviderSettings


class Admit(Struct, frozen=True, gc=False):
    """May this attempt run now? Answer: a `Permit` or a `Refusal`.

    `attempt` is unique in the engine; `timeout_s` is the attempt's limit, from which the lease of a
    half-open probe follows; the tokens are about how many it may use; `compartments` are those in
    whose shares of the slots it counts.
    """

    attempt: int
    endpoint: str
    timeout_s: float
    request: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    compartments: Compartments = ()


class Permit(Struct, frozen=True, gc=False):
    """Leave for one attempt. Settle it exactly once, whatever happens.

    The generations are those of the breakers that it was taken from; `load` is the number of
    attempts in flight at that moment, this one included; `free` says that it counts against a free
    quota.
    """

    attempt: int
    endpoint: str
    taken_at: float
    load: int
    generation: int
    probe: bool
    domain_generation: int = -1
    domain_probe: bool = False
    free: bool = False
    request: str | None = None
    compartments: Compartments = ()


class Settle(Struct, frozen=True, gc=False):
    """An admitted attempt is over.

    Attributes:
        permit: What `Admit` gave.
        verdict: What the attempt says about whoever its error class blames.
        error: The error class; None for a success, and for an attempt that was never dispatched.
        retry_after_s: The provider's delay hint in seconds.
        first_token_s: Seconds to the first token, if that was seen.
        gap_s: The longest silence between two tokens of a stream, if it had so many.
        idle_s: Seconds of it in which the caller, not the provider, was waited for.
        output_tokens: Length of the answer, or about that.
        responded: Did any HTTP response arrive?
        used: Input, output and cached tokens that it used; None: nobody knows.
        sightings: What its headers said of rate limits.
    """

    permit: Permit
    verdict: Verdict
    error: ErrorClass | None = None
    retry_after_s: float | None = None
    first_token_s: float | None = None
    output_tokens: int = 0
    responded: bool = True
    gap_s: float | None = None
    idle_s: float = 0.0
    used: tuple[int, int, int] | None = None
    sightings: tuple[Sighting, ...] = ()


class Report(Struct, frozen=True):
    """An attempt that the caller made without a permit (`report_success`, `report_failure`)."""

    endpoint: str
    verdict: Verdict
    error: ErrorClass | None = None
    elapsed_s: float | None = None
    retry_after_s: float | None = None


class HoldScope(Struct, frozen=True):
    """Hold the provider, or one endpoint of it, by hand until a time on the engine clock."""

    until: float
    endpoint: str | None = None
    kind: HoldKind = HoldKind.MANUAL


class ReleaseScope(Struct, frozen=True):
    """End every hold of the provider, or of one endpoint."""

    endpoint: str | None = None


class ResetScope(Struct, frozen=True):
    """Close the breakers and forget what was observed, for the provider or for one endpoint."""

    endpoint: str | None = None


class Admin(enum.Enum):
    """What an operator may do to a breaker."""

    ISOLATE = "isolate"  # refuse all
    DISABLE = "disable"  # admit all, count nothing
    ENABLE = "enable"  # back to normal


class SetAdmin(Struct, frozen=True):
    """Put the provider's breakers, or one endpoint's, into an admin state."""

    state: Admin
    endpoint: str | None = None


class Checked(Struct, frozen=True):
    """An active health check ended."""

    ok: bool
    elapsed_s: float
    error: ErrorClass | None = None


class Tick(Struct, frozen=True):
    """Time has come: make the transitions that are due."""


@attrs.frozen(eq=False)
class Adopt:
    """Another configuration from now on.

    `elders` are the same endpoints, or those that are left out now, as earlier configurations
    describe them under which requests are under way.
    """

    settings: ProviderSettings
    candidates: Sequence[Candidate]
    elders: Sequence[Candidate] = ()


class Describe(Struct, frozen=True):
    """Answer: a list of `EndpointStatus`, one for each model."""


class EndpointStatus(Struct, frozen=True, kw_only=True):
    """One endpoint as an operator sees it. Times are Unix seconds of the wall; None is never."""

    provider: str
    model: str
    healthy: bool
    breaker: str
    hold: str | None
    retry_in_s: float | None
    in_flight: int
    limit: int
    success_rate: float
    response_ms: float | None
    consecutive_failures: int
    total_requests: int
    failures: int
    failure_rate: float
    last_success_at: float | None
    last_failure_at: float | None
    last_check_at: float | None
    last_check_ok: bool | None
    free_left: int | None
