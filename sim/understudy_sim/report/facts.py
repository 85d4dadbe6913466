"""The facts that a report shows, gathered from a run in one pass over its events.

They are small, however long the run was, so a run can be let go before the next one begins.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import attrs
from msgspec import Struct

from understudy_actors.domain.events import (
    AttemptDispatched,
    BreakerMoved,
    Event,
    HoldCleared,
    HoldSet,
)
from understudy_sim.headline import Headline, headline, quantile
from understudy_sim.run import RequestRecord, Run
from understudy_sim.world_events import FaultBegan, FaultEnded, Served

SLICES_MAX: Final = 90
CLOSED: Final = "closed"
HELD: Final = "held"
_LENGTHS_S: Final = (
    0.1,
    0.2,
    0.5,
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    1800,
    3600,
    7200,
    21_600,
)
_DAY_S: Final = 86_400.0
_READ: Final = frozenset(
    {AttemptDispatched, Served, BreakerMoved, HoldSet, HoldCleared, FaultBegan, FaultEnded}
)


class Slice(Struct, frozen=True, kw_only=True):
    """What became of the requests that arrived in [`from_s`, `until_s`).

    Attributes:
        ok, degraded, failed, cancelled: How they ended; a client that left cancelled.
        by_provider: Provider to how many of them it answered.
        p50_s, p95_s, p99_s: Time to an answer; None if nobody was answered.
        calls: Calls to providers that began in this time.
        billed_usd: Provider to what it charged in this time.
    """

    from_s: float
    until_s: float
    ok: int = 0
    degraded: int = 0
    failed: int = 0
    cancelled: int = 0
    by_provider: dict[str, int]
    p50_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None
    calls: int = 0
    billed_usd: dict[str, float]

    @property
    def requests(self) -> int:
        """How many arrived."""
        return self.ok + self.degraded + self.failed + self.cancelled

    @property
    def availability(self) -> float | None:
        """Share that a provider answered, those that left not counted; None of nobody."""
        counted = self.requests - self.cancelled
        return self.ok / counted if counted else None

    @property
    def calls_per_request(self) -> float | None:
        """Calls to providers for each request; None if nobody asked."""
        return self.calls / self.requests if self.requests else None


class Window(Struct, frozen=True, kw_only=True):
    """The time during which a fault was there."""

    fault: str
    kind: str
    target: str
    from_s: float
    until_s: float


class Stay(Struct, frozen=True, kw_only=True):
    """A scope was in one state: a breaker's, or `held`."""

    state: str
    from_s: float
    until_s: float


class Facts(Struct, frozen=True, kw_only=True):
    """Everything that a report says of one run.

    Attributes:
        scenario, description, seed, document: What was run, the last as a content hash.
        strategy: How the engine ordered candidates.
        length_s: Until the last request was over.
        progress: `done`, or why the run was ended.
        outcomes: Status to how many requests ended so.
        providers: In the order of the fleet.
        slices: In order of time.
        windows: In order of their beginning.
        ribbons: Scope to its states in order; only scopes that ever left `closed` or were held.
        violations: Law to what broke it first, and how often it was broken; None: nobody looked.
        semantic_digest: Of all events.
    """

    scenario: str
    description: str
    seed: int
    document: str
    strategy: str
    length_s: float
    progress: str
    headline: Headline
    outcomes: dict[str, int]
    providers: tuple[str, ...]
    slices: tuple[Slice, ...]
    windows: tuple[Window, ...]
    ribbons: dict[str, tuple[Stay, ...]]
    violations: dict[str, tuple[str, int]] | None
    semantic_digest: str


def gather(
    run: Run, violations: Iterable[Any] | None = None, *, slice_s: float | None = None
) -> Facts:
    """The facts of a run, and of what its checkers found, if they looked.

    `slice_s` is the length of a slice, where runs are to be laid over each other.
    """
    scenario = run.scenario
    length_s = max([scenario.horizon_s, *(each.ended_at for each in run.requests)])
    told = _Told(length_s, slice_s or slice_length_s(length_s))
    told.read(run.events)
    return Facts(
        scenario=scenario.name,
        description=" ".join(scenario.description.split()),
        seed=scenario.seed,
        document=scenario.content_hash,
        strategy=str(scenario.engine.get("strategy", "adaptive")),
        length_s=length_s,
        progress=run.progress,
        headline=headline(run),
        outcomes=dict(Counter(each.status for each in run.requests).most_common()),
        providers=tuple(each.name for each in scenario.fleet),
        slices=tuple(_slices(run.requests, told)),
        windows=tuple(told.windows()),
        ribbons={scope: tuple(told.stays(scope)) for scope in sorted({*told.moves, *told.holds})},
        violations=None if violations is None else first_of_each(violations),
        semantic_digest=run.semantic_digest,
    )


def first_of_each(violations: Iterable[Any]) -> dict[str, tuple[str, int]]:
    """Law to the sentence of its first violation, and to how many there were."""
    found: dict[str, tuple[str, int]] = {}
    for each in violations:
        sentence, count = found.get(each.monitor, (each.sentence, 0))
        found[each.monitor] = (sentence, count + 1)
    return found


def slice_length_s(length_s: float) -> float:
    """A round length of which at most `SLICES_MAX` cover `length_s`."""
    least = length_s / SLICES_MAX
    days = math.ceil(least / _DAY_S) * _DAY_S
    return next((float(each) for each in _LENGTHS_S if each >= least), days)


@attrs.define
class _Told:
    """What the events tell that the requests' own records do not."""

    length_s: float
    slice_s: float
    calls: Counter[int] = attrs.Factory(Counter)
    billed: dict[int, dict[str, float]] = attrs.Factory(dict)
    moves: dict[str, list[tuple[float, str]]] = attrs.Factory(dict)
    holds: dict[str, list[tuple[float, float]]] = attrs.Factory(dict)
    began: dict[str, FaultBegan] = attrs.Factory(dict)
    ended: dict[str, float] = attrs.Factory(dict)

    def read(self, events: Iterable[tuple[int, Event]]) -> None:
        """Take in every event."""
        slice_s = self.slice_s
        for _, event in events:
            if type(event) not in _READ:  # of a long run most are not
                continue
            match event:
                case AttemptDispatched(at_s=at_s):
                    self.calls[int(at_s // slice_s)] += 1
                case Served(at_s=at_s, provider=provider, billed_usd=usd) if usd:
                    bill = self.billed.setdefault(int(at_s // slice_s), {})
                    bill[provider] = bill.get(provider, 0.0) + usd
                case BreakerMoved(at_s=at_s, scope=scope, target=target):
                    self.moves.setdefault(scope, []).append((at_s, target))
                case HoldSet(at_s=at_s, scope=scope, until=until):
                    self.holds.setdefault(scope, []).append((at_s, until))
                case HoldCleared(at_s=at_s, scope=scope):
                    self.holds.setdefault(scope, []).append((at_s, at_s))
                case FaultBegan(fault=fault):
                    self.began[fault] = event
                case FaultEnded(at_s=at_s, fault=fault):
                    self.ended[fault] = at_s
                case _:
                    pass

    def windows(self) -> list[Window]:
        """The faults in order of their beginning; one without an end lasts as long as the run."""
        return [
            Window(
                fault=each.fault,
                kind=each.fault_kind,
                target=each.target,
                from_s=each.at_s,
                until_s=min(self.ended.get(each.fault, self.length_s), self.length_s),
            )
            for each in sorted(self.began.values(), key=lambda each: each.at_s)
        ]

    def stays(self, scope: str) -> list[Stay]:
        """The states of a scope one after another; a hold shows only over a closed breaker."""
        moves = self.moves.get(scope, [])
        held = _spans(self.holds.get(scope, []), self.length_s)
        edges = {0.0, self.length_s, *(at for at, _ in moves), *(e for span in held for e in span)}
        cuts = sorted(each for each in edges if 0.0 <= each <= self.length_s)
        stays: list[Stay] = []
        for start, end in itertools.pairwise(cuts):
            before = bisect.bisect_right(moves, start, key=lambda move: move[0])
            state = moves[before - 1][1] if before else CLOSED
            if state == CLOSED and any(since <= start < until for since, until in held):
                state = HELD
            if stays and stays[-1].state == state:
                start = stays.pop().from_s
            stays.append(Stay(state=state, from_s=start, until_s=end))
        return stays


def _spans(holds: list[tuple[float, float]], length_s: float) -> list[tuple[float, float]]:
    """From when until when a scope was held: each word on it lasts until the next one."""
    nexts = [*(at for at, _ in holds[1:]), length_s][: len(holds)]
    spans = ((at, min(until, then)) for (at, until), then in zip(holds, nexts, strict=True))
    return [(at, until) for at, until in spans if until > at]


def _slices(records: list[RequestRecord], told: _Told) -> list[Slice]:
    slice_s = told.slice_s
    arrived: dict[int, list[RequestRecord]] = {}
    for each in records:
        arrived.setdefault(int(each.arrived_at // slice_s), []).append(each)
    count = math.ceil(told.length_s / slice_s - 1e-9)
    return [_slice(at, arrived.get(at, []), told) for at in range(count)]


def _slice(at: int, records: list[RequestRecord], told: _Told) -> Slice:
    times = sorted(each.elapsed_s for each in records if each.ok)
    ends = Counter(
        each.status if each.status in ("ok", "degraded", "cancelled") else "failed"
        for each in records
    )
    return Slice(
        from_s=at * told.slice_s,
        until_s=min((at + 1) * told.slice_s, told.length_s),
        ok=ends["ok"],
        degraded=ends["degraded"],
        failed=ends["failed"],
        cancelled=ends["cancelled"],
        by_provider=dict(Counter(each.provider or "" for each in records if each.ok)),
        p50_s=quantile(times, 0.5),
        p95_s=quantile(times, 0.95),
        p99_s=quantile(times, 0.99),
        calls=told.calls[at],
        billed_usd=told.billed.get(at, {}),
    )
