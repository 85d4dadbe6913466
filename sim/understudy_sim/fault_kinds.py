"""The vocabulary of faults: one struct a kind, with that kind's own parameters.

A fault is an interval on a timeline, a selector and a share of the requests that it selects. All
kinds but `slow` are *failing*: they replace the answer, or break it. In documents times are
seconds or texts such as "10s", and are written without the `_s` that ends them here.
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
    "truncated_json", "html", "empty", "wrong_type", "error_in_200", "absurd_usage"
]


class Facts(Struct, frozen=True, kw_only=True):
    """What is known of one request. `number` counts the requests of `provider` since activation."""

    number: int
    provider: str = ""
    model: str | None = None
    operation: str | None = None
    path: str | None = None
    key: str | None = None

    def __repr__(self) -> str:  # without the key
        return f"<Facts {self.provider}#{self.number} {self.path} {self.model}>"


class Selector(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which requests a fault is for: all the named properties must be equal."""

    provider: str | None = None
    model: str | None = None
    operation: str | None = None
    path: str | None = None
    key: str | None = None

    def matches(self, facts: Facts) -> bool:
        """Whether `facts` has every property that is named here."""
        return (
            (self.provider is None or self.provider == facts.provider)
            and (self.model is None or self.model == facts.model)
            and (self.operation is None or self.operation == facts.operation)
            and (self.path is None or self.path == facts.path)
            and (self.key is None or self.key == facts.key)
        )

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
    """

    from_s: Seconds = field(default=0.0, name="from")
    until_s: Seconds | None = field(default=None, name="until")
    share: Share = 1.0
    times: Annotated[int, Meta(ge=1)] | None = None
    selector: Selector = Selector()

    def __post_init__(self) -> None:
        if self.until_s is not None and self.until_s <= self.from_s:
            raise ValueError(
                f"the fault ends at {self.until_s:g} s, not after its start at {self.from_s:g} s"
            )

    def active(self, since_s: float) -> bool:
        """Whether it is active `since_s` seconds after activation."""
        return self.from_s <= since_s and (self.until_s is None or since_s < self.until_s)

    @property
    def kind(self) -> str:
        """The name of its kind, as in documents."""
        return str(self.__struct_config__.tag)


class Refuse(_Fault, frozen=True, tag="refuse"):
    """The connection is reset before the request's body is read (so no model can be selected)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.selector.model is not None:
            raise ValueError("a refused request is not read: select by another property than model")


class Reset(_Fault, frozen=True, tag="reset"):
    """The connection is reset after the request was read."""


class Hang(_Fault, frozen=True, tag="hang"):
    """No byte is ever answered."""


class Stall(_Fault, frozen=True, tag="stall"):
    """Headers and `after_bytes` of the body, then silence."""

    after_bytes: Size = 0


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
    """Status 200 and a body that is no valid answer."""

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
)
Fault: TypeAlias = FailingFault | Slow

KINDS: Final = tuple(str(kind.__struct_config__.tag) for kind in get_args(Fault))
