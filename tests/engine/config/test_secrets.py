"""Secrets: from the environment or a file, and shown nowhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.engine.config.documents import Document, documents, leaves, provider, replaced
from understudy.config import load, parse, problems, redacted, resolve_headers, resolve_key
from understudy_actors.domain.errors import ConfigError

SECRET = "sk-test-4f9c2a7be1d84c60"
few = settings(
    max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def refusal(table: Document) -> str:
    """The whole error, or nothing."""
    try:
        parse(table)
    except ConfigError as error:
        return f"{error} {error!r} {error.args} {vars(error)}"
    return ""


@few
@given(document=documents())
def test_a_secret_in_the_configuration_shows_nowhere(document: Document) -> None:
    for each in document["providers"].values():
        each["key"] = {"insecure_inline": SECRET}
        each["headers"] = {"X-Team": SECRET, "Authorization": {"insecure_inline": SECRET}}
    config = parse(document)
    shown = [repr(config), str(config), f"{config}", json.dumps(redacted(config))]
    shown += [str(each) for each in problems(config, strategies=())]
    for text in shown:
        assert SECRET not in text
    with pytest.raises(TypeError) as caught:
        msgspec.json.encode(config)
    assert SECRET not in str(caught.value)


@few
@given(document=documents(), data=st.data())
def test_a_misplaced_secret_shows_in_no_error(document: Document, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(list(leaves(document))))
    assert SECRET not in refusal(replaced(document, path, SECRET))
    assert SECRET not in refusal(replaced(document, path, {SECRET: SECRET}))
    assert SECRET not in refusal({**document, SECRET: SECRET})


@pytest.mark.parametrize(
    "key",
    [
        "plain words that are a key",
        {"env": "plain words that are a key"},
        {"inline": "plain words that are a key"},
        {"env": "A", "insecure_inline": "plain words that are a key"},
        {"insecure_inline": ["plain words that are a key"]},
        ["plain words that are a key"],
        {"file": ["plain words that are a key"]},
    ],
)
def test_whatever_stands_under_key_is_never_shown(key: object) -> None:
    said = refusal({"providers": {"p": {"key": key}}})
    assert "providers.p.key" in said
    assert "plain words" not in said
    said = refusal({"providers": {"p": {"headers": {"X-Api-Key": key}}}})
    assert "providers.p.headers.X-Api-Key" in said
    assert "plain words" not in said


def test_an_inline_key_is_refused_and_the_error_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"`providers\.p\.key` .*env:NAME_OF_VARIABLE"):
        parse({"providers": {"p": {"key": SECRET}}})


def test_a_key_under_a_wrong_name_is_guessed_and_not_shown() -> None:
    with pytest.raises(
        ConfigError, match=r"`providers\.p\.api_key` is no key.*mean `key`"
    ) as caught:
        parse({"providers": {"p": {"api_key": SECRET}}})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.toml", f"[providers.p]\nkey = {SECRET}"),
        ("c.toml", f'[providers.p]\nkey = "{SECRET}"\nkey = "{SECRET}"'),
        ("c.toml", f'"{SECRET}" = 1\n"{SECRET}" = 1'),
        ("c.yaml", f"providers:\n  p:\n    key: *{SECRET}"),
        ("c.yaml", f'providers: {{p: {{key: "{SECRET}}}}}'),
        ("c.yaml", f"providers: {{p: {{key: !{SECRET} x}}}}"),
        ("c.json", f'{{"providers": {{"p": {{"key": {SECRET}}}}}}}'),
    ],
)
def test_a_broken_file_is_not_quoted(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / name)
    assert SECRET not in str(caught.value)


def test_a_key_is_read_from_its_variable_or_file_when_it_is_needed(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f" {SECRET}\n")
    from_file = provider(key=f"file:{tmp_path / 'key'}")
    from_variable = provider(key="env:TEST_KEY", headers={"X-Key": "env:TEST_KEY", "X-Team": "a"})
    key = resolve_key("p", from_file, {})
    assert key is not None
    assert key.reveal() == SECRET
    assert resolve_key("p", from_variable, {"TEST_KEY": SECRET}) == key
    headers = resolve_headers("p", from_variable, {"TEST_KEY": SECRET})
    assert {name: each.reveal() for name, each in headers.items()} == {
        "X-Key": SECRET,
        "X-Team": "a",
    }


@pytest.mark.parametrize(
    ("key", "environ", "says"),
    [
        ("env:TEST_KEY", {}, "needs the environment variable TEST_KEY: set it"),
        ("env:TEST_KEY", {"TEST_KEY": "  "}, "needs the environment variable TEST_KEY: set it"),
        ("env:TEST_KEY", {"TEST_KEY": f"{SECRET}\nx"}, "line breaks"),
        ("file:/nowhere/key", {}, "needs the file /nowhere/key, which cannot be read"),
        ("file:/dev/null", {}, "needs the file /dev/null, which is empty"),
    ],
)
def test_a_key_that_cannot_be_read_is_named_at_use(
    key: str, environ: dict[str, str], says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_key("p", provider(key=key), environ)
    assert str(caught.value).startswith("`providers.p.key` ")
    assert says in str(caught.value)
    assert SECRET not in str(caught.value)


def test_the_usual_variable_is_taken_only_for_the_usual_address() -> None:
    environ = {"OPENAI_API_KEY": SECRET}
    assert resolve_key("openai", provider(), environ) is not None
    assert resolve_key("mine", provider(kind="openai"), environ) is not None
    elsewhere = provider(kind="openai", base_url="https://elsewhere.test/v1")
    assert resolve_key("mine", elsewhere, environ) is None
    assert resolve_key("local", provider(), {}) is None
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        resolve_key("openai", provider(), {})


def test_what_is_shown_says_where_secrets_come_from() -> None:
    table: dict[str, Any] = {
        "a": {"key": "env:A_KEY"},
        "b": {"key": {"file": "/run/key"}},
        "c": {"key": {"insecure_inline": SECRET}},
    }
    shown = redacted(parse({"providers": table, "functions": {"f": len}}))["providers"]
    assert [shown[name]["key"] for name in "abc"] == ["env:A_KEY", "file:/run/key", "<secret>"]
    assert shown["f"]["function"] == "<function len>"
