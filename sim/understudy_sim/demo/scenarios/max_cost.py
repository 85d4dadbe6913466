"""A limit on cost: the dear ones are left out by name, and if all are, nobody is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from understudy import Request
from understudy_sim.demo.play import Scenario
from understudy_sim.demo.records import Asked, Pace
from understudy_sim.demo.stage import CAST, Stage

_SOME_USD = 0.001
_NOBODY_USD = 0.000001
_PROMPT = "Explain quantum computing in about three hundred words."


async def _play(stage: Stage) -> None:
    prices = ", ".join(f"{m.name} ${m.usd_out:g}" for m in CAST)
    stage.say(f"nothing fails; 1M tokens of an answer cost: {prices}; no stand-in is configured")
    free = await stage.ask(Request.chat(_PROMPT), "no limit")
    stage.expect("without a limit alpha answers", free.who == ["alpha"], free.who)
    limited = await stage.ask(
        Request.chat(_PROMPT, max_cost_usd=_SOME_USD), f"max_cost_usd={_SOME_USD}"
    )
    _expect_cheap(stage, limited)
    before = stage.all_calls()
    nobody = await stage.ask(
        Request.chat(_PROMPT, max_cost_usd=_NOBODY_USD), f"max_cost_usd={_NOBODY_USD:.6f}"
    )
    stage.expect(
        "when all are too dear the error says so",
        nobody.outcome == "OverMaxCost" and not nobody.attempts,
        f"{nobody.outcome}, {len(nobody.attempts)} attempts",
    )
    stage.expect(
        "it names everybody with a price",
        all(f"{m.name}/{m.model}" in nobody.text for m in CAST),
        nobody.text,
    )
    stage.expect("no provider was called for it", stage.all_calls() == before, stage.all_calls())


def _expect_cheap(stage: Stage, asked: Asked) -> None:
    stage.expect(
        f"with at most ${_SOME_USD:g} gamma answers",
        asked.who == ["gamma"] and asked.outcome == "ok",
        f"{asked.outcome} by {asked.who}",
    )
    dear = [name for name, why in asked.left_out.items() if "over max_cost_usd" in why]
    stage.expect(
        "alpha and beta are left out by name, because of their price",
        sorted(dear) == ["alpha/large", "beta/medium"],
        asked.left_out,
    )
    stage.expect(
        "it cost no more than the limit",
        asked.cost_usd is not None and 0 < asked.cost_usd <= _SOME_USD,
        f"${asked.cost_usd or 0:.6f}",
    )


def _changes(_pace: Pace) -> Mapping[str, Any]:
    return {"operations": {"chat": {"chain": [member.name for member in CAST]}}}


MAX_COST = Scenario(
    name="max-cost",
    title="A limit on cost",
    about="Nobody is asked who would cost more than the request allows.",
    play=_play,
    changes=_changes,
)
