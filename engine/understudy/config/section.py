"""What every section of a configuration is: frozen, checked when built, strict about its keys.

A section can be written as a table (in TOML, YAML or JSON), as a dict, or as keywords in code; all
three run through the same checks here, and `"60s"` works in each. msgspec supplies types and
bounds; this module walks them itself, because msgspec's errors leave out names of table entries.
"""

from __future__ import annotations

import enum
import functools
import math
from collections.abc import Callable, Iterable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import FieldInfo, fields, force_setattr

from understudy.config.faults import BadKey, at, bad_value, unknown_key
from understudy.config.values import parse_duration
from understudy.secret import Secret

Function: TypeAlias = Annotated[Callable[..., Any], Meta(extra_json_schema={"not": {}})]
"""A function of the user's own: only in code, so that it stands in no file and no schema."""


class Section(Struct, frozen=True, forbid_unknown_fields=True, repr_omit_defaults=True):
    """A table of the configuration.

    Raises:
        ConfigError: When built with a wrong value; it names the key.
    """

    title: ClassVar[str] = "this section"
    should: ClassVar[str] = "a table"
    private: ClassVar[bool] = False
    """No value of a private section is ever shown."""

    def __post_init__(self) -> None:
        """Check every field, and bring short forms into their long one."""
        for each in keys_of(type(self)):
            value = getattr(self, each.name)
            checked = at(each.encode_name, lambda e=each, v=value: self._build(e, v))  # type: ignore[misc]
            if checked is not value:
                force_setattr(self, each.name, checked)
        self.check()

    def check(self) -> None:
        """Check what concerns several fields at once; raises `BadKey`."""

    @classmethod
    def expand(cls, value: object) -> Mapping[Any, object] | None:
        """The table that is written, or that a short form stands for; None if it is neither."""
        return value if isinstance(value, Mapping) else {} if value is None else None

    @classmethod
    def read(cls, value: object) -> Self:
        """Build the section from a table or from its short form.

        Raises:
            BadKey: A key is unknown or a value is wrong.
        """
        if isinstance(value, cls):
            return value
        table = cls.expand(value)
        if table is None:
            raise bad_value(value, cls.should, hidden=cls.private)
        names = {each.encode_name: each.name for each in keys_of(cls)}
        for key in table:
            if key not in names:
                raise unknown_key(key, names, cls.title)
        for each in keys_of(cls):
            if each.required and table.get(each.encode_name) is None:
                raise BadKey(f"is missing: it must be {should(each.type)}", each.encode_name)
        # A key without a value (YAML's `key:`, JSON's null) counts as not written.
        return cls(**{names[key]: each for key, each in table.items() if each is not None})

    @classmethod
    def _build(cls, each: FieldInfo, value: object) -> object:
        return build(each.type, value, hidden=cls.private)


@functools.lru_cache(maxsize=256)
def keys_of(section: type[Section]) -> tuple[FieldInfo, ...]:
    """The fields of a section, in order; msgspec works them out anew at each call."""
    return fields(section)


def build(kind: Any, value: object, *, hidden: bool = False) -> object:
    """`value` as `kind`: a section, a table or list of something, or a plain value.

    Raises:
        BadKey: It is none; the path starts below this value.
    """
    if isinstance(kind, type) and issubclass(kind, Section):
        return kind.read(value)
    origin = get_origin(kind)
    if origin is dict:
        return _table(kind, value, hidden=hidden)
    if origin is tuple:
        return _list(kind, value, hidden=hidden)
    if origin in (Union, UnionType):
        (some,) = (each for each in get_args(kind) if each is not NoneType)
        return None if value is None else build(some, value, hidden=hidden)
    if kind is Function:
        return value if callable(value) else _refuse(value, "a function, given in code", hidden)
    return _plain(kind, value, hidden=hidden)


def _table(kind: Any, value: object, *, hidden: bool) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise bad_value(value, "a table", hidden=hidden)
    of_key, of_value = get_args(kind)
    built: dict[str, object] = {}
    for raw, each in value.items():
        # YAML reads a bare 429 as a number.
        key = str(raw) if isinstance(raw, int) and not isinstance(raw, bool) else raw
        if isinstance(key, str):
            at(key, lambda k=key: build(of_key, k))  # type: ignore[misc]
        else:
            build(of_key, key)
        if key in built:
            raise bad_value(key, "written once, not twice", hidden=hidden).under(key)
        built[key] = at(key, lambda v=each: build(of_value, v, hidden=hidden))  # type: ignore[misc]
    return built


def _list(kind: Any, value: object, *, hidden: bool) -> tuple[object, ...]:
    if not isinstance(value, list | tuple):
        raise bad_value(value, "a list", hidden=hidden)
    of_item = get_args(kind)[0]
    built = (
        at(place, lambda v=each: build(of_item, v, hidden=hidden))  # type: ignore[misc]
        for place, each in enumerate(value)
    )
    return tuple(built)


def _plain(kind: Any, value: object, *, hidden: bool) -> object:
    if kind is Secret and isinstance(value, str) and value:
        return Secret(value)
    seconds = parse_duration(value) if _extra(kind).get("duration") else value
    try:
        built = msgspec.convert(seconds, kind)
    except (msgspec.ValidationError, OverflowError):
        return _refuse(value, should(kind), hidden, _choices(kind))
    if isinstance(built, float) and not math.isfinite(built):
        return _refuse(value, should(kind), hidden)
    return built


def _refuse(value: object, what: str, hidden: bool, near: Iterable[str] = ()) -> Any:
    raise bad_value(value, what, near, hidden=hidden)


def should(kind: Any) -> str:
    """What a plain value of this kind must be, in words."""
    if text := _extra(kind).get("should"):
        return str(text)
    if choices := _choices(kind):
        return f"one of {', '.join(choices)}"
    return {
        str: "a text",
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        Secret: "a text that is not empty",
    }.get(kind, f"a {getattr(kind, '__name__', kind)}")


def _extra(kind: Any) -> dict[str, Any]:
    if get_origin(kind) is not Annotated:
        return {}
    return {
        k: v for m in get_args(kind)[1:] if isinstance(m, Meta) for k, v in (m.extra or {}).items()
    }


def _choices(kind: Any) -> list[str]:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return [str(each.value) for each in kind]
    return [str(each) for each in get_args(kind)] if get_origin(kind) is Literal else []
