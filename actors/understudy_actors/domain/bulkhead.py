"""Bulkheads: how many slots of one endpoint some kind of request may hold at once, at most.

A request belongs to the compartments that its operation, its tenant and its priority are named in,
often to none. At each endpoint a compartment holds at most its share of the slots that there are
then, and always one: a share is a ceiling, no reserve, and shuts nobody out for ever. Together
they need not add up to one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from msgspec import Struct

from understudy_actors.domain.request import Request

EACH: Final = "*"
"""In place of a tenant's name: every one that is not named, each by itself."""
_NOBODY: Final[Mapping[str, float]] = MappingProxyType({})
_NO_PRIORITY: Final[Mapping[int, float]] = MappingProxyType({})
_ROUNDING: Final = 1e-9


class Compartment(Struct, frozen=True, gc=False):
    """Requests that together hold at most this `share`, 0..1, of each endpoint's slots."""

    name: str
    share: float

    def most(self, limit: int) -> int:
        """So many of `limit` slots."""
        return min(limit, max(1, int(self.share * limit + _ROUNDING)))


Compartments: TypeAlias = tuple[Compartment, ...]


class ShareRule(Struct, frozen=True, kw_only=True):
    """Which compartments there are; who is not named is in none.

    Attributes:
        operations: Share of an operation.
        tenants: Share of a tenant, or of `EACH` other one. Who names none counts as one tenant.
        priorities: Share of all requests of this priority or a lower one.
    """

    operations: Mapping[str, float] = _NOBODY
    tenants: Mapping[str, float] = _NOBODY
    priorities: Mapping[int, float] = _NO_PRIORITY

    def compartments(self, request: Request) -> Compartments:
        """Those that a request belongs to."""
        operation, tenant = request.operation, tenant_of(request)
        found: list[Compartment] = []
        share = self.operations.get(operation)
        if share is not None:
            found.append(Compartment(f"operation {operation}", share))
        share = self.tenants.get(tenant, self.tenants.get(EACH))
        if share is not None:
            found.append(Compartment(f"tenant {tenant}", share))
        for priority, own in self.priorities.items():
            if request.priority <= priority:
                found.append(Compartment(f"priority {priority}", own))
        return tuple(found)


def tenant_of(request: Request) -> str:
    """Whose share a request counts in."""
    return request.tenant or request.user or ""


def full(held: Mapping[str, int], compartments: Compartments, limit: int) -> bool:
    """Does any of these hold all that it may of `limit` slots? `held` is by name."""
    return any(held.get(each.name, 0) >= each.most(limit) for each in compartments)
