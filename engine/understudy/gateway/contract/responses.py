"""Answers in OpenAI's format of responses, whole and streamed."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

Status = Literal["in_progress", "completed", "incomplete", "failed"]


class OutputText(Struct):
    """Words."""

    type: Literal["output_text"]
    text: str
    annotations: list[Any]
    logprobs: list[Any]


class OutputMessage(Struct, tag_field="type", tag="message"):
    """What is said."""

    id: str
    status: Literal["in_progress", "completed"]
    role: Literal["assistant"]
    content: list[OutputText]


class OutputCall(Struct, tag_field="type", tag="function_call"):
    """A call that the model wants made."""

    id: str
    status: Literal["completed"]
    call_id: str
    name: str
    arguments: str


class InputDetails(Struct):
    """Of the prompt."""

    cached_tokens: int
    cache_write_tokens: int


class OutputDetails(Struct):
    """Of the answer."""

    reasoning_tokens: int


class ResponseUsage(Struct):
    """Token counts."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class ResponseFault(Struct):
    """What happened."""

    code: Literal["invalid_prompt", "rate_limit_exceeded", "server_error"]
    message: str


class Incomplete(Struct):
    """Why it was cut."""

    reason: Literal["max_output_tokens", "content_filter"]


class Reasoning(Struct):
    """Nothing is said of it."""

    effort: None
    summary: None


class Response(Struct):
    """An answer as it stands; fields that repeat the request are as the request had them."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Status
    background: bool
    error: ResponseFault | None
    incomplete_details: Incomplete | None
    model: str
    output: list[OutputMessage | OutputCall]
    previous_response_id: None
    reasoning: Reasoning
    store: bool
    instructions: str | None
    max_output_tokens: int | None
    metadata: dict[str, str]
    parallel_tool_calls: bool
    temperature: float | None
    text: dict[str, Any]
    tool_choice: str | dict[str, Any]
    tools: list[dict[str, Any]]
    top_p: float | None
    truncation: str
    usage: ResponseUsage | UnsetType = UNSET


class _Numbered(Struct):
    sequence_number: int


class Created(_Numbered, tag_field="type", tag="response.created"):
    """The beginning."""

    response: Response


class InProgress(_Numbered, tag_field="type", tag="response.in_progress"):
    """It is being made."""

    response: Response


class Completed(_Numbered, tag_field="type", tag="response.completed"):
    """The whole answer."""

    response: Response


class Cut(_Numbered, tag_field="type", tag="response.incomplete"):
    """The whole of an answer that was cut."""

    response: Response


class Failed(_Numbered, tag_field="type", tag="response.failed"):
    """It ends without being whole."""

    response: Response


class ItemAdded(_Numbered, tag_field="type", tag="response.output_item.added"):
    """An item begins."""

    output_index: int
    item: OutputMessage | OutputCall


class ItemDone(_Numbered, tag_field="type", tag="response.output_item.done"):
    """An item is whole."""

    output_index: int
    item: OutputMessage | OutputCall


class _Placed(_Numbered):
    item_id: str
    output_index: int
    content_index: int


class PartAdded(_Placed, tag_field="type", tag="response.content_part.added"):
    """Words begin."""

    part: OutputText


class PartDone(_Placed, tag_field="type", tag="response.content_part.done"):
    """Words are whole."""

    part: OutputText


class TextDelta(_Placed, tag_field="type", tag="response.output_text.delta"):
    """More words."""

    delta: str
    logprobs: list[Any]


class TextDone(_Placed, tag_field="type", tag="response.output_text.done"):
    """All words."""

    text: str
    logprobs: list[Any]


class ArgumentsDelta(_Numbered, tag_field="type", tag="response.function_call_arguments.delta"):
    """More of the arguments, as JSON text."""

    item_id: str
    output_index: int
    delta: str


class ArgumentsDone(_Numbered, tag_field="type", tag="response.function_call_arguments.done"):
    """All of the arguments."""

    item_id: str
    output_index: int
    name: str
    arguments: str


EVENTS = (
    *(Created, InProgress, Completed, Cut, Failed, ItemAdded, ItemDone, PartAdded, PartDone),
    *(TextDelta, TextDone, ArgumentsDelta, ArgumentsDone),
)
"""What streams hold; each has its `type` as the event's name as well."""
