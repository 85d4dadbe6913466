"""`understudy what-if`: an outage under one's own configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from understudy.cli.options import AsJson
from understudy_sim.cli.command import CLEAN, Unusable, verb
from understudy_sim.cli.options import Report

if TYPE_CHECKING:
    from understudy_sim.report.facts import Facts
    from understudy_sim.scenario import Scenario
    from understudy_sim.whatif import WhatIf

IN_ONE_PROCESS: Final = 5000.0
"""Requests of a run up to which a second process is not worth its start."""


@verb
def what_if(
    provider: Annotated[str, typer.Option(metavar="NAME", help="Who is down.")],
    config: Annotated[
        Path, typer.Option("--config", "-c", metavar="FILE", help="Your configuration.")
    ],
    down: Annotated[str, typer.Option(metavar="TIME", help="For how long.")] = "10m",
    rps: Annotated[
        float, typer.Option(min=0.001, max=100_000, help="Requests a second, on average.")
    ] = 20.0,
    fault: Annotated[
        str, typer.Option(help="How it shows: refuse, error, hang, slow or rate-limit.")
    ] = "refuse",
    model: Annotated[str | None, typer.Option(help="The model or group that is asked for.")] = None,
    prompt_tokens: Annotated[float, typer.Option(min=1, help="Median length of prompts.")] = 500,
    output_tokens: Annotated[float, typer.Option(min=1, help="Median length of answers.")] = 200,
    latency: Annotated[
        str, typer.Option(metavar="TIME", help="Median time until an answer begins.")
    ] = "800ms",
    tokens_per_s: Annotated[
        float, typer.Option("--tokens-per-s", min=0.001, help="Pace of the answers.")
    ] = 100.0,
    seed: Annotated[int, typer.Option(min=0, max=2**64 - 1)] = 1,
    report: Report = None,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Write the document first.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Simulate an outage of one provider under your own configuration: with and without it.

    Each provider of the configuration becomes a simulated one. No key is read, and nobody is asked.
    The outage begins a minute after the start, and the run goes on for two minutes after it.
    """
    from understudy.cli.options import duration_s
    from understudy.config.files import read_table
    from understudy_sim.cli.documents import write_document
    from understudy_sim.cli.playing import check_report, write_report
    from understudy_sim.whatif import Load, Outage, what_if as imagined

    check_report(report)
    wanted = imagined(
        read_table(config),
        Outage(provider=provider, for_s=duration_s(down, "--down"), shows_as=fault),
        Load(rps=rps, prompt_tokens=prompt_tokens, output_tokens=output_tokens, model=model),
        seed=seed,
        latency_s=duration_s(latency, "--latency"),
        tokens_per_s=tokens_per_s,
    )
    if model is not None:
        _check_model(wanted.broken, model)
    if save is not None:
        write_document(save, wanted.broken)
    (broken, broken_ended), (healthy, healthy_ended) = both(wanted)
    if report is not None:
        write_report(report, broken, ("no outage", healthy.headline))
    _tell(wanted, broken, healthy, as_json=as_json)
    if code := broken_ended or healthy_ended or CLEAN:
        raise typer.Exit(code)


def _check_model(scenario: Scenario, model: str) -> None:
    from understudy.config import endpoints, parse

    specs = endpoints(parse(scenario.engine_table))
    known = {name for each in specs for name in (each.model, each.name, *each.groups)}
    if model not in known:
        raise Unusable(f"--model {model}: nobody serves it; use {', '.join(sorted(known - {'*'}))}")


def both(
    wanted: WhatIf, requests_max: float = IN_ONE_PROCESS
) -> tuple[tuple[Facts, int], tuple[Facts, int]]:
    """Facts and exit code of the run with the outage, and of the one without.

    If more than `requests_max` are expected, the latter runs in a process of its own meanwhile.
    """
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    from understudy_sim.scenario import canonical_json

    if expected(wanted.broken) <= requests_max:
        return _facts(wanted.broken), _facts(wanted.healthy)
    text = canonical_json(wanted.healthy).decode()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        other = pool.submit(_facts_of, text)
        return _facts(wanted.broken), other.result()


def expected(scenario: Scenario) -> float:
    """How many requests its clients will make, about."""
    rates = (getattr(each.arrivals, "rate", 0.0) for each in scenario.clients)
    return sum(rates) * scenario.horizon_s


def _facts(scenario: Scenario, *, quiet: bool = False) -> tuple[Facts, int]:
    """One run, reduced to its facts before the next one needs the memory."""
    from understudy_sim.cli.playing import play
    from understudy_sim.report.facts import gather

    played = play(scenario, "" if quiet else f"simulating {scenario.name}")
    return gather(played.run, played.violations), played.exit_code


def _facts_of(text: str) -> tuple[Facts, int]:
    """The same of a document, in another process, which must not draw on this one's terminal."""
    from understudy_sim.scenario import from_json

    return _facts(from_json(text), quiet=True)


def _tell(wanted: WhatIf, broken: Facts, healthy: Facts, *, as_json: bool) -> None:
    from understudy.cli.output import console, emit
    from understudy_sim.report.terminal import headline_table

    if as_json:
        emit(
            {
                "scenario": wanted.broken.name,
                "assumptions": list(wanted.assumptions),
                "notes": list(wanted.notes),
                "with_outage": _document(broken),
                "without_outage": _document(healthy),
            }
        )
        return
    screen = console()
    screen.print(wanted.broken.description, soft_wrap=True)
    screen.print("Assumed:")
    for each in wanted.assumptions:
        screen.print(f"  - {each}", soft_wrap=True)
    screen.print(headline_table({"outage": broken.headline, "no outage": healthy.headline}))
    for each in wanted.notes:
        screen.print(f"note: {each}", style="yellow", soft_wrap=True)
    for name, facts in (("outage", broken), ("no outage", healthy)):
        for law, (sentence, times) in (facts.violations or {}).items():
            screen.print(
                f"VIOLATION of {law} with {name}, {times} times: {sentence}",
                style="red",
                soft_wrap=True,
            )


def _document(facts: Facts) -> dict[str, Any]:
    return {
        "document": facts.document,
        "progress": facts.progress,
        "headline": facts.headline,
        "outcomes": facts.outcomes,
        "violations": {law: count for law, (_, count) in (facts.violations or {}).items()},
        "semantic_digest": facts.semantic_digest,
    }
