"""Policies: they permute, they differ, they repeat, and what they did can be replayed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, pairwise, permutations

import pytest
import trio
from hypothesis import given, strategies as st

from tests.sim.determinism import model
from understudy_actors.runtime.ports import Randomness
from understudy_sim.control import Deviations, FairPct, Fifo, Policy, PolicyName, Replay, Shuffle
from understudy_sim.ports import Sim
from understudy_sim.simulation import simulate

POLICIES: list[Callable[[Randomness], Policy]] = [lambda _: Fifo(), Shuffle, FairPct]


class FakeTask:
    """Hashable and weakly referable, as a task is."""


def decide(policy: Policy, sizes: list[int]) -> list[list[int]]:
    tasks = [FakeTask() for _ in range(max(sizes, default=0))]
    return [
        list(policy.arrange(contest, tasks[:size]))  # type: ignore[arg-type]
        for contest, size in enumerate(sizes)
    ]


@pytest.mark.parametrize("make", POLICIES)
@given(seed=st.integers(0, 2**64 - 1), sizes=st.lists(st.integers(2, 400), max_size=6))
def test_every_policy_answers_with_permutations_and_repeats_them(
    make: Callable[[Randomness], Policy], seed: int, sizes: list[int]
) -> None:
    orders = decide(make(Randomness(seed)), sizes)
    assert [sorted(order) for order in orders] == [list(range(size)) for size in sizes]
    assert decide(make(Randomness(seed)), sizes) == orders


def test_a_shuffle_of_one_contest_depends_on_no_other() -> None:
    sizes = [5, 9, 3, 7]
    whole = decide(Shuffle(Randomness(7)), sizes)
    other = decide(Shuffle(Randomness(7)), [50, 2, 3, 7])
    assert whole[2:] == other[2:]


def test_a_shuffle_reaches_every_order_about_equally_often() -> None:
    shuffle = Shuffle(Randomness(3))
    seen = decide(shuffle, [3] * 6000)
    counts = [seen.count(list(order)) for order in permutations(range(3))]
    # 1000 expected of each; the standard deviation is 29, so this is five of them
    assert all(850 < count < 1150 for count in counts)


def test_pct_keeps_its_order_but_for_a_few_changes() -> None:
    orders = decide(FairPct(Randomness(5)), [6] * 512)
    changes = sum(a != b for a, b in pairwise(orders))
    assert 1 <= changes <= 2


def test_policies_make_different_runs_of_one_seed() -> None:
    names: list[PolicyName] = ["fifo", "shuffle", "pct", "stress"]
    runs = {name: [model.run(seed, name) for seed in range(8)] for name in names}
    for one, other in combinations(names, 2):
        for (left, _), (right, _) in zip(runs[one], runs[other], strict=True):
            assert left.schedule_digest != right.schedule_digest
        seen = [[events for _, events in runs[name]] for name in (one, other)]
        assert seen[0] != seen[1], "and it shows in what happens"


def test_fifo_is_the_same_for_every_seed_and_steps_the_oldest_first() -> None:
    def order(policy: PolicyName, seed: int) -> list[int] | None:
        async def main(sim: Sim) -> list[int]:
            steps: list[int] = []

            async def step(number: int) -> None:
                steps.append(number)

            async with trio.open_nursery() as nursery:
                for number in range(6):
                    nursery.start_soon(step, number)
            return steps

        return simulate(main, seed=seed, policy=policy).result

    assert order("fifo", 1) == order("fifo", 2) == [0, 1, 2, 3, 4, 5]
    assert order("shuffle", 1) != order("shuffle", 2)


@pytest.mark.parametrize("name", ["shuffle", "pct", "stress"])
@pytest.mark.parametrize("seed", range(5))
def test_a_recorded_schedule_replays_exactly(name: PolicyName, seed: int) -> None:
    done, events = model.run(seed, name, record=True)
    assert done.contests > 10
    assert done.deviations
    replay = Replay(done.deviations)
    again, events_again = model.run(seed, replay, record=True)
    assert (events_again, again.schedule_digest) == (events, done.schedule_digest)
    assert again.deviations == done.deviations
    assert replay.misfits == 0


def test_half_a_recorded_schedule_still_runs_and_says_what_did_not_fit() -> None:
    done, _ = model.run(1, "shuffle", record=True)
    half: Deviations = {c: o for c, o in done.deviations.items() if c % 2}
    replay = Replay({**half, 0: tuple(range(40))})
    assert model.run(1, replay)[0].progress == "done"
    assert replay.misfits >= 1


def test_without_record_nothing_is_kept_and_the_digest_is_the_same() -> None:
    kept, _ = model.run(3, record=True)
    bare, _ = model.run(3)
    assert not bare.deviations
    assert bare.schedule_digest == kept.schedule_digest


@pytest.mark.parametrize("order", [(0, 0), (1, 2), (0, 1, 3)])
def test_a_replay_refuses_what_is_no_permutation(order: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="no permutation"):
        Replay({3: order})


def test_an_unknown_policy_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="fifo, shuffle, pct, stress"):
        model.run(0, "random")  # type: ignore[arg-type]
