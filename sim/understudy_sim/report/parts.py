"""What every page is made of: its shell, figures with a caption and legend, tables, folds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from understudy_sim.report.charts import Chart
from understudy_sim.report.look import STYLE
from understudy_sim.report.svg import tag


def shell(title: str, *body: str) -> str:
    """A whole page around its body."""
    head = (
        '<meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"{tag('title', escape(title))}{tag('style', STYLE)}"
    )
    whole = tag("html", f"<head>{head}</head>", tag("body", tag("main", *body)), lang="en")
    return f"<!doctype html>{whole}\n"


def figure(chart: Chart) -> str:
    """A picture with its caption, legend and note."""
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


def folded(title: str, inside: str) -> str:
    """Something that the reader unfolds."""
    return tag("details", tag("summary", escape(title)), inside)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts; the first of each row is its name."""
    top = tag("tr", *(tag("th", escape(each), scope="col") for each in heads))
    body = [
        tag("tr", tag("th", escape(name), scope="row"), *(tag("td", escape(v)) for v in values))
        for name, *values in rows
    ]
    if not body:
        body = [tag("tr", tag("td", "none", colspan=len(heads)))]
    whole = tag("table", tag("thead", top), tag("tbody", *body))
    return tag("div", whole, class_="wide")
