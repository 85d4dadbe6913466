"""The traffic whose simulation is timed: two providers, and one of them in trouble."""

from __future__ import annotations

from typing import Any, Final

from understudy_sim.scenario import Scenario, parse

RATE: Final = 50.0
MEDIAN_S, SIGMA = 0.8, 0.4
TIMEOUT_S: Final = 10.0
FAILING: Final = 0.1
OUTAGE_RATE: Final = 200.0
OUTAGE_S: Final = 600.0


def steady(requests: int) -> Scenario:
    """50 requests a second; in the middle third a tenth of the first one's answers fail."""
    horizon_s = requests / RATE
    fault = {"kind": "status", "from": horizon_s / 3, "until": horizon_s * 2 / 3, "share": FAILING}
    return _scenario(RATE, horizon_s, fault)


def outage(length_s: float = OUTAGE_S) -> Scenario:
    """200 requests a second, and the first provider refuses every connection all the time."""
    return _scenario(OUTAGE_RATE, length_s, {"kind": "refuse"})


def _scenario(rate: float, horizon_s: float, fault: dict[str, Any]) -> Scenario:
    latency = {"kind": "lognormal", "median": MEDIAN_S, "sigma": SIGMA}
    names = ("alpha", "beta")
    wide = {"timeout": TIMEOUT_S, "concurrency": 1000}
    return parse(
        {
            "name": "benchmark",
            "seed": 1,
            "horizon": horizon_s,
            "clients": [
                {"name": "web", "arrivals": {"kind": "poisson", "rate": rate}, "deadline": 30}
            ],
            "fleet": [{"name": name, "latency": latency, "tokens_per_s": None} for name in names],
            "faults": [{**fault, "selector": {"provider": "alpha"}}],
            "engine": {
                "strategy": "priority",
                "providers": {name: {"priority": n, **wide} for n, name in enumerate(names, 1)},
            },
        }
    )
