"""A process is killed in a simulated world, and the next one goes on with what the disk kept."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from understudy_actors.domain.events import BreakerMoved, RequestOutcome
from understudy_actors.domain.store_events import (
    BooksTaken,
    StoreFailing,
    StoreKept,
    StoreOpened,
    StoreWorking,
)
from understudy_sim.check import ALL
from understudy_sim.generate import generate
from understudy_sim.run import Run
from understudy_sim.scenario import parse
from understudy_sim.world import run
from understudy_sim.world_events import EngineKilled

PRICE = {"input": 1, "output": 5}


def lives(*faults: dict[str, Any], seed: int = 1, usd: float = 5.0, **store: Any) -> Run:
    """A busy world with a budget and a store."""
    document = {
        "name": "lives",
        "horizon": 40,
        "clients": [
            {
                "name": "web",
                "arrivals": {"kind": "poisson", "rate": 10},
                "tenant": "t",
                "users": 3,
                "max_tokens": 100,
            }
        ],
        "fleet": [{"name": name, "price": PRICE} for name in ("alpha", "beta")],
        "faults": list(faults),
        "engine": {
            "store": {"path": "simulated", **store},
            "budgets": [{"usd": usd, "per": "total"}, {"usd": usd, "user": "*"}],
        },
    }
    ran = run(parse(document), seed=seed, monitors=ALL)
    assert [each.sentence for each in ran.violations] == []
    assert ran.progress == "done"
    return ran


def of(ran: Run, kind: type[Any]) -> list[Any]:
    return [event for _, event in ran.events if type(event) is kind]


KILLS = {"kind": "kill", "from": 5, "every": 7, "until": 39, "down": "500ms"}


@pytest.mark.parametrize("durability", ["batched", "strict"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_money_and_gates_go_on_over_many_kills(durability: str, seed: int) -> None:
    broken = {"kind": "status", "from": 3, "until": 20, "selector": {"provider": "alpha"}}
    slow = {"kind": "disk", "variant": "slow", "takes": "50ms", "from": 10, "until": 30}
    ran = lives(KILLS, broken, slow, seed=seed, durability=durability)
    assert len(of(ran, EngineKilled)) == 5
    assert len(of(ran, StoreOpened)) == 6
    assert any(event.unknown for event in of(ran, BooksTaken)), "something was under way"
    assert any(
        event.why == "restored" and event.target == "open" for event in of(ran, BreakerMoved)
    )
    assert Counter(each.status for each in ran.requests)["ok"] > 100


def test_a_budget_that_is_used_up_stays_so() -> None:
    ran = lives(KILLS, usd=0.05, durability="strict")
    outcomes = [(event.at_s, event.status) for event in of(ran, RequestOutcome)]
    ended = max(at for at, status in outcomes if status == "ok")
    assert ended < 30
    assert {status for at, status in outcomes if at > ended} == {"OverBudget"}


def test_the_same_world_ends_the_same_way() -> None:
    once, again = lives(KILLS), lives(KILLS)
    assert once.semantic_digest == again.semantic_digest
    assert once.semantic_digest != lives(KILLS, seed=2).semantic_digest


@pytest.mark.parametrize(("durability", "served"), [("batched", True), ("strict", False)])
def test_a_full_disk_stops_money_or_nobody(durability: str, served: bool) -> None:
    full = {"kind": "disk", "variant": "full", "from": 10, "until": 20}
    ran = lives(full, durability=durability)
    during = {each.status for each in ran.requests if 11 <= each.arrived_at < 20}
    assert ("ok" in during) is served
    assert {each.status for each in ran.requests if each.arrived_at > 26} == {"ok"}
    assert len(of(ran, StoreFailing)) == len(of(ran, StoreWorking)) == 1


def test_an_answer_of_the_disk_that_gets_lost_changes_nothing() -> None:
    unsure = {"kind": "disk", "variant": "unsure", "from": 5, "until": 15}
    ran = lives(unsure, {**KILLS, "from": 17})
    batches = [event.batch for event in of(ran, StoreKept)]
    assert batches == sorted(set(batches))


def test_some_drawn_worlds_have_a_store() -> None:
    drawn = [generate(seed) for seed in range(120)]
    kept = [each for each in drawn if each.config.store is not None]
    kinds = Counter(fault.kind for each in kept for fault in each.faults)
    assert 8 <= len(kept) <= 40
    assert kinds["kill"] >= 5
    assert kinds["disk"] >= 5
    assert not any(f.kind in ("kill", "disk") for e in drawn if e not in kept for f in e.faults)
