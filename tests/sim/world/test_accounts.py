"""Accounts in simulated worlds: kept over kills, and every planted loss is seen in the trace."""

from __future__ import annotations

import importlib
from typing import Any, Final

import pytest

from tests.sim.world.test_lives import KILLS, PRICE, lives, of
from tests.support.mutants import Mutant
from understudy_actors.domain.money_events import AccountsClosed, AccountsTaken
from understudy_sim.check import ALL
from understudy_sim.scenario import parse
from understudy_sim.world import run

SLOW: Final = {"kind": "disk", "variant": "slow", "takes": "300ms", "from": 2, "until": 40}
UNSURE: Final = {"kind": "disk", "variant": "unsure", "from": 10, "until": 12}
BROKEN: Final = {"kind": "status", "from": 3, "until": 20, "selector": {"provider": "alpha"}}


@pytest.mark.parametrize("durability", ["batched", "strict"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_accounts_go_on_over_many_kills(durability: str, seed: int) -> None:
    ran = lives(KILLS, SLOW, UNSURE, BROKEN, seed=seed, durability=durability)
    taken = [each.attempts for each in of(ran, AccountsTaken)]
    assert taken[0] == 0
    assert taken == sorted(taken)
    assert taken[-1] > 100
    assert of(ran, AccountsClosed)[-1].attempts > 0


def complaints() -> set[str]:
    """The laws that a world with kills and failures breaks."""
    document = {
        "name": "accounts",
        "horizon": 30,
        "clients": [{"name": "web", "arrivals": {"kind": "poisson", "rate": 10}, "users": 3}],
        "fleet": [{"name": name, "price": PRICE} for name in ("alpha", "beta")],
        "faults": [KILLS, BROKEN],
        "engine": {"store": {"path": "simulated"}},
    }
    return {each.monitor for each in run(parse(document), seed=5, monitors=ALL).violations}


FAULTS: Final = [
    ("A1", "book", "        row.attempts += 1\n", "        row.attempts += 2\n"),
    ("A1", "book", "row.micro_usd += round(cost * 1e6)", "row.micro_usd = round(cost * 1e6)"),
    ("A1", "book", "self._restored.add(row)", "pass"),
    ("A2", "book", "self._owed.append(row)", "pass"),
    ("A2", "keeping", "in sorted(rows, key=lambda row: row.key):", "in rows[:1]:"),
    ("A2", "keeping", "found.append(Addend(USAGE, key, row.take()))",
     "found.append(Addend(USAGE, key, row.numbers()))"),
    ("A2", "keeping", "times=times,\n        owed=False,\n        taken=kept.numbers,",
     "times=times,\n        owed=False,\n        taken=(0,) * len(NUMBERS),"),
]  # fmt: skip


def test_without_a_fault_nobody_complains() -> None:
    assert complaints() == set()


@pytest.mark.parametrize(("law", "module", "old", "new"), FAULTS)
def test_a_fault_in_the_accounts_breaks_a_law(
    law: str, module: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty: Any = Mutant(f"breaks {law}", f"understudy.accounts.{module}", old, new).plant()
    asked = importlib.import_module("understudy.accounts.accounts")
    names = {"book": ("Book",), "keeping": ("UsageSource", "restore")}[module]
    for name in names:
        monkeypatch.setattr(asked, name, getattr(faulty, name))
    assert law in complaints()
