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
            "            if input_tokens > rate.above:",
            "            if False:",
        ),
        (
            "a tier begins with its last token below",
            "            if input_tokens > rate.above:",
            "            if input_tokens >= rate.above:",
        ),
        (
            "the worst case knows no tiers",
            "        if rate.above < input_tokens:",
            "        if rate.above < 0:",
        ),
        (
            "the worst case is the last tier's",
            "    for rate in exact.rates:\n        if rate.above",
            "    for rate in exact.rates[-1:]:\n        if rate.above",
        ),
        ("thoughts are free", "(rate.thought - rate.made_plain)", "-rate.made_plain"),
        (
            "thoughts cost as other output",
            "(rate.thought - rate.made_plain)",
            "0",
        ),
        (
            "the worst case forgets thoughts",
            "made=max(made, thought)",
            "made=made",
        ),
        (
            "the worst case has all of the prompt cached",
            "given=max(given, cached or 0,",
            "given=max(cached or 0,",
        ),
        (
            "the worst case forgets that caches charge",
            " newly_cached or 0,",
            "",
        ),
        ("cached tokens are charged twice", "                left -= part\n", ""),
        ("pictures are free", "_pico(price.image_usd * 1e6)", "0"),
        ("calls have no price of their own", "_pico(price.request_usd * 1e6)", "0"),
        (
            "money is rounded down",
            "return -(-pico // _PICO_PER_MICRO)",
            "return pico // _PICO_PER_MICRO",
        ),
        (
            "an unknown price is the one below",
            "self.known_to is not None and input_tokens > self.known_to",
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
