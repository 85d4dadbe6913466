"""Callers of an HTTP service that cost next to nothing: bytes over protocols, on uvloop."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import attrs
from httptools import HttpResponseParser

CONNECT_S: Final = 10.0
ROUND_S: Final = 60.0


@attrs.define
class Found:
    """What callers saw: how long each answer took, and how long all took together."""

    taken_s: list[float] = attrs.field(factory=list)
    lasted_s: float = 0.0
    failed: int = 0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.taken_s) / self.lasted_s if self.lasted_s else 0.0

    def ms(self, share: float) -> float:
        """A percentile of the answers' times, in milliseconds."""
        ordered = sorted(self.taken_s)
        return 1000 * ordered[int(share * (len(ordered) - 1))] if ordered else float("inf")


class Caller(asyncio.Protocol):
    """One connection. Its answer is there when it is whole, or at its first piece of a body."""

    def __init__(self, first: bool) -> None:
        self._first = first
        self._parser = HttpResponseParser(self)
        self._waiting: asyncio.Future[bool] | None = None
        self._began = 0.0
        self.first_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def ask(self, request: bytes) -> asyncio.Future[bool]:
        """Send a request; what is returned is done when the answer is whole."""
        self._waiting = asyncio.get_running_loop().create_future()
        self._began, self.first_s = time.perf_counter(), 0.0
        self._transport.write(request)
        return self._waiting

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, _body: bytes) -> None:
        """A piece."""
        if not self.first_s:
            self.first_s = time.perf_counter() - self._began

    def on_message_complete(self) -> None:
        """The end."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(self._parser.get_status_code() == 200)

    def connection_lost(self, _error: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(False)

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


async def load(
    port: int,
    request: bytes,
    callers: int,
    *,
    lasts_s: float,
    rate: float | None = None,
    first: bool = False,
) -> Found:
    """Ask for so many seconds over so many connections, each again as soon as it has its answer.

    With a `rate` (requests a second, all together) each waits for its turn instead. With `first`
    the first piece of a body is what is timed.
    """
    loop = asyncio.get_running_loop()
    found, ends_at = Found(), 0.0

    async def caller(number: int, each: Caller) -> None:
        due = time.perf_counter() + (number / rate if rate else 0.0)
        while time.perf_counter() < ends_at:
            if rate:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                due += callers / rate
            began = time.perf_counter()
            if not await each.ask(request):
                found.failed += 1
                return
            found.taken_s.append(each.first_s if first else time.perf_counter() - began)

    every: list[Caller] = []
    for _ in range(callers):
        _transport, made = await asyncio.wait_for(
            loop.create_connection(lambda: Caller(first), "127.0.0.1", port), CONNECT_S
        )
        every.append(made)
    began = time.perf_counter()
    ends_at = began + lasts_s
    try:
        async with asyncio.timeout(lasts_s + ROUND_S):
            await asyncio.gather(*(caller(*each) for each in enumerate(every)))
    except TimeoutError:
        found.failed += 1
    found.lasted_s = time.perf_counter() - began
    for each in every:
        each.close()
    return found
