"""Small SVG: tags, scales and a plot's frame. Colours are classes, so the page decides on them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

import attrs

WIDTH: Final = 1000
LEFT: Final = 64
RIGHT: Final = 12
TOP: Final = 10
BOTTOM: Final = 24
_TIME_STEPS_S: Final = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900),
    *(1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400),
)


def tag(name: str, *inside: str, **attributes: object) -> str:
    """One element. `class_` and `stroke_width` lose their underscores; `inside` is markup."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{''.join(inside)}</{name}>"


def _number(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def ticks(most: float, wanted: int = 4) -> list[float]:
    """Round values from 0 over `most`, about `wanted` of them above 0."""
    if most <= 0:
        return [0.0, 1.0]
    rough = most / wanted
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * each for each in (1, 2, 2.5, 5, 10) if unit * each >= rough * 0.999)
    return [step * each for each in range(math.ceil(most / step - 1e-9) + 1)]


def time_ticks(length_s: float, wanted: int = 12) -> list[float]:
    """Round times from 0 up to `length_s`."""
    least = length_s / wanted
    days = math.ceil(least / 86_400) * 86_400
    step = next((each for each in _TIME_STEPS_S if each >= least), days)
    return [step * each for each in range(int(length_s / step + 1e-9) + 1)]


def clock(at_s: float) -> str:
    """A time since the start: `0:05`, `12:30`, `2:03:00`; tenths only where they are needed."""
    whole = int(at_s)
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    shown = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    tenths = round((at_s - whole) * 10)
    return f"{shown}.{tenths}" if 0 < tenths < 10 else shown


@attrs.frozen
class Frame:
    """A plot's room: time across, a value from 0 to `most` upwards."""

    length_s: float
    most: float
    height: int = 150

    @property
    def floor(self) -> float:
        """Where 0 is."""
        return float(self.height - BOTTOM)

    def x(self, at_s: float) -> float:
        """Where a time is."""
        share = min(max(at_s / self.length_s, 0.0), 1.0) if self.length_s else 0.0
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Where a value is."""
        share = min(max(value / self.most, 0.0), 1.0) if self.most else 0.0
        return self.floor - share * (self.floor - TOP)

    def axes(self, labels: Iterable[tuple[float, str]]) -> str:
        """Grid lines with the given labels, and times below."""
        lines = [
            tag("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=self.y(at), y2=self.y(at))
            + tag("text", escape(label), class_="tick end", x=LEFT - 8, y=self.y(at) + 4)
            for at, label in labels
        ]
        return "".join(lines) + self.times()

    def times(self) -> str:
        """The times below."""
        return "".join(
            tag("text", clock(at), class_="tick mid", x=self.x(at), y=self.height - 6)
            for at in time_ticks(self.length_s)
        )

    def line(self, points: Sequence[tuple[float, float | None]], class_: str) -> str:
        """A line through (time, value); None breaks it, and a value by itself becomes a dot."""
        runs: list[list[tuple[float, float]]] = [[]]
        for at, value in points:
            if value is None:
                runs.append([])
            else:
                runs[-1].append((self.x(at), self.y(value)))
        path = " ".join(_path(each) for each in runs if len(each) > 1)
        dots = "".join(
            tag("circle", class_=f"dot {class_}", cx=x, cy=y, r=2)
            for each in runs
            if len(each) == 1
            for x, y in each
        )
        return (tag("path", class_=f"line {class_}", d=path) if path else "") + dots

    def bar(self, from_s: float, until_s: float, low: float, high: float, class_: str) -> str:
        """A bar from one time to another and one value to another."""
        left, right = self.x(from_s), self.x(until_s)
        top, bottom = self.y(high), self.y(low)
        wide, tall = max(0.5, right - left - 0.6), bottom - top
        return tag("rect", class_=class_, x=left, y=top, width=wide, height=tall)

    def tip(self, from_s: float, until_s: float, told: str) -> str:
        """What is told of a stretch of time to whoever points at it."""
        return tag(
            "rect",
            tag("title", escape(told)),
            class_="tip",
            x=self.x(from_s),
            y=TOP,
            width=self.x(until_s) - self.x(from_s),
            height=self.floor - TOP,
        )

    def area(self, edges: Sequence[tuple[float, float, float, float]], class_: str) -> str:
        """Steps between a low and a high value: (from, until, low, high) one after another."""
        if not any(high > low for _, _, low, high in edges):
            return ""
        over = [(self.x(t), self.y(high)) for a, b, _, high in edges for t in (a, b)]
        under = [(self.x(t), self.y(low)) for a, b, low, _ in edges for t in (a, b)]
        return tag("path", class_=class_, d=_path([*over, *reversed(under)]) + "Z")


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
