"""What a caller has got of an answer: it cannot be taken back, and must not be repeated."""

from __future__ import annotations

from understudy_actors.dispatcher.flight import Flight
from understudy_actors.domain.delta import TextDelta, ToolCallDelta
from understudy_actors.domain.errors import StreamBroken, UnderstudyError


class Delivered:
    """The text that was delivered, and the function calls of which something was.

    Attributes:
        chars: Characters of text.
        calls: Indexes of the function calls.
    """

    __slots__ = ("_texts", "calls", "chars")

    def __init__(self) -> None:
        self._texts: list[str] = []
        self.chars = 0
        self.calls: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self.chars or self.calls)

    @property
    def text(self) -> str:
        """All of the text."""
        if len(self._texts) > 1:
            self._texts = ["".join(self._texts)]
        return self._texts[0] if self._texts else ""

    def add(self, delta: TextDelta | ToolCallDelta) -> None:
        """A piece goes to the caller."""
        if isinstance(delta, TextDelta):
            self._texts.append(delta.text)
            self.chars += len(delta.text)
        else:
            self.calls.add(delta.index)

    def broken(
        self, flight: Flight, error: UnderstudyError, why: str | None = None
    ) -> StreamBroken:
        """The error for an answer that broke off: how much was delivered, and why no more was."""
        calls = f" and {len(self.calls)} function calls" if self.calls else ""
        told = str(error) if why is None else f"{why}: {error}"
        return StreamBroken(
            f"the answer broke off after {self.chars} characters{calls} were delivered: {told} "
            "What was delivered is exact, and not the whole answer. Ask again for a whole one.",
            delivered_chars=self.chars,
            delivered_calls=len(self.calls),
            retry_at=error.retry_at,
            retry_after_s=error.retry_after_s,
            attempts=flight.attempts,
            reasons=error.reasons,
            request_id=flight.id,
        )
