"""Why an actor could not answer, or could not take a message.

ActorError
├── ActorSuspended    it crashed and restarts soon: ask again at `.retry_at`
├── ActorDied         it crashed while this ask waited, or has given up until `.retry_at`
├── ActorStopped      it has ended for good
├── Crashed           it raised while handling this very message; asking again may crash it again
├── PoisonRefused     this kind of message crashed it too often: not accepted until `.retry_at`
├── AskCycle          the ask would wait for itself: a mistake in the actors, not in the world
├── NoReply           the actor answers this ask later, or never: use `await ask(...)`
├── DeadlineExceeded  no reply in time
└── MailboxFull       too much waits already; also an `Overloaded`
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from understudy_actors.domain.errors import Overloaded, UnderstudyError


class ActorError(UnderstudyError):
    """An actor could not answer. `actor` is its name, `why` one word for events."""

    why: ClassVar[str] = "error"

    def __init__(self, message: str, *, actor: str, retry_at: float | None = None) -> None:
        super().__init__(message, retry_at=retry_at)
        self.actor = actor


def _when(retry_at: float | None) -> str:
    return "revive it by hand" if retry_at is None else f"ask again at t={retry_at:.3f} s"


class ActorSuspended(ActorError):
    """It, or an actor it depends on, crashed and is not yet restarted; nothing was handled."""

    why = "suspended"

    def __init__(self, actor: str, restart_at: float | None) -> None:
        super().__init__(
            f"{actor} is down and waits for its restart: {_when(restart_at)}.",
            actor=actor,
            retry_at=restart_at,
        )


class ActorDied(ActorError):
    """It crashed before it answered, or it crashes too often to be asked."""

    why = "unavailable"

    def __init__(self, actor: str, retry_at: float | None) -> None:
        super().__init__(
            f"{actor} died before it answered: {_when(retry_at)}.", actor=actor, retry_at=retry_at
        )


class ActorStopped(ActorError):
    """It has ended for good."""

    why = "stopped"

    def __init__(self, actor: str) -> None:
        super().__init__(
            f"{actor} has been stopped and answers nothing: ask whoever took its place.",
            actor=actor,
        )


class Crashed(ActorError):
    """The turn that handled this message raised; the cause is chained. It is never redelivered."""

    why = "crashed"

    def __init__(self, actor: str, message_kind: str, error: str) -> None:
        super().__init__(
            f"{actor} crashed on {message_kind} ({error}) and goes back to its last snapshot. "
            "The message will not be handled again: send another one, if at all.",
            actor=actor,
        )


class PoisonRefused(ActorError):
    """Messages of this kind crashed it too often, and are refused for a while."""

    why = "poison"

    def __init__(self, actor: str, message_kind: str, retry_at: float) -> None:
        super().__init__(
            f"{actor} has crashed on {message_kind} too often and refuses it: {_when(retry_at)}.",
            actor=actor,
            retry_at=retry_at,
        )


class AskCycle(ActorError):
    """The asked actor is itself waiting for the one that asks."""

    why = "cycle"

    def __init__(self, actor: str, chain: Iterable[str]) -> None:
        path = " -> ".join([*chain, actor])
        super().__init__(f"ask cycle: {path}. Tell instead of asking.", actor=actor)


class NoReply(ActorError):
    """No reply can come this way."""

    why = "no reply"

    def __init__(self, actor: str, message_kind: str, what_to_do: str) -> None:
        super().__init__(
            f"{actor} did not answer {message_kind} in its turn: {what_to_do}.", actor=actor
        )


class DeadlineExceeded(ActorError):
    """No reply by `deadline_s`. A later one is dropped."""

    why = "deadline"

    def __init__(self, actor: str, deadline_s: float) -> None:
        super().__init__(
            f"{actor} did not answer by t={deadline_s:.3f} s. Allow more time, or shed the work.",
            actor=actor,
        )


class MailboxFull(ActorError, Overloaded):
    """The actor is not keeping up. The message was not accepted; nothing changed."""

    why = "full"

    def __init__(self, actor: str, capacity: int, retry_at: float | None) -> None:
        super().__init__(
            f"{actor}: mailbox is full ({capacity} messages waiting). "
            "Shed this request, or raise `mailbox_capacity` if the burst is expected.",
            actor=actor,
            retry_at=retry_at,
        )
