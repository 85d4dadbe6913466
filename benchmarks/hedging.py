"""When second copies help, and when they do not: the same worlds with and without hedging.

    python -m benchmarks.hedging [--quick] [--json] [--write docs/hedging.md]

Simulated: virtual time, the real engine, several seeds of each world, the same draws for both. The
page and its plot are written by this command alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.experiment import (
    FROM_S,
    HORIZON_S,
    UNTIL_S,
    Arm,
    Found,
    Told,
    World,
    draw,
    measure,
    table,
)
from benchmarks.report import Record, record, report
from understudy_actors.domain.events import Event
from understudy_actors.domain.hedge_events import HedgeLaunched, HedgeWon

ARMS: Final = (
    Arm("without", "#888888", {"hedge": False}),
    Arm("copies after p95", "#d97706", {"hedge": {"factor": 1}}),
    Arm("copies after 1.5 × p95", "#1f6feb", {"hedge": True}),
)
"""The last one is the default."""
ALPHA: Final = {"provider": "alpha"}
LATE: Final = {"kind": "slow", "add": "12s", "selector": ALPHA}


def world(
    name: str,
    claim: str,
    fault: Mapping[str, Any] | None = None,
    *,
    rate: float = 6.0,
    own: Mapping[str, Any] | None = None,
) -> World:
    """Two providers in order, and what goes wrong between a minute and five."""
    during = {"from": FROM_S, "for": UNTIL_S - FROM_S}
    client = {"name": "web", "deadline": "40s", "max_tokens": 100}
    providers = {"alpha": {"priority": 1, **(own or {})}, "beta": {"priority": 2, **(own or {})}}
    document = {
        "name": name,
        "horizon": HORIZON_S,
        "clients": [{**client, "arrivals": {"kind": "poisson", "rate": rate}}],
        "fleet": [{"name": "alpha"}, {"name": "beta", "wire": "anthropic"}],
        "faults": [{**fault, **during}] if fault is not None else [],
        "engine": {"strategy": "priority", "providers": providers},
    }
    return World(name, claim, document)


WORLDS: Final = (
    world("all is well", "nothing to gain: copies cost a little"),
    world(
        "one answer in thirty is late",
        "helps: what happens rarely, and to each by itself, is what copies are for",
        {**LATE, "share": 0.03},
    ),
    world(
        "one answer in five is late",
        "helps as far as the budget reaches, and no further",
        {**LATE, "share": 0.2},
    ),
    world(
        "the preferred one falls silent",
        "answers a few more, and makes others wait longer: an attempt that is called off proves "
        "nothing against its provider, so the breaker opens later",
        {"kind": "hang", "selector": ALPHA},
    ),
    world(
        "both are slow together",
        "does not help: the second copy is as slow as the first",
        {"kind": "slow", "add": "6s"},
    ),
    world(
        "everybody falls silent",
        "does not help, and must not harm: copies stay within their budget",
        {"kind": "hang"},
    ),
    world(
        "no slot is free",
        "hardly matters: while others wait for a slot no copy goes out",
        {**LATE, "share": 0.03},
        rate=12.0,
        own={"concurrency": 12},
    ),
)


def count(event: Event) -> str | None:
    """Copies, and those that answered first."""
    if isinstance(event, HedgeLaunched):
        return "copies"
    if isinstance(event, HedgeWon) and event.endpoint.startswith("beta"):
        return "won"
    return None


def copies(told: Told, _: Told) -> str:
    """Of 100 requests, how many had a copy."""
    return f"{100 * told.counts['copies'] / told.requests:.1f}"


def won(told: Told, _: Told) -> str:
    """The share of copies that answered first."""
    sent = told.counts["copies"]
    return f"{100 * told.counts['won'] / sent:.0f} %" if sent else "–"


def cost(told: Told, bare: Told) -> str:
    """Against none hedged."""
    if told is bare or not bare.cost_usd:
        return "–"
    return f"{100 * (told.cost_usd / bare.cost_usd - 1):+.1f} %"


COLUMNS: Final = (("copies of 100 requests", copies), ("they won", won), ("cost", cost))


def records(found: Found) -> list[Record]:
    """The 99th percentile with copies against the one without, and the copies."""
    rows: list[Record] = []
    for name, (bare, *_, hedged) in found.items():
        if bare.latencies and hedged.latencies:
            p99 = hedged.quantile(0.99)
            rows.append(record(f"{name}: p99", p99, "s", baseline=bare.quantile(0.99)))
        share = 100 * hedged.counts["copies"] / hedged.requests
        rows.append(record(f"{name}: copies", share, "of 100 requests"))
    return rows


def page(found: Found, seeds: int, picture: str) -> str:
    """The page."""
    claims = "".join(f"- **{each.name}**: {each.claim}.\n" for each in WORLDS)
    return f"""# When a second copy helps, and when it does not

Written by `python -m benchmarks.hedging --write docs/hedging.md`: simulated, {seeds} seeds of each
world, two providers under `strategy = "priority"`, the same draws for all three. The numbers are of
the four minutes in which a world is as it is called.

{table(found, ARMS, COLUMNS)}
{claims}
A copy goes out when an attempt has been silent for longer than 95 % of the last 64 answers took,
or, as is the default, half as long again. Without the half, one request in twenty asks for a copy
although nothing is wrong, and the budget of one copy in twenty is spent when trouble comes.
So hedge what is late now and then and by itself. What is slow as a whole, or down, is a matter for
the strategy and the breaker.

Streams have a rule of their own and are not in these numbers: by default a copy goes out when there
was no first token for 8 s, or for 1.5 times the 99th percentile of the last 64 first-token times if
that is longer, and whoever begins first is read. Both kinds share one budget.

*They won* is how many of the copies answered first; *cost* is what the attempts of answered
requests cost, against none hedged. Losers are in it: they were sent, and are booked in full.

![Share of the requests that take longer than so many seconds]({picture})

Share of the requests that take longer than so many seconds, on a logarithmic scale: lower is
better.
"""


def main() -> None:
    """Measure, and print or write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="one seed of each world")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--write", type=Path, help="the page to write; its plot stands beside it")
    options = parser.parse_args()
    seeds = 1 if options.quick else 2
    found = measure(WORLDS, ARMS, seeds, count)
    if options.write is not None:
        picture = options.write.with_suffix(".png")
        draw(found, ARMS, picture, longest_s=20.0)
        options.write.write_text(page(found, seeds, picture.name))
    report("hedging", records(found), as_json=options.json, note="simulated; p99 against no copies")


if __name__ == "__main__":
    main()
