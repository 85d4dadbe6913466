"""When second copies help, and when they do not: the same worlds with and without hedging.

    python -m benchmarks.hedging [--quick] [--json] [--write docs/hedging.md]

Simulated: virtual time, the real engine, several seeds of each world, the same draws for both. The
page and its plot are written by this command alone.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from benchmarks.report import Record, record, report
from understudy_actors.domain.hedge_events import HedgeLaunched, HedgeWon
from understudy_sim.check import ALL
from understudy_sim.scenario import parse
from understudy_sim.world import run

FROM_S: Final = 60.0
UNTIL_S: Final = 300.0
ALPHA: Final = {"provider": "alpha"}


@attrs.frozen
class World:
    """One world: what goes wrong in it from a minute to five, and what is expected of copies."""

    name: str
    claim: str
    faults: tuple[Mapping[str, Any], ...] = ()
    rate: float = 6.0
    slots: int | None = None


WORLDS: Final = (
    World("all is well", "nothing to gain: copies cost a little"),
    World(
        "one answer in thirty is late",
        "helps: what happens rarely, and to each by itself, is what copies are for",
        ({"kind": "slow", "add": "12s", "share": 0.03, "selector": ALPHA},),
    ),
    World(
        "one answer in five is late",
        "helps as far as the budget reaches, and no further",
        ({"kind": "slow", "add": "12s", "share": 0.2, "selector": ALPHA},),
    ),
    World(
        "the preferred one falls silent",
        "answers a few more, and makes others wait longer: an attempt that is called off proves "
        "nothing against its provider, so the breaker opens later",
        ({"kind": "hang", "selector": ALPHA},),
    ),
    World(
        "both are slow together",
        "does not help: the second copy is as slow as the first",
        ({"kind": "slow", "add": "6s"},),
    ),
    World(
        "everybody falls silent",
        "does not help, and must not harm: copies stay within their budget",
        ({"kind": "hang"},),
    ),
    World(
        "no slot is free",
        "hardly matters: while others wait for a slot no copy goes out",
        ({"kind": "slow", "add": "12s", "share": 0.03, "selector": ALPHA},),
        rate=12.0,
        slots=12,
    ),
)


ARMS: Final[tuple[tuple[str, str, Any], ...]] = (
    ("without", "#888888", False),
    ("copies after p95", "#d97706", {"factor": 1}),
    ("copies after 1.5 × p95", "#1f6feb", True),
)
"""Name, colour and configuration of what is compared; the last one is the default."""


def document(world: World, seed: int, hedge: object) -> dict[str, Any]:
    """The scenario of a world."""
    own = {"concurrency": world.slots} if world.slots is not None else {}
    faults = [{**each, "from": FROM_S, "for": UNTIL_S - FROM_S} for each in world.faults]
    return {
        "name": world.name,
        "seed": seed,
        "horizon": 330,
        "clients": [
            {
                "name": "web",
                "arrivals": {"kind": "poisson", "rate": world.rate},
                "deadline": "40s",
                "max_tokens": 100,
            }
        ],
        "fleet": [{"name": "alpha"}, {"name": "beta", "wire": "anthropic"}],
        "faults": faults,
        "engine": {
            "strategy": "priority",
            "hedge": hedge,
            "providers": {"alpha": {"priority": 1, **own}, "beta": {"priority": 2, **own}},
        },
    }


@attrs.define
class Told:
    """What came of the requests of one world while it was as it is called."""

    latencies: list[float] = attrs.Factory(list)
    requests: int = 0
    copies: int = 0
    won: int = 0
    cost_usd: float = 0.0

    def add(self, world: World, seed: int, hedge: object) -> None:
        """Play it once."""
        ran = run(parse(document(world, seed, hedge)), monitors=ALL)
        assert not ran.violations, ran.violations[0].sentence
        for each in ran.requests:
            if FROM_S <= each.arrived_at < UNTIL_S:
                self.requests += 1
                self.cost_usd += each.cost_usd or 0.0
                if each.ok:
                    self.latencies.append(each.elapsed_s)
        for _, event in ran.events:
            if FROM_S <= event.at_s < UNTIL_S:
                self.copies += isinstance(event, HedgeLaunched)
                self.won += isinstance(event, HedgeWon) and event.endpoint.startswith("beta")

    @property
    def answered(self) -> float:
        """Share of the requests that were answered."""
        return len(self.latencies) / self.requests

    def quantile(self, q: float) -> float:
        """A quantile of the answers' latency in seconds; not a number if there are none."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else math.nan


Compared = tuple[Told, ...]
"""One for each of the arms."""


def measure(seeds: int) -> dict[str, Compared]:
    """Every world, so many times each way."""
    found: dict[str, Compared] = {}
    for world in WORLDS:
        found[world.name] = tuple(Told() for _ in ARMS)
        for seed in range(1, seeds + 1):
            for told, (_, _, hedge) in zip(found[world.name], ARMS, strict=True):
                told.add(world, seed, hedge)
    return found


def records(found: Mapping[str, Compared]) -> list[Record]:
    """The 99th percentile with copies against the one without, and the copies."""
    rows: list[Record] = []
    for name, (bare, *_, hedged) in found.items():
        if bare.latencies and hedged.latencies:
            p99 = hedged.quantile(0.99)
            rows.append(record(f"{name}: p99", p99, "s", baseline=bare.quantile(0.99)))
        share = 100 * hedged.copies / hedged.requests
        rows.append(record(f"{name}: copies", share, "of 100 requests"))
    return rows


def table(found: Mapping[str, Compared]) -> str:
    """The table of the page."""
    head = (
        "| world | | answered | p50 | p95 | p99 | copies of 100 requests | they won | cost |\n"
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    )
    rows = (
        _row(name if told is arms[0] else "", arm[0], told, arms[0])
        for name, arms in found.items()
        for told, arm in zip(arms, ARMS, strict=True)
    )
    return head + "".join(rows)


def _row(name: str, arm: str, told: Told, bare: Told) -> str:
    times = " | ".join(_seconds(told.quantile(q)) for q in (0.5, 0.95, 0.99))
    copies = 100 * told.copies / told.requests
    first = f"{100 * told.won / told.copies:.0f} %" if told.copies else "–"
    cost = "–"
    if told is not bare and bare.cost_usd:
        cost = f"{100 * (told.cost_usd / bare.cost_usd - 1):+.1f} %"
    answered = f"{100 * told.answered:.1f} %"
    return f"| {name} | {arm} | {answered} | {times} | {copies:.1f} | {first} | {cost} |\n"


def _seconds(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1f} s"


def page(found: Mapping[str, Compared], seeds: int, picture: str) -> str:
    """The page."""
    claims = "".join(f"- **{world.name}**: {world.claim}.\n" for world in WORLDS)
    return f"""# When a second copy helps, and when it does not

Written by `python -m benchmarks.hedging --write docs/hedging.md`: simulated, {seeds} seeds of each
world, two providers under `strategy = "priority"`, the same draws for all three. The numbers are of
the four minutes in which a world is as it is called.

{table(found)}
{claims}
A copy goes out when an attempt has been silent for longer than 95 % of the last 64 answers took,
or, as is the default, half as long again. Without the half, one request in twenty asks for a copy
although nothing is wrong, and the budget of one copy in twenty is spent when trouble comes.
So hedge what is late now and then and by itself. What is slow as a whole, or down, is a matter for
the strategy and the breaker.

*They won* is how many of the copies answered first; *cost* is what the attempts of answered
requests cost, against none hedged. Losers are in it: they were sent, and are booked in full.

![Share of the requests that take longer than so many seconds]({picture})

Share of the requests that take longer than so many seconds, on a logarithmic scale: lower is
better.
"""


def draw(found: Mapping[str, Compared], path: Path) -> None:
    """The plot: in each world, what share of the requests takes longer than t."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, grid = plt.subplots(2, 4, figsize=(13, 6), sharex=True, sharey=True)
    panels = list(grid.flat)
    for panel, (name, arms) in zip(panels, found.items(), strict=False):
        for told, (label, colour, _) in zip(arms, ARMS, strict=True):
            panel.step(*_tail(told), where="post", color=colour, label=label, linewidth=1.6)
        panel.set(title=name, yscale="log", xlim=(0, 20), ylim=(1e-3, 1.2))
        panel.grid(visible=True, alpha=0.25)
        panel.set_xlabel("seconds")
        panel.tick_params(labelbottom=True)
    for panel in panels[len(found) :]:
        panel.axis("off")
        panel.legend(*panels[0].get_legend_handles_labels(), loc="center", frameon=False)
    figure.supylabel("share of the requests that take longer")
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _tail(told: Told) -> tuple[Sequence[float], Sequence[float]]:
    ordered = sorted(told.latencies)
    left = [1 - (place + 1) / told.requests for place in range(len(ordered))]
    return [0.0, *ordered, 40.0], [1.0, *left, left[-1] if left else 1.0]


def main() -> None:
    """Measure, and print or write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="one seed of each world")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--write", type=Path, help="the page to write; its plot stands beside it")
    options = parser.parse_args()
    seeds = 1 if options.quick else 3
    found = measure(seeds)
    if options.write is not None:
        picture = options.write.with_suffix(".png")
        draw(found, picture)
        options.write.write_text(page(found, seeds, picture.name))
    report("hedging", records(found), as_json=options.json, note="simulated; p99 against no copies")


if __name__ == "__main__":
    main()
