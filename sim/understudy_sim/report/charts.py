"""The charts of a report: each one SVG picture over time, with the faults shaded behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from typing import Final

import attrs

from understudy_sim.headline import quantile
from understudy_sim.report.facts import Facts, Slice
from understudy_sim.report.svg import LEFT, TOP, WIDTH, Frame, clock, tag, ticks
from understudy_sim.report.words import count, percent, seconds, usd

COLOURS: Final = 8
"""So many providers have a colour of their own; further ones share them."""
RIBBONS_MAX: Final = 40
_ROW: Final = 22
_OUTCOMES: Final = ("ok", "degraded", "failed", "cancelled")
_QUANTILES: Final = ("p50", "p95", "p99")
_SPIKE: Final = 4.0


@attrs.frozen
class Chart:
    """A picture with a title, the legend as (class, words), and a sentence on how to read it."""

    title: str
    svg: str
    legend: tuple[tuple[str, str], ...] = ()
    note: str = ""


def charts(facts: Facts) -> Iterator[Chart]:
    """Every chart of a report, in the order of reading."""
    yield success(facts)
    yield unanswered(facts)
    yield latency(facts)
    yield shares(facts)
    yield ribbons(facts)
    yield attempts(facts)
    yield cost(facts)


def success(facts: Facts) -> Chart:
    """How requests ended, a second."""
    most = max((each.requests / _length(each) for each in facts.slices), default=0.0)
    marks = ticks(most)
    frame = Frame(facts.length_s, marks[-1])
    areas = _stacked(
        frame,
        facts.slices,
        [(f"fill {name}", _rate(name)) for name in _OUTCOMES],
    )
    named = [(f"fill {n}", _ENDS[n]) for n in _OUTCOMES if any(getattr(s, n) for s in facts.slices)]
    labels = [(at, count(at)) for at in marks]
    return Chart(
        "Requests a second, by how they ended",
        _picture(facts, frame, labels, areas, _tell_outcomes, labelled=True),
        tuple(named),
        "By time of arrival. Shaded: a fault is there.",
    )


def unanswered(facts: Facts) -> Chart:
    """The share that no provider answered: small ones hardly show among all requests."""
    values = [None if each.availability is None else 1 - each.availability for each in facts.slices]
    marks = ticks(max([0.01, *(each for each in values if each is not None)]), 2)
    frame = Frame(facts.length_s, min(1.0, marks[-1]), 100)
    points = [(_middle(each), value) for each, value in zip(facts.slices, values, strict=True)]
    labels = [(at, percent(at)) for at in marks if at <= 1]
    lines = [frame.line(points, "lost")]
    return Chart(
        "Share that no provider answered",
        _picture(facts, frame, labels, lines, _tell_outcomes),
        (),
        "Failed, or answered by a stand-in; those that clients gave up are not counted.",
    )


def latency(facts: Facts) -> Chart:
    """Quantiles of the time to an answer."""
    series = {name: [_reading(each, name) for each in facts.slices] for name in _QUANTILES}
    known = sorted(value for values in series.values() for value in values if value is not None)
    highest = known[-1] if known else 1.0
    usual = (quantile(known, 0.98) or 1.0) * 1.25
    cut = highest > _SPIKE * usual  # one spike must not press everything else to the floor
    marks = ticks(usual if cut else highest)
    frame = Frame(facts.length_s, marks[-1])
    lines = [
        frame.line(
            [(_middle(s), value) for s, value in zip(facts.slices, series[name], strict=True)],
            name,
        )
        for name in reversed(_QUANTILES)
    ]
    note = "Of those that were answered, by time of arrival."
    if cut:
        note += f" The scale is cut off: the highest value is {seconds(highest)}."
    labels = [(at, seconds(at)) for at in marks]
    return Chart(
        "Time to an answer",
        _picture(facts, frame, labels, lines, _tell_latency),
        tuple((f"line {name}", name) for name in _QUANTILES),
        note,
    )


def shares(facts: Facts) -> Chart:
    """Who answered."""
    frame = Frame(facts.length_s, 1.0, 120)

    def share(provider: str) -> Callable[[Slice], float]:
        return lambda each: each.by_provider.get(provider, 0) / max(1, each.ok)

    shown = [(f"fill {_colour(facts, name)}", share(name)) for name in facts.providers]
    named = tuple((f"fill {_colour(facts, name)}", name) for name in facts.providers)
    labels = [(at, percent(at)) for at in (0.0, 0.5, 1.0)]
    areas = _stacked(frame, facts.slices, shown)
    tell = _tell_counts(facts, lambda each: {n: count(c) for n, c in each.by_provider.items()})
    return Chart("Share by provider", _picture(facts, frame, labels, areas, tell), named)


def ribbons(facts: Facts) -> Chart:
    """What state the breakers were in."""
    scopes = list(facts.ribbons)[:RIBBONS_MAX]
    frame = Frame(facts.length_s, 1.0, max(1, len(scopes)) * _ROW + TOP + 26)
    bars: list[str] = []
    for row, scope in enumerate(scopes):
        top = TOP + row * _ROW
        for stay in facts.ribbons[scope]:
            left, right = frame.x(stay.from_s), frame.x(stay.until_s)
            told = f"{scope}: {stay.state}, {clock(stay.from_s)} to {clock(stay.until_s)}"
            wide = max(1.0, right - left)
            bar = {"x": left, "y": top + 9.0, "width": wide, "height": 9.0}
            bars.append(tag("rect", tag("title", escape(told)), class_=_state(stay.state), **bar))
        bars.append(tag("text", escape(scope), class_="scope", x=LEFT, y=top + 6.0))
    note = "Scopes that were never shut are left out."
    if not scopes:
        bars.append(tag("text", "Nobody was ever shut.", class_="scope", x=LEFT, y=TOP + 12.0))
    elif len(facts.ribbons) > len(scopes):
        note += f" {len(facts.ribbons) - len(scopes)} more are not drawn; the table has them."
    svg = drawing(frame, backdrop(facts, frame), *bars, frame.times())
    states = sorted({_state(s.state): s.state for n in scopes for s in facts.ribbons[n]}.items())
    return Chart("Breakers and holds", svg, tuple(states), note)


def attempts(facts: Facts) -> Chart:
    """Calls to providers for each request."""
    values = [each.calls_per_request for each in facts.slices]
    known = [each for each in values if each is not None]
    marks = ticks(max([2.0, *known]))
    frame = Frame(facts.length_s, marks[-1], 120)
    points = [(_middle(each), value) for each, value in zip(facts.slices, values, strict=True)]
    labels = [(at, f"{at:g}") for at in marks]
    lines = [frame.line(points, "calls")]
    note = "1 is no waste; more are retries and failovers. Calls count when they begin."
    picture = _picture(facts, frame, labels, lines, _tell_calls)
    return Chart("Calls to providers for each request", picture, (), note)


def cost(facts: Facts) -> Chart:
    """What the providers charged so far."""
    sums: dict[str, list[float]] = {name: [] for name in facts.providers}
    for name, values in sums.items():
        total = 0.0
        for each in facts.slices:
            total += each.billed_usd.get(name, 0.0)
            values.append(total)
    places = {each.from_s: at for at, each in enumerate(facts.slices)}
    marks = ticks(sum(values[-1] for values in sums.values() if values))
    frame = Frame(facts.length_s, marks[-1], 120)

    def spent(provider: str) -> Callable[[Slice], float]:
        return lambda each: sums[provider][places[each.from_s]]

    shown = [(f"fill {_colour(facts, name)}", spent(name)) for name in facts.providers]
    labels = [(at, usd(at)) for at in marks]
    tell = _tell_counts(facts, lambda each: {n: usd(b) for n, b in each.billed_usd.items()})
    picture = _picture(facts, frame, labels, _stacked(frame, facts.slices, shown), tell)
    named = tuple((f"fill {_colour(facts, name)}", name) for name in facts.providers)
    return Chart("Cost so far", picture, named, "What providers charged, ghost answers included.")


def _picture(
    facts: Facts,
    frame: Frame,
    labels: Iterable[tuple[float, str]],
    marks: Iterable[str],
    tell: Callable[[Slice], str],
    *,
    labelled: bool = False,
) -> str:
    """Shades, grid and marks, and over them a tooltip for each slice."""
    tips = "".join(
        frame.tip(
            each.from_s,
            each.until_s,
            f"{clock(each.from_s)} to {clock(each.until_s)}: {tell(each)}",
        )
        for each in facts.slices
    )
    over = _edges(facts, frame) + (_names(facts, frame) if labelled else "")
    return drawing(frame, backdrop(facts, frame), frame.axes(labels), *marks, over, tips)


def drawing(frame: Frame, *inside: str) -> str:
    """What is inside, as a picture of the frame's size."""
    return tag("svg", *inside, viewBox=f"0 0 {WIDTH} {frame.height}", role="img")


def _edges(facts: Facts, frame: Frame) -> str:
    """Where faults begin and end, over areas that hide the shades."""
    times = sorted({at for each in facts.windows for at in (each.from_s, each.until_s)})
    return "".join(
        tag("line", class_="edge", x1=frame.x(at), x2=frame.x(at), y1=TOP, y2=frame.floor)
        for at in times
        if at < facts.length_s
    )


def backdrop(facts: Facts, frame: Frame) -> str:
    """The times of the faults."""
    shown: list[str] = []
    for each in facts.windows:
        left, right = frame.x(each.from_s), frame.x(each.until_s)
        told = f"{each.kind} at {each.target}, {clock(each.from_s)} to {clock(each.until_s)}"
        size = {"width": max(1.5, right - left), "height": frame.floor - TOP}
        title = tag("title", escape(told))
        shown.append(tag("rect", title, class_="fault", x=left, y=float(TOP), **size))
    return "".join(shown)


def _names(facts: Facts, frame: Frame) -> str:
    """The names of the faults where they begin, if there is room."""
    names: dict[float, list[str]] = {}
    for each in facts.windows:
        names.setdefault(each.from_s, []).append(f"{each.kind}: {each.target}")
    shown: list[str] = []
    free_from = 0.0
    for from_s, some in names.items():
        left, words = frame.x(from_s), ", ".join(dict.fromkeys(some))
        wide = 6.5 * len(words) + 10
        if left >= free_from and left + wide < WIDTH:
            shown.append(tag("text", escape(words), class_="fault-name", x=left + 4, y=TOP + 12.0))
            free_from = left + wide
    return "".join(shown)


def _stacked(
    frame: Frame, slices: Sequence[Slice], layers: Sequence[tuple[str, Callable[[Slice], float]]]
) -> list[str]:
    """Areas one on top of the other."""
    base = [0.0] * len(slices)
    areas: list[str] = []
    for class_, value in layers:
        tops = [low + value(each) for low, each in zip(base, slices, strict=True)]
        edges = [
            (each.from_s, each.until_s, low, high)
            for each, low, high in zip(slices, base, tops, strict=True)
        ]
        areas.append(frame.area(edges, class_))
        base = tops
    return areas


_ENDS: Final = {
    "ok": "answered",
    "degraded": "answered by a stand-in",
    "failed": "failed",
    "cancelled": "given up by the client",
}


def _rate(name: str) -> Callable[[Slice], float]:
    return lambda each: float(getattr(each, name)) / _length(each)


def _length(each: Slice) -> float:
    return each.until_s - each.from_s


def _middle(each: Slice) -> float:
    return (each.from_s + each.until_s) / 2


def _reading(each: Slice, name: str) -> float | None:
    value: float | None = getattr(each, f"{name}_s")
    return value


def _colour(facts: Facts, provider: str) -> str:
    return f"p{facts.providers.index(provider) % COLOURS}"


def _state(state: str) -> str:
    return f"state {state}" if state in ("closed", "open", "half-open", "held") else "state other"


def _tell_outcomes(each: Slice) -> str:
    ends = ", ".join(f"{getattr(each, n)} {_ENDS[n]}" for n in _OUTCOMES if getattr(each, n))
    return ends or "no requests"


def _tell_latency(each: Slice) -> str:
    return ", ".join(f"{name} {seconds(_reading(each, name))}" for name in _QUANTILES)


def _tell_calls(each: Slice) -> str:
    return f"{each.calls} calls for {each.requests} requests"


def _tell_counts(facts: Facts, values: Callable[[Slice], dict[str, str]]) -> Callable[[Slice], str]:
    def tell(each: Slice) -> str:
        found = values(each)
        return ", ".join(f"{n} {found[n]}" for n in facts.providers if n in found) or "nobody"

    return tell
