"""Laws about two runs, and the reference model."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.engine.house import Script
from tests.sim.check.engines import ask, trace_of
from tests.sim.check.tape import Tape, breaks
from understudy import Engine, ErrorClass
from understudy_actors.domain.candidate import EndpointSpec
from understudy_actors.domain.events import AskOpened, Event
from understudy_actors.domain.price import Price
from understudy_actors.domain.waiting_events import Queued
from understudy_sim.check import Reference, Rules, adding_hurts, identical, renamed, scaled
from understudy_sim.check.violation import Witness

PLAIN = {"preset": "classic", "trip_after": 2, "cooldown": "4s"}


def play(steps: dict[str, tuple[Any, ...]], *, scale: float = 1.0) -> list[Witness]:
    """Ten requests, one each two seconds, in a world without jitter."""
    provider = {"kind": "function", "timeout": 20.0 * scale}
    config = {
        "strategy": "round_robin",
        "breaker": {**PLAIN, "cooldown": 4.0 * scale},
        "providers": dict.fromkeys(steps, provider),
    }

    async def drive(engine: Engine) -> None:
        for number in range(10):
            await ask(engine, 30.0 * scale, id=f"r{number}")
            await trio.sleep(2.0 * scale)

    functions = {name: Script(*own) for name, own in steps.items()}
    return trace_of(config, functions, drive)[0]


BROKEN = (ErrorClass.SERVER,) * 3 + (0.5,)


def test_the_same_run_gives_the_same_trace() -> None:
    steps = {"a": BROKEN, "b": (0.25,)}
    assert identical(play(steps), play(steps)) is None


def test_another_run_parts_from_it_where_it_does() -> None:
    found = identical(play({"a": BROKEN, "b": (0.25,)}), play({"a": BROKEN, "b": (0.5,)}))
    assert found is not None
    assert found.monitor == "S30"
    assert "differs in `at_s`" in found.sentence
    shorter = play({"a": BROKEN, "b": (0.25,)})
    cut = identical(shorter, shorter[:-1])
    assert cut is not None
    assert "only the first run goes on" in cut.sentence


def test_renaming_providers_changes_nothing_but_names() -> None:
    first = play({"alpha": BROKEN, "beta": (0.25,)})
    second = play({"gamma": BROKEN, "delta": (0.25,)})
    assert renamed(first, second, {"alpha": "gamma", "beta": "delta"}) is None
    found = renamed(first, second, {"alpha": "delta", "beta": "gamma"})
    assert found is not None
    assert found.monitor == "M1"


def test_scaling_all_times_scales_all_times() -> None:
    first = play({"a": (ErrorClass.SERVER,), "b": (0.5,)})
    second = play({"a": (ErrorClass.SERVER,), "b": (1.0,)}, scale=2.0)
    found = scaled(without_scores(first), without_scores(second), 2.0)
    assert found is None, found
    assert scaled(without_scores(first), without_scores(first), 2.0) is not None


def without_scores(events: list[Witness]) -> list[Witness]:
    """A score fades with the engine's own time constants."""
    return [each for each in events if each[1].__struct_config__.tag != "score.set"]


def test_one_more_healthy_provider_never_lowers_success() -> None:
    down = {"a": (ErrorClass.SERVER,), "b": (ErrorClass.SERVER,)}
    first, second = play(down), play({**down, "c": ("fine",)})
    assert adding_hurts(first, second) is None
    found = adding_hurts(second, first)
    assert found is not None
    assert (found.monitor, found.signature) == ("M2", "M2/worse")


FLEET = tuple(
    EndpointSpec(
        provider=name,
        model="m",
        operations=("chat",),
        priority=priority,
        weight=weight,
        price=Price(cost, cost) if cost is not None else None,
    )
    for name, priority, weight, cost in (
        ("a", 1, 1.0, 2.0),
        ("b", 1, 3.0, 1.0),
        ("c", 2, 1.0, None),
    )
)
RULES = Rules(fleet=FLEET)


def decisions(strategy: str, *rankings: str) -> Tape:
    tape = Tape()
    for number, ranking in enumerate(rankings):
        tape.accept(f"r{number}")
        tape.decide(
            *(f"{name}/m" for name in ranking), request=f"r{number}", strategy=strategy
        ).outcome(request=f"r{number}")
    return tape


@pytest.mark.parametrize(
    ("strategy", "good", "bad"),
    [
        ("priority", ("abc", "abc", "ac"), ("abc", "bac")),
        ("round_robin", ("abc", "bac", "abc"), ("abc", "abc")),
        ("weighted", ("bac", "bac", "abc", "bac", "bac"), ("bac", "bac", "bac")),
        ("cheapest", ("bac", "bac", "ac"), ("abc",)),
    ],
)
def test_the_reference_model_knows_the_order(
    strategy: str, good: tuple[str, ...], bad: tuple[str, ...]
) -> None:
    assert not breaks(Reference, decisions(strategy, *good), RULES)
    found = breaks(Reference, decisions(strategy, *bad), RULES)
    assert len(found) == 1
    assert "must be" in found[0].sentence or "always cheaper" in found[0].sentence


def test_the_reference_model_is_silent_where_it_cannot_know() -> None:
    tape = decisions("round_robin", "abc", "abc")
    tape.accept("x").decide("a/m", "b/m", request="x", strategy="adaptive")
    model = Reference(RULES)
    event: Event
    for seq, event in tape.events[:2]:
        model.on(seq, event)
    tape.accept("y").decide("b/m", request="y", strategy="round_robin", out={"a/m": "no slot"})
    for seq, event in tape.events[-2:]:
        assert model.on(seq, event) is None
    assert (model.judged, model.skipped) == (1, 1)


def restarted(waiting: bool) -> Tape:
    """The dispatcher comes back, and the same endpoint comes first twice."""
    tape = Tape().crash("dispatcher")
    if waiting:
        tape.add(AskOpened, actor="dispatcher", ask=1, deadline=9.0)
    tape.at(0.1).restart("dispatcher")
    for number, ranking in enumerate((("a", "b", "c"), ("a", "b", "c"), ("b", "a", "c"))):
        tape.accept(f"r{number}").decide(
            *(f"{name}/m" for name in ranking), request=f"r{number}", strategy="round_robin"
        )
    return tape


def test_those_who_waited_for_the_dispatcher_may_go_on_in_any_order() -> None:
    assert len(breaks(Reference, restarted(waiting=False), RULES)) == 1
    assert not breaks(Reference, restarted(waiting=True), RULES)


def test_what_the_dispatcher_decides_later_is_judged_again_for_those_who_come_new() -> None:
    tape = restarted(waiting=True).at(5.0)
    for number in (7, 8):
        tape.accept(f"r{number}", model="m")
        tape.decide("a/m", "b/m", "c/m", request=f"r{number}", strategy="round_robin")
    found = breaks(Reference, tape, RULES)
    assert [each.monitor for each in found] == ["D1"]


@pytest.mark.parametrize(("operation", "complaints"), [("chat", 1), ("embedding", 0)])
def test_a_price_of_words_matters_only_where_there_are_some(
    operation: str, complaints: int
) -> None:
    specs = (
        EndpointSpec(provider=name, model="m", operations=(operation,), price=Price(0.0, output))
        for name, output in (("a", 2.0), ("b", 1.0))
    )
    tape = Tape().accept(operation=operation).decide("a/m", "b/m", strategy="cheapest")
    assert len(breaks(Reference, tape, Rules(fleet=tuple(specs)))) == complaints


def test_the_reference_model_knows_fallbacks() -> None:
    fleet = tuple(
        EndpointSpec(provider=name, model=name, operations=("chat",)) for name in ("a", "b", "c")
    )
    rules = Rules(fleet=fleet, fallbacks={"c": ("b", "a")})

    def ranking(*names: str) -> Tape:
        order = (f"{name}/{name}" for name in names)
        return Tape().accept(model="c").decide(*order, strategy="round_robin")

    assert not breaks(Reference, ranking("c", "b", "a"), rules)
    assert len(breaks(Reference, ranking("b", "c", "a"), rules)) == 1


@pytest.mark.parametrize(("waiting", "complaints"), [(True, 0), (False, 1)])
def test_whose_turn_went_to_those_in_line_is_not_known(waiting: bool, complaints: int) -> None:
    tape = Tape().accept(model="m")
    for number, ranked in enumerate((("a/m", "b/m", "c/m"), (), ("c/m", "a/m", "b/m"))):
        if number == 1 and waiting:
            tape.add(
                Queued, request="w", ticket=1, wanted=("a/m",), since=0.0, deadline=9.0, tokens=1.0
            )
        out = {} if ranked else dict.fromkeys(("a/m", "b/m", "c/m"), "no slot")
        tape.decide(*ranked, strategy="round_robin", out=out)
    assert len(breaks(Reference, tape, RULES)) == complaints
