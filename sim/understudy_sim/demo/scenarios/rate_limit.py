"""A rate limit: the next provider is asked at once, and the limited one is left alone."""

from __future__ import annotations

from understudy import Request
from understudy_actors.domain.events import FailedOver, HoldSet
from understudy_sim.demo.play import Scenario
from understudy_sim.demo.stage import Stage

_RETRY_AFTER_S = 30
_AT_ONCE_S = 0.2


async def _play(stage: Stage) -> None:
    stage.faults(
        "alpha",
        f"answers 429 with `Retry-After: {_RETRY_AFTER_S}`",
        {"kind": "rate_limit", "retry_after": _RETRY_AFTER_S},
    )
    first = await stage.ask(Request.chat("Explain quantum computing"), "first request")
    stage.expect(
        "beta answers after alpha's 429",
        first.outcome == "ok" and first.who == ["alpha", "beta"],
        f"{first.outcome} by {first.who}",
    )
    stage.expect("alpha failed by its rate limit", first.errors[0] == "rate_limit", first.errors)
    refused, answered = first.attempts
    gap_s = answered.started_s - refused.started_s - refused.elapsed_s
    stage.expect(
        f"beta was asked at once: nobody waited {_RETRY_AFTER_S} s",
        gap_s < _AT_ONCE_S and answered.wait_s == 0,
        f"{gap_s * 1000:.1f} ms later",
    )
    moved = [f"{e.source} to {e.target}" for e in stage.events if isinstance(e, FailedOver)]
    stage.expect("the log tells of one failover", moved == ["alpha/large to beta/medium"], moved)
    await _again(stage)


async def _again(stage: Stage) -> None:
    second = await stage.ask(Request.chat("And in one word?"), "second request")
    stage.expect(
        "the second request goes to beta alone, since alpha is held",
        second.who == ["beta"] and "rate limited" in second.left_out.get("alpha/large", ""),
        f"{second.who}, left out: {second.left_out}",
    )
    stage.expect("alpha itself counted one call", stage.calls("alpha") == 1, stage.calls("alpha"))
    holds = [e for e in stage.events if isinstance(e, HoldSet) and e.scope == "alpha/large"]
    held_s = holds[-1].until - holds[-1].at_s if holds else 0.0
    stage.expect(
        f"alpha is held for the {_RETRY_AFTER_S} s that it asked for",
        abs(held_s - _RETRY_AFTER_S) < 1.0,
        f"{held_s:.1f} s",
    )


RATE_LIMIT = Scenario(
    name="rate-limit",
    title="Rate limit, then failover at once",
    about="A 429 with a long Retry-After moves the request on, without a wait.",
    play=_play,
)
