"""Options that several verbs share, and texts that become values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from understudy.config import parse_duration
from understudy_actors.domain.errors import ConfigError


def _note_json(ctx: typer.Context, value: bool) -> bool:
    """Remember it for whoever reports an error."""
    ctx.meta["json"] = value
    return value


def duration_s(text: str, option: str) -> float:
    """Seconds for "30", "30s" or "500ms".

    Raises:
        typer.BadParameter: It is no duration of more than 0 s.
    """
    try:
        value = parse_duration(f"{text.strip()}s" if _is_number(text) else text)
    except ConfigError:
        value = None
    if not isinstance(value, float | int) or not 0 < value <= 366 * 86_400:
        raise typer.BadParameter(
            f'{text!r} is no duration; write "30s", "500ms" or "2m"', param_hint=option
        )
    return float(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


AsJson: TypeAlias = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document to stdout.", callback=_note_json),
]
ConfigFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="Configuration in TOML, YAML or JSON. "
        "[default: the file in UNDERSTUDY_CONFIG, else discovery]",
    ),
]
