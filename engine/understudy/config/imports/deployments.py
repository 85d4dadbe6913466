"""LiteLLM's `model_list`: deployments become providers with models.

A deployment is one model at one account. Here an account is a provider and lists its models, so
deployments that agree in all that makes an account become one provider.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from understudy.config.faults import BadKey, show
from understudy.config.imports.account import account_of
from understudy.config.imports.model import RATES, model_of
from understudy.config.imports.reading import Draft, Piece, Table, listed, number
from understudy.config.imports.reasons import DEPLOYMENT
from understudy.config.imports.vendors import Vendor, parted, published_models, vendor
from understudy.config.provider import check_address

CATCH_ALL_PRIORITY: Final = 500
"""Of what serves any name: after whoever was named, whose priority is 100."""


@attrs.define
class Deployment:
    """One entry, read: the account it stands for, and its models there."""

    group: str
    vendor: Vendor
    account: Table
    models: list[Table]
    weights: Mapping[str, float]
    path: str


def deployments(draft: Draft, entries: object, common: Mapping[str, Any]) -> list[Deployment]:
    """Every entry that can be served here. `common` are parameters for those that lack them."""
    found: list[Deployment] = []
    for place, entry in enumerate(listed(entries)):
        piece = Piece.of(entry, f"model_list[{place}]")
        made = _deployment(draft, piece, common)
        if made is not None:
            found.append(made)
    return found


def _deployment(draft: Draft, piece: Piece, common: Mapping[str, Any]) -> Deployment | None:
    name, notes = piece.take("model_name"), draft.notes
    params = Piece.of(piece.take("litellm_params"), f"{piece.path}.litellm_params")
    params.table = {**common, **params.table}
    info = Piece.of(piece.take("model_info"), f"{piece.path}.model_info")
    model = params.take("model")
    if not isinstance(name, str) or not isinstance(model, str) or not name or not model:
        notes.dropped(piece.path, "needs `model_name` and `litellm_params.model`, both texts")
        return None
    who = _who(draft, params, model)
    if isinstance(who, str):
        notes.dropped(piece.path, who)
        return None
    known, wanted = who
    group = _word(draft, name, piece.at("model_name"))
    names = _models(known, wanted)
    if not names or ("*" in group and group != "*" and (wanted != "*" or group.count("*") > 1)):
        notes.dropped(piece.path, _no_pattern(wanted))
        return None
    _tell(draft, piece, known, group, wanted, names)
    account = account_of(draft, known, params)
    common_part = model_of(draft, params, info, piece)
    shares = {key: _weight(params, piece, key) for key in ("weight", *RATES)}
    weights = {key: share for key, share in shares.items() if share is not None}
    models = [_named(each, group, wanted, common_part) for each in names]
    for part in (params, info, piece):
        part.leave(notes, DEPLOYMENT)
    return Deployment(group, known, account, models, weights, piece.path)


def _who(draft: Draft, params: Piece, model: str) -> tuple[Vendor, str] | str:
    """Who is asked for which model; else why nobody is."""
    name, wanted = parted(model, params.take("custom_llm_provider"))
    base = params.take("api_base") or params.take("base_url")
    params.taken |= {"api_base", "base_url"}
    address = draft.plain(base)
    if base is not None and not isinstance(address, str):
        return f"its address must be a text: {show(base)} is none, or stands for none here"
    if name is None:
        if address is None:
            return "names no provider that is known here: write it as provider/model"
        name = "openai_like"
    if wanted.startswith("responses/"):
        wanted = wanted.removeprefix("responses/")
    if not _model_name(wanted):
        return "a model's name holds no blanks and commas here"
    found = vendor(name, _address(name, address))
    if found is None:
        return f"there is no adapter for {show(name)}, nor a format of it that is known here"
    try:
        check_address(found.base_url or "https://host")
    except BadKey as fault:
        return f"its address {fault.problem}"
    if address is not None:
        if address is base:
            draft.notes.carried(params.at("api_base"), "base_url")
        else:
            draft.notes.changed(params.at("api_base"), "base_url, as the variable says now")
    return found, wanted


def _address(name: str, address: str | None) -> str | None:
    """Ollama's other side is at /v1, Azure's at /openai/v1; Anthropic's path is the adapter's."""
    if address is None:
        return None
    url = address.rstrip("/")
    if name in ("ollama", "ollama_chat") and not url.endswith("/v1"):
        return f"{url}/v1"
    if name in ("azure", "azure_text") and not url.endswith("/openai/v1"):
        return f"{url.removesuffix('/openai')}/openai/v1"
    if name == "anthropic":
        return url.removesuffix("/v1/messages").removesuffix("/v1")
    return url.removesuffix("/chat/completions")


def _models(known: Vendor, wanted: str) -> list[str]:
    """The models that an entry stands for: one, or all that are published of `vendor/*`."""
    if "*" not in wanted:
        return [wanted]
    return published_models(known.kind) if wanted == "*" else []


def _no_pattern(wanted: str) -> str:
    if wanted == "*":
        return "stands for any model of its provider: list the ones you use (`models`)"
    return "is a pattern of names, which there is not: list the names"


def _named(model: str, group: str, wanted: str, common: Table) -> Table:
    """A model under the name that requests use for it."""
    catches = group == "*" and wanted != "*"
    asked = group if catches or "*" not in group else group.replace("*", model)
    made = {"name": model, **common}
    if catches:
        made.setdefault("priority", CATCH_ALL_PRIORITY)
    if asked != model:
        made["groups"] = [asked]
    return made


def _tell(
    draft: Draft, piece: Piece, known: Vendor, group: str, wanted: str, names: list[str]
) -> None:
    """Say what became of the entry itself."""
    where = f"a model of kind {known.kind.name}"
    if wanted == "*":
        draft.notes.changed(piece.path, f"serves the {len(names)} models with a published price")
    elif group == "*":
        why = "serves any name, after whoever serves it by name"
        draft.notes.changed(piece.path, why)
    elif known.compatible:
        draft.notes.changed(piece.path, f"{known.name} through its OpenAI-compatible side")
    else:
        draft.notes.carried(piece.path, f"group {group}: {where}")


def _weight(params: Piece, piece: Piece, key: str) -> float | None:
    """A share of the traffic; rates are shares where there are no weights."""
    value = number(params.take(key) if key in params.table else piece.table.get(key))
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1e12 else None


def _word(draft: Draft, name: str, path: str) -> str:
    """A group's name as ours may be."""
    made = re.sub(r"[\s,]+", "-", name.strip())[:200] or "group"
    if made != name:
        draft.notes.changed(path, f"is {made} here, since a name holds no blanks and commas")
    return made


def _model_name(text: str) -> bool:
    return bool(re.fullmatch(r"[^\s,]{1,200}", text))


def usual_keys(source: Mapping[str, Any]) -> Iterator[str]:
    """The variables that hold the keys of entries that name none: not to be given to others."""
    for entry in listed(source.get("model_list")):
        params = Piece.of(Piece.of(entry, "").table.get("litellm_params"), "").table
        if "api_key" not in params:
            name, _ = parted(str(params.get("model")), params.get("custom_llm_provider"))
            known = vendor(name, "https://host") if name is not None else None
            if known is not None and known.key_variable is not None:
                yield known.key_variable


def served(found: list[Deployment]) -> Iterator[tuple[str, Table]]:
    """Every name that requests may use, with a model that serves it."""
    for each in found:
        for model in each.models:
            yield from ((name, model) for name in model.get("groups") or [model["name"]])
