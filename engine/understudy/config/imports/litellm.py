"""LiteLLM's proxy configuration to ours: pure, from a table to a table and a report."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from understudy.config.faults import show
from understudy.config.imports import reasons
from understudy.config.imports.deployments import Deployment, deployments, served, usual_keys
from understudy.config.imports.fallbacks import read_fallbacks
from understudy.config.imports.gathering import providers
from understudy.config.imports.reading import REFERENCE, Draft, Piece, references
from understudy.config.imports.report import Export, Imported, Line
from understudy.config.imports.settings import finish, read_section
from understudy_actors.domain.errors import ConfigError

SECTIONS: Final = (
    "model_list",
    "litellm_settings",
    "router_settings",
    "general_settings",
    "environment_variables",
)
_ENTRY: Final = re.compile(r"model_list\[(\d+)\]")
RETRIES: Final = 2
"""Of LiteLLM, where nothing is said."""


def from_litellm(source: Mapping[Any, Any], environ: Mapping[str, str]) -> Imported:
    """Turn a LiteLLM proxy configuration into ours.

    Args:
        source: Its table, as YAML is read.
        environ: Where addresses and numbers are looked up that stand in variables. No secret is
            read from it.

    Raises:
        ConfigError: Nothing in it can be served here.
    """
    whole = Piece.of(source, "")
    sections = {name: Piece.of(whole.take(name), name) for name in SECTIONS[1:]}
    own = {
        key: str(value)
        for key, value in sections["environment_variables"].table.items()
        if not str(value).startswith(REFERENCE)
    }
    draft = Draft({**environ, **own}, {*references(source), *usual_keys(whole.table)})
    draft.table["strategy"] = "random"
    router = sections["router_settings"]
    common = Piece.of(router.take("default_litellm_params"), "").table
    found = deployments(draft, whole.take("model_list"), common)
    if common:
        draft.notes.carried("router_settings.default_litellm_params", "of each deployment")
    if not found:
        why = "; ".join(f"{each.setting} {each.why}" for each in draft.notes.lines[:5])
        raise ConfigError(f"nothing in `model_list` can be served here: {why or 'it is empty'}")
    _models(draft, found, sections)
    for name in SECTIONS[1:4]:
        read_section(draft, sections[name], router if name == "litellm_settings" else None)
        sections[name].leave(draft.notes, reasons.SECTIONS)
    _variables(draft, sections["environment_variables"])
    whole.leave(draft.notes, {})
    _attempts(draft, found)
    finish(draft)
    exports = tuple(Export(name, at) for name, at in draft.notes.exports.items())
    lines = sorted(draft.notes.lines, key=_place)
    return Imported(_ordered(draft.table), tuple(lines), exports)


def _place(line: Line) -> tuple[int, int]:
    """Where a setting stands: its section's place, and that of its entry in the model list."""
    found = _ENTRY.match(line.setting)
    name = line.setting.partition(".")[0]
    known = SECTIONS.index(name) if name in SECTIONS else len(SECTIONS)
    return (0, int(found[1])) if found else (known, 0)


def _models(draft: Draft, found: list[Deployment], sections: Mapping[str, Piece]) -> None:
    """Providers with their groups, the other names of those, and who is asked after them."""
    router = sections["router_settings"]
    by_weight = router.table.get("routing_strategy", "simple-shuffle") in (
        "simple-shuffle",
        "usage-based-routing",
        "usage-based-routing-v2",
    )
    aliases = _aliases(draft, found, router)
    draft.table["providers"] = providers(draft, found, by_weight)
    names = {name for name, _ in served(found)} | aliases.keys()
    _ambiguous(draft, found)
    pieces = (sections["litellm_settings"], router)
    fallbacks = read_fallbacks(draft, pieces, names, aliases)
    if fallbacks:
        draft.table["fallbacks"] = {name: list(after) for name, after in fallbacks.items()}


def _ambiguous(draft: Draft, found: list[Deployment]) -> None:
    """Here a model's own name works as well: it may be another group's."""
    groups = {name for name, _ in served(found)}
    for each in found:
        for model in each.models:
            name = model["name"]
            if name in groups and name not in model.get("groups", [name]):
                why = f"its model is called {show(name)}, and serves the group of that name too"
                draft.notes.changed(each.path, why)


def _aliases(draft: Draft, found: list[Deployment], router: Piece) -> dict[str, str]:
    """Further names of groups, which their models then list."""
    made: dict[str, str] = {}
    for alias, target in Piece.of(router.take("model_group_alias"), "").table.items():
        path = f"router_settings.model_group_alias.{alias}"
        name = target.get("model") if isinstance(target, Mapping) else target
        members = [model for group, model in served(found) if group == name]
        if not members or not alias or any(each in " ,\t\n" for each in alias):
            draft.notes.dropped(path, "nobody in the model list serves it")
            continue
        for model in members:
            own = model.setdefault("groups", [model["name"]])
            if alias not in own:
                own.append(alias)
        made[alias] = str(name)
        if isinstance(target, Mapping) and target.get("hidden"):
            draft.notes.changed(path, f"a group of the models of {show(name)}; it is listed too")
        else:
            draft.notes.carried(path, f"a group of the models of {show(name)}")
    return made


def _variables(draft: Draft, piece: Piece) -> None:
    for name in piece.table:
        piece.take(name)
        used = f"'env:{name}'" in repr(draft.table)
        if used:
            draft.notes.export(name, piece.at(name))
            draft.notes.changed(piece.at(name), "is not in the file here: you must export it")
        elif name in draft.read:
            draft.notes.carried(piece.at(name), "its value was taken")
        else:
            draft.notes.dropped(piece.at(name), "nothing here reads it")


def _attempts(draft: Draft, found: list[Deployment]) -> None:
    """Attempts of one request: everybody of the longest chain, and retries within each group."""
    retries = draft.table.get("retry", {}).get("attempts")
    fallbacks: dict[str, list[str]] = draft.table.get("fallbacks", {})
    members: dict[str, int] = {}
    for name, _ in served(found):
        members[name] = members.get(name, 0) + 1
    tries = 1 + (RETRIES if retries is None else retries)
    longest = max(
        sum(max(tries, members.get(each, 1)) for each in (name, *fallbacks.get(name, ())))
        for name in members
    )
    draft.table["max_attempts"] = min(longest, 100)
    why = f"at most {draft.table['max_attempts']} attempts, of the longest chain with its retries"
    draft.notes.changed("retries and fallbacks", why)


def _ordered(table: dict[str, Any]) -> dict[str, Any]:
    """Short settings first, providers last."""
    late = ("fallbacks", "budgets", "gateway", "providers")
    first = {key: value for key, value in table.items() if key not in late}
    return {**first, **{key: table[key] for key in late if key in table}}
