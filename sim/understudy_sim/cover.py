"""What a campaign has seen, and whether it saw enough to mean anything.

A coverage is a set of counters by name, each with the number of runs in which that came up:

    fault/hang@failover      a fault, as an attempt met it, and what the attempt was for
    breaker/open>half-open   a transition
    message/provider:Settle  a message that an actor was told of in an event
    refused/..., hold/..., error/..., outcome/...   words of the engine
    event/att.ended          a kind of event
    tie/att.ended>req.outcome    neighbours at one moment, in order
    law/S12                  a law that had something to judge

Counters add up, so that the coverage of two campaigns is that of both together.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final

import attrs

from understudy_actors.domain.events import (
    ActorCrashed,
    AskOpened,
    AttemptAdmitted,
    AttemptDispatched,
    AttemptEnded,
    AttemptRefused,
    BreakerMoved,
    DeadLetter,
    Event,
    FailedOver,
    HoldSet,
    RequestOutcome,
    RetryScheduled,
    SlowTurn,
    TurnEnded,
)
from understudy_actors.domain.store_events import StoreFailing
from understudy_sim.check import Watch
from understudy_sim.run import Run
from understudy_sim.scenario import AnyFault, Scenario
from understudy_sim.world_events import EngineKilled

SHAPE_DIGITS: Final = 12
_ANY: Final = frozenset({None, "silent", "cancelled"})
_SHOWS_AS: Final[Mapping[str, frozenset[str | None]]] = {
    "refuse": frozenset({"connect"}),
    "reset": frozenset({"reset"}),
    "hang": frozenset({"silent"}),
    "stall": frozenset({"silent"}),
    "drip": frozenset({"silent", None}),
    "timeout": frozenset({"silent", "timeout"}),
    "cut": frozenset({"reset", "malformed"}),
    "status": frozenset({"server", "overloaded", "timeout", "conflict", "bad_request"}),
    "rate_limit": frozenset({"rate_limit"}),
    "credit": frozenset({"quota"}),
    "auth": frozenset({"auth"}),
    "malformed": frozenset({"malformed", "server", None}),
    "ghost": frozenset({"silent", "reset"}),
    "context_length": frozenset({"context_length"}),
    "content_policy": frozenset({"content_policy"}),
    "model_not_found": frozenset({"model_not_found"}),
    "slow": _ANY,
    "brownout": _ANY,
}
"""As which errors an attempt may meet each fault; None is an answer."""
_WORLD: Final[Mapping[str, tuple[type[Event], ...]]] = {
    "leave": (RequestOutcome,),
    "crash": (ActorCrashed,),
    "pause": (AttemptEnded, RequestOutcome),
    "clock_jump": (AttemptEnded, HoldSet),
    "kill": (EngineKilled,),
    "disk": (StoreFailing, AttemptEnded),
}
_MUTE: Final = frozenset(
    {"actor.start", "actor.stop", "actor.crash", "actor.gaveup", "actor.restart", "Event"}
)
"""Events that most laws hear only to know who is up; to have heard them judges nothing."""


@attrs.define
class Coverage:
    """What some runs have seen.

    Attributes:
        runs: How many there were.
        marks: Name to the number of runs in which it came up; see the module.
        shapes: Courses that requests took, each with the number of runs that had it.
        trivial: How many runs were so in each way that makes a run say little.
        steps, contests: Sums over the runs.
    """

    runs: int = 0
    marks: Counter[str] = attrs.Factory(Counter)
    shapes: Counter[str] = attrs.Factory(Counter)
    trivial: Counter[str] = attrs.Factory(Counter)
    steps: int = 0
    contests: int = 0

    def add(self, other: Coverage) -> None:
        """Take in what others have seen."""
        self.runs += other.runs
        self.marks += other.marks
        self.shapes += other.shapes
        self.trivial += other.trivial
        self.steps += other.steps
        self.contests += other.contests

    @property
    def expected_new(self) -> float:
        """Courses of requests not seen yet that the next run will show, as expected.

        Good's and Turing's estimate: courses seen in one run only, by runs. Source: Good, "The
        Population Frequencies of Species", Biometrika 40 (1953).
        """
        once = sum(count == 1 for count in self.shapes.values())
        return once / self.runs if self.runs else float("inf")

    def of(self, what: str) -> dict[str, int]:
        """The marks of one sort, such as `fault`, without that name, most frequent first."""
        marks = ((m.removeprefix(f"{what}/"), n) for m, n in self.marks.items())
        own = [(m, n) for m, n in marks if f"{what}/{m}" in self.marks]
        return dict(sorted(own, key=lambda each: (-each[1], each[0])))

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a boundary between processes."""
        return {
            "runs": self.runs,
            "marks": dict(sorted(self.marks.items())),
            "shapes": dict(sorted(self.shapes.items())),
            "trivial": dict(sorted(self.trivial.items())),
            "steps": self.steps,
            "contests": self.contests,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Coverage:
        """The inverse of `to_dict`."""
        counters = {key: Counter(plain[key]) for key in ("marks", "shapes", "trivial")}
        return cls(runs=plain["runs"], steps=plain["steps"], contests=plain["contests"], **counters)


def cover(run: Run, laws: Iterable[Watch] = ()) -> Coverage:
    """What one run has seen, under these laws."""
    events = [event for _, event in run.events]
    told = [event for event in events if type(event) is not TurnEnded]  # they end in between
    marks = {*_plain(events), *_ties(told), *_faults(run.scenario, told), *_laws(events, laws)}
    return Coverage(
        runs=1,
        marks=Counter(marks),
        shapes=Counter(_shapes(events)),
        trivial=Counter(_trivial(run, events, marks)),
        steps=run.steps,
        contests=run.contests,
    )


def tag(event: Event | type[Event]) -> str:
    """The kind of an event, as in traces."""
    return str(event.__struct_config__.tag)


def _plain(events: Iterable[Event]) -> Iterator[str]:
    for event in events:
        yield f"event/{tag(event)}"
        match event:
            case BreakerMoved(source=source, target=target):
                yield f"breaker/{source}>{target}"
            case AttemptRefused(reason=reason):
                yield f"refused/{reason}"
            case HoldSet(why=why):
                yield f"hold/{why}"
            case AttemptEnded(error=error) if error is not None:
                yield f"error/{error}"
            case RequestOutcome(status=status):
                yield f"outcome/{status}"
            case ActorCrashed() | DeadLetter() | SlowTurn() | TurnEnded():
                yield f"message/{_kind_of(event.actor)}:{event.message_kind.rstrip('0123456789')}"
            case AskOpened(actor=actor):
                yield f"message/{_kind_of(actor)}:ask"
            case _:
                pass


def _kind_of(actor: str) -> str:
    return actor.partition("/")[0]


def _ties(events: list[Event]) -> Iterator[str]:
    for before, event in itertools.pairwise(events):
        if before.at_s == event.at_s:
            yield f"tie/{tag(before)}>{tag(event)}"


def _faults(scenario: Scenario, events: Iterable[Event]) -> Iterator[str]:
    """Every fault that was met, with what the engine was about when it met it."""
    purposes = _Purposes()
    regions = {each.name: each.region for each in scenario.fleet}
    for event in events:
        purposes.hear(event)
        for fault in scenario.faults:
            kind = fault.kind
            if kind in _WORLD:
                if isinstance(event, _WORLD[kind]) and _meanwhile(fault, event):
                    yield f"fault/{kind}@{tag(event)}"
            elif isinstance(event, AttemptEnded) and _met(fault, event, purposes, regions):
                yield f"fault/{kind}@{purposes.purpose(event.attempt)}"


def _meanwhile(fault: AnyFault, event: Event) -> bool:
    if fault.kind == "leave" and getattr(event, "status", None) != "cancelled":
        return False
    over_s = fault.over_s
    return fault.from_s <= event.at_s and (over_s is None or event.at_s <= over_s + 1.0)


def _met(
    fault: AnyFault, event: AttemptEnded, purposes: _Purposes, regions: Mapping[str, str | None]
) -> bool:
    provider = event.endpoint.partition("/")[0]
    return (
        event.error in _SHOWS_AS[fault.kind]
        and fault.selector.covers(provider, regions.get(provider))
        and fault.active(purposes.began_at(event))
    )


class _Purposes:
    """What each attempt was for: `first`, `retry`, `failover` or `probe`."""

    def __init__(self) -> None:
        self._next: dict[str, str] = {}
        self._attempts: dict[int, str] = {}
        self._began: dict[int, float] = {}

    def hear(self, event: Event) -> None:
        """Follow the trace."""
        match event:
            case FailedOver(request=request):
                self._next[request] = "failover"
            case RetryScheduled(request=request, why="retry"):
                self._next[request] = "retry"
            case AttemptAdmitted(attempt=attempt, request=request, probe=probe):
                purpose = self._next.pop(request, "first")
                self._attempts[attempt] = "probe" if probe else purpose
            case AttemptDispatched(attempt=attempt, at_s=at_s):
                self._began[attempt] = at_s
            case _:
                pass

    def purpose(self, attempt: int) -> str:
        """What it is for."""
        return self._attempts.get(attempt, "first")

    def began_at(self, event: AttemptEnded) -> float:
        """When it was sent."""
        return self._began.get(event.attempt, event.at_s)


def _laws(events: Iterable[Event], laws: Iterable[Watch]) -> Iterator[str]:
    """Laws that heard at least half of what they listen for: they had something to judge."""
    seen = {tag(event) for event in events}
    for law in laws:
        own = {tag(kind) for kind in law.hears if kind is not Event} - _MUTE
        if len(own & seen) * 2 >= len(own):
            yield f"law/{law.name} {type(law).__name__}"


def _shapes(events: Iterable[Event]) -> set[str]:
    """The courses that requests took: what happened to each, without names and times."""
    courses: dict[str, list[str]] = {}
    for event in events:
        request = getattr(event, "request", None)
        if isinstance(request, str):
            courses.setdefault(request, []).append(_step(event))
    return {
        blake2b("\n".join(course).encode(), digest_size=SHAPE_DIGITS // 2).hexdigest()
        for course in courses.values()
    }


def _step(event: Event) -> str:
    match event:
        case AttemptEnded(verdict=verdict, error=error):
            return f"ended {verdict} {error}"
        case AttemptAdmitted(probe=probe):
            return f"admitted {probe}"
        case AttemptRefused(reason=reason):
            return f"refused {reason}"
        case RequestOutcome(status=status):
            return f"outcome {status}"
        case _:
            return tag(event)


def _trivial(run: Run, events: Iterable[Event], marks: set[str]) -> Iterator[str]:
    ends = [event for event in events if isinstance(event, AttemptEnded)]
    if not any(event.error is not None for event in ends):
        yield "nothing failed"
    if not any(each.ok for each in run.requests):
        yield "everything failed"
    if "event/failover" not in marks:
        yield "no failover"
    if run.scenario.faults and not any(mark.startswith("fault/") for mark in marks):
        yield "no fault was met"
