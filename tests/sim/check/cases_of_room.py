"""Cases of the laws of what is free again after a while, and of turns."""

from __future__ import annotations

from tests.sim.check.case import Case
from tests.sim.check.cases_of_money import lent, paid
from tests.sim.check.tape import Tape
from understudy_actors.domain.candidate import EndpointSpec
from understudy_actors.domain.events import RequestRefused, Selected
from understudy_actors.domain.money_events import BoundBreached, MoneyRefused
from understudy_actors.domain.rate_events import RateLearned
from understudy_actors.domain.store_events import BooksTaken, StoreOpened
from understudy_sim.check import Rules
from understudy_sim.check.room import MoneyRoom, Room
from understudy_sim.check.rotation import Rotation

BUDGET = "engine, $0.000100 a day"
DAY = {BUDGET: (0, 86_400)}
WEIGHED = Rules(
    fleet=tuple(
        EndpointSpec(provider=name, model="m", operations=("chat",), weight=weight)
        for name, weight in (("a", 3.0), ("b", 1.0))
    )
)


def asked(t: Tape, count: int, user: str | None = None, *, over: bool = True) -> Tape:
    """So many requests, which end at once or go on."""
    for number in range(count):
        request = f"{user}/{number}"
        t.accept(request, user=user)
        if over:
            t.outcome(request=request)
    return t


def over_limit(t: Tape, scope: str = "user ann", rule: str = "3 requests") -> Tape:
    reason = f"a limit ({scope}, {rule} a minute) is used up. Try again in 3.0 s."
    return t.add(RequestRefused, request="late", reason=reason)


def opened(t: Tape, states: int) -> Tape:
    return t.add(StoreOpened, batch=states, states=states, unknown_micro_usd=0)


def used(t: Tape) -> Tape:
    """An attempt that is over."""
    return t.admit().ended()


def too_fast(t: Tape) -> Tape:
    return t.decide(out={"p/m": "rate limited"})


def learned(t: Tape) -> Tape:
    return t.add(RateLearned, endpoint="p/m", unit="requests", limit=1)


def no_room(t: Tape, room: int, wall: float = 1000.0) -> Tape:
    return t.add(MoneyRefused, request="r", budget=BUDGET, micro_usd=90, room=room, wall=wall)


def taken(t: Tape, micro_usd: int) -> Tape:
    return t.add(
        BooksTaken, budget=BUDGET, scope="engine", since=0.0, micro_usd=micro_usd, unknown=0
    )


def turns(t: Tape, winners: str, strategy: str = "weighted", *, missing: str | None = None) -> Tape:
    """Whose turn it was, one after the other."""
    t.accept()
    for winner in winners:
        others = [f"{each}/m" for each in "ab" if each != winner]
        t.decide(f"{winner}/m", *others, strategy=strategy, out={"c/m": missing or "open"})
    return t


CASES = [
    # L8, whoever asks
    Case(
        Room,
        "since user ann used up 3 requests a minute, and 2 requests can count there",
        lambda t: over_limit(asked(asked(t, 2, "ann"), 3, "bob")),
        lambda t: over_limit(asked(t, 3, "ann")),
    ),
    Case(  # a minute later they count no more
        Room,
        "and 0 requests can count there",
        lambda t: over_limit(asked(t, 3, "ann").at(64.0)),
        lambda t: over_limit(asked(t, 3, "ann").at(62.0)),
    ),
    Case(  # but for those under way
        Room,
        "and 0 requests can count there",
        lambda t: over_limit(asked(t, 3, "ann").at(64.0)),
        lambda t: over_limit(asked(t, 3, "ann", over=False).at(64.0)),
    ),
    Case(  # how many tokens somebody used is not told, nor who has which key
        Room,
        "since key k1 used up 1 requests and 100 tokens a minute, and 0",
        lambda t: over_limit(t, "key k1", "1 requests and 100 tokens"),
        lambda t: over_limit(asked(t, 1), "key k1", "5 requests and 100 tokens"),
    ),
    Case(  # another process may have counted
        Room,
        "since engine used up 3 requests a minute",
        lambda t: over_limit(opened(t, 0), "engine"),
        lambda t: over_limit(opened(t, 1), "engine"),
    ),
    # L8, providers
    Case(
        Room,
        "p/m refuses for its rate, and nothing counted there for 63 s",
        lambda t: too_fast(used(t).at(64.0)),
        lambda t: too_fast(used(t).at(63.0)),
    ),
    Case(  # while somebody is under way
        Room,
        "p/m refuses for its rate",
        lambda t: too_fast(used(t).at(64.0)),
        lambda t: too_fast(used(t).admit(2).at(64.0)),
    ),
    Case(  # what was learned is believed for longer
        Room,
        "p/m refuses for its rate, and nothing counted there for 123 s",
        lambda t: too_fast(learned(used(t)).at(124.0)),
        lambda t: too_fast(learned(used(t)).at(64.0)),
    ),
    Case(  # a stated delay has the same name
        Room,
        "p/m refuses for its rate",
        lambda t: used(t).hold(50.0).at(64.0).refuse("rate limited"),
        lambda t: used(t).hold(70.0).at(64.0).refuse("rate limited"),
    ),
    Case(  # who comes back counts what it has not heard of
        Room,
        "p/m refuses for its rate",
        lambda t: too_fast(used(t).at(64.0).restart("provider/q")),
        lambda t: too_fast(used(t).at(64.0).restart()),
    ),
    # L8, money
    Case(
        MoneyRoom,
        "has room for 20 micro-USD, it says; 60 are spent or set aside, which leaves 40",
        lambda t: no_room(paid(lent(t, 80, windows=DAY), 60), 20),
        lambda t: no_room(paid(lent(t, 80, windows=DAY), 60), 40),
    ),
    Case(
        MoneyRoom,
        "80 are spent or set aside, which leaves 20",
        lambda t: no_room(lent(t, 80, windows=DAY), 40),
        lambda t: no_room(lent(t, 80, windows=DAY), 20),
    ),
    Case(  # the next window has it all
        MoneyRoom,
        "0 are spent or set aside, which leaves 100",
        lambda t: no_room(lent(t, 80, windows=DAY), 20, wall=86_400.0),
        lambda t: no_room(lent(t, 80, windows=DAY), 100, wall=86_400.0),
    ),
    Case(  # a breach freezes it
        MoneyRoom,
        "which leaves 40",
        lambda t: no_room(paid(lent(t, 80, windows=DAY), 60), 0),
        lambda t: no_room(
            lent(t, 80, windows=DAY).add(BoundBreached, budget=BUDGET, request="r"), 0
        ),
    ),
    Case(  # what another process spent counts
        MoneyRoom,
        "50 are spent or set aside, which leaves 50",
        lambda t: no_room(lent(taken(t, 30), 20, windows=DAY), 80),
        lambda t: no_room(lent(no_room(taken(t, 30), 70), 20, windows=DAY), 50),
    ),
    # S27
    Case(
        Rotation,
        "a/m is 2.2 turns from its share of 0.750, under weighted among 2",
        lambda t: turns(t, "bbb"),
        lambda t: turns(t, "aabaaaba" * 4),
    ),
    Case(
        Rotation,
        "turns from its share of 0.500, under round_robin among 2",
        lambda t: turns(t, "aabaaaa", "round_robin"),
        lambda t: turns(t, "ab" * 9, "round_robin"),
    ),
    Case(  # whoever lets those pass who wait shows another ranking than its turn was about
        Rotation,
        "turns from its share",
        lambda t: turns(t, "bbb"),
        lambda t: turns(t, "bbb", missing="no slot"),
    ),
    Case(  # somebody else took a turn
        Rotation,
        "turns from its share",
        lambda t: turns(turns(t, "bb"), "b"),
        lambda t: turns(turns(t, "bb").add(Selected, strategy="weighted", ranked=("a/m",)), "b"),
    ),
    Case(  # they take turns from another line
        Rotation,
        "turns from its share",
        lambda t: turns(turns(t, "bb"), "b"),
        lambda t: (
            turns(t, "bb")
            .accept("s", needs=("x",))
            .decide("b/m", "a/m", request="s", strategy="weighted")
        ),
    ),
    Case(  # no other strategy hands out shares
        Rotation,
        "turns from its share",
        lambda t: turns(t, "bbb"),
        lambda t: turns(t, "bbb", "random"),
    ),
]
CASES = [
    Case(
        each.monitor, each.said, each.bad, each.good, WEIGHED if each.monitor is Rotation else None
    )
    for each in CASES
]
