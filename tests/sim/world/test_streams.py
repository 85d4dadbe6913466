"""Streams in the simulated world: cut, silent, malformed, rescued, and never wrong by a byte."""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

import pytest

from tests.sim.world.worlds import of
from tests.support.mutants import Mutant
from understudy_actors.domain.events import AttemptEnded, RequestOutcome
from understudy_actors.domain.stream_events import AttemptCommitted, StreamRescue, StreamSkipped
from understudy_sim.check import ALL
from understudy_sim.run import Run
from understudy_sim.scenario import load, parse
from understudy_sim.world import run
from understudy_sim.world_events import Delivered, Produced, Served

ASK = {"name": "web", "arrivals": {"kind": "recorded", "at": [1.0]}, "stream": True}


@functools.cache
def played() -> Run:
    return run(load("broken-streams"), monitors=ALL)


def once(*faults: dict[str, Any], **alpha: Any) -> Run:
    """One stream of 100 tokens from `alpha`, with `beta` behind it, and no copies."""
    fixed = {"latency": {"kind": "fixed", "value": 0.5}, "tokens_per_s": 50.0}
    return run(
        parse(
            {
                "name": "once",
                "horizon": "2m",
                "clients": [{**ASK, "hedge": False}],
                "fleet": [
                    {"name": "alpha", **fixed, **alpha},
                    {"name": "beta", "wire": "anthropic", **fixed, "voice": "alpha"},
                ],
                "faults": [{"selector": {"provider": "alpha"}, **each} for each in faults],
                "engine": {
                    "strategy": "priority",
                    "providers": {
                        "alpha": {"priority": 1, "retry": {"attempts": 0}},
                        "beta": {"priority": 2},
                    },
                },
            }
        ),
        monitors=ALL,
    )


def test_broken_streams_end_right_and_nobody_gets_a_wrong_byte() -> None:
    ran = played()
    assert (ran.violations, ran.progress) == ([], "done")
    status = Counter(event.status for event in of(ran, RequestOutcome))
    assert status["ok"] > 0.9 * (len(ran.requests) - status["cancelled"])
    ways = Counter(event.how for event in of(ran, StreamRescue))
    assert ways["splice"] > 10
    assert ways["prefill"] > 10
    ends = Counter(event.error for event in of(ran, AttemptEnded))
    assert all(ends[kind] > 0 for kind in ("reset", "stalled", "server", "malformed", "cancelled"))
    assert sum(event.count for event in of(ran, StreamSkipped)) > 10
    rescued = [event.request for event in of(ran, StreamRescue)]
    told = {event.request_id: event for event in of(ran, Delivered)}
    assert sum(told[request].whole for request in rescued) > 0.8 * len(rescued)


def test_the_same_seed_gives_the_same_streams() -> None:
    again = run(load("broken-streams"))
    assert again.semantic_digest == played().semantic_digest
    assert run(load("broken-streams"), seed=2).semantic_digest != again.semantic_digest


def test_tokens_come_at_the_providers_pace() -> None:
    ran = once()
    (record,) = ran.requests
    assert record.elapsed_s == pytest.approx(0.5 + 100 / 50, abs=0.05)
    (commit,) = of(ran, AttemptCommitted)
    assert commit.at_s == pytest.approx(1.5, abs=0.1)
    (produced,), (delivered,) = of(ran, Produced), of(ran, Delivered)
    assert delivered.text == produced.text
    assert len(produced.text) == 400


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "cut"}, "reset"),
        ({"kind": "cut", "after_bytes": 0}, "reset"),
        ({"kind": "stall", "after_bytes": 4000}, "stalled"),
        ({"kind": "ghost"}, "stalled"),
        ({"kind": "ghost", "variant": "reset"}, "reset"),
        ({"kind": "malformed", "variant": "late_error"}, "server"),
        ({"kind": "malformed", "variant": "unfinished"}, "malformed"),
        ({"kind": "malformed", "variant": "html"}, "malformed"),
    ],
)
def test_each_fault_is_seen_as_what_it_is_and_made_up_for(
    fault: dict[str, Any], error: str
) -> None:
    ran = once(fault)
    assert ran.violations == []
    assert [event.error for event in of(ran, AttemptEnded)] == [error, None]
    (delivered,) = of(ran, Delivered)
    assert delivered.whole
    assert {event.text for event in of(ran, Produced)} == {delivered.text}
    if fault["kind"] != "ghost":
        assert any(event.billed_usd > 0 for event in of(ran, Served))


@pytest.mark.parametrize("variant", ["bad_event", "unmarked"])
def test_what_harms_nobody_is_no_failure(variant: str) -> None:
    ran = once({"kind": "malformed", "variant": variant})
    assert [event.error for event in of(ran, AttemptEnded)] == [None]


def test_a_drip_is_slow_and_good() -> None:
    ran = once({"kind": "drip", "bytes_per_s": 2000.0})
    (record,) = ran.requests
    assert record.ok
    assert record.elapsed_s > 5.0


PLANTED: dict[str, tuple[Mutant, tuple[tuple[str, str], ...], set[str]]] = {
    "a repetition is delivered again": (
        Mutant("again", "understudy.streaming.splice", "return piece[shared:]", "return piece"),
        (("understudy.streaming.rescue", "Splice"), ("understudy.streaming.attempt", "Diverged")),
        {"S33"},
    ),
    "a second answer follows the first": (
        Mutant("anew", "understudy.streaming.rescue", "if not delivered:", "if True:"),
        (("understudy.streaming.stream", "plan"),),
        {"S17", "S33"},
    ),
    "a cut answer is taken for a whole one": (
        Mutant(
            "whole",
            "understudy.adapters.streaming",
            "return self.draft.ended or self.draft.finish is not None",
            "return True",
        ),
        (("understudy.adapters.openai", "StreamReader"),),
        {"S33"},
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_fault_planted_in_the_engine_breaks_a_law(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant, seams, laws = PLANTED[name]
    faulty = mutant.plant()
    for module, attribute in seams:
        monkeypatch.setattr(f"{module}.{attribute}", getattr(faulty, attribute))
    broken = {
        violation.monitor for violation in run(load("broken-streams"), monitors=ALL).violations
    }
    assert laws <= broken
