"""The section `store`: a path, a table, or a database whose URL is nowhere shown."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import pytest

from understudy import ConfigError, open_engine
from understudy.config import parse, redacted
from understudy.store.opening import database_of

PROVIDERS = {"p": {"kind": "local"}}


def store_of(value: object) -> Any:
    return parse({"providers": PROVIDERS, "store": value}).store


def test_a_path_is_enough() -> None:
    store = store_of("understudy.db")
    assert (store.path, store.durability, store.interval_s) == ("understudy.db", "batched", 0.1)
    assert (
        store_of({"path": "s.db", "durability": "strict", "retention": "7d"}).retention_s == 604800
    )
    assert parse({"providers": PROVIDERS}).store is None


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({}, "`store` must name one place"),
        ({"path": "a", "url": "env:B"}, "`store` must name one place"),
        ({"path": "postgresql://u:hunter2@h/d"}, "`store.path` must be the path of a file"),
        ({"url": "postgresql://u:hunter2@h/d"}, "store.url"),
        ({"path": "a", "durability": "yes"}, "store.durability"),
        ({"path": "a", "interval": 0}, "store.interval"),
        ({"path": "a", "file": "b"}, "store.file"),
    ],
)
def test_a_wrong_store_is_refused_by_its_key_and_shows_no_secret(value: Any, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        store_of(value)
    assert told in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_where_the_url_comes_from_is_shown_and_not_what_it_is() -> None:
    config = parse({"providers": PROVIDERS, "store": {"url": {"insecure_inline": "hunter2"}}})
    assert "hunter2" not in repr(config) + str(redacted(config))
    config = parse({"providers": PROVIDERS, "store": {"url": "env:BOOKS"}})
    assert redacted(config)["store"]["url"] == "env:BOOKS"
    assert config.store is not None
    with pytest.raises(ConfigError, match=r"`store.url` needs the environment variable BOOKS"):
        database_of(config.store, {})


async def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "sqlalchemy":
            raise ImportError("no", name="sqlalchemy")
        return real(name, *rest, **more)

    for name in [n for n in sys.modules if n.startswith(("sqlalchemy", "understudy.store.a"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"store: needs the package sqlalchemy: pip install 'und"):
        async with open_engine({"providers": PROVIDERS, "store": "s.db", "log": {"level": "off"}}):
            pass
