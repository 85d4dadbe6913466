"""Shares: whole, for everybody, and together exactly what the configuration says."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

import pytest
from hypothesis import Phase, given, settings, strategies as st

from tests.support.mutants import Mutant
from understudy import ConfigError
from understudy.config import parse, redacted, shares
from understudy.config.shares import share

QUANTITIES: Final = {
    "requests_per_minute", "tokens_per_minute", "input_tokens_per_minute", "usd", "parallel",
    "output_tokens_per_minute", "concurrent_max", "initial", "max",
}  # fmt: skip
counts = st.integers(9, 10**6)
usd = st.integers(0, 10**9).map(lambda micro: micro / 1e6)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    """Configurations with limits, budgets and quotas wherever they may stand."""
    return {
        "providers": {
            "p": {
                "kind": "ollama",
                "requests_per_minute": draw(counts),
                "concurrency": draw(counts),
                "free_quota": {"requests": draw(counts)},
                "models": [
                    {"name": "m", "tokens_per_minute": draw(counts)},
                    {"name": "n", "free_quota": {"requests": draw(counts), "per": "month"}},
                ],
            },
            "local": {},
        },
        "limits": [{"user": "*", "tokens_per_minute": draw(counts)}],
        "budgets": [{"usd": draw(usd), "per": "day"}, {"usd": draw(usd), "user": "*"}],
        "gateway": {
            "concurrent_max": draw(counts),
            "keys": {
                "a": {
                    "key": "env:A",
                    "requests_per_minute": draw(counts),
                    "parallel": draw(counts),
                    "budgets": [{"usd": draw(usd), "per": "day"}],
                }
            },
        },
        "alerts": [{"requests": 20}],
        "queue_capacity": 3,
    }


def quantities(table: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every quantity of a configuration that is shared, by its path."""
    if isinstance(table, dict):
        for key, value in table.items():
            inner = f"{path}.{key}"
            shared = key in QUANTITIES or inner.endswith("free_quota.requests")
            if shared and isinstance(value, int | float) and ".cache" not in inner:
                yield inner, value
            yield from quantities(value, inner)
    elif isinstance(table, list):
        for place, each in enumerate(table):
            yield from quantities(each, f"{path}[{place}]")


IGNORED: Final = (".retry", ".guard", ".hedge", ".stream", ".providers.local")


def told(config: Any) -> dict[str, float]:
    """The quantities of what is in effect."""
    found = quantities(redacted(config))
    return {path: value for path, value in found if not path.startswith(IGNORED)}


def check_sums(module: ModuleType) -> None:
    """All shares are the whole; no two differ by more than a unit; the rest is the same."""

    @settings(max_examples=30, database=None, phases=[Phase.generate])
    @given(tables(), st.integers(1, 9))
    def adds_up(table: dict[str, Any], workers: int) -> None:
        whole = parse(table)
        parts = [module.share(whole, number, workers) for number in range(1, workers + 1)]
        own = [told(each) for each in parts]
        for path, value in told(whole).items():
            pieces = [each[path] for each in own]
            unit = 1e-6 if path.endswith("usd") else 1
            assert sum(pieces) == pytest.approx(value, abs=unit / 100), path
            assert max(pieces) - min(pieces) <= unit * 1.01, path
        for each in parts:
            assert each.queue_capacity == 3
            assert each.alerts[0].requests == 20
            assert each.providers["local"] == whole.providers["local"]

    adds_up()


def check_few(module: ModuleType) -> None:
    """What is too little for all is refused, by its path."""
    whole = parse({"limits": [{"requests_per_minute": 4}]})
    assert module.share(whole, 4, 4).limits[0].requests_per_minute == 1
    with pytest.raises(ConfigError, match=r"limits\[0\]\.requests_per_minute` is 4: too few for 5"):
        module.share(whole, 1, 5)


def check_stores(module: ModuleType) -> None:
    """A store has one writer."""
    for store in ("u.db", {"url": "env:URL"}):
        with pytest.raises(ConfigError, match=r"\{worker\}"):
            module.share(parse({"store": store}), 1, 2)
    made = module.share(parse({"store": "u-{worker}.db"}), 2, 3)
    assert made.store.path == "u-2.db"


LAWS: Final = (check_sums, check_few, check_stores)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_shares(law: Any) -> None:
    law(shares)
    assert share is shares.share


_SHARES: Final = "understudy.config.shares"
FAULTS: Final = [
    Mutant("the rest is lost", _SHARES, " + (worker <= total % workers)", ""),
    Mutant("the rest for all", _SHARES, "(worker <= total % workers)", "(total % workers > 0)"),
    Mutant("budgets are whole", _SHARES, 'if name == "usd" and', "if False and"),
    Mutant(
        "quotas are whole",
        _SHARES,
        'isinstance(section, QuotaConfig) and name == "requests"',
        "False",
    ),
    Mutant("slots are whole", _SHARES, "section != _USUAL and", "False and"),
    Mutant("keys have all", _SHARES, "    if isinstance(value, dict):", "    if False:"),
    Mutant("nothing for some", _SHARES, "if total < workers:", "if False:"),
    Mutant("one store for all", _SHARES, "store.path is None or WORKER not in store.path", "False"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_planted_faults_are_noticed(fault: Mutant) -> None:
    assert fault.caught_by(LAWS, ConfigError, AttributeError, pytest.fail.Exception)
