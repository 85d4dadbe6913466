"""Many runs on one page: quantiles that lie where they should, and a worst seed one can go to."""

from __future__ import annotations

import functools
import shlex
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from tests.sim.cli.house import STRICT, answered, called, failing, small, written
from tests.sim.report.test_page import read
from understudy_sim.cli.many import exit_of
from understudy_sim.compare import Comparison, compare
from understudy_sim.many import LEVELS, bands, over_seeds, quantiles, worst_of
from understudy_sim.report.comparison import page_of, worst_place
from understudy_sim.report.facts import Facts
from understudy_sim.report.seeds import NUMBERS, page_of_seeds, spans
from understudy_sim.run import Run
from understudy_sim.world import run

RANDOM = {"arrivals": {"kind": "poisson", "rate": 1.0}}
SEEDS = (1, 2, 3, 4, 5)


@functools.cache
def five() -> tuple[Facts, ...]:
    return tuple(over_seeds(small(client=RANDOM), SEEDS))


@functools.cache
def two_engines() -> Comparison:
    engine = small().engine
    return compare(
        small(client=RANDOM), {"priority": engine, "alone": {**engine, "max_attempts": 1}}, SEEDS
    )


def told(seed: int) -> str:
    return f"show {seed}"


@given(st.lists(st.none() | st.floats(-1e6, 1e6), max_size=60))
def test_quantiles_rise_and_are_values_of_the_seeds(values: list[float | None]) -> None:
    known = sorted(each for each in values if each is not None)
    found = quantiles(values)
    if not known:
        assert found is None
        return
    assert found is not None
    assert list(found) == sorted(found)
    assert set(found) <= set(known)
    for level, value in zip(LEVELS, found, strict=True):
        assert sum(each <= value for each in known) >= level * len(known)
        assert sum(each < value for each in known) <= level * len(known)


def test_each_seed_is_its_own_run_and_processes_change_nothing() -> None:
    runs = five()
    assert [each.seed for each in runs] == list(SEEDS)
    alone = run(small(client=RANDOM), seed=3)
    assert runs[2].semantic_digest == alone.semantic_digest
    assert over_seeds(small(client=RANDOM), SEEDS[:2], jobs=2) == list(runs[:2])


def test_slices_lie_over_each_other_and_bands_hold_every_seed() -> None:
    runs = five()
    found = bands(runs, lambda each: float(each.requests))
    assert sum(band.until_s - band.from_s for band in found) >= small().horizon_s
    for place, band in enumerate(found):
        values = [each.slices[place].requests for each in runs]
        assert {each.slices[place].from_s for each in runs} == {band.from_s}
        assert band.at is not None
        assert (band.at[0], band.at[-1]) == (min(values), max(values))
    edge = small(horizon=18.0, client=RANDOM)  # any longer, and its slices would be longer too
    assert {each.slices[1].from_s for each in over_seeds(edge, SEEDS)} == {0.2}
    same = bands([runs[0]] * 3, lambda each: each.p95_s)
    assert all(len(set(band.at)) == 1 for band in same if band.at is not None)


def test_the_worst_is_stuck_or_broke_a_law_or_answered_least() -> None:
    runs = over_seeds(replace(failing(), clients=small(client=RANDOM).clients), SEEDS)
    shares = [each.headline.availability for each in runs]
    assert len(set(shares)) > 1
    assert worst_of(runs).headline.availability == min(shares)
    broke = replace(runs[1], violations={"S4": ("x", 1)})
    assert worst_of([runs[0], broke, *runs[2:]]) is broke
    stuck = replace(runs[4], progress="deadlock")
    assert worst_of([broke, stuck]) is stuck
    assert worst_of([runs[0], runs[0]]) is runs[0]


def test_the_page_is_sound_and_refers_to_nothing_but_itself() -> None:
    html = page_of_seeds(five(), told)
    reader = read(html)
    assert reader.refers == [f"#seed-{worst_of(five()).seed}"]
    assert all(f'id="seed-{seed}"' in html for seed in SEEDS)
    assert html.count('class="worst"') == 1
    assert told(worst_of(five()).seed) in reader.says
    assert "script" not in reader.seen
    assert "Every law of the trace was kept under every seed." in reader.says
    assert html == page_of_seeds(five(), told)
    said = set(reader.says)
    for _, value, words in NUMBERS:
        for each in five():
            number = value(each.headline)
            assert ("–" if number is None else words(number)) in said


def test_what_went_wrong_is_said_with_its_seeds() -> None:
    broke = [replace(each, violations={"S4": ("x <y>", 2)}) for each in five()[:3]]
    stuck = replace(five()[4], progress="livelock")
    html = page_of_seeds([*broke, stuck], lambda seed: f"<b>{seed}</b>")
    assert "no progress under seed 5; S4 was broken under seeds 1 to 3." in html
    assert "&lt;b&gt;5&lt;/b&gt;" in html
    assert exit_of(broke) == 1
    assert exit_of([stuck]) == 3
    assert exit_of(five()) == 0


def test_nobody_asked_or_answered_still_makes_a_page() -> None:
    nobody = over_seeds(small(client={"arrivals": {"kind": "recorded", "at": []}}), [1, 2])
    assert "–" in read(page_of_seeds(nobody, told)).says


def test_numbers_are_listed_as_people_do() -> None:
    assert spans([1, 2, 3, 9, 5]) == "1 to 3, 5, 9"
    assert spans([4]) == "4"


def test_a_comparison_shows_every_seed_of_every_engine() -> None:
    found = two_engines()
    html = page_of(found, lambda name, seed: f"{name} <{seed}>")
    reader = read(html)
    assert reader.refers == []
    assert html.count('class="seed"') >= 2 * len(SEEDS)
    assert "Difference to priority, with its 95 % interval" in reader.says
    for each in found.outcomes:
        at = worst_place(each)
        assert f"{each.name} <{SEEDS[at]}>" in reader.says
        assert each.by_seed[at]["success"] == min(one["success"] or 0 for one in each.by_seed)
    one = compare(small(), {"a": small().engine, "b": small().engine}, [1])
    assert "One seed tells no spread" in page_of(one, lambda *_: "")


def digest_of(command: str) -> str:
    """Types a command that a page shows; its run's digest."""
    program, *words = shlex.split(command)
    assert program == "understudy"
    shown: str = answered(*words[: words.index("--report")])["semantic_digest"]
    return shown


def test_the_verb_runs_seeds_and_its_command_shows_the_worst(tmp_path: Path) -> None:
    file, report = written(tmp_path, small(client=RANDOM)), tmp_path / "many.html"
    asked = ("simulate", file, "--seeds", "3", "--seed", "2", "--jobs", "1")
    changed = (*asked, "--set", "clients.web.deadline=9s", "--report", str(report))
    shown = answered(*changed)
    assert [each["seed"] for each in shown["runs"]] == [2, 3, 4]
    worst = shown["worst"]
    (digest,) = (e["semantic_digest"] for e in shown["runs"] if e["seed"] == worst["seed"])
    assert digest_of(worst["command"]) == digest
    assert worst["command"] in "".join(read(report.read_text()).says)
    code, out, _ = called(*asked)
    assert code == 0
    assert "every law of the trace was kept under every seed" in out
    assert "the worst: understudy simulate" in out


def test_a_law_broken_under_any_seed_ends_with_1(tmp_path: Path) -> None:
    file = written(tmp_path, failing())
    asked = ("simulate", file, "--seeds", "2", "--jobs", "1", "--lab", STRICT)
    code, out, _ = called(*asked)
    assert code == 1
    assert "VIOLATION of T1 under seed" in out
    command = answered(*asked, code=1)["worst"]["command"]
    assert f"--lab {STRICT}" in command


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seeds", "2", "--trace", "x.trace"], "leave --seeds out"),
        (["--seeds", "20000"], "at most"),
        (["--seeds", "2", "--lab", "nowhere:LAB"], "nowhere"),
        (["--seeds", "2", "--report", "x.txt"], "must end in .html"),
    ],
)
def test_wrong_use_of_seeds_ends_with_64(words: list[str], said: str) -> None:
    code, _, err = called("simulate", "hangs", *words)
    assert code == 64
    assert said in err


def test_commands_of_a_comparison_show_its_runs(tmp_path: Path) -> None:
    file, report = written(tmp_path, small(client=RANDOM)), tmp_path / "c.html"
    config = tmp_path / "calm down.yaml"
    config.write_text("strategy: priority\nmax_attempts: 1\n")
    asked = ("compare", "priority", str(config), "--scenario", file, "--seeds", "3", "--jobs", "1")
    shown = answered(*asked, "--report", str(report))
    says = read(report.read_text()).says
    commands = [each for each in says if each.startswith("understudy ")]
    assert len(commands) == 2
    for command, outcome in zip(commands, shown["outcomes"], strict=True):
        words = shlex.split(command)
        headline = answered(*words[1 : words.index("--report")])["headline"]
        successes = [each["success"] for each in outcome["by_seed"]]
        assert headline["availability"] == min(successes)
    assert f"wrote {report}" in called(*asked, "--report", str(report))[1]


def test_a_run_still_reports_alone(tmp_path: Path) -> None:
    ran: Run = run(small())
    assert ran.scenario == small()
    shown = answered("simulate", written(tmp_path, small()), "--seeds", "1")
    assert shown["semantic_digest"] == ran.semantic_digest
