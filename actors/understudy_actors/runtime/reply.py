"""The reply slot of one ask: closed once, by whatever comes first.

    open ──send──▶ answered
         ──fail, close──▶ failed        (target died, deadline passed)
         ──cancel──▶ nobody waits       (the asker left)

Law: `send` returns True exactly when the asker gets the value. An answer that lends something
(a permit, a slot) can therefore be taken back at once when nobody received it.
"""

from __future__ import annotations

from typing import Any

import trio


class Debts:
    """The replies that one actor owes, and how many of its replies reached nobody."""

    __slots__ = ("dropped", "owed")

    def __init__(self) -> None:
        self.dropped = 0
        self.owed: dict[Reply, None] = {}  # in the order of asking; a set would not be


class Reply:
    """A one-shot slot for the answer to one ask.

    Attributes:
        open: Somebody waits and nothing has come yet.
        taken: An actor holds the slot and may answer later.
        left: Its asker was cancelled.
    """

    __slots__ = ("_debts", "_error", "_task", "_value", "left", "open", "taken")

    def __init__(self, debts: Debts, *, open: bool = True) -> None:  # noqa: A002
        self._debts = debts
        self._value: Any = None
        self._error: Exception | None = None
        self._task: trio.lowlevel.Task | None = None
        self.open = open
        self.taken = False
        self.left = False

    @property
    def how(self) -> str:
        """How it was closed: `answered`, `left`, or the name of the error."""
        return "left" if self.left else type(self._error).__name__ if self._error else "answered"

    def send(self, value: Any) -> bool:
        """Answer. False if nobody waits any more: the value was dropped, and counted."""
        if self.open:
            self._value = value
            self._finish()
            return True
        self._debts.dropped += 1
        return False

    def fail(self, error: Exception) -> bool:
        """Answer with an error that the ask raises. False as for `send`."""
        if self.close(error):
            return True
        self._debts.dropped += 1
        return False

    def close(self, error: Exception) -> bool:
        """As `fail`, but for the runtime: nothing is counted when the slot is closed already."""
        if not self.open:
            return False
        self._error = error
        self._finish()
        return True

    def result(self) -> Any:
        """What the slot was closed with. Raises what it failed with."""
        if self._error is not None:
            raise self._error
        return self._value

    async def wait(self) -> None:
        """Wait until the slot is closed; being cancelled closes it."""
        if self.open:
            # Not an Event: between its `set` and the waking of the waiter a cancellation could
            # still win, and a value that was sent would reach nobody.
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abandon)

    def _abandon(self, _raise_cancel: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
        self._task = None
        self.left = True
        self._finish()
        return trio.lowlevel.Abort.SUCCEEDED

    def _finish(self) -> None:
        self.open = False
        self._debts.owed.pop(self, None)
        if self._task is not None:
            task, self._task = self._task, None
            trio.lowlevel.reschedule(task)
