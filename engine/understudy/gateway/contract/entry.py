"""What is said of one path to those who call it."""

from __future__ import annotations

import enum
from typing import Any, Final

from msgspec import Struct

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"

REFUSALS: Final = (400, 401, 402, 403, 404, 408, 413, 429, 500, 502, 503, 504)
"""Statuses of requests to models that are not answered; see `problem`."""


class Door(enum.Enum):
    """Who may come in."""

    OPEN = "open"  # everybody
    CALLER = "caller"  # callers; everybody if there are no keys for callers
    VISITOR = "visitor"  # callers and operators; everybody if there are no keys for callers
    ADMIN = "admin"  # operators


class Dialect(enum.Enum):
    """In whose words errors are told."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    EITHER = "either"  # Anthropic's for whoever sends `anthropic-version`


class Parameter(Struct, frozen=True):
    """Something in the address: `place` is `path` or `query`; `schema` is a JSON schema."""

    name: str
    place: str
    schema: dict[str, Any]
    says: str = ""


class Entry(Struct, frozen=True, kw_only=True):
    """One path and method.

    Attributes:
        summary: One line: what it is for.
        name: What the names of its schemas begin with, where they are its own.
        tag: Under which heading it stands.
        body: The type of the body that it takes; None if it takes none.
        form: Is the body a form with files?
        answers: The types of good answers, of which each is one of these; none says that the
            answer is no JSON.
        media: The media type of good answers.
        good: The statuses of good answers.
        events: The types of what the events of a stream hold; none says that it has no streams.
        mark: What the last event of a stream holds, if that is no JSON.
        refusals: The statuses of errors.
        routed: Does it go to models, so that requests carry conditions and answers say who served?
        door: Who may come in.
        dialect: In whose words errors are told.
        parameters: What stands in its address.
    """

    summary: str
    tag: str
    name: str = ""
    body: Any = None
    form: bool = False
    answers: tuple[Any, ...] = ()
    media: str = JSON
    good: tuple[int, ...] = (200,)
    events: tuple[Any, ...] = ()
    mark: str | None = None
    refusals: tuple[int, ...] = REFUSALS
    routed: bool = True
    door: Door = Door.CALLER
    dialect: Dialect = Dialect.OPENAI
    parameters: tuple[Parameter, ...] = ()
