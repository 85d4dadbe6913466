"""What threads iterate over: streamed answers and events. What has arrived crosses in one hop."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Any, Self

from understudy.bridges.threadrun import ThreadRun
from understudy.listening import EventStream
from understudy.streaming.stream import ChatStream
from understudy_actors.domain.delta import Delta, TextDelta
from understudy_actors.domain.errors import ShuttingDown
from understudy_actors.domain.events import Event
from understudy_actors.domain.result import Result


class BlockingStream:
    """A `ChatStream` for one thread: `with engine.stream(request) as stream`, then iterate over it.

    Entering the block waits until somebody has begun to answer; leaving it early gives everything
    up at once. What it raises, and when, is what `ChatStream` does.
    """

    def __init__(self, run: ThreadRun[Any], stream: ChatStream) -> None:
        self._run = run
        self._stream = stream
        self._taken: deque[Delta] = deque()
        self._text: list[str] = []

    @property
    def request_id(self) -> str:
        """Ties together every log line of the request; empty before the block is entered."""
        return self._stream.request_id

    @property
    def provider(self) -> str:
        """Who is answering now; empty if nobody is."""
        return self._run.do(lambda: self._stream.provider)

    @property
    def model(self) -> str:
        """Which model is answering now; empty if none is."""
        return self._run.do(lambda: self._stream.model)

    @property
    def text(self) -> str:
        """The text that was delivered so far."""
        return "".join(self._text)

    @property
    def skipped(self) -> int:
        """Events of the providers' streams that could not be read and were left out."""
        return self._run.do(lambda: self._stream.skipped)

    def result(self) -> Result:
        """The whole answer with its cost and attempts, once the last piece was delivered.

        Raises:
            UnderstudyError: How the stream ended, if that was no good end.
            RuntimeError: It is not over yet.
        """
        if self._taken:
            raise RuntimeError("the stream is not over: iterate over it to its end first")
        return self._stream.result()

    def __enter__(self) -> Self:
        entered = bool(self.request_id)
        try:
            self._run.run(self._enter)
        except BaseException:
            if self.request_id and not entered:
                self._let_go()  # it may have opened, and nobody will leave it
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._let_go()

    def _let_go(self) -> None:
        self._taken.clear()
        try:
            self._run.run(self._stream.__aexit__, None, None, None)
        except ShuttingDown:
            return  # the engine's end has ended the stream as well

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Delta:
        """The next piece; see `ChatStream`."""
        if not self._taken:
            self._run.run(self._take)
            if not self._taken:
                raise StopIteration
        delta = self._taken.popleft()
        if isinstance(delta, TextDelta):
            self._text.append(delta.text)
        return delta

    # On the side of trio

    async def _enter(self) -> None:
        await self._stream.__aenter__()

    async def _take(self) -> None:
        """All that has arrived; wait for something, if nothing has."""
        async for delta in self._stream:
            self._taken.append(delta)
            if not self._stream.waiting:
                return


class BlockingEvents:
    """An `EventStream` for one thread: iterate over it, and close it."""

    def __init__(self, run: ThreadRun[Any], stream: EventStream) -> None:
        self._run = run
        self._stream = stream
        self._taken: deque[Event] = deque()

    @property
    def dropped(self) -> int:
        """Events that the reader was too slow for."""
        return self._stream.dropped

    def close(self) -> None:
        """Listen no more; the iteration ends after what has arrived."""
        try:
            self._run.do(self._stream.close)
        except ShuttingDown:
            return  # its end has closed it

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        if not self._taken:
            try:
                self._run.run(self._take)
            except ShuttingDown:
                self._taken.extend(self._stream.take())  # the last ones
            if not self._taken:
                raise StopIteration
        return self._taken.popleft()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def _take(self) -> None:
        async for event in self._stream:
            self._taken.append(event)
            self._taken.extend(self._stream.take())
            return
