"""Cases of the law of shared calls."""

from __future__ import annotations

from tests.sim.check.case import Case
from tests.sim.check.tape import Tape
from understudy_actors.domain.collapse_events import RequestJoined
from understudy_sim.check.collapsing import Shared
from understudy_sim.check.requests import InTime


def shared(t: Tape, *joiners: str, deadline: float = 100.0) -> Tape:
    """These wait for the call `c`."""
    t.accept("c", max_attempts=5)
    return joined(t, *joiners, deadline=deadline)


def joined(t: Tape, *joiners: str, deadline: float = 100.0) -> Tape:
    for joiner in joiners:
        t.add(RequestJoined, request=joiner, shared="c", deadline=deadline)
    return t


def seconds(t: Tape, *times: float) -> Tape:
    """Time passes."""
    for at_s in times:
        t.at(at_s).tick()
    return t


CASES = [
    # L9
    Case(
        Shared,
        "b still waits for a call that has ended",
        lambda t: seconds(shared(t, "a", "b").outcome("ok", "c").outcome("ok", "a"), 0.5, 1, 1.5),
        lambda t: seconds(
            shared(t, "a", "b").outcome("ok", "c").outcome("ok", "a").outcome("ok", "b"), 0.5, 1
        ),
    ),
    Case(
        Shared,
        "the call that b waits for was called off",
        lambda t: shared(t, "a", "b").outcome("cancelled", "a").outcome("cancelled", "c"),
        lambda t: shared(t, "a", "b").outcome("cancelled", "a").outcome("cancelled", "b")
        .outcome("cancelled", "c"),
    ),
    Case(
        Shared,
        "b ended as NoCandidate, and its shared call as ok",
        lambda t: shared(t, "a", "b").outcome("ok", "c").outcome("NoCandidate", "b"),
        lambda t: shared(t, "a", "b").outcome("NoCandidate", "c").outcome("NoCandidate", "b"),
    ),
    Case(
        Shared,
        "a ended as ok before the call that it shares",
        lambda t: shared(t, "a").outcome("ok", "a"),
        lambda t: shared(t, "a").outcome("cancelled", "a"),
    ),
    Case(
        Shared,
        "a ended as AllAttemptsFailed before the call that it shares",
        lambda t: shared(t, "a", deadline=5.0).at(4.0).outcome("AllAttemptsFailed", "a"),
        lambda t: shared(t, "a", deadline=5.0).at(5.0).outcome("AllAttemptsFailed", "a"),
    ),
    Case(
        Shared,
        "a ended as degraded before the call that it shares",
        lambda t: shared(t, "a", deadline=5.0).at(4.0).outcome("degraded", "a"),
        lambda t: shared(t, "a", deadline=5.0).at(5.0).outcome("degraded", "a"),
    ),
    Case(
        Shared,
        "a shares a call, and asks p/m by itself",
        lambda t: shared(t, "a").admit(request="a"),
        lambda t: shared(t, "a").admit(request="c"),
    ),
    Case(
        Shared,
        "a is booked for a call that it shares",
        lambda t: shared(t, "a").outcome("ok", "c", cost_usd=0.1).outcome("ok", "a", cost_usd=0.1),
        lambda t: shared(t, "a").outcome("ok", "c", cost_usd=0.1).outcome("ok", "a", cost_usd=0.0),
    ),
    Case(
        Shared,
        "b joined a call that was over",
        lambda t: joined(shared(t, "a").outcome("ok", "c"), "b"),
        lambda t: joined(shared(t, "a"), "b").outcome("ok", "c"),
    ),
    # S11
    Case(
        InTime,
        "was sent to p/m 1.000 s after its deadline",
        lambda t: t.accept("c", deadline=5.0).at(6.0).dispatch(request="c"),
        lambda t: joined(t.accept("c", deadline=5.0), "a", deadline=9.0).at(6.0)
        .dispatch(request="c"),
    ),
]  # fmt: skip
