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


class Price(Struct, frozen=True):
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
        return any(made for _, _, made in _dearest(self))

    @property
    def by_tokens(self) -> bool:
        """Does it depend on any count of tokens?"""
        return any(given or made for _, given, made in _dearest(self))


def rates(price: Price, input_tokens: int) -> Price | Tier | None:
    """What holds for a prompt of so many tokens; None if nobody knows."""
    if price.known_to_tokens is not None and input_tokens > price.known_to_tokens:
        return None
    found: Price | Tier = price
    for tier in price.tiers:
        if input_tokens > tier.above_tokens:
            found = tier
    return found


def cost_micro_usd(price: Price, usage: Usage) -> int | None:
    """What `usage` costs in micro-USD, rounded up; None if its price is unknown.

    Cached, newly cached and picture tokens are parts of the input, thoughts of the output.
    """
    rate = rates(price, usage.input_tokens)
    if rate is None:
        return None
    left, pico = usage.input_tokens, 0
    if usage.cached_tokens or usage.cache_write_tokens or usage.image_tokens:
        for tokens, per_mtok in (
            (usage.cached_tokens, rate.cached_input_per_mtok),
            (usage.cache_write_tokens, rate.cache_write_per_mtok),
            (usage.image_tokens, rate.image_input_per_mtok),
        ):
            if per_mtok is not None:
                part = min(tokens, left)
                left -= part
                pico += part * _pico(per_mtok)
    thoughts = min(usage.reasoning_tokens, usage.output_tokens)
    dear = rate.output_per_mtok if rate.reasoning_per_mtok is None else rate.reasoning_per_mtok
    pico += (
        left * _pico(rate.input_per_mtok)
        + (usage.output_tokens - thoughts) * _pico(rate.output_per_mtok)
        + thoughts * _pico(dear)
        + _fixed(price, usage.images)
    )
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
    tokens = max(
        input_tokens * given + output_tokens * made
        for above, given, made in _dearest(price)
        if above < input_tokens
    )
    return -(-(tokens + _fixed(price, images)) // _PICO_PER_MICRO)


def payable_output_tokens(
    price: Price, micro_usd: int, input_tokens: int, images: int = 0
) -> int | None:
    """The most tokens of an answer whose worst case `micro_usd` pays for; None: any number.

    Less than 0 if not even the prompt is paid for.
    """
    left = micro_usd * _PICO_PER_MICRO - _fixed(price, images)
    after_prompt = [
        (left - input_tokens * given, made)
        for above, given, made in _dearest(price)
        if not input_tokens <= above
    ]
    if any(rest < 0 for rest, _ in after_prompt):
        return -1
    return min((rest // made for rest, made in after_prompt if made), default=None)


def expected_usd(
    price: Price, input_tokens: int, output_tokens: int, images: int = 0
) -> float | None:
    """About what a request costs, with nothing cached; None if that is unknown."""
    rate = rates(price, input_tokens) if price.tiers or price.known_to_tokens else price
    if rate is None:
        return None
    tokens = input_tokens * rate.input_per_mtok + output_tokens * rate.output_per_mtok
    return tokens / 1e6 + price.request_usd + images * price.image_usd


@functools.lru_cache(maxsize=1024)
def _dearest(price: Price) -> tuple[tuple[int, int, int], ...]:
    """For each tier: above how many tokens of a prompt it begins, and the dearest that a token of
    the prompt, and one of the answer, can be in it, in pico-USD."""
    every: list[tuple[int, Price | Tier]] = [(-1, price)]
    every += [(tier.above_tokens, tier) for tier in price.tiers]
    found: list[tuple[int, int, int]] = []
    for above, each in every:
        given = max(
            each.input_per_mtok,
            each.cached_input_per_mtok or 0.0,
            each.cache_write_per_mtok or 0.0,
            each.image_input_per_mtok or 0.0,
        )
        made = max(each.output_per_mtok, each.reasoning_per_mtok or 0.0)
        found.append((above, _pico(given), _pico(made)))
    return tuple(found)


def _fixed(price: Price, images: int) -> int:
    return _pico(price.request_usd * 1e6) + images * _pico(price.image_usd * 1e6)


@functools.lru_cache(maxsize=4096)
def _pico(micro_usd: float) -> int:
    return round(micro_usd * _PICO_PER_MICRO)
