"""Answers and pieces of answers as Hypothesis draws them."""

from __future__ import annotations

from itertools import pairwise

import msgspec
from hypothesis import strategies as st

from understudy_actors.domain.delta import Delta, TextDelta, ToolCallDelta
from understudy_actors.domain.request import ToolCall
from understudy_actors.domain.result import ChatOutput, Result, Usage

TEXTS = st.text(min_size=1, max_size=30)
NAMES = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
ARGUMENTS = st.dictionaries(NAMES, st.one_of(TEXTS, st.integers(-9, 9)), max_size=3)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Counts in which the parts are no more than the whole."""
    given, made = draw(st.integers(0, 9_999)), draw(st.integers(0, 9_999))
    return Usage(given, made, draw(st.integers(0, given)), draw(st.integers(0, made)))


@st.composite
def outputs(draw: st.DrawFn) -> ChatOutput:
    """Text, calls, or both, ended in a way that fits."""
    calls = tuple(
        ToolCall(f"call_{index}", draw(NAMES), msgspec.json.encode(draw(ARGUMENTS)).decode())
        for index in range(draw(st.integers(0, 3)))
    )
    text = draw(TEXTS if not calls else st.one_of(st.just(""), TEXTS))
    finish = "tool_calls" if calls else draw(st.sampled_from(["stop", "length"]))
    return ChatOutput(text, finish, calls)


@st.composite
def deltas_of(draw: st.DrawFn, output: ChatOutput) -> list[Delta]:
    """The same answer in pieces."""
    pieces: list[Delta] = [TextDelta(each) for each in _cut(draw, output.text)]
    for index, call in enumerate(output.tool_calls):
        first, *rest = _cut(draw, call.arguments) or [""]
        pieces.append(ToolCallDelta(index, first, call.id, call.name))
        pieces += [ToolCallDelta(index, each) for each in rest]
    return pieces


def _cut(draw: st.DrawFn, text: str) -> list[str]:
    places = sorted(draw(st.sets(st.integers(0, len(text)), max_size=4)) | {0, len(text)})
    return [text[a:b] for a, b in pairwise(places)]


USAGE = Usage(12, 5)


def result(output: object, usage: Usage = USAGE, model: str = "big-1") -> Result:
    """An answer as an engine gives it."""
    return Result(
        output=output,
        provider="alpha",
        model=model,
        request_id="r1",
        elapsed_s=0.5,
        cost_usd=0.25,
        usage=usage,
    )
