"""`replay`, `diff`, `explore` and `shrink`: from many seeds to one small document."""

from __future__ import annotations

import json
from pathlib import Path

from tests.sim.cli.house import STRICT, answered, called, failing, small, written
from understudy_sim.cli.progress import progress
from understudy_sim.scenario import load
from understudy_sim.tracefile import record_run
from understudy_sim.world import run


def test_a_replay_is_the_run_of_its_trace(tmp_path: Path) -> None:
    trace = tmp_path / "a.trace"
    record_run(run(small())).write(trace)
    file = written(tmp_path, small())
    shown = answered("replay", file, "--against", str(trace))
    assert shown["same_as_trace"] is True
    assert shown["semantic_digest"] == run(small()).semantic_digest
    other = ("replay", file, "--against", str(trace), "--set", "clients.web.arrivals.rate=2")
    shown = answered(*other, code=2)
    assert shown["same_as_trace"] is False
    assert "the runs part at event" in shown["difference"]
    assert "NOT the run" in called(*other)[1]


def test_a_timeline_ends_where_it_is_told_to(tmp_path: Path) -> None:
    file = written(tmp_path, small())
    whole = answered("replay", file, "--timeline")["timeline"]
    early = answered("replay", file, "--timeline", "--until", "6s")["timeline"]
    assert len(whole) == len(run(small()).events)
    assert early == whole[: len(early)]
    assert all(float(line.split()[0]) <= 6.0 for line in early)
    one = answered("replay", file, "--timeline", "--request", "web/6")["timeline"]
    assert 0 < len(one) < len(whole)
    assert not any("request=web/7 " in line for line in one)
    code, out, _ = called("replay", file, "--until", "6s")
    assert code == 0
    assert early[-1] in out


def test_a_replay_under_another_configuration(tmp_path: Path) -> None:
    config = tmp_path / "calm.toml"
    config.write_text("fallback = false\nmax_attempts = 1\n")
    file = written(tmp_path, small())
    shown = answered("replay", file, "--config", str(config))
    assert shown["headline"]["availability"] < 1.0
    config.write_text('[providers.gamma]\nkind = "openai"\nmodels = ["x"]')
    code, _, err = called("replay", file, "--config", str(config))
    assert code == 64
    assert "gamma" in err


def test_a_replay_shows_what_broke(tmp_path: Path) -> None:
    file, report = written(tmp_path, failing()), tmp_path / "r.html"
    code, out, _ = called("replay", file, "--lab", STRICT, "--report", str(report))
    assert code == 1
    assert "VIOLATION of T1" in out
    assert "request web/5 failed" in report.read_text()


def test_equal_traces_end_with_0_and_others_with_1_or_2(tmp_path: Path) -> None:
    one, two, three = (tmp_path / f"{name}.trace" for name in "abc")
    ran = run(small())
    record_run(ran).write(one)
    record_run(run(small(client={"deadline": "9s"}))).write(two)
    assert answered("diff", str(one), str(one))["equal"] is True
    shown = answered("diff", str(one), str(two), code=1)
    assert shown["same_setup"] is False
    assert shown["difference"]["index"] == 0
    assert called("diff", str(one), str(two))[0] == 1
    ran.events.pop()
    record_run(ran).write(three)
    shown = answered("diff", str(one), str(three), code=2)
    assert shown["same_setup"] is True
    code, out, _ = called("diff", str(one), str(three))
    assert code == 2
    assert "not deterministic" in out


def test_a_trace_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    trace = tmp_path / "a.trace"
    record_run(run(small())).write(trace)
    trace.write_bytes(trace.read_bytes()[:-300])
    code, _, err = called("diff", str(trace), str(trace))
    assert code == 64
    assert "was cut off" in err


def test_seeds_are_explored_and_what_fails_is_kept_and_shrunk(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    explored = ("explore", "--seeds", "2", "--jobs", "1", "--into", str(runs), "--lab", STRICT)
    shown = answered(*explored, code=1)
    assert (shown["runs"], shown["exit"]) == (2, 1)
    (failure,) = shown["failures"]
    assert (failure["monitor"], failure["runs"]) == ("T1", 2)
    small_one, test = tmp_path / "small.json", tmp_path / "test_it.py"
    shrink = ("shrink", failure["document"], "--lab", STRICT, "--out", str(small_one))
    shown = answered(*shrink, "--test", str(test), "--runs", "60")
    assert shown["signature"] == failure["signature"]
    assert shown["after"]["requests"] < shown["before"]["requests"] == 20
    assert "def test_" in test.read_text()
    assert load(small_one).faults
    assert called("replay", str(small_one), "--lab", STRICT)[0] == 1
    code, out, _ = called(*shrink, "--runs", "5")
    assert code == 0
    assert f"wrote {small_one}" in out


def test_a_document_that_does_not_fail_cannot_be_shrunk(tmp_path: Path) -> None:
    code, _, err = called("shrink", written(tmp_path, small()), "--lab", STRICT)
    assert code == 64
    assert "does not show any violation" in err


def test_a_clean_campaign_leaves_nothing_behind(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    code, out, err = called("explore", "--seeds", "2", "--jobs", "1", "--into", str(runs))
    assert code == 0, err
    assert "2 runs" in out
    assert not runs.exists()


def test_nothing_is_drawn_where_there_is_no_terminal(tmp_path: Path) -> None:
    with progress("working", 1.0, lambda: 1 / 0):
        pass
    _, out, err = called("simulate", written(tmp_path, small()), "--json")
    assert json.loads(out)
    assert err == ""
