"""Discovery: with no configuration at all, whoever can be asked becomes a chain."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from hypothesis import given, strategies as st

from tests.engine.config.test_resolve import STRATEGIES, specs
from understudy.config import check, discover
from understudy.config.kinds import SERVERS, VENDORS, address_variables
from understudy_actors.domain.errors import ConfigError

KEY = "sk-test-0123456789"


async def nobody(url: str) -> None:
    """No server anywhere."""


@given(keys=st.sets(st.sampled_from(VENDORS), max_size=8))
def test_every_key_in_the_environment_becomes_a_provider_and_local_closes_the_chain(
    keys: set[object],
) -> None:
    present = [each for each in VENDORS if each in keys]
    environ = {str(each.key_variable): KEY for each in present}
    environ |= {name: "a" for each in present for name in address_variables(each.base_url)}
    config = trio.run(discover, environ, nobody)
    check(config, strategies=STRATEGIES)
    found = list(specs(config).values())
    assert [each.provider for each in found] == [*(each.name for each in present), "local"]
    assert [each.degraded for each in found] == [False] * len(present) + [True]
    assert all(each.priority < found[-1].priority for each in found[:-1])
    assert KEY not in repr(config)


async def test_servers_that_answer_come_after_vendors_and_before_local() -> None:
    async def probe(url: str) -> Sequence[str] | None:
        return (
            ["llama3.2:1b", "nomic-embed-text", "bad name", "llama3.2:1b"]
            if "11434" in url
            else None
        )

    config = await discover({"GROQ_API_KEY": KEY}, probe)
    check(config, strategies=STRATEGIES)
    found = sorted(specs(config).values(), key=lambda each: each.priority)
    assert [(each.name, each.operations) for each in found] == [
        ("groq/openai/gpt-oss-20b", ("chat",)),
        ("ollama/llama3.2:1b", ("chat",)),
        ("ollama/nomic-embed-text", ("embedding",)),
        ("local/stand-in", ("chat",)),
    ]


async def test_all_servers_are_asked_at_once_and_for_a_short_time_only() -> None:
    asked: list[str] = []

    async def probe(url: str) -> Sequence[str] | None:
        asked.append(url)
        await trio.sleep(0.1 if "8000" in url else 3600)
        return ["m"]

    config = await discover({}, probe)
    assert trio.current_time() == pytest.approx(0.5, abs=0.01)
    assert sorted(asked) == sorted(str(each.base_url) for each in SERVERS)
    assert list(config.providers) == ["vllm", "local"]


async def test_something_else_at_the_port_breaks_nothing() -> None:
    async def probe(url: str) -> Sequence[str] | None:
        if "8080" in url:
            raise ValueError("<html>")
        return [f"m{number}" for number in range(100)] if "1234" in url else []

    config = await discover({}, probe)
    assert list(config.providers) == ["lmstudio", "local"]
    assert len(config.providers["lmstudio"].models) == 8


async def test_settings_of_the_environment_apply() -> None:
    config = await discover({"UNDERSTUDY_STRATEGY": "cheapest"}, nobody)
    assert config.strategy == "cheapest"
    with pytest.raises(ConfigError, match="UNDERSTUDY_FALLBACK"):
        await discover({"UNDERSTUDY_FALLBACK": "perhaps"}, nobody)
