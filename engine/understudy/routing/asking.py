"""How the request loop asks the dispatcher: in this very turn, or as soon as it is up again."""

from __future__ import annotations

from typing import Any

from understudy.routing.endings import shutting_down
from understudy.routing.wiring import Wiring
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.runtime.errors import ActorDied, ActorStopped, ActorSuspended


def ask_now(wiring: Wiring, message: Any) -> Any | None:
    """What the dispatcher answers to `message`; None if it is down for the moment.

    Raises:
        ShuttingDown: It is down for good.
    """
    try:
        return wiring.dispatcher.ask_now(message)
    except ActorStopped:
        raise shutting_down() from None
    except ActorSuspended:
        return None


async def ask(wiring: Wiring, flight: Flight, message: Any) -> Any:
    """What it answers, as soon as it is up.

    What crashed it is not asked twice: the next one might meet the same fate.
    """
    while (answer := ask_now(wiring, message)) is None:
        try:
            return await wiring.dispatcher.ask(message, flight.deadline)
        except ActorStopped:
            raise shutting_down() from None
        except ActorDied:
            pass  # by somebody else's message, while ours waited
    return answer
