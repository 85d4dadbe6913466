"""Events of the OpenAI-compatible wire: `chat.completion.chunk` objects, then `[DONE]`.

Servers differ in where they put the token counts: on a chunk of their own, beside the finish
reason, under `x_groq`, or on every chunk. The latest that is not null counts.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from understudy.adapters.body import Unusable, is_object, need_object
from understudy.adapters.classify import Rules
from understudy.adapters.openai_replies import FINISH, FINISH_FAILURES, chat_usage, content_text
from understudy.adapters.openai_rules import OPENAI_RULES
from understudy.adapters.sse import SseEvent
from understudy.adapters.streaming import CALLS_MAX, Draft
from understudy_actors.domain.delta import Delta, ToolCallDelta
from understudy_actors.domain.outcome import ErrorClass

_END: Final = b"[DONE]"
_THOUGHTS: Final = ("reasoning_content", "reasoning", "reasoning_details")


class OpenAIEvents:
    """One streamed chat completion; the first choice of it."""

    rules: Rules = OPENAI_RULES

    def is_error(self, event: SseEvent, document: Any) -> bool:
        """An error object in a chunk, or an event of that name."""
        if not is_object(document):
            return False
        named = event.name == "error" or document.get("object") == "error"
        return named or bool(document.get("error"))

    def is_end(self, event: SseEvent) -> bool:
        """`[DONE]`."""
        return event.data.strip() == _END

    def read(self, document: dict[str, Any], draft: Draft) -> list[Delta]:
        """One chunk; see `Dialect.read`."""
        deltas: list[Delta] = []
        choice = _first(document.get("choices"))
        if choice is not None:
            _choice(choice, draft, deltas)
        elif not is_object(document.get("usage")) and "choices" not in document:
            raise Unusable("it is no chunk of an answer")
        if document.get("usage") or "x_groq" in document:
            own = document.get("x_groq")
            draft.count(
                chat_usage(document) or (chat_usage(own) if is_object(own) else None), deltas
            )
        return deltas


def _first(choices: object) -> dict[str, Any] | None:
    """The choice with index 0, if the chunk has it."""
    if choices is None:
        return None
    if not isinstance(choices, list):
        raise Unusable("choices is no list")
    for choice in choices:
        if need_object(choice, "a choice").get("index", 0) == 0:
            return need_object(choice, "a choice")
    return None


def _choice(choice: dict[str, Any], draft: Draft, deltas: list[Delta]) -> None:
    delta = choice.get("delta")
    delta = {} if delta is None else need_object(delta, "delta")
    word = choice.get("finish_reason")
    if word is not None and not isinstance(word, str):
        raise Unusable("finish_reason is no text")
    text, calls = content_text(delta.get("content")), _calls(delta.get("tool_calls"))
    # From here on nothing can be wrong with the event, so it may change the draft.
    if refusal := delta.get("refusal"):
        words = refusal if isinstance(refusal, str) else ""
        draft.failure = Unusable("the model declined", ErrorClass.CONTENT_POLICY, words=words)
        return
    if any(delta.get(name) for name in _THOUGHTS):
        draft.begun = True
    draft.say(text, deltas)
    for call in calls:
        draft.call(call, deltas)
    if word:
        _finish(word.lower(), draft)


def _finish(word: str, draft: Draft) -> None:
    if (failed := FINISH_FAILURES.get(word)) is not None:
        draft.failure = Unusable("it gave up within the answer", failed)
    else:
        draft.finish = FINISH.get(word, "stop")


def _calls(calls: object) -> list[ToolCallDelta]:
    if calls is None:
        return []
    if not isinstance(calls, list):
        raise Unusable("tool_calls is no list")
    return [_call(need_object(call, "a tool call"), at) for at, call in enumerate(calls)]


def _call(call: dict[str, Any], position: int) -> ToolCallDelta:
    index, function = call.get("index"), call.get("function")
    index = position if index is None else index  # some servers leave it out
    function = {} if function is None else need_object(function, "a function call")
    arguments = function.get("arguments")
    if is_object(arguments):  # some servers send the object itself
        arguments = msgspec.json.encode(arguments).decode()
    if type(index) is not int or not 0 <= index < CALLS_MAX:
        raise Unusable("a tool call has an impossible index")
    if arguments is not None and not isinstance(arguments, str):
        raise Unusable("a piece of a tool call is none")
    return ToolCallDelta(index, arguments or "", _name(call.get("id")), _name(function.get("name")))


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
