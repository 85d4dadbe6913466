"""What a gateway says as it starts."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from understudy.cli.announce import announce

URL = "http://127.0.0.1:8400"


def said(*endpoints: str, guarded: bool = False, discovered: bool = True) -> str:
    providers = [SimpleNamespace(provider=e.partition("/")[0], name=e) for e in endpoints]
    models = [SimpleNamespace(name=name) for e in endpoints for name in (e, e.partition("/")[2])]
    engine: Any = SimpleNamespace(
        status=lambda: SimpleNamespace(total=len(providers), providers=providers),
        models=lambda: models,
    )
    screen = Console(file=io.StringIO(), width=60)
    announce(engine, URL, screen, guarded=guarded, discovered=discovered)
    text = screen.file.getvalue()  # type: ignore[attr-defined]  # it is the one made above
    assert isinstance(text, str)
    return text


def test_what_was_found_is_said_and_why() -> None:
    text = said("openai/gpt-5.4-mini", "ollama/qwen", "ollama/llama3", "local/stand-in")
    assert "no configuration file" in text
    assert "openai: gpt-5.4-mini (OPENAI_API_KEY is set)" in text
    assert "ollama: qwen, llama3 (it answers at http://127.0.0.1:11434/v1)" in text
    assert "local: stand-in (the stand-in, when nobody can)" in text
    assert "Set a key" not in text


def test_with_nothing_found_it_says_what_to_do() -> None:
    assert "Set a key such as OPENAI_API_KEY" in said("local/stand-in")


def test_paths_and_a_line_to_try_are_whole_however_narrow_the_screen() -> None:
    lines = said("local/stand-in").splitlines()
    (paths,) = [line for line in lines if line.startswith("paths: ")]
    assert "/v1/chat/completions" in paths
    assert f"{URL}/openapi.json" in paths
    (line,) = [line for line in lines if line.startswith("try: curl ")]
    assert line.endswith('"content": "Hello"}]}\'')
    assert "x-api-key" not in line


def test_with_a_configuration_it_names_the_endpoints_and_asks_for_a_key() -> None:
    text = said("a/m", "b/m", guarded=True, discovered=False)
    assert "2 endpoints: a/m, b/m" in text
    assert "no configuration file" not in text
    assert "-H 'x-api-key: YOUR_KEY'" in text
