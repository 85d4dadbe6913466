"""Five failures open the breaker; it is skipped, and heals by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import trio

from understudy import Request
from understudy_actors.domain.events import BreakerMoved
from understudy_sim.demo.play import Scenario
from understudy_sim.demo.records import Pace
from understudy_sim.demo.stage import Stage

_SCOPE = "alpha/large"


async def _play(stage: Stage) -> None:
    stage.faults(
        "alpha",
        "answers 500 five times; then it is well",
        {"kind": "status", "statuses": [500], "times": 5},
    )
    failing = [
        await stage.ask(Request.chat(f"Question {number}"), f"request {number}")
        for number in range(1, 6)
    ]
    stage.expect(
        "five requests ask alpha in vain and are answered by beta",
        all(each.who == ["alpha", "beta"] and each.outcome == "ok" for each in failing),
        [each.who for each in failing],
    )
    stage.expect(
        "the fifth failure opens alpha's breaker",
        _moves(stage) == ["closed to open"],
        _moves(stage),
    )
    before = stage.calls("alpha")
    skipping = [
        await stage.ask(Request.chat(f"Question {number}"), f"request {number}, breaker open")
        for number in (6, 7)
    ]
    stage.expect(
        "the next two skip alpha",
        all(each.who == ["beta"] and each.left_out.get(_SCOPE) == "open" for each in skipping),
        [(each.who, each.left_out) for each in skipping],
    )
    stage.expect(
        "alpha itself counted five calls and no more",
        before == 5 and stage.calls("alpha") == 5,
        f"{before}, then {stage.calls('alpha')}",
    )
    await _heal(stage)


async def _heal(stage: Stage) -> None:
    stage.say(f"then nothing happens for the cooldown of {stage.pace.cooldown_s:g} s")
    await trio.sleep(stage.pace.cooldown_s + 0.05)
    healed = await stage.ask(Request.chat("Question 8"), "request 8, cooldown over")
    stage.expect(
        "after the cooldown alpha is tried again, and answers",
        healed.who == ["alpha"] and healed.outcome == "ok",
        f"{healed.outcome} by {healed.who}",
    )
    wanted = ["closed to open", "open to half-open", "half-open to closed"]
    stage.expect("its breaker has closed by itself", _moves(stage) == wanted, _moves(stage))


def _moved(stage: Stage) -> list[BreakerMoved]:
    return [e for e in stage.events if isinstance(e, BreakerMoved) and _SCOPE in e.scope]


def _moves(stage: Stage) -> list[str]:
    return [f"{each.source} to {each.target}" for each in _moved(stage)]


def _changes(_pace: Pace) -> Mapping[str, Any]:
    return {"providers": {"alpha": {"retry": {"attempts": 0}}}}


BREAKER = Scenario(
    name="breaker",
    title="Five failures, and the breaker opens",
    about="A provider that keeps failing is skipped without being asked, until it heals.",
    play=_play,
    changes=_changes,
)
