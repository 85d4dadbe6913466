"""What an actor has yet to hear: nothing of it is lost, whatever state the actor is in."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from understudy_actors.runtime.actor import Ref
from understudy_actors.runtime.errors import ActorError, ActorSuspended, AskCycle, Crashed
from understudy_actors.runtime.mailbox import Lane

Message = TypeVar("Message")


class Owed(Generic[Message]):
    """Messages to one actor, told in order; what it cannot take now, it hears later.

    An actor that is about to restart finds them in its mailbox. One that has given up takes nothing
    into it: then they are kept here, until `tell` is called again. Whoever asks it anything calls
    that first.
    """

    def __init__(self, actor: Ref) -> None:
        self._actor = actor
        self._waiting: deque[Message] = deque()

    def tell(self, message: Message | None = None) -> None:
        """Tell it `message`, after all that waits; None: only what waits."""
        waiting = self._waiting
        if message is not None:
            waiting.append(message)
        while waiting:
            first = waiting.popleft()  # before it is told: its turn may lead here again
            try:
                self._actor.ask_now(first)
            except Crashed:
                pass  # its successor makes good what it crashed over
            except (ActorSuspended, AskCycle):
                self._actor.tell(first, Lane.RESULTS)
            except ActorError:
                waiting.appendleft(first)
                return
