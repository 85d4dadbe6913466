"""Laws of reading: three languages mean the same, and every fault is found and named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings, strategies as st

from tests.engine.config.documents import (
    Document,
    documents,
    leaves,
    replaced,
    tables,
    to_toml,
    written,
)
from understudy.config import Config, find, from_keywords, load, parse, redacted
from understudy_actors.domain.errors import ConfigError

few = settings(
    max_examples=30,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
    ],
)


@few
@given(document=documents())
def test_toml_yaml_and_json_give_the_same_configuration(
    document: Document, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("same")
    texts = {
        "c.toml": to_toml(document),
        "c.yaml": yaml.safe_dump(document, allow_unicode=True),
        "c.json": json.dumps(document),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        assert load(folder / name) == parse(document)


@few
@given(document=documents())
def test_reading_is_idempotent_and_building_by_keywords_is_the_same(document: Document) -> None:
    config = parse(document)
    assert from_keywords(**document) == config
    assert Config(**{name: getattr(config, name) for name in config.__struct_fields__}) == config
    assert find(config, {}) is config
    bound = find(config, {}, functions={"zz9": len})
    assert bound == parse(document, functions={"zz9": len})


@few
@given(document=documents())
def test_what_is_shown_of_a_configuration_reads_back_as_the_same(document: Document) -> None:
    config = parse(document)
    for provider in document.get("providers", {}).values():
        assume("plain text" not in provider.get("headers", {}).values())
    assert parse(json.loads(json.dumps(redacted(config)))) == config


@few
@given(document=documents(), data=st.data())
def test_an_unknown_key_anywhere_is_refused_with_its_path(
    document: Document, data: st.DataObject
) -> None:
    path, _ = data.draw(st.sampled_from(list(tables(document))))
    with pytest.raises(ConfigError) as caught:
        parse(replaced(document, (*path, "sesame"), 1))
    assert f"`{written((*path, 'sesame'))}` is no key of" in str(caught.value)


@few
@given(document=documents(), data=st.data())
def test_a_wrong_value_anywhere_is_refused_with_path_value_and_remedy(
    document: Document, data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(list(leaves(document)) or [("deadline",)]))
    written_now: Any = document
    for step in path:
        written_now = written_now[step] if path[0] in document else 1.0
    number = isinstance(written_now, int | float) and not isinstance(written_now, bool)
    duration = written_now in ("250ms", "60s", "5m", "2h30m")
    wrong: object = "three apples" if number or duration else 98765.5
    with pytest.raises(ConfigError) as caught:
        parse(replaced(document, path, wrong))
    message = str(caught.value)
    assert f"`{written(path)}" in message
    private = not {"key", "headers", "url"}.isdisjoint(path)
    assert (str(wrong) in message) == (not private)
    assert "must be" in message


def test_numbers_outside_their_range_are_refused_with_path_and_value() -> None:
    bad = {
        "max_attempts": 0,
        "deadline": "0s",
        "providers.p.weight": 0,
        "providers.p.quality": 1.5,
        "providers.p.requests_per_minute": 0,
        "retry.budget.ratio": -0.25,
        "providers.p.breaker.trip_after": 0,
        "providers.p.models[0].price.input": -1,
        "providers.p.concurrency": 0,
    }
    for path, value in bad.items():
        table: Any = value
        for step in reversed(path.replace("[0]", ".0").split(".")):
            table = [{"name": "m", **table}] if step == "0" else {step: table}
        with pytest.raises(ConfigError) as caught:
            parse(table)
        assert str(caught.value).startswith(f"`{path}` is ")
        assert str(value) in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, 10**400, -1, [], {}, None])
def test_no_impossible_number_gets_in(value: object) -> None:
    table = {
        "providers": {"p": {"models": [{"name": "m", "price": {"input": value, "output": 1}}]}}
    }
    if value is None:
        assert parse(table).providers["p"].models[0].price is not None
        return
    with pytest.raises(ConfigError, match=r"models\[0\]\.price\.input"):
        parse(table)


def test_a_near_miss_is_guessed() -> None:
    with pytest.raises(ConfigError, match=r"`providers\.openai\.timout` .*did you mean `timeout`"):
        parse({"providers": {"openai": {"timout": "3s"}}})
    with pytest.raises(ConfigError, match=r"did you mean `production`"):
        parse({"preset": "prodution"})


def test_explicit_keys_win_over_the_preset() -> None:
    config = parse({"preset": "development", "max_attempts": 9, "log": {"level": "error"}})
    assert (config.max_attempts, config.deadline_s) == (9, 30.0)
    assert (config.log.level, config.log.format) == ("error", "console")
    assert config.breaker.trip_after == 3
    assert parse({"preset": "development", "breaker": "default"}).breaker.trip_after is None
    assert parse({"preset": "production"}).log.format == "json"


def test_building_in_code_is_checked_alike() -> None:
    with pytest.raises(ConfigError, match=r"`max_attempts` is 0"):
        Config(max_attempts=0)
    with pytest.raises(ConfigError, match=r"`providers\.p\.weight` is -1"):
        from_keywords(providers={"p": {"weight": -1}})
    assert Config(deadline_s="2m").deadline_s == 120.0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("c.ini", "", "must end in .toml"),
        ("c.toml", "a = [", "not valid TOML"),
        ("c.toml", "deadline = 1\ndeadline = 2", "twice"),
        ("c.yaml", "a: [", "not valid YAML"),
        ("c.yaml", "providers:\n  a: {}\n  a: {}\n", "line 3, column 3: a key is written twice"),
        ("c.yaml", "- 1", "must hold a table"),
        ("c.json", "{", "not valid JSON at line 1"),
        ("c.json", '{"log": {}, "log": {}}', "twice"),
        ("c.json", "[" * 100_000, "out of range"),
        ("c.toml", "max_attempts = " + "9" * 5000, "out of range"),
        ("c.yaml", "deadline: 0s", "deadline"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, name: str, text: str, says: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert says in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load(tmp_path / "none.toml")


def test_yaml_words_that_were_booleans_once_are_words(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "log: {level: off}\nfallback: false\n"
        "providers: {p: {retry: {on: [silent]}, errors: {429: quota}}}\n"
    )
    config = load(tmp_path / "c.yaml")
    assert config.log.level == "off"
    assert config.fallback is False
    assert config.providers["p"].retry.on == ("silent",)
    assert config.providers["p"].errors == {"429": "quota"}
