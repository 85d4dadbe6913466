"""What a caller asked for, read from any of the formats."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, Protocol, TypeVar

import msgspec
from msgspec import Struct

from understudy.gateway.contract.entry import Entry
from understudy.gateway.problem import Problem, Refused
from understudy_actors.domain.delta import Delta
from understudy_actors.domain.request import Request
from understudy_actors.domain.result import Result

ANY_MODEL: Final = "auto"
"""The model to name if any will do."""

_T = TypeVar("_T")


class Asked(Struct, frozen=True, kw_only=True):
    """One request.

    Attributes:
        request: As the engine takes it.
        model: As the caller named it.
        stream: Is the answer to come piece by piece?
        include_usage: Are token counts to come at a stream's end?
        base64: Are vectors to come as base64?
        overrides: The body's own table of conditions, as read from JSON.
        shown: What the answer repeats of the request.
    """

    request: Request
    model: str
    stream: bool = False
    include_usage: bool = False
    base64: bool = False
    overrides: Any = None
    shown: dict[str, Any] = {}


class Frames(Protocol):
    """Turns one streamed answer into the events of a format; made anew for each answer."""

    def begin(self, model: str) -> bytes:
        """Before the first piece."""
        ...

    def piece(self, delta: Delta) -> bytes:
        """A piece; empty bytes if this format says nothing of it."""
        ...

    def end(self, result: Result) -> bytes:
        """The answer is whole."""
        ...

    def fail(self, problem: Problem) -> bytes:
        """It ends without being whole."""
        ...


class Wire(Protocol):
    """One format in which callers speak to this gateway."""

    @property
    def operation(self) -> str:
        """What its requests ask for."""
        ...

    @property
    def entry(self) -> Entry:
        """What callers may expect of it."""
        ...

    def read(self, body: Any) -> Asked:
        """What a caller's body asks for.

        Raises:
            Refused: It is none of this format, or asks for what nobody here can do.
        """
        ...

    def answer(self, asked: Asked, result: Result, created: int) -> Any:
        """The whole answer, as JSON; `created` in Unix seconds."""
        ...

    def frames(self, asked: Asked, request_id: str, created: int) -> Frames | None:
        """What writes a streamed answer; None if this format has none."""
        ...

    def error(self, problem: Problem) -> Any:
        """The body of an answer with an error status."""
        ...


def converted(body: Any, form: type[_T], *, texts: bool = False) -> _T:
    """A caller's JSON as a `form`; with `texts`, numbers and truths may come as texts.

    Raises:
        Refused: It does not fit; the message names the place, and nothing of the prompt.
    """
    try:
        return msgspec.convert(body, form, strict=not texts)
    except msgspec.ValidationError as error:
        why, _, place = str(error).partition(" - at `")
        param = place.rstrip("`").removeprefix("$").lstrip(".") or None
        raise Refused(f"{param or 'the body'}: {_public(why)}", param=param) from None


def _public(why: str) -> str:
    """Without the value that was given, which may be somebody's words."""
    for shows in ("Invalid enum value", "Invalid value"):
        if why.startswith(shows):
            return "this is none of the values that are known here"
    return why.lower()[:1] + why[1:] if why.startswith(("Expected", "Object")) else "it is invalid"


def others(body: dict[str, Any], form: type[Struct], refused: Collection[str]) -> dict[str, Any]:
    """The optional fields of a body that this gateway has no word for; its targets may.

    Raises:
        Refused: One of them changes the answer into something that could not be passed on.
    """
    known = set(form.__struct_encode_fields__)
    found = {name: value for name, value in body.items() if name not in known and value is not None}
    for name in found:
        if name in refused and found[name] is not False:
            raise Refused(f"{name} is not supported by this gateway: leave it out", param=name)
    return found


def model_of(name: str) -> str | None:
    """The model that the engine is asked for: None if any will do."""
    return None if name == ANY_MODEL else name
