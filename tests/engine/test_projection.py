"""`engine.projection()` says what budgets will have spent, and why it says nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import trio

from tests.engine.house import Script
from understudy import Request, open_engine
from understudy.ports import Ports

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC).timestamp()


class Wall:
    """A machine whose day goes on as the test says."""

    def __init__(self, at: float) -> None:
        self.now = trio.current_time
        self.at = at

    def wall(self) -> float:
        """Unix seconds."""
        return self.at


def config(*budgets: dict[str, Any]) -> dict[str, Any]:
    priced = {"kind": "function", "price": {"request": 0.01}}
    return {"log": {"level": "off"}, "providers": {"p": priced}, "budgets": list(budgets)}


async def test_a_projection_goes_on_at_the_pace_of_the_day() -> None:
    clock, functions = Wall(NOON), {"p": Script("fine")}
    budgets = ({"usd": 1.0}, {"usd": 10.0, "per": "month"}, {"usd": 5.0, "per": "total"})
    ports = Ports(clock=clock)
    async with open_engine(config(*budgets), functions=functions, ports=ports) as engine:
        for _ in range(19):
            await engine.route(Request.chat("hi"))
        assert {each.why for each in engine.projection()} == {"fewer than 20 charges"}
        await engine.route(Request.chat("hi"))
        day, month, total = engine.projection()
        assert (day.spent_usd, day.projected_usd, day.projected_percent) == (0.2, 0.4, 40.0)
        assert (day.next_30_days_usd, day.budget) == (12.0, "engine, $1.00 a day")
        assert month.projected_usd == pytest.approx(0.2 * 30 / 9.5, abs=1e-5)
        assert (total.projected_usd, total.why) == (None, "too early in the window")
        clock.at += 12 * 3600 + 1800
        day, month, total = engine.projection()
        assert (day.spent_usd, day.why) == (0.0, "fewer than 20 charges")
        clock.at += 86_400
        assert engine.projection()[2].next_30_days_usd == pytest.approx(0.2 * 30 / (36.5 / 24))


async def test_without_budgets_there_is_nothing_to_project() -> None:
    async with open_engine(config(), functions={"p": Script("fine")}) as engine:
        assert engine.projection() == ()
