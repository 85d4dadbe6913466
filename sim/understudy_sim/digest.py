"""Events as lines of JSON, and a running digest over these lines.

A line holds integers, booleans and short strings (and lists and maps of them), so that equal runs
give equal bytes everywhere: `at_s` becomes `at_us`, every `..._s` becomes `..._us`, any other float
field `x` becomes `x_micro`, all in millionths, rounded. What is None, infinite or not a number is
left out. The first keys are `kind`, `seq` and `at_us`.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Iterable
from enum import Enum
from hashlib import blake2b
from itertools import islice
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from understudy_actors.domain.events import Event

CHECKPOINT_EVERY: Final = 4096
"""Events between two checkpoints of the running digest."""
MICRO: Final = 1_000_000

_encode_lines: Final = msgspec.json.Encoder().encode_lines


class Summary(Struct, frozen=True):
    """The digest of a finished run.

    Attributes:
        events: How many there were.
        semantic: 32 hex digits over all lines.
        checkpoints: The same over the first 4096 lines, the first 8192, and so on.
    """

    events: int
    semantic: str
    checkpoints: tuple[str, ...]


class Form(Struct, frozen=True):
    """How events of one type are written.

    Attributes:
        event: The type.
        line: Its twin with integers for floats, a sequence number, and everything optional.
        floats: Positions of the floats among the event's fields.
    """

    event: type[Event]
    line: type[Struct]
    floats: tuple[int, ...]


class Digest:
    """A listener that digests events: `trace.listen(digest.add)`.

    Events are converted in blocks, which costs a fraction of doing it one by one.
    """

    def __init__(self, sink: Callable[[bytes], object] | None = None) -> None:
        """`sink` is given the lines, a block at a time."""
        self._sink = sink
        self._hash = blake2b(digest_size=16)
        self._events = 0
        self._checkpoints: list[str] = []
        self._block: list[tuple[int, Event]] = []

    def add(self, seq: int, event: Event) -> None:
        """Take in one event."""
        self._block.append((seq, event))
        if len(self._block) == CHECKPOINT_EVERY:
            self._digest_block()

    def add_all(self, events: Iterable[tuple[int, Event]]) -> None:
        """Take in events that are there already: cheaper than one by one."""
        following = iter(events)
        while block := list(islice(following, CHECKPOINT_EVERY - len(self._block))):
            self._block += block
            if len(self._block) == CHECKPOINT_EVERY:
                self._digest_block()

    def finish(self) -> Summary:
        """Digest what is left. Adding more afterwards would misplace the checkpoints."""
        if self._block:
            self._digest_block()
        return Summary(self._events, self._hash.hexdigest(), tuple(self._checkpoints))

    def _digest_block(self) -> None:
        lines = encode(self._block)
        self._hash.update(lines)
        self._events += len(self._block)
        if len(self._block) == CHECKPOINT_EVERY:
            self._checkpoints.append(self._hash.hexdigest())
        self._block.clear()
        if self._sink is not None:
            self._sink(lines)


def digest(events: Iterable[tuple[int, Event]]) -> Summary:
    """Digest the events of a run."""
    running = Digest()
    running.add_all(events)
    return running.finish()


def encode(events: Iterable[tuple[int, Event]]) -> bytes:
    """The lines of these events, each ended by a newline."""
    forms, values_of, lines = _forms, msgspec.structs.astuple, list[Struct]()
    for seq, event in events:  # a simulation spends a tenth of its time here
        form = forms.get(type(event)) or form_of(type(event))
        row = list(values_of(event))
        for at in form.floats:
            if (value := row[at]) is not None:
                try:
                    row[at] = round(value * MICRO)
                except (OverflowError, ValueError):
                    row[at] = None  # infinite, or not a number
        lines.append(form.line(seq, *row))
    return _encode_lines(lines)


_forms: Final[dict[type[Event], Form]] = {}


def form_of(kind: type[Event]) -> Form:
    """How events of this type are written.

    Raises:
        TypeError: A field holds something that has no place in a trace.
    """
    if kind not in _forms:
        _forms[kind] = _form(kind)
    return _forms[kind]


def _form(kind: type[Event]) -> Form:
    fields = msgspec.structs.fields(kind)
    floats = tuple(at for at, field in enumerate(fields) if _is_float(kind, field))
    line: list[tuple[str, Any] | tuple[str, Any, Any]] = [("seq", int)]
    for at, field in enumerate(fields):
        if at in floats:
            line.append((_micro_name(field.name), int | None, None))
        else:
            line.append((field.name, field.type | None, None))
    config = kind.__struct_config__
    twin = msgspec.defstruct(
        f"{kind.__name__}Line",
        line,
        tag=config.tag,
        tag_field=config.tag_field,
        omit_defaults=True,
        frozen=True,
        gc=False,
    )
    return Form(kind, twin, floats)


def _is_float(kind: type[Event], field: msgspec.structs.FieldInfo) -> bool:
    """Whether a field becomes an integer; what has no place in a trace is refused."""
    found = _leaves(field.type)
    single = {float, int, type(None)} >= found and not _holds_many(field.type)
    if float in found and single:
        return True
    if unfit := found - {int, bool, str, type(None)}:
        names = ", ".join(sorted(each.__name__ for each in unfit))
        raise TypeError(
            f"{kind.__name__}.{field.name} holds {names}: an event carries integers, booleans and "
            "short strings, lists and maps of these, and floats as fields of their own"
        )
    return False


def _micro_name(name: str) -> str:
    return f"{name[:-2]}_us" if name.endswith("_s") else f"{name}_micro"


def _leaves(annotation: Any) -> set[type]:
    """The types of the single values in such a field."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return {type(value) for value in inner}
    if origin in (types.UnionType, typing.Union, tuple, list, dict):
        return set().union(*(_leaves(each) for each in inner if each is not Ellipsis))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return {type(member.value) for member in annotation}
    return {annotation}


def _holds_many(annotation: Any) -> bool:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    return origin in (tuple, list, dict) or any(_holds_many(each) for each in inner)


def restore(line: Struct, form: Form) -> Event:
    """The event that was written as this line, its times exact to the microsecond.

    A number that was left out though the event needs one comes back as infinity.
    """
    _, *row = msgspec.structs.astuple(line)
    fields = msgspec.structs.fields(form.event)
    for at in form.floats:
        if row[at] is not None:
            row[at] = row[at] / MICRO
        elif fields[at].required:
            row[at] = math.inf
    names = (field.name for field in fields)
    return form.event(**dict(zip(names, row, strict=True)))
