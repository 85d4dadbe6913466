"""The demo: every scenario goes as expected, and says so only if it did."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from understudy import Request
from understudy.cli.app import build
from understudy.config.presets import layered
from understudy_sim.demo.play import Scenario, play
from understudy_sim.demo.records import FAST, Asked
from understudy_sim.demo.run import run
from understudy_sim.demo.scenarios import SCENARIOS
from understudy_sim.demo.stage import CAST, Stage

pytestmark = pytest.mark.wall_clock
BY_NAME = {each.name: each for each in SCENARIOS}


def test_all_seven_scenarios_go_as_expected() -> None:
    result = CliRunner().invoke(build(), ["demo", "--fast", "--json"])
    shown = json.loads(result.stdout)
    assert [each["name"] for each in shown["scenarios"]] == list(BY_NAME)
    assert len(shown["scenarios"]) == 7
    failed = [c for s in shown["scenarios"] for c in s["checks"] if not c["ok"]]
    assert not failed
    assert shown["ok"] is True
    assert result.exit_code == 0
    for scenario in shown["scenarios"]:
        assert scenario["ok"] is True
        assert scenario["checks"]
        assert scenario["requests"]
    assert shown["elapsed_s"] < 8
    assert not any(member.key in result.output for member in CAST)


class NoFaults(Stage):
    """The faults are announced, and not applied."""

    def faults(self, provider: str, told: str, *faults: Mapping[str, object]) -> None:
        super().faults(provider, told)


class Down(Stage):
    """The first choice is down, though nobody said so."""

    @asynccontextmanager
    async def opened(self, changes: Mapping[str, Any]) -> AsyncIterator[None]:
        async with super().opened(changes):
            self.mocks["alpha"].control.set_schedule({"faults": [{"kind": "status"}]})
            yield


class Miscounting(Stage):
    """A provider was called once more than the engine knows."""

    def compare_counts(self) -> None:
        self.mocks["beta"].control.stats.requests += 1
        super().compare_counts()


class Unlimited(Stage):
    """No request has a limit on its cost."""

    async def ask(self, request: Request, note: str) -> Asked:
        return await super().ask(replace(request, max_cost_usd=None), note)


class Valid(Stage):
    """Every request is a good one."""

    async def ask(self, request: Request, note: str) -> Asked:
        return await super().ask(Request.chat("Explain"), note)


def configured(changes: Mapping[str, Any]) -> Callable[..., Stage]:
    """A stage whose engine is configured otherwise than its scenario thinks."""

    class Configured(Stage):
        def configure(self, config: dict[str, Any]) -> dict[str, Any]:
            return dict(layered(config, changes))

    return Configured


def alpha(**keys: Any) -> dict[str, Any]:
    """Changes of one provider."""
    return {"providers": {"alpha": keys}}


SABOTAGE: list[tuple[str, str, Callable[..., Stage]]] = [
    ("all-well", "the first choice is down", Down),
    ("all-well", "another price is charged", configured(alpha(price={"input": 1, "output": 1}))),
    ("timeout", "nothing fails", NoFaults),
    ("timeout", "nothing is retried", configured(alpha(retry={"attempts": 0}))),
    ("timeout", "the waits grow linearly", configured(alpha(retry={"kind": "linear"}))),
    ("timeout", "silence is not ended", configured(alpha(timeout=1.5))),
    ("rate-limit", "nothing fails", NoFaults),
    (
        "rate-limit",
        "another one is next",
        configured({"operations": {"chat": {"chain": ["alpha", "gamma", "beta"]}}}),
    ),
    ("breaker", "nothing fails", NoFaults),
    ("breaker", "the breaker is lenient", configured({"breaker": {"trip_after": 50}})),
    ("breaker", "the breaker is strict", configured({"breaker": {"trip_after": 2}})),
    ("all-down", "nothing fails", NoFaults),
    (
        "all-down",
        "there is no stand-in",
        configured({"operations": {"chat": {"chain": ["alpha", "beta", "gamma"]}}}),
    ),
    ("all-down", "silence is not ended", configured({"providers": {"gamma": {"timeout": 2}}})),
    ("max-cost", "the limit is ignored", Unlimited),
    ("max-cost", "the first choice is down", Down),
    ("invalid", "the requests are valid", Valid),
]


@pytest.mark.parametrize(
    ("name", "make"),
    [pytest.param(name, make, id=f"{name}: {told}") for name, told, make in SABOTAGE],
)
async def test_a_scenario_in_which_something_else_happens_fails(
    name: str, make: Callable[..., Stage]
) -> None:
    played = await play(BY_NAME[name], make(FAST))
    assert not played.ok
    assert any(not check.ok and check.seen for check in played.checks)


@pytest.mark.parametrize("name", ["all-well", "rate-limit", "invalid"])
async def test_a_call_that_the_engine_does_not_know_of_is_noticed(name: str) -> None:
    played = await play(BY_NAME[name], Miscounting(FAST))
    (missed,) = [check for check in played.checks if not check.ok]
    assert "counted" in missed.expected


async def test_a_scenario_without_expectations_is_no_success() -> None:
    async def nothing(stage: Stage) -> None:
        stage.compare_counts = lambda: None  # type: ignore[method-assign]

    scenario = Scenario(name="empty", title="Empty", about="", play=nothing)
    assert not (await play(scenario, Stage(FAST))).ok


async def test_what_failed_is_shown_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    async def wrong(stage: Stage) -> None:
        await stage.ask(Request.chat("hi"), "a request")
        stage.expect("something else", False, "this")

    scenario = Scenario(name="wrong", title="Wrong", about="It fails.", play=wrong)
    assert not await run([scenario], FAST, as_json=False)
    shown = capsys.readouterr().out
    assert "NOT SEEN: something else" in shown
    assert "instead: this" in shown
    assert "FAILED" in shown
    assert "\x1b" not in shown


def test_scenarios_can_be_listed_and_chosen() -> None:
    app = build()
    listed = json.loads(CliRunner().invoke(app, ["demo", "--list", "--json"]).stdout)
    assert [each["name"] for each in listed] == list(BY_NAME)
    one = CliRunner().invoke(app, ["demo", "--fast", "--json", "--scenario", "invalid"])
    assert [each["name"] for each in json.loads(one.stdout)["scenarios"]] == ["invalid"]
    wrong = CliRunner().invoke(app, ["demo", "--scenario", "nonsense"])
    assert wrong.exit_code == 2
    assert "nonsense" in wrong.stderr
