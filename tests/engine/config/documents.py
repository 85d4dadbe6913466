"""Random configurations as a user would write them, and a writer for TOML."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from msgspec import Meta
from msgspec.structs import fields

from understudy.config.key import HeaderSource, KeySource
from understudy.config.provider import ModelConfig, ProviderConfig
from understudy.config.schema import Config
from understudy.config.section import Function, Section
from understudy.config.values import ErrorCode, HeaderName, ModelName, Name
from understudy_actors.domain.errors import ConfigError
from understudy_actors.domain.outcome import ErrorClass

Document = dict[str, Any]
Step = str | int

_NAMES: Any = st.from_regex(r"[a-z][a-z0-9_-]{0,6}", fullmatch=True)
_BY_KIND: dict[Any, st.SearchStrategy[Any]] = {
    Name: _NAMES,
    ModelName: st.sampled_from(["gpt-5.4", "openai/gpt-oss-20b", "llama3.2:1b", "m"]),
    HeaderName: st.sampled_from(["X-Team", "X-Trace"]),
    ErrorCode: st.sampled_from(["429", "500", "slow_down"]),
    ErrorClass: st.sampled_from(["timeout", "rate_limit", "silent"]),
    str: st.sampled_from(["adaptive", "priority", "zürich", 'quo"te', "back\\slash"]),
    bool: st.booleans(),
}
_SOURCES = st.sampled_from(["env:TEST_KEY", "file:/run/key", {"env": "TEST_KEY"}, {"file": "/k"}])
_ADDRESSES = st.sampled_from(["https://example.test/v1", "http://127.0.0.1:9/v1"])


def documents() -> st.SearchStrategy[Document]:
    """Configurations that are accepted, as plain tables of JSON values."""
    return _section(Config)


def _section(cls: type[Section]) -> st.SearchStrategy[Any]:
    if cls is KeySource:
        return _SOURCES
    if cls is HeaderSource:
        return st.one_of(_SOURCES, st.just("plain text"))
    return _table(cls).filter(lambda table: _accepted(cls, table))


@st.composite
def _table(draw: st.DrawFn, cls: type[Section]) -> Document:
    # An adapter's options are whatever that adapter has: `test_compatible` tries them.
    foreign = {Function, Any}
    writable = [each for each in fields(cls) if foreign.isdisjoint(_inside(each.type))]
    least, most = (5, 12) if cls is ProviderConfig else (1, 5)
    size = draw(st.integers(min(least, len(writable)), most))
    some = draw(st.permutations(writable))[:size]
    always = [each for each in writable if each.required or each.name == "providers"]
    some += [each for each in always if each not in some]
    if cls is ModelConfig:
        return {each.encode_name: draw(_value(each.type)) for each in some}
    return {
        each.encode_name: draw(_ADDRESSES if each.name == "base_url" else _value(each.type))
        for each in some
    }


def _inside(kind: Any) -> list[Any]:
    return [kind, *(deep for each in get_args(kind) for deep in _inside(each))]


def _accepted(cls: type[Section], table: Document) -> bool:
    try:
        cls.read(table)
    except ConfigError:
        return False
    return True


def _value(kind: Any) -> st.SearchStrategy[Any]:
    if kind in _BY_KIND:
        return _BY_KIND[kind]
    if isinstance(kind, type) and issubclass(kind, Section):
        return _section(kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return st.sampled_from([each.value for each in kind])
    origin, inner = get_origin(kind), get_args(kind)
    if origin is dict:
        return st.dictionaries(_value(inner[0]), _value(inner[1]), min_size=1, max_size=2)
    if origin is tuple:
        return st.lists(_value(inner[0]), min_size=1, max_size=2)
    if origin in (Union, UnionType):
        return _value(next(each for each in inner if each is not NoneType))
    if origin is Literal:
        return st.sampled_from(inner)
    return _plain(kind)


def _plain(kind: Any) -> st.SearchStrategy[Any]:
    base, meta = get_args(kind)
    assert get_origin(kind) is Annotated
    assert isinstance(meta, Meta)
    if (meta.extra or {}).get("duration"):
        return st.sampled_from(["250ms", "60s", "5m", "2h30m", 3, 0.75])
    if base is int:
        return st.integers(1, 40)
    if base is float:
        high = 0.875 if meta.le == 1 or meta.lt == 1 else 30.0
        return st.floats(1.0 if meta.ge == 1 else 0.125, high)
    return st.text("abc äü\n\"'\\", min_size=1, max_size=8)


def tables(document: Document) -> Iterator[tuple[tuple[Step, ...], Document]]:
    """Every table of a document that has a fixed set of keys, with its path."""
    yield from _tables(Config, document, ())


def _tables(
    kind: Any, value: Any, path: tuple[Step, ...]
) -> Iterator[tuple[tuple[Step, ...], Any]]:
    inner = get_args(kind)
    if isinstance(kind, type) and issubclass(kind, Section) and isinstance(value, dict):
        yield path, value
        for each in fields(kind):
            if each.encode_name in value:
                yield from _tables(each.type, value[each.encode_name], (*path, each.encode_name))
    elif get_origin(kind) is dict:
        for key, each_value in value.items():
            yield from _tables(inner[1], each_value, (*path, key))
    elif get_origin(kind) is tuple:
        for place, each_value in enumerate(value):
            yield from _tables(inner[0], each_value, (*path, place))
    elif get_origin(kind) in (Union, UnionType):
        yield from _tables(next(e for e in inner if e is not NoneType), value, path)


def leaves(value: Any, path: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    """The path of every plain value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for step, each in pairs:
        if isinstance(each, dict | list):
            yield from leaves(each, (*path, step))
        else:
            yield (*path, step)


def written(path: tuple[Step, ...]) -> str:
    """A path as errors write it; the names in `documents` need quotes only for `.` and `/`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            bare = step.replace("_", "").replace("-", "").isalnum() and step.isascii()
            text += ("." if text else "") + (step if bare else f'"{step}"')
    return text


def replaced(document: Document, path: tuple[Step, ...], value: object) -> Document:
    """A copy of `document` with another value at `path`."""
    copy: Document = json.loads(json.dumps(document))
    place: Any = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return copy


def to_toml(document: Mapping[str, Any]) -> str:
    """The document in TOML, one line for each key at the top."""
    return "".join(f"{json.dumps(key)} = {_toml(each)}\n" for key, each in document.items())


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    return repr(value) if isinstance(value, float) else json.dumps(value)


def provider(**keys: Any) -> ProviderConfig:
    """One provider, written with the keys of a file."""
    return ProviderConfig.read(keys)
