"""No provider counts more than a limit within any minute; `make rates` runs a thousand worlds."""

from __future__ import annotations

import pytest

from tests.sim.campaign.rates import violations


@pytest.mark.parametrize("seed", range(24))
def test_no_minute_of_a_provider_holds_more_than_its_limits(seed: int) -> None:
    found, _, _ = violations(seed)
    assert not found


def test_these_worlds_have_limits_and_requests() -> None:
    seen = [violations(seed) for seed in (2, 4, 6)]
    assert all(counted > 20 for _, counted, _ in seen)
    assert sum(limits for _, _, limits in seen) > 5
