"""Faults planted in the arithmetic of prices."""

from __future__ import annotations

from typing import Final

from tests.support.mutants import Mutant

_MODULE: Final = "understudy_actors.domain.price"

MUTANTS: Final = [
    Mutant(name, _MODULE, old, new)
    for name, old, new in (
        (
            "price tiers are ignored",
            "        if input_tokens > tier.above_tokens:",
            "        if False:",
        ),
        (
            "a tier begins with its last token below",
            "        if input_tokens > tier.above_tokens:",
            "        if input_tokens >= tier.above_tokens:",
        ),
        (
            "the worst case knows no tiers",
            "        if above < input_tokens\n",
            "        if above < 0\n",
        ),
        (
            "the worst case is the last tier's",
            "return tuple(found)",
            "return tuple(found[-1:])",
        ),
        ("thoughts are free", "+ thoughts * _pico(dear)", ""),
        (
            "thoughts cost as other output",
            "+ thoughts * _pico(dear)",
            "+ thoughts * _pico(rate.output_per_mtok)",
        ),
        (
            "the worst case forgets thoughts",
            "max(each.output_per_mtok, each.reasoning_per_mtok or 0.0)",
            "each.output_per_mtok",
        ),
        (
            "the worst case has all of the prompt cached",
            "            each.input_per_mtok,\n            each.cached_input_per_mtok or 0.0,",
            "            each.cached_input_per_mtok or 0.0,",
        ),
        (
            "the worst case forgets that caches charge",
            "            each.cache_write_per_mtok or 0.0,\n        ",
            "",
        ),
        ("cached tokens are charged twice", "                left -= part\n", ""),
        ("pictures are free", "+ images * _pico(price.image_usd * 1e6)", ""),
        ("calls have no price of their own", "_pico(price.request_usd * 1e6)", "0"),
        (
            "money is rounded down",
            "return -(-pico // _PICO_PER_MICRO)",
            "return pico // _PICO_PER_MICRO",
        ),
        (
            "an unknown price is the one below",
            "price.known_to_tokens is not None and input_tokens > price.known_to_tokens",
            "False",
        ),
        ("answers are shortened too little", "(rest // made for", "(rest // made + 1 for"),
        (
            "answers are shortened by the cheapest tier",
            "return min((rest // made",
            "return max((rest // made",
        ),
    )
]
