"""Metrics say what happened, under documented names only, and name nobody."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.engine.house import QUIET, Script
from understudy import AllAttemptsFailed, ErrorClass, Request, open_engine
from understudy.telemetry.metrics import COUNTED, LOOKUPS, NAMES, READ, TIMED, Metrics

DASHBOARD = Path(__file__).parents[3] / "docs" / "grafana-dashboard.json"
PRICE = {"models": ["m"], "price": {"input": 1.0, "output": 2.0}}
EVERYTHING: dict[str, Any] = {
    **QUIET,
    "strategy": "priority",
    "retry": {"attempts": 0},
    "budgets": [{"usd": 5.0, "per": "day"}],
    "cache": {"ttl": "60s"},
    "providers": {
        "bad": {**PRICE, "priority": 1, "breaker": {"trip_after": 1}},
        "good": {**PRICE, "priority": 2},
    },
}


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (each.name, tuple(sorted(each.labels.items()))): each.value
        for family in text_string_to_metric_families(metrics.page().decode())
        for each in family.samples
        if not each.name.endswith("_created")
    }


async def test_what_happened_is_counted_and_what_is_so_is_read() -> None:
    bad, good = Script(ErrorClass.SERVER), Script("fine")
    functions = {"bad": bad, "good": good}
    async with open_engine(EVERYTHING, functions=functions, environ={}) as engine:
        metrics = Metrics(engine)
        ask = Request.chat("the prompt is mine", user="somebody", max_tokens=5)
        await engine.route(ask)
        await engine.route(ask)  # out of the cache
        async with engine.stream(Request.chat("another", max_tokens=5)) as stream:
            async for _ in stream:
                pass
        seen = samples(metrics)
    assert seen["understudy_requests_total", (("status", "ok"),)] == 3
    assert _sum(seen, "understudy_attempts_total", provider="bad", verdict="failed") == 1
    assert _sum(seen, "understudy_attempts_total", provider="good", verdict="ok") == 2
    assert _sum(seen, "understudy_tokens_total", provider="good", type="input") > 0
    assert _sum(seen, "understudy_failovers_total") == 1
    assert _sum(seen, "understudy_breaker_transitions_total", to="open") == 1
    assert _sum(seen, "understudy_breaker_state", provider="bad", state="open") == 1
    assert _sum(seen, "understudy_endpoint_healthy", provider="bad") == 0
    assert _sum(seen, "understudy_cache_lookups_total", result="hits") == 1
    assert _sum(seen, "understudy_first_token_seconds_count", provider="good") == 1
    assert _sum(seen, "understudy_budget_limit_usd") == 5.0
    assert _sum(seen, "understudy_budget_spent_usd") > 0
    assert {name for name, _ in seen} <= NAMES
    shown = str(seen)
    assert "somebody" not in shown
    assert "prompt" not in shown


async def test_every_documented_name_is_a_metric() -> None:
    functions = {"bad": Script(), "good": Script()}
    async with open_engine(EVERYTHING, functions=functions, environ={}) as engine:
        page = Metrics(engine).page().decode()
    for name in (*COUNTED, *TIMED, *READ, LOOKUPS):
        assert f"# TYPE {name}" in page, name


async def test_after_close_nothing_is_counted() -> None:
    async with open_engine(QUIET, functions={"f": Script(ErrorClass.SERVER)}, environ={}) as engine:
        metrics = Metrics(engine)
        metrics.close()
        with pytest.raises(AllAttemptsFailed):
            await engine.route(Request.chat("hi"))
        assert _sum(samples(metrics), "understudy_requests_total") == 0


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    board = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    named = {name for expr in asked for name in re.findall(r"understudy_\w+", expr)}
    assert named <= NAMES, named - NAMES
    assert len(named) >= 15


def _sum(seen: dict[Any, float], name: str, **labels: str) -> float:
    wanted = set(labels.items())
    return sum(v for (each, found), v in seen.items() if each == name and wanted <= set(found))
