"""Everybody is down, each in a way of its own: the stand-in answers, and says that it is one."""

from __future__ import annotations

from understudy import Request
from understudy_sim.demo.play import Scenario
from understudy_sim.demo.stage import STAND_IN, Stage


async def _play(stage: Stage) -> None:
    stage.faults(
        "alpha",
        "answers 429 with `Retry-After: 60`",
        {"kind": "rate_limit", "retry_after": 60},
    )
    stage.faults(
        "beta",
        "answers 500, then breaks every connection",
        {"kind": "status", "statuses": [500], "times": 1},
        {"kind": "reset"},
    )
    stage.faults("gamma", "accepts requests and never answers", {"kind": "hang"})
    asked = await stage.ask(Request.chat("Explain quantum computing"), "no conditions")
    stage.expect(
        "alpha, beta twice, gamma: each is asked before the stand-in",
        asked.who == ["alpha", "beta", "beta", "gamma", "local"],
        asked.who,
    )
    stage.expect(
        "each fails in its own way",
        asked.errors == ["rate_limit", "server", "reset", "silent", None],
        asked.errors,
    )
    stage.expect(
        "the stand-in answers",
        asked.provider == "local" and asked.text == STAND_IN,
        f"{asked.provider}: {asked.text[:60]}",
    )
    stage.expect("the answer is marked as degraded", asked.outcome == "degraded", asked.outcome)
    limit_s = stage.pace.timeout_s + stage.pace.backoff_s + 1.0
    stage.expect(
        f"the caller had an answer within {limit_s:.1f} s",
        asked.elapsed_s < limit_s,
        f"{asked.elapsed_s:.2f} s",
    )


ALL_DOWN = Scenario(
    name="all-down",
    title="All providers are down",
    about="Rate limit, errors, broken connections, silence: there is an answer all the same.",
    play=_play,
)
