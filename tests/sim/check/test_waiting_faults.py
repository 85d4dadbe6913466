"""Faults planted in waiting, hedging and collapsing: the laws notice each in a simulated world."""

from __future__ import annotations

import importlib
from typing import Any

import msgspec
import pytest

from tests.support.mutants import Mutant
from understudy_sim.check import ALL
from understudy_sim.scenario import Scenario, load, parse
from understudy_sim.world import run

RACE, OUTAGE, RUSH, CROWD = "error-first-race", "hedged-outage", "rush", "popular-question"
LATE, TIGHT = "stragglers", "error-first-race, few copies"
SHARES, WEIGHTS = "rush, shares", "rush, weights"
FAIRNESS = (
    "understudy_actors.dispatcher.fairness",
    "understudy_actors.dispatcher.order:FairShares",
)
HEDGING = ("understudy.routing.hedging", "understudy.routing.loop:hedged")
BUDGET = ("understudy_actors.dispatcher.hedge", "understudy_actors.dispatcher.actor:HedgeBudget")
TARGETS = ("understudy_actors.dispatcher.hedge", "understudy_actors.dispatcher.actor:targets")
DELAY = ("understudy_actors.dispatcher.hedge", "understudy.routing.hedging:delay_s")
ORDER = ("understudy_actors.dispatcher.order", "understudy_actors.dispatcher.queue:Order")
FULL = (
    "understudy_actors.dispatcher.admission",
    "understudy_actors.dispatcher.admission:queue_full",
)
FULL_SHARE = (
    "understudy_actors.domain.bulkhead",
    "understudy_actors.provider.actor:full",
    "understudy_actors.domain.candidate:full",
)
ENDPOINT = ("understudy_actors.provider.endpoint", "understudy_actors.provider.account:Endpoint")
COLLAPSE = ("understudy.routing.collapse", "understudy.engine:Collapser")

FAULTS = [
    ("S21", RACE, HEDGING, "an error wins",
     "            self._failed.append((seat, answer))\n",
     "            self._failed.append((seat, answer))\n"
     "            self.nursery.cancel_scope.cancel()\n"),
    ("S21", RACE, HEDGING, "nobody is told of a copy",
     "        wiring.dispatcher.tell(HedgeSent(", "        (HedgeSent("),
    ("S21", LATE, HEDGING, "the winner is whoever lost",
     "            self._tell_won(seat)\n", "            self._tell_won(self.first)\n"),
    ("S21", RACE, TARGETS, "the same account twice",
     "return a.provider != b.provider and not", "return not"),
    ("S21", RACE, DELAY, "no patience",
     "    return min(rule.ceiling_s, max(rule.floor_s, usual_s * rule.factor))\n",
     "    return 0.001\n"),
    ("S12", TIGHT, BUDGET, "copies for all",
     "return self.tokens >= 1.0 - _ROUNDING and self.in", "return self.in"),
    ("S12", OUTAGE, BUDGET, "any number at once",
     " and self.in_flight < self.rule.concurrent", ""),
    ("L6", RUSH, ORDER, "low bands first",
     "sorted(self._bands, reverse=True)", "sorted(self._bands)"),
    ("L6", RUSH, ORDER, "bands rise too soon",
     "max(waiter.lifted_at, served_at) + self.rule.ageing_s", "waiter.since + 0.5"),
    ("L6", RUSH, FULL, "come again at once",
     "hint_s = HINT_S if pace is None else min(HINT_MAX_S, 1.0 / pace)", "hint_s = 0.0"),
    ("S42", RUSH, ORDER, "nobody is charged",
     "                        band.charge(line, waiter.tokens)", "                        pass"),
    ("S42", WEIGHTS, FAIRNESS, "weights do not matter",
     "tokens / self.weights.get(tenant, 1.0)", "tokens"),
    ("S41", SHARES, FULL_SHARE, "shares do not bind",
     ">= each.most(limit) for each", "> 1000 for each"),
    ("S41", SHARES, ENDPOINT, "shares only grow",
     "            held[each.name] -= 1\n", ""),
    ("L9", CROWD, COLLAPSE, "the first to leave ends the call",
     "        if not shared.waiting:\n", "        if True:\n"),
    ("L9", CROWD, COLLAPSE, "everybody pays",
     "booked = replace(result, cost_usd=0.0) if result is not None else None", "booked = result"),
]  # fmt: skip


LENGTH_S = {OUTAGE: 100, RUSH: 100, LATE: 130}
"""How long those last that are not over in 40 s."""


def short(name: str) -> Scenario:
    """A scenario of the library, cut short and made hard where a fault needs that."""
    document: dict[str, Any] = msgspec.to_builtins(load(name.partition(",")[0]))
    document["horizon"] = LENGTH_S.get(name, 40)
    for client in document["clients"]:
        client |= {"from": 0, "until": document["horizon"]}
    engine = document["engine"]
    if name == RACE:  # two models of one account, the second of which could get a copy
        document["fleet"][0]["models"] = ["large", "small"]
    elif name == TIGHT:
        engine["hedge"] |= {"share": 0.01, "burst": 3}
    elif name == OUTAGE:
        engine["hedge"] = {"burst": 20, "concurrent": 3, "samples": 10}
    elif name == RUSH:
        engine["queue_capacity"] = 60
    elif name == WEIGHTS:
        engine["waiting"] = {"shares": {"modest": 4.0}}
        document["clients"][2]["arrivals"] = {"kind": "poisson", "rate": 16}
    elif name == SHARES:
        engine["max_share"] = {"tenants": {"*": 0.5, "greedy": 0.25}, "priorities": {"0": 0.75}}
    elif name == CROWD:
        document["clients"][0]["deadline"] = 2.5
        document["faults"] = [{"kind": "hang", "share": 0.5, "from": 5, "for": 30}]
    return parse(document)


def found(name: str) -> set[str]:
    """The laws that a run of a scenario breaks."""
    return {each.monitor for each in run(short(name), monitors=ALL).violations}


@pytest.mark.parametrize("name", [RACE, OUTAGE, RUSH, SHARES, WEIGHTS, CROWD, LATE, TIGHT])
def test_nothing_is_found_where_nothing_is_planted(name: str) -> None:
    assert found(name) == set()


@pytest.mark.parametrize(
    ("law", "scenario", "place", "fault", "old", "new"), FAULTS, ids=[each[3] for each in FAULTS]
)
def test_a_planted_fault_breaks_a_law(
    law: str,
    scenario: str,
    place: tuple[str, ...],
    fault: str,
    old: str,
    new: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module, *seams = place
    faulty = Mutant(fault, module, old, new).plant()
    for seam in seams:
        caller, name = seam.split(":")
        monkeypatch.setattr(importlib.import_module(caller), name, getattr(faulty, name))
    assert law in found(scenario)
