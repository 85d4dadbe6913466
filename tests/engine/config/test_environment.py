"""Settings from the environment: explicit keys win over them, they win over presets."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.config import VARIABLES, breaker_policy, find, parse, settings
from understudy_actors.domain.errors import ConfigError
from understudy_actors.provider.policy import classic, expire

STRATEGIES = ("adaptive", "cheapest", "fastest")


def test_every_variable_is_documented_in_one_table() -> None:
    assert [each.name for each in VARIABLES] == [
        "UNDERSTUDY_CONFIG",
        "UNDERSTUDY_FALLBACK",
        "UNDERSTUDY_UNHEALTHY_TTL",
        "UNDERSTUDY_PREFER_CHEAP",
        "UNDERSTUDY_STRATEGY",
        "UNDERSTUDY_MONITORING",
        "UNDERSTUDY_LOG_LEVEL",
    ]
    assert all(each.values and each.meaning.endswith(".") for each in VARIABLES)


@pytest.mark.parametrize(("text", "meant"), [("on", True), ("0", False), ("False", False)])
def test_switches_are_read(text: str, meant: bool) -> None:
    config = parse({}, environ={"UNDERSTUDY_FALLBACK": text, "UNDERSTUDY_MONITORING": text})
    assert (config.fallback, config.monitoring) == (meant, meant)


def test_the_unhealthy_ttl_is_a_breaker_of_three_failures() -> None:
    config = parse({}, environ={"UNDERSTUDY_UNHEALTHY_TTL": "120"})
    assert breaker_policy(config.breaker) == expire(3, 120.0)


def test_prefer_cheap_is_a_strategy_and_a_named_strategy_wins_over_it() -> None:
    assert parse({}, environ={"UNDERSTUDY_PREFER_CHEAP": "yes"}).strategy == "cheapest"
    assert parse({}, environ={"UNDERSTUDY_PREFER_CHEAP": "no"}).strategy == "adaptive"
    both = {"UNDERSTUDY_PREFER_CHEAP": "yes", "UNDERSTUDY_STRATEGY": "fastest"}
    assert parse({}, environ=both).strategy == "fastest"


def test_explicit_keys_win_over_the_environment_and_that_over_the_preset() -> None:
    environ = {
        "UNDERSTUDY_FALLBACK": "off",
        "UNDERSTUDY_STRATEGY": "fastest",
        "UNDERSTUDY_UNHEALTHY_TTL": "2m",
        "UNDERSTUDY_LOG_LEVEL": "ERROR",
    }
    preset = parse({"preset": "development"}, environ=environ)
    assert (preset.log.level, preset.log.format) == ("error", "console")
    assert breaker_policy(preset.breaker) == expire(3, 120.0)
    explicit = {"fallback": True, "strategy": "adaptive", "breaker": {"trip_after": 9}}
    config = parse({**explicit, "log": {"level": "info"}}, environ=environ)
    assert (config.fallback, config.strategy, config.log.level) == (True, "adaptive", "info")
    assert breaker_policy(config.breaker) == classic(9)


def test_a_strategy_nobody_knows_is_found_when_the_names_are_given() -> None:
    environ = {"UNDERSTUDY_STRATEGY": "cheepest"}
    with pytest.raises(ConfigError, match=r"`UNDERSTUDY_STRATEGY` is .*did you mean `cheapest`"):
        find({}, environ, strategies=STRATEGIES)


def test_an_empty_variable_is_none() -> None:
    assert settings({each.name: " " for each in VARIABLES}) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("UNDERSTUDY_FALLBACK", "maybe"),
        ("UNDERSTUDY_MONITORING", "2"),
        ("UNDERSTUDY_PREFER_CHEAP", "cheap"),
        ("UNDERSTUDY_UNHEALTHY_TTL", "soon"),
        ("UNDERSTUDY_UNHEALTHY_TTL", "0"),
        ("UNDERSTUDY_LOG_LEVEL", "loud"),
        ("UNDERSTUDY_STRATEGY", "cheepest"),
    ],
)
def test_a_wrong_value_names_the_variable_and_the_value(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings({name: value}, strategies=STRATEGIES)
    assert str(caught.value).startswith(f'`{name}` is "{value}": it must be ')


def test_the_configuration_may_be_named_by_a_variable(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('deadline = "9s"')
    named = find(None, {"UNDERSTUDY_CONFIG": str(tmp_path / "c.toml")})
    assert named is not None
    assert named.deadline_s == 9.0
    explicit = find({"deadline": "8s"}, {"UNDERSTUDY_CONFIG": "/nowhere.toml"})
    assert explicit is not None
    assert explicit.deadline_s == 8.0
    assert find(None, {}) is None
