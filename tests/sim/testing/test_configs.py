"""The kit runs a configuration through its failures before its provider has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from understudy_sim.testing import LawBroken, verify_config

OPENAI = {"kind": "openai", "models": ["gpt-5.4-mini"]}
OTHER = {"kind": "anthropic", "models": ["claude-haiku-4-5"]}


def test_a_sound_configuration_passes(tmp_path: Path) -> None:
    path = tmp_path / "understudy.toml"
    path.write_text(
        """
        strategy = "priority"
        [providers.openai]
        models = ["gpt-5.4-mini"]
        [providers.groq]
        models = ["meta-llama/llama-4"]
        [providers.local]
        """
    )
    verify_config(path)


BROKEN: list[tuple[dict[str, Any], str, str]] = [
    ({"strategy": "lucky", "providers": {"a": OPENAI}}, "can be read and run", "strategy"),
    ({"providers": {"a": {**OPENAI, "wieght": 1}}}, "can be read and run", "wieght"),
    (
        {"providers": {"a": OPENAI, "b": OTHER}, "deadline": 0.2},
        "in a calm world every request is answered",
        "With nothing wrong",
    ),
    (
        {
            "strategy": "priority",
            "max_attempts": 1,
            "breaker": {"trip_after": 50, "ratio": None},
            "providers": {"a": OPENAI, "b": OTHER},
        },
        "when one provider fails and another could serve",
        "While a failed (refuse)",
    ),
]


@pytest.mark.parametrize(("table", "law", "told"), BROKEN)
def test_a_configuration_that_breaks_a_law_is_told_which(
    table: dict[str, Any], law: str, told: str
) -> None:
    with pytest.raises(LawBroken, match=law) as broken:
        verify_config(table)
    assert told in str(broken.value)


def test_alone_a_provider_needs_not_survive_itself() -> None:
    verify_config({"providers": {"a": OPENAI}})


def test_a_file_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(LawBroken, match="cannot be read"):
        verify_config(tmp_path / "none.toml")
