"""Shrinking finds the few things a failure needs; replaying a document is the run."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from tests.sim.campaign.labs import PLANTED
from understudy_sim.diagram import line
from understudy_sim.examine import examine
from understudy_sim.generate import generate
from understudy_sim.replay import replay
from understudy_sim.scenario import Scenario, canonical_json, from_json
from understudy_sim.shrink import NotReproduced, Shrunk, shrink
from understudy_sim.simplify import steps


@functools.cache
def failing() -> Scenario:
    return next(
        each for each in map(generate, range(200)) if len(examine(each, PLANTED).violations) == 1
    )


@functools.cache
def small() -> Shrunk:
    return shrink(failing(), lab=PLANTED)


def test_a_failure_of_two_faults_is_shrunk_to_just_these() -> None:
    found = small()
    made = found.scenario
    assert found.before[1] > 2
    assert found.after[0] <= 2
    assert found.after[1] <= 2
    assert {each.kind for each in made.faults} <= {"hang", "auth"}
    assert len(made.fleet) <= 2
    assert len(made.clients) <= 2
    assert made.schedule == type(made.schedule)()
    assert found.tried <= 600
    again = examine(from_json(canonical_json(made)), PLANTED)
    assert found.violation in again.violations


def test_what_is_told_of_it_shows_the_witnesses() -> None:
    found = small()
    marked = [each for each in found.trace if each.startswith("> ")]
    assert len(marked) == 2
    assert "error=silent" in marked[0]
    assert "error=auth" in marked[1]
    head, *rows = found.diagram.splitlines()
    assert head.split() == ["clients", "engine", *(each.name for each in found.scenario.fleet)]
    assert sum(row.startswith(">") for row in rows) == 2
    assert all(len(row) < 200 for row in rows)
    assert "2 faults" in str(found) or "1 faults" in str(found)


def test_the_regression_test_is_a_test_that_runs() -> None:
    found = small()
    scope: dict[str, object] = {}
    exec(compile(found.test, "regression", "exec"), scope)
    (name,) = [each for each in scope if each.startswith("test_")]
    test = scope[name]
    assert callable(test)
    test()  # the planted law is none of the standard ones, so nothing is found
    scope["examine"] = functools.partial(examine, lab=PLANTED)
    with pytest.raises(AssertionError):
        test()


def test_a_document_that_does_not_fail_so_is_refused() -> None:
    with pytest.raises(NotReproduced, match="does not show S99"):
        shrink(failing(), "S99", lab=PLANTED)


def test_shrinking_stops_when_its_runs_are_used_up() -> None:
    found = shrink(failing(), lab=PLANTED, runs_max=5)
    assert found.tried == 5
    assert found.violation.signature == small().violation.signature


def test_no_step_changes_the_document_it_is_given() -> None:
    document = {
        "name": "x", "horizon": 9.5, "seed": 2,
        "clients": [{"name": "a", "arrivals": {"kind": "poisson", "rate": 1.25}, "without": [1]}],
        "fleet": [{"name": "alpha", "price": {"input": 1.5}}, {"name": "beta"}],
        "faults": [{"kind": "cut", "from": 1.0, "until": 7.5, "selector": {"provider": "beta"}}],
        "engine": {
            "providers": {"beta": {"priority": 1}},
            "operations": {"chat": {"chain": ["beta"]}},
        },
        "schedule": {"policy": "pct"},
    }  # fmt: skip
    before = repr(document)
    for step in steps():
        list(step.variants(document, None))
        for part in step.parts(document, None) if step.parts else ():
            assert step.without(document, [part]) != document
    assert repr(document) == before


def test_a_replay_is_the_run(tmp_path: Path) -> None:
    path = tmp_path / "bug.json"
    path.write_bytes(canonical_json(failing()))
    played, seen = replay(path, lab=PLANTED), examine(failing(), PLANTED)
    assert played.run is not None
    assert seen.run is not None
    assert played.run.semantic_digest == seen.run.semantic_digest
    told = [each for each in played.timeline() if "!!" not in each]
    assert told == [line(seq, event) for seq, event in seen.run.events]
    assert sum("!! T1" in each for each in played.timeline()) == 1


def test_a_replay_tells_nothing_that_comes_later() -> None:
    whole = replay(failing(), lab=PLANTED)
    end_s = whole.violations[0].witness[-1][1].at_s
    early = replay(failing(), until_s=end_s / 2, lab=PLANTED)
    assert early.violations == ()
    told, every = list(early.timeline()), list(whole.timeline())
    assert told == every[: len(told)]
    assert 0 < len(told) < len(every)
    assert replay(failing(), until_s=end_s, lab=PLANTED).violations == whole.violations


def test_a_replay_can_follow_one_request() -> None:
    played = replay(failing(), lab=PLANTED)
    assert played.run is not None
    identity = played.run.requests[0].id
    told = [each for each in played.timeline(request=identity) if " request=" in each]
    assert told
    assert all(f" request={identity}" in each for each in told)


def variants(name: str, document: dict[str, Any]) -> list[dict[str, Any]]:
    (step,) = [each for each in steps() if each.name == name]
    return list(step.variants(document, None))


def test_breakers_are_made_to_open_and_close_at_once() -> None:
    providers = {"alpha": {"breaker": {"trip_after": 6}}, "beta": {}}
    (quick,) = variants("thresholds", {"engine": {"breaker": "classic", "providers": providers}})
    once = {"trip_after": 1, "close_after": 1}
    assert quick["engine"]["breaker"] == {"preset": "classic", **once}
    assert quick["engine"]["providers"] == {"alpha": {"breaker": once}, "beta": {}}
    assert variants("thresholds", quick) == []
    assert variants("thresholds", {}) == [{"engine": {"breaker": {"preset": "default", **once}}}]


def test_whole_numbers_become_smaller_one_by_one() -> None:
    document = {"engine": {"max_attempts": 5, "fallback": True}, "fleet": [{"queue": 1}]}
    made = [each["engine"]["max_attempts"] for each in variants("counts", document)]
    assert made == [1, 2]
    assert all(each["fleet"] == [{"queue": 1}] for each in variants("counts", document))
