"""What a request is expected to take, and what its attempts came to."""

from __future__ import annotations

from typing import Final

from understudy_actors.dispatcher.flight import Flight
from understudy_actors.domain.request import ChatInput, Request

OUTPUT_TOKENS: Final = 500
"""Expected length of an answer when neither the caller nor `max_tokens` says."""


def expected_output(request: Request) -> int:
    """Tokens of its answer."""
    if request.output_tokens is not None:
        return request.output_tokens
    body = request.input
    if isinstance(body, ChatInput):
        return OUTPUT_TOKENS if body.max_tokens is None else body.max_tokens
    return 0


def total_usd(flight: Flight) -> float | None:
    """What the attempts cost together; None if the answer's own price is unknown.

    A failed attempt of unknown cost is left out: it stands as unknown in `attempts`.
    """
    attempts = flight.attempts
    if not attempts or attempts[-1].cost_usd is None:
        return None
    if len(attempts) == 1:
        return attempts[0].cost_usd
    return sum(each.cost_usd or 0.0 for each in attempts)
