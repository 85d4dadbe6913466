"""`understudy serve --workers N`: the same port, several processes, each with its share."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from understudy.cli.failure import exit_code, tell
from understudy.cli.output import console
from understudy.config.shares import share
from understudy.ports import SystemClock
from understudy_actors.domain.errors import UnderstudyError

if TYPE_CHECKING:
    from understudy.config import Config

Part: TypeAlias = "Callable[[Config], Config]"
"""A worker's share of a configuration, of the one at the start and of those that follow it."""
Serve: TypeAlias = Callable[[Part, list[socket.socket], Callable[[], None], bool], None]
"""Serves such shares on sockets; calls back once it is ready, and may announce itself."""


def serve_together(
    config: Config, workers: int, listener: socket.socket, serve: Serve, drain_s: float
) -> int:
    """Serve with several processes until told to end; returns the exit code.

    Raises:
        ConfigError: There is not enough to share.
    """
    from understudy.gateway.crew import Crew, end_with_parent, fork, keep
    from understudy.gateway.server import listen

    for number in range(1, workers + 1):
        share(config, number, workers)
    screen = console(sys.stderr)

    def say(line: str) -> None:
        screen.print(line, soft_wrap=True)

    lifeline, announced = os.pipe(), False
    with ExitStack() as stack:
        own = [stack.enter_context(listen("127.0.0.1", 0)) for _ in range(workers)]

        def start(number: int) -> int:
            nonlocal announced
            first, announced = number == 1 and not announced, True

            def work() -> int:
                try:
                    ready = partial(end_with_parent, lifeline[0])
                    part = partial(share, worker=number, workers=workers)
                    serve(part, [listener, own[number - 1]], ready, first)
                except UnderstudyError as error:
                    tell(error, as_json=False)
                    return exit_code(error)
                return 0

            return fork(work, lifeline)

        say(f"{workers} workers, each with its share (1/{workers}) of every limit and budget.")
        for number, each in enumerate(own, 1):
            say(f"worker {number}: metrics at http://127.0.0.1:{each.getsockname()[1]}/metrics")
        say("at the common address /metrics is that of whoever answers: sum those of all")
        return keep(Crew(workers), start, SystemClock().wall, say, drain_s)
