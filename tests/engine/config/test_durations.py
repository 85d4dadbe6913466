"""Durations: what is written is what is meant."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from understudy.config import parse_duration
from understudy_actors.domain.errors import ConfigError

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1, "ms": 0.001}


@given(parts=st.dictionaries(st.sampled_from(list(_UNITS)), st.integers(0, 999), min_size=1))
def test_a_duration_is_the_sum_of_its_parts(parts: dict[str, int]) -> None:
    text = "".join(f"{parts[unit]}{unit}" for unit in _UNITS if unit in parts)
    meant = sum(count * _UNITS[unit] for unit, count in parts.items())
    assert parse_duration(text) == pytest.approx(meant)


@given(st.floats(-1e9, 1e9) | st.integers(-(10**9), 10**9))
def test_a_number_is_seconds(value: float) -> None:
    assert parse_duration(value) == value


@given(
    st.text(max_size=6) | st.sampled_from(["5s5s", "1s1m", "5", "-5s", "s", "1e3s", "5 parsecs"])
)
def test_a_text_is_a_duration_or_refused(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ConfigError:
        return
    assert seconds >= 0


@pytest.mark.parametrize(
    "value", ["", "5s5s", "1s1m", "-5s", "ms", "1e3s", True, None, [], float("inf"), "1" * 41, "٣s"]
)
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="must be a duration"):
        parse_duration(value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("60s", 60),
        ("5m", 300),
        ("1h", 3600),
        ("2h30m", 9000),
        ("1.5s", 1.5),
        (7, 7),
    ],
)
def test_the_documented_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds
