"""Who may serve a request: everybody is either ranked or left out, and every reason is told."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, Final

import attrs
import pytest
from hypothesis import given, settings, strategies as st

from tests.actors.dispatcher.made import Seen, candidates, flight, many, spec
from understudy_actors.dispatcher import ranking, select
from understudy_actors.dispatcher.settings import DispatcherSettings
from understudy_actors.dispatcher.strategies import BUILT_IN
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.price import Price
from understudy_actors.domain.request import Complexity, Request
from understudy_actors.runtime.ports import Randomness

CONDITIONS: Final[list[dict[str, Any]]] = [
    {},
    {"model": "m"},
    {"model": "p0/m"},
    {"model": "group"},
    {"capabilities": ("x",)},
    {"region": "eu"},
    {"tags": ("y", "x")},
    {"max_cost_usd": 0.001},
    {"max_cost_usd": 1.0},
    {"quality_boost": True},
    *({"strategy": name} for name in BUILT_IN),
]
FACTS: Final[list[dict[str, Any]]] = [
    {"operations": ("image",)},
    {"model": "n"},
    {"model": "n", "groups": ("group",)},
    {"model": "n", "groups": ("*",)},
    {"price": None},
    {"price": Price(50.0, 50.0)},
    {"capabilities": ()},
    {"tags": ("x",)},
    {"region": "us"},
    {"max_context_tokens": 50},
    {"max_context_tokens": 150},
    {"enabled": False},
]
STATES: Final[list[dict[str, Any]]] = [
    {"shut_until": 5.0},
    {"shut_until": 9.0},
    {"shut_until": math.inf},
    {"in_flight": 8},
    {"guard_tokens": 5.0},
    {"free_left": 2},
]
COMMON: Final[dict[str, Any]] = {
    "price": Price(1.0, 1.0),
    "capabilities": ("x", "y"),
    "tags": ("x", "y"),
    "region": "eu",
    "groups": ("group",),
}


def odd(*choices: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Nothing, or one of the choices."""
    return st.booleans().flatmap(lambda yes: st.sampled_from(choices) if yes else st.just({}))


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """With one condition at most, and perhaps a complexity."""
    complexity = draw(st.none() | st.sampled_from(list(Complexity)))
    return Request.chat("hi", complexity=complexity, **draw(odd(*CONDITIONS)))


@st.composite
def endpoints(draw: st.DrawFn) -> list[Candidate]:
    """Each may be odd in one fact and in one part of its state."""
    made: list[Candidate] = []
    for index in range(draw(st.integers(2, 6))):
        facts = {"model": "m", **COMMON, **draw(odd(*FACTS))}
        endpoint = spec(
            f"p{index}",
            priority=draw(st.integers(1, 2)),
            quality=draw(st.sampled_from([0.1, 0.9])),
            suits=draw(st.sampled_from([(), (), ("simple",), ("complex",)])),
            degraded=draw(st.sampled_from([False, False, True])),
            **facts,
        )
        state = {"shut_why": "open", **draw(odd(*STATES))}
        made.append(Candidate(endpoint, index, Seen(), **state))
    return made


chains = st.sampled_from([True, False]).flatmap(
    lambda chained: st.permutations([f"p{n}/m" for n in range(5)]) if chained else st.none()
)


def a_ranking(
    module: ModuleType, tier: list[Candidate], chain: Any = None, **options: Any
) -> tuple[Any, list[tuple[Any, ...]]]:
    """A ranking of `module` over a tier, and the list of what it reports."""
    reports: list[tuple[Any, ...]] = []
    settings = DispatcherSettings(
        BUILT_IN, chains={} if chain is None else {"chat": tuple(chain)}, **options
    )
    draws = Randomness(1).stream("test")
    return module.Ranking(settings, tier, {}, draws, lambda *what: reports.append(what)), reports


def check_ranking(module: ModuleType) -> None:
    """Raise unless everybody is ranked or left out, for the right reason and in the right place."""

    @settings(database=None, max_examples=250)
    @given(
        endpoints(),
        requests(),
        chains,
        st.sets(st.integers(0, 5), max_size=1),
        st.sampled_from([0, 200]),
    )
    def everybody(
        tier: list[Candidate], request: Request, chain: Any, tried: set[int], outgrew: int
    ) -> None:
        machine, reports = a_ranking(module, tier, chain)
        asked = [c for c in tier if c.index in tried]
        going = flight(request, tried=asked, outgrew=outgrew)
        decision = machine.decide(going, 1.0)
        ranked = list(decision.ranked)
        assert not reports
        assert sorted([c.name for c in ranked] + list(decision.reasons())) == sorted(
            c.name for c in tier
        ), "everybody is either ranked or left out"
        degraded = [c.spec.degraded for c in ranked]
        assert degraded == sorted(degraded), "stand-ins are last, whatever the strategy"
        for each in ranked:
            assert each.refusal(1.0) is None
            assert each not in asked
            assert each.guard_tokens > 5 or not asked
            assert each.spec.enabled
            assert (each.spec.max_context_tokens or 500) > max(99, outgrew), "too small"
        shut = [
            c.shut_until
            for c in tier
            if decision.left_out.get(c.name) == "open" and c.shut_until < math.inf
        ]
        assert decision.retry_at == min(shut, default=None)
        assert decision.can_wait == ("no slot" in decision.left_out.values())
        if chain is None and not request.complexity and ranked:
            here = ranked[0].spec
            assert all(
                here.priority <= c.spec.priority for c in ranked if c.spec.degraded == here.degraded
            )
        if ranked:
            assert ranked[0].picked == max(c.picked for c in tier) > 0
        suited = [
            bool(c.spec.suits) and request.complexity not in c.spec.suits
            for c in ranked
            if not c.spec.degraded
        ]
        if request.complexity and decision.strategy != "priority":
            assert suited == sorted(suited), "whom it does not suit comes after whom it does"

    everybody()


def check_fallbacks(module: ModuleType) -> None:
    """Raise unless fallbacks stand behind the model they are for, in order, before stand-ins."""

    @settings(database=None, max_examples=120)
    @given(
        st.lists(
            st.tuples(st.sampled_from("mnoz"), st.integers(1, 2), st.booleans(), st.integers(0, 8)),
            min_size=1,
            max_size=6,
        ),
        st.permutations(["m", "n", "o"]),
        st.sampled_from(list(BUILT_IN)),
        st.booleans(),
    )
    def in_order(
        made: list[tuple[str, int, bool, int]], names: list[str], strategy: str, chained: bool
    ) -> None:
        specs = [
            spec(f"p{at}", model, priority=priority, degraded=degraded)
            for at, (model, priority, degraded, _) in enumerate(made)
        ]
        tier = candidates(*specs)
        for candidate, (*_, busy) in zip(tier, made, strict=True):
            candidate.in_flight = busy
        first, *after = names
        chain = sorted((c.name for c in tier), reverse=True) if chained else None
        machine, reports = a_ranking(
            module, tier, chain, fallbacks={first: tuple(after)}, strategy=strategy
        )
        decision = machine.decide(flight(Request.chat("hi", model=first)), 0.0)
        assert not reports
        full = {c.name for c in tier if c.in_flight >= c.limit}
        ranked = [(c.spec.degraded, names.index(c.spec.model)) for c in decision.ranked]
        assert ranked == sorted(ranked)
        assert {c.name for c in decision.ranked} == {
            c.name for c in tier if c.spec.model != "z" and c.name not in full
        }
        alone = machine.decide(flight(Request.chat("hi", model=after[0])), 0.0)
        assert {c.spec.model for c in alone.ranked} <= {after[0]}, "a fallback has none itself"
        if chain is None and strategy != "priority" and ranked:
            same = [
                c.spec.priority
                for c in decision.ranked
                if (c.spec.degraded, names.index(c.spec.model)) == ranked[0]
            ]
            assert same == sorted(same), "priorities hold within each"

    in_order()


REASONS: Final[list[tuple[str, dict[str, Any], dict[str, Any], str]]] = [
    ("disabled", {"enabled": False}, {}, "disabled"),
    ("operation", {"operations": ("image",)}, {}, "does not offer chat"),
    ("model", {}, {"model": "z"}, "does not serve model z"),
    ("capability", {}, {"capabilities": ("vision",)}, "lacks capability vision"),
    ("region", {"region": "us"}, {"region": "eu"}, "is not in region eu"),
    ("tag", {"tags": ("a",)}, {"tags": ("a", "b")}, "lacks tag b"),
    ("too big", {"max_context_tokens": 99}, {}, "about 100 tokens exceed its 99"),
    ("too big to send", {"max_request_tokens": 7}, {}, "about 100 tokens exceed its 7"),
    ("price unknown", {}, {"max_cost_usd": 1.0}, "price unknown: set `price` for it"),
    (
        "too dear",
        {"price": Price(0.0, 0.0, None, 2.0)},
        {"max_cost_usd": 1.0},
        "over max_cost_usd: about $2.000000 > $1.000000",
    ),
]


@pytest.mark.parametrize(("name", "facts", "conditions", "reason"), REASONS)
def test_whoever_cannot_serve_is_left_out_with_the_reason(
    name: str, facts: dict[str, Any], conditions: dict[str, Any], reason: str
) -> None:
    tier = candidates(spec("a", **facts))
    machine, _ = a_ranking(ranking, tier)
    decision = machine.decide(flight(Request.chat("hi", **conditions)), 0.0)
    assert not decision.ranked
    assert decision.reasons()["a/m"].startswith(reason)
    assert not decision.can_wait


def test_whoever_cannot_serve_now_is_left_out_with_the_reason() -> None:
    tier = many(7)
    tier[0].shut_until, tier[0].shut_why = 9.0, "open"
    tier[1].shut_until, tier[1].shut_why = 7.0, "rate limited"
    tier[2].in_flight = tier[2].limit
    tier[3].guard_tokens = 5.0
    tier[4].spec = spec("p4", max_context_tokens=4000)
    tier[5].shut_until, tier[5].shut_why = math.inf, "held by hand"
    machine, _ = a_ranking(ranking, tier, ["p6/m", *(c.name for c in tier[:6])])
    decision = machine.decide(flight(tried=[tier[6]], outgrew=4000), 1.0)
    assert decision.left_out == {
        "p6/m": "tried already",
        "p0/m": "open",
        "p1/m": "rate limited",
        "p2/m": "no slot",
        "p3/m": "failing too often to fail over onto",
        "p4/m": "its context window is not larger",
        "p5/m": "held by hand",
    }
    assert decision.retry_at == 7.0, "a hand's hold ends at no time"
    assert decision.can_wait


def test_a_first_attempt_needs_no_guard_tokens() -> None:
    tier = many(1)
    tier[0].guard_tokens = 0.0
    machine, _ = a_ranking(ranking, tier)
    assert machine.decide(flight(), 0.0).ranked


def test_free_calls_count_as_free_under_max_cost() -> None:
    tier = candidates(spec("a"))
    tier[0].free_left = 1
    machine, _ = a_ranking(ranking, tier)
    assert machine.decide(flight(Request.chat("hi", max_cost_usd=0.0)), 0.0).ranked


@pytest.mark.parametrize("model", ["m", "a/m", "g", None])
def test_a_model_is_named_by_itself_by_its_endpoint_or_by_its_group(model: str | None) -> None:
    made = spec("a", groups=("g",))
    assert select.unfit(made, ("chat", model, (), None, (), None)) is None
    assert select.unfit(spec("a", groups=("*",)), ("chat", "anything", (), None, (), None)) is None


def test_a_chain_is_an_order_and_leaves_out_the_rest() -> None:
    tier = many(4)
    tier[2].spec = spec("p2", degraded=True)
    chain = ("p2/m", "p3/m", "p0/m")
    route = select.build_route(("chat", None, (), None, (), None), tier, chain)
    assert [c.name for c in route.candidates] == ["p3/m", "p0/m", "p2/m"]
    assert route.left_out == {"p1/m": "not in the chain of chat"}
    machine, _ = a_ranking(ranking, tier, chain)
    decision = machine.decide(flight(), 0.0)
    assert decision.strategy == "priority"
    assert [c.name for c in decision.ranked] == ["p3/m", "p0/m", "p2/m"]


def test_the_next_tier_serves_when_the_first_cannot() -> None:
    tier = candidates(spec("a", priority=2), spec("b", priority=1), spec("c", degraded=True))
    machine, _ = a_ranking(ranking, tier)
    assert [c.name for c in machine.decide(flight(), 0.0).ranked] == ["b/m", "a/m", "c/m"]
    tier[1].shut_until, tier[1].shut_why = 5.0, "open"
    machine.note(tier[1], 0.0)
    assert [c.name for c in machine.decide(flight(), 0.0).ranked] == ["a/m", "c/m"]
    assert [c.name for c in machine.decide(flight(), 5.0).ranked] == ["b/m", "a/m", "c/m"]


@pytest.mark.parametrize(
    ("conditions", "strategy"),
    [
        ({}, "least_busy"),
        ({"strategy": "random"}, "random"),
        ({"quality_boost": True, "complexity": Complexity.SIMPLE}, "best_quality"),
        ({"complexity": Complexity.SIMPLE}, "economy"),
        ({"complexity": Complexity.COMPLEX}, "best_quality"),
        ({"complexity": Complexity.MEDIUM}, "least_busy"),
    ],
)
def test_the_request_decides_about_its_strategy(conditions: dict[str, Any], strategy: str) -> None:
    machine, _ = a_ranking(ranking, many(2), strategy="least_busy")
    assert machine.decide(flight(Request.chat("hi", **conditions)), 0.0).strategy == strategy


def test_routes_and_memories_are_bounded() -> None:
    machine, _ = a_ranking(ranking, candidates(spec("a", groups=("*",)), spec("b", groups=("*",))))
    for number in range(ranking.ROUTES_MAX + 50):
        machine.decide(flight(Request.chat("hi", model=f"m{number}")), 0.0)
    assert len(machine._routes) == ranking.ROUTES_MAX


@attrs.define
class Foreign:
    """A user's strategy that misbehaves."""

    how: str
    name: str = "foreign"

    def rank(self, candidates: Any, view: Any) -> Any:
        match self.how:
            case "raises":
                raise ZeroDivisionError
            case "repeats":
                return [candidates[0], *candidates[:-1]]
            case "adds":
                return [*candidates, candidates[0]]
            case "drops":
                return candidates[1:]
            case "empties what it was given":
                candidates.clear()
                return candidates
            case "forgets to answer":
                return None
            case _:
                return reversed(candidates)


BAD: Final = (
    "raises",
    "repeats",
    "adds",
    "drops",
    "empties what it was given",
    "forgets to answer",
)


def check_containment(module: ModuleType) -> None:
    """Raise unless a strategy that breaks the law costs no more than its own opinion."""
    for how in (*BAD, "keeps the law"):
        tier = many(3)
        tier[0].in_flight = 8  # so that what the strategy gets is a list of its own
        machine, reports = a_ranking(module, tier)
        machine.adopt(Foreign(how))
        decision = machine.decide(flight(Request.chat("hi", strategy="foreign")), 0.0)
        ranked = [c.index for c in decision.ranked]
        if how == "keeps the law":
            assert (ranked, reports) == ([2, 1], [])
        else:
            assert ranked == [1, 2], f"{how}: the configured order is used"
            assert [report[:2] for report in reports] == [("strategy", "foreign")], how


def check_choosing(module: ModuleType) -> None:
    """Raise unless every request is ordered by what was chosen last, whoever asked before."""
    operations = ("chat", "image", "embedding")
    names = st.sampled_from(["priority", "fastest", "cheapest", "random"])
    some = st.sampled_from(operations)
    steps = st.one_of(some, st.tuples(st.none() | some, names))

    @settings(database=None, max_examples=100)
    @given(st.lists(steps, max_size=12), st.dictionaries(some, names), st.booleans())
    def the_last_choice_counts(
        course: list[Any], by_operation: dict[str, str], chained: bool
    ) -> None:
        tier = candidates(spec("p0", operations=operations), spec("p1", operations=operations))
        order = [each.name for each in tier] if chained else None
        machine, _ = a_ranking(module, tier, order, by_operation=by_operation)
        chosen: dict[str | None, str] = {}
        for step in course:
            if isinstance(step, tuple):
                operation, name = step
                chosen[operation] = machine.choose(operation, name)
                continue
            asked = Request(operation=step, input=Request.chat("hi").input)
            usual = "priority" if chained and step == "chat" else "adaptive"
            expected = chosen.get(step, by_operation.get(step, chosen.get(None, usual)))
            assert machine.decide(flight(asked), 0.0).strategy == expected
        assert machine.chosen == chosen

    the_last_choice_counts()


def test_a_chosen_strategy_counts_from_the_next_request_on() -> None:
    check_choosing(ranking)


def test_everybody_is_ranked_or_left_out_in_the_right_place() -> None:
    check_ranking(ranking)


def test_fallbacks_come_after_the_model_in_order() -> None:
    check_fallbacks(ranking)


def test_a_strategy_that_breaks_its_law_is_contained_and_reported() -> None:
    check_containment(ranking)


def test_a_strategy_that_cannot_be_made_is_contained_too() -> None:
    machine, reports = a_ranking(ranking, many(2), strategy="unheard of")
    assert [c.index for c in machine.decide(flight(), 0.0).ranked] == [0, 1]
    assert isinstance(reports[0][2], KeyError)
