"""Imports of LiteLLM's files: what comes out loads, hides secrets, and does as they say."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings, strategies as st

from tests.engine.cli.test_verbs import run
from understudy import AllAttemptsFailed, Request, open_engine
from understudy.cli.imports import written
from understudy.config import check, load, parse
from understudy.config.files import read_table
from understudy.config.imports import Fate, Imported, from_litellm, write_toml
from understudy.config.imports.reading import UNKNOWN
from understudy.config.imports.settings import HANDLERS
from understudy.config.yamlfile import read_yaml
from understudy_actors.dispatcher.strategies import BUILT_IN
from understudy_actors.domain.errors import ConfigError
from understudy_sim.faults import Failures
from understudy_sim.mock import MockSettings, running_mock
from understudy_sim.mock.settings import Behaviour

SAMPLES: Final = sorted((Path(__file__).parent / "litellm").glob("*.yaml"))
SECRETS: Final = (
    "sk-abcdefghijklmnop123456", "sk-1234", "user:pw", "gsk_12345678", "hunter2", "of-the-file",
    "fake-key", "none-needed", "tok-123456789-of-headers",
)  # fmt: skip
"""What stands in the samples as if it were secret."""
STRUCTURE: Final = ("model", "custom_llm_provider", "base_url")
"""Keys that an entry's own line speaks of."""


def imported(text: str, **environ: str) -> Imported:
    """The import of a YAML text."""
    table = read_yaml(text)
    assert isinstance(table, dict)
    return from_litellm(table, environ)


def one(params: str, rest: str = "", **environ: str) -> Imported:
    """The import of one deployment of the group `g`."""
    text = f"model_list: [{{model_name: g, litellm_params: {{{params}}}}}]\n{rest}"
    return imported(text, **environ)


def loads(table: dict[str, Any]) -> None:
    """It is a configuration that could run."""
    check(parse(table), strategies=BUILT_IN)


def leaves(source: Mapping[str, Any]) -> Iterator[str]:
    """Every setting of a file, by its path."""
    for section, value in source.items():
        for place, entry in enumerate(value if section == "model_list" else ()):
            for part in ("litellm_params", "model_info"):
                for key in entry.get(part, {}):
                    yield f"model_list[{place}].{part}.{key}"
        if isinstance(value, dict):
            yield from (f"{section}.{key}" for key in value)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_each_sample_loads_tells_all_and_hides_its_secrets(path: Path, tmp_path: Path) -> None:
    source = read_table(path)
    made = from_litellm(source, {})
    texts = {ending: written(made, path, ending) for ending in (".toml", ".yaml", ".json")}
    configs = []
    for ending, text in texts.items():
        (tmp_path / f"made{ending}").write_text(text)
        configs.append(load(tmp_path / f"made{ending}"))
        check(configs[-1], strategies=BUILT_IN)
    assert configs[0] == configs[1] == configs[2] == parse(made.table)
    told = json.dumps([(each.setting, each.why) for each in made.lines])
    assert not [word for word in SECRETS if word in told or word in "".join(texts.values())]
    assert UNKNOWN not in told
    lost = {each.setting for each in made.lines if each.fate is Fate.DROPPED}
    for leaf in leaves(source):
        entry, _, key = leaf.partition(".")[0], *leaf.rpartition(".")[1:]
        covered = any(each.setting.startswith(leaf) for each in made.lines)
        by_entry = entry in lost or key in STRUCTURE or key.startswith("supports_")
        assert covered or by_entry, f"nothing is said of {leaf}"


def test_there_are_samples_enough() -> None:
    assert len(SAMPLES) >= 8


def test_the_command_writes_a_file_that_checks(tmp_path: Path) -> None:
    out = str(tmp_path / "understudy.toml")
    first = run("import", "litellm", str(SAMPLES[0]), "-o", out)
    assert first.exit_code == 0, first.stderr
    assert "carried" in first.stdout
    assert run("config", "check", out).exit_code == 0
    again = run("import", "litellm", str(SAMPLES[0]), "-o", out)
    assert (again.exit_code, "--force" in again.stderr) == (2, True)
    shown = run("import", "litellm", str(SAMPLES[0]), "-o", out, "--force", "--json")
    document = json.loads(shown.stdout)
    assert tomllib.loads(Path(out).read_text()) == document["config"]
    assert {each["fate"] for each in document["settings"]} == {"carried", "changed", "dropped"}
    plain = run("import", "litellm", str(SAMPLES[0]))
    assert tomllib.loads(plain.stdout) == document["config"]
    assert "export " in plain.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "it is empty"),
        ("model_list: [{model_name: a, litellm_params: {model: sagemaker/x}}]", "no adapter"),
        ("model_list: [7]", "needs `model_name`"),
    ],
)
def test_what_serves_nothing_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        imported(text)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("simple-shuffle", "random"),
        ("least-busy", "least_busy"),
        ("usage-based-routing-v2", "weighted"),
        ("latency-based-routing", "fastest"),
        ("cost-based-routing", "cheapest"),
        ("something-else", "random"),
    ],
)
def test_strategies_by_their_names(theirs: str, ours: str) -> None:
    made = one("model: gpt-4o", f"router_settings: {{routing_strategy: {theirs}}}")
    assert made.table["strategy"] == ours
    assert one("model: gpt-4o").table["strategy"] == "random", "theirs is the default"


PARAMS: Final[list[tuple[str, dict[str, Any]]]] = [
    ("timeout: 30", {"timeout": 30}),
    ("timeout: '30'", {"timeout": 30}),
    ("timeout: os.environ/T", {"timeout": 12}),
    ("stream_timeout: 3", {"stream": {"first_token_max": 3, "first_token_min": 3}}),
    ("stream_timeout: 30", {"stream": {"first_token_max": 30}}),
    ("max_retries: 0", {"retry": {"attempts": 0}}),
    ("max_parallel_requests: 4", {"concurrency": 4}),
    ("organization: org-1", {"headers": {"OpenAI-Organization": "org-1"}}),
    ("extra_headers: {x-a: 'b:c'}", {"headers": {"x-a": {"text": "b:c"}}}),
    ("extra_headers: {x-token: abc}", {"headers": {"x-token": "env:X_TOKEN"}}),
    ("extra_headers: {x-a: os.environ/B}", {"headers": {"x-a": "env:B"}}),
    ("tags: [a]", {"tags": ["a"]}),
    ("api_key: os.environ/K", {"key": "env:K"}),
    ("api_key: literal", {"key": "env:OPENAI_API_KEY"}),
    ("api_base: 'http://h/v1'", {"base_url": "http://h/v1", "key": "env:OPENAI_API_KEY"}),
    ("api_base: os.environ/URL", {"base_url": "http://u/v1", "key": "env:OPENAI_API_KEY"}),
]
ADDRESSES: Final = [
    ("azure/d", "https://x.openai.azure.com/", "https://x.openai.azure.com/openai/v1"),
    ("azure/d", "https://x.openai.azure.com/openai/v1/", "https://x.openai.azure.com/openai/v1"),
    ("ollama/d", "http://h:11434", "http://h:11434/v1"),
    ("ollama_chat/d", "http://h:11434/v1", "http://h:11434/v1"),
    ("anthropic/d", "https://h/v1/messages", "https://h"),
    ("hosted_vllm/d", "http://h:8000/v1/", "http://h:8000/v1"),
    ("openai_like/d", "http://h/v1/chat/completions", "http://h/v1"),
]


@pytest.mark.parametrize(("model", "theirs", "ours"), ADDRESSES)
def test_addresses_as_our_adapters_want_them(model: str, theirs: str, ours: str) -> None:
    made = one(f"model: {model}, api_base: '{theirs}'")
    (provider,) = made.table["providers"].values()
    assert provider["base_url"] == ours
    loads(made.table)


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("together_ai/m", "env:TOGETHERAI_API_KEY"),
        ("openai/m", None),
        ("fireworks_ai/m", "env:FIREWORKS_AI_API_KEY"),
        ("ollama/m", None),
    ],
)
def test_a_key_that_nobody_names_is_where_they_look_for_it(model: str, key: str | None) -> None:
    (provider,) = one(f"model: {model}").table["providers"].values()
    assert provider.get("key") == key


MODEL: Final[list[tuple[str, dict[str, Any]]]] = [
    ("rpm: 5", {"requests_per_minute": 5}),
    ("tpm: 6", {"tokens_per_minute": 6}),
    ("order: 2", {"priority": 2}),
    ("max_tokens: 99", {"max_output": 99}),
    ("input_cost_per_token: 2.5e-06", {"price": {"input": 2.5}}),
    (
        "input_cost_per_token: '1e-06', output_cost_per_token: 0",
        {"price": {"input": 1.0, "output": 0}},
    ),
]


@pytest.mark.parametrize(("params", "section"), PARAMS)
def test_parameters_of_an_account(params: str, section: dict[str, Any]) -> None:
    made = one(f"model: openai/m, {params}", T="12", URL="http://u/v1")
    models = [{"name": "m", "groups": ["g"]}]
    assert made.table["providers"] == {"openai": {"kind": "openai", **section, "models": models}}
    loads(made.table)


@pytest.mark.parametrize(("params", "section"), MODEL)
def test_parameters_of_a_model(params: str, section: dict[str, Any]) -> None:
    (model,) = one(f"model: openai/m, {params}").table["providers"]["openai"]["models"]
    assert model == {"name": "m", **section, "groups": ["g"]}


def test_a_secret_of_the_file_never_takes_the_name_of_another() -> None:
    text = """
    model_list:
    - {model_name: g, litellm_params: {model: openai/m, api_key: one}}
    - {model_name: g, litellm_params: {model: openai/m, api_key: os.environ/OPENAI_API_KEY}}
    - {model_name: g, litellm_params: {model: groq/m, api_key: two}}
    - {model_name: g, litellm_params: {model: groq/m}}
    - {model_name: h, litellm_params: {model: openai/n, api_key: one}}
    """
    made = imported(text)
    keys = [each.get("key") for each in made.table["providers"].values()]
    assert keys == ["env:OPENAI_API_KEY_2", "env:OPENAI_API_KEY", "env:GROQ_API_KEY_2", None]
    assert [each.variable for each in made.exports] == ["OPENAI_API_KEY_2", "GROQ_API_KEY_2"]


WEIGHTED: Final = """
model_list:
- {{model_name: g, litellm_params: {{model: openai/a, {0}}}}}
- {{model_name: g, litellm_params: {{model: openai/b, {1}}}}}
"""


@pytest.mark.parametrize(
    ("first", "second", "weights"),
    [
        ("weight: 3", "weight: 1", [3.0, 1.0]),
        ("weight: 3", "rpm: 1", [3.0, 1.0]),
        ("weight: 0", "weight: 1", [1e-6, 1.0]),
        ("rpm: 900", "rpm: 100", [900.0, 100.0]),
        ("tpm: 4000000", "tpm: 1000000", [1e6, 250_000.0]),
        ("timeout: 3", "timeout: 3", [None, None]),
    ],
)
def test_shares_of_the_traffic(first: str, second: str, weights: list[float | None]) -> None:
    made = imported(WEIGHTED.format(first, second))
    models = made.table["providers"]["openai"]["models"]
    assert [each.get("weight") for each in models] == weights
    other = "router_settings: {routing_strategy: least-busy}"
    models = imported(WEIGHTED.format(first, second) + other).table["providers"]["openai"]["models"]
    assert [each.get("weight") for each in models] == [None, None]


THREE: Final = """
model_list:
- {model_name: a, litellm_params: {model: openai/a}}
- {model_name: b, litellm_params: {model: openai/b}}
- {model_name: c, litellm_params: {model: openai/c}}
"""


@pytest.mark.parametrize(
    ("rest", "fallbacks"),
    [
        ("litellm_settings: {fallbacks: [{a: [b]}]}", {"a": ["b"]}),
        ("litellm_settings: {fallbacks: [{a: [b]}, {b: [c]}]}", {"a": ["b", "c"], "b": ["c"]}),
        ("router_settings: {fallbacks: [{a: [b]}, {b: [a]}]}", {"a": ["b"], "b": ["a"]}),
        ("litellm_settings: {default_fallbacks: [c]}", {"a": ["c"], "b": ["c"]}),
        ("litellm_settings: {fallbacks: [{'*': [c]}]}", {"a": ["c"], "b": ["c"]}),
        (
            "litellm_settings: {fallbacks: [{a: [b]}], context_window_fallbacks: [{a: [c]}]}",
            {"a": ["b", "c"]},
        ),
        ("litellm_settings: {fallbacks: [{a: [x, b]}, {y: [a]}]}", {"a": ["b"]}),
        (
            "litellm_settings: {fallbacks: [{a: [b]}]}\nrouter_settings: {fallbacks: [{a: [c]}]}",
            {"a": ["c"]},
        ),
        ("litellm_settings: {fallbacks: [{a: [{model: b, timeout: 3}]}]}", {"a": ["b"]}),
        (
            "litellm_settings: {fallbacks: [{a: [b]}]}\n"
            "router_settings: {model_group_alias: {d: a}}",
            {"a": ["b"], "d": ["b"]},
        ),
        ("litellm_settings: {fallbacks: 7}", None),
    ],
)
def test_fallbacks_of_every_kind(rest: str, fallbacks: dict[str, list[str]] | None) -> None:
    made = imported(THREE + rest)
    assert made.table.get("fallbacks") == fallbacks
    loads(made.table)


def test_refused_content_is_rerouted_where_they_would() -> None:
    made = imported(THREE + "litellm_settings: {content_policy_fallbacks: [{a: [b]}]}")
    assert made.table["reroute_refused_content"] is True
    assert "reroute_refused_content" not in imported(THREE).table


def test_attempts_reach_the_end_of_the_longest_chain() -> None:
    rest = "litellm_settings: {{num_retries: {0}, fallbacks: [{{a: [b]}}, {{b: [c]}}]}}"
    assert imported(THREE + rest.format(0)).table["max_attempts"] == 3
    assert imported(THREE + rest.format(2)).table["max_attempts"] == 9
    assert imported(THREE).table["max_attempts"] == 3


texts = st.text("ab/*-.: os{}$éß\n\x7f\"'\\", max_size=12)
plain = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    plain | st.sampled_from(["os.environ/X", "os.environ/", "openai/m", "g", "1d"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)
_KEYS: Final = (
    "api_key", "api_base", "rpm", "tpm", "weight", "order", "timeout", "stream_timeout", "tags",
    "max_retries", "input_cost_per_token", "output_cost_per_image", "extra_headers", "headers",
    "organization", "max_parallel_requests", "region_name", "max_tokens", "custom_llm_provider",
    "cache_read_input_token_cost", "api_version",
)  # fmt: skip
_INFO: Final = ("mode", "max_input_tokens", "max_tokens", "supports_vision", "id")
_MODELS: Final = ("openai/m", "gpt-4o", "groq/*", "azure/d", "ollama/x", "cohere/c", "b ad", "*")
entries = st.fixed_dictionaries(
    {
        "model_name": st.sampled_from(["g", "h", "*", "a b", "openai/*"]) | texts,
        "litellm_params": st.builds(
            dict,
            st.dictionaries(st.sampled_from(_KEYS), values, max_size=4),
            model=st.sampled_from(_MODELS),
        ),
        "model_info": st.dictionaries(st.sampled_from(_INFO), values, max_size=2),
    }
)
_SHARED: Final = (
    "fallbacks", "default_fallbacks", "context_window_fallbacks", "content_policy_fallbacks",
    "model_group_alias", "cache_params", "budget_duration", "health_check_interval", "unheard_of",
)  # fmt: skip
sections = {
    name: st.dictionaries(
        st.sampled_from([*handlers, *_SHARED]), st.just(True) | values, max_size=4
    )
    for name, handlers in HANDLERS.items()
}


@given(
    st.lists(entries | values, min_size=1, max_size=4),
    st.fixed_dictionaries({}, optional=sections),
    st.dictionaries(texts, values, max_size=2),
)
@settings(max_examples=40)
def test_whatever_stands_in_a_file_what_comes_out_loads(
    entries: list[Any], sections: dict[str, Any], variables: dict[str, Any]
) -> None:
    source = {"model_list": entries, **sections, "environment_variables": variables}
    try:
        made = from_litellm(source, {"X": "http://x/v1"})
    except ConfigError:
        return
    loads(made.table)
    assert tomllib.loads(write_toml(made.table)) == made.table


_toml_keys = st.text(max_size=5)
tables = st.recursive(
    st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_toml_keys, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_toml_keys, tables, max_size=4))
@settings(max_examples=50)
def test_what_is_written_as_toml_reads_back(table: dict[str, Any]) -> None:
    assert tomllib.loads(write_toml(table)) == table


SERVED: Final = """
model_list:
- model_name: main
  litellm_params: {model: openai/m, api_base: os.environ/DOWN, api_key: os.environ/K, order: 1}
- model_name: main
  litellm_params: {model: hosted_vllm/m, api_base: os.environ/UP, order: 2}
- model_name: other
  litellm_params: {model: openai_like/n, api_base: os.environ/OTHER, api_key: sk-literal}
litellm_settings: {num_retries: 0, fallbacks: [{main: [other]}, {other: [main]}]}
router_settings: {model_group_alias: {nickname: main}}
"""


@pytest.mark.wall_clock
@pytest.mark.parametrize(
    ("broken", "asked", "served"),
    [
        ((), "main", ["DOWN"]),
        (("DOWN",), "main", ["DOWN", "UP"]),
        (("DOWN",), "nickname", ["DOWN", "UP"]),
        (("DOWN", "UP"), "main", ["DOWN", "UP", "OTHER"]),
        (("OTHER",), "other", ["OTHER", "DOWN"]),
        (("DOWN", "UP", "OTHER"), "main", ["DOWN", "UP", "OTHER"]),
    ],
)
async def test_requests_go_where_the_file_says(
    broken: tuple[str, ...], asked: str, served: list[str]
) -> None:
    def mock(name: str) -> Any:
        probability = 1.0 if name in broken else 0.0
        failures = Failures(server_error_probability=probability)
        own = Behaviour(reply=name)
        return running_mock(MockSettings(provider=name, behaviour=own, failures=failures))

    async with mock("DOWN") as down, mock("UP") as up, mock("OTHER") as other:
        handles = {"DOWN": down, "UP": up, "OTHER": other}
        environ = {name: f"{each.url}/v1" for name, each in handles.items()} | {"K": "key"}
        made = imported(SERVED, **environ)
        environ |= {each.variable: "given" for each in made.exports}
        config = {**made.table, "log": {"level": "off"}}
        async with open_engine(config, environ=environ) as engine:
            try:
                result = await engine.route(Request.chat("hi", model=asked))
                attempts = result.attempts
                assert result.text == served[-1]
            except AllAttemptsFailed as error:
                attempts = error.attempts
                assert len(broken) == len(handles)
        named = {"openai": "DOWN", "hosted_vllm": "UP", "openai_like": "OTHER"}
        assert [named[each.endpoint.partition("/")[0]] for each in attempts] == served


def test_nothing_is_looked_up_beyond_what_is_given() -> None:
    assert "HOME" in os.environ
    with pytest.raises(ConfigError, match="address"):
        one("model: openai/m, api_base: os.environ/HOME")
