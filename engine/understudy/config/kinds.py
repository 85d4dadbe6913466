"""The kinds of provider that come with the library, as data: one row each.

A row says which adapter speaks to it, where it lives, which environment variable usually holds its
key, and what it serves when the configuration does not say. One row is a new compatible vendor.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from msgspec import Struct

from understudy_actors.domain import operation
from understudy_actors.domain.price import Price
from understudy_actors.domain.rates import Unit

FREE: Final = Price()
COMPATIBLE_WIRE: Final = "openai_compatible"
"""The adapter for servers that speak OpenAI's format, but not every field of it."""

_Dialect: TypeAlias = tuple[tuple[str, object], ...]
_MISTRAL: Final[_Dialect] = (
    ("seed_field", "random_seed"),
    ("prefix_flag", True),
    ("stream_usage", False),
)
"""It refuses fields that it does not know, and counts tokens in streams unasked. Its answer to a
turn that it continues begins with that turn. Source: its OpenAPI description, AssistantMessage."""
_DEEPSEEK: Final[_Dialect] = (("prefix_flag", True), ("prefix_path", "/beta"))
"""Only its beta side continues a turn. Source: its guide "Chat Prefix Completion (Beta)"."""
_CLOUDFLARE: Final[_Dialect] = (("check_path", "/models/search?per_page=1"),)
"""It lists its models beside its OpenAI-compatible side."""
_WORKERS_AI: Final = "https://api.cloudflare.com/client/v4/accounts/{CLOUDFLARE_ACCOUNT_ID}/ai"
_AZURE: Final[_Dialect] = (("key_header", "api-key"), ("key_prefix", ""))
_DEPLOYMENTS: Final[_Dialect] = (
    *_AZURE,
    ("model_path", "/deployments/{model}"),
    ("query", "api-version=2024-10-21"),
    ("max_tokens_field", "max_completion_tokens"),
)
"""Azure's address of its own for each deployment; the version is its latest stable one."""


class Kind(Struct, frozen=True, kw_only=True):
    """What is known of a kind of provider before anybody configures one.

    Attributes:
        name: As written under `kind`.
        adapter: Name of the adapter that speaks its wire format.
        base_url: Where it lives; None must be configured, or needs no address. `{NAME}` in it
            stands for the value of the environment variable NAME.
        key_variable: The environment variable that usually holds its key.
        models: Models of a provider that lists none; for vendors the cheap one used by discovery.
        operations: What its models can do; empty goes by the model's name.
        otherwise: What a model can do whose name does not tell.
        capabilities: What every model of it can do.
        dialect: How it differs from the wire of its adapter: options of its targets, by name.
        price: For every model, if it is the same for all (a machine of one's own is free).
        groups: Every model joins these; `*` serves any model that a request names.
        prices: Its name in the price table, where that differs.
        degraded: A stand-in: it closes chains, and its answers are marked.
        needs_models: The configuration must list models.
        needs_address: The configuration must give `base_url`.
    """

    name: str
    adapter: str
    base_url: str | None = None
    key_variable: str | None = None
    models: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    otherwise: tuple[str, ...] = (operation.CHAT,)
    capabilities: tuple[str, ...] = ()
    dialect: _Dialect = ()
    price: Price | None = None
    groups: tuple[str, ...] = ()
    prices: str | None = None
    degraded: bool = False
    needs_models: bool = True
    needs_address: bool = False


def _vendor(
    name: str,
    base_url: str,
    model: str,
    *,
    adapter: str = COMPATIBLE_WIRE,
    prices: str | None = None,
    dialect: _Dialect = (),
    key: str | None = None,
    otherwise: tuple[str, ...] = (operation.CHAT,),
) -> Kind:
    return Kind(
        name=name,
        adapter=adapter,
        base_url=base_url,
        key_variable=key or f"{name.upper()}_API_KEY",
        models=(model,),
        prices=prices,
        dialect=dialect,
        otherwise=otherwise,
        capabilities=("prefill",) if ("prefix_flag", True) in dialect else (),
    )


def _artist(name: str, base_url: str, model: str, *, key: str | None = None) -> Kind:
    """A vendor of pictures, with an adapter of its own."""
    return _vendor(name, base_url, model, adapter=name, key=key, otherwise=(operation.IMAGE,))


def _server(name: str, port: int) -> Kind:
    base_url = f"http://127.0.0.1:{port}/v1"
    return Kind(name=name, adapter=COMPATIBLE_WIRE, base_url=base_url, price=FREE)


VENDORS: Final = (
    _vendor("openai", "https://api.openai.com/v1", "gpt-5.4-mini", adapter="openai"),
    _vendor("anthropic", "https://api.anthropic.com", "claude-haiku-4-5", adapter="anthropic"),
    _vendor(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta",
        "gemini-2.5-flash",
        adapter="gemini",
    ),
    _vendor(
        "groq",
        "https://api.groq.com/openai/v1",
        "openai/gpt-oss-20b",
        dialect=(("minute_units", (Unit.TOKENS,)),),  # it limits requests by the day
    ),
    _vendor("mistral", "https://api.mistral.ai/v1", "mistral-small-latest", dialect=_MISTRAL),
    _vendor("deepseek", "https://api.deepseek.com", "deepseek-v4-flash", dialect=_DEEPSEEK),
    _vendor(
        "cohere",
        "https://api.cohere.com",
        "command-r7b-12-2024",
        adapter="cohere",
        key="CO_API_KEY",
    ),
    _vendor("xai", "https://api.x.ai/v1", "grok-4.3"),
    _vendor(
        "together",
        "https://api.together.ai/v1",
        "openai/gpt-oss-120b",
        prices="together_ai",
        dialect=(("sizes_apart", True),),
    ),
    _vendor("openrouter", "https://openrouter.ai/api/v1", "openai/gpt-oss-20b"),
    _vendor(
        "cloudflare",
        _WORKERS_AI + "/v1",
        "@cf/openai/gpt-oss-120b",
        key="CLOUDFLARE_API_TOKEN",
        dialect=_CLOUDFLARE,
    ),
    _vendor(
        "huggingface", "https://router.huggingface.co/v1", "openai/gpt-oss-120b", key="HF_TOKEN"
    ),
    _artist("stability", "https://api.stability.ai", "core"),
    _artist(
        "replicate",
        "https://api.replicate.com/v1",
        "black-forest-labs/flux-schnell",
        key="REPLICATE_API_TOKEN",
    ),
    _artist("fal", "https://queue.fal.run", "fal-ai/flux/schnell", key="FAL_KEY"),
    _artist("bfl", "https://api.bfl.ai", "flux-dev"),
    _artist("pollinations", "https://gen.pollinations.ai", "flux"),
)
"""Providers with a key, in the order in which discovery lists them."""

ACCOUNTS: Final = (
    *(
        Kind(
            name=name,
            adapter=COMPATIBLE_WIRE,
            base_url=base_url,
            key_variable="AZURE_OPENAI_API_KEY",
            dialect=dialect,
        )
        for name, base_url, dialect in (
            ("azure", "{AZURE_OPENAI_ENDPOINT}/openai/v1", _AZURE),
            ("azure-deployments", "{AZURE_OPENAI_ENDPOINT}/openai", _DEPLOYMENTS),
        )
    ),
    Kind(
        name="bedrock",
        adapter="bedrock",
        base_url="https://bedrock-runtime.{AWS_REGION}.amazonaws.com",
        key_variable="AWS_BEARER_TOKEN_BEDROCK",
    ),
    Kind(
        name="cloudflare-native",
        adapter="cloudflare",
        base_url=_WORKERS_AI,
        key_variable="CLOUDFLARE_API_TOKEN",
        prices="cloudflare",
    ),
    Kind(
        name="huggingface-images",
        adapter="huggingface",
        base_url="https://router.huggingface.co/hf-inference",
        key_variable="HF_TOKEN",
        otherwise=(operation.IMAGE,),
    ),
    Kind(
        name="pollinations-keyless",
        adapter="pollinations",
        base_url="https://image.pollinations.ai",
        dialect=(("path", "prompt"),),
        otherwise=(operation.IMAGE,),
    ),
    Kind(
        name="ollama-native",
        adapter="ollama",
        base_url="http://127.0.0.1:11434",
        price=FREE,
    ),
)
"""Further sides of a provider, and those whose models have names of the account's own: nothing
that could be discovered."""

SERVERS: Final = (
    _server("ollama", 11434),
    _server("llamacpp", 8080),
    _server("vllm", 8000),
    _server("lmstudio", 1234),
)
"""Servers on this machine, at their usual ports, through their OpenAI-compatible side."""

LOCAL: Final = Kind(
    name="local",
    adapter="local",
    models=("stand-in",),
    operations=(operation.CHAT,),
    price=FREE,
    groups=("*",),
    degraded=True,
    needs_models=False,
)
FUNCTION: Final = Kind(
    name="function",
    adapter="function",
    models=("function",),
    operations=(operation.CHAT,),
    needs_models=False,
)
COMPATIBLE: Final = Kind(name="openai-compatible", adapter=COMPATIBLE_WIRE, needs_address=True)

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {each.name: each for each in (*VENDORS, *ACCOUNTS, *SERVERS, COMPATIBLE, LOCAL, FUNCTION)}
)
"""Every kind that comes with the library, by name."""

_EDIT: Final = (operation.IMAGE_EDIT,)
_BY_NAME: Final = (
    ("embed", (operation.EMBEDDING,)),
    ("inpaint", _EDIT),
    ("outpaint", _EDIT),
    ("erase", _EDIT),
    ("search-and-re", _EDIT),
    ("remove-background", _EDIT),
    ("kontext", (operation.IMAGE, operation.IMAGE_EDIT)),
    ("flux-2", (operation.IMAGE, operation.IMAGE_EDIT)),
    ("gpt-image", (operation.IMAGE, operation.IMAGE_EDIT)),
    ("image", (operation.IMAGE,)),
    ("dall-e", (operation.IMAGE,)),
    ("flux", (operation.IMAGE,)),
)


_BODY: Final[Mapping[str, type]] = {"body": dict}
_FIELDS: Final[Mapping[str, type]] = {"image_field": str, "mask_field": str}
_DIALECT: Final[Mapping[str, type]] = {
    **_BODY,
    "max_tokens_field": str,
    "seed_field": str,
    "send_user": bool,
    "strict": bool,
    "encoding_format": str,
    "prefix_flag": bool,
    "prefix_path": str,
    "stream_usage": bool,
    "key_header": str,
    "key_prefix": str,
    "model_path": str,
    "query": str,
    "check_path": str,
    "sizes_apart": bool,
}
OPTIONS: Final[Mapping[str, Mapping[str, type]]] = MappingProxyType(
    {
        "openai": _DIALECT,
        COMPATIBLE_WIRE: _DIALECT,
        "anthropic": {**_BODY, "drop_sampling": bool, "send_user": bool},
        "gemini": _BODY,
        "cohere": {**_BODY, "input_type": str},
        "ollama": {**_BODY, "num_ctx": int},
        "cloudflare": _BODY,
        "bedrock": _BODY,
        "stability": _BODY,
        "replicate": {**_BODY, **_FIELDS, "input": dict},
        "fal": {**_BODY, **_FIELDS},
        "bfl": _BODY,
        "pollinations": {**_BODY, "path": str},
        "huggingface": _BODY,
        "local": {},
        "function": {},
    }
)
"""What may stand under a provider's `options`, and of which type, by the name of its adapter; the
adapters' modules say what each does."""

_VARIABLE: Final = re.compile(r"\{([A-Z][A-Z0-9_]*)\}", re.ASCII)


def address_variables(base_url: str | None) -> tuple[str, ...]:
    """The environment variables that an address is made of."""
    return tuple(_VARIABLE.findall(base_url or ""))


def usual_operations(kind: Kind, model: str) -> tuple[str, ...]:
    """What `model` can do if the configuration does not say: by its kind, else by its name."""
    if kind.operations:
        return kind.operations
    folded = model.casefold()
    return next((what for part, what in _BY_NAME if part in folded), kind.otherwise)
