"""Published prices that are in use and old are warned of: once, on opening and on checking."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.engine.cli.test_verbs import document, run
from understudy import open_engine
from understudy.ports import Ports
from understudy.price_age import old_prices
from understudy.prices import bundled_table
from understudy_actors.domain.candidate import EndpointSpec

DAY_S = 86_400.0
AS_OF = datetime.fromisoformat(bundled_table().as_of).replace(tzinfo=UTC).timestamp()
PRICED = EndpointSpec(provider="p", model="m", operations=("chat",), price_as_of="2026-10-21")
OWN = EndpointSpec(provider="q", model="m", operations=("chat",))
OFF = EndpointSpec(
    provider="r", model="m", operations=("chat",), price_as_of="2026-10-21", enabled=False
)


@pytest.mark.parametrize(
    ("specs", "days", "told"),
    [
        ([PRICED, OWN, OFF], 91, ("p/m",)),
        ([PRICED, OWN, OFF], 90, None),
        ([OWN, OFF], 500, None),
        ([], 500, None),
    ],
)
def test_only_those_that_are_used_and_old_are_told_of(
    specs: list[EndpointSpec], days: int, told: tuple[str, ...] | None
) -> None:
    old = old_prices(specs, AS_OF + days * DAY_S, 90 * DAY_S)
    assert (old.endpoints if old is not None else None) == told
    if old is not None:
        assert f"{days} days ago, and p/m uses them: set `price`" in str(old)


class Later:
    """A machine so many days after the date of the table."""

    def __init__(self, days: float) -> None:
        self.now = trio.current_time
        self.days = days

    def wall(self) -> float:
        """Unix seconds."""
        return AS_OF + self.days * DAY_S


@pytest.mark.parametrize(
    ("days", "own", "warnings"),
    [
        (100, {}, 1),
        (80, {}, 0),
        (80, {"price_max_age": "30d"}, 1),
        (100, {"price_max_age": "200d"}, 0),
    ],
)
async def test_an_engine_warns_once_when_it_opens(
    days: float, own: dict[str, Any], warnings: int, capsys: pytest.CaptureFixture[str]
) -> None:
    openai = {"base_url": "http://localhost/v1", "models": ["gpt-5.4-mini", "gpt-5-mini"]}
    config = {"providers": {"openai": openai}, "log": {"format": "json"}, **own}
    async with open_engine(config, environ={}, ports=Ports(clock=Later(days))):
        pass
    assert capsys.readouterr().err.count('"event": "prices.old"') == warnings


def test_a_check_of_the_configuration_tells(tmp_path: Path) -> None:
    path = tmp_path / "understudy.toml"
    keys = '[providers.openai]\nbase_url = "http://localhost/v1"\nmodels = ["gpt-5-mini"]\n'
    path.write_text(f'price_max_age = "1ms"\n{keys}')
    result = run("config", "check", str(path))
    assert f"the published prices are of {bundled_table().as_of}" in result.stdout
    assert document(run("config", "check", str(path), "--json"))["summary"]["old_prices"]
    path.write_text(f'price_max_age = "366d"\n{keys}')
    facts = document(run("config", "check", str(path), "--json"))["summary"]
    assert (facts["old_prices"], facts["prices_as_of"]) == (None, bundled_table().as_of)
