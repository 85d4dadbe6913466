"""Bridges to programs that do not run on trio.

`AsyncioEngine` is the engine on an asyncio program's own running loop. Nothing is imported before
it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from understudy.bridges.asyncio_engine import AsyncioEngine

__all__ = ["AsyncioEngine"]


def __getattr__(name: str) -> Any:
    if name == "AsyncioEngine":
        from understudy.bridges.asyncio_engine import AsyncioEngine

        return AsyncioEngine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
