"""Which request an attempt belongs to: told along the context of the task, not over the wire."""

from __future__ import annotations

from contextvars import ContextVar

import attrs

from understudy_actors.runtime.ports import Randomness


@attrs.define(eq=False, slots=True)
class Asked:
    """One request of a client, as far as it is nobody's business but the provider's.

    `visits` counts the attempts at each provider; together with the id they key every draw.
    """

    id: str
    output_tokens: int = 100
    visits: dict[str, int] = attrs.Factory(dict)

    def visit(self, provider: str) -> int:
        """The number of this attempt at a provider, from 0."""
        number = self.visits.get(provider, 0)
        self.visits[provider] = number + 1
        return number


ASKED: ContextVar[Asked | None] = ContextVar("ASKED", default=None)
"""The request that the present task is about; None in the engine's own tasks."""


def key_number(randomness: Randomness, asked: Asked, visit: int) -> int:
    """A number that stands for one attempt of one request, whatever else happens."""
    return randomness.bits(f"attempt/{asked.id}", visit) >> 1
