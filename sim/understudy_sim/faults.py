"""Fault schedules: one format for the mock service, tests, simulator, load test and demo.

A schedule is a list of faults on a timeline that starts at its activation. What happens to a
request is decided here and nowhere else, and is a function of schedule, seed, time and the
requests before it: whoever asks only acts.

    [[faults]]
    kind = "status"
    from = "10s"
    for = "30s"
    share = 0.5
    statuses = [500, 503]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, get_args

import attrs
import msgspec
from msgspec import Meta, Struct

from understudy_actors.runtime.ports import Randomness
from understudy_sim.fault_kinds import (
    KINDS,
    WORLD_KINDS,
    Brownout,
    Facts,
    FailingFault,
    Fault,
    RateLimit,
    Refuse,
    RetryAfterMode,
    Seconds,
    Seed,
    Share,
    Slow,
    Status,
    Timeout,
)
from understudy_sim.reading import Refused, convert, duration_s, read_file

NO_END_S: Final = 60.0  # what is told of a limit that never ends
_FAULTS_MAX: Final = 1000
_DURATIONS: Final = frozenset(
    {"from", "until", "for", "add", "duration", "retry_after", "rise", "fade", "every", "after"}
    | {"lasts", "takes", "down"}
)
_MODES: Final = get_args(RetryAfterMode)


class Schedule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Faults in order of precedence. Without a `seed` of its own it runs on that of its host."""

    faults: Annotated[tuple[Fault, ...], Meta(max_length=_FAULTS_MAX)] = ()
    seed: Seed | None = None


class Failures(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The simple form: each request meets at most one of three failures. `{}` means none."""

    timeout_probability: Share = 0.0
    timeout_duration_seconds: Seconds = 30.0
    rate_limit_probability: Share = 0.0
    server_error_probability: Share = 0.0

    def pick(self, draw: float) -> FailingFault | None:
        """The failure of a request that drew `draw` from [0, 1)."""
        if draw < (edge := self.timeout_probability):
            return Timeout(duration_s=self.timeout_duration_seconds)
        if draw < (edge := edge + self.rate_limit_probability):
            return RateLimit(retry_after="missing")
        if draw < edge + self.server_error_probability:
            return Status()
        return None


class Decision(Struct, frozen=True):
    """What happens to one request.

    Attributes:
        fault: The failure, if any; first match wins.
        multiplier: Factor on the healthy latency, from all `slow` and `brownout` layers.
        add_s: Seconds on top of it.
        ends_in_s: When this failure really ends, in seconds; `NO_END_S` if it never does.
        draw: A number in [0, 1) for what the failure leaves open.
        slowed: How many of these layers hit.
    """

    fault: FailingFault | None = None
    multiplier: float = 1.0
    add_s: float = 0.0
    ends_in_s: float = NO_END_S
    draw: float = 0.0
    slowed: int = 0


def parse_schedule(data: object) -> Schedule:
    """A schedule from what a TOML or JSON parser returned: a table, or the bare list of faults.

    Raises:
        Refused: The message names the key.
    """
    if isinstance(data, Schedule):
        data = msgspec.to_builtins(data)
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        data = {"faults": data}
    if isinstance(data, Mapping) and isinstance(faults := data.get("faults"), Sequence):
        plain = [plain_fault(fault, f"faults[{i}]") for i, fault in enumerate(faults)]
        data = {**data, "faults": plain}
    return convert(data, Schedule, "fault schedule")


def parse_failures(data: object) -> Failures:
    """The simple form from a parsed document.

    Raises:
        Refused: A key is unknown, a value out of bounds, or the probabilities sum to more than 1.
    """
    failures = convert(data, Failures, "failure configuration")
    probabilities = [n for n in failures.__struct_fields__ if n.endswith("_probability")]
    # Tenths do not add up exactly in binary: three shares that are meant to fill 1 must pass.
    if (total := sum(getattr(failures, name) for name in probabilities)) > 1 + 1e-9:
        raise Refused(
            "+".join(probabilities), f"the sum is {total:g}; lower them until it is at most 1"
        )
    return failures


def load_schedule(path: Path) -> Schedule:
    """A schedule from a .toml or .json file.

    Raises:
        Refused: The message names the key.
        OSError: The file cannot be read.
    """
    return parse_schedule(read_file(path))


def canonical_json(schedule: Schedule) -> bytes:
    """The one JSON text of a schedule: sorted keys, seconds, no defaults."""
    return msgspec.json.encode(bare(schedule), order="sorted")


def bare(value: object) -> object:
    """A struct as a table without what equals a default (msgspec omits only what *is* one)."""
    if isinstance(value, tuple):
        return [bare(item) for item in value]
    if not isinstance(value, Struct):
        return value
    table: dict[str, object] = {}
    if isinstance(tag := value.__struct_config__.tag, str):
        table["kind"] = tag
    for known in msgspec.structs.fields(value):
        default = known.default
        if known.default_factory is not msgspec.NODEFAULT:
            default = known.default_factory()
        if (given := getattr(value, known.name)) != default:
            table[known.encode_name] = bare(given)
    return table


def plain_fault(fault: object, path: str, kinds: Sequence[str] = KINDS) -> object:
    """One fault as it was parsed, with its durations in seconds and its end as `until`.

    Raises:
        Refused: Its kind is not one of `kinds`, or a duration is none.
    """
    if not isinstance(fault, Mapping):
        return fault
    if isinstance(kind := fault.get("kind"), str) and kind not in kinds:
        if kind in WORLD_KINDS:
            raise Refused(f"{path}.kind", f"{kind!r} can be simulated only; leave it out here")
        raise Refused(f"{path}.kind", f"{kind!r} is no kind of fault; use {', '.join(kinds)}")
    plain = {
        key: duration_s(value, f"{path}.{key}")
        if key in _DURATIONS and not (key == "retry_after" and value in _MODES)
        else value
        for key, value in fault.items()
    }
    if isinstance(by := plain.get("by"), str):
        length = duration_s(by.strip().removeprefix("-"), f"{path}.by")
        plain["by"] = -length if by.strip().startswith("-") else length  # type: ignore[operator]
    if "for" in plain:
        if "until" in plain:
            raise Refused(f"{path}.for", "the fault has an `until` as well; keep one of the two")
        length, start = plain.pop("for"), plain.get("from", 0.0)
        if isinstance(length, bool) or not isinstance(length, int | float) or length <= 0:
            raise Refused(f"{path}.for", f"expected a length above 0 seconds, got {length!r}")
        # A start of another type is refused by its own name when the struct is made.
        plain["until"] = start + length if isinstance(start, int | float) else length
    return plain


@attrs.define(slots=True)
class _Layer:
    """One fault and what it remembers: how often it hit, and its bucket."""

    fault: Fault
    stream: str
    hits: int = 0
    tokens: float = 0.0
    filled_at: float = 0.0

    def spent(self) -> bool:
        return self.fault.times is not None and self.hits >= self.fault.times


class Injector:
    """A schedule at work for one provider, from one activation on.

    Each draw is keyed by (seed, provider, kind and its place among that kind, request number), so
    no fault changes another kind's luck, and a seed repeats the sequence.
    """

    __slots__ = ("_all", "_layers", "_refusals", "_rng", "activated_at", "provider", "schedule")

    def __init__(self, schedule: Schedule, provider: str, seed: int, activated_at: float) -> None:
        self.schedule = schedule
        self.provider = provider
        self.activated_at = activated_at
        self._rng = Randomness(seed if schedule.seed is None else schedule.seed)
        layers: list[_Layer] = []
        places: dict[str, int] = {}
        for fault in schedule.faults:
            place = places[fault.kind] = places.get(fault.kind, 0) + 1
            layers.append(_Layer(fault, f"fault/{provider}/{fault.kind}/{place}"))
            if isinstance(fault, RateLimit):
                layers[-1].tokens, layers[-1].filled_at = float(fault.burst), activated_at
        self._all = layers
        self._refusals = [layer for layer in layers if isinstance(layer.fault, Refuse)]
        self._layers = [layer for layer in layers if not isinstance(layer.fault, Refuse)]

    def calm(self, now: float) -> bool:
        """Whether no fault may hit anything now: then there is nothing to ask."""
        since_s = now - self.activated_at
        return not any(layer.fault.active(since_s) for layer in self._all)

    def refuse(self, facts: Facts, now: float) -> Refuse | None:
        """Whether the request is refused unread. Asked first, once a request."""
        for layer in self._refusals:
            if self._hits(layer, facts, now):
                layer.hits += 1
                assert isinstance(layer.fault, Refuse)
                return layer.fault
        return None

    def decide(self, facts: Facts, now: float) -> Decision:
        """What happens to a request that was not refused. Asked once a request."""
        if not self._layers:
            return _HEALTHY
        failing, multiplier, add_s, slowed = None, 1.0, 0.0, 0
        for layer in self._layers:
            fault = layer.fault
            if isinstance(fault, Slow):
                if self._hits(layer, facts, now):
                    layer.hits += 1
                    multiplier, add_s = multiplier * fault.multiplier, add_s + fault.add_s
                    slowed += 1
            elif isinstance(fault, Brownout):
                if self._hits(layer, facts, now):
                    layer.hits += 1
                    multiplier *= 1 + (fault.multiplier - 1) * self._strength(layer, now)
                    slowed += 1
            elif failing is None and self._hits(layer, facts, now) and not _admitted(layer, now):
                layer.hits += 1
                failing = layer
        if failing is None:
            return Decision(multiplier=multiplier, add_s=add_s, slowed=slowed)
        assert not isinstance(failing.fault, Slow | Brownout)
        return Decision(
            fault=failing.fault,
            multiplier=multiplier,
            add_s=add_s,
            ends_in_s=self._ends_in_s(failing, now),
            draw=self._rng.uniform(f"{failing.stream}/choice", facts.number),
            slowed=slowed,
        )

    def capacity(self, region: str | None, now: float) -> float:
        """What brownouts leave of the provider's capacity, 0 to 1."""
        left = 1.0
        for layer in self._layers:
            fault = layer.fault
            if isinstance(fault, Brownout) and fault.selector.covers(self.provider, region):
                left *= 1 - (1 - fault.capacity) * self._strength(layer, now)
        return left

    def _hits(self, layer: _Layer, facts: Facts, now: float) -> bool:
        fault = layer.fault
        if not (
            fault.active(now - self.activated_at)
            and fault.selector.matches(facts)
            and not layer.spent()
        ):
            return False
        share, strength = fault.share, self._strength(layer, now)
        if not isinstance(fault, Brownout):
            share *= strength
        return share >= 1 or self._rng.uniform(layer.stream, facts.number) < share

    def _strength(self, layer: _Layer, now: float) -> float:
        since_s = now - self.activated_at
        return layer.fault.strength(since_s, self._late(layer, since_s))

    def _late(self, layer: _Layer, since_s: float) -> float:
        """The luck of a fault's present cycle."""
        fault = layer.fault
        if not fault.jitter or fault.every_s is None:
            return 0.0
        return self._rng.uniform(f"{layer.stream}/cycle", fault.cycle(since_s))

    def _ends_in_s(self, layer: _Layer, now: float) -> float:
        """Seconds until the fault lets a request like this one through."""
        fault, since_s = layer.fault, now - self.activated_at
        ends_in_s = fault.ends_in_s(since_s, self._late(layer, since_s))
        ends = NO_END_S if ends_in_s is None else ends_in_s
        if isinstance(fault, RateLimit) and fault.requests_per_min is not None:
            refilled = (1 - layer.tokens) * 60 / fault.requests_per_min
            return refilled if ends_in_s is None else min(refilled, ends)
        return ends


_HEALTHY: Final = Decision()


def _admitted(layer: _Layer, now: float) -> bool:
    """Whether a bucket lets the request through; a fault without a bucket never does."""
    fault = layer.fault
    if not isinstance(fault, RateLimit) or fault.requests_per_min is None:
        return False
    refill = max(0.0, now - layer.filled_at) * fault.requests_per_min / 60
    layer.tokens, layer.filled_at = min(float(fault.burst), layer.tokens + refill), now
    if layer.tokens < 1:
        return False
    layer.tokens -= 1
    return True
