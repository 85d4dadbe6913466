"""The OpenAPI document of a gateway, made from what stands beside its paths."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import msgspec

from understudy.gateway.contract.anthropic import AnthropicError
from understudy.gateway.contract.entry import EVENTS, JSON, Dialect, Door, Entry, Parameter
from understudy.gateway.contract.openai import OpenAIError
from understudy.gateway.form import KIND
from understudy.gateway.headers import REQUEST_ID_MAX
from understudy.gateway.overrides import PREFIX, WORDS, Overrides
from understudy_actors.domain.request import ImageFile

Json = dict[str, Any]
_REF: Final = "#/components/schemas/"
_ABOUT: Final = (
    "OpenAI's and Anthropic's formats over every provider behind this gateway. Fields of a body "
    "that are not named here go on to targets of the same format."
)
_TEXT: Final[Json] = {"type": "string"}
_FILE: Final = ImageFile.__name__
"""In forms this is a file."""

SECURITY: Final[Json] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A caller's key."},
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same."},
    "adminBearer": {"type": "http", "scheme": "bearer", "description": "The operators' key."},
    "adminKey": {
        "type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same.",
    },
}  # fmt: skip
"""How keys are sent. A gateway without keys for callers lets everybody in who is no operator."""

_DOORS: Final[dict[Door, list[Json]]] = {
    Door.OPEN: [],
    Door.CALLER: [{}, {"bearer": []}, {"key": []}],
    Door.VISITOR: [{}, {"bearer": []}, {"key": []}, {"adminBearer": []}, {"adminKey": []}],
    Door.ADMIN: [{"adminBearer": []}, {"adminKey": []}],
}


def _header(says: str, *, always: bool = False, **schema: Any) -> Json:
    return {"description": says, "required": always, "schema": {**_TEXT, **schema}}


HEADERS: Final[Json] = {
    "x-request-id": _header("Of this request: the caller's own, or one made here.", always=True),
    "request-id": _header("The same, where Anthropic's SDK looks for it.", always=True),
    "x-should-retry": _header(
        "Whether the caller's SDK should try again by itself.", always=True, enum=["true", "false"]
    ),
    "retry-after": _header("Seconds after which that makes sense.", pattern="^[1-9][0-9]*$"),
    "x-understudy-provider": _header("Who answered, or began to.", always=True),
    "x-understudy-model": _header("With which model.", always=True),
    "x-understudy-attempts": _header("Attempts made; not on streams.", pattern="^[0-9]+$"),
    "x-understudy-fallback": _header(
        "Whether it was not the first choice who answered; not on streams.", enum=["true", "false"]
    ),
    "x-understudy-overhead-ms": _header("What this gateway took itself; not on streams."),
    "x-understudy-cost-usd": _header("What it cost, if that is known; not on streams."),
    "x-understudy-cached": _header("The cache answered.", enum=["true"]),
    "x-understudy-degraded": _header("A stand-in answered.", enum=["true"]),
}
"""Headers of answers."""

_EVERY: Final = ("x-request-id", "request-id")
_ERRORS: Final = (*_EVERY, "x-should-retry", "retry-after")
_ROUTED: Final = (*_EVERY, *(name for name in HEADERS if name.startswith(PREFIX)))

ASKED_ID: Final[Json] = {
    "name": "x-request-id",
    "in": "header",
    "description": "The caller's own id of the request; one that is not fit is replaced.",
    "schema": {**_TEXT, "minLength": 1, "maxLength": REQUEST_ID_MAX},
}
"""What every request may carry."""


def document(entries: Iterable[tuple[str, str, Entry]]) -> Json:
    """The document: for each path (as OpenAPI writes it) and method, in lower case, its entry."""
    schemas: Json = {}
    conditions = _conditions(schemas)
    paths: Json = {}
    known = list(entries)
    for path, method, entry in known:
        paths.setdefault(path, {})[method] = _operation(path, method, entry, schemas)
    parameters = {each["name"]: each for each in (ASKED_ID, *conditions)}
    errors = _errors((entry for *_, entry in known), schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "understudy", "version": _version(), "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "headers": HEADERS,
            "responses": errors,
            "parameters": parameters,
            "securitySchemes": SECURITY,
        },
    }


def _version() -> str:
    try:
        return version("understudy")
    except PackageNotFoundError:  # run from a folder, and not installed
        return "0"


def _operation(path: str, method: str, entry: Entry, schemas: Json) -> Json:
    asked = [_parameter(each) for each in entry.parameters] + [_named("parameters", "x-request-id")]
    if entry.routed:
        asked += [_named("parameters", name) for name in _condition_names()]
    told: Json = {
        "summary": entry.summary,
        "operationId": f"{method}{path.translate(_PLAIN)}".rstrip("_"),
        "tags": [entry.tag],
        "parameters": asked,
        "security": _DOORS[entry.door],
        "responses": _responses(entry, schemas),
    }
    if entry.body is not None:
        media = KIND if entry.form else JSON
        content = {media: {"schema": _schema(entry.body, entry.name, schemas)}}
        told["requestBody"] = {"required": True, "content": content}
    return told


_PLAIN: Final = {ord(each): "_" for each in "/{}-."}


def _responses(entry: Entry, schemas: Json) -> Json:
    """Good answers, and errors in the words of the format."""
    content: Json = {}
    if entry.answers:
        content[JSON] = {"schema": _one_of(entry.answers, entry.name, schemas)}
    else:
        content[entry.media] = {"schema": _TEXT}
    if entry.events:
        content[EVENTS] = {"schema": _event(entry, schemas)}
    heads = _ROUTED if entry.routed else _EVERY
    wrong = {str(each): _named("responses", _error(entry.dialect, each)) for each in entry.refusals}
    return {**{str(each): _response(each, heads, content) for each in entry.good}, **wrong}


def _event(entry: Entry, schemas: Json) -> Json:
    """One event of a stream; 3.1 has no word for that many of them come."""
    told = _one_of(entry.events, entry.name, schemas)
    data: Json = {**_TEXT, "contentMediaType": JSON, "contentSchema": told}
    if entry.mark is not None:
        data = {"anyOf": [{"const": entry.mark}, data]}
    return {"type": "object", "properties": {"data": data, "event": _TEXT}, "required": ["data"]}


def _errors(entries: Iterable[Entry], schemas: Json) -> Json:
    """Every error that any of them may answer."""
    known = {(entry.dialect, status) for entry in entries for status in entry.refusals}
    bodies = {
        dialect: {JSON: {"schema": _one_of(kinds, "", schemas)}}
        for dialect, kinds in _ERROR_BODIES.items()
    }
    ordered = sorted(known, key=lambda each: (each[0].value, each[1]))
    return {_error(d, status): _response(status, _ERRORS, bodies[d]) for d, status in ordered}


def _error(dialect: Dialect, status: int) -> str:
    return f"{dialect.value}-{status}"


_ERROR_BODIES: Final = {
    Dialect.OPENAI: (OpenAIError,),
    Dialect.ANTHROPIC: (AnthropicError,),
    Dialect.EITHER: (OpenAIError, AnthropicError),
}


def _response(status: int, headers: Iterable[str], content: Json) -> Json:
    return {
        "description": HTTPStatus(status).phrase,
        "headers": {name: _named("headers", name) for name in headers},
        "content": content,
    }


def _named(group: str, name: str) -> Json:
    return {"$ref": f"#/components/{group}/{name}"}


def _parameter(each: Parameter) -> Json:
    told = {"name": each.name, "in": each.place, "schema": each.schema, "description": each.says}
    return {**told, "required": True} if each.place == "path" else told


def _condition_names() -> list[str]:
    return [PREFIX + name.replace("_", "-") for name in Overrides.__struct_encode_fields__]


def _conditions(schemas: Json) -> list[Json]:
    """The headers that say how a request is routed; the fields of the body's own table."""
    table = schemas[_schema(Overrides, "", schemas)["$ref"].removeprefix(_REF)]
    for field, words in WORDS.items():
        table["properties"][field] = {"anyOf": [{"enum": sorted(words)}, {"type": "null"}]}
    return [
        {
            "name": header,
            "in": "header",
            "description": f"As `understudy.{field}` of a body, which wins over it.",
            "schema": _as_text(table["properties"][field]),
        }
        for header, field in zip(_condition_names(), table["properties"], strict=True)
    ]


def _as_text(schema: Json) -> Json:
    """What a header may hold for a field: lists are separated by commas."""
    first = schema["anyOf"][0]
    if "enum" in first:
        return {**_TEXT, **first}
    kinds = {each.get("type") for each in schema["anyOf"]} - {"null"}
    if kinds == {"boolean"}:
        return {**_TEXT, "enum": ["true", "false"]}
    if kinds <= {"integer", "number"}:
        return {**next(e for e in schema["anyOf"] if e.get("type") in kinds)}
    return {**_TEXT, "pattern": "^[ -~]+$"}


def _one_of(kinds: tuple[Any, ...], name: str, schemas: Json) -> Json:
    told = [_schema(each, name, schemas) for each in kinds]
    return told[0] if len(told) == 1 else {"anyOf": told}


def _schema(kind: Any, name: str, schemas: Json) -> Json:
    """The schema of a type; those that it consists of go to `schemas`.

    Types that are private to a module are called after the entry, since others have such, too.
    """
    (own,), found = msgspec.json.schema_components([kind], ref_template=_REF + "{name}")
    found.pop(_FILE, None)
    names = {each: _called(each, name) for each in found}
    for each, schema in found.items():
        told = _tidy(schema, names)
        assert schemas.setdefault(names[each], told) == told, f"two types are called {names[each]}"
    renamed = _tidy(own, names)
    assert isinstance(renamed, dict)
    return renamed


_BODIES: Final = frozenset({"Body", "Form", "Prompt"})


def _called(kind: str, name: str) -> str:
    if kind in _BODIES:
        return f"{name}Request"
    return f"{name}Request{kind.lstrip('_')}" if kind.startswith("_") else kind


def _tidy(value: Any, names: dict[str, str]) -> Any:
    """A schema with its references renamed, and its descriptions as they read in the code."""
    if isinstance(value, list):
        return [_tidy(each, names) for each in value]
    if not isinstance(value, dict):
        return value
    told = {key: _tidy(inner, names) for key, inner in value.items()}
    if isinstance(ref := told.get("$ref"), str):
        if ref == _REF + _FILE:
            return {**_TEXT, "format": "binary"}
        told["$ref"] = _REF + names[ref.removeprefix(_REF)]
    if isinstance(mapping := told.get("mapping"), dict):
        told["mapping"] = {k: _REF + names[v.removeprefix(_REF)] for k, v in mapping.items()}
    if isinstance(says := told.get("description"), str):
        told["description"] = inspect.cleandoc(says)
    if isinstance(title := told.get("title"), str) and title in names:
        told["title"] = names[title]
    properties = told.get("properties")
    if isinstance(properties, dict) and properties.get("understudy") in ({}, {"default": None}):
        properties["understudy"] = {"anyOf": [{"$ref": _REF + "Overrides"}, {"type": "null"}]}
    return told
