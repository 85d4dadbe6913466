"""`understudy import litellm`: another gateway's configuration becomes ours, with a report."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Typer

from understudy.cli.options import AsJson
from understudy.cli.output import console, emit, table
from understudy_actors.domain.errors import ConfigError

if TYPE_CHECKING:
    from understudy.config.imports import Imported

imports = Typer(name="import", help="Read other gateways' configurations.", no_args_is_help=True)


@imports.callback()
def _group() -> None:
    """One verb for each of them."""


@imports.command()
def litellm(
    file: Annotated[Path, typer.Argument(help="LiteLLM's config.yaml.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Write it there, as its ending says (.toml, .yaml, .json). [default: TOML to "
            "stdout, and the report to stderr]",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Turn a LiteLLM proxy configuration into ours, and tell what became of each setting."""
    from understudy.config.files import read_table
    from understudy.config.imports import from_litellm

    imported = from_litellm(read_table(file), os.environ)
    _check(imported.table)
    text = written(imported, file, ".toml" if out is None else out.suffix.casefold())
    if out is not None:
        _write(out, text, force=force)
    if as_json:
        place = None if out is None else str(out)
        emit({"file": str(file), "out": place, "config": imported.table, **_told(imported)})
        return
    if out is None:
        typer.echo(text.rstrip())
    _report(imported, file, out)


def _told(imported: Imported) -> dict[str, Any]:
    return {"settings": imported.lines, "exports": imported.exports}


def _check(made: dict[str, Any]) -> None:
    """It must load: an import that cannot run would be none."""
    from understudy.config import parse, problems
    from understudy_actors.dispatcher.strategies import BUILT_IN

    found = problems(parse(made), strategies=BUILT_IN)
    if found:
        raise ConfigError(f"what comes out cannot run: {'; '.join(map(str, found))}")


def written(imported: Imported, source: Path, ending: str) -> str:
    """The configuration in the language of a file name's ending, with what to export on top.

    Raises:
        ConfigError: There is no such language.
    """
    from understudy.config.imports import write_toml

    head = [f"Imported from {source.name}."]
    head += [
        f"Needs the variable {each.variable}: its value stood at {each.stood_at}."
        for each in imported.exports
    ]
    comments = "".join(f"# {line}\n" for line in head)
    if ending == ".toml":
        return f"{comments}\n{write_toml(imported.table)}"
    if ending in (".yaml", ".yml"):
        import yaml

        return comments + yaml.safe_dump(imported.table, sort_keys=False, allow_unicode=True)
    if ending == ".json":
        return json.dumps(imported.table, indent=2) + "\n"
    raise ConfigError(f"{ending or 'a name without ending'}: write .toml, .yaml or .json")


def _write(out: Path, text: str, *, force: bool) -> None:
    if out.exists() and not force:
        raise ConfigError(f"{out}: is there already; name another file, or say --force")
    out.write_text(text, encoding="utf-8")


def _report(imported: Imported, file: Path, out: Path | None) -> None:
    from understudy.config.imports import Fate

    screen = console(sys.stderr if out is None else sys.stdout)
    shown = table("setting", "", "as what, or why not")
    for line in imported.lines:
        shown.add_row(line.setting, line.fate.value, line.why)
    screen.print(shown)
    counts = (f"{sum(e.fate is fate for e in imported.lines)} {fate.value}" for fate in Fate)
    where = "" if out is None else f" -> {out}"
    screen.print(f"{file}{where}: {', '.join(counts)}", soft_wrap=True)
    for each in imported.exports:
        screen.print(
            f"export {each.variable}=...    # its value stood at {each.stood_at}", soft_wrap=True
        )
