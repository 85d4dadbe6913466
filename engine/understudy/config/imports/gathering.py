"""Deployments that agree in their account become one provider."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from understudy.config.imports.deployments import Deployment
from understudy.config.imports.model import RATES
from understudy.config.imports.reading import Draft, Table

_NAME: Final = re.compile(r"[^A-Za-z0-9_.-]+")


def providers(draft: Draft, found: list[Deployment], by_weight: bool) -> Table:
    """Accounts as providers, each with its models; the same model twice needs a second one."""
    made: Table = {}
    homes: dict[str, list[str]] = {}
    _share(draft, found, by_weight)
    for each in found:
        account = json.dumps(each.account, sort_keys=True)
        for model in each.models:
            _house(draft, made, homes.setdefault(account, []), each, model)
    return made


def _house(draft: Draft, made: Table, homes: list[str], each: Deployment, model: Table) -> None:
    for name in homes:
        lodgers: list[Table] = made[name]["models"]
        twin = next((m for m in lodgers if m["name"] == model["name"]), None)
        if twin is None:
            lodgers.append(dict(model))
            return
        if _without_groups(twin) == _without_groups(model):
            _join(draft, twin, model, each)
            return
    name = _free(each.vendor.name, made)
    made[name] = {**each.account, "models": [dict(model)]}
    homes.append(name)


def _join(draft: Draft, twin: Table, model: Table, each: Deployment) -> None:
    before: list[str] = twin.get("groups") or [twin["name"]]
    both = list(dict.fromkeys([*before, *(model.get("groups") or [model["name"]])]))
    if both == before:
        draft.notes.changed(each.path, "is the same as an earlier entry: one endpoint")
    twin["groups"] = both


def _without_groups(model: Table) -> Table:
    return {key: value for key, value in model.items() if key != "groups"}


def _free(wanted: str, made: Mapping[str, Any]) -> str:
    base, number_ = _NAME.sub("-", wanted).strip("-._") or "provider", 1
    name = base
    while name.casefold() in {each.casefold() for each in made}:
        number_ += 1
        name = f"{base}-{number_}"
    return name


def _share(draft: Draft, found: list[Deployment], by_weight: bool) -> None:
    """Weights, or where a group has none its rates, as shares of the traffic."""
    groups: dict[str, list[Deployment]] = {}
    for each in found:
        groups.setdefault(each.group, []).append(each)
        _tell_weight(draft, each, by_weight)
    for several in groups.values():
        key = next((k for k in ("weight", *RATES) if any(k in d.weights for d in several)), None)
        if key is None or not by_weight or len(several) == 1:
            continue
        largest = max(each.weights.get(key, 0.0) for each in several)
        scale = max(1.0, largest / 1e6)
        for each in several:
            share = each.weights.get(key)
            for model in each.models:
                model["weight"] = 1.0 if share is None else max(1e-6, share / scale)


def _tell_weight(draft: Draft, each: Deployment, by_weight: bool) -> None:
    if "weight" not in each.weights:
        return
    path = f"{each.path}.litellm_params.weight"
    if not by_weight:
        draft.notes.dropped(path, "counts under simple-shuffle only")
    elif each.weights["weight"]:
        draft.notes.carried(path, "weight, of several in its group")
    else:
        draft.notes.changed(path, "0 is next to nothing here: 0.000001")
