"""Which names of models requests may use, and who serves them."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from understudy_actors.domain.candidate import EndpointSpec

ANY = "*"
"""The group of endpoints that serve whatever model a request names."""


class RoutableModel(Struct, frozen=True, kw_only=True):
    """One name that a request may ask for.

    Attributes:
        name: A group, a model, or `provider/model`.
        endpoints: Who serves it, as `provider/model`, in configured order.
        operations: What it can be asked for.
    """

    name: str
    endpoints: tuple[str, ...]
    operations: tuple[str, ...]


def routable(specs: Iterable[EndpointSpec]) -> tuple[RoutableModel, ...]:
    """Every name once: groups first, then models, then models of one provider.

    A name that is both a group's and a model's stands for everybody who serves it.
    """
    enabled = [each for each in specs if each.enabled]
    names = (
        *(group for each in enabled for group in each.groups if group != ANY),
        *(each.model for each in enabled),
        *(each.name for each in enabled),
    )
    return tuple(
        _model(name, [each for each in enabled if name in (*each.groups, each.model, each.name)])
        for name in dict.fromkeys(names)
    )


def _model(name: str, specs: list[EndpointSpec]) -> RoutableModel:
    offered = (operation for each in specs for operation in each.operations)
    return RoutableModel(
        name=name,
        endpoints=tuple(dict.fromkeys(each.name for each in specs)),
        operations=tuple(dict.fromkeys(offered)),
    )
