"""What a gateway says as it starts: where it is, what it found, and a line to try."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Console

from understudy.config.kinds import KINDS, LOCAL

TYPE: Final = "-H 'content-type: application/json'"
HELLO: Final = '{"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}'


def announce(engine: Any, url: str, screen: Console, *, guarded: bool, discovered: bool) -> None:
    """Say it: of an open engine, and whether it was made from what is on this machine."""
    from understudy.gateway.app import WIRES

    who = "callers with a key" if guarded else "everybody who reaches it, without a key"
    key = " -H 'x-api-key: YOUR_KEY'" if guarded else ""
    report, models = engine.status(), engine.models()
    names = [each.name for each in models if "/" not in each.name]
    endpoints = [(each.provider, each.name) for each in report.providers]
    lines = [f"understudy serves on {url}, for {who}."]
    if discovered:
        lines += ["There is no configuration file, so it asks whom it found:", *_found(endpoints)]
    else:
        lines.append(f"{report.total} endpoints: " + ", ".join(name for _, name in endpoints))
    lines += [
        f"models: auto, {', '.join(names)}",
        f"paths: {', '.join(path for path, _ in WIRES)}; {url}/openapi.json has all",
        f"OpenAI SDKs: base_url {url}/v1    Anthropic SDKs: base_url {url}",
        f"try: curl {url}/v1/chat/completions {TYPE}{key} -d '{HELLO}'",
    ]
    for line in lines:
        screen.print(line, soft_wrap=True, markup=False, highlight=False)


def _found(endpoints: list[tuple[str, str]]) -> list[str]:
    """Each provider, why it is there, and its models."""
    models: dict[str, list[str]] = {}
    for provider, name in endpoints:
        models.setdefault(provider, []).append(name.partition("/")[2])
    lines = [f"  {name}: {', '.join(each)} ({_why(name)})" for name, each in models.items()]
    if set(models) <= {LOCAL.name}:
        lines.append("  Set a key such as OPENAI_API_KEY, or start a server such as ollama.")
    return lines


def _why(provider: str) -> str:
    """Why discovery took a provider: it is called after its kind."""
    kind = KINDS.get(provider, LOCAL)
    if kind.key_variable:
        return f"{kind.key_variable} is set"
    return f"it answers at {kind.base_url}" if kind.base_url else "the stand-in, when nobody can"
