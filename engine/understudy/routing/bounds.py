"""What an attempt may cost, before it is made: at worst, and as expected. Pure arithmetic.

The prompt counts as estimated (a third of its bytes, and something for each message and picture):
hardly any text has more tokens. One that has, and an answer as long as allowed with it, may cost
more than its worst case: that is what the ledger's breach is for.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from understudy_actors.dispatcher.flight import Flight
from understudy_actors.domain.candidate import Candidate, EndpointSpec
from understudy_actors.domain.price import Price, cost_micro_usd, worst_micro_usd
from understudy_actors.domain.request import ChatInput, ImageInput, Request, pictures
from understudy_actors.domain.result import Usage

UNPRICED: Final = "price unknown: "
UNBOUNDED: Final = "no bound on its answer: "


class Bound(Struct, frozen=True, gc=False):
    """What to set aside for an attempt, in micro-USD.

    Attributes:
        amount: For an answer as long as it may be.
        least: For one of the least length that makes sense; None if it cannot be shortened.
    """

    amount: int
    least: int | None = None


FREE: Final = Bound(0)


def worst(flight: Flight, candidate: Candidate, least_tokens: int | None) -> Bound | str:
    """The most that an attempt can cost; or why nobody can tell.

    `least_tokens` is the length down to which an answer may be shortened; None, it may not.
    """
    price = known_price(flight, candidate)
    if not isinstance(price, Price):
        return price or FREE
    request, tokens = flight.request, most_output(flight.request, candidate.spec)
    if tokens is None:
        if price.charges_output:
            return f"{UNBOUNDED}set max_tokens, or `max_output` for the model"
        tokens = 0
    images = pictures(request) if price.image_usd else 0
    amount = worst_micro_usd(price, flight.input_tokens, tokens, images)
    if least_tokens is None or not isinstance(request.input, ChatInput):
        return Bound(amount)
    least_tokens = min(least_tokens, tokens)
    return Bound(amount, worst_micro_usd(price, flight.input_tokens, least_tokens, images))


def expected(flight: Flight, candidate: Candidate, usual_most: int | None) -> Bound | str:
    """What an attempt is expected to cost; or why nobody can tell.

    The caller's own estimate of the answer's length goes first, then `usual_most`: what all but one
    in twenty of the answers seen had at most.
    """
    price = known_price(flight, candidate)
    if not isinstance(price, Price):
        return price or FREE
    request, tokens = flight.request, flight.output_tokens
    if request.output_tokens is None and usual_most is not None:
        most = most_output(request, candidate.spec)
        tokens = usual_most if most is None else min(most, usual_most)
    usage = Usage(flight.input_tokens, tokens, images=pictures(request))
    cost = cost_micro_usd(price, usage)
    assert cost is not None, "so long a prompt has a known price"
    return Bound(cost)


def known_price(flight: Flight, candidate: Candidate) -> Price | str:
    """The price of an attempt; why it is unknown; or nothing, if there is a free call left."""
    price = candidate.spec.price
    if candidate.free_left:
        return ""
    if price is None:
        return f"{UNPRICED}set `price` for it to use it under a budget"
    known_to = price.known_to_tokens
    if known_to is not None and flight.input_tokens > known_to:
        return (
            f"{UNPRICED}published for prompts of up to {known_to} tokens only, and this one has "
            f"about {flight.input_tokens}: set `price` with `tiers` for it"
        )
    return price


def most_output(request: Request, spec: EndpointSpec) -> int | None:
    """The most tokens that an answer can have; None if nothing bounds it."""
    body = request.input
    if isinstance(body, ImageInput):
        return None if spec.max_output_tokens is None else body.n * spec.max_output_tokens
    if not isinstance(body, ChatInput):
        return 0
    asked, cap = body.max_tokens, spec.max_output_tokens
    if asked is None or cap is None:
        return asked or cap or spec.known_output_tokens
    return min(asked, cap)


def output_to_reserve(flight: Flight, spec: EndpointSpec) -> int:
    """Tokens of an answer to reserve under a rate limit: its most, or without a bound the usual.

    The published maximum of a model is no such bound: reserved for every call, it would let one
    call a minute through where a thousand fit.
    """
    body = flight.request.input
    if not isinstance(body, ChatInput):
        return flight.output_tokens
    bounds = [n for n in (body.max_tokens, spec.max_output_tokens) if n is not None]
    return min(bounds, default=flight.output_tokens)
