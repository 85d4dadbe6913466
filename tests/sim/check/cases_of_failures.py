"""Cases of the laws of what follows a failure: delays, pauses, holds, failovers, blame."""

from __future__ import annotations

from tests.sim.check.case import Case
from tests.sim.check.tape import Tape
from understudy_actors.domain.collapse_events import RequestJoined
from understudy_sim.check.decisions import DomainBlame, Motives, TimeLeft
from understudy_sim.check.delays import Pauses, StatedDelays
from understudy_sim.check.ladders import Ladders
from understudy_sim.check.silences import Silences

CREDIT, KEY = "credit exhausted", "key refused"


def throttled(t: Tape, stated_s: float | None) -> Tape:
    return t.ended("throttled", error="rate_limit", retry_after_s=stated_s)


def broke(t: Tape, until: float, retry_after_s: float | None = None) -> Tape:
    """An attempt finds that there is no credit, and its account is held."""
    attempt = len(t.events)
    t.admit(attempt).hold(until, CREDIT, "p", request="r")
    return t.ended("neutral", attempt, error="quota", retry_after_s=retry_after_s)


def proving(t: Tape) -> Tape:
    """An account whose hold is over, and who was let through to prove that."""
    return broke(t, 300.0).at(300.0).clear(CREDIT, "over", "p").admit(50, timeout_s=20.0)


def in_domain(t: Tape, error: str, blamed: str) -> Tape:
    t.lend(1, "p/m").lend(1, "domain host of p").count("failed", 1, scope=blamed)
    return t.ended("failed", error=error)


def unanswered(t: Tape, count: int, verdict: str = "neutral") -> Tape:
    """One after the other waits for three seconds in vain."""
    for _ in range(count):
        t.at(t.now + 3.0).ended(verdict, error="silent", elapsed_s=3.0)
    return t


def joined(t: Tape, deadline: float) -> Tape:
    """Somebody shares r's call, until that time."""
    return t.add(RequestJoined, request="other", shared="r", deadline=deadline)


def asked(t: Tape, timeout_s: float, *others: str) -> Tape:
    t.accept(deadline=20.0, max_attempts=3).decide("p/m", *others)
    return t.admit(timeout_s=timeout_s)


CASES = [
    # S40
    Case(
        StatedDelays,
        "said to wait 5 s (rate_limit), and is not held",
        lambda t: throttled(t.hold(until=4.0), 5.0),
        lambda t: throttled(t.hold(until=5.0), 5.0),
    ),
    Case(
        StatedDelays,
        "said to wait 5 s (quota), and is not held",
        lambda t: t.hold(9.0, CREDIT).ended(error="quota", retry_after_s=5.0),
        lambda t: t.hold(9.0, CREDIT, "p").ended(error="quota", retry_after_s=5.0),
    ),
    Case(
        StatedDelays,
        "said to wait 1e+06 s",
        lambda t: throttled(t.hold(until=86_399.0), 1e6),
        lambda t: throttled(throttled(t.hold(until=86_400.0), 1e6).crash(), 2e6),
    ),
    Case(
        StatedDelays,
        "waits 1.000 s for p/m, which said 5 s",
        lambda t: t.ended("failed", error="server", retry_after_s=5.0).pause(1.0),
        lambda t: (
            t.ended("failed", error="server", retry_after_s=5.0)
            .pause(5.0)
            .ended("failed", error="server")
            .pause(1.0)
        ),
    ),
    Case(
        StatedDelays,
        "r is not told that p/m stated a delay",
        lambda t: t.ended("failed", retry_after_s=5.0).outcome("AllAttemptsFailed"),
        lambda t: t.ended("failed", retry_after_s=5.0).outcome("AllAttemptsFailed", retry_at=5.0),
    ),
    # S34
    Case(
        Pauses,
        "waits 1.500 s before retry 1 at p/m: 1 s is the most",
        lambda t: t.ended("failed", error="server").pause(1.5),
        lambda t: t.ended("failed", error="server").pause(1.0).pause(2.0).pause(4.0),
    ),
    Case(
        Pauses,
        "waits 4.500 s before retry 1 at p/m",
        lambda t: throttled(t.hold(until=4.0), 3.0).pause(4.5),
        lambda t: throttled(t.hold(until=4.0), 4.5).pause(4.5).outcome().hold(9.0).pause(9.0),
    ),
    Case(
        Pauses,
        "waits 0.400 s before retry 1 at steady/m, not 0.5 s",
        lambda t: t.pause(0.4, "steady/m"),
        lambda t: t.pause(0.5, "steady/m"),
    ),
    # S35
    Case(
        Ladders,
        "held for 299.000 s (credit exhausted), not 300 s",
        lambda t: broke(t, 299.0),
        lambda t: broke(t, 5.0, retry_after_s=5.0),
    ),
    Case(
        Ladders,
        "held for 300.000 s (credit exhausted), not 600 s",
        lambda t: broke(broke(t, 300.0).at(300.0).clear(CREDIT, "over", "p"), 600.0),
        lambda t: broke(broke(t, 300.0).at(300.0).clear(CREDIT, "over", "p"), 900.0),
    ),
    Case(
        Ladders,
        "held for 300.000 s (credit exhausted), not 600 s",
        lambda t: broke(proving(t).ended("neutral", 50), 600.0),
        lambda t: broke(proving(t).ended("ok", 50), 600.0),
    ),
    Case(
        Ladders,
        "r was let through to p/x beside a probe of its account",
        lambda t: proving(t).admit(51, "p/x"),
        lambda t: proving(t).ended("neutral", 50).admit(51, "p/x").at(9e3).admit(52).admit(5, "q"),
    ),
    Case(
        Ladders,
        "beside a probe",
        lambda t: proving(t).clear(KEY, "by hand", "p").admit(51),
        lambda t: proving(t).clear(CREDIT, "by hand", "p").admit(51).admit(52),
    ),
    Case(
        Ladders,
        "beside a probe",
        lambda t: proving(t).crash().admit(51).admit(52),
        lambda t: proving(t).crash().admit(51),
    ),
    # S38
    Case(
        Motives,
        "r leaves p/m because of server, and failed there with rate_limit",
        lambda t: throttled(t, None).failover("p/m", "q/m"),
        lambda t: throttled(t, None).ended("failed", error="server").failover("p/m", "q/m"),
    ),
    Case(
        Motives,
        "r leaves q/m because of server, and failed there with None",
        lambda t: t.ended("failed", error="server").failover("q/m", "p/m"),
        lambda t: t.ended("failed", error="server").outcome().failover("q/m", "p/m"),
    ),
    Case(
        Motives,
        "r failed with bad_request, and q/m was asked too",
        lambda t: t.ended("neutral", error="bad_request").admit(2, "q/m"),
        lambda t: t.ended("neutral", error="conflict").admit(2, "q/m"),
    ),
    Case(
        Motives,
        "r failed with content_policy, and q/m was asked too",
        lambda t: t.ended("neutral", error="content_policy").admit(2, "q/m"),
        lambda t: t.ended("neutral", error="content_policy").admit(2, "p/m"),
    ),
    # S39
    Case(
        TimeLeft,
        "p/m may take 11.000 s of the 20.000 s of r",
        lambda t: asked(t, 11.0, "q/m"),
        lambda t: asked(t, 10.0, "q/m"),
    ),
    Case(
        TimeLeft,
        "p/m may take 6.000 s of the 8.000 s of r",
        lambda t: asked(t.at(12.0), 6.0, "q/m"),
        lambda t: asked(asked(t, 20.0).outcome().score("ok"), 20.0, "q/m"),
    ),
    Case(  # a call that others share has as long as the last of them
        TimeLeft,
        "p/m may take 11.000 s of the 20.500 s of r",
        lambda t: asked(joined(t, 20.5), 11.0, "q/m"),
        lambda t: asked(joined(t, 22.0), 11.0, "q/m"),
    ),
    # R9
    Case(
        Silences,
        "p/m has answered nobody for 12.000 s, and is not blamed",
        lambda t: unanswered(t.ended(), 4),
        lambda t: unanswered(t.ended(), 3),
    ),
    Case(
        Silences,
        "p/m has answered nobody for 12.000 s",
        lambda t: unanswered(t.ended(), 4),
        lambda t: unanswered(unanswered(t.ended(), 2).ended("neutral", error="conflict"), 3),
    ),
    Case(
        Silences,
        "p/m has answered nobody for 12.000 s",
        lambda t: unanswered(t.ended(elapsed_s=2.5), 4),
        lambda t: unanswered(t.ended(elapsed_s=3.5), 4),
    ),
    Case(
        Silences,
        "p/m has answered nobody for 12.000 s",
        lambda t: unanswered(t.ended().crash("provider/q"), 4),
        lambda t: unanswered(t.ended().crash("provider/p"), 4),
    ),
    Case(
        Silences,
        "p/m has answered nobody for 12.000 s",
        lambda t: unanswered(t.ended(), 4),
        lambda t: unanswered(unanswered(t, 4).ended().at(20.0), 4, "failed"),
    ),
    # S31
    Case(
        DomainBlame,
        "p/m is blamed for connect, which is the fault of domain host of p",
        lambda t: in_domain(t, "connect", "p/m"),
        lambda t: in_domain(in_domain(t, "connect", "domain host of p"), "server", "p/m"),
    ),
]
