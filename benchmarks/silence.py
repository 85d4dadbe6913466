"""When learned limits on silence help, and when they do not: streams under fixed and learned ones.

    python -m benchmarks.silence [--quick] [--json] [--write docs/silence.md]

Simulated: virtual time, the real engine, several seeds of each world, the same draws for all. The
page and its plot are written by this command alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.experiment import (
    FROM_S,
    HORIZON_S,
    UNTIL_S,
    Arm,
    Found,
    Told,
    World,
    draw,
    measure,
    table,
)
from benchmarks.report import Record, record, report
from understudy_actors.domain.events import AttemptEnded, Event


def fixed(limit: str) -> dict[str, Any]:
    """One limit for everybody, before the first token and between two."""
    return {"stream": dict.fromkeys(BOUNDS, limit)}


BOUNDS: Final = ("first_token_min", "first_token_max", "gap_min", "gap_max")
LOW: Final = {"first_token_min": "2s", "gap_min": "2s", "gap_max": "60s"}
ARMS: Final = (
    Arm("10 s for all", "#888888", fixed("10s")),
    Arm("60 s for all", "#d97706", fixed("60s")),
    Arm("learned, 10 to 60 s", "#1f6feb", {"stream": {"gap_max": "60s"}}),
    Arm("learned, 2 to 60 s", "#7c3aed", {"stream": LOW}),
)
"""The third one is the default, but for gaps, which are borne for as long as first tokens here."""
QUICK: Final = {"kind": "lognormal", "median": "400ms", "sigma": 0.3}
THOROUGH: Final = {"kind": "lognormal", "median": "12s", "sigma": 0.2}
ALPHA: Final = {"provider": "alpha"}


def world(
    name: str, claim: str, latency: Mapping[str, Any], fault: Mapping[str, Any] | None = None
) -> World:
    """Two alike providers, in order, that stream; what goes wrong between a minute and five."""
    during = {"from": FROM_S, "for": UNTIL_S - FROM_S}
    alike = {"voice": "model", "latency": latency}
    document = {
        "name": name,
        "horizon": HORIZON_S,
        "clients": [
            {
                "name": "readers",
                "arrivals": {"kind": "poisson", "rate": 2},
                "output_tokens": {"kind": "fixed", "value": 40},
                "deadline": "120s",
                "stream": True,
                "hedge": False,  # a second copy would hide how long the limits make one wait
            }
        ],
        "fleet": [{"name": "alpha", **alike}, {"name": "beta", "wire": "anthropic", **alike}],
        "faults": [{**fault, **during}] if fault is not None else [],
        "engine": {
            "strategy": "priority",
            "providers": {name: {"priority": at} for at, name in enumerate(("alpha", "beta"))},
        },
    }
    return World(name, claim, document)


HANG: Final = {"kind": "hang", "share": 0.05, "selector": ALPHA}
WORLDS: Final = (
    world("quick, all is well", "no limit is ever met: learning changes nothing", QUICK),
    world(
        "quick, one in twenty never begins",
        "helps, the more the lower the floor: who usually begins at once need not be waited for",
        QUICK,
        HANG,
    ),
    world(
        "thorough, all is well",
        "helps against a limit that is too short: ten seconds for all give up on good answers, "
        "and put the blame on good providers",
        THOROUGH,
    ),
    world(
        "thorough, one in twenty never begins",
        "hardly helps: whoever is slow by nature must be waited for, and silence takes as long to "
        "tell from slowness",
        THOROUGH,
        HANG,
    ),
)


def count(event: Event) -> str | None:
    """Attempts that were given up."""
    silent = isinstance(event, AttemptEnded) and event.error in ("silent", "stalled")
    return "given up" if silent else None


def given_up(told: Told, _: Told) -> str:
    """Of 100 requests, how many attempts were given up."""
    return f"{100 * told.counts['given up'] / told.requests:.1f}"


COLUMNS: Final = (("given up, of 100 requests", given_up),)


def records(found: Found) -> list[Record]:
    """The 99th percentile with the default against 60 s for all, and the shares answered."""
    rows: list[Record] = []
    for name, (_, patient, learned, _) in found.items():
        p99 = learned.quantile(0.99)
        rows.append(record(f"{name}: p99", p99, "s", baseline=patient.quantile(0.99)))
        rows.append(record(f"{name}: answered", 100 * learned.answered, "%"))
    return rows


def page(found: Found, seeds: int, picture: str) -> str:
    """The page."""
    claims = "".join(f"- **{each.name}**: {each.claim}.\n" for each in WORLDS)
    return f"""# When learned limits on silence help, and when they do not

Written by `python -m benchmarks.silence --write docs/silence.md`: simulated, {seeds} seeds of each
world, streams of forty tokens from two alike providers under `strategy = "priority"`, the same
draws for all, no second copies. *Quick* ones begin after 0.4 s, *thorough* ones after 12 s
(medians). The numbers are of the four minutes in which a world is as it is called.

{table(found, ARMS, COLUMNS)}
{claims}
A limit is learned for each model from the first tokens and the gaps that were seen, and lies
between the bounds that the section `stream` sets; before anything was seen it is the upper one.

![Share of the requests that take longer than so many seconds]({picture})

Share of the requests that take longer than so many seconds, on a logarithmic scale: lower is
better.
"""


def main() -> None:
    """Measure, and print or write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="one seed of each world")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--write", type=Path, help="the page to write; its plot stands beside it")
    options = parser.parse_args()
    seeds = 1 if options.quick else 2
    found = measure(WORLDS, ARMS, seeds, count)
    if options.write is not None:
        picture = options.write.with_suffix(".png")
        draw(found, ARMS, picture, longest_s=80.0)
        options.write.write_text(page(found, seeds, picture.name))
    note = "simulated; p99 against 60 s for all"
    report("silence", records(found), as_json=options.json, note=note)


if __name__ == "__main__":
    main()
