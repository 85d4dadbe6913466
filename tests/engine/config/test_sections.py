"""One example for every section, as the documentation shows it."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from tests.engine.config.documents import provider
from understudy.config import (
    BreakerConfig,
    ConcurrencyConfig,
    Config,
    HoldConfig,
    breaker_of,
    breaker_policy,
    dispatcher_settings,
    guard_rule,
    holds_of,
    parse,
    retry_rule,
)
from understudy_actors.domain.errors import ConfigError
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.provider.policy import BreakerPolicy, classic, expire

EXAMPLE = """
preset = "production"
strategy = "adaptive"
deadline = "120s"
max_attempts = 5
fallback = true
monitoring = true

[retry]
kind = "exponential"
base = "0.5s"
cap = "20s"
jitter = "full"
patience = "2.5s"
budget = {ratio = 0.2, per_second = 0.2, cap = 20, start = 10}
guard = {max = 10, floor = 5, fail = 1, ok = 0.1}

[log]
level = "info"
format = "json"

[degraded]
chat = "Please come back in a few minutes."

[operations.chat]
strategy = "priority"
chain = ["openai/gpt-5.4-mini", "anthropic", "local"]

[groups]
fast = ["openai/gpt-5.4-nano"]

[complexity]
simple = "cheapest"
complex = "best_quality"

[providers.openai]
priority = 1
weight = 2.5
region = "eu"
tags = ["paid"]
capabilities = ["tools"]
suits = ["complex"]
quality = 0.8
key = "env:OPENAI_API_KEY"
base_url = "https://eu.api.openai.com/v1"
headers = {"X-Team" = "search", "Authorization" = {env = "OTHER"}}
timeout = "60s"
connect_timeout = "5s"
failure_domain = "eu-west"
free_quota = {requests = 100, per = "day"}
max_request_tokens = 100_000
requests_per_minute = 500
tokens_per_minute = 200_000
retry = {attempts = 2, kind = "linear", base = "1s", cap = "5s", on = ["timeout", "silent"]}
breaker = {trip_after = 5, cooldown = "60s"}
concurrency = {initial = 8, min = 1, max = 256}
hold = {credit = "5m", auth = "10m", model = "1h"}
health_check = {interval = "60s", timeout = "5s"}
stream.first_token_min = "5s"
stream.first_token_max = "30s"
stream.gap_min = "3s"
stream.gap_max = "20s"
stream.splice_max = 0
errors = {insufficient_quota = "rate_limit", 418 = "overloaded"}

[[providers.openai.models]]
name = "gpt-5.4-nano"

[[providers.openai.models]]
name = "gpt-5.4-mini"
price = {input = 0.75, output = 4.5, cached = 0.075, request = 0}
quality = 0.9
max_context = 272000
max_output = 128000
capabilities = ["vision"]
groups = ["smart"]
aliases = ["mini"]

[providers.anthropic]
models = ["claude-haiku-4-5"]
breaker = "classic"
concurrency = 4
key = {file = "/run/secrets/anthropic"}

[providers.local]
reply = "Nobody is there right now."
"""


def example() -> Config:
    """The documented example."""
    return parse(tomllib.loads(EXAMPLE))


def test_the_documented_example_means_what_it_says() -> None:
    config = example()
    openai, anthropic = config.providers["openai"], config.providers["anthropic"]
    assert (config.deadline_s, config.retry.base_s, config.retry.patience_s) == (120.0, 0.5, 2.5)
    assert config.degraded_text("chat") == "Please come back in a few minutes."
    assert (openai.kind, openai.timeout_s, openai.connect_timeout_s) == ("openai", 60.0, 5.0)
    assert openai.models[1].price is not None
    assert openai.models[1].price.cached == 0.075
    assert openai.errors == {
        "insufficient_quota": ErrorClass.RATE_LIMIT,
        "418": ErrorClass.OVERLOADED,
    }
    assert openai.health_check is not None
    assert breaker_of(config, openai) == classic(5, 60.0)
    assert breaker_of(config, anthropic) == classic()
    assert breaker_of(config, config.providers["local"]) == BreakerPolicy()
    assert (anthropic.concurrency.start, anthropic.concurrency.max) == (4, 4)
    assert holds_of(openai.hold).credit_s == 300.0


def test_a_providers_retry_overrides_only_what_it_says() -> None:
    config = example()
    rule = retry_rule(config.retry, config.providers["openai"].retry)
    assert (rule.attempts, rule.backoff.kind, rule.backoff.base_s) == (2, "linear", 1.0)
    assert rule.on == frozenset({ErrorClass.TIMEOUT, ErrorClass.SILENT})
    assert rule.patience_s == 2.5
    plain = retry_rule(config.retry, config.providers["anthropic"].retry)
    assert plain == retry_rule(config.retry)
    assert (plain.attempts, plain.backoff.base_s, plain.on) == (4, 0.5, None)


def test_the_dispatcher_is_told_chains_strategies_and_rules() -> None:
    told = dispatcher_settings(example(), {})
    assert told.chains == {
        "chat": ("openai/gpt-5.4-mini", "anthropic/claude-haiku-4-5", "local/stand-in")
    }
    assert told.by_operation == {"chat": "priority"}
    assert told.by_complexity == {"simple": "cheapest", "complex": "best_quality"}
    assert set(told.retry) == {"openai"}
    assert told.guard is not None
    assert (told.guard.cap, told.guard.floor) == (10.0, 5.0)


def test_backoff_waits_1_2_4_8_16_seconds_unless_told_otherwise() -> None:
    backoff = retry_rule(Config().retry).backoff
    assert [backoff.ceiling_s(n) for n in range(1, 6)] == [1.0, 2.0, 4.0, 8.0, 16.0]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("default", BreakerPolicy()),
        ({}, BreakerPolicy()),
        ("classic", classic(5, 60.0)),
        ("expire", expire(3, 300.0)),
        ({"trip_after": 2}, classic(2, 60.0)),
        ({"cooldown": "10s"}, classic(5, 10.0)),
        ({"preset": "expire", "cooldown": "1m"}, expire(3, 60.0)),
        ({"preset": "default", "trip_after": 7}, BreakerPolicy(run_threshold=7)),
        ({"trip_after": 7, "jitter": False}, BreakerPolicy(run_threshold=7, jitter=False)),
        ({"preset": "default", "cooldown": "30s"}, BreakerPolicy(cooldown_s=30.0, cap_s=30.0)),
        ({"ratio": 0}, BreakerPolicy(ratio=None)),
        ({"cap": "60s", "calm": "2m"}, BreakerPolicy(cap_s=60.0, calm_s=120.0)),
        ({"preset": "classic", "close_after": 2}, None),
    ],
)
def test_a_breaker_is_a_preset_two_numbers_or_every_number(
    written: object, meant: BreakerPolicy | None
) -> None:
    policy = breaker_policy(BreakerConfig.read(written))
    if meant is None:
        assert (policy.run_threshold, policy.close_after, policy.ramp_s) == (5, 2, 0.0)
    else:
        assert policy == meant


def test_every_number_of_a_breaker_can_be_configured() -> None:
    own = {"preset", "trip_after"}
    ours = set(BreakerConfig.__struct_fields__) - own
    assert ours == set(BreakerPolicy.__struct_fields__) - {"run_threshold"}


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ({"concurrency": {"min": 5, "max": 4}}, "concurrency.min"),
        ({"concurrency": {"initial": 9, "max": 8}}, "concurrency.initial"),
        ({"health_check": {"interval": "1s", "timeout": "2s"}}, "health_check.timeout"),
        ({"stream": {"first_token_min": "9s", "first_token_max": "8s"}}, "stream.first_token_min"),
        ({"stream": {"gap_min": "70s"}}, "stream.gap_min"),
        ({"stream": {"gap": "70s"}}, "stream.gap"),
        ({"retry": {"base": "2s", "cap": "1s"}}, "retry.base"),
        ({"retry": {"on": ["cancelled"]}}, "retry.on[0]"),
        ({"errors": {"500": "internal"}}, "errors.500"),
        ({"errors": {"200": "server"}}, "errors.200"),
        ({"breaker": {"cooldown": "9s", "cap": "5s"}}, "breaker.cap"),
        ({"breaker": {"preset": "classic", "cap": "5s"}}, "breaker.cap"),
        ({"price": {}}, "price"),
        ({"models": ["m", {"name": "n", "aliases": ["m"]}]}, "models[1]"),
        ({"base_url": "localhost:8000"}, "base_url"),
        ({"base_url": "http://host/v1?key=1"}, "base_url"),
        ({"base_url": "http://[::1"}, "base_url"),
        ({"region": "eu\n"}, "region"),
        ({"free_quota": {"per": "day"}}, "free_quota.requests"),
        ({"free_quota": {"requests": 1, "time_zone": "Mars"}}, "free_quota.time_zone"),
    ],
)
def test_values_that_contradict_each_other_are_refused(section: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({"providers": {"p": section}})
    assert str(caught.value).startswith(f"`providers.p.{path}` ")


@pytest.mark.parametrize(
    ("retry", "path"),
    [
        ({"base": "30s"}, "retry.base"),
        ({"guard": {"floor": 10}}, "retry.guard.floor"),
        ({"budget": {"start": 30}}, "retry.budget.start"),
    ],
)
def test_retry_values_that_contradict_each_other_are_refused(
    retry: dict[str, Any], path: str
) -> None:
    with pytest.raises(ConfigError, match=f"^`{path}` "):
        parse({"retry": retry})


def test_switches_are_written_as_true_false_or_a_table() -> None:
    assert guard_rule(parse({"retry": {"guard": False}}).retry.guard) is None
    assert guard_rule(parse({"retry": {"guard": True}}).retry.guard) is not None
    assert provider(health_check=False).health_check is None
    assert provider(health_check={"enabled": False}).health_check is None
    assert provider(health_check=True).health_check is not None
    assert provider().health_check is None


def test_a_concurrency_cap_below_the_usual_start_starts_there() -> None:
    assert ConcurrencyConfig.read({"max": 3}).start == 3
    assert ConcurrencyConfig.read({"min": 20}).start == 20
    assert ConcurrencyConfig().start == 8


def test_a_long_first_hold_lifts_the_longest() -> None:
    assert holds_of(HoldConfig.read({"credit": "12h"})).cap_s == 12 * 3600.0
