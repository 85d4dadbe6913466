"""The end of an engine's work: nothing new, what runs may finish, what is left is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from understudy_actors.dispatcher.messages import Disperse
from understudy_actors.runtime.mailbox import Lane

if TYPE_CHECKING:
    from understudy.assembly import Parts

LAST_WORD_S: Final = 2.0
"""How long cancelled attempts have to settle."""


async def wind_up(parts: Parts, drain_s: float) -> None:
    """Refuse new work, let what is under way finish, end what is left after `drain_s` seconds.

    Called again, it ends what is left after the shorter of the two times.
    """
    flights = parts.wiring.flights
    flights.closing = True
    await idle(parts, drain_s)
    flights.over = True
    for scope in list(flights.scopes):
        scope.cancel()
    parts.wiring.dispatcher.tell(Disperse(), Lane.CONTROL)
    await idle(parts, LAST_WORD_S)


async def idle(parts: Parts, timeout_s: float) -> None:
    """Wait until no request is under way, but not longer than `timeout_s`."""
    flights = parts.wiring.flights
    if not flights.running:
        return
    if flights.idle is None:
        flights.idle = trio.Event()
    with trio.move_on_after(timeout_s):
        await flights.idle.wait()
