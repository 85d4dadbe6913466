"""The report: one HTML file with everything in it, for any browser, without a network.

No script runs in it. Pictures are SVG, their tooltips `<title>`s, and every number stands in a
table too. It is a function of the facts alone, so that equal runs give equal bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from understudy_sim.headline import Headline
from understudy_sim.report.charts import Chart, charts
from understudy_sim.report.facts import Facts
from understudy_sim.report.look import STYLE
from understudy_sim.report.svg import clock, tag
from understudy_sim.report.words import ROWS, count, percent, seconds, usd

_TILES = (1, 3, 4, 5, 7, 8, 9, 10)


def page(facts: Facts, others: Sequence[tuple[str, Headline]] = ()) -> str:
    """The report of a run.

    Args:
        facts: What it shows.
        others: Headlines to stand beside this one's, such as that of a run without the faults.
    """
    title = f"{facts.scenario} · understudy simulation"
    head = (
        '<meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"{tag('title', escape(title))}{tag('style', STYLE)}"
    )
    body = [
        _header(facts),
        _verdict(facts),
        _tiles(facts.headline),
        *(_figure(each) for each in charts(facts)),
        _numbers(facts, others),
        *_details(facts),
        _footer(facts),
    ]
    whole = tag("html", f"<head>{head}</head>", tag("body", tag("main", *body)), lang="en")
    return f"<!doctype html>{whole}\n"


def _header(facts: Facts) -> str:
    said = (
        f"seed {facts.seed} · strategy {facts.strategy} · {clock(facts.length_s)} simulated · "
        f"providers {', '.join(facts.providers)}"
    )
    return tag(
        "header",
        tag("h1", escape(facts.scenario)),
        tag("p", escape(facts.description), class_="about") if facts.description else "",
        tag("p", escape(said), class_="meta"),
    )


def _verdict(facts: Facts) -> str:
    if facts.progress != "done":
        words = f"No progress: the run was ended by {facts.progress}."
        return tag("p", escape(words), class_="verdict bad")
    if facts.violations:
        laws = ", ".join(facts.violations)
        total = sum(times for _, times in facts.violations.values())
        words = f"{total} violation{'' if total == 1 else 's'} of {laws}: see below."
        return tag("p", escape(words), class_="verdict bad")
    if facts.violations is None:
        return ""
    return tag("p", "Every law of the trace was kept.", class_="verdict good")


def _tiles(headline: Headline) -> str:
    tiles = (
        tag(
            "div",
            tag("dt", escape(name)),
            tag("dd", escape(value(headline))),
            tag("small", escape(meaning)),
        )
        for name, meaning, value in (ROWS[at] for at in _TILES)
    )
    return tag("dl", *tiles, class_="tiles")


def _figure(chart: Chart) -> str:
    legend = "".join(
        tag("span", _key(class_), escape(words), class_="key") for class_, words in chart.legend
    )
    caption = tag("h2", escape(chart.title)) + (
        tag("div", legend, class_="legend") if legend else ""
    )
    note = tag("p", escape(chart.note), class_="note") if chart.note else ""
    return tag("figure", tag("figcaption", caption), chart.svg, note)


def _key(class_: str) -> str:
    if class_.startswith("line"):
        mark = tag("line", class_=class_, x1=0, x2=14, y1=6, y2=6)
    else:
        mark = tag("rect", class_=class_, width=12, height=12, rx=2)
    return tag("svg", mark, width=14, height=12, aria_hidden="true")


def _numbers(facts: Facts, others: Sequence[tuple[str, Headline]]) -> str:
    columns = [(facts.scenario if others else "value", facts.headline), *others]
    rows = (
        [name, *(value(headline) for _, headline in columns), meaning]
        for name, meaning, value in ROWS
    )
    heads = ["", *(name for name, _ in columns), "meaning"]
    return tag("section", tag("h2", "Headline"), _table(heads, rows))


def _details(facts: Facts) -> Iterator[str]:
    """Tables that are folded up, but for violations."""
    if facts.violations:
        broken = ([law, f"{n}", words] for law, (words, n) in facts.violations.items())
        table = _table(["law", "times", "the first of them"], broken)
        yield tag("section", tag("h2", "Violations"), table)
    ends = ([status, count(number)] for status, number in facts.outcomes.items())
    yield _folded("How requests ended", _table(["status", "requests"], ends))
    faults = (
        [each.kind, each.target, clock(each.from_s), clock(each.until_s)] for each in facts.windows
    )
    yield _folded("Faults", _table(["fault", "at", "from", "until"], faults))
    stays = (
        [scope, stay.state, clock(stay.from_s), clock(stay.until_s)]
        for scope, stays in facts.ribbons.items()
        for stay in stays
    )
    yield _folded("Breakers and holds", _table(["scope", "state", "from", "until"], stays))
    yield _folded("Over time", _over_time(facts))


def _over_time(facts: Facts) -> str:
    heads = [
        *("from", "requests", "answered", "stand-in", "failed", "given up", "availability"),
        *("p50", "p95", "p99", "calls", "cost"),
        *facts.providers,
    ]
    rows = (
        [
            clock(each.from_s),
            *(count(n) for n in (each.requests, each.ok, each.degraded)),
            *(count(n) for n in (each.failed, each.cancelled)),
            "–" if each.availability is None else percent(each.availability),
            *(seconds(value) for value in (each.p50_s, each.p95_s, each.p99_s)),
            count(each.calls),
            usd(sum(each.billed_usd.values())),
            *(count(each.by_provider.get(name, 0)) for name in facts.providers),
        ]
        for each in facts.slices
    )
    return _table(heads, rows)


def _folded(title: str, inside: str) -> str:
    return tag("details", tag("summary", escape(title)), inside)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = tag("tr", *(tag("th", escape(each), scope="col") for each in heads))
    body = [
        tag("tr", tag("th", escape(name), scope="row"), *(tag("td", escape(v)) for v in values))
        for name, *values in rows
    ]
    if not body:
        body = [tag("tr", tag("td", "none", colspan=len(heads)))]
    whole = tag("table", tag("thead", top), tag("tbody", *body))
    return tag("div", whole, class_="wide")


def _footer(facts: Facts) -> str:
    facts_of_it = itertools.chain.from_iterable(
        (tag("dt", name), tag("dd", tag("code", escape(value))))
        for name, value in (
            ("scenario document", facts.document),
            ("digest of the events", facts.semantic_digest),
        )
    )
    words = "The same document gives the same run, event by event, and this same file."
    return tag("footer", tag("p", words), tag("dl", *facts_of_it))
