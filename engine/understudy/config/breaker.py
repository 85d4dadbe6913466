"""When to stop asking a provider: a preset, `{trip_after = 5, cooldown = "60s"}`, or in full."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta, field

from understudy.config.faults import BadKey, bad_value
from understudy.config.section import Section
from understudy.config.values import Count, Seconds, SecondsOrZero, Share
from understudy_actors.provider import policy
from understudy_actors.provider.policy import BreakerPolicy

Preset: TypeAlias = Literal["default", "classic", "expire"]
Between: TypeAlias = Annotated[
    float, Meta(gt=0, lt=1, extra={"should": "a number between 0 and 1, both excluded"})
]
AboveZeroShare: TypeAlias = Annotated[
    float, Meta(gt=0, le=1, extra={"should": "a number above 0 and at most 1"})
]
OneOrMore: TypeAlias = Annotated[
    float, Meta(ge=1, le=1e6, extra={"should": "a number from 1 to 1000000"})
]
Buckets: TypeAlias = Annotated[
    int, Meta(ge=1, le=1000, extra={"should": "a whole number from 1 to 1000"})
]


class BreakerConfig(Section, frozen=True, kw_only=True):
    """When a breaker opens, for how long, and how it closes again.

    `trip_after` and `cooldown` alone mean the classic rule with these numbers.

    Attributes:
        preset: default adapts to traffic; classic opens after 5 failures in a row for 60 s;
            expire after 3 for 300 s.
        trip_after: Failures in a row that open it.
        cooldown: How long it stays open, at first.
        growth: Whether `trip_after` grows with the logarithm of traffic.
        growth_from: Outcomes in the long window from which it grows.
        background: The steady failure rate that growth allows for.
        ratio: Share of failures in a window that opens it; 0 for no such rule.
        short_window: Length of the quick window.
        short_buckets: Its resolution.
        short_min: Outcomes it needs.
        long_window: Length of the slow window, for sparse traffic.
        long_buckets: Its resolution.
        long_min: Outcomes it needs.
        factor: What each failed probe multiplies the cooldown by.
        cap: The longest cooldown.
        slow_probe_cap: A slow failed probe lengthens the cooldown up to this; 0 for not at all.
        retry_after_cap: A `Retry-After` lengthens the cooldown up to this; 0 for not at all.
        jitter: Whether cooldowns are drawn between half and full length.
        max_probes: Probes at once while half-open.
        close_after: Probes that must succeed before it closes.
        lease_grace: A probe that has not ended this long after its timeout is given up.
        inconclusive_limit: Probes without information that open it again.
        calm: Closed for this long forgets one step of a longer cooldown.
        ramp: Length of the slow start after closing; 0 for none.
        ramp_floor: Share of its traffic at the beginning of that.
    """

    title: ClassVar[str] = "a breaker"
    should: ClassVar[str] = f"one of {', '.join(get_args(Preset))}, or a table"

    preset: Preset | None = None
    trip_after: Count | None = None
    cooldown_s: Seconds | None = field(default=None, name="cooldown")
    growth: bool | None = None
    growth_from: OneOrMore | None = None
    background: Between | None = None
    ratio: Share | None = None
    short_window_s: Seconds | None = field(default=None, name="short_window")
    short_buckets: Buckets | None = None
    short_min: Count | None = None
    long_window_s: Seconds | None = field(default=None, name="long_window")
    long_buckets: Buckets | None = None
    long_min: Count | None = None
    factor: OneOrMore | None = None
    cap_s: Seconds | None = field(default=None, name="cap")
    slow_probe_cap_s: SecondsOrZero | None = field(default=None, name="slow_probe_cap")
    retry_after_cap_s: SecondsOrZero | None = field(default=None, name="retry_after_cap")
    jitter: bool | None = None
    max_probes: Count | None = None
    close_after: Count | None = None
    lease_grace_s: SecondsOrZero | None = field(default=None, name="lease_grace")
    inconclusive_limit: Count | None = None
    calm_s: Seconds | None = field(default=None, name="calm")
    ramp_s: SecondsOrZero | None = field(default=None, name="ramp")
    ramp_floor: AboveZeroShare | None = None

    @classmethod
    def expand(cls, value: object) -> Mapping[Any, object] | None:
        """Read a preset's name."""
        if not isinstance(value, str):
            return super().expand(value)
        if value not in get_args(Preset):
            raise bad_value(value, cls.should, get_args(Preset))
        return {"preset": value}

    def check(self) -> None:
        """The longest cooldown is no shorter than the first."""
        first_s = self.cooldown_s or _start(self, {}).cooldown_s
        if self.cap_s is not None and self.cap_s < first_s:
            limit = f"`cooldown`, {first_s:g} s"
            raise BadKey(f"is {self.cap_s:g} s: it must not be less than {limit}", "cap")


def breaker_policy(config: BreakerConfig) -> BreakerPolicy:
    """The numbers that the breaker itself works with."""
    given: dict[str, Any] = {
        name: value
        for name in config.__struct_fields__
        if name != "preset" and (value := getattr(config, name)) is not None
    }
    base = _start(config, given)
    if "ratio" in given:
        given["ratio"] = given["ratio"] or None
    if (first_s := given.get("cooldown_s", 0.0)) > base.cap_s:
        given.setdefault("cap_s", first_s)  # a longer cooldown takes its cap along
    return msgspec.structs.replace(base, **given)


def _start(config: BreakerConfig, given: dict[str, Any]) -> BreakerPolicy:
    """The preset's policy; its own two numbers are taken out of `given`."""
    alone = bool(given) and given.keys() <= {"trip_after", "cooldown_s"}
    preset = config.preset or ("classic" if alone else "default")
    if preset == "default":
        if "trip_after" in given:
            given["run_threshold"] = given.pop("trip_after")
        return policy.DEFAULT
    own = {key: given.pop(key) for key in ("trip_after", "cooldown_s") if key in given}
    return policy.classic(**own) if preset == "classic" else policy.expire(**own)
