"""What simulated experiments have in common: the same worlds under several configurations.

Each world is played with the same draws under each arm, so that what differs is the arm's doing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs

from understudy_actors.domain.events import Event
from understudy_sim.check import ALL
from understudy_sim.scenario import parse
from understudy_sim.world import run

FROM_S: Final = 60.0
UNTIL_S: Final = 300.0
"""Between these a world is as it is called, and counted."""
HORIZON_S: Final = 330.0


@attrs.frozen
class Arm:
    """One of the configurations that are compared; `engine` is laid over the world's own."""

    name: str
    colour: str
    engine: Mapping[str, Any]


@attrs.frozen
class World:
    """One world: a scenario, and what is to be learned from it."""

    name: str
    claim: str
    document: Mapping[str, Any]


Count: TypeAlias = Callable[[Event], str | None]
"""What an event counts as, if it counts."""


@attrs.define
class Told:
    """What came of the requests of one world under one arm."""

    latencies: list[float] = attrs.Factory(list)
    requests: int = 0
    cost_usd: float = 0.0
    counts: Counter[str] = attrs.Factory(Counter)

    def add(self, document: Mapping[str, Any], count: Count) -> None:
        """Play it once."""
        ran = run(parse(dict(document)), monitors=ALL)
        assert not ran.violations, ran.violations[0].sentence
        for each in ran.requests:
            if FROM_S <= each.arrived_at < UNTIL_S:
                self.requests += 1
                self.cost_usd += each.cost_usd or 0.0
                if each.ok:
                    self.latencies.append(each.elapsed_s)
        for _, event in ran.events:
            if FROM_S <= event.at_s < UNTIL_S and (what := count(event)) is not None:
                self.counts[what] += 1

    @property
    def answered(self) -> float:
        """Share of the requests that were answered."""
        return len(self.latencies) / self.requests

    def quantile(self, q: float) -> float:
        """A quantile of the answers' latency in seconds; not a number if there are none."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else math.nan


Found: TypeAlias = Mapping[str, Sequence[Told]]
"""World to what came of it under each arm, in order."""
Column: TypeAlias = tuple[str, Callable[[Told, Told], str]]
"""A heading, and what stands below it for one arm; the first arm is given too."""


def measure(worlds: Sequence[World], arms: Sequence[Arm], seeds: int, count: Count) -> Found:
    """Every world under every arm, so many times."""
    found: dict[str, Sequence[Told]] = {}
    for world in worlds:
        found[world.name] = [Told() for _ in arms]
        for seed in range(1, seeds + 1):
            for told, arm in zip(found[world.name], arms, strict=True):
                engine = {**world.document["engine"], **arm.engine}
                told.add({**world.document, "seed": seed, "engine": engine}, count)
    return found


def table(found: Found, arms: Sequence[Arm], columns: Sequence[Column]) -> str:
    """The table of a page, in Markdown."""
    heads = ["world", "", "answered", "p50", "p95", "p99", *(head for head, _ in columns)]
    lines = [_line(heads), _line(["---", "---", *["---:"] * (len(heads) - 2)])]
    for name, each in found.items():
        for told, arm in zip(each, arms, strict=True):
            times = [seconds(told.quantile(q)) for q in (0.5, 0.95, 0.99)]
            own = [cell(told, each[0]) for _, cell in columns]
            first = name if told is each[0] else ""
            lines.append(_line([first, arm.name, f"{100 * told.answered:.1f} %", *times, *own]))
    return "".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def seconds(value: float) -> str:
    """A time for people."""
    return "–" if math.isnan(value) else f"{value:.1f} s"


def draw(found: Found, arms: Sequence[Arm], path: Path, longest_s: float) -> None:
    """The plot: in each world, what share of the requests takes longer than so many seconds."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    across = (len(found) + 2) // 2
    figure, grid = plt.subplots(2, across, figsize=(3.3 * across, 6), sharex=True, sharey=True)
    panels = list(grid.flat)
    for panel, (name, each) in zip(panels, found.items(), strict=False):
        for told, arm in zip(each, arms, strict=True):
            line = {"color": arm.colour, "label": arm.name, "linewidth": 1.6}
            panel.step(*_tail(told, longest_s), where="post", **line)
        panel.set(title=name, yscale="log", xlim=(0, longest_s), ylim=(1e-3, 1.2))
        panel.grid(visible=True, alpha=0.25)
        panel.set_xlabel("seconds")
        panel.tick_params(labelbottom=True)
    for panel in panels[len(found) :]:
        panel.axis("off")
    panels[-1].legend(*panels[0].get_legend_handles_labels(), loc="center", frameon=False)
    figure.supylabel("share of the requests that take longer")
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _tail(told: Told, longest_s: float) -> tuple[Sequence[float], Sequence[float]]:
    ordered = sorted(told.latencies)
    left = [1 - (place + 1) / told.requests for place in range(len(ordered))]
    return [0.0, *ordered, 2 * longest_s], [1.0, *left, left[-1] if left else 1.0]
