"""Planted faults: each law here notices the fault that breaks it, and passes the real module."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import trio

from tests.engine.config.documents import provider
from tests.support.mutants import Mutant
from understudy.config import (
    breaker_policy,
    checks,
    discovery,
    environment,
    faults,
    key,
    parse,
    presets,
    resolve,
    section,
    values,
    yamlfile,
)
from understudy.config.breaker import BreakerConfig
from understudy_actors.domain.errors import ConfigError

SECRET = "sk-test-4f9c2a7be1d84c60"
Law = Callable[[Any], bool]


def refused(action: Callable[[], object]) -> str | None:
    """The error's text, or None."""
    try:
        action()
    except ConfigError as error:
        return str(error)
    except LookupError:
        return None
    return None


def hours_and_minutes_add_up(module: Any) -> bool:
    """2h30m is 9000 seconds."""
    return bool(module.parse_duration("2h30m") == 9000.0 and module.parse_duration("5ms") == 0.005)


def unknown_keys_are_refused(module: Any) -> bool:
    """A section takes only its own keys."""

    class Small(module.Section, frozen=True, kw_only=True):  # type: ignore[misc, call-arg]
        size: int = 1

    return (
        refused(lambda: Small.read({"sise": 2})) is not None and Small.read({"size": 2}).size == 2
    )


def explicit_keys_win(module: Any) -> bool:
    """The last layer wins, and a breaker is never mixed of two."""
    mixed = module.layered({"a": 1, "breaker": {"x": 1}}, {"a": 2, "breaker": {"y": 2}})
    return bool(mixed == {"a": 2, "breaker": {"y": 2}})


def keys_stay_hidden(module: Any) -> bool:
    """Neither an error nor a description shows an inline key."""
    source = module.KeySource.read({"insecure_inline": SECRET})
    said = refused(lambda: module.KeySource.read("plain words")) or "plain words"
    return SECRET not in source.describe() and "plain words" not in said


def secrets_are_masked(module: Any) -> bool:
    """A value that looks like a key is not shown, one that does not is."""
    shown = module.show("gpt-5.4-mini")
    return SECRET not in module.show(SECRET) and shown == '"gpt-5.4-mini"'


def ttl_is_the_rule_of_three(module: Any) -> bool:
    """UNDERSTUDY_UNHEALTHY_TTL opens after three failures."""
    found = module.settings({"UNDERSTUDY_UNHEALTHY_TTL": "300s"})
    return breaker_policy(BreakerConfig.read(found["breaker"])).run_threshold == 3


def a_key_stays_home(module: Any) -> bool:
    """The usual key is not sent to an unusual address."""
    elsewhere = provider(kind="openai", base_url="https://elsewhere.test")
    return module.key_source("p", elsewhere) is None


def yaml_words_are_words(module: Any) -> bool:
    """`on` is a key, `true` is a boolean."""
    return bool(module.read_yaml("on: true") == {"on": True})


def a_strange_server_is_no_server(module: Any) -> bool:
    """A probe that raises ends nothing."""

    async def probe(url: str) -> list[str]:
        raise ValueError(url)

    try:
        config = trio.run(module.discover, {}, probe)
    except BaseExceptionGroup:
        return False
    return list(config.providers) == ["local"]


def twice_in_a_chain_is_refused(module: Any) -> bool:
    """An endpoint stands in a chain once."""
    table = {
        "providers": {"openai": {"models": ["m"]}},
        "operations": {"chat": {"chain": ["openai", "openai/m"]}},
    }
    names = ("adaptive", "economy", "best_quality")
    return len(module.problems(parse(table), strategies=names)) == 1


PLANTED: list[tuple[Law, ModuleType, str, str, str]] = [
    (hours_and_minutes_add_up, values, "minutes lost", "3_600.0, 60.0", "3_600.0, 0.0"),
    (hours_and_minutes_add_up, values, "milli is second", "1_000.0", "1.0"),
    (unknown_keys_are_refused, section, "unknown key ignored", "key not in names:", "not names:"),
    (explicit_keys_win, presets, "breakers mixed", 'frozenset({"breaker"})', "frozenset()"),
    (explicit_keys_win, presets, "first wins", "in layers:", "in layers[::-1]:"),
    (keys_stay_hidden, key, "key shown", 'else "<secret>"', "else self.insecure_inline.reveal()"),
    (keys_stay_hidden, key, "key not private", "private: ClassVar[bool] = True", "pass"),
    (secrets_are_masked, faults, "no mask", "if _SECRETIVE.search(text):", "if not text:"),
    (ttl_is_the_rule_of_three, environment, "rule of five", '"expire", "coo', '"classic", "coo'),
    (a_key_stays_home, resolve, "key travels", " or provider.base_url is not None", ""),
    (yaml_words_are_words, yamlfile, "YAML 1.1", "if tag != _BOOL]", "if tag]"),
    (
        a_strange_server_is_no_server,
        discovery,
        "probe raises",
        "except Exception",
        "except OSError",
    ),
    (twice_in_a_chain_is_refused, checks, "twice is fine", "seen.update(found)", "seen.update(())"),
]
FAULTS = [
    pytest.param(law, module, Mutant(name, module.__name__, old, new), id=name)
    for law, module, name, old, new in PLANTED
]


@pytest.mark.parametrize(("law", "module", "fault"), FAULTS)
def test_a_planted_fault_is_noticed(law: Law, module: ModuleType, fault: Mutant) -> None:
    assert law(module)
    assert not law(fault.plant())
