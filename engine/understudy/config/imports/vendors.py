"""Which of our kinds stands behind a provider's name in LiteLLM, as data.

A kind of that name is taken as soon as there is one; these tables say only what differs. Addresses
are those of the vendors' own sides that speak OpenAI's format, from their documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from understudy.config.kinds import COMPATIBLE, KINDS, Kind
from understudy.prices import bundled_table

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "azure": ("azure", "azure-openai"),
    "azure_text": ("azure", "azure-openai"),
    "bedrock_converse": ("bedrock",),
    "black_forest_labs": ("bfl", "flux"),
    "codestral": ("mistral",),
    "cohere_chat": ("cohere",),
    "fal_ai": ("fal",),
    "fireworks_ai": ("fireworks",),
    "hosted_vllm": ("vllm",),
    "lm_studio": ("lmstudio",),
    "ollama_chat": ("ollama",),
    "stability": ("stability",),
    "text-completion-openai": ("openai",),
    "together_ai": ("together",),
    "vertex_ai": ("vertex",),
    "vertex_ai_beta": ("vertex",),
    "xai": ("xai",),
}
"""LiteLLM's name to ours, where they differ; the first one that exists is taken."""

COMPATIBLE_SIDES: Final[Mapping[str, tuple[str, str]]] = {
    "ai21": ("https://api.ai21.com/studio/v1", "AI21_API_KEY"),
    "cerebras": ("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "cohere": ("https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY"),
    "cohere_chat": ("https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY"),
    "dashscope": (
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        "DASHSCOPE_API_KEY",
    ),
    "deepinfra": ("https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    "featherless_ai": ("https://api.featherless.ai/v1", "FEATHERLESS_AI_API_KEY"),
    "fireworks_ai": ("https://api.fireworks.ai/inference/v1", "FIREWORKS_AI_API_KEY"),
    "hyperbolic": ("https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY"),
    "lambda_ai": ("https://api.lambda.ai/v1", "LAMBDA_API_KEY"),
    "meta_llama": ("https://api.llama.com/compat/v1", "LLAMA_API_KEY"),
    "moonshot": ("https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    "nebius": ("https://api.studio.nebius.ai/v1", "NEBIUS_API_KEY"),
    "novita": ("https://api.novita.ai/v3/openai", "NOVITA_API_KEY"),
    "nvidia_nim": ("https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    "perplexity": ("https://api.perplexity.ai", "PERPLEXITYAI_API_KEY"),
    "sambanova": ("https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    "volcengine": ("https://ark.cn-beijing.volces.com/api/v3", "VOLCENGINE_API_KEY"),
    "zai": ("https://api.z.ai/api/paas/v4", "ZAI_API_KEY"),
}
"""LiteLLM's name to the address of the vendor's OpenAI-compatible side, and to its usual key."""

ADDRESSED: Final = frozenset(
    {"custom_openai", "infinity", "litellm_proxy", "llamafile", "openai_like", "xinference"}
)
"""Names for any server that speaks OpenAI's format: they need an `api_base`."""

ELSEWHERE: Final = frozenset(
    {
        "ai21_chat", "aiohttp_openai", "aleph_alpha", "anyscale", "assemblyai", "aws_polly",
        "azure_ai", "baseten", "bedrock", "bedrock_converse", "bytez", "clarifai", "cloudflare",
        "databricks", "deepgram", "elevenlabs", "empower", "friendliai", "galadriel", "gigachat",
        "github", "github_copilot", "gradient_ai", "jina_ai", "maritalk", "nlp_cloud", "oci",
        "oobabooga", "petals", "predibase", "recraft", "replicate", "sagemaker", "sagemaker_chat",
        "snowflake", "topaz", "triton", "vertex_ai", "vertex_ai_beta", "voyage", "watsonx",
    }
)  # fmt: skip
"""Names that LiteLLM knows and that speak a format of their own, for all we know."""

THEIR_KEYS: Final[Mapping[str, str]] = {
    "azure": "AZURE_API_KEY",
    "azure_text": "AZURE_API_KEY",
    "cloudflare": "CLOUDFLARE_API_KEY",
    "huggingface": "HUGGINGFACE_API_KEY",
    "together_ai": "TOGETHERAI_API_KEY",
}
"""Where LiteLLM looks for a key that no entry names, if that is not where we do."""

_USUAL: Final = (
    (("gpt-", "o1", "o3", "o4", "chatgpt-", "text-embedding-", "dall-e", "tts-"), "openai"),
    (("claude-",), "anthropic"),
    (("gemini-",), "gemini"),
    (("command-", "embed-"), "cohere"),
    (("mistral-", "codestral-", "ministral-", "magistral-"), "mistral"),
    (("deepseek-",), "deepseek"),
    (("grok-",), "xai"),
)
"""How models begin whose provider LiteLLM knows without being told."""


class Vendor(Struct, frozen=True, kw_only=True):
    """Who is meant.

    Attributes:
        name: LiteLLM's name.
        kind: Ours.
        base_url: Its address, where that is not the kind's own.
        key_variable: The variable that usually holds its key; None: it needs none.
        compatible: Reached through its OpenAI-compatible side, since it has no kind of its own.
    """

    name: str
    kind: Kind
    base_url: str | None = None
    key_variable: str | None = None
    compatible: bool = False


def parted(model: str, named: object, kinds: Mapping[str, Kind] = KINDS) -> tuple[str | None, str]:
    """The provider and the model in LiteLLM's `provider/model`; no provider if none is known."""
    first, slash, rest = model.partition("/")
    if isinstance(named, str) and named:
        return named, rest if slash and first == named else model
    if slash and rest and is_known(first, kinds):
        return first, rest
    lowered = model.casefold()
    usual = (name for starts, name in _USUAL if lowered.startswith(starts))
    return next(usual, None), model


def is_known(name: str, kinds: Mapping[str, Kind] = KINDS) -> bool:
    """Does this word before a slash name a provider?"""
    return (
        _kind(name, kinds) is not None
        or name in COMPATIBLE_SIDES
        or name in ADDRESSED
        or name in ELSEWHERE
        or name in NAMES
    )


def vendor(name: str, address: str | None, kinds: Mapping[str, Kind] = KINDS) -> Vendor | None:
    """Who speaks for a provider of LiteLLM's; None if nobody here does. `address` is its own."""
    if (kind := _kind(name, kinds)) is not None:
        variable = THEIR_KEYS.get(name, kind.key_variable)
        return Vendor(name=name, kind=kind, base_url=address, key_variable=variable)
    if name in COMPATIBLE_SIDES:
        url, variable = COMPATIBLE_SIDES[name]
        return Vendor(
            name=name,
            kind=COMPATIBLE,
            base_url=address or url,
            key_variable=variable,
            compatible=True,
        )
    if address is None or name in ELSEWHERE:
        return None
    return Vendor(name=name, kind=COMPATIBLE, base_url=address) if name in ADDRESSED else None


def _kind(name: str, kinds: Mapping[str, Kind]) -> Kind | None:
    wanted = NAMES.get(name, (name, name.replace("_", "-")))
    own = (kinds[each] for each in wanted if each in kinds and each not in _OURS_ALONE)
    return next(own, None)


_OURS_ALONE: Final = frozenset({"local", "function", "openai-compatible"})


def published_models(kind: Kind) -> list[str]:
    """The models of a kind that the price table knows."""
    wanted = kind.prices or kind.name
    return [model for name, model in bundled_table().models if name == wanted]
