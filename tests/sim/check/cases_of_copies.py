"""Cases of the laws of second copies, and of the bands of the line."""

from __future__ import annotations

from typing import Any

from tests.sim.check.case import Case
from tests.sim.check.tape import Tape
from understudy_actors.domain.hedge_events import HedgeLaunched, HedgeWon
from understudy_actors.domain.stream_events import AttemptCommitted
from understudy_actors.domain.waiting_events import Queued, QueueLeft, QueueRefused, Unqueued
from understudy_sim.check.hedging import HedgeBudgets, Hedges
from understudy_sim.check.waiting import Bands, TurnedAway


def stands(t: Tape, ticket: int, request: str = "", **fields: Any) -> Tape:
    """A request stands in line for p/m."""
    facts: dict[str, Any] = {"wanted": ("p/m",), "since": t.now, "deadline": 100.0, **fields}
    return t.add(Queued, request=request or f"r{ticket}", ticket=ticket, **facts)


def called(t: Tape, ticket: int, band: int = 0, endpoint: str = "p/m", waited: float = 0) -> Tape:
    """It is its turn."""
    facts: dict[str, Any] = {"endpoint": endpoint, "band": band, "waited_s": waited}
    return t.add(Unqueued, request=f"r{ticket}", ticket=ticket, **facts)


def gone(t: Tape, ticket: int) -> Tape:
    """It is out of the line."""
    return t.add(QueueLeft, request=f"r{ticket}", ticket=ticket)


def turned_away(t: Tape, retry_at: float = 5.0) -> Tape:
    """The line has no place for it."""
    return t.add(QueueRefused, request="r", reason="full", retry_at=retry_at)


def racing(t: Tape, endpoint: str = "b/m", after_s: float = 1.0, at_s: float = 1.0) -> Tape:
    """Attempt 1 at a/m is silent, and attempt 2 at `endpoint` is its copy."""
    t.accept(max_attempts=5).admit(1, "a/m").at(at_s).admit(2, endpoint)
    return copied(t, endpoint, after_s)


def copied(t: Tape, endpoint: str = "b/m", after_s: float = 1.0, attempt: int = 2) -> Tape:
    """A token is taken, and the copy said."""
    t.token()
    return t.add(HedgeLaunched, request="r", attempt=attempt, endpoint=endpoint, after_s=after_s)


def copies(t: Tape, count: int, *, ended: bool = True) -> Tape:
    """So many requests are hedged, one after the other."""
    for number in range(count):
        request, first = f"r{number}", 2 * number
        t.admit(first, "a/m", request).at(t.now + 1.0).admit(first + 1, "b/m", request)
        t.token(request)
        facts: dict[str, Any] = {"attempt": first + 1, "endpoint": "b/m", "after_s": 1.0}
        t.add(HedgeLaunched, request=request, **facts)
        if ended:
            t.ended("neutral", first + 1, "b/m", request)
    return t


def won(t: Tape, attempt: int = 2, endpoint: str = "b/m") -> Tape:
    """The race is decided."""
    return t.add(HedgeWon, request="r", attempt=attempt, endpoint=endpoint)


def streaming(t: Tape, endpoint: str = "b/m", after_s: float = 8.0, at_s: float = 8.0) -> Tape:
    """The same of a stream."""
    t.accept(max_attempts=5, streams=True).admit(1, "a/m").at(at_s).admit(2, endpoint)
    return copied(t, endpoint, after_s)


def begun(t: Tape, attempt: int = 2, endpoint: str = "b/m", chars: int = 0) -> Tape:
    """Its first piece is delivered."""
    facts: dict[str, Any] = {"endpoint": endpoint, "delivered_chars": chars}
    return t.add(AttemptCommitted, request="r", attempt=attempt, **facts)


def lost(t: Tape, attempt: int = 1, endpoint: str = "a/m") -> Tape:
    """The other copy is called off."""
    return t.ended("neutral", attempt, endpoint, error="cancelled", origin="local")


CASES = [
    # S12, copies
    Case(
        HedgeBudgets,
        "from a budget that must have been empty",
        lambda t: copies(t, 6),
        lambda t: copies(t, 5),
    ),
    Case(
        HedgeBudgets,
        "from a budget that must have been empty",
        lambda t: [copies(t, 5), [t.accept(f"r{n}") for n in range(19)], copies(t, 1)],
        lambda t: [copies(t, 5), [t.accept(f"r{n}") for n in range(20)], copies(t, 1)],
    ),
    Case(
        HedgeBudgets,
        "5 second copies at once, and 4 are allowed",
        lambda t: copies(t, 5, ended=False),
        lambda t: copies(t, 4, ended=False),
    ),
    Case(
        HedgeBudgets,
        "without a token",
        lambda t: t.token("other").add(
            HedgeLaunched, request="r", attempt=1, endpoint="a/m", after_s=1.0
        ),
        lambda t: t.token().add(
            HedgeLaunched, request="r", attempt=1, endpoint="a/m", after_s=1.0
        ),
    ),
    # S21
    Case(
        Hedges,
        "without an answer",
        lambda t: won(racing(t).at(2).ended("failed", 2, "b/m", error="server")),
        lambda t: won(racing(t).at(2).ended("ok", 2, "b/m")),
    ),
    Case(
        Hedges,
        "although a copy was answered",
        lambda t: lost(racing(t).ended("ok", 2, "b/m")).outcome("AllAttemptsFailed"),
        lambda t: won(lost(racing(t).ended("ok", 2, "b/m"))).outcome("ok"),
    ),
    Case(
        Hedges,
        "had a copy called off, and none was answered",
        lambda t: lost(racing(t).ended("failed", 2, "b/m", error="server")).outcome("ServerFailed"),
        lambda t: lost(racing(t).ended("failed", 2, "b/m", error="server")).outcome("cancelled"),
    ),
    Case(
        Hedges,
        "was hedged twice",
        lambda t: copied(racing(t).admit(3, "c/m"), "c/m", attempt=3),
        lambda t: racing(t),
    ),
    Case(
        Hedges,
        "outlives it",
        lambda t: won(racing(t).ended("ok", 2, "b/m")).outcome("ok"),
        lambda t: lost(won(racing(t).ended("ok", 2, "b/m"))).outcome("ok"),
    ),
    Case(
        Hedges,
        "went out after an answer",
        lambda t: copied(t.accept().admit(1, "a/m").at(1).ended("ok", 1, "a/m").admit(2, "b/m")),
        lambda t: racing(t).ended("ok", 1, "a/m"),
    ),
    Case(
        Hedges,
        "races nobody",
        lambda t: copied(
            t.accept().admit(1, "a/m").at(1).ended("failed", 1, "a/m").admit(2, "b/m")
        ),
        lambda t: racing(t),
    ),
    Case(Hedges, "where the first is", lambda t: racing(t, "a/n"), lambda t: racing(t, "b/n")),
    Case(
        Hedges,
        "fails with the first: cloud",
        lambda t: racing(t, "cloudy/m"),
        lambda t: racing(t, "clear/m"),
    ),
    Case(
        Hedges,
        "went out after 0.500 s",
        lambda t: racing(t, at_s=0.5),
        lambda t: racing(t, at_s=0.5, after_s=0.5),
    ),
    Case(
        Hedges,
        "waited 20.000 s",
        lambda t: racing(t, at_s=20, after_s=20),
        lambda t: racing(t, at_s=20, after_s=10),
    ),
    Case(
        Hedges,
        "beside another, and hedged nothing",
        lambda t: t.accept().admit(1, "a/m").admit(2, "b/m").ended("ok", 2, "b/m"),
        lambda t: t.accept().admit(1, "a/m").ended("failed", 1, "a/m").admit(2, "b/m")
        .ended("ok", 2, "b/m"),
    ),
    Case(
        Hedges,
        "by no attempt of its own",
        lambda t: copied(t.accept().admit(1, "a/m").at(1)),
        lambda t: racing(t),
    ),
    Case(
        Hedges,
        "won a race that there was not",
        lambda t: won(t.accept().admit(2, "b/m").ended("ok", 2, "b/m")),
        lambda t: won(racing(t).ended("ok", 2, "b/m")),
    ),
    # S21 of streams: the wait has a floor of its own, and the race is won by a beginning
    Case(
        Hedges,
        "went out after 7.000 s",
        lambda t: streaming(t, at_s=7.0, after_s=7.0),
        lambda t: streaming(t),
    ),
    Case(
        Hedges,
        "waited 50.000 s",
        lambda t: streaming(t, at_s=50.0, after_s=50.0),
        lambda t: streaming(t, at_s=45.0, after_s=45.0),
    ),
    Case(
        Hedges,
        "without an answer",
        lambda t: won(streaming(t).ended("failed", 2, "b/m", error="server")),
        lambda t: won(streaming(t)),
    ),
    Case(
        Hedges,
        "without an answer",
        lambda t: won(racing(t)),
        lambda t: won(streaming(t)),
    ),
    Case(
        Hedges,
        "was not called off",
        lambda t: begun(won(streaming(t))),
        lambda t: begun(lost(won(streaming(t)))),
    ),
    Case(
        Hedges,
        "and did not win",
        lambda t: begun(won(streaming(t)), 1, "a/m"),
        lambda t: begun(lost(won(streaming(t), 1, "a/m"), 2, "b/m"), 1, "a/m"),
    ),
    Case(
        Hedges,
        "while its copy runs",
        lambda t: begun(streaming(t)),
        lambda t: begun(streaming(t).ended("failed", 1, "a/m", error="server")),
    ),
    Case(
        Hedges,
        "went out after an answer",
        lambda t: copied(
            begun(t.accept(streams=True).admit(1, "a/m"), 1, "a/m").at(8).admit(2, "b/m"),
            after_s=8.0,
        ),
        lambda t: streaming(t),
    ),
    Case(
        Hedges,
        "outlives it",
        lambda t: won(streaming(t).ended("ok", 2, "b/m")).outcome("ok"),
        lambda t: lost(begun(lost(won(streaming(t)))), 2, "b/m").outcome("StreamBroken"),
    ),
    # L6
    Case(
        Bands,
        "stands in band 0 after 10.5 s",
        lambda t: called(stands(t, 1).at(10.5), 1, band=0),
        lambda t: called(stands(t, 1).at(10.5), 1, band=1),
    ),
    Case(
        Bands,
        "stands in band 2 after 10.5 s",
        lambda t: called(stands(t, 1).at(10.5), 1, band=2),
        lambda t: called(stands(t, 1, priority=1).at(10.5), 1, band=2),
    ),
    Case(
        Bands,
        "r1 passes r2, which stands higher",
        lambda t: called(stands(stands(t, 1), 2, priority=1), 1),
        lambda t: called(called(stands(stands(t, 1), 2, priority=1), 2, band=1), 1),
    ),
    Case(
        Bands,
        "r1 passes r2, which stands higher",
        lambda t: called(stands(stands(t, 2).at(11.0), 1), 1),
        lambda t: called(stands(stands(t, 2, wanted=("q/m",)).at(11.0), 1), 1),
    ),
    Case(
        Bands,
        "after its deadline",
        lambda t: called(stands(t, 1, deadline=5.0).at(5.0), 1),
        lambda t: called(stands(t, 1, deadline=5.0).at(4.9), 1),
    ),
    Case(
        Bands,
        "did not wait",
        lambda t: called(gone(stands(t, 1), 1), 1),
        lambda t: called(stands(t, 1), 1),
    ),
    Case(
        Bands,
        "which it did not want",
        lambda t: called(stands(t, 1), 1, endpoint="q/m"),
        lambda t: called(stands(t, 1, wanted=("p/m", "q/m")), 1, endpoint="q/m"),
    ),
    Case(
        Bands,
        "did not wait",
        lambda t: called(stands(t, 1).crash("dispatcher"), 1),
        lambda t: called(stands(t, 1).crash("provider/p"), 1),
    ),
    Case(
        Bands,
        "stands in band 0 after 10.5 s",
        lambda t: called(called(stands(stands(t, 1), 2).at(0.1), 2).at(10.5), 1, band=0),
        lambda t: called(called(stands(stands(t, 1), 2).at(1.0), 2).at(10.5), 1, band=0),
    ),
    Case(
        TurnedAway,
        "in the past",
        lambda t: turned_away(t.at(3), 3.0).outcome("Overloaded", retry_at=3.0),
        lambda t: turned_away(t.at(3), 3.1).outcome("Overloaded", retry_at=3.1),
    ),
    Case(
        TurnedAway,
        "not told when to come again",
        lambda t: turned_away(t).outcome("Overloaded"),
        lambda t: turned_away(t).outcome("Overloaded", retry_at=5.0),
    ),
    Case(
        TurnedAway,
        "waits for an answer",
        lambda t: turned_away(t).at(0.5).tick().at(1.0).tick().at(1.5).tick().outcome("degraded"),
        lambda t: turned_away(t).at(0.1).outcome("degraded").at(0.5).tick().at(1.5).tick(),
    ),
]  # fmt: skip
