"""Policies: presets, and what a wrong number is told."""

from __future__ import annotations

import msgspec
import pytest

from understudy_actors.provider.policy import (
    DEFAULT,
    DEFAULT_HOLDS,
    BreakerPolicy,
    HoldPolicy,
    classic,
    expire,
)


def test_the_defaults_are_the_published_ones() -> None:
    assert (DEFAULT.run_threshold, DEFAULT.growth_from, DEFAULT.background) == (5, 6.0, 0.2)
    assert (DEFAULT.cooldown_s, DEFAULT.factor, DEFAULT.cap_s) == (5.0, 2.0, 15.0)
    assert [DEFAULT.full_s(exponent) for exponent in range(6)] == [5, 5, 10, 15, 15, 15]
    assert DEFAULT.top_exponent == 3
    assert DEFAULT.longest_s == 3600.0
    assert (DEFAULT_HOLDS.credit_s, DEFAULT_HOLDS.auth_s, DEFAULT_HOLDS.cap_s) == (300, 600, 21600)


def test_the_simple_presets_differ_in_their_numbers_only() -> None:
    assert (classic().run_threshold, classic().full_s(9)) == (5, 60.0)
    assert (expire().run_threshold, expire().full_s(9)) == (3, 300.0)
    assert classic(3, 300.0) == expire()
    assert classic().top_exponent == 1
    assert classic().longest_s == 60.0


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"run_threshold": 0}, r"^`run_threshold` must be a finite number of at least 1, got 0$"),
        ({"ratio": 1.5}, r"^`ratio` must be above 0 and at most 1, or null for none, got 1\.5$"),
        ({"background": 1.0}, r"^`background` must be between 0 and 1, both excluded, got 1\.0$"),
        ({"cooldown_s": 0.0}, r"^`cooldown_s` must be a finite number above 0, got 0\.0$"),
        ({"cap_s": 4.0}, r"^`cap_s` must be a finite number of at least 5, got 4\.0$"),
        ({"factor": float("inf")}, r"^`factor` must be a finite number of at least 1, got inf$"),
        ({"ramp_floor": 0.0}, r"^`ramp_floor` must be above 0 and at most 1, got 0\.0$"),
        ({"lease_grace_s": float("nan")}, r"^`lease_grace_s` must be .* at least 0, got nan$"),
    ],
)
def test_a_wrong_number_is_refused_by_name(wrong: dict[str, float], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        BreakerPolicy(**wrong)  # type: ignore[arg-type]


def test_a_hold_doubles_at_least_to_where_it_starts() -> None:
    with pytest.raises(ValueError, match=r"^`cap_s` must be a finite number of at least 600"):
        HoldPolicy(cap_s=300.0)


def test_an_unknown_key_is_an_error_that_names_it() -> None:
    with pytest.raises(msgspec.ValidationError, match="cooldown"):
        msgspec.convert({"cooldown": 5}, BreakerPolicy)
