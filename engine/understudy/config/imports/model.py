"""What a deployment says of its model: limits, window, price, and what it can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from understudy.config.imports.reading import Draft, Piece, Table, number, word
from understudy.config.price import PriceConfig
from understudy.config.provider import ModelConfig
from understudy_actors.domain import operation

MODES: Final[Mapping[str, str]] = {
    "chat": operation.CHAT,
    "completion": operation.CHAT,
    "responses": operation.CHAT,
    "embedding": operation.EMBEDDING,
    "image_generation": operation.IMAGE,
}
PRICES: Final[Mapping[str, tuple[str, float]]] = {
    "input_cost_per_token": ("input", 1e6),
    "output_cost_per_token": ("output", 1e6),
    "cache_read_input_token_cost": ("cached", 1e6),
    "cache_creation_input_token_cost": ("cache_write", 1e6),
    "output_cost_per_reasoning_token": ("reasoning", 1e6),
    "output_cost_per_image": ("image", 1.0),
    "input_cost_per_image": ("image", 1.0),
    "input_cost_per_request": ("request", 1.0),
}
"""LiteLLM's prices to ours, and what to multiply them by: ours are for a million tokens."""

CAPABILITIES: Final[Mapping[str, str]] = {
    "supports_vision": "vision",
    "supports_function_calling": "tools",
    "supports_assistant_prefill": "prefill",
}
RATES: Final[Mapping[str, str]] = {"rpm": "requests_per_minute", "tpm": "tokens_per_minute"}


def model_of(draft: Draft, params: Piece, info: Piece, piece: Piece) -> Table:
    """What a model's own section says, but for its name and groups."""
    made: Table = {}

    def put(ours: str, value: Any, path: str) -> None:
        draft.put(made, ModelConfig, ours, value, path, ours)

    for part in (piece, params, info):
        for foreign, ours in RATES.items():
            if (value := number(draft.plain(part.take(foreign)))) is not None:
                put(ours, value, part.at(foreign))
    if (order := number(params.take("order"))) is not None:
        put("priority", order, params.at("order"))
    if (most := number(params.take("max_tokens"))) is not None and draft.put(
        made, ModelConfig, "max_output", most, params.at("max_tokens")
    ):
        draft.notes.changed(params.at("max_tokens"), "max_output: no answer is longer")
    _window(info, put)
    _price(draft, (params, info), made)
    mode = info.take("mode")
    if (known := MODES.get(word(mode))) is not None:
        put("operations", [known], info.at("mode"))
    elif mode is not None:
        draft.notes.dropped(info.at("mode"), "there is no such operation here")
    able = [word for key, word in CAPABILITIES.items() if info.take(key) is True]
    if able:
        put("capabilities", able, f"{info.path}.supports_*")
    return made


def _window(info: Piece, put: Any) -> None:
    for foreign, ours in (
        ("max_input_tokens", "max_context"),
        ("max_tokens", "max_context"),
        ("max_output_tokens", "max_output"),
    ):
        if foreign == "max_tokens" and "max_input_tokens" in info.table:
            continue
        if (value := number(info.take(foreign))) is not None:
            put(ours, value, info.at(foreign))


def _price(draft: Draft, parts: tuple[Piece, ...], made: Table) -> None:
    price: Table = {}
    for part in parts:
        for foreign, (ours, times) in PRICES.items():
            value = number(part.take(foreign))
            if value is None:
                continue
            if isinstance(value, int | float) and not isinstance(value, bool):
                value = round(value * times, 6)
            draft.put(price, PriceConfig, ours, value, part.at(foreign), f"price.{ours}")
    if price and not price.keys() & {"input", "output", "image", "request"}:
        draft.notes.dropped(f"{parts[0].path}: prices", "say neither input nor output")
    elif price:
        made["price"] = price
