"""Timeouts, retried on the same provider with waits that double."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from understudy import Request
from understudy_actors.domain.events import RetryScheduled
from understudy_sim.demo.play import Scenario
from understudy_sim.demo.records import Pace
from understudy_sim.demo.stage import Stage

_SLACK_S = 0.5
"""A wait may end later than planned on a busy machine, never earlier."""


async def _play(stage: Stage) -> None:
    pace = stage.pace
    stage.faults(
        "alpha",
        f"answers 504, then is silent for longer than {pace.timeout_s:g} s, then 504 again; "
        "then it is well",
        {"kind": "timeout", "duration": pace.latency_s, "times": 1},
        {"kind": "hang", "times": 1},
        {"kind": "timeout", "duration": pace.latency_s, "times": 1},
    )
    stage.say("the request must stay with its first choice (fallback=False)")
    asked = await stage.ask(
        Request.chat("Explain quantum computing", fallback=False), "fallback=False"
    )
    stage.expect(
        "alpha answers at its fourth attempt",
        asked.outcome == "ok" and asked.who == ["alpha"] * 4,
        f"{asked.outcome} after {asked.who}",
    )
    stage.expect(
        "it failed by 504, silence and 504 before",
        asked.errors == ["timeout", "silent", "timeout", None],
        asked.errors,
    )
    silences_s = [each.elapsed_s for each in asked.attempts if each.error == "silent"]
    stage.expect(
        f"its silence was ended after {pace.timeout_s:g} s",
        len(silences_s) == 1 and -0.01 <= silences_s[0] - pace.timeout_s < _SLACK_S,
        _listed(silences_s),
    )
    _expect_waits(stage, [each.wait_s for each in asked.attempts[1:]])


def _expect_waits(stage: Stage, waited: list[float]) -> None:
    wanted = [stage.pace.backoff_s * factor for factor in (1, 2, 4)]
    planned = [each.wait_s for each in stage.events if isinstance(each, RetryScheduled)]
    stage.expect(
        f"the waits double: {_listed(wanted)}",
        [round(each, 6) for each in planned] == [round(each, 6) for each in wanted]
        and len(waited) == len(wanted)
        and all(w - 0.01 <= each < w + _SLACK_S for w, each in zip(wanted, waited, strict=True)),
        f"planned {_listed(planned)}; waited {_listed(waited)}",
    )


def _listed(waits: list[float]) -> str:
    return ", ".join(f"{each:.2f} s" for each in waits) or "none"


def _changes(_pace: Pace) -> Mapping[str, Any]:
    return {"providers": {"alpha": {"retry": {"on": ["timeout", "silent"]}}}}


TIMEOUT = Scenario(
    name="timeout",
    title="Timeout, then retry",
    about="A slow provider is asked again, after exponentially longer waits.",
    play=_play,
    changes=_changes,
)
