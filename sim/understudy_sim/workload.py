"""Who asks for what: the clients of a scenario, as its document describes them."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, field

from understudy_sim.arrivals import Arrivals, Count
from understudy_sim.fault_kinds import Seconds, Share
from understudy_sim.latency import Distribution, Fixed

Name: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,62}$")]
Operation: TypeAlias = Literal["chat", "embedding", "image"]


class Cancels(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A `share` of the requests is given up by its client `after` a time."""

    share: Share
    after: Distribution = Fixed(1.0)


class Repeats(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A client that tries a failed request again by itself, up to `times`, `wait` apart."""

    times: Annotated[int, Meta(ge=0, le=100)]
    wait: Distribution = Fixed(1.0)


class Client(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One source of requests.

    Attributes:
        name: The ids of its requests are `name/number`, or `name/user.number` in a closed loop.
        arrivals: When they come.
        from_s, until_s: From when until when it asks; left out, as long as the scenario lasts.
        operation: What it asks for.
        model: The model or group it asks for; left out, whoever can.
        prompt_tokens, output_tokens: Length of prompts and of answers, in tokens.
        max_tokens: The most tokens that it lets an answer have.
        deadline_s: How long it allows; left out, as the engine's configuration says.
        max_cost_usd: The most it pays for a request.
        tenant: Whom its requests are accounted to, and in whose share they wait; left out, nobody.
        users: How many users of the tenant it stands for.
        team, key, labels: What else its requests are accounted to.
        stream: Whether it reads answers piece by piece (chat only).
        priority: Of its requests while they wait for a slot.
        hedge: Whether its requests are hedged; left out, as the engine's configuration says.
        collapse: Whether identical ones of its requests share one call; left out, as configured.
        questions: How many different prompts it has, of which each request draws one; left out, as
            many as its prompts have lengths.
        cache: What its requests say of the response cache; left out, nothing.
        cancels: Requests that it gives up.
        repeats: What it does itself after a failure.
        requests_max: It stops after so many.
        without: Numbers of the requests that it leaves out; all others stay as they are.
    """

    name: Name
    arrivals: Arrivals
    from_s: Seconds = field(default=0.0, name="from")
    until_s: Seconds | None = field(default=None, name="until")
    operation: Operation = "chat"
    model: str | None = None
    prompt_tokens: Distribution = Fixed(100.0)
    output_tokens: Distribution = Fixed(100.0)
    max_tokens: Count | None = None
    deadline_s: Annotated[float, Meta(gt=0.0, le=1e6)] | None = field(default=None, name="deadline")
    max_cost_usd: Annotated[float, Meta(ge=0.0, le=1e6)] | None = None
    tenant: Name | None = None
    users: Count = 1
    team: Name | None = None
    key: Name | None = None
    labels: tuple[Name, ...] = ()
    stream: bool = False
    priority: Annotated[int, Meta(ge=-3, le=3)] = 0
    hedge: bool | None = None
    collapse: bool | None = None
    questions: Count | None = None
    cache: Literal["use", "bypass", "refresh", "only"] | None = None
    cancels: Cancels | None = None
    repeats: Repeats | None = None
    requests_max: Count | None = None
    without: tuple[Annotated[int, Meta(ge=0)], ...] = ()

    def __post_init__(self) -> None:
        if self.until_s is not None and self.until_s <= self.from_s:
            raise ValueError(
                f"the client ends at {self.until_s:g} s, not after its start at {self.from_s:g} s"
            )
        if self.stream and self.operation != "chat":
            raise ValueError(f"only chat can be streamed, not {self.operation}")
