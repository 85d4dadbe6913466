"""Headers about rate limits: sane numbers, or nothing."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given, strategies as st

from tests.support.mutants import Mutant
from understudy.adapters import limits
from understudy.adapters.anthropic_rules import ANTHROPIC_LIMITS
from understudy.adapters.openai_rules import COMPATIBLE_LIMITS, OPENAI_LIMITS
from understudy_actors.domain.rates import Sighting, Unit

WALL = 1_793_000_000.0  # 2026-10-26T07:33:20Z

NUMBERS = st.one_of(
    st.integers(-2, 10**15).map(str),
    st.sampled_from(
        ["", "-1", "0", "1e9", "nan", "inf", "٣", "1_000", " 60 ", "60.0", "+5", "6m0s"]
    ),
    st.text(max_size=70),
)
TIMES = st.one_of(
    NUMBERS,
    st.sampled_from(["6m0s", "12ms", "1m30s", "2026-10-26T07:34:00Z", "0001-01-01T00:00:00Z", "T"]),
)


def openai(limit: str, remaining: str, reset: str = "1s", kind: str = "requests") -> dict[str, str]:
    return {
        f"x-ratelimit-limit-{kind}": limit,
        f"x-ratelimit-remaining-{kind}": remaining,
        f"x-ratelimit-reset-{kind}": reset,
    }


def check_forms(module: ModuleType) -> None:
    """Raise unless what vendors send is read, and what gateways send instead is not."""
    read = module.sightings
    names = OPENAI_LIMITS.names
    asked = openai("60", "59", "6m0s") | openai("150000", "149984", "12ms", "tokens")
    assert read(names, asked, WALL) == (
        Sighting(Unit.REQUESTS, 60, 59, 360.0),
        Sighting(Unit.TOKENS, 150_000, 149_984, 0.012),
    )
    for limit, left in (
        ("-1", "-1"),
        ("0", "0"),
        ("60", "-1"),
        ("60", "61"),
        ("60.5", "1"),
        ("", ""),
    ):
        assert read(names, openai(limit, left), WALL) == (), (limit, left)
    assert read(names, openai("9" * 13, "1"), WALL) == (), "no limit at all"
    assert read(names, openai("60", "0", "-5s"), WALL)[0].reset_s is None
    assert read(names, {"x-ratelimit-limit-requests": "60"}, WALL) == ()
    dated = {
        "anthropic-ratelimit-output-tokens-limit": "8000",
        "anthropic-ratelimit-output-tokens-remaining": "7000",
        "anthropic-ratelimit-output-tokens-reset": "2026-10-26T07:34:00Z",
    }
    (seen,) = read(ANTHROPIC_LIMITS.names, dated, WALL)
    assert seen == Sighting(Unit.OUTPUT, 8000, 7000, 40.0)
    skewed = {**dated, "date": "Mon, 26 Oct 2026 07:33:50 GMT"}
    assert read(ANTHROPIC_LIMITS.names, skewed, WALL + 86_400)[0].reset_s == 10.0


def check_any_text(module: ModuleType) -> None:
    """Raise unless any text gives either nothing or sane numbers."""

    @given(NUMBERS, NUMBERS, TIMES, st.sampled_from(["date", "x-other"]), st.text(max_size=40))
    def holds(limit: str, left: str, reset: str, other: str, value: str) -> None:
        headers = {other: value}
        for each in (*COMPATIBLE_LIMITS.names, *ANTHROPIC_LIMITS.names):
            headers |= {each.limit: limit, each.remaining: left, each.reset or "x": reset}
        for names in (COMPATIBLE_LIMITS.names, ANTHROPIC_LIMITS.names):
            for seen in module.sightings(names, headers, WALL):
                assert 1 <= seen.limit <= 10**12
                assert 0 <= seen.remaining <= seen.limit
                assert seen.reset_s is None or 0 < seen.reset_s <= 86_400

    holds()


LAWS = (check_forms, check_any_text)
FAULTS = [
    Mutant(name, "understudy.adapters.limits", old, new)
    for name, old, new in (
        ("a limit of 0 is one", "not 0 < limit <= LIMIT_MAX", "not 0 <= limit <= LIMIT_MAX"),
        ("signs are lost", "[0-9]{1,13}", "-?[0-9]{1,13}"),
        ("more is left than there is", " or remaining > limit", ""),
        ("a reset in the past", "if reset > 0 else None", ""),
        ("dates by our own clock", "        wall_s = sent_at(headers, wall_s)\n", "        pass\n"),
        ("absurd limits are believed", "LIMIT_MAX: Final = 10**12", "LIMIT_MAX: Final = 10**20"),
    )
]


@pytest.mark.parametrize("law", LAWS)
def test_headers_give_sane_numbers_or_nothing(law: object) -> None:
    assert callable(law)
    law(limits)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_planted_fault_is_noticed(fault: Mutant) -> None:
    assert fault.caught_by(LAWS, TypeError)
