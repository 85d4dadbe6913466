"""Faults planted in the import of LiteLLM's files; a test of those beside it notices each."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from typing import Final

import pytest

from tests.engine.config import test_litellm as tests
from tests.support.mutants import Mutant
from understudy_actors.domain.errors import ConfigError

_PACKAGE: Final = "understudy.config.imports"
SEAMS: Final = {
    "account": ("deployments:account_of",),
    "gathering": ("litellm:providers",),
    "fallbacks": ("litellm:read_fallbacks",),
    "deployments": ("litellm:deployments", "litellm:served", "litellm:usual_keys"),
    "reading": ("litellm:Draft",),
    "model": ("deployments:model_of",),
    "settings": ("litellm:read_section", "litellm:finish"),
}
"""Where each module's functions are called from."""


def shares() -> None:
    tests.test_shares_of_the_traffic("tpm: 4000000", "tpm: 1000000", [1e6, 250_000.0])


def chains() -> None:
    rest = "litellm_settings: {fallbacks: [{a: [b]}, {b: [c]}]}"
    tests.test_fallbacks_of_every_kind(rest, {"a": ["b", "c"], "b": ["c"]})


def aliases() -> None:
    rest = "litellm_settings: {fallbacks: [{a: [b]}]}\n"
    rest += "router_settings: {model_group_alias: {d: a}}"
    tests.test_fallbacks_of_every_kind(rest, {"a": ["b"], "d": ["b"]})


def secrets() -> None:
    made = tests.one("model: openai/m, api_key: literal-one, extra_headers: {x-token: other-one}")
    told = json.dumps([made.table, [(each.setting, each.why) for each in made.lines]])
    assert "literal-one" not in told
    assert "other-one" not in told
    assert len(made.exports) == 2


def prices() -> None:
    tests.test_parameters_of_a_model("input_cost_per_token: 2.5e-06", {"price": {"input": 2.5}})


def trips() -> None:
    made = tests.one("model: gpt-4o", "router_settings: {allowed_fails: 3}")
    assert made.table["breaker"] == {"trip_after": 4}


def keeps_the_routers() -> None:
    rest = "litellm_settings: {num_retries: 5}\nrouter_settings: {num_retries: 2}"
    made = tests.one("model: gpt-4o", rest)
    assert made.table["retry"] == {"attempts": 2}
    assert any("wins over it" in each.why for each in made.lines)


def wrong_values() -> None:
    made = tests.one("model: openai/m, timeout: -3, rpm: many")
    tests.loads(made.table)


FAULTS: Final[list[tuple[str, str, str, str, Callable[[], None]]]] = [
    (
        "account",
        "a key of the file is written",
        'draft.secret(key, name, params.at("api_key"))',
        "str(key)",
        secrets,
    ),
    ("account", "secret headers are texts", "or carries_secret(header)", "or False", secrets),
    ("reading", "nobody is told to export", "self.notes.export(name, path)", "pass", secrets),
    (
        "reading",
        "a secret takes the name of another",
        "*self.environ, *self.taken}",
        "*self.environ}",
        tests.test_a_secret_of_the_file_never_takes_the_name_of_another,
    ),
    (
        "reading",
        "a wrong value is written",
        "            return False\n",
        "            pass\n",
        wrong_values,
    ),
    ("gathering", "shares are cut off", "share / scale", "min(1e6, share)", shares),
    ("fallbacks", "a fallback has none", "waiting[:0] =", "_ =", chains),
    ("fallbacks", "an alias has none", "found[alias] = found[name]", "pass", aliases),
    ("model", "prices for a token", "round(value * times, 6)", "value", prices),
    ("settings", "one failure too few", "value + 1 if", "value if", trips),
    ("settings", "the first section wins", "key in over.table", "False", keeps_the_routers),
]


@pytest.mark.parametrize(
    ("module", "name", "old", "new", "law"), FAULTS, ids=[each[1] for each in FAULTS]
)
def test_each_is_noticed(
    module: str,
    name: str,
    old: str,
    new: str,
    law: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    law()
    faulty = Mutant(name, f"{_PACKAGE}.{module}", old, new).plant()
    for seam in SEAMS[module]:
        where, _, what = seam.partition(":")
        monkeypatch.setattr(
            importlib.import_module(f"{_PACKAGE}.{where}"), what, vars(faulty)[what]
        )
    with pytest.raises((AssertionError, ConfigError)):
        law()
