"""Scenarios for people: a table of attempts, what was expected, and whether it was seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from understudy.cli.output import seconds, table, usd
from understudy.cli.tables import outcome, why
from understudy_actors.domain.result import Attempt
from understudy_sim.demo.play import Scenario
from understudy_sim.demo.records import Asked, Played

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

TEXT_MAX: Final = 160
"""A longer answer or error is cut here; `--json` holds all of it."""
_STATIC: Final = ("does not ", "tried already", "not in the chain")
"""Reasons that tell nothing here: what a model cannot do, and whose attempt stands above."""


def introduce(screen: Console, count: int) -> None:
    """What is about to be seen."""
    screen.print(
        "Three mock providers (alpha, beta, gamma) run in this process, on real sockets; beta "
        "speaks Anthropic's wire format, the others OpenAI's. Requests go to alpha first, then to "
        "beta, gamma and the stand-in `local`.",
        soft_wrap=screen.width > 200,
    )
    many = f"{count} scenarios follow; each" if count > 1 else "One scenario follows; it"
    screen.print(f"{many} begins with healthy providers.\n")


def show(screen: Console, number: int, scenario: Scenario, played: Played) -> None:
    """One scenario."""
    screen.print(f"{number}. {played.title}", style="bold")
    screen.print(f"   {scenario.about}", style="dim")
    screen.print("   What was done:")
    for line in played.setting:
        screen.print(f"   - {line}")
    screen.print(attempts(played.requests))
    for check in played.checks:
        if check.ok:
            screen.print(f"   seen: {check.expected}")
        else:
            screen.print(f"   NOT SEEN: {check.expected}", style="red")
            screen.print(f"             instead: {check.seen}", style="red")
    missed = sum(not each.ok for each in played.checks)
    took = seconds(played.elapsed_s)
    if played.ok:
        screen.print(f"ok      {played.name} ({took})\n", style="bold green")
    else:
        told = f"{missed} of {len(played.checks)} expectations not seen, {took}"
        screen.print(f"FAILED  {played.name} ({told})\n", style="bold red")


def attempts(requests: Sequence[Asked]) -> Table:
    """Every attempt of every request, who was not asked and why, and what the caller got."""
    shown = table(
        "asked", "outcome", "waited", "took", "cost", "reason, or answer",
        right=("waited", "took", "cost"),
    )  # fmt: skip
    for asked in requests:
        shown.add_row(f"{asked.note}:")
        for name, *row in _rows(asked):
            shown.add_row(f"  {name}", *row)
        shown.add_section()
    return shown


def _rows(asked: Asked) -> Iterator[tuple[str, str, str, str, str, str]]:
    for name, reason in asked.left_out.items():
        if not reason.startswith(_STATIC):
            told = "its breaker is open" if reason == "open" else reason
            yield name, "not asked", "", "", "", told
    for each in asked.attempts:
        yield (
            each.endpoint,
            outcome(each),
            seconds(each.wait_s) if each.wait_s else "",
            seconds(each.elapsed_s),
            usd(each.cost_usd),
            _reason(each),
        )
    cost = usd(asked.cost_usd if asked.provider else 0.0)
    text = asked.text if len(asked.text) <= TEXT_MAX else f"{asked.text[:TEXT_MAX]}..."
    yield "=> caller", asked.outcome, "", seconds(asked.elapsed_s), cost, text


def _reason(attempt: Attempt) -> str:
    """The engine's sentence; of its details the status alone: the class stands there already."""
    sentence = why(attempt).partition(" [")[0]
    return sentence if attempt.status is None else f"{sentence} (HTTP {attempt.status})"


def sum_up(screen: Console, played: Sequence[Played], elapsed_s: float) -> None:
    """The last line."""
    failed = [each.name for each in played if not each.ok]
    if failed:
        told = f"FAILED: {len(failed)} of {len(played)} scenarios: {', '.join(failed)}"
    else:
        told = f"ok: {len(played)} of {len(played)} scenarios went as expected"
    screen.print(f"{told} ({seconds(elapsed_s)})", style="bold red" if failed else "bold green")


def listing(scenarios: Sequence[Scenario]) -> Table:
    """The scenarios by name."""
    shown = table("name", "title", "what it shows")
    for each in scenarios:
        shown.add_row(each.name, each.title, each.about)
    return shown
