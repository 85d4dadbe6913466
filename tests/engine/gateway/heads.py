"""One connection of the gateway's server without a socket and without time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Any

import attrs
from uvicorn.server import ServerState

from understudy.gateway.server import settings


@attrs.define(eq=False)
class Timer:
    """A call that is due some day."""

    seconds: float
    due: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@attrs.define(eq=False)
class Loop:
    """Keeps what is to be done later; requests are not begun."""

    timers: list[Timer] = attrs.field(factory=list)
    begun: int = 0

    def call_later(self, seconds: float, due: Callable[[], None]) -> Timer:
        self.timers.append(Timer(seconds, due))
        return self.timers[-1]

    def create_task(self, work: Coroutine[Any, Any, None], **_more: Any) -> Any:
        work.close()
        self.begun += 1
        return self

    def add_done_callback(self, _callback: object) -> None:
        """As a task has it."""

    def pass_time(self) -> None:
        """Everything that is due happens."""
        for timer in self.timers:
            if not timer.cancelled:
                timer.cancelled = True
                timer.due()


@attrs.define(eq=False)
class Wire:
    """A transport that keeps what is written."""

    sent: bytes = b""
    closed: bool = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        """As a transport has it."""

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, _name: str) -> None:
        return None


async def nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    """An application that does nothing."""


class Connection:
    """A connection, served by a module of heads."""

    def __init__(self, module: ModuleType) -> None:
        self.loop, self.wire = Loop(), Wire()
        config = settings(nothing)
        config.load()
        self.protocol = module.BoundedHeads(config, ServerState(), {}, _loop=self.loop)
        self.protocol.connection_made(self.wire)

    def send(self, *pieces: bytes) -> Connection:
        """What a caller sends, until the connection is closed."""
        for piece in pieces:
            if not self.wire.closed:
                self.protocol.data_received(piece)
        return self

    def told(self) -> tuple[int, bool, int]:
        """The status that it was told, whether that is the end, and how many requests began."""
        status = int(self.wire.sent.split(b" ")[1]) if self.wire.sent else 0
        return status, self.wire.closed, self.loop.begun
