"""The command that shows one of many runs by itself."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from understudy.config.files import PARSERS


def again(
    source: str,
    seed: int,
    settings: Iterable[str] | None,
    *,
    engine: str | None = None,
    lab: str | None = None,
) -> str:
    """What a person types to see the run of a seed, with a report of its own.

    Args:
        source: The scenario, as it was given.
        seed: Which of the runs.
        settings: What `--set` was given.
        engine: A strategy, or the file of a configuration, in place of the scenario's own.
        lab: What `--lab` was given.
    """
    verb, changed = "simulate", list(settings or ())
    words = [source, "--seed", f"{seed}"]
    if engine is not None and Path(engine).suffix.casefold() in PARSERS:
        verb = "replay"
        words += ["--config", engine]
    elif engine is not None:
        changed.append(f"engine.strategy={engine}")
    for each in changed:
        words += ["--set", each]
    if lab is not None:
        words += ["--lab", lab]
    return shlex.join(["understudy", verb, *words, "--report", f"seed-{seed}.html"])
