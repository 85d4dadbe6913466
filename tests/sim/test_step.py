"""Going through a run: every place is reached, and the state told there is that of its events."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections import Counter

import pytest
from hypothesis import given, settings, strategies as st

from tests.sim.cli.house import FLEET, NobodyFails, called, failing, small, written
from understudy_actors.domain.events import (
    BreakerMoved,
    Event,
    RequestAccepted,
    RequestOutcome,
    SlotFreed,
    SlotTaken,
)
from understudy_sim.check import check
from understudy_sim.cli.stepping import go_through
from understudy_sim.replay import Replay
from understudy_sim.run import Run
from understudy_sim.snapshot import Snapshot
from understudy_sim.step import HELP, Stepper, Unclear, obey, providers_of, straight, walk
from understudy_sim.world import run

moves = st.lists(
    st.sampled_from(
        ["", "n 7", "b", "b 3", "b 500", "r", "r web/7", "p alpha", "p beta", "k br", "t 6s", "v"]
    ),
    max_size=12,
)


@functools.cache
def broken() -> Run:
    """Alpha is down from 5 to 15 s, asked often enough that its breaker opens."""
    return run(small(fleet=FLEET, client={"arrivals": {"kind": "steady", "rate": 5}}))


def stepper(ran: Run | None = None, until_s: float = float("inf")) -> Stepper:
    ran = ran or broken()
    return Stepper(Replay(ran, tuple(check(ran.events, [NobodyFails])), until_s))


def folded(events: list[tuple[int, Event]]) -> Snapshot:
    fresh = Snapshot()
    for _, event in events:
        fresh.take(event)
    return fresh


@settings(max_examples=30, deadline=None)
@given(moves)
def test_the_state_at_a_place_is_the_same_however_it_was_reached(commands: list[str]) -> None:
    here = stepper()
    for command in commands:
        with contextlib.suppress(Unclear):  # `r` where no request was told about
            obey(here, command)
        assert 0 <= here.at <= len(here.events)
        expected = folded(here.events[: here.at])
        assert here.snapshot.scopes() == expected.scopes()
        assert here.snapshot.requests == expected.requests


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_the_state_is_what_counting_says(place: int) -> None:
    here = stepper()
    place %= len(here.events) + 1
    left = iter(range(place))
    here.forward(lambda _: next(left, None) is None)
    events = [event for _, event in here.events[: here.at]]
    slots: Counter[str] = Counter()
    for event in events:
        if isinstance(event, SlotTaken | SlotFreed):
            slots[event.endpoint] += 1 if isinstance(event, SlotTaken) else -1
    assert {name: count for name, count in here.snapshot.in_flight.items() if count} == +slots
    begun = {event.request for event in events if isinstance(event, RequestAccepted)}
    ended = {event.request for event in events if isinstance(event, RequestOutcome)}
    assert here.snapshot.requests.keys() == begun - ended


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ("r web/7", lambda event: getattr(event, "request", None) == "web/7"),
        ("p beta", lambda event: "beta" in providers_of(event)),
        ("k br.transition", lambda event: isinstance(event, BreakerMoved)),
        ("t 12.5", lambda event: event.at_s >= 12.5),
    ],
)
def test_a_command_stops_at_everything_it_asks_for_and_at_nothing_else(
    command: str, wanted: object
) -> None:
    here, stops = stepper(), []
    while obey(here, command) != ["  there is none any more"]:
        stops.append(here.events[here.at - 1])
    assert stops == [each for each in here.events if wanted(each[1])]  # type: ignore[operator]
    assert stops


def test_a_violation_is_gone_to_and_told() -> None:
    here = stepper(run(failing()))
    told = obey(here, "v")
    assert "!! T1: request web/5 failed" in "\n".join(told)
    assert isinstance(here.here, RequestOutcome)
    assert obey(stepper(), "v") == ["  there is none any more"]


def test_an_open_breaker_is_told_with_its_end_and_its_reason() -> None:
    here = stepper()
    told = obey(here, "k br.transition")
    move = here.here
    assert isinstance(move, BreakerMoved)
    assert move.until is not None
    (row,) = (each for each in told if each.startswith("  alpha/large"))
    assert f"open until {move.until:.3f} s ({move.why}), slots" in row
    obey(here, "b")
    assert "closed" in here.snapshot.scopes()["alpha/large"]


@given(st.text(max_size=12))
def test_whatever_is_typed_is_obeyed_or_explained(text: str) -> None:
    told: object = ()
    try:
        told = obey(stepper(until_s=2.0), text)
    except Unclear as error:
        told = str(error)
    assert told


@pytest.mark.parametrize(
    ("text", "words"),
    [("x", "tells what does"), ("n many", "no number"), ("t soon", "no time"), ("r", "which")],
)
def test_what_is_unclear_is_answered_with_what_would_do(text: str, words: str) -> None:
    with pytest.raises(Unclear, match=words):
        obey(stepper(), text)


def test_without_a_terminal_everything_is_told_once_and_in_order() -> None:
    told = list(straight(stepper()))
    events = [each for each in told if "|" not in each]
    assert events == list(Replay(broken(), ()).timeline())
    states = [each for each in told if "|" in each]
    assert any("open until" in each for each in states)
    assert not any(one == other for one, other in itertools.pairwise(told))
    of_one = [each for each in straight(stepper(), "web/7") if "|" not in each]
    assert of_one == list(Replay(broken(), ()).timeline(request="web/7"))


def test_a_walk_ends_with_q_or_with_its_input() -> None:
    typed = iter(["?", "w", "n 2", "w", "nonsense", "q", "n"])
    here = stepper()
    told = list(walk(here, lambda: next(typed, None)))
    assert here.at == 2
    assert set(HELP.splitlines()) <= set(told)
    assert "  nobody" in told
    assert any("nonsense" in each for each in told)
    assert list(walk(stepper(), lambda: None)) == [
        f"{len(here.events)} events; ? tells what can be typed"
    ]


def test_a_screen_shows_no_more_requests_than_fit() -> None:
    here = stepper()
    here.snapshot.requests.update({f"many/{n}": "accepted" for n in range(50)})
    assert len(here.under_way()) == 21
    assert here.under_way()[-1] == "  and 30 more"


def test_the_verb_tells_everything_where_there_is_no_terminal(tmp_path: object) -> None:
    file = written(tmp_path, small())  # type: ignore[arg-type]
    code, out, _ = called("replay", file, "--step", "--until", "6s", "--request", "web/5")
    assert code == 0
    assert "att.dispatched   request=web/5" in out
    assert "| alpha/large closed, slots 1" in out
    assert "request=web/4 " not in out
    code, _, err = called("replay", file, "--step", "--json")
    assert code == 64
    assert "leave --json" in err


def test_the_verb_asks_where_to_go(capsys: pytest.CaptureFixture[str]) -> None:
    typed = iter(["k br.transition", "q"])
    go_through(Replay(broken(), ()), ask=lambda: next(typed, None))
    out = capsys.readouterr().out
    assert "events on" in out
    assert "open until" in out
