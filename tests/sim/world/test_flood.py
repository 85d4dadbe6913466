"""A flood against a budget that pays for a hundred, in a world for each seed: as over sockets."""

from __future__ import annotations

from typing import Any, Final

import pytest

from understudy_actors.domain.events import AttemptEnded, RequestOutcome
from understudy_actors.domain.hedge_events import HedgeLaunched
from understudy_actors.domain.money_events import BoundBreached, MoneyCharged
from understudy_sim.headline import headline
from understudy_sim.run import Run
from understudy_sim.scenario import Scenario, parse
from understudy_sim.world import run

PAID_FOR: Final = 100
TOKENS: Final = 40
WORST: Final = 10 * TOKENS
"""Micro-USD of an answer; prompts are free here."""


def flood(seed: int) -> Scenario:
    """2,000 at once, half of them readers of streams, who meet whatever costs money."""
    crowd = {
        "arrivals": {"kind": "burst", "size": 950, "within": "1s", "every": "10m"},
        "output_tokens": TOKENS,
        "max_tokens": TOKENS,
        "prompt_tokens": 30,
        "deadline": "60s",
        "cancels": {"share": 0.05, "after": {"kind": "lognormal", "median": "1s"}},
    }
    early = {**crowd, "arrivals": {"kind": "burst", "size": 100, "within": "5s", "every": "10m"}}
    fleet: list[dict[str, Any]] = [
        {"name": name, "price": {"input": 0.0, "output": 10.0}, "tokens_per_s": 100.0}
        for name in ("alpha", "beta", "gamma")
    ]
    shares = {"status": 0.15, "cut": 0.03, "hang": 0.02, "reset": 0.03}
    faults = [{"kind": kind, "selector": {}, "share": share} for kind, share in shares.items()]
    document: dict[str, Any] = {
        "name": f"flood-{seed}",
        "seed": seed,
        "horizon": "2m",
        "clients": [
            {"name": "early", "stream": True, **early},
            {"name": "readers", "from": "6s", "stream": True, **crowd},
            {"name": "askers", "from": "6s", **crowd},
        ],
        "fleet": fleet,
        "faults": faults,
        "engine": {
            "budgets": [{"usd": PAID_FOR * WORST / 1e6}],
            "queue_capacity": 2000,
            "stream": {"hedge": {"floor": "1s"}},
            "providers": {each["name"]: {"timeout": "10s"} for each in fleet},
        },
    }
    return parse(document)


def of(ran: Run, kind: type[Any]) -> list[Any]:
    return [event for _, event in ran.events if isinstance(event, kind)]


@pytest.mark.parametrize("seed", range(6))
def test_a_flood_is_served_as_far_as_its_budget_pays_and_no_further(seed: int) -> None:
    ran = run(flood(seed))
    assert list(ran.violations) == []
    charged, told = of(ran, MoneyCharged), headline(ran)
    spent = sum(each.micro_usd for each in charged)
    assert round(told.billed_usd * 1e6) <= spent <= PAID_FOR * WORST
    assert not of(ran, BoundBreached)
    served = {each.request for each in of(ran, RequestOutcome) if each.status == "ok"}
    won = {each.attempt for each in of(ran, AttemptEnded) if each.verdict == "ok"}
    lost = sum(e.micro_usd for e in charged if e.attempt not in won or e.request not in served)
    affordable = (PAID_FOR * WORST - lost) // WORST
    assert len(served) >= 0.95 * affordable
    assert affordable >= PAID_FOR / 2
    assert of(ran, HedgeLaunched)
