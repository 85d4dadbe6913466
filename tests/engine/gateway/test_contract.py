"""What the gateway says of itself is true: every path, every status, every answer."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from starlette.applications import Starlette
from starlette.routing import Route

from tests.engine.gateway.service import decode
from understudy.gateway.app import contract, create_app, openapi


def routes() -> set[tuple[str, str]]:
    """Every path that is served, by the document's way of writing it, with its methods."""
    app = create_app(lambda: pytest.fail("nobody opens it"))
    found = set()
    assert isinstance(app, Starlette)
    for route in app.routes:
        assert isinstance(route, Route)
        path = route.path.replace(":path}", "}")
        found |= {(path, method.lower()) for method in (route.methods or ()) if method != "HEAD"}
    return found


def test_every_path_has_an_entry_and_the_reverse() -> None:
    written = [(path, method) for path, method, _ in contract()]
    assert set(written) == routes()
    assert len(set(written)) == len(written)


def test_the_document_is_valid_openapi() -> None:
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    assert DOCUMENT["openapi"] == "3.1.0"
    nameless = decode(openapi())
    nameless["paths"]["/health"]["get"]["parameters"] = [{"name": "x"}]
    with pytest.raises(jsonschema_rs.ValidationError):
        schemathesis.openapi.from_dict(nameless).validate()


def test_everything_that_the_document_refers_to_is_there_and_used() -> None:
    groups = DOCUMENT["components"]
    known = {f"#/components/{group}/{name}" for group, each in groups.items() for name in each}
    ways = {name for each in operations() for way in each["security"] for name in way}
    used = refs(DOCUMENT) | {f"#/components/securitySchemes/{name}" for name in ways}
    assert used == known


def operations() -> list[dict[str, Any]]:
    return [each for path in DOCUMENT["paths"].values() for each in path.values()]


def refs(value: Any) -> set[str]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = (
        {value["$ref"]} if isinstance(value, dict) and isinstance(value.get("$ref"), str) else set()
    )
    return own.union(*map(refs, inner))


DOCUMENT: dict[str, Any] = decode(openapi())
