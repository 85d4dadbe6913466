"""From the command line to a scenario document, and from a file to a trace."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace

from understudy_sim.cli.command import Unusable
from understudy_sim.cli.settings import with_settings
from understudy_sim.scenario import Scenario, canonical_json, load
from understudy_sim.tracefile import Recording, TraceUnreadable, read


def chosen(source: str, seed: int | None, settings: Iterable[str] | None) -> Scenario:
    """The scenario of the library or of a file, with what the command line changes in it.

    Raises:
        Refused: There is none, or it cannot be used.
        OSError: The file cannot be read.
    """
    scenario = load(source)
    if settings:
        scenario = with_settings(scenario, settings)
    return scenario if seed is None else replace(scenario, seed=seed)


def write_document(path: Path, scenario: Scenario) -> None:
    """Write the document that `load` reads back."""
    path.write_bytes(canonical_json(scenario) + b"\n")


def read_trace(path: Path) -> Recording:
    """A trace file.

    Raises:
        Unusable: It is none, or not whole.
        OSError: It cannot be read.
    """
    try:
        return read(path)
    except TraceUnreadable as error:
        raise Unusable(str(error)) from None
