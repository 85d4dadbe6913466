"""The JSON Schema: it knows every key, says what it means, and allows the short forms."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import HealthCheck, given, settings

from tests.engine.config.documents import Document, documents
from tests.engine.config.test_sections import example
from understudy.config import redacted, schema


def fits(part: dict[str, Any], value: object, parts: dict[str, Any]) -> bool:
    """Does `value` fit? As much of JSON Schema as ours uses."""
    if "$ref" in part:
        return fits(parts[part["$ref"].rpartition("/")[2]], value, parts)
    if "anyOf" in part:
        return any(fits(each, value, parts) for each in part["anyOf"])
    if "enum" in part:
        return value in part["enum"]
    names = {"string": str, "object": dict, "array": list, "boolean": bool, "null": type(None)}
    kinds = part.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = number and float(str(value)).is_integer()
    if not any(
        whole if k == "integer" else number if k == "number" else isinstance(value, names[k])
        for k in kinds
    ):
        return False
    if isinstance(value, str):
        return re.search(part.get("pattern", ""), value) is not None
    if isinstance(value, list):
        return all(fits(part["items"], each, parts) for each in value)
    if isinstance(value, dict):
        known, rest = part.get("properties", {}), part.get("additionalProperties", True)
        if not set(part.get("required", [])) <= set(value):
            return False
        return all(
            fits(known[k], v, parts)
            if k in known
            else isinstance(rest, dict) and fits(rest, v, parts)
            for k, v in value.items()
        )
    return True


def test_it_is_json_and_describes_every_key() -> None:
    whole = json.loads(json.dumps(schema()))
    assert whole["$schema"].startswith("https://json-schema.org/")
    for part in whole["$defs"].values():
        table: dict[str, Any] = next(
            (e for e in part.get("anyOf", [part]) if "properties" in e), {}
        )
        assert part.get("description") or part.get("enum")
        for each in table.get("properties", {}).values():
            assert each["description"]
    assert "preset" in whole["$defs"]["Config"]["properties"]
    assert "functions" not in whole["$defs"]["Config"]["properties"]


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
@given(document=documents())
def test_what_is_accepted_fits_the_schema(document: Document) -> None:
    whole = schema()
    assert fits(whole, document, whole["$defs"])
    assert not fits(whole, {**document, "sesame": 1}, whole["$defs"])
    assert not fits(whole, {**document, "deadline": "60 parsecs"}, whole["$defs"])


def test_the_documented_example_fits_the_schema() -> None:
    whole = schema()
    shown = redacted(example())
    assert fits(whole, shown, whole["$defs"])
