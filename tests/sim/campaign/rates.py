"""Worlds about limits a minute: `python -m tests.sim.campaign.rates [--seeds N] [--first SEED]`.

Two providers that only count, under an engine that has to keep limits of its own for accounts and
models, with bursts, callers who leave, and whatever else goes wrong. Ends with 1 if one of them
counted more than a limit within any 60 s, or another law was broken.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from understudy_actors.runtime.ports import Randomness
from understudy_sim.check import Rules, Violation
from understudy_sim.dice import Dice
from understudy_sim.generate_faults import faults_for
from understudy_sim.scenario import Scenario, parse
from understudy_sim.world import run
from understudy_sim.world_events import Counted

LENGTH_S = 150.0
MODELS = ("large", "small")


def world(seed: int) -> Scenario:
    """The document of a seed."""
    dice = Dice(Randomness(seed)).under("rates")
    fleet = [_provider(dice.under(name), name) for name in ("alpha", "beta")]
    faults = faults_for(dice.under("faults"), fleet, 10.0, LENGTH_S) if seed % 2 else []
    return parse(
        {
            "name": f"rates-{seed}",
            "seed": seed,
            "horizon": LENGTH_S,
            "fleet": fleet,
            "clients": [_client(dice.under(kind), kind) for kind in ("poisson", "burst")],
            "faults": faults,
            "engine": {
                "strategy": dice.pick("strategy", ("priority", "adaptive", "round_robin")),
                "hedge": dice.chance("hedge"),
                "providers": {
                    name: _limits(dice.under(f"own/{name}")) for name in ("alpha", "beta")
                },
            },
        }
    )


def _provider(dice: Dice, name: str) -> dict[str, Any]:
    median_s = dice.pick("latency", (0.01, 0.5, 5.0, 20.0))
    return {
        "name": name,
        "wire": dice.pick("wire", ("openai", "anthropic")),
        "models": list(MODELS),
        "latency": {"kind": "lognormal", "median": median_s, "sigma": 0.8},
        "keeps_working": dice.chance("keeps working"),
        "counts": True,
    }


def _client(dice: Dice, kind: str) -> dict[str, Any]:
    arrivals: dict[str, Any] = {"kind": kind, "rate": dice.pick("rate", (0.5, 1.5))}
    if kind == "burst":
        arrivals = {"kind": kind, "size": dice.whole("size", 5, 40), "every": 59.0, "within": 1.0}
    client: dict[str, Any] = {
        "name": kind,
        "arrivals": arrivals,
        "deadline": dice.pick("deadline", (2, 20, 60)),
        "prompt_tokens": {"kind": "lognormal", "median": 60},
        "output_tokens": {"kind": "lognormal", "median": 80},
        "stream": dice.chance("streams"),
    }
    if dice.chance("model"):
        client["model"] = dice.pick("asked", MODELS)
    if dice.chance("bounded"):
        client["max_tokens"] = dice.pick("max tokens", (50, 300))
    if dice.chance("leaves"):
        client["cancels"] = {"share": 0.3, "after": {"kind": "lognormal", "median": 1.0}}
    return client


def _limits(dice: Dice) -> dict[str, Any]:
    bound = dice.pick("bound", (50, 200))
    return {
        "concurrency": 64,
        "models": [{"name": n, "max_output": bound, **_some(dice.under(n))} for n in MODELS],
        **_some(dice.under("account")),
    }


def _some(dice: Dice) -> dict[str, int]:
    limits = {}
    for unit, low, high in (
        ("requests", 2, 60),
        ("tokens", 300, 9000),
        ("output_tokens", 200, 5000),
    ):
        if dice.chance(unit):
            limits[f"{unit}_per_minute"] = dice.whole(f"{unit} limit", low, high)
    return limits


def violations(seed: int) -> tuple[list[Violation], int, int]:
    """What broke in the world of a seed; how many requests were counted, and under how many limits.

    The counting is done anew here, from the provider's own events and nothing else.
    """
    scenario = world(seed)
    ran = run(scenario)
    counted = [event for _, event in ran.events if isinstance(event, Counted)]
    rules = Rules.of(scenario.config).minutes
    for scope, rule in rules.items():
        own = [e for e in counted if scope in (e.provider, f"{e.provider}/{e.model}")]
        for last in own:
            minute = [e for e in own if last.at_s - 60 < e.at_s <= last.at_s]
            tokens = sum(e.input_tokens + e.output_tokens for e in minute)
            assert rule.requests is None or len(minute) <= rule.requests, (seed, scope)
            assert rule.tokens is None or tokens <= rule.tokens, (seed, scope)
    return ran.violations, len(counted), len(rules)


def main() -> int:
    """Run them, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    broken = requests = limits = 0
    for seed in range(options.first, options.first + options.seeds):
        found, counted, kept = violations(seed)
        requests, limits, broken = requests + counted, limits + kept, broken + bool(found)
        for each in found[:3]:
            print(f"seed {seed}: {each.signature}: {each.sentence}")
    print(
        f"{options.seeds} worlds, {requests} requests counted by providers, {limits} limited "
        f"accounts and models, none of them passed; {broken} worlds broke a law"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
