"""Invalid requests are refused at once, and nobody is called."""

from __future__ import annotations

from typing import Final

from understudy import Request
from understudy_sim.demo.play import Scenario
from understudy_sim.demo.stage import Stage

_LIMIT_S: Final = 0.010

_WRONG: Final = (
    ("temperature=9", "temperature", Request.chat("Explain", temperature=9.0)),
    ("no message at all", "messages", Request.chat([])),
    ("timeout_s=-1", "timeout_s", Request.chat("Explain", timeout_s=-1.0)),
    ("an unknown operation", "operation", Request.custom("telepathy")),
)


async def _play(stage: Stage) -> None:
    for note, field, request in _WRONG:
        asked = await stage.ask(request, note)
        stage.expect(
            f"{note}: refused, and the message names `{field}`",
            asked.outcome == "InvalidRequest" and field in asked.text,
            f"{asked.outcome}: {asked.text[:100]}",
        )
    slowest_s = max(each.elapsed_s for each in stage.asked)
    stage.expect(
        f"each was refused within {_LIMIT_S * 1000:g} ms",
        slowest_s < _LIMIT_S,
        f"the slowest after {slowest_s * 1000:.2f} ms",
    )
    counted = stage.all_calls()
    stage.expect("no provider was called", not any(counted.values()), counted)


INVALID = Scenario(
    name="invalid",
    title="Invalid requests",
    about="What nobody could serve is refused before anything is called or spent.",
    play=_play,
)
