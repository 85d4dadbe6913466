"""What work costs: exact sums of what was used, and the most that it can come to.

Money is whole micro-USD, rounded up, and computed in whole pico-USD: a float such as 30 * 0.1 is
more than 3 and would round up to 4. A price in USD for 1,000,000 tokens is one in micro-USD for a
token.
"""

from __future__ import annotations

import functools
from typing import Final

from msgspec import Struct

from understudy_actors.domain.result import Usage

_PICO_PER_MICRO: Final = 1_000_000
_PICO_PER_USD: Final = 1_000_000_000_000


class Tier(Struct, frozen=True):
    """The prices of requests whose prompt has more than `above_tokens` tokens: of all their tokens.

    In USD for 1,000,000 tokens; what is None costs as other input, or other output.
    """

    above_tokens: int
    input_per_mtok: float
    output_per_mtok: float
    cached_input_per_mtok: float | None = None
    reasoning_per_mtok: float | None = None
    cache_write_per_mtok: float | None = None
    image_input_per_mtok: float | None = None


class Price(Struct, frozen=True, cache_hash=True):
    """What a model costs, in USD.

    Attributes:
        input_per_mtok, output_per_mtok: For 1,000,000 tokens of the prompt, and of the answer.
        cached_input_per_mtok: For those of the prompt that the provider held in its cache; None,
            as other input.
        request_usd: For each call, beside the tokens.
        reasoning_per_mtok: For those of the answer that were thoughts; None, as other output.
        cache_write_per_mtok: For those of the prompt that its cache took up; None, as other input.
        image_input_per_mtok: For those of the prompt that stand for pictures; None, as other input.
        image_usd: For each picture that is drawn.
        tiers: Other prices for long prompts, the longest last.
        known_to_tokens: A longer prompt has a price that nobody wrote down; None, none has.
    """

    input_per_mtok: float = 0.0
    output_per_mtok: float = 0.0
    cached_input_per_mtok: float | None = None
    request_usd: float = 0.0
    reasoning_per_mtok: float | None = None
    cache_write_per_mtok: float | None = None
    image_input_per_mtok: float | None = None
    image_usd: float = 0.0
    tiers: tuple[Tier, ...] = ()
    known_to_tokens: int | None = None

    @property
    def charges_output(self) -> bool:
        """Does any token of an answer cost anything?"""
        return _exact(self).charges_output

    @property
    def by_tokens(self) -> bool:
        """Does it depend on any count of tokens?"""
        return _exact(self).by_tokens


class _Rate(Struct, frozen=True, gc=False):
    """What a token costs, in whole pico-USD, in prompts of more than `above` tokens.

    `given` and `made` are the dearest that a token of the prompt, and one of the answer, can be.
    """

    above: int
    given_plain: int
    made_plain: int
    thought: int
    cached: int | None
    newly_cached: int | None
    pictured: int | None
    given: int
    made: int


class _Exact(Struct, frozen=True, gc=False):
    """A price in whole pico-USD: worked out once, for each request needs it several times.

    `known_to` is None for a price that holds for every prompt.
    """

    rates: tuple[_Rate, ...]
    call: int
    image: int
    known_to: int | None
    charges_output: bool
    by_tokens: bool

    def rate(self, input_tokens: int) -> _Rate | None:
        """What holds for a prompt of so many tokens; None if nobody knows."""
        if self.known_to is not None and input_tokens > self.known_to:
            return None
        found = self.rates[0]
        for rate in self.rates:
            if input_tokens > rate.above:
                found = rate
        return found


def cost_micro_usd(price: Price, usage: Usage) -> int | None:
    """What `usage` costs in micro-USD, rounded up; None if its price is unknown.

    Cached, newly cached and picture tokens are parts of the input, thoughts of the output.
    """
    exact = _exact(price)
    rate = exact.rate(usage.input_tokens)
    if rate is None:
        return None
    left, pico = usage.input_tokens, exact.call + usage.images * exact.image
    if usage.cached_tokens or usage.cache_write_tokens or usage.image_tokens:
        for tokens, each in (
            (usage.cached_tokens, rate.cached),
            (usage.cache_write_tokens, rate.newly_cached),
            (usage.image_tokens, rate.pictured),
        ):
            if each is not None:
                part = min(tokens, left)
                left -= part
                pico += part * each
    pico += left * rate.given_plain + usage.output_tokens * rate.made_plain
    if usage.reasoning_tokens:
        thoughts = min(usage.reasoning_tokens, usage.output_tokens)
        pico += thoughts * (rate.thought - rate.made_plain)
    return -(-pico // _PICO_PER_MICRO)


def worst_micro_usd(price: Price, input_tokens: int, output_tokens: int, images: int = 0) -> int:
    """The most that a request can cost, in micro-USD.

    Law: no usage within these bounds costs more, whatever of it is cached, newly cached, pictures
    or thoughts, and whichever of the known tiers it falls into.

    Args:
        price: Of the model.
        input_tokens, output_tokens: The most that prompt and answer can have.
        images: The most pictures that can be drawn.
    """
    exact, most = _exact(price), 0
    for rate in exact.rates:
        if rate.above < input_tokens:
            most = max(most, input_tokens * rate.given + output_tokens * rate.made)
    return -(-(most + exact.call + images * exact.image) // _PICO_PER_MICRO)


def payable_output_tokens(
    price: Price, micro_usd: int, input_tokens: int, images: int = 0
) -> int | None:
    """The most tokens of an answer whose worst case `micro_usd` pays for; None: any number.

    Less than 0 if not even the prompt is paid for.
    """
    exact = _exact(price)
    left = micro_usd * _PICO_PER_MICRO - exact.call - images * exact.image
    after_prompt = [
        (left - input_tokens * rate.given, rate.made)
        for rate in exact.rates
        if not input_tokens <= rate.above
    ]
    if any(rest < 0 for rest, _ in after_prompt):
        return -1
    return min((rest // made for rest, made in after_prompt if made), default=None)


def expected_usd(
    price: Price, input_tokens: int, output_tokens: int, images: int = 0
) -> float | None:
    """About what a request costs, with nothing cached; None if that is unknown."""
    exact = _exact(price)
    rate = exact.rate(input_tokens)
    if rate is None:
        return None
    tokens = input_tokens * rate.given_plain + output_tokens * rate.made_plain
    return (tokens + exact.call + images * exact.image) / _PICO_PER_USD


@functools.lru_cache(maxsize=1024)
def _exact(price: Price) -> _Exact:
    tiers = tuple(_rate(tier.above_tokens, tier) for tier in price.tiers)
    rates = (_rate(-1, price), *tiers)
    charges_output = any(each.made for each in rates)
    return _Exact(
        rates,
        _pico(price.request_usd * 1e6),
        _pico(price.image_usd * 1e6),
        price.known_to_tokens,
        charges_output,
        charges_output or any(each.given for each in rates),
    )


def _rate(above: int, of: Price | Tier) -> _Rate:
    made = _pico(of.output_per_mtok)
    given = _pico(of.input_per_mtok)
    thought = made if of.reasoning_per_mtok is None else _pico(of.reasoning_per_mtok)
    parts = (of.cached_input_per_mtok, of.cache_write_per_mtok, of.image_input_per_mtok)
    cached, newly_cached, pictured = (None if each is None else _pico(each) for each in parts)
    return _Rate(
        above,
        given,
        made,
        thought,
        cached,
        newly_cached,
        pictured,
        given=max(given, cached or 0, newly_cached or 0, pictured or 0),
        made=max(made, thought),
    )


def _pico(micro_usd: float) -> int:
    return round(micro_usd * _PICO_PER_MICRO)
