"""The keeper: knows what is to be written, and who waits until it is.

It writes nothing itself. A task outside asks it for a batch, writes that, and tells how it went.
Its outbox outlives it, as the books outlive the ledger's actor: a batch is never put together
twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from msgspec import Struct

from understudy_actors.domain.store_events import StoreFailing, StoreKept, StoreWorking
from understudy_actors.keeper.batch import Batch
from understudy_actors.keeper.outbox import Outbox, Source
from understudy_actors.runtime.actor import LATER, Context, Later
from understudy_actors.runtime.reply import Reply


class Gather(Struct, frozen=True):
    """What is to be written now? Answer: a `Batch`, or None."""


class Kept(Struct, frozen=True):
    """The batch of that number is written."""

    number: int


class Failed(Struct, frozen=True):
    """A batch may not have been written."""

    why: str


class WhenKept(Struct, frozen=True):
    """Answers, with True, once all that happened until now is kept."""


class Tell(Struct, frozen=True):
    """Answers the `Outbox`, to be read in the same turn."""


@attrs.define(eq=False, slots=True)
class Desk:
    """What the keeper shares with the task that writes, and with those who lend money.

    Attributes:
        durability: `batched` or `strict`.
        failing: Why the store cannot be written; None if it can.
        stir: Wakes the task when there is something to write.
        hurry: Wakes it when somebody waits for that.
    """

    durability: str
    failing: str | None = None
    stir: Callable[[], None] = lambda: None
    hurry: Callable[[], None] = lambda: None

    def stirred(self) -> None:
        """Something changed that is to be kept."""
        self.stir()

    def hurried(self) -> None:
        """Something changed that is to be kept at once."""
        self.hurry()


class Keeper:
    """Gathers batches, and answers those who wait for them."""

    def __init__(
        self, context: Context, outbox: Outbox, sources: Sequence[Source], desk: Desk
    ) -> None:
        """Build it, around the outbox of the last incarnation if there was one."""
        self._context = context
        self._outbox = outbox
        self._sources = sources
        self._desk = desk
        self._asked: list[Reply] = []  # since the batch on its way was gathered
        self._riding: list[Reply] = []  # for the batch on its way
        self._turns: dict[type, Callable[[Any], Any]] = {
            Gather: self._gather,
            Kept: self._kept,
            Failed: self._failed,
            WhenKept: self._when_kept,
            Tell: self._tell,
        }
        context.save(outbox)

    def receive(self, message: Any) -> Any:
        """One turn."""
        return self._turns[type(message)](message)

    def _gather(self, _message: Gather) -> Batch | None:
        outbox = self._outbox
        anew = outbox.batch is None
        batch = outbox.gather(self._sources, self._context.now(), self._context.wall())
        if anew and outbox.whole:
            self._riding, self._asked = self._asked, []
            if batch is None:
                self._answer()
        return batch

    def _kept(self, message: Kept) -> None:
        outbox = self._outbox
        since = outbox.failing_since
        batch = outbox.kept(message.number)
        if batch is None:
            return
        for each in self._sources:
            each.kept()
        self._answer()
        self._desk.failing = None
        if self._asked:
            self._desk.hurry()
        self._tell_kept(batch, since)

    def _failed(self, message: Failed) -> None:
        now = self._context.now()
        news = self._outbox.failed(message.why, now)
        self._desk.failing = message.why
        if news and self._context.trace.on:
            durability = self._desk.durability
            self._context.trace.emit(StoreFailing(at_s=now, why=message.why, durability=durability))

    def _when_kept(self, _message: WhenKept) -> Later:
        self._asked.append(self._context.reply())
        self._desk.hurry()
        return LATER

    def _tell(self, _message: Tell) -> Outbox:
        return self._outbox

    def _answer(self) -> None:
        riding, self._riding = self._riding, []
        for each in riding:
            each.send(True)

    def _tell_kept(self, batch: Batch, since: float | None) -> None:
        trace, now = self._context.trace, self._context.now()
        if trace.fine:
            trace.emit_fine(
                StoreKept(
                    at_s=now,
                    batch=batch.number,
                    states=len(batch.states),
                    entries=len(batch.journal),
                    gathered_at_s=self._outbox.kept_at or now,
                )
            )
        if since is not None and trace.on:
            trace.emit(StoreWorking(at_s=now, after_s=now - since))
