"""Campaigns: what crosses the boundary, what is found, what is written down, and how they end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from understudy_sim import cover
from understudy_sim.campaign import Campaign, Exit, Failure
from understudy_sim.cover import Coverage
from understudy_sim.examine import LAB, run_chunk
from understudy_sim.explore import UNDER_WAY, explore
from understudy_sim.fault_kinds import KINDS, WORLD_KINDS
from understudy_sim.generate import generate
from understudy_sim.guards import vacuous
from understudy_sim.pool import Chunk, Pool, Told, here
from understudy_sim.scenario import canonical_json, from_json

LABS = "tests.sim.campaign.labs"


def test_a_chunk_takes_seeds_and_documents_and_gives_plain_values_in_order() -> None:
    document = canonical_json(generate(1)).decode()
    told = run_chunk([2, document, 1])
    assert [each["seed"] for each in told] == [2, None, 1]
    assert json.loads(json.dumps(told)) == told
    by_document, by_seed = told[1], told[2]
    for name in (
        "semantic",
        "schedule",
        "checkpoints",
        "scenario",
        "coverage",
        "headline",
        "steps",
    ):
        assert by_document[name] == by_seed[name], name
    assert run_chunk([2])[0] == told[0]


def test_what_raises_is_told_with_its_document() -> None:
    fine, raised = run_chunk([2, 3], f"{LABS}:RAISING")
    assert fine["violations"] == []
    assert raised["violations"][0]["signature"] == "raised/LookupError@raising"
    assert from_json(raised["document"]) == generate(3)
    assert raised["progress"] is None


def test_a_lab_that_there_is_not_is_named() -> None:
    with pytest.raises(LookupError, match="labs:NOWHERE"):
        run_chunk([1], f"{LABS}:NOWHERE")


def test_the_pool_says_the_same_as_this_process() -> None:
    chunks: list[Chunk] = [[1, 2], [3, 4]]
    ours = {tuple(chunk): told for chunk, told in here(chunks, LAB)}
    theirs = {tuple(chunk): told for chunk, told in Pool(1)(iter(chunks), LAB)}
    assert ours == theirs


def test_one_seed_that_takes_its_process_along_is_found_and_the_others_are_run(
    tmp_path: Path,
) -> None:
    found = explore(range(6), jobs=1, chunk=3, into=tmp_path, lab=f"{LABS}:DYING", recheck=0)
    assert found.runs == 5
    (died,) = found.failures.values()
    assert (died.signature, died.seed) == ("died", 3)
    assert from_json((tmp_path / died.file_name).read_text()) == generate(3)
    assert found.exit is Exit.VIOLATION


def test_a_leak_of_the_hash_seed_is_found_with_the_event_where_the_runs_part(
    tmp_path: Path,
) -> None:
    found = explore([5], jobs=0, into=tmp_path, lab=f"{LABS}:LEAKY", recheck=1.0)
    (failure,) = found.failures.values()
    assert found.exit is Exit.NONDETERMINISM
    assert failure.sentence.startswith("semantic differ")
    assert "the runs part at event" in failure.detail
    assert "name " in failure.detail
    assert from_json((tmp_path / failure.file_name).read_text()) == generate(5)


def test_honest_runs_are_the_same_in_a_fresh_interpreter() -> None:
    found = explore(range(6), jobs=0, recheck=1.0, lab=f"{LABS}:PLANTED")
    assert found.rechecked == 6
    assert "nondeterminism" not in found.failures


def test_the_shortest_example_is_kept_and_is_on_disk_before_it_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, bool]] = []

    def watch(campaign: Campaign) -> None:
        files = {each.name for each in tmp_path.iterdir()}
        kept = {each.file_name for each in campaign.failures.values()}
        told.append((len(kept), kept <= files and UNDER_WAY in files))

    into = tmp_path
    found = explore(
        range(30), jobs=0, into=into, lab=f"{LABS}:PLANTED", recheck=0, on_progress=watch
    )
    assert [fine for _, fine in told] == [True] * 2
    (failure,) = found.failures.values()
    assert failure.runs > 1
    shortest = min(
        (each for each in run_chunk(range(30), f"{LABS}:PLANTED") if each["violations"]),
        key=lambda each: each["steps"],
    )
    assert (failure.seed, failure.steps) == (shortest["seed"], shortest["steps"])
    assert from_json((into / failure.file_name).read_text()) == generate(shortest["seed"])
    assert not (into / UNDER_WAY).exists()


def test_a_campaign_in_which_nothing_goes_wrong_fails_itself() -> None:
    found = explore(range(25), jobs=0, recheck=0, lab=f"{LABS}:CALM")
    assert found.exit is Exit.VACUOUS
    said = "\n".join(found.vacuous)
    assert "in 100% of the runs nothing failed" in said
    assert "no failover" in said
    assert "the law S8 Cooldowns had nothing to judge" in said


def test_a_budget_ends_an_endless_campaign() -> None:
    time = iter(range(100))

    def endless() -> Iterator[int]:
        yield from iter(int, 1)

    found = explore(
        endless(), jobs=0, chunk=2, budget_s=3, recheck=0, lab=f"{LABS}:CALM",
        wall=lambda: float(next(time)),
    )  # fmt: skip
    assert found.over_budget
    assert found.runs == 4


def test_any_other_executor_will_do() -> None:
    def backwards(chunks: Iterable[Chunk], lab: str) -> Iterator[tuple[Chunk, Told]]:
        for chunk in reversed(list(chunks)):
            yield chunk, run_chunk(chunk, lab)

    one = explore(range(8), chunk=3, executor=backwards, recheck=0, lab=f"{LABS}:CALM")
    two = explore(range(8), chunk=5, jobs=0, recheck=0, lab=f"{LABS}:CALM")
    assert one.coverage == two.coverage


def test_coverage_merges_and_crosses_as_plain_values() -> None:
    parts = [Coverage.from_dict(each["coverage"]) for each in run_chunk(range(6))]
    whole, halves = Coverage(), [Coverage(), Coverage()]
    for place, part in enumerate(parts):
        whole.add(part)
        halves[place % 2].add(part)
    halves[1].add(halves[0])
    assert halves[1] == whole
    assert Coverage.from_dict(json.loads(json.dumps(whole.to_dict()))) == whole
    assert whole.runs == 6
    assert whole.of("fault")
    assert whole.expected_new > 0
    assert vacuous(Coverage())


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        ([], Exit.CLEAN),
        ([("S4/x", "S4")], Exit.VIOLATION),
        ([("nondeterminism", "run")], Exit.NONDETERMINISM),
        ([("progress/deadlock", "run")], Exit.NO_PROGRESS),
        ([("L3/not closed", "L3")], Exit.NO_PROGRESS),
        ([("progress/livelock", "run"), ("S4/x", "S4")], Exit.VIOLATION),
    ],
)
def test_a_campaign_ends_as_its_worst_failure_says(
    failures: list[tuple[str, str]], expected: Exit
) -> None:
    campaign = Campaign()
    for signature, monitor in failures:
        campaign.fail(Failure(signature, monitor, "", 1, "{}", 1))
    assert campaign.exit is expected
    assert f"exit {int(expected)}" in campaign.summary()


@pytest.mark.parametrize("argument", [{"jobs": -1}, {"chunk": 0}, {"recheck": 2.0}])
def test_arguments_out_of_range_are_refused_by_name(argument: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(argument))):
        explore([1], **argument)  # type: ignore[arg-type]


def test_every_kind_of_fault_can_be_met() -> None:
    """A kind that coverage does not know would end every exploration that draws it."""
    known = cover._WORLD.keys() | cover._SHOWS_AS.keys()
    assert known == {*KINDS, *WORLD_KINDS}
