"""Cases of the law of the response cache."""

from __future__ import annotations

from typing import Any

from tests.sim.check.case import Case
from tests.sim.check.tape import Tape
from understudy_actors.domain.cache_events import CacheEvicted, CacheHit, CacheMissed, CacheStored
from understudy_actors.domain.collapse_events import RequestJoined
from understudy_sim.check.answers import Answers
from understudy_sim.check.streams import Exact
from understudy_sim.world_events import Delivered, Produced


def stored(t: Tape, request: str = "r", key: str = "k", **fields: Any) -> Tape:
    """A request's answer is kept: for 10 s, and 5 s after that."""
    told = {"answer": "x", "size": 400, "fresh_until": t.now + 10, "stale_until": t.now + 15}
    return t.add(CacheStored, request=request, key=key, **{**told, **fields})


def answered(t: Tape, request: str = "r", key: str = "k", **asked: Any) -> Tape:
    """A request is answered by a provider, kept, and over."""
    t.accept(request, **asked).admit(request=request).ended("ok", request=request)
    return stored(t, request, key).outcome("ok", request)


def given(t: Tape, request: str = "s", key: str = "k", age_s: float = 0.0, **fields: Any) -> Tape:
    """A request is given what was kept."""
    return t.add(CacheHit, request=request, key=key, age_s=age_s, **{"answer": "x", **fields})


def again(t: Tape, age_s: float = 0.0, stale: bool = False, **asked: Any) -> Tape:
    """Another request for the same is given the answer of the first."""
    return given(t.accept("s", **asked), age_s=age_s, stale=stale)


def over(t: Tape, stale: bool = False, **fields: Any) -> Tape:
    """It ends as it should."""
    told = {"cached": True, "cost_usd": 0.0, **fields}
    return t.outcome("degraded" if stale else "ok", "s", **told)


def gone(t: Tape, key: str = "k", why: str = "entries") -> Tape:
    return t.add(CacheEvicted, key=key, why=why)


def missed(t: Tape, key: str = "k") -> Tape:
    return t.accept("m").add(CacheMissed, request="m", key=key)


def three(t: Tape) -> Tape:
    """One more than the bounds allow."""
    return answered(answered(answered(t, "a", "1"), "b", "2"), "c", "3")


def played(t: Tape, text: str) -> Tape:
    """A stream is kept, and played for another one."""
    t.add(Produced, request_id="r", provider="p", text="all of it")
    stored(t).add(Delivered, request_id="r", text="all of it", whole=True)
    return given(t).add(Delivered, request_id="s", text=text, whole=True, cached=True)


def whole(t: Tape, text: str) -> Tape:
    """An answer that came as a whole is played for two."""
    given(stored(t)).add(Delivered, request_id="s", text="all of it", whole=True, cached=True)
    return given(t, "u").add(Delivered, request_id="u", text=text, whole=True, cached=True)


CASES = [
    # C1
    Case(
        Answers,
        "s was given the answer of tenant a, and asks for tenant b",
        lambda t: again(answered(t, tenant="a"), tenant="b"),
        lambda t: over(again(answered(t, tenant="a", user="u"), tenant="a", user="v")),
    ),
    Case(
        Answers,
        "s was given the answer of user u, and asks for nobody",
        lambda t: again(answered(t, user="u")),
        lambda t: over(again(answered(t))),
    ),
    Case(
        Answers,
        "the answer to s took the place of another owner's",
        lambda t: answered(answered(t, user="u"), "s", user="v"),
        lambda t: answered(answered(t, user="u"), "s", user="u"),
    ),
    Case(
        Answers,
        "s was given another answer than the last one",
        lambda t: given(answered(t).accept("s"), answer="y"),
        lambda t: given(answered(t).accept("s"), answer="x"),
    ),
    Case(
        Answers,
        "s was given an answer that is not kept",
        lambda t: given(t.accept("s")),
        lambda t: given(answered(t).accept("s")),
    ),
    Case(
        Answers,
        "s was given an answer 4.000 s old, told as 0.000",
        lambda t: again(answered(t).at(4.0)),
        lambda t: over(again(answered(t).at(4.0), age_s=4.0)),
    ),
    Case(
        Answers,
        "s was given as fresh an answer whose time was over",
        lambda t: again(answered(t).at(10.5), age_s=10.5),
        lambda t: over(again(answered(t).at(9.9), age_s=9.9)),
    ),
    Case(
        Answers,
        "s was given an answer whose time was over",
        lambda t: again(answered(t).at(15.5), age_s=15.5, stale=True),
        lambda t: over(again(answered(t).at(14.9), age_s=14.9, stale=True), stale=True),
    ),
    Case(
        Answers,
        "s was given an old answer, and wanted refresh",
        lambda t: again(answered(t), cache="refresh"),
        lambda t: over(again(answered(t), stale=True, cache="refresh"), stale=True),
    ),
    Case(
        Answers,
        "s was given an old answer, and wanted bypass",
        lambda t: again(answered(t), stale=True, cache="bypass"),
        lambda t: over(again(answered(t), cache="only")),
    ),
    Case(
        Answers,
        "s was given an old answer, and asked p/m too",
        lambda t: again(answered(t)).admit(request="s"),
        lambda t: given(
            answered(t).accept("s").admit(request="s").ended("failed", request="s"), stale=True
        ),
    ),
    Case(
        Answers,
        "s wanted an old answer only, and asked p/m",
        lambda t: t.accept("s", cache="only").admit(request="s"),
        lambda t: t.accept("s", cache="only").outcome("NotCached", "s"),
    ),
    Case(
        Answers,
        "m was told that there is no answer, and there is one",
        lambda t: missed(answered(t).at(9.0)),
        lambda t: missed(answered(t).at(10.0)),
    ),
    Case(
        Answers,
        "the answer to r was kept before there was one",
        lambda t: stored(t.accept().admit().ended("failed")),
        lambda t: stored(t.accept().admit().ended("ok")),
    ),
    Case(
        Answers,
        "the answer to r was kept, and nobody asks",
        lambda t: stored(t.accept().admit().ended("ok").outcome()),
        lambda t: stored(t.accept().admit().ended("ok")).outcome(),
    ),
    Case(
        Answers,
        "r ended as degraded, and its answer was kept",
        lambda t: stored(t.accept().admit().ended("ok")).outcome("degraded"),
        lambda t: t.accept().admit().ended("ok").outcome("degraded"),
    ),
    Case(
        Answers,
        "the answer to r was kept although it bypasses the cache",
        lambda t: answered(t, cache="bypass"),
        lambda t: answered(t, cache="refresh"),
    ),
    Case(
        Answers,
        "the answer to r is kept for 20.000 s and 5.000 s, not as configured",
        lambda t: stored(t.accept().ended("ok"), fresh_until=20.0, stale_until=25.0),
        lambda t: stored(t.accept().ended("ok")),
    ),
    Case(
        Answers,
        "3 entries of 1200 bytes are kept, more than the bounds",
        lambda t: missed(three(t), "9"),
        lambda t: missed(gone(three(t), "1"), "9"),
    ),
    Case(
        Answers,
        "3 entries of 1200 bytes are kept, more than the bounds",
        lambda t: three(t),
        lambda t: gone(three(t), "1"),
    ),
    Case(
        Answers,
        "2 entries of 1300 bytes are kept, more than the bounds",
        lambda t: missed(stored(answered(t).accept("s").ended("ok", request="s"), "s", "2",
                                size=900), "9"),
        lambda t: missed(stored(answered(t).accept("s").ended("ok", request="s"), "s", "2",
                                size=600), "9"),
    ),
    Case(
        Answers,
        "entry 2 had to go, and another one was used less recently",
        lambda t: gone(three(t), "2"),
        lambda t: gone(answered(given(answered(answered(t, "a", "1"), "b", "2"), "b", "1"),
                                "c", "3"), "2"),
    ),
    Case(
        Answers,
        "entry k had to go although there was room",
        lambda t: gone(answered(t)),
        lambda t: gone(answered(t), why="cleared"),
    ),
    Case(
        Answers,
        "entry k was dropped before its time",
        lambda t: gone(answered(t).at(14.0), why="expired"),
        lambda t: gone(answered(t).at(15.0), why="expired"),
    ),
    Case(
        Answers,
        "entry k is gone, and was not there",
        lambda t: gone(gone(answered(t), why="cleared"), why="cleared"),
        lambda t: gone(answered(gone(answered(t), why="cleared"), "s"), why="cleared"),
    ),
    Case(
        Answers,
        "s was given an old answer, and ended as ok",
        lambda t: over(again(answered(t), stale=True)),
        lambda t: over(again(answered(t))),
    ),
    Case(
        Answers,
        "s was given an old answer, and ended as ok",
        lambda t: over(again(answered(t)), cached=False),
        lambda t: again(answered(t)).outcome("cancelled", "s"),
    ),
    Case(
        Answers,
        "s was given an old answer, and is booked for it",
        lambda t: over(again(answered(t)), cost_usd=0.1),
        lambda t: over(again(answered(t), stale=True), stale=True, cost_usd=0.1),  # for trying
    ),
    Case(
        Answers,
        "s says that its answer is an old one, and was given none",
        lambda t: over(t.accept("s")),
        lambda t: over(t.accept("s").add(RequestJoined, request="s", shared="c", deadline=9.0)),
    ),
    # S33
    Case(
        Exact,
        "s was delivered another text than others of the same answer",
        lambda t: played(t, "all of"),
        lambda t: played(t, "all of it"),
    ),
    Case(
        Exact,
        "u was delivered another text than others of the same answer",
        lambda t: whole(t, "all of"),
        lambda t: whole(t, "all of it"),
    ),
]  # fmt: skip
