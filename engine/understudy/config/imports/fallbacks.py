"""LiteLLM's fallbacks, of which there are four kinds, as ours, of which there is one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from understudy.config.imports.reading import Draft, Piece, listed, word

KINDS: Final = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
EACH: Final = "*"
CHAIN_MAX: Final = 32
"""Names in one list at most."""
_CONTEXT: Final = "asked after any failure; whose window is too small is never asked"
_CONTENT: Final = "asked after any failure; refused content is rerouted for every request"
_BUT: Final = {"context_window_fallbacks": _CONTEXT, "content_policy_fallbacks": _CONTENT}


def read_fallbacks(
    draft: Draft, pieces: tuple[Piece, Piece], names: set[str], aliases: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Each name to those asked after it. The second piece's keys win over the first's.

    A fallback's own fallbacks come after it, as there; a cycle ends where it would begin anew.
    """
    first, second = pieces
    tables: dict[str, dict[str, list[str]]] = {}
    default: list[str] = []
    for kind in (*KINDS, "default_fallbacks"):
        piece = second if kind in second.table else first
        if kind in first.table and piece is second and kind != "content_policy_fallbacks":
            draft.notes.dropped(first.at(kind), f"{second.path}.{kind} wins over it")
        first.taken.add(kind)
        value = piece.take(kind)
        if kind == "default_fallbacks":
            default += _known(draft, listed(value), names, piece.at(kind))
            _told(draft, default, piece.at(kind), value)
        elif value is not None:
            tables[kind] = _table(draft, value, names, aliases, piece.at(kind), kind)
    default += tables.get("fallbacks", {}).pop(EACH, [])
    found: dict[str, tuple[str, ...]] = {}
    for name in sorted(names):
        chain = list(_chain(name, {name, aliases.get(name, name)}, tables, default))
        if chain:
            found[name] = tuple(chain[:CHAIN_MAX])
    return found


def _chain(
    name: str, seen: set[str], tables: Mapping[str, dict[str, list[str]]], default: list[str]
) -> Iterator[str]:
    def after(one: str) -> list[str]:
        return tables.get("fallbacks", {}).get(one, default)

    waiting = [*after(name)]
    for kind in KINDS[1:]:
        waiting += tables.get(kind, {}).get(name, [])
    while waiting:
        one = waiting.pop(0)
        if one not in seen:
            seen.add(one)
            yield one
            waiting[:0] = tables.get("fallbacks", {}).get(one, [])


def _table(
    draft: Draft, value: Any, names: set[str], aliases: Mapping[str, str], path: str, kind: str
) -> dict[str, list[str]]:
    """A list of tables, or one table, of name to names."""
    found: dict[str, list[str]] = {}
    for each in listed(value):
        if not isinstance(each, Mapping):
            draft.notes.dropped(path, "must be a list of tables of name to names")
            continue
        for raw, after in each.items():
            name, place = str(raw), f"{path}.{raw}"
            if name != EACH and name not in names:
                draft.notes.dropped(place, "nobody in the model list serves it")
                continue
            listed_names = _known(draft, listed(after), names, place)
            found.setdefault(aliases.get(name, name), []).extend(listed_names)
            if listed_names and (but := _BUT.get(kind)):
                draft.notes.changed(place, f"fallbacks: {but}")
            else:
                _told(draft, listed_names, place, after)
    for alias, name in aliases.items():
        if name in found:
            found[alias] = found[name]
    return found


def _known(draft: Draft, wanted: list[Any], names: set[str], path: str) -> list[str]:
    """Those that are served; parameters that a fallback brings along are not carried."""
    found: list[str] = []
    for each in wanted:
        name = each.get("model") if isinstance(each, Mapping) else each
        if isinstance(each, Mapping) and len(each) > 1:
            draft.notes.changed(path, "a fallback brings no parameters of its own")
        if word(name) in names:
            found.append(word(name))
        else:
            draft.notes.dropped(path, "names one that nobody in the model list serves")
    return found


def _told(draft: Draft, found: list[str], path: str, value: Any) -> None:
    if found and value is not None:
        draft.notes.carried(path, f"fallbacks: {', '.join(found)}")
