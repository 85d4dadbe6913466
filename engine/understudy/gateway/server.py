"""The HTTP server around the application: uvicorn, in one process and one thread."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import uvicorn

from understudy.gateway.heads import BoundedHeads
from understudy_actors.domain.errors import ConfigError

DRAIN_S: Final = 30
"""How long requests under way have when the server is told to end."""
KEEP_ALIVE_S: Final = 75
"""How long an idle connection stays open."""
BACKLOG: Final = 2048
ROUGH: Final = 2
"""So many signals to end are taken politely."""
GRACE_S: Final = 4
"""Past its time to drain, whoever was told of the end has this long to take it."""


def settings(app: Any, *, drain_s: float = DRAIN_S) -> uvicorn.Config:
    """How it is served. uvicorn's own log is silent: ours has the requests, and their errors."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedHeads,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(drain_s) + GRACE_S,
    )


class Server(uvicorn.Server):
    """uvicorn's, which tells when it is told to end, and how often it was told."""

    def __init__(self, config: uvicorn.Config, on_end: Callable[[int], None]) -> None:
        super().__init__(config)
        self._on_end = on_end
        self._told = 0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal ends it within its time, the second at once, the third on the spot."""
        self._told += 1
        if self._told == 1:
            super().handle_exit(sig, frame)
        self.force_exit = self._told > ROUGH
        self._on_end(self._told)


def listen(host: str, port: int) -> socket.socket:
    """A socket that callers can reach; port 0 is any free one.

    Raises:
        ConfigError: There is no such address here, or somebody listens there already.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        why = error.strerror or str(error)
        raise ConfigError(
            f"cannot listen on {host}:{port}: {why}. Choose another --host or --port."
        ) from None
    return listener
