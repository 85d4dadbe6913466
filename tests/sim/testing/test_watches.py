"""The checkers that the kit adds fire on what breaks their law, and on nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from understudy_actors.domain.events import (
    ActorCrashed,
    AttemptDispatched,
    AttemptEnded,
    BreakerCounted,
    BreakerMoved,
    Contained,
    Decided,
    Event,
    HoldSet,
    LimitSet,
    PermitReleased,
    PermitTaken,
    RequestOutcome,
    RetryScheduled,
    SlotFreed,
    SlotTaken,
)
from understudy_actors.domain.rate_events import RateShut
from understudy_sim.check import ALL, check
from understudy_sim.testing.worlds import CLAIMS, EVERY
from understudy_sim.world_events import FaultBegan, RunEnded, Served

EXTRA = EVERY[len(ALL) :]
JUDGED = [each for each in EVERY if each in EXTRA or each.name in ("R3", "R4", "R5", "R6")]


def found(events: Sequence[Event]) -> list[str]:
    return [each.monitor for each in check(enumerate(events, 1), JUDGED)]


def moved(source: str, target: str, generation: int, why: str = "") -> Event:
    return BreakerMoved(
        at_s=0.0, scope="p/m", source=source, target=target, generation=generation, why=why
    )


def counted(verdict: str, at_s: float = 0.0) -> Event:
    return BreakerCounted(at_s=at_s, scope="p/m", permit=1, generation=2, verdict=verdict)


def taken(permit: int, in_flight: int, request: str | None = None, at_s: float = 0.0) -> Event:
    return SlotTaken(at_s=at_s, endpoint="p/m", permit=permit, in_flight=in_flight, request=request)


def ended(permit: int, in_flight: int, verdict: str = "ok", at_s: float = 0.0) -> list[Event]:
    return [
        PermitReleased(
            at_s=at_s, permit=permit, scope="p/m", generation=0, verdict=verdict, probe=False
        ),
        SlotFreed(at_s=at_s, endpoint="p/m", permit=permit, in_flight=in_flight),
    ]


def again(permit: int) -> list[Event]:
    """A success of one that had all slots but its own beside it, and the next one in its place."""
    return [*ended(permit, 7), taken(permit, 8)]


def limited(limit: float, at_s: float = 0.0, request: str | None = None) -> Event:
    return LimitSet(at_s=at_s, endpoint="p/m", limit=limit, request=request)


def later(request: str) -> list[Event]:
    """The attempt in flight is over, and another one of the same request began."""
    return [*ended(1, 0), taken(2, 1, request, 1.0)]


def lent() -> Event:
    return PermitTaken(at_s=0.0, permit=9, scope="p/m", generation=2, probe=True)


def sent(attempt: int = 1) -> Event:
    return AttemptDispatched(at_s=0.0, attempt=attempt, request="r", endpoint="p/m")


def answered(status: int | None = None, told_s: float | None = None, **fields: Any) -> Event:
    return Served(
        at_s=0.0,
        request_id="r",
        provider="p",
        model="m",
        ok=status is None,
        status=status,
        retry_after_s=told_s,
        **fields,
    )


def read(error: str | None, status: int | None = None, told_s: float | None = None) -> Event:
    verdict = "ok" if error is None else "throttled" if status in (429, 529) else "failed"
    return AttemptEnded(
        at_s=1.0,
        attempt=1,
        request="r",
        endpoint="p/m",
        verdict=verdict,
        error=error,
        status=status,
        retry_after_s=told_s,
    )


def ranked(*names: str, at_s: float = 0.0, **left_out: str) -> Event:
    out = {f"p/{model}": why.replace("_", " ") for model, why in left_out.items()}
    return Decided(at_s=at_s, request="r", strategy="adaptive", ranked=names, left_out=out)


def held(until: float = 9.0, scope: str = "p/m") -> Event:
    return HoldSet(at_s=0.0, scope=scope, until=until, why="rate limited")


def out_of_rate(scope: str = "p/m", until: float | None = None) -> Event:
    return RateShut(at_s=0.0, scope=scope, until=until)


def crash(kind: str) -> Event:
    return ActorCrashed(
        at_s=0.0, actor="provider p", incarnation=1, error="KeyError", message_kind=kind
    )


def answer(at_s: float) -> Event:
    return AttemptEnded(at_s=at_s, attempt=1, request="r", endpoint="p/m", verdict="ok")


def failed(error: str, verdict: str, elapsed_s: float = 1.0, at_s: float = 0.0) -> Event:
    return AttemptEnded(
        at_s=at_s,
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
HEALED = [HALF_OPEN, counted("ok"), counted("ok"), CLOSES]
MIXED = [counted("failed" if n % 2 else "ok", n * 0.1) for n in range(40)]
JUMP = FaultBegan(at_s=0.0, fault="0", fault_kind="clock_jump", target="all")
PAUSE = RetryScheduled(at_s=0.0, request="r", endpoint="p/m", wait_s=1.0, why="retry")
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
    ("too many", [HALF_OPEN, counted("ok"), counted("ok"), counted("ok"), CLOSES], ["R3"]),
    ("enough, and one more lent", [HALF_OPEN, counted("ok"), counted("ok"), lent()], ["R3"]),
    ("not enough, and one more lent", [HALF_OPEN, counted("ok"), lent()], []),
    ("an ignorable one", [HALF_OPEN, counted("ok"), counted("neutral"), CLOSES], ["R3"]),
    ("closed by hand", [HALF_OPEN, moved("half-open", "closed", 3, "reset")], []),
    ("half of them fail, and it opens", [*MIXED[:10], moved("closed", "open", 1)], []),
    ("half of them fail, and it stays", MIXED[:11], ["R4"]),
    ("few of them", MIXED[:9], []),
    ("as many as allowed", FILLED, []),
    ("one more", [*FILLED, taken(9, 9)], ["R5"]),
    ("a success makes room", [*FILLED, *ended(8, 7), taken(9, 8)], []),
    ("a cut takes it", [*FILLED[:4], limited(6.8)], []),
    ("a cut too deep", [*FILLED[:4], limited(4.0)], ["R5"]),
    ("and is kept", [*FILLED[:6], limited(6.8), taken(7, 7)], ["R5"]),
    ("after growth", [*FILLED, *ended(8, 7), limited(9 * 0.85)], []),
    ("without growth", [*FILLED, *ended(8, 7), limited(8 * 0.85)], ["R5"]),
    ("old news", [taken(1, 1, "r"), limited(6.8, 1.0, "q"), limited(5.78, 2.0, "r")], ["R5"]),
    ("news", [taken(1, 1, "r"), limited(6.8, 1.0, "q"), *later("r"), limited(5.78, 2.0, "r")], []),
    ("full, it said", [taken(1, 1), limited(6.8), *ended(1, 0, "throttled")], []),
    ("and nothing came of it", [taken(1, 1), *ended(1, 0, "throttled", 1.0)], ["R5"]),
    ("a start anew", [*HEALED, limited(8.0), *FILLED[:3], limited(6.8)], []),
    ("that is a cut", [*HEALED, limited(6.8)], ["R5"]),
    ("the most is kept", [*FILLED, *(each for _ in range(300) for each in again(8))], []),
    ("a server's fault", [failed("server", "failed"), outcome("AllAttemptsFailed")], []),
    ("nobody's fault", [failed("bad_request", "failed")], ["R6"]),
    ("a fault forgiven", [failed("connect", "neutral")], ["R6"]),
    ("a long silence", [failed("silent", "failed", 30.0)], []),
    ("a short one", [answer(0.0), failed("silent", "failed", 3.0, 9.0)], ["R6"]),
    ("a short one of many", [answer(0.0), failed("silent", "failed", 3.0, 10.0)], []),
    ("a refused key without a hold", [failed("auth", "neutral")], ["R6"]),
    (
        "a refused key",
        [HoldSet(at_s=0.0, scope="p", until=9.0, why="key refused"), failed("auth", "neutral")],
        [],
    ),
    ("no such model", [HoldSet(at_s=0.0, scope="p/m", until=9.0, why="model not found")], []),
    ("no model at all", [HoldSet(at_s=0.0, scope="p", until=9.0, why="model not found")], ["R6"]),
    ("ended by one provider's limit", [outcome("RateLimited")], ["R6"]),
    ("a good answer", [sent(), answered(), read(None)], []),
    ("a broken one taken for good", [sent(), answered(spoiled=True), read(None)], ["R7"]),
    ("a broken one", [sent(), answered(spoiled=True), read("malformed")], []),
    ("read, and told as never sent", [sent(), answered(), read("connect")], ["R7"]),
    ("never read", [sent(), answered(), sent(), read("connect")], []),
    ("a status", [sent(), answered(504), read("timeout", 504)], []),
    ("another one", [sent(), answered(504), read("server", 504)], ["R7"]),
    ("a delay", [sent(), answered(429, 9.0), read("rate_limit", 429, 8.0)], []),
    ("not read", [sent(), answered(429, 9.0), read("rate_limit", 429)], ["R7"]),
    ("too short", [sent(), answered(429, 9.0), read("rate_limit", 429, 5.0)], ["R7"]),
    ("too long", [sent(), answered(429, 9.0), read("rate_limit", 429, 12.0)], ["R7"]),
    ("not believed", [sent(), answered(500, 9.0), read("server", 500)], []),
    ("by a clock that jumps", [JUMP, answered(429, 9.0), read("rate_limit", 429, 99.0)], []),
    ("not even so", [JUMP, answered(429, 9.0), read("rate_limit", 429)], ["R7"]),
    ("ranked", [ranked("p/m")], []),
    ("ranked though held", [held(), ranked("p/m")], ["R8"]),
    ("ranked though its account is", [held(scope="p"), ranked("p/m")], ["R8"]),
    ("ranked when that is over", [held(), ranked("p/m", at_s=9.0)], []),
    ("ranked though open", [moved("closed", "open", 1), ranked("p/m")], ["R8"]),
    ("asked again", [PAUSE, held(), ranked("p/m")], []),
    ("left out while held", [held(), ranked(m="rate_limited")], []),
    ("left out while held otherwise", [held(), ranked(m="busy")], ["R8"]),
    ("left out when that is over", [held(), ranked(at_s=9.0, m="rate_limited")], ["R8"]),
    ("left out by a limit", [out_of_rate(until=5.0), ranked(m="rate_limited")], []),
    ("left out by its account's", [out_of_rate("p", until=5.0), ranked(m="rate_limited")], []),
    (
        "left out after a limit",
        [out_of_rate(until=5.0), ranked(at_s=9.0, m="rate_limited")],
        ["R8"],
    ),
    (
        "left out when none is left",
        [out_of_rate(until=5.0), out_of_rate(), ranked(m="rate_limited")],
        ["R8"],
    ),
    ("left out while open", [moved("closed", "open", 1), ranked(m="open")], []),
    ("left out while closed", [ranked(m="open")], ["R8"]),
    ("left out for another reason", [ranked(m="tried_already")], []),
]


@pytest.mark.parametrize(("name", "events", "laws"), TRACES, ids=lambda each: str(each)[:40])
def test_a_checker_speaks_when_its_law_is_broken_and_only_then(
    name: str, events: list[Event], laws: list[str]
) -> None:
    assert sorted(set(found(events))) == laws, name


def test_every_checker_states_its_law() -> None:
    assert all(len(claim) > 20 for claim in CLAIMS.values())
    assert {each.name for each in EXTRA} == {"D1", "R1", "R2", "R7", "R8"}
