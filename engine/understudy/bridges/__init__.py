"""Bridges to programs that do not run on trio.

`AsyncioEngine` is the engine on an asyncio program's own running loop, `BlockingEngine` the one for
threads and scripts. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from understudy.bridges.asyncio_engine import AsyncioEngine
    from understudy.bridges.blocking_engine import BlockingEngine

__all__ = ["AsyncioEngine", "BlockingEngine"]

_ROOMS: Final = {"AsyncioEngine": "asyncio_engine", "BlockingEngine": "blocking_engine"}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return getattr(importlib.import_module(f"{__name__}.{_ROOMS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
