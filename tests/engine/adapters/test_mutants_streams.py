"""The tests of streams have teeth: faults planted in parser and readers are noticed."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
from hypothesis.errors import FlakyFailure

from tests.engine.adapters.test_sse import check_any_chunking, check_bounded
from tests.engine.adapters.test_streams import body_of
from tests.engine.adapters.wire import WALL_S, target
from tests.support.mutants import Mutant
from understudy.adapters import anthropic_stream, openai_stream, sse
from understudy.adapters.streaming import StreamReader
from understudy_actors.domain.errors import ProviderError

SSE = "understudy.adapters.sse"
OPENAI, ANTHROPIC = "understudy.adapters.openai_stream", "understudy.adapters.anthropic_stream"

PARSER = [
    Mutant(
        "LF after a CR at a chunk's end ends another line",
        SSE,
        "self._after_cr = last == _CR",
        "pass",
    ),
    Mutant("BOM stays in the first line", SSE, "line = line.removeprefix(_BOM)", "pass"),
    Mutant("BOM taken off every line", SSE, "            self._fresh = False", "            pass"),
    Mutant(
        "all blanks after the colon go",
        SSE,
        'line[6:] if line[5:6] == b" "',
        'line[6:].lstrip() if line[5:6] == b" "',
    ),
    Mutant("several data lines run together", SSE, 'b"\\n".join(data)', 'b"".join(data)'),
    Mutant(
        "the last event needs its blank line",
        SSE,
        "        self._dispatch(events)\n        return events\n\n",
        "        return events\n\n",
    ),
    Mutant(
        "a name outlives its event",
        SSE,
        'self._name, self._size, self._drop = "", 0, False',
        "self._size, self._drop = 0, False",
    ),
    Mutant("invalid text passes", SSE, "whole if whole.isascii() else _valid(whole)", "whole"),
    Mutant("no bound on a line", SSE, "if self._held > self._max:", "if False:"),
    Mutant("no bound on an event", SSE, "if self._size > self._max:", "if False:"),
    Mutant("an oversized event ends the rest", SSE, '"", 0, False', '"", 0, self._drop'),
]


@pytest.mark.parametrize("mutant", PARSER, ids=str)
def test_a_fault_in_the_parser_is_noticed(mutant: Mutant) -> None:
    assert mutant.caught_by([check_any_chunking, check_bounded], FlakyFailure, ExceptionGroup)


def answered(module: ModuleType, body: bytes) -> object:
    """What a dialect of this module makes of a body."""
    name = "OpenAIEvents" if hasattr(module, "OpenAIEvents") else "AnthropicEvents"
    reader = StreamReader(getattr(module, name)(), target(), {}, WALL_S)
    try:
        deltas = [*reader.feed(body), *reader.close()]
        return deltas, reader.reply(), reader.skipped
    except ProviderError as error:
        return error.kind, error.detail


def chunk(text: str) -> bytes:
    return b'data: {"choices":[' + text.encode() + b"]}\n\n"


DONE = b"data: [DONE]\n\n"
HALF = chunk('{"delta":{"content":"a"},"finish_reason":"%s"}')
READERS: list[tuple[Mutant, bytes]] = [
    (
        Mutant(
            "a later choice is mixed in", OPENAI, '.get("index", 0) == 0', '.get("index", 0) >= 0'
        ),
        chunk('{"index":1,"delta":{"content":"b"}}') + HALF.replace(b"%s", b"stop"),
    ),
    (
        Mutant(
            "an error within the stream is overlooked", OPENAI, 'or bool(document.get("error"))', ""
        ),
        body_of("openai.chat.stream-error"),
    ),
    (
        Mutant(
            "an error by its event's name is overlooked", OPENAI, 'event.name == "error" or ', ""
        ),
        b'event: error\ndata: {"message":"no"}\n\n' + HALF.replace(b"%s", b"stop") + DONE,
    ),
    (
        Mutant(
            "a stream that gave up counts as whole",
            OPENAI,
            "failed := FINISH_FAILURES.get(word)",
            "failed := None",
        ),
        HALF.replace(b"%s", b"error") + DONE,
    ),
    (
        Mutant(
            "a refusal is passed on as an answer",
            OPENAI,
            'refusal := delta.get("refusal")',
            "refusal := None",
        ),
        chunk('{"delta":{"refusal":"I cannot."}}') + HALF.replace(b"%s", b"stop") + DONE,
    ),
    (
        Mutant(
            "pieces of several calls are mixed",
            OPENAI,
            "index = position if index is None else index",
            "index = position",
        ),
        chunk('{"delta":{"tool_calls":[{"index":0,"function":{"name":"a","arguments":"{}"}}]}}')
        + chunk('{"delta":{"tool_calls":[{"index":1,"function":{"name":"b","arguments":"{}"}}]}}')
        + chunk('{"delta":{},"finish_reason":"tool_calls"}'),
    ),
    (
        Mutant(
            "token counts of Groq are overlooked",
            OPENAI,
            'own = document.get("x_groq")',
            "own = None",
        ),
        HALF.replace(b"%s", b"stop")
        + b'data: {"choices":[],"x_groq":{"usage":{"prompt_tokens":1,"completion_tokens":2}}}\n\n',
    ),
    (
        Mutant(
            "tools are counted as blocks",
            ANTHROPIC,
            "block_number, index = _block(document), len(self._calls)",
            "block_number = index = _block(document)",
        ),
        body_of("anthropic.messages.stream-tools"),
    ),
    (
        Mutant(
            "token counts replace each other whole",
            ANTHROPIC,
            "self._usage.update(",
            "self._usage = dict(",
        ),
        body_of("anthropic.messages.stream")
        .replace(b'"usage":{"input_tokens":12,', b'"usage":{', 2)
        .replace(b'"usage":{', b'"usage":{"input_tokens":12,', 1),
    ),
    (
        Mutant(
            "an error event is overlooked",
            ANTHROPIC,
            'event.name == "error" or document.get("type") == "error"',
            "False",
        ),
        b'event: error\ndata: {"type":"error"}\n\n' + body_of("anthropic.messages.stream"),
    ),
    (
        Mutant(
            "a refusal ends like an answer", ANTHROPIC, 'reason == "refusal" and empty', "False"
        ),
        b'data: {"type":"message_delta","delta":{"stop_reason":"refusal",'
        b'"stop_details":{"explanation":"No."}}}\n\n',
    ),
]


@pytest.mark.parametrize(("mutant", "body"), READERS, ids=[str(m) for m, _ in READERS])
def test_a_fault_in_a_reader_is_noticed(mutant: Mutant, body: bytes) -> None:
    real: dict[str, ModuleType] = {OPENAI: openai_stream, ANTHROPIC: anthropic_stream}

    def law(module: ModuleType) -> None:
        assert answered(module, body) == answered(real[mutant.module], body)

    laws: list[Callable[[ModuleType], object]] = [law]
    assert mutant.caught_by(laws, Exception)


def test_the_real_parser_keeps_its_laws() -> None:
    check_any_chunking(sse)
    check_bounded(sse)
