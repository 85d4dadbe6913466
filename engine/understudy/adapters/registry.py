"""Which adapters there are. A registry belongs to one engine; adding to it changes no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from understudy.adapters.anthropic import AnthropicAdapter
from understudy.adapters.base import Adapter
from understudy.adapters.bedrock import BedrockAdapter
from understudy.adapters.bfl import BflAdapter
from understudy.adapters.cloudflare import CloudflareAdapter
from understudy.adapters.cohere import CohereAdapter
from understudy.adapters.fal import FalAdapter
from understudy.adapters.family import Family
from understudy.adapters.function import FunctionAdapter
from understudy.adapters.gemini import GeminiAdapter
from understudy.adapters.local import LocalAdapter
from understudy.adapters.ollama import OllamaAdapter
from understudy.adapters.openai import OpenAIAdapter
from understudy.adapters.openai_requests import Dialect
from understudy.adapters.openai_rules import COMPATIBLE_LIMITS
from understudy.adapters.raw_pictures import HuggingFaceAdapter, PollinationsAdapter
from understudy.adapters.replicate import ReplicateAdapter
from understudy.adapters.stability import StabilityAdapter
from understudy_actors.domain.errors import ConfigError


class Kind(Struct, frozen=True):
    """One kind of provider.

    Attributes:
        name: What configuration calls it.
        make: Builds its adapter from a provider's options.
        operations: What it can do.
        base_url, key_env: For a kind of one's own: where it is, and the environment variable that
            holds its key. What is known of the built-in ones stands in `config.kinds`.
    """

    name: str
    make: Callable[[Mapping[str, Any]], Adapter]
    operations: tuple[str, ...]
    base_url: str | None = None
    key_env: str | None = None


def _local(options: Mapping[str, Any]) -> Adapter:
    try:
        return LocalAdapter(**options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"provider of kind 'local': {error}") from None


def _function(options: Mapping[str, Any]) -> Adapter:
    if not callable(options.get("function")):
        raise ConfigError("provider of kind 'function': its option `function` must be callable")
    try:
        return FunctionAdapter(**options)
    except TypeError as error:
        raise ConfigError(f"provider of kind 'function': {error}") from None


def _openai(options: Mapping[str, Any]) -> Adapter:  # noqa: ARG001  they are the target's
    return OpenAIAdapter()


def _compatible(options: Mapping[str, Any]) -> Adapter:  # noqa: ARG001  they are the target's
    return OpenAIAdapter("openai_compatible", Dialect(), COMPATIBLE_LIMITS)


def _anthropic(options: Mapping[str, Any]) -> Adapter:  # noqa: ARG001  they are the target's
    return AnthropicAdapter()


def _of(family: type[Family]) -> Kind:
    """The kind of a family whose adapter takes no options: they are the target's."""
    return Kind(family.name, lambda options: family(), family.operations)  # noqa: ARG005


FAMILIES: Final[tuple[type[Family], ...]] = (
    GeminiAdapter,
    CohereAdapter,
    OllamaAdapter,
    CloudflareAdapter,
    BedrockAdapter,
    StabilityAdapter,
    ReplicateAdapter,
    FalAdapter,
    BflAdapter,
    PollinationsAdapter,
    HuggingFaceAdapter,
)
"""Adapters of one wire format each, under the names that `config.kinds` refers to."""

BUILT_IN: Final = (
    Kind("openai", _openai, OpenAIAdapter.operations),
    Kind("openai_compatible", _compatible, OpenAIAdapter.operations),
    Kind("anthropic", _anthropic, AnthropicAdapter.operations),
    *(_of(family) for family in FAMILIES),
    Kind("local", _local, LocalAdapter.operations),
    Kind("function", _function, ()),
)


class Registry:
    """Kinds of providers by name: the built-in ones, and those that were registered here."""

    def __init__(self) -> None:
        self._kinds = {kind.name: kind for kind in BUILT_IN}

    def register(self, kind: Kind) -> None:
        """Add a kind.

        Raises:
            ConfigError: There is one of that name.
        """
        if kind.name in self._kinds:
            raise ConfigError(f"there is a provider kind {kind.name!r} already: take another name")
        self._kinds[kind.name] = kind

    def get(self, name: str) -> Kind:
        """The kind called `name`.

        Raises:
            ConfigError: There is none.
        """
        if name not in self._kinds:
            known = ", ".join(sorted(self._kinds))
            raise ConfigError(f"there is no provider kind {name!r}; known are {known}")
        return self._kinds[name]

    @property
    def names(self) -> tuple[str, ...]:
        """Every name, sorted."""
        return tuple(sorted(self._kinds))
