"""Reading a streamed answer: a pure machine, bytes in, deltas out, and the whole reply at the end.

A `StreamReader` is the part that all wire formats share; what an event means is its `Dialect`'s to
say. An event that cannot be read is skipped and counted, and the stream goes on. One that says that
the answer failed ends it with the same typed error as a whole answer of that meaning.

When is an answer whole? With its end marker, or with a finish reason before its body ended. A body
that ends with neither was cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

import attrs

from understudy.adapters.base import Reply, Target
from understudy.adapters.body import NOT_JSON, Unusable, decode
from understudy.adapters.classify import Rules
from understudy.adapters.failure import failure, response_failure, unusable
from understudy.adapters.openai_replies import settled_finish
from understudy.adapters.sse import EVENT_BYTES_MAX, SseEvent, SseParser
from understudy.transport.http import HttpResponse
from understudy_actors.domain.delta import Delta, TextDelta, ToolCallDelta, UsageDelta
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import ToolCall
from understudy_actors.domain.result import ChatOutput, Usage

CALLS_MAX: Final = 1000
"""One answer has no more function calls than this; a larger index is a provider's mistake."""


@attrs.define(slots=True, eq=False)
class CallDraft:
    """A function call as far as it has arrived."""

    id: str | None = None
    name: str | None = None
    arguments: list[str] = attrs.Factory(list)


@attrs.define(slots=True, eq=False)
class Draft:
    """An answer as far as it has arrived.

    Attributes:
        texts: Pieces of its text.
        calls: Its function calls by index.
        usage: The latest token counts.
        finish: The finish reason in the core's words.
        begun: Has the model put out anything yet, thoughts included?
        ended: Has the end marker arrived?
        failure: What makes the answer unusable, once that is known.
    """

    texts: list[str] = attrs.Factory(list)
    calls: dict[int, CallDraft] = attrs.Factory(dict)
    usage: Usage | None = None
    finish: str | None = None
    begun: bool = False
    ended: bool = False
    failure: Unusable | None = None

    def say(self, text: str, deltas: list[Delta]) -> None:
        """The answer's text goes on."""
        if text:
            self.begun = True
            self.texts.append(text)
            deltas.append(TextDelta(text))

    def call(self, delta: ToolCallDelta, deltas: list[Delta]) -> None:
        """A function call begins or goes on."""
        draft = self.calls.get(delta.index)
        if draft is None:
            draft = self.calls[delta.index] = CallDraft()
        draft.id = draft.id or delta.id
        draft.name = draft.name or delta.name
        if delta.arguments:
            draft.arguments.append(delta.arguments)
        self.begun = True
        deltas.append(delta)

    def count(self, usage: Usage | None, deltas: list[Delta]) -> None:
        """The provider counted tokens."""
        if usage is not None and usage != self.usage:
            self.usage = usage
            deltas.append(UsageDelta(usage))

    def output(self) -> ChatOutput:
        """The whole answer.

        Raises:
            Unusable: It is none.
        """
        text = "".join(self.texts)
        finish = self.finish or "stop"
        calls = tuple(
            _whole(index, self.calls[index], cut=finish == "length") for index in sorted(self.calls)
        )
        return ChatOutput(text, settled_finish(finish, text, calls), calls)


def _whole(index: int, draft: CallDraft, *, cut: bool) -> ToolCall:
    arguments = "".join(draft.arguments)
    if not draft.name:
        raise Unusable("a function call has no name")
    if not cut and arguments and decode(arguments.encode("utf-8", "replace")) is NOT_JSON:
        raise Unusable("a function's arguments are no JSON")
    return ToolCall(draft.id or f"call_{index}", draft.name, arguments or "{}")


class Parser(Protocol):
    """Bytes in, events out, however the bytes are cut into chunks.

    Attributes:
        oversized: Events that were left out.
    """

    oversized: int

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Take the next bytes; returns the events that they complete."""
        ...

    def close(self) -> list[SseEvent]:
        """The body has ended; returns what was still open."""
        ...


class Dialect(Protocol):
    """What events mean in one wire format. It may remember; each answer has one of its own."""

    rules: Rules

    def is_error(self, event: SseEvent, document: Any) -> bool:
        """Does this event say, in the words of an error body, that the answer failed?"""
        ...

    def is_end(self, event: SseEvent) -> bool:
        """Is this the end marker, and no JSON?"""
        ...

    def read(self, document: dict[str, Any], draft: Draft) -> list[Delta]:
        """Take what the event says into the draft; returns what is to be delivered of it.

        Raises:
            Unusable: The event makes no sense. It has changed nothing.
        """
        ...


class StreamReader:
    """Reads one streamed answer.

    Attributes:
        draft: The answer as far as it has arrived.
    """

    __slots__ = (
        "_dialect",
        "_headers",
        "_id",
        "_parser",
        "_skipped",
        "_target",
        "_wall_s",
        "draft",
    )

    def __init__(
        self,
        dialect: Dialect,
        target: Target,
        headers: Mapping[str, str],
        wall_s: float,
        *,
        request_id: str | None = None,
        event_bytes_max: int = EVENT_BYTES_MAX,
        parser: Parser | None = None,
    ) -> None:
        self.draft = Draft()
        self._dialect = dialect
        self._target = target
        self._headers = headers
        self._wall_s = wall_s
        self._id = request_id
        self._parser: Parser = SseParser(event_bytes_max) if parser is None else parser
        self._skipped = 0

    @property
    def begun(self) -> bool:
        """Has the model put out anything yet, thoughts included?"""
        return self.draft.begun

    @property
    def ended(self) -> bool:
        """Has the end marker arrived?"""
        return self.draft.ended

    @property
    def usage(self) -> Usage | None:
        """The tokens used so far, if the provider has told."""
        return self.draft.usage

    @property
    def skipped(self) -> int:
        """Events that could not be read, and were left out."""
        return self._skipped + self._parser.oversized

    @property
    def whole(self) -> bool:
        """Would the answer be whole if the body ended here?"""
        return self.draft.ended or self.draft.finish is not None

    def feed(self, chunk: bytes) -> list[Delta]:
        """Take the next bytes; returns what they deliver.

        Raises:
            ProviderError: The provider says that the answer failed.
        """
        deltas: list[Delta] = []
        for event in self._parser.feed(chunk):
            self._take(event, deltas)
        return deltas

    def close(self) -> list[Delta]:
        """The body has ended; returns what its end still delivers.

        Raises:
            ProviderError: The provider says that the answer failed.
        """
        deltas: list[Delta] = []
        for event in self._parser.close():
            self._take(event, deltas)
        return deltas

    def reply(self) -> Reply:
        """The whole answer.

        Raises:
            ProviderError: It was cut, or it is no answer.
        """
        if not self.whole:
            raise failure(
                ErrorClass.MALFORMED,
                self._target,
                why="the stream ended before the answer did",
                status=200,
            )
        try:
            return Reply(self.draft.output(), self.draft.usage, self._id)
        except Unusable as problem:
            error = unusable(self._target, 200, problem)
        raise error

    def _take(self, event: SseEvent, deltas: list[Delta]) -> None:
        draft, dialect = self.draft, self._dialect
        if draft.ended:
            return
        if dialect.is_end(event):
            draft.ended = True
            return
        document = decode(event.data)
        if dialect.is_error(event, document):
            response = HttpResponse(200, self._headers, event.data)
            raise response_failure(dialect.rules, self._target, response, self._wall_s)
        if not isinstance(document, dict):
            self._skipped += 1
            return
        try:
            deltas += dialect.read(document, draft)
        except Unusable:
            self._skipped += 1
            return
        if draft.failure is not None:
            raise unusable(self._target, 200, draft.failure)
