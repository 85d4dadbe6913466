"""One request and the head of its answer, on one line."""

from __future__ import annotations

from typing import Final

import trio

from understudy.transport.http import TransportFailed
from understudy.transport.wire.answer import NoHttp
from understudy.transport.wire.line import Line

AT_ONCE_BYTES: Final = 16_384
"""An encrypted request up to this is sent without an eye on the answer: every socket's buffer holds
it, so that sending cannot wait for a server that answers first."""

BROKEN: Final = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)


async def exchange(line: Line, request: bytes, taken: int) -> bool:
    """Send what is left of `request` beyond `taken`, and read until the answer's head is there.

    Returns whether all of the request was sent: a server may answer before it has read everything,
    and then need not read the rest.

    Raises:
        TransportFailed: No head arrived.
    """
    left = memoryview(request)[taken:]
    if left and (taken or len(left) > AT_ONCE_BYTES):
        return await _both_ways(line, left)
    if left:
        await _send(line, left)
    while not line.answer.headed:
        await more(line)
    return True


async def more(line: Line) -> None:
    """Read on.

    Raises:
        TransportFailed: The connection broke, or what came is no HTTP.
    """
    try:
        line.answer.feed(await line.receive())
        return
    except NoHttp as error:
        told = f"what came is no whole answer: {error}"
    except BROKEN:
        told = "the connection broke while the answer was awaited"
    # Raised out here, so that no foreign exception hangs on it as its context.
    raise TransportFailed(told, sent=True)


async def _send(line: Line, data: memoryview) -> None:
    try:
        await line.send_all(data)
        return
    except BROKEN:
        pass
    raise TransportFailed("the connection broke while the request was sent", sent=True)


async def _both_ways(line: Line, left: memoryview) -> bool:
    """Send the rest while the answer is awaited; who is answered stops sending.

    A line that breaks while sending may hold an answer still: why the server wanted no more.
    """
    failed: TransportFailed | None = None
    whole = False

    async def sender() -> None:
        nonlocal whole
        try:
            await line.send_all(left)
            whole = True
        except BROKEN:
            pass  # reading tells what became of it

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sender)
        try:
            while not line.answer.headed:
                await more(line)
        except TransportFailed as error:
            failed = error
        nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed
    return whole
