"""The engine as an HTTP service that official SDKs of others can talk to.

    wires/      what callers of each format send, and how answers look to them: pure
    problem     what went wrong, as a status and a code
    overrides   what a caller may say about how its request is routed

`create_app` makes the application; it uses the embedding API and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from understudy.gateway.app import create_app
    from understudy.gateway.limits import Limits

__all__ = ["Limits", "create_app"]


def __getattr__(name: str) -> Any:
    """Nothing is imported before it is asked for: the wires need no server."""
    if name == "create_app":
        from understudy.gateway.app import create_app

        return create_app
    if name == "Limits":
        from understudy.gateway.limits import Limits

        return Limits
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
