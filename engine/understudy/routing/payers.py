"""Who pays for an attempt, and in whose accounts it counts."""

from __future__ import annotations

from collections.abc import Iterable

from understudy.config.money import ENGINE, HEDGES
from understudy_actors.domain.request import Request
from understudy_actors.ledger.account import Scope


def spenders(request: Request) -> tuple[tuple[str, str], ...]:
    """Whose account an attempt counts in beside its user's: its key's, team's, and tags'."""
    named = (("key", request.key), ("team", request.team))
    own = [(kind, name) for kind, name in named if name is not None]
    return (*own, *(("tag", each) for each in _words(request)))


def payers(
    kinds: Iterable[str], request: Request, provider: str, *, copy: bool = False
) -> tuple[Scope, ...]:
    """Who pays for an attempt at `provider`, as far as they are of these kinds.

    `copy` says that it is the second copy of a request.
    """
    found: list[Scope] = []
    for kind in kinds:
        match kind:
            case "engine":
                found.append(ENGINE)
            case "hedges":
                found += (HEDGES,) if copy else ()
            case "provider":
                found.append(Scope(kind, provider))
            case "route":
                found.append(Scope(kind, request.model or request.operation))
            case "tag":
                found += [Scope(kind, each) for each in _words(request)]
            case _:
                name = getattr(request, kind)
                found += () if name is None else (Scope(kind, name),)
    return tuple(found)


def _words(request: Request) -> Iterable[str]:
    """Its tags and labels: each word pays, and none of them twice."""
    return dict.fromkeys((*request.tags, *request.labels))
