"""Configuration: read it, check it, and turn it into endpoints and rules.

config = load("understudy.toml", environ=os.environ)
check(config, strategies=BUILT_IN)
specs = endpoints(config, lookup=prices.lookup)
"""

from understudy.config.accounts import AccountsConfig
from understudy.config.alerts import AlertConfig
from understudy.config.breaker import BreakerConfig, breaker_policy
from understudy.config.caching import CacheConfig, OperationCacheConfig
from understudy.config.checks import check, problems
from understudy.config.discovery import discover
from understudy.config.environment import VARIABLES, Variable, settings
from understudy.config.faults import BadKey
from understudy.config.http import HttpConfig
from understudy.config.jsonschema import schema
from understudy.config.key import HeaderSource, KeySource
from understudy.config.kinds import KINDS, Kind
from understudy.config.limits import LimitConfig, rate_rule
from understudy.config.presets import PRESETS
from understudy.config.price import PriceConfig, QuotaConfig
from understudy.config.provider import ModelConfig, ProviderConfig
from understudy.config.reading import find, from_keywords, load, parse
from understudy.config.redact import redacted
from understudy.config.resolve import (
    address,
    chains,
    endpoints,
    key_source,
    kind_of,
    models_of,
    resolve_address,
    resolve_headers,
    resolve_key,
)
from understudy.config.rules import (
    breaker_of,
    dispatcher_settings,
    guard_rule,
    holds_of,
    retry_rule,
)
from understudy.config.schema import Config, OperationConfig
from understudy.config.sections import (
    BudgetConfig,
    ComplexityConfig,
    ConcurrencyConfig,
    GuardConfig,
    HealthCheckConfig,
    HoldConfig,
    LogConfig,
    ProviderRetryConfig,
    RetryConfig,
)
from understudy.config.store import StoreConfig
from understudy.config.streams import StreamConfig, StreamHedgeConfig
from understudy.config.values import parse_duration

__all__ = [
    # read
    "load", "parse", "from_keywords", "find", "discover", "settings", "parse_duration",
    # sections
    "Config", "OperationConfig", "ProviderConfig", "ModelConfig", "PriceConfig", "QuotaConfig",
    "KeySource", "HeaderSource", "BreakerConfig", "RetryConfig", "ProviderRetryConfig",
    "StreamConfig", "StreamHedgeConfig", "BudgetConfig", "GuardConfig", "ConcurrencyConfig",
    "CacheConfig", "OperationCacheConfig", "HoldConfig", "HealthCheckConfig", "LogConfig",
    "ComplexityConfig", "AccountsConfig", "HttpConfig", "LimitConfig", "StoreConfig",
    "AlertConfig",
    # judge and show
    "check", "problems", "BadKey", "redacted", "schema",
    # resolve
    "endpoints", "chains", "kind_of", "models_of", "address", "key_source", "resolve_key",
    "resolve_address", "resolve_headers", "breaker_policy", "breaker_of", "holds_of",
    "retry_rule", "guard_rule", "rate_rule", "dispatcher_settings",
    # data
    "KINDS", "Kind", "PRESETS", "VARIABLES", "Variable",
]  # fmt: skip
