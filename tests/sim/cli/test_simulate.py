"""`simulate` and `scenarios`: what they print, what they write, and how they end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim.cli.house import STRICT, answered, called, failing, small, written
from understudy_sim.campaign import Exit
from understudy_sim.check import Violation
from understudy_sim.cli import command
from understudy_sim.cli.playing import Played
from understudy_sim.headline import headline
from understudy_sim.report.words import ROWS
from understudy_sim.run import Run
from understudy_sim.scenario import load, names
from understudy_sim.tracefile import read
from understudy_sim.world import run


def test_a_scenario_is_run_and_its_headline_printed(tmp_path: Path) -> None:
    code, out, err = called("simulate", written(tmp_path, small()))
    assert code == 0
    assert err == ""
    measured = headline(run(small()))
    for name, _, value in ROWS:
        if name != "stand-in answers":  # there were none
            assert any(name in line and value(measured) in line for line in out.splitlines())
    assert "every law of the trace was kept" in out
    assert "\x1b" not in out  # no terminal, no colours


def test_json_holds_the_headline_and_the_digests(tmp_path: Path) -> None:
    shown = answered("simulate", written(tmp_path, small()))
    ran = run(small())
    assert shown["headline"]["availability"] == headline(ran).availability == 1.0
    assert shown["headline"]["requests"] == len(ran.requests) == sum(shown["outcomes"].values())
    assert shown["semantic_digest"] == ran.semantic_digest
    assert shown["progress"] == "done"
    assert shown["violations"] == []
    assert shown["seed"] == 5
    assert shown["wall_s"] > 0


def test_the_library_runs_by_name_and_is_listed() -> None:
    listed = answered("scenarios")
    assert [each["name"] for each in listed] == names()
    assert all(each["summary"].endswith((".", ":")) or each["summary"] for each in listed)
    code, out, _ = called("scenarios")
    assert code == 0
    assert all(name in out for name in names())
    shown = answered("simulate", "hangs", "--set", "horizon=5s", "--seed", "9")
    assert (shown["scenario"], shown["seed"]) == ("hangs", 9)


def test_set_changes_what_it_says_and_nothing_else(tmp_path: Path) -> None:
    file = written(tmp_path, small())
    plain = answered("simulate", file)
    twice = answered("simulate", file, "--set", "clients.web.arrivals.rate=2")
    assert twice["headline"]["requests"] == 2 * plain["headline"]["requests"]
    calm = answered("simulate", file, "--set", "faults=[]")
    assert calm["headline"]["attempts_per_request"] == 1.0
    assert calm["headline"]["requests"] == plain["headline"]["requests"]
    assert plain["headline"]["attempts_per_request"] > 1.0


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    file = written(tmp_path, small(client={"arrivals": {"kind": "poisson", "rate": 1}}))
    one, two = answered("simulate", file), answered("simulate", file, "--seed", "6")
    assert one["semantic_digest"] != two["semantic_digest"]
    assert two["seed"] == 6


def test_the_trace_the_report_and_the_document_are_written(tmp_path: Path) -> None:
    trace, report, saved = (tmp_path / name for name in ("a.trace", "a.html", "a.json"))
    asked = ("--trace", str(trace), "--report", str(report), "--save", str(saved))
    shown = answered("simulate", written(tmp_path, small()), *asked)
    assert read(trace).end.semantic == shown["semantic_digest"]
    assert shown["semantic_digest"] in report.read_text()
    assert load(saved) == small()


def test_a_broken_law_ends_with_1(tmp_path: Path) -> None:
    file = written(tmp_path, failing())
    shown = answered("simulate", file, "--lab", STRICT, code=1)
    (found,) = shown["violations"]
    assert found["monitor"] == "T1"
    assert found["count"] == shown["headline"]["requests"] - shown["outcomes"]["ok"]
    code, out, _ = called("simulate", file, "--lab", STRICT)
    assert code == 1
    assert "VIOLATION of T1: request web/5 failed" in out


def test_a_run_without_progress_ends_with_3() -> None:
    ran = run(small())
    stuck = Run(**{name: getattr(ran, name) for name in _FIELDS} | {"progress": "livelock"})
    assert Played(stuck, [], 1.0).exit_code == Exit.NO_PROGRESS
    assert Played(ran, [], 1.0).exit_code == Exit.CLEAN
    never_well = Violation("L3", "it never got well", (), "L3/open()")
    assert Played(ran, [never_well], 1.0).exit_code == Exit.NO_PROGRESS


_FIELDS = (
    *("scenario", "events", "requests", "schedule_digest", "progress", "ended_at_s"),
    *("steps", "contests"),
)


def test_the_exit_codes_are_those_of_campaigns() -> None:
    assert {each.name: int(each) for each in Exit} == {
        "CLEAN": command.CLEAN,
        "VIOLATION": command.VIOLATION,
        "NONDETERMINISM": command.NOT_DETERMINISTIC,
        "NO_PROGRESS": command.NO_PROGRESS,
        "VACUOUS": command.VACUOUS,
        "USAGE": command.USAGE,
    }


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["simulate"], "scenario"),
        (["simulate", "nowhere"], "there is no scenario 'nowhere'"),
        (["simulate", "nowhere.toml"], "nowhere.toml"),
        (["simulate", "hangs", "--bogus"], "--bogus"),
        (["simulate", "hangs", "--seed", "-1"], "--seed"),
        (["simulate", "hangs", "--set", "faults.7.share=1"], "there is no '7'"),
        (["simulate", "hangs", "--set", "engine.strategy"], "write key=value"),
        (["simulate", "hangs", "--set", "engine.strategi=x"], "strategi"),
        (["simulate", "hangs", "--set", "engine.strategy=nonsense"], "nonsense"),
        (["simulate", "hangs", "--report", "report.txt"], "must end in .html"),
        (["simulate", "hangs", "--lab", "nowhere:LAB"], "nowhere"),
        (["explore", "--budget", "soon"], "--budget"),
        (["explore", "--lab", "understudy_sim.run:Run"], "is no Lab"),
        (["diff", "one.trace"], "B"),
        (["replay", "hangs", "--until", "never"], "--until"),
    ],
)
def test_wrong_use_ends_with_64_and_says_what_is_wrong(arguments: list[str], word: str) -> None:
    code, out, err = called(*arguments)
    assert code == 64
    assert word in err
    assert out == ""
    assert "Traceback" not in err


def test_an_error_is_one_line_and_a_document_where_json_is_asked_for() -> None:
    code, out, err = called("simulate", "nowhere", "--json")
    assert code == 64
    assert err.count("\n") == 1
    assert '"type": "Refused"' in out


@pytest.mark.parametrize("other", [["demo", "--bogus"], ["mock", "--port", "x"]])
def test_other_verbs_keep_their_own_exit_code(other: list[str]) -> None:
    assert called(*other)[0] == 2
