"""The sections of the response cache: what may be written, and what is said of what may not."""

from __future__ import annotations

from typing import Any

import pytest

from understudy import ConfigError
from understudy.caching import cache_rule
from understudy.config import check, parse, schema
from understudy_actors.dispatcher.strategies import BUILT_IN

PROVIDERS: dict[str, Any] = {
    "openai": {"models": ["m"], "operations": ["chat", "moderation"]},
    "local": {},
}


def checked(**keys: Any) -> Any:
    """Read and check a whole configuration."""
    config = parse({"providers": PROVIDERS, **keys})
    check(config, strategies=BUILT_IN)
    return config


def test_every_key_is_read() -> None:
    config = checked(
        cache={
            "ttl": "5m",
            "stale_for": "1h",
            "max_entries": 10,
            "max_bytes": 100_000,
            "compress_above": 0,
            "operations": ["chat", "moderation", "summary"],
        },
        operations={"summary": {"cache": {"ttl": "1d"}}, "chat": {"cache": False}},
    )
    rule = cache_rule(config)
    assert (rule.max_entries, rule.max_bytes, rule.compress_above) == (10, 100_000, 0)
    assert (rule.life("summary").ttl_s, rule.life("summary").stale_for_s) == (86_400.0, 3600.0)
    assert [rule.life(each).unasked for each in ("chat", "moderation", "other")] == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"cache": {"ttl": 0}}, 'cache.ttl is 0: it must be a duration such as "250ms"'),
        ({"cache": {"stale_for": "soon"}}, 'cache.stale_for is "soon": it must be a duration'),
        ({"cache": {"max_entries": 0}}, "cache.max_entries is 0: it must be a whole number, 1"),
        ({"cache": {"max_bytes": 1000}}, "cache.max_bytes is 1000: it must be 65536 or more"),
        ({"cache": {"max_bytes": "1MB"}}, 'cache.max_bytes is "1MB": it must be a whole number'),
        ({"cache": {"compress_above": -1}}, "cache.compress_above is -1"),
        ({"cache": {"max_entrys": 5}}, "cache.max_entrys"),
        ({"cache": "5m"}, 'cache is "5m": it must be a table, true or false'),
        (
            {"cache": {"operations": ["chat", "moderatoin"]}},
            'cache.operations[1] is "moderatoin": it must be one of chat',
        ),
        (
            {"operations": {"chat": {"cache": {"max_entries": 5}}}},
            "operations.chat.cache.max_entries",
        ),
        ({"operations": {"chat": {"cache": {"ttl": -1}}}}, "operations.chat.cache.ttl is -1"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused_by_its_path(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked(**keys)
    assert said in str(caught.value).replace("`", "")


def test_editors_know_the_section() -> None:
    text = str(schema())
    for key in ("stale_for", "max_bytes", "compress_above"):
        assert key in text
