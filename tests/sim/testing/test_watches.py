"""The checkers that the kit adds fire on what breaks their law, and on nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from understudy_actors.domain.events import (
    ActorCrashed,
    AttemptEnded,
    BreakerCounted,
    BreakerMoved,
    Contained,
    Event,
    HoldSet,
    LimitSet,
    PermitReleased,
    RequestOutcome,
    SlotFreed,
    SlotTaken,
)
from understudy_sim.check import ALL, check
from understudy_sim.testing.worlds import CLAIMS, EVERY
from understudy_sim.world_events import RunEnded

EXTRA = EVERY[len(ALL) :]


def found(events: Sequence[Event]) -> list[str]:
    return [each.monitor for each in check(enumerate(events, 1), EXTRA)]


def moved(source: str, target: str, generation: int, why: str = "") -> Event:
    return BreakerMoved(
        at_s=0.0, scope="p/m", source=source, target=target, generation=generation, why=why
    )


def counted(verdict: str, at_s: float = 0.0) -> Event:
    return BreakerCounted(at_s=at_s, scope="p/m", permit=1, generation=2, verdict=verdict)


def taken(permit: int, in_flight: int) -> Event:
    return SlotTaken(at_s=0.0, endpoint="p/m", permit=permit, in_flight=in_flight)


def ended(permit: int, in_flight: int) -> list[Event]:
    return [
        PermitReleased(
            at_s=0.0, permit=permit, scope="p/m", generation=0, verdict="ok", probe=False
        ),
        SlotFreed(at_s=0.0, endpoint="p/m", permit=permit, in_flight=in_flight),
    ]


def crash(kind: str) -> Event:
    return ActorCrashed(
        at_s=0.0, actor="provider p", incarnation=1, error="KeyError", message_kind=kind
    )


def failed(error: str, verdict: str, elapsed_s: float = 1.0) -> Event:
    return AttemptEnded(
        at_s=0.0,
        attempt=1,
        request="r",
        endpoint="p/m",
        verdict=verdict,
        error=error,
        origin="remote",
        elapsed_s=elapsed_s,
    )


def outcome(status: str) -> Event:
    return RequestOutcome(at_s=0.0, request="r", status=status, attempts=1, elapsed_s=1.0)


HALF_OPEN = moved("open", "half-open", 2)
CLOSES = moved("half-open", "closed", 3, "probes succeeded")
MIXED = [counted("failed" if n % 2 else "ok", n * 0.1) for n in range(40)]
FILLED = [taken(n, n) for n in range(1, 9)]

TRACES: list[tuple[str, list[Event], list[str]]] = [
    ("a crash that was planted", [crash("Poison3")], []),
    ("a crash of its own", [crash("Settle")], ["R1"]),
    (
        "a strategy that raised",
        [Contained(at_s=0.0, where="strategy", who="s", error="KeyError", note="")],
        ["R1"],
    ),
    ("a run that ended", [RunEnded(at_s=9.0, progress="done")], []),
    ("a run that did not", [RunEnded(at_s=9.0, progress="deadlock")], ["R2"]),
    ("two proofs", [HALF_OPEN, counted("ok"), counted("ok"), CLOSES], []),
    ("one proof", [HALF_OPEN, counted("ok"), CLOSES], ["R3"]),
    ("an ignorable one", [HALF_OPEN, counted("ok"), counted("neutral"), CLOSES], ["R3"]),
    ("closed by hand", [HALF_OPEN, moved("half-open", "closed", 3, "reset")], []),
    ("half of them fail, and it opens", [*MIXED[:10], moved("closed", "open", 1)], []),
    ("half of them fail, and it stays", MIXED[:11], ["R4"]),
    ("few of them", MIXED[:9], []),
    ("as many as allowed", FILLED, []),
    ("one more", [*FILLED, taken(9, 9)], ["R5"]),
    ("a success makes room", [*FILLED, *ended(8, 7), taken(9, 8)], []),
    ("a cut takes it", [*FILLED[:4], LimitSet(at_s=0.0, endpoint="p/m", limit=4.0)], []),
    (
        "and is kept",
        [*FILLED[:4], LimitSet(at_s=0.0, endpoint="p/m", limit=4.9), taken(5, 5)],
        ["R5"],
    ),
    ("a server's fault", [failed("server", "failed"), outcome("AllAttemptsFailed")], []),
    ("nobody's fault", [failed("bad_request", "failed")], ["R6"]),
    ("a fault forgiven", [failed("connect", "neutral")], ["R6"]),
    ("a long silence", [failed("silent", "failed", 30.0)], []),
    ("a short one", [failed("silent", "failed", 3.0)], ["R6"]),
    ("a refused key without a hold", [failed("auth", "neutral")], ["R6"]),
    (
        "a refused key",
        [HoldSet(at_s=0.0, scope="p", until=9.0, why="key refused"), failed("auth", "neutral")],
        [],
    ),
    ("ended by one provider's limit", [outcome("RateLimited")], ["R6"]),
]


@pytest.mark.parametrize(("name", "events", "laws"), TRACES, ids=lambda each: str(each)[:40])
def test_a_checker_speaks_when_its_law_is_broken_and_only_then(
    name: str, events: list[Event], laws: list[str]
) -> None:
    assert sorted(set(found(events))) == laws, name


def test_every_checker_states_its_law() -> None:
    assert all(len(claim) > 20 for claim in CLAIMS.values())
    assert {each.name for each in EXTRA} == {"D1", "R1", "R2", "R3", "R4", "R5", "R6"}
