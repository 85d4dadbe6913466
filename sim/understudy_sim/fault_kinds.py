"""The vocabulary of faults: one struct a kind, with that kind's own parameters.

A fault is an interval on a timeline, a selector and a share of the requests that it selects. All
kinds but `slow` and `brownout` are *failing*: they replace the answer, or break it. The kinds of
`WorldFault` hit something else than an answer, and exist in simulations only. In documents times
are seconds or texts such as "10s", and are written without the `_s` that ends them here.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias, get_args

from msgspec import Meta, Struct, field

Share: TypeAlias = Annotated[float, Meta(ge=0.0, le=1.0)]
# Bounded far from where dates, sleeps and sums overflow: 1e9 s are 31 years.
Seconds: TypeAlias = Annotated[float, Meta(ge=0.0, le=1e9)]
Rate: TypeAlias = Annotated[float, Meta(ge=1e-3, le=1e9)]
Size: TypeAlias = Annotated[int, Meta(ge=0, le=10**15)]
Seed: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
RetryAfterMode: TypeAlias = Literal["truth", "date", "missing", "zero", "huge", "lying"]
RetryAfter: TypeAlias = Seconds | RetryAfterMode
MalformedVariant: TypeAlias = Literal[
    "truncated_json",
    "html",
    "empty",
    "wrong_type",
    "error_in_200",
    "absurd_usage",
    "bad_event",
    "late_error",
    "unfinished",
    "unmarked",
]


class Facts(Struct, frozen=True, kw_only=True):
    """What is known of one request.

    `number` keys its draws: the mock service counts the requests of `provider` since activation,
    the simulator takes a number that follows from the request alone.
    """

    number: int
    provider: str = ""
    model: str | None = None
    operation: str | None = None
    path: str | None = None
    key: str | None = None
    region: str | None = None

    def __repr__(self) -> str:  # without the key
        return f"<Facts {self.provider}#{self.number} {self.path} {self.model}>"


class Selector(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which requests a fault is for: all the named properties must be equal.

    A `region` selects every provider in it, so that one fault hits many at once.
    """

    provider: str | None = None
    model: str | None = None
    operation: str | None = None
    path: str | None = None
    key: str | None = None
    region: str | None = None

    def matches(self, facts: Facts) -> bool:
        """Whether `facts` has every property that is named here."""
        return (
            (self.provider is None or self.provider == facts.provider)
            and (self.model is None or self.model == facts.model)
            and (self.operation is None or self.operation == facts.operation)
            and (self.path is None or self.path == facts.path)
            and (self.key is None or self.key == facts.key)
            and (self.region is None or self.region == facts.region)
        )

    def covers(self, provider: str, region: str | None) -> bool:
        """Whether it is for (some of) the requests to this provider."""
        return self.provider in (None, provider) and self.region in (None, region)

    def __repr__(self) -> str:  # without the key
        names = [n for n in self.__struct_fields__ if getattr(self, n) is not None]
        return f"<Selector by {', '.join(names) or 'nothing'}>"


class _Fault(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
):
    """What every fault has.

    It is active in the half-open interval [from_s, until_s), counted from the activation of its
    schedule; no `until_s` means for ever. It hits `share` of the requests that it selects, and at
    most `times` of them.

    Its strength grows evenly from 0 to 1 during the first `rise_s` of the interval, and back to 0
    during `fade_s` after it; with `every_s` it is there only for the share `duty` of each such
    cycle, which begins late by up to the share `jitter` of the rest. Strength scales the share of
    requests hit, and the effect of a brownout.
    """

    from_s: Seconds = field(default=0.0, name="from")
    until_s: Seconds | None = field(default=None, name="until")
    share: Share = 1.0
    times: Annotated[int, Meta(ge=1)] | None = None
    selector: Selector = Selector()
    rise_s: Seconds = field(default=0.0, name="rise")
    fade_s: Seconds = field(default=0.0, name="fade")
    every_s: Annotated[float, Meta(ge=1e-3, le=1e9)] | None = field(default=None, name="every")
    duty: Share = 0.5
    jitter: Share = 0.0

    def __post_init__(self) -> None:
        if self.until_s is not None and self.until_s <= self.from_s:
            raise ValueError(
                f"the fault ends at {self.until_s:g} s, not after its start at {self.from_s:g} s"
            )

    @property
    def over_s(self) -> float | None:
        """When its last trace is gone, its fading included; None if that is never."""
        return None if self.until_s is None else self.until_s + self.fade_s

    def active(self, since_s: float) -> bool:
        """Whether it may hit anything `since_s` seconds after activation."""
        return self.from_s <= since_s and (
            self.until_s is None or since_s < self.until_s + self.fade_s
        )

    def cycle(self, since_s: float) -> int:
        """The number of the cycle that it is in, from 0."""
        return 0 if self.every_s is None else int((since_s - self.from_s) / self.every_s)

    def strength(self, since_s: float, late: float = 0.0) -> float:
        """How strong it is, 0 to 1. `late`, uniform in [0, 1), is the luck of the present cycle."""
        if not self.active(since_s):
            return 0.0
        if self.every_s is not None and not self._on(since_s, late):
            return 0.0
        strength = 1.0
        if since_s - self.from_s < self.rise_s:
            strength = (since_s - self.from_s) / self.rise_s
        if self.until_s is not None and since_s >= self.until_s:
            strength *= 1 - (since_s - self.until_s) / self.fade_s
        return strength

    def ends_in_s(self, since_s: float, late: float = 0.0) -> float | None:
        """How long until it pauses or begins to fade, in seconds; None if that is never."""
        ends = None if self.until_s is None else max(0.0, self.until_s - since_s)
        if self.every_s is None:
            return ends
        start_s, length_s = self._phase(since_s, late)
        pause = max(0.0, start_s + length_s - since_s)
        return pause if ends is None else min(pause, ends)

    def _on(self, since_s: float, late: float) -> bool:
        start_s, length_s = self._phase(since_s, late)
        return start_s <= since_s < start_s + length_s

    def _phase(self, since_s: float, late: float) -> tuple[float, float]:
        """Start and length of the part of the present cycle in which it is there."""
        every_s = self.every_s or 0.0
        begin_s = self.from_s + self.cycle(since_s) * every_s
        return begin_s + late * self.jitter * (1 - self.duty) * every_s, self.duty * every_s

    @property
    def kind(self) -> str:
        """The name of its kind, as in documents."""
        return str(self.__struct_config__.tag)


class Refuse(_Fault, frozen=True, tag="refuse"):
    """The connection fails `after_s`, before the request's body is read (so no model is known).

    It stands for everything that keeps a request from being sent: DNS and TLS failures too.
    """

    after_s: Seconds = field(default=0.0, name="after")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.selector.model is not None:
            raise ValueError("a refused request is not read: select by another property than model")


class Reset(_Fault, frozen=True, tag="reset"):
    """The connection is reset `after_s` the request was read."""

    after_s: Seconds = field(default=0.0, name="after")


class Hang(_Fault, frozen=True, tag="hang"):
    """No byte is ever answered."""


class Stall(_Fault, frozen=True, tag="stall"):
    """Headers and `after_bytes` of the body, then silence: for ever, or it `lasts_s` and ends."""

    after_bytes: Size = 0
    lasts_s: Seconds | None = field(default=None, name="lasts")


class Drip(_Fault, frozen=True, tag="drip"):
    """The body arrives at `bytes_per_s`."""

    bytes_per_s: Rate = 10.0


class Cut(_Fault, frozen=True, tag="cut"):
    """The body ends early, after `after_bytes` (half of it, if not given): the headers lied."""

    after_bytes: Size | None = None


class Slow(_Fault, frozen=True, tag="slow"):
    """The answer takes `multiplier` times as long, and `add_s` more. All active layers add up."""

    multiplier: Annotated[float, Meta(ge=0.0, le=1e6)] = 1.0
    add_s: Seconds = field(default=0.0, name="add")


class Brownout(_Fault, frozen=True, tag="brownout"):
    """Everything takes up to `multiplier` times as long, on as little as `capacity` of the servers.

    Capacity is that of a simulated provider; the mock service answers everybody at once.
    """

    multiplier: Annotated[float, Meta(ge=1.0, le=1e6)] = 3.0
    capacity: Share = 1.0


class Status(_Fault, frozen=True, tag="status"):
    """An error status, drawn evenly from `statuses` (repeat one to weigh it)."""

    statuses: Annotated[
        tuple[Annotated[int, Meta(ge=400, le=599)], ...], Meta(min_length=1, max_length=100)
    ] = (500,)
    retry_after: RetryAfter = "missing"


class RateLimit(_Fault, frozen=True, tag="rate_limit"):
    """429: always, or when a bucket of `burst` tokens filling at `requests_per_min` is empty.

    `retry_after` is a number of seconds, or: `truth` (when the limit really ends; 60 s if it never
    does), `date` (the same as an HTTP date), `missing`, `zero`, `huge` (a year), `lying` (a tenth
    of the truth).
    """

    requests_per_min: Rate | None = None
    burst: Annotated[int, Meta(ge=1)] = 1
    retry_after: RetryAfter = "truth"


class Credit(_Fault, frozen=True, tag="credit"):
    """No money left, as a `hard` 402 or as a 429 whose body speaks of the `quota`."""

    variant: Literal["hard", "quota"] = "hard"


class Auth(_Fault, frozen=True, tag="auth"):
    """401: the key is not accepted."""


class Malformed(_Fault, frozen=True, tag="malformed"):
    """Status 200 and a body that is no valid answer.

    Four variants are about streams: `bad_event` (one event among the good ones is no JSON),
    `late_error` (an error event after half of the answer), `unfinished` (the body ends after half
    of it) and `unmarked` (only the end marker is missing). Whole answers are as without the fault
    for the first and the last of them, and have an error or half a body for the other two.
    """

    variant: MalformedVariant = "truncated_json"


class ContextLength(_Fault, frozen=True, tag="context_length"):
    """400: the prompt is longer than the model's context."""


class ContentPolicy(_Fault, frozen=True, tag="content_policy"):
    """400: the provider's safety system rejects the prompt."""


class ModelNotFound(_Fault, frozen=True, tag="model_not_found"):
    """404: no such model."""


class Timeout(_Fault, frozen=True, tag="timeout"):
    """504, after `duration_s`."""

    duration_s: Seconds = field(default=30.0, name="duration")


class Ghost(_Fault, frozen=True, tag="ghost"):
    """The work is done and billed, but the answer never arrives: `silence`, or a `reset`."""

    variant: Literal["silence", "reset"] = "silence"


class ClockJump(_Fault, frozen=True, tag="clock_jump"):
    """The wall clock jumps by `by_s` (back if negative), and back again in the end."""

    by_s: Annotated[float, Meta(ge=-1e9, le=1e9)] = field(default=3600.0, name="by")


class Pause(_Fault, frozen=True, tag="pause"):
    """The process of the engine stands still, and finds everything overdue when it goes on."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.until_s is None:
            raise ValueError("a pause needs an end: give `for` or `until`")


class Leave(_Fault, frozen=True, tag="leave"):
    """Clients give up `after_s` the requests that they make meanwhile."""

    after_s: Seconds = field(default=1.0, name="after")


class Crash(_Fault, frozen=True, tag="crash"):
    """An actor of the engine crashes over a message: once, or `every_s`, at most `times`.

    The selector names the providers whose actor it is; `actor` may be the dispatcher instead.
    """

    actor: Literal["provider", "dispatcher"] = "provider"


class Disk(_Fault, frozen=True, tag="disk"):
    """The disk of the engine's store: `full` takes no write, `slow` takes `takes_s` for each, and
    `unsure` writes but reports a failure, as when the answer of a sync gets lost."""

    variant: Literal["full", "slow", "unsure"] = "full"
    takes_s: Seconds = field(default=1.0, name="takes")


class Kill(_Fault, frozen=True, tag="kill"):
    """The process of the engine is killed, maybe in the middle of a write, and is up again
    `down_s` later with what its store kept: once, or `every_s`, at most `times`."""

    down_s: Seconds = field(default=1.0, name="down")


FailingFault: TypeAlias = (
    Refuse
    | Reset
    | Hang
    | Stall
    | Drip
    | Cut
    | Status
    | RateLimit
    | Credit
    | Auth
    | Malformed
    | ContextLength
    | ContentPolicy
    | ModelNotFound
    | Timeout
    | Ghost
)
Fault: TypeAlias = FailingFault | Slow | Brownout
WorldFault: TypeAlias = ClockJump | Pause | Leave | Crash | Disk | Kill

KINDS: Final = tuple(str(kind.__struct_config__.tag) for kind in get_args(Fault))
WORLD_KINDS: Final = tuple(str(kind.__struct_config__.tag) for kind in get_args(WorldFault))
