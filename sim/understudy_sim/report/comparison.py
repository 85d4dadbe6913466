"""The report of a comparison: a strip for each engine and measure, a dot for each seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape
from typing import Final

from understudy_sim.compare import Comparison, Estimate, Outcome
from understudy_sim.many import quantiles
from understudy_sim.report.charts import Chart, drawing
from understudy_sim.report.measures import NAMES, change, measured
from understudy_sim.report.parts import figure, shell, table
from understudy_sim.report.seeds import spans
from understudy_sim.report.svg import LEFT, RIGHT, TOP, WIDTH, Frame, tag

_ROW: Final = 30
_MARGIN: Final = 0.06
_LEGEND: Final = (
    ("fill outer", "nine in ten seeds"),
    ("fill inner", "half of them"),
    ("line middle", "median"),
    ("fill seed", "each seed"),
)
_BETTER_UP: Final = frozenset({"success"})

Command = Callable[[str, int], str]


def page_of(found: Comparison, command: Command) -> str:
    """The report; `command` is what a person types to see an engine's run of a seed."""
    count = len(found.seeds)
    said = (
        f"{count} seed{'' if count == 1 else 's'}, {spans(found.seeds)} · the same requests, luck "
        "and faults for all"
    )
    return shell(
        f"{found.scenario} · {len(found.outcomes)} engines · understudy comparison",
        tag(
            "header",
            tag("h1", f"{escape(found.scenario)}: {escape(_versus(found))}"),
            tag("p", escape(said), class_="meta"),
        ),
        tag("section", tag("h2", "Means over the seeds"), table(*_means(found))),
        *_differences(found),
        *(figure(_strips(found, name)) for name in NAMES),
        tag("section", tag("h2", "The worst seed of each"), *_worst(found, command)),
        *(_by_seed(found, each) for each in found.outcomes),
    )


def _versus(found: Comparison) -> str:
    return " against ".join(each.name for each in found.outcomes)


def _means(found: Comparison) -> tuple[list[str], Iterator[list[str]]]:
    rows = (
        [each.name, *(_mean(name, each.measures.get(name)) for name in NAMES)]
        for each in found.outcomes
    )
    return ["", *NAMES.values()], rows


def _mean(name: str, known: Estimate | None) -> str:
    return "–" if known is None else measured(name, known.mean)


def _differences(found: Comparison) -> Iterator[str]:
    if len(found.seeds) < 2:
        yield tag("p", "One seed tells no spread: take more seeds.", class_="verdict bad")
        return
    rows = (
        [each.name, *(change(name, each.differences.get(name)) for name in NAMES)]
        for each in found.outcomes[1:]
    )
    yield tag(
        "section",
        tag("h2", f"Difference to {escape(found.outcomes[0].name)}, with its 95 % interval"),
        table(["", *NAMES.values()], rows),
        tag("p", "* the interval leaves out 0", class_="note"),
    )


def _strips(found: Comparison, name: str) -> Chart:
    """One row an engine, from the lowest to the highest value of them all."""
    values = {
        each.name: [one for seed in each.by_seed if (one := seed[name]) is not None]
        for each in found.outcomes
    }
    known = [value for some in values.values() for value in some] or [0.0]
    low, high = min(known), max(known)
    room = (high - low or abs(high) or 1.0) * _MARGIN
    scale = _Scale(low - room, high + room, len(values))
    rows = [_strip(scale, row, *each) for row, each in enumerate(values.items())]
    ends = "".join(scale.label(at, measured(name, at)) for at in sorted({low, high}))
    better = "right" if name in _BETTER_UP else "left"
    return Chart(
        NAMES[name].capitalize(), drawing(scale.frame, ends, *rows), _LEGEND, f"Better: {better}."
    )


class _Scale:
    """Values across, engines down."""

    def __init__(self, low: float, high: float, rows: int) -> None:
        self.low, self.high = low, high
        self.frame = Frame(1.0, 1.0, TOP + rows * _ROW + 26)

    def x(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def label(self, value: float, words: str) -> str:
        at = self.x(value)
        line = tag("line", class_="grid", x1=at, x2=at, y1=TOP, y2=self.frame.floor)
        return line + tag("text", escape(words), class_="tick mid", x=at, y=self.frame.floor + 16.0)


def _strip(scale: _Scale, row: int, name: str, values: list[float]) -> str:
    top = TOP + row * _ROW
    told = [tag("text", escape(name), class_="scope", x=LEFT, y=top + 9.0)]
    if (found := quantiles(values)) is not None:
        for class_, low, high in (("outer", 0, -1), ("inner", 1, -2)):
            left, right = scale.x(found[low]), scale.x(found[high])
            size = {"x": left, "y": top + 13.0, "width": max(1.0, right - left), "height": 12.0}
            told.append(tag("rect", class_=class_, **size))
        at = scale.x(found[2])
        told.append(tag("line", class_="line middle", x1=at, x2=at, y1=top + 11.0, y2=top + 27.0))
    told += [tag("circle", class_="seed", cx=scale.x(v), cy=top + 19.0, r=2) for v in values]
    return "".join(told)


def _worst(found: Comparison, command: Command) -> Iterator[str]:
    for each in found.outcomes:
        at = worst_place(each)
        seed, values = found.seeds[at], each.by_seed[at]
        told = (
            f"{words} {measured(name, value)}"
            for name, words in NAMES.items()
            if (value := values[name]) is not None
        )
        said = f"{each.name}, seed {seed}: {', '.join(told)}"
        yield tag("p", escape(said))
        yield tag("pre", tag("code", escape(command(each.name, seed))))


def worst_place(outcome: Outcome) -> int:
    """Which of the seeds went worst: the least success, then the slowest answers."""

    def badness(at: int) -> tuple[float, float]:
        values = outcome.by_seed[at]
        return -(values["success"] or 0.0), values["p95_s"] or 0.0

    return max(reversed(range(len(outcome.by_seed))), key=badness)


def _by_seed(found: Comparison, outcome: Outcome) -> str:
    rows = (
        [
            f"{seed}",
            *("–" if (v := values[name]) is None else measured(name, v) for name in NAMES),
        ]
        for seed, values in zip(found.seeds, outcome.by_seed, strict=True)
    )
    title = tag("summary", escape(f"{outcome.name}, seed by seed"))
    return tag("details", title, table(["seed", *NAMES.values()], rows))
