"""Conditions that callers set, in the body or in headers, reach the request; wrong ones do not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from understudy import Caching, Complexity, Request
from understudy.gateway.overrides import FIELDS, LISTS, conditioned, overrides
from understudy.gateway.problem import Refused

ASK = Request.chat("hi")
GOOD: dict[str, tuple[Any, str, Any]] = {
    "fallback": (False, "false", False),
    "fallbacks": (["b", "c"], "b, c", ("b", "c")),
    "max_attempts": (2, "2", 2),
    "strategy": ("cheapest", "cheapest", "cheapest"),
    "max_cost_usd": (0.5, "0.5", 0.5),
    "region": ("eu", "eu", "eu"),
    "tags": (["a", "b"], "a, b", ("a", "b")),
    "capabilities": (["vision"], "vision", ("vision",)),
    "labels": (["batch"], "batch", ("batch",)),
    "user": ("cat", "cat", "cat"),
    "team": ("red", "red", "red"),
    "tenant": ("t", "t", "t"),
    "priority": (-2, "-2", -2),
    "hedge": (True, "true", True),
    "collapse": (True, "1", True),
    "cache": ("refresh", "refresh", Caching.REFRESH),
    "complexity": ("complex", "complex", Complexity.COMPLEX),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_condition_is_the_same_in_the_body_and_in_a_header(name: str) -> None:
    in_body, in_header, meant = GOOD[name]
    header = {f"x-understudy-{name.replace('_', '-')}": in_header}
    assert getattr(conditioned(ASK, overrides({name: in_body}, {})), name) == meant
    assert getattr(conditioned(ASK, overrides(None, header)), name) == meant


def test_every_condition_is_tried_here() -> None:
    assert set(GOOD) | {"timeout", "mock_response"} == FIELDS
    assert set(GOOD) >= LISTS


@pytest.mark.parametrize(("given_", "seconds"), [("30s", 30.0), (2, 2.0), ("1m30s", 90.0)])
def test_a_timeout_is_seconds_or_a_duration(given_: object, seconds: float) -> None:
    assert conditioned(ASK, overrides({"timeout": given_}, {})).timeout_s == seconds
    header = {"x-understudy-timeout": str(given_)}
    assert conditioned(ASK, overrides(None, header)).timeout_s == seconds


def test_the_body_wins_over_a_header() -> None:
    own = overrides({"strategy": "fastest"}, {"x-understudy-strategy": "cheapest"})
    assert own.strategy == "fastest"


def test_without_conditions_the_request_is_itself() -> None:
    assert conditioned(ASK, overrides(None, {"accept": "*/*"})) is ASK


@pytest.mark.parametrize(
    ("table", "headers", "said"),
    [
        ({"fallbak": False}, {}, "understudy"),
        ({"timeout": "soon"}, {}, "understudy.timeout"),
        ({"timeout": 0}, {}, "understudy.timeout"),
        ({"complexity": "hardest"}, {}, "simple, medium, complex"),
        ({"cache": "sometimes"}, {}, "refresh"),
        ({"max_attempts": 0}, {}, "max_attempts"),
        ([], {}, "expected an object"),
        (None, {"x-understudy-color": "red"}, "x-understudy-color"),
        (None, {"x-understudy-max-attempts": "many"}, "max_attempts"),
        (None, {"x-understudy-fallback": "perhaps"}, "fallback"),
    ],
)
def test_a_wrong_condition_is_refused_by_name(
    table: Any, headers: dict[str, str], said: str
) -> None:
    with pytest.raises(Refused) as caught:
        conditioned(ASK, overrides(table, headers))
    assert said in str(caught.value)


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), st.text(max_size=12), max_size=4))
def test_any_header_is_read_or_refused(given_: dict[str, str]) -> None:
    headers = {f"x-understudy-{name.replace('_', '-')}": value for name, value in given_.items()}
    try:
        asked = conditioned(ASK, overrides(None, headers))
    except Refused:
        return
    assert asked.input is ASK.input
