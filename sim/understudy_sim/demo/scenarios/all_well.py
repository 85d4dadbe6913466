"""Everybody is well: the first choice answers, over both wire formats."""

from __future__ import annotations

from understudy import Request
from understudy_sim.demo.play import Scenario
from understudy_sim.demo.records import Asked
from understudy_sim.demo.stage import CAST, Cast, Stage


async def _play(stage: Stage) -> None:
    first = await stage.ask(Request.chat("Explain quantum computing"), "no conditions")
    stage.expect("the first of the chain answers", first.who == ["alpha"], first.who)
    for member in CAST:
        request = Request.chat("Explain quantum computing", model=member.model)
        asked = await stage.ask(request, f"model={member.model}")
        _expect_answer(stage, asked, member)
    paths = stage.mocks["beta"].control.stats.paths
    stage.expect("beta was spoken to in Anthropic's format", "/v1/messages" in paths, paths)


def _expect_answer(stage: Stage, asked: Asked, member: Cast) -> None:
    stage.expect(
        f"{member.name} answers itself, at its first attempt",
        asked.outcome == "ok" and asked.who == [member.name] and member.name in asked.text,
        f"{asked.outcome} by {asked.who}",
    )
    used = asked.usage
    due_usd = (used.input_tokens * member.usd_in + used.output_tokens * member.usd_out) / 1e6
    stage.expect(
        f"its cost is what {member.name}'s prices make of the tokens",
        asked.cost_usd is not None and due_usd > 0 and abs(asked.cost_usd - due_usd) < 2e-6,
        f"${asked.cost_usd or 0:.6f} for {used.input_tokens} + {used.output_tokens} tokens",
    )


ALL_WELL = Scenario(
    name="all-well",
    title="All is well",
    about="The first choice answers; a request may name another model.",
    play=_play,
)
