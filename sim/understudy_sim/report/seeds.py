"""The report over many seeds: bands of quantiles, a line for each seed, and the worst of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import groupby
from typing import Final

from understudy_sim.headline import Headline
from understudy_sim.many import Band, bands, quantiles, worst_of
from understudy_sim.report.charts import Chart, backdrop, drawing
from understudy_sim.report.facts import Facts, Slice
from understudy_sim.report.parts import figure, shell, table
from understudy_sim.report.svg import Frame, clock, tag, ticks
from understudy_sim.report.words import count, percent, seconds, usd

Number = tuple[str, Callable[[Headline], float | None], Callable[[float], str]]

NUMBERS: Final[tuple[Number, ...]] = (
    ("requests", lambda h: h.requests, count),
    ("availability", lambda h: h.availability, percent),
    ("p50", lambda h: h.p50_s, seconds),
    ("p95", lambda h: h.p95_s, seconds),
    ("p99", lambda h: h.p99_s, seconds),
    ("longest", lambda h: h.max_s, seconds),
    ("time to detect", lambda h: h.detect_s, seconds),
    ("time to recover", lambda h: h.recover_s, seconds),
    ("calls per request", lambda h: h.attempts_per_request, lambda value: f"{value:.3f}"),
    ("cost", lambda h: h.billed_usd, usd),
)
"""Name, value and words of each number of the headline that has quantiles."""

_LEGEND: Final = (
    ("fill outer", "nine in ten seeds"),
    ("fill inner", "half of them"),
    ("line middle", "median"),
)
_LEVELS: Final = ("5 %", "25 %", "median", "75 %", "95 %")


def page_of_seeds(runs: Sequence[Facts], command: Callable[[int], str]) -> str:
    """The report.

    Args:
        runs: At least one, of the same scenario under different seeds.
        command: What a person types to see the run of a seed.
    """
    first, worst = runs[0], worst_of(runs)
    return shell(
        f"{first.scenario} · {len(runs)} seeds · understudy simulation",
        _header(first, runs),
        _verdict(runs),
        _worst(worst, command),
        tag("section", tag("h2", "Headline over the seeds"), _headline(runs)),
        *(figure(each) for each in _charts(runs)),
        tag("section", tag("h2", "Seed by seed"), _by_seed(runs, worst)),
        tag("footer", tag("p", "The same document and seed give the same run, event by event.")),
    )


def _header(first: Facts, runs: Sequence[Facts]) -> str:
    said = (
        f"{len(runs)} seeds, {spans([each.seed for each in runs])} · strategy {first.strategy} · "
        f"providers {', '.join(first.providers)}"
    )
    about = tag("p", escape(first.description), class_="about") if first.description else ""
    return tag(
        "header", tag("h1", escape(first.scenario)), about, tag("p", escape(said), class_="meta")
    )


def spans(seeds: Sequence[int]) -> str:
    """Numbers as people list them: `1 to 5, 9`."""
    runs = [
        [seed for _, seed in group]
        for _, group in groupby(enumerate(sorted(seeds)), key=lambda each: each[1] - each[0])
    ]
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _verdict(runs: Sequence[Facts]) -> str:
    stuck = [each.seed for each in runs if each.progress != "done"]
    broke: dict[str, list[int]] = {}
    for each in runs:
        for law in each.violations or ():
            broke.setdefault(law, []).append(each.seed)
    words = [f"{law} was broken under {_seeds(seeds)}" for law, seeds in broke.items()]
    if stuck:
        words.insert(0, f"no progress under {_seeds(stuck)}")
    if words:
        return tag("p", escape("; ".join(words) + "."), class_="verdict bad")
    return tag("p", "Every law of the trace was kept under every seed.", class_="verdict good")


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'' if len(seeds) == 1 else 's'} {spans(seeds)}"


def _worst(worst: Facts, command: Callable[[int], str]) -> str:
    head = worst.headline
    said = (
        f"seed {worst.seed}: availability {percent(head.availability)}, "
        f"p95 {seconds(head.p95_s)}, longest {seconds(head.max_s)}. See it with"
    )
    return tag(
        "section",
        tag("h2", "The worst of them"),
        tag("p", tag("a", escape(said), href=f"#seed-{worst.seed}")),
        tag("pre", tag("code", escape(command(worst.seed)))),
        id="worst",
    )


def _headline(runs: Sequence[Facts]) -> str:
    def rows() -> Iterator[list[str]]:
        for name, value, words in NUMBERS:
            found = quantiles([value(each.headline) for each in runs])
            yield [name, *(words(each) for each in found)] if found else [name, *"–" * len(_LEVELS)]

    return table(["", *_LEVELS], rows())


def _by_seed(runs: Sequence[Facts], worst: Facts) -> str:
    def cells(facts: Facts) -> Iterator[str]:
        for _, value, words in NUMBERS:
            known = value(facts.headline)
            yield "–" if known is None else words(known)
        yield ", ".join(facts.violations or ()) or "–"

    heads = ["seed", *(name for name, _, _ in NUMBERS), "laws broken"]
    top = tag("tr", *(tag("th", escape(each), scope="col") for each in heads))
    body = (
        tag(
            "tr",
            tag("th", f"{each.seed}", scope="row"),
            *(tag("td", escape(cell)) for cell in cells(each)),
            id=f"seed-{each.seed}",
            class_="worst" if each is worst else None,
        )
        for each in runs
    )
    return tag("div", tag("table", tag("thead", top), tag("tbody", *body)), class_="wide")


def _charts(runs: Sequence[Facts]) -> Iterator[Chart]:
    yield _band_chart(
        runs,
        "Share that no provider answered",
        lambda each: None if each.availability is None else 1 - each.availability,
        percent,
        "By time of arrival. Shaded: a fault is there.",
        least=0.01,
        most=1.0,
    )
    yield _band_chart(
        runs, "Time to an answer, median", lambda each: each.p50_s, seconds, "Of those answered."
    )
    yield _band_chart(
        runs,
        "Time to an answer, 95th percentile",
        lambda each: each.p95_s,
        seconds,
        "The 95th percentile of each seed's slice; the bands are over the seeds.",
    )
    yield _band_chart(
        runs,
        "Calls to providers for each request",
        lambda each: each.calls_per_request,
        lambda value: f"{value:g}",
        "1 is no waste; more are retries and failovers.",
        least=2.0,
    )


def _band_chart(
    runs: Sequence[Facts],
    title: str,
    value: Callable[[Slice], float | None],
    words: Callable[[float], str],
    note: str,
    *,
    least: float = 0.0,
    most: float = float("inf"),
) -> Chart:
    found = bands(runs, value)
    highest = max([least, *(band.at[-1] for band in found if band.at)])
    marks = [each for each in ticks(highest or 1.0) if each <= most]
    length_s = found[-1].until_s if found else 1.0
    frame = Frame(length_s, marks[-1])
    inside = [
        *(_area(frame, found, 0, -1, "fill outer"), _area(frame, found, 1, -2, "fill inner")),
        frame.line(
            [((b.from_s + b.until_s) / 2, b.at[2] if b.at else None) for b in found], "middle"
        ),
        *(_tip(frame, band, words) for band in found),
    ]
    labels = [(at, words(at)) for at in marks]
    shown = drawing(frame, backdrop(runs[0], frame), frame.axes(labels), *inside)
    return Chart(title, shown, _LEGEND, note)


def _area(frame: Frame, found: Sequence[Band], low: int, high: int, class_: str) -> str:
    """The room between two quantiles; where nothing is known there is none."""
    pieces = (
        list(group) for known, group in groupby(found, key=lambda b: b.at is not None) if known
    )
    return "".join(
        frame.area([(b.from_s, b.until_s, b.at[low], b.at[high]) for b in piece if b.at], class_)
        for piece in pieces
    )


def _tip(frame: Frame, band: Band, words: Callable[[float], str]) -> str:
    said = ", ".join(
        f"{name} {words(each)}" for name, each in zip(_LEVELS, band.at or (), strict=False)
    )
    told = f"{clock(band.from_s)} to {clock(band.until_s)}: {said or 'nobody knows'}"
    return frame.tip(band.from_s, band.until_s, told)
