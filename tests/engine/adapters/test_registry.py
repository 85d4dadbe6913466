"""Provider kinds are found by name, and added to one registry alone."""

from __future__ import annotations

import pytest

from understudy.adapters.base import CallAdapter, WireAdapter
from understudy.adapters.local import LocalAdapter
from understudy.adapters.registry import Kind, Registry
from understudy_actors.domain.errors import ConfigError


@pytest.mark.parametrize("name", Registry().names)
def test_every_built_in_kind_makes_an_adapter(name: str) -> None:
    kind = Registry().get(name)
    adapter = kind.make({"function": print} if name == "function" else {})
    assert isinstance(adapter, WireAdapter | CallAdapter)
    assert adapter.name == name
    if name != "function":
        assert adapter.operations == kind.operations


def test_a_kind_of_the_users_own_is_one_object_and_stays_in_its_registry() -> None:
    mine = Kind("mine", lambda options: LocalAdapter(name="mine", **options), ("chat",))
    registry = Registry()
    registry.register(mine)
    assert registry.get("mine") is mine
    assert "mine" not in Registry().names
    with pytest.raises(ConfigError, match="'mine' already"):
        registry.register(mine)


def test_an_unknown_kind_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ConfigError, match=r"'opnai'.*anthropic, .*function, gemini"):
        Registry().get("opnai")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("function", {}),
        ("function", {"function": 7}),
        ("function", {"function": print, "colour": 1}),
        ("local", {"dimensions": 0}),
        ("local", {"colour": 1}),
    ],
)
def test_options_that_make_no_adapter_are_a_configuration_error(
    name: str, options: dict[str, object]
) -> None:
    with pytest.raises(ConfigError, match=name):
        Registry().get(name).make(options)
