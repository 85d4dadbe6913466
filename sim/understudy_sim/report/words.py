"""Numbers as people read them, and the headline as rows of a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from understudy_sim.headline import Headline


def seconds(value: float | None) -> str:
    """A time; a dash for what never was."""
    if value is None:
        return "–"
    if value >= 100:
        return f"{value:.0f} s"
    if value >= 1:
        return f"{value:.2f}".rstrip("0").rstrip(".") + " s"
    return "0 s" if value < 0.0005 else f"{value * 1e3:.0f} ms"


def percent(value: float) -> str:
    """A share; only what is exactly 100 % says so."""
    shown = f"{value * 100:.2f}"
    if shown == "100.00" and value < 1:
        shown = "99.99"
    return shown.rstrip("0").rstrip(".") + " %"


def usd(value: float) -> str:
    """An amount of money, to a hundredth of a cent."""
    whole, _, rest = f"{value:,.4f}".partition(".")
    return (
        "$0"
        if value == 0
        else f"${whole}.{rest[:2]}" + ("" if value >= 10 else rest[2:].rstrip("0"))
    )


def count(value: float) -> str:
    """A number of things."""
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


Row = tuple[str, str, Callable[[Headline], str]]

ROWS: Final[tuple[Row, ...]] = (
    ("requests", "all that were made", lambda h: count(h.requests)),
    ("availability", "answered by a provider", lambda h: percent(h.availability)),
    ("stand-in answers", "when no provider could", lambda h: percent(h.degraded)),
    ("p50", "time to an answer", lambda h: seconds(h.p50_s)),
    ("p95", "time to an answer", lambda h: seconds(h.p95_s)),
    ("p99", "time to an answer", lambda h: seconds(h.p99_s)),
    ("longest", "time to an answer", lambda h: seconds(h.max_s)),
    ("time to detect", "first fault to first reaction", lambda h: seconds(h.detect_s)),
    ("time to recover", "last fault over to all well", lambda h: seconds(h.recover_s)),
    ("calls per request", "1 is no waste", lambda h: f"{h.attempts_per_request:.3f}"),
    ("cost", "what providers charged", lambda h: usd(h.billed_usd)),
    ("share", "of the answers", lambda h: share_of(h)),
)
"""Name, meaning and value of each number of the headline."""


def share_of(headline: Headline) -> str:
    """Who answered how much of it, the most first."""
    ranked = sorted(headline.share.items(), key=lambda each: -each[1])
    return ", ".join(f"{name or '?'} {percent(share)}" for name, share in ranked) or "–"
