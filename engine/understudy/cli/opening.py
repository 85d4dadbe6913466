"""From the command line to a configuration and an engine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from understudy.config import Config, discover, find
from understudy.lifecycle import open_engine

QUIET: Final = {"UNDERSTUDY_LOG_LEVEL": "error"}
"""Here the answer matters more than the log; a file and the environment may say otherwise."""


def environment() -> Mapping[str, str]:
    """The process's environment over our own defaults."""
    return {**QUIET, **os.environ}


def opened(config: Path | Config | None) -> open_engine:
    """An engine of the given configuration, of UNDERSTUDY_CONFIG, or of what is discovered."""
    return open_engine(config, environ=environment())


async def configuration(path: Path | None) -> Config:
    """The configuration that `opened` would use.

    Raises:
        ConfigError: It cannot be read, or a key in it is wrong.
    """
    from understudy.transport.factory import default_transport, list_models

    found = find(path, environment())
    if found is not None:
        return found
    transport = default_transport()
    try:
        return await discover(environment(), list_models(transport))
    finally:
        await transport.aclose()
