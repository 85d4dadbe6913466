"""Delay hints: what is a time is read, what is none is absent, and nothing asks for too much."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, strategies as st

from tests.engine.adapters.wire import WALL_S
from understudy.adapters.delay import DELAY_MAX_S, LIMITS, delay_s, reset_s

NAMES = ["retry-after", "retry-after-ms", *(name for pair in LIMITS for name in pair)]
times = st.one_of(
    st.text(max_size=80),
    st.text(string.digits + "+-.eEinfa_ TZ:µms", max_size=30),
    st.floats().map(str),
    st.integers().map(str),
    st.datetimes().map(str),
    st.from_regex(r"-?(\d{1,20}(\.\d{0,3})?(ns|us|ms|s|m|h)){1,3}", fullmatch=True),
    st.sampled_from(["0", "-1", "nan", "inf", "1e999", "12ms", "Fri, 31 Feb 2026 25:61:61 GMT"]),
)
responses = st.dictionaries(st.sampled_from(NAMES), times)


def after(value: str, wall_s: float = WALL_S) -> float | None:
    """The delay that a plain `retry-after` means."""
    return delay_s(429, {"retry-after": value}, wall_s)


@given(status=st.integers(100, 599), headers=responses, wall_s=st.floats(0, 4e9))
def test_a_hint_is_absent_or_between_nothing_and_a_day(
    status: int, headers: dict[str, str], wall_s: float
) -> None:
    seconds = delay_s(status, headers, wall_s)
    assert seconds is None or 0.0 <= seconds <= DELAY_MAX_S
    assert seconds is None or status in (429, 503, 529)


@given(seconds=st.floats(0, DELAY_MAX_S).map(lambda x: round(x, 3)))
def test_a_number_of_seconds_is_that_number(seconds: float) -> None:
    assert after(f"{seconds:.3f}") == seconds
    assert delay_s(529, {"retry-after-ms": f"{seconds * 1000:.0f}"}, 0.0) == pytest.approx(seconds)


@given(h=st.integers(0, 9), m=st.integers(0, 59), s=st.integers(0, 59), ms=st.integers(0, 999))
def test_a_go_duration_is_the_sum_of_its_parts(h: int, m: int, s: int, ms: int) -> None:
    assert reset_s(f"{h}h{m}m{s}s{ms}ms", 0.0) == pytest.approx(h * 3600 + m * 60 + s + ms / 1000)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2", 2.0),
        ("0.5", 0.5),
        (" 3 ", 3.0),
        ("-5", 0.0),
        ("1e9", DELAY_MAX_S),
        ("Fri, 20 Nov 2026 00:00:07 GMT", 7.0),
        ("Friday, 20-Nov-26 00:00:08 GMT", 8.0),
        ("Fri Nov 20 00:00:09 2026", 9.0),
        ("Fri, 20 Nov 2026 01:00:09 +0100", 9.0),
        ("Thu, 19 Nov 2026 23:59:59 GMT", 0.0),
        ("nan", None),
        ("inf", None),
        ("1_0", None),
        ("soon", None),
        ("", None),
        ("٣", None),
    ],
)
def test_retry_after_has_two_forms(value: str, seconds: float | None) -> None:
    assert after(value) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("12ms", 0.012),
        ("1m30s", 90.0),
        ("172.799999ms", 0.172799999),
        ("2m59.56s", 179.56),
        ("-3s", -3.0),
        ("10", 10.0),
        ("2026-11-20T00:00:10Z", 10.0),
        ("2026-11-20T00:00:10", 10.0),
        (f"{(WALL_S + 60) * 1000:.0f}", 60.0),
        (f"{WALL_S + 60:.0f}", 60.0),
        ("1m30", None),
        ("s", None),
        ("x" * 100, None),
    ],
)
def test_a_reset_time_has_many_forms(value: str, seconds: float | None) -> None:
    assert reset_s(value, WALL_S) == (None if seconds is None else pytest.approx(seconds))


def test_the_more_precise_hint_wins() -> None:
    both = {"retry-after": "2", "retry-after-ms": "1500"}
    assert delay_s(429, both, WALL_S) == 1.5
    assert delay_s(429, both | {"retry-after-ms": "NaN"}, WALL_S) == 2.0


def test_a_reset_counts_only_for_a_limit_that_is_used_up_and_without_retry_after() -> None:
    headers = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "3s",
        "x-ratelimit-remaining-tokens": "17",
        "x-ratelimit-reset-tokens": "9s",
    }
    assert delay_s(429, headers, WALL_S) == 3.0
    assert delay_s(429, headers | {"x-ratelimit-remaining-tokens": "0"}, WALL_S) == 9.0
    assert delay_s(429, headers | {"retry-after": "1"}, WALL_S) == 1.0
    assert delay_s(429, {"x-ratelimit-reset-requests": "3s"}, WALL_S) is None


def test_other_statuses_are_believed_only_on_request() -> None:
    headers = {"retry-after": "4"}
    assert delay_s(402, headers, WALL_S) is None
    assert delay_s(402, headers, WALL_S, statuses=frozenset({402})) == 4.0


@pytest.mark.parametrize("wrong_by_s", [-3600.0, 0.0, 86_400.0])
def test_a_date_is_measured_by_the_providers_own_clock_where_it_shows_one(
    wrong_by_s: float,
) -> None:
    headers = {
        "date": "Fri, 20 Nov 2026 00:00:00 GMT",
        "retry-after": "Fri, 20 Nov 2026 00:00:07 GMT",
    }
    assert delay_s(429, headers, WALL_S + wrong_by_s) == 7.0
    del headers["retry-after"]
    headers["anthropic-ratelimit-tokens-remaining"] = "0"
    headers["anthropic-ratelimit-tokens-reset"] = "2026-11-20T00:00:09Z"
    assert delay_s(429, headers, WALL_S + wrong_by_s) == 9.0
