"""Traces of streamed answers that break the laws of streams, each beside one that keeps them."""

from __future__ import annotations

from typing import Any

from tests.sim.check.case import Case
from tests.sim.check.tape import Tape
from understudy_actors.domain.stream_events import AttemptCommitted, StreamRescue
from understudy_sim.check.streams import Exact, OneVoice
from understudy_sim.world_events import Delivered, Produced


def commit(t: Tape, attempt: int = 1, endpoint: str = "p/m", chars: int = 0) -> Tape:
    return t.add(
        AttemptCommitted, attempt=attempt, request="r", endpoint=endpoint, delivered_chars=chars
    )


def asked(t: Tape, attempt: int = 1, endpoint: str = "p/m") -> Tape:
    return t.admit(attempt, endpoint).dispatch(attempt, endpoint)


def rescue(t: Tape, attempt: int = 2, endpoint: str = "q/m", chars: int = 5) -> Tape:
    return t.add(
        StreamRescue,
        attempt=attempt,
        request="r",
        endpoint=endpoint,
        how="splice",
        delivered_chars=chars,
    )


def begun(t: Tape) -> Tape:
    """An answer of which a piece was delivered."""
    return commit(asked(t))


def broke(t: Tape) -> Tape:
    """The same, after it has broken off."""
    return begun(t).ended("failed", error="reset")


def goes_on(t: Tape) -> Tape:
    return rescue(asked(broke(t), 2, "q/m"))


def broke_again(t: Tape) -> Tape:
    return commit(goes_on(t), 2, "q/m", 5).ended("failed", 2, "q/m")


def said(t: Tape, text: str, given: str = "", provider: str = "p") -> Tape:
    return t.add(Produced, request_id="r", provider=provider, text=text, given=given)


def got(t: Tape, text: str, *, whole: bool = False, **fields: Any) -> Tape:
    return t.add(Delivered, request_id="r", text=text, whole=whole, **fields)


CASES = [
    Case(
        OneVoice,
        "r asked q/m while another one was being delivered",
        lambda t: begun(t).admit(2, "q/m"),
        lambda t: broke(t).admit(2, "q/m"),
    ),
    Case(
        OneVoice,
        "q/m answered r anew",
        lambda t: asked(broke(t), 2, "q/m").ended("ok", 2, "q/m"),
        lambda t: goes_on(t).ended("ok", 2, "q/m").outcome(),
    ),
    Case(
        OneVoice,
        "two attempts of r are delivered at once",
        lambda t: commit(begun(t), 2, "q/m"),
        lambda t: commit(goes_on(t), 2, "q/m", 5),
    ),
    Case(
        OneVoice,
        "q/m is delivered as if nothing of r had been",
        lambda t: commit(asked(broke(t), 2, "q/m"), 2, "q/m"),
        lambda t: commit(goes_on(t).ended("ok", 2, "q/m"), 2, "q/m", 5).outcome(),
    ),
    Case(
        OneVoice,
        "q/m forgets what was delivered of r",
        lambda t: rescue(asked(broke_again(t), 3, "q/m"), 3, chars=4),
        lambda t: rescue(asked(broke_again(t), 3, "q/m"), 3, chars=5),
    ),
    Case(
        OneVoice,
        "q/m goes on with more of r than was delivered",
        lambda t: rescue(asked(t, 2, "q/m")),
        lambda t: goes_on(t),
    ),
    Case(
        OneVoice,
        "r counts as answered, but its stream broke off",
        lambda t: broke(t).outcome(),
        lambda t: broke(t).outcome("StreamBroken"),
    ),
    Case(
        Exact,
        "r was delivered what no provider said",
        lambda t: got(said(t, "one two"), "one one"),
        lambda t: got(said(t, "one two"), "one t"),
    ),
    Case(
        Exact,
        "r was delivered what no provider said",
        lambda t: got(said(said(t, "one two"), " six", given="one three"), "one three six"),
        lambda t: got(said(said(t, "one two"), " six", given="one"), "one six"),
    ),
    Case(
        Exact,
        "r was delivered what no provider said",
        lambda t: got(said(said(t, "one two"), "six", given="three"), "one"[:0] + "six"),
        lambda t: got(said(said(t, "one two"), "three"), "three"),
    ),
    Case(
        Exact,
        "r was told that its answer is whole, and it is not",
        lambda t: got(said(t, "one two"), "one", whole=True),
        lambda t: got(said(t, "one two"), "one two", whole=True),
    ),
    Case(
        Exact,
        "r was told that its answer is whole, and it is not",
        lambda t: got(t, "busy", whole=True),
        lambda t: got(t, "busy", whole=True, degraded=True),
    ),
    Case(
        Exact,
        "r was delivered what no provider said",
        lambda t: got(said(t, "one two").outcome("StreamBroken"), "busy"),
        lambda t: got(said(t, "one two").outcome("degraded"), "busy"),
    ),
]
