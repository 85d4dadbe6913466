"""The report: one HTML file with everything in it, for any browser, without a network.

No script runs in it. Pictures are SVG, their tooltips `<title>`s, and every number stands in a
table too. It is a function of the facts alone, so that equal runs give equal bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from html import escape

from understudy_sim.headline import Headline
from understudy_sim.report.charts import charts
from understudy_sim.report.facts import Facts
from understudy_sim.report.parts import figure, folded, shell, table
from understudy_sim.report.svg import clock, tag
from understudy_sim.report.words import ROWS, count, percent, seconds, usd

_TILES = (1, 3, 4, 5, 7, 8, 9, 10)


def page(facts: Facts, others: Sequence[tuple[str, Headline]] = ()) -> str:
    """The report of a run.

    Args:
        facts: What it shows.
        others: Headlines to stand beside this one's, such as that of a run without the faults.
    """
    body = [
        _header(facts),
        _verdict(facts),
        _tiles(facts.headline),
        *(figure(each) for each in charts(facts)),
        _numbers(facts, others),
        *_details(facts),
        _footer(facts),
    ]
    return shell(f"{facts.scenario} · understudy simulation", *body)


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


def _numbers(facts: Facts, others: Sequence[tuple[str, Headline]]) -> str:
    columns = [(facts.scenario if others else "value", facts.headline), *others]
    rows = (
        [name, *(value(headline) for _, headline in columns), meaning]
        for name, meaning, value in ROWS
    )
    heads = ["", *(name for name, _ in columns), "meaning"]
    return tag("section", tag("h2", "Headline"), table(heads, rows))


def _details(facts: Facts) -> Iterator[str]:
    """Tables that are folded up, but for violations."""
    if facts.violations:
        broken = ([law, f"{n}", words] for law, (words, n) in facts.violations.items())
        laws = table(["law", "times", "the first of them"], broken)
        yield tag("section", tag("h2", "Violations"), laws)
    ends = ([status, count(number)] for status, number in facts.outcomes.items())
    yield folded("How requests ended", table(["status", "requests"], ends))
    faults = (
        [each.kind, each.target, clock(each.from_s), clock(each.until_s)] for each in facts.windows
    )
    yield folded("Faults", table(["fault", "at", "from", "until"], faults))
    stays = (
        [scope, stay.state, clock(stay.from_s), clock(stay.until_s)]
        for scope, stays in facts.ribbons.items()
        for stay in stays
    )
    yield folded("Breakers and holds", table(["scope", "state", "from", "until"], stays))
    yield folded("Over time", _over_time(facts))


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
    return table(heads, rows)


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
