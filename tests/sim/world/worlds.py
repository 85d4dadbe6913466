"""Small worlds for tests, and what is looked up in their runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from understudy_actors.domain.events import Event
from understudy_sim.run import Run
from understudy_sim.scenario import Scenario, parse
from understudy_sim.world import run

E = TypeVar("E", bound=Event)

CALM = {"kind": "fixed", "value": 0.5}


def world(
    *faults: dict[str, Any],
    fleet: Iterable[dict[str, Any]] = ({"name": "alpha"},),
    client: dict[str, Any] | None = None,
    **keys: Any,
) -> Scenario:
    """A steady client of one request a second for 20 s, and providers that take half a second."""
    asking = {"name": "web", "arrivals": {"kind": "steady", "rate": 1.0}, "deadline": "10s"}
    calm = {"latency": CALM, "tokens_per_s": None, "refusal": 0.0}
    document = {
        "name": "test",
        "seed": 5,
        "horizon": 20,
        "clients": [{**asking, **(client or {})}],
        "fleet": [{**calm, **each} for each in fleet],
        "faults": list(faults),
        **keys,
    }
    return parse(document)


def once(*faults: dict[str, Any], **keys: Any) -> Run:
    """One request at 0 s and nobody to fail over to, with one attempt."""
    client = {"arrivals": {"kind": "recorded", "at": [0.0]}, **keys.pop("client", {})}
    engine = {"max_attempts": 1, **keys.pop("engine", {})}
    return run(world(*faults, client=client, engine=engine, **keys))


def of(ran: Run, kind: type[E]) -> list[E]:
    """The events of one type."""
    return [event for _, event in ran.events if isinstance(event, kind)]


def statuses(ran: Run) -> list[str]:
    """How the requests ended, in order of arrival."""
    return [each.status for each in ran.requests]
