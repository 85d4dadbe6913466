"""Requests drawn from the gateway's own document: no fault of ours, and nothing undocumented."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.engine.gateway.service import decode, on_loop, oracle, serving
from understudy.gateway.app import contract, openapi
from understudy.gateway.guard import Guard
from understudy.secret import Secret
from understudy_sim.mock.settings import Behaviour

DRAWN: Final = int(os.environ.get("UNDERSTUDY_CONTRACT", "1"))
"""Requests a path, of those that fit the document, and of those that do not."""
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SCHEMA: Final = schemathesis.openapi.from_dict(decode(openapi()))
OPERATIONS: Final = sorted((path, method) for path, method, _ in contract())
OPS: Final = {"authorization": "Bearer sk-test-ops"}
CHOOSY: Final = frozenset({"strategy", "region", "tags", "capabilities", "timeout", "max_cost_usd"})
"""Conditions that rightly leave nobody, or no time."""


def answerable(case: Any) -> None:
    """Let somebody be there who may serve it."""
    for name in CHOOSY:
        case.headers.pop(f"x-understudy-{name.replace('_', '-')}", None)
    for name in ("authorization", "x-api-key"):
        case.headers.pop(name, None)
    if isinstance(case.body, dict):
        if isinstance(case.body.get("model"), str):
            case.body["model"] = "auto"
        if isinstance(table := case.body.get("understudy"), dict):
            case.body["understudy"] = {k: v for k, v in table.items() if k not in CHOOSY}


def explore(url: str, path: str, method: str, mode: GenerationMode, drawn: int) -> Counter[int]:
    """Send what is drawn for one path; returns the statuses of the answers."""
    found: Counter[int] = Counter()
    session = requests.Session()
    session.trust_env = False

    @settings(
        max_examples=drawn,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=SCHEMA[path][method.upper()].as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        answerable(case)
        answer = case.call(base_url=url, session=session, headers=OPS)
        case.validate_response(answer, checks=CHECKS)
        found[answer.status_code] += 1

    with session:
        send()
    return found


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@on_loop
async def test_what_is_drawn_from_the_document_is_answered_as_it_says(mode: GenerationMode) -> None:
    guard = Guard(admin=Secret("sk-test-ops"))
    async with serving(behaviours=(Behaviour(),), oracle=oracle, guard=guard) as service:
        for path, method in OPERATIONS:
            if mode is GenerationMode.NEGATIVE and DRAWN == 1 and method != "post":
                continue  # hardly anything can be wrong there: `make contract` looks
            found = await asyncio.to_thread(explore, service.url, path, method, mode, DRAWN)
            print(f"{method.upper():4} {path}: {dict(sorted(found.items()))}")
        assert (await asyncio.to_thread(requests.get, f"{service.url}/ready")).status_code == 200
