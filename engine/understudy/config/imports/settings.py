"""The other sections of LiteLLM's file, key by key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from understudy.config.breaker import BreakerConfig
from understudy.config.caching import CacheConfig
from understudy.config.gateway import GatewayConfig
from understudy.config.imports.reading import Draft, Piece, Table, listed, number, word
from understudy.config.imports.reasons import ALWAYS, CALLBACKS, ERRORS
from understudy.config.money import SpendingConfig
from understudy.config.provider import ProviderConfig
from understudy.config.schema import Config
from understudy.config.sections import HealthCheckConfig, RetryConfig
from understudy.config.values import parse_duration

STRATEGIES: Final[Mapping[str, tuple[str, str]]] = {
    "simple-shuffle": ("random", ""),
    "least-busy": ("least_busy", ""),
    "latency-based-routing": ("fastest", ""),
    "cost-based-routing": ("cheapest", ""),
    "usage-based-routing": ("weighted", "shares by weight, exact over time, in place of usage"),
    "usage-based-routing-v2": ("weighted", "shares by weight, exact over time, in place of usage"),
}
"""LiteLLM's strategy to ours, and what differs."""

CALL_TYPES: Final[Mapping[str, str]] = {
    "completion": "chat",
    "acompletion": "chat",
    "embedding": "embedding",
    "aembedding": "embedding",
}
PERIODS: Final[Mapping[str, str]] = {
    "1h": "hour", "24h": "day", "1d": "day", "7d": "week", "30d": "month", "1mo": "month",
}  # fmt: skip

Handler: TypeAlias = Callable[[Draft, Any, Piece, str], None]


def _under(draft: Draft, section: str) -> Table:
    table: Table = draft.table.setdefault(section, {})
    return table


def _retries(draft: Draft, value: Any, piece: Piece, key: str) -> None:
    draft.put(
        _under(draft, "retry"), RetryConfig, "attempts", value, piece.at(key), "retry.attempts"
    )


def _strategy(draft: Draft, value: Any, piece: Piece, key: str) -> None:
    if word(value) not in STRATEGIES:
        draft.notes.dropped(piece.at(key), "there is no such strategy: `random` takes its place")
        return
    draft.table["strategy"], but = STRATEGIES[value]
    if but:
        draft.notes.changed(piece.at(key), f"{draft.table['strategy']}: {but}")
    else:
        draft.notes.carried(piece.at(key), f"strategy {draft.table['strategy']}")


def _cooldown(draft: Draft, value: Any, piece: Piece, key: str) -> None:
    if draft.put(_under(draft, "breaker"), BreakerConfig, "cooldown", value, piece.at(key)):
        why = "breaker.cooldown: then a probe decides; failed ones lengthen it"
        draft.notes.changed(piece.at(key), why)


def _allowed(draft: Draft, value: Any, piece: Piece, key: str) -> None:
    count = value + 1 if isinstance(value, int) and not isinstance(value, bool) else value
    if draft.put(_under(draft, "breaker"), BreakerConfig, "trip_after", count, piece.at(key)):
        why = f"breaker.trip_after = {count}: failures in a row, not within a minute"
        draft.notes.changed(piece.at(key), why)


def _no_cooldowns(draft: Draft, value: Any, piece: Piece, key: str) -> None:
    if value is not True:
        return
    draft.table["breaker"] = {"trip_after": 1_000_000, "cooldown": "1s"}
    draft.notes.changed(piece.at(key), "breakers open after a million failures in a row")


def _cache(draft: Draft, value: Any, piece: Piece, key: str) -> None:
    params = Piece.of(piece.take("cache_params"), piece.at("cache_params"))
    kind, mode = params.take("type"), params.take("mode")
    if value is not True:
        if params.table:
            draft.notes.dropped(params.path, "nothing is cached")
        draft.notes.carried(piece.at(key), "nothing is cached unless `[cache]` is written")
        return
    made: Table = {}
    if (ttl := number(draft.plain(params.take("ttl")))) is not None:
        draft.put(made, CacheConfig, "ttl", ttl, params.at("ttl"), "cache.ttl")
    types = params.take("supported_call_types")
    known = [CALL_TYPES[each] for each in listed(types) if word(each) in CALL_TYPES]
    if known:
        made["operations"] = list(dict.fromkeys(known))
        draft.notes.carried(params.at("supported_call_types"), "cache.operations")
    elif types is not None:
        draft.notes.dropped(params.at("supported_call_types"), "none of them is cached here")
    if mode == "default_off":
        draft.notes.dropped(params.at("mode"), "the cache would be off for all: so it is left out")
    else:
        draft.table["cache"] = made or {"enabled": True}
    if kind not in (None, "local"):
        draft.notes.changed(params.at("type"), "answers are kept in the process, equal ones only")
    elif kind is not None:
        draft.notes.carried(params.at("type"), "answers are kept in the process")
    draft.notes.carried(piece.at(key), "cache")
    params.leave(draft.notes, {}.fromkeys(params.table, "answers are kept in the process"))


def _callbacks(draft: Draft, value: Any, piece: Piece, key: str) -> None:
    for each in listed(value):
        if each == "prometheus":
            draft.notes.carried(piece.at(key), "prometheus: /metrics is always there")
        else:
            draft.notes.dropped(piece.at(key), CALLBACKS)


def _json_logs(draft: Draft, value: Any, piece: Piece, key: str) -> None:
    if value is True:
        _under(draft, "log")["format"] = "json"
    draft.notes.carried(piece.at(key), "log.format")


def _reroute(draft: Draft, value: Any, piece: Piece, key: str) -> None:  # noqa: ARG001
    if listed(value):
        draft.table["reroute_refused_content"] = True


def _master_key(draft: Draft, value: Any, piece: Piece, key: str) -> None:
    source = draft.secret(value, "LITELLM_MASTER_KEY", piece.at(key))
    gateway = _under(draft, "gateway")
    gateway["admin_key"] = source
    gateway["keys"] = {"master": {"key": source}}
    why = "opens /admin, and is the key of the caller `master`; others: `gateway.keys.NAME`"
    draft.notes.changed(f"{piece.at(key)} (use)", why)


def _all_at_once(draft: Draft, value: Any, piece: Piece, key: str) -> None:
    gateway = _under(draft, "gateway")
    draft.put(
        gateway, GatewayConfig, "concurrent_max", value, piece.at(key), "gateway.concurrent_max"
    )


def _each_at_once(draft: Draft, value: Any, piece: Piece, key: str) -> None:
    for provider in draft.table["providers"].values():
        if not draft.put(provider, ProviderConfig, "concurrency", value, piece.at(key)):
            return
    draft.notes.carried(piece.at(key), "concurrency of each provider")


def _timeout(draft: Draft, value: Any, piece: Piece, key: str) -> None:
    for provider in draft.table["providers"].values():
        if "timeout" not in provider and not draft.put(
            provider, ProviderConfig, "timeout", value, piece.at(key)
        ):
            return
    draft.notes.carried(piece.at(key), "timeout of each provider, for one attempt")


def _stream_timeout(draft: Draft, value: Any, piece: Piece, key: str) -> None:
    stream: Table = {}
    kind = ProviderConfig
    if isinstance(value, int | float) and not isinstance(value, bool):
        stream = {"first_token_max": value, **({"first_token_min": value} if value < 10 else {})}
    for provider in draft.table["providers"].values():
        if "stream" not in provider and not draft.put(
            provider, kind, "stream", stream or value, piece.at(key)
        ):
            return
    draft.notes.carried(piece.at(key), "stream.first_token_max of each provider")


def _checks(draft: Draft, value: Any, piece: Piece, key: str) -> None:
    interval = number(draft.plain(piece.take("health_check_interval")))
    if value is not True:
        return
    check: Table = {"interval": 300 if interval is None else interval}
    path = piece.at("health_check_interval")
    for provider in draft.table["providers"].values():
        if not draft.put({}, HealthCheckConfig, "interval", check["interval"], path):
            return
        if check["interval"] < HealthCheckConfig().timeout_s:
            check["timeout"] = check["interval"]
        provider["health_check"] = dict(check)
    draft.notes.changed(piece.at(key), "health_check of each provider: requests that cost nothing")
    if interval is not None:
        draft.notes.carried(path, "health_check.interval")


def _budget(draft: Draft, value: Any, piece: Piece, key: str) -> None:
    period = piece.take("budget_duration")
    _spend(draft, {"usd": value}, period, piece.at(key))
    if word(period) in PERIODS:
        draft.notes.carried(piece.at("budget_duration"), "per, of that budget")
    elif period is not None:
        draft.notes.dropped(piece.at("budget_duration"), "is no window of the calendar here")


def _provider_budgets(draft: Draft, value: Any, piece: Piece, key: str) -> None:
    for name, each in Piece.of(value, piece.at(key)).table.items():
        own = Piece.of(each, f"{piece.at(key)}.{name}")
        if name not in draft.table["providers"]:
            draft.notes.dropped(own.path, "no provider has this name")
            continue
        made = {"usd": own.take("budget_limit"), "provider": name}
        _spend(draft, made, own.take("time_period"), own.path)


def _spend(draft: Draft, made: Table, period: Any, path: str) -> None:
    made["usd"] = number(draft.plain(made["usd"]))
    if period is not None and word(period) not in PERIODS:
        draft.notes.dropped(path, "windows are the calendar's hour, day, week and month here")
        return
    made["per"] = PERIODS[period] if period is not None else "total"
    if draft.put({}, SpendingConfig, "usd", made["usd"], path):
        draft.table.setdefault("budgets", []).append(made)
        draft.notes.changed(path, f"a budget by calendar: {made['per']}")


def _retry_policy(draft: Draft, value: Any, piece: Piece, key: str) -> None:
    counts = [
        number(each) for each in Piece.of(value, "").table.values() if isinstance(number(each), int)
    ]
    if counts and "attempts" not in _under(draft, "retry"):
        draft.put(draft.table["retry"], RetryConfig, "attempts", max(counts), piece.at(key))
    draft.notes.changed(piece.at(key), ERRORS)


def _deadline(draft: Draft) -> None:
    """No attempt may outlast the request: the longest one is given its time, and another."""
    longest = max(
        (each["timeout"] for each in draft.table["providers"].values() if "timeout" in each),
        default=0.0,
    )
    seconds = parse_duration(longest)
    if seconds * 2 > Config().deadline_s:
        draft.table["deadline"] = min(seconds * 2, 86_400.0)
        why = f"`deadline` bounds all attempts of a request together: {draft.table['deadline']:g} s"
        draft.notes.changed("timeouts", why)


HANDLERS: Final[Mapping[str, Mapping[str, Handler]]] = {
    "litellm_settings": {
        "num_retries": _retries,
        "request_timeout": _timeout,
        "allowed_fails": _allowed,
        "cooldown_time": _cooldown,
        "cache": _cache,
        "success_callback": _callbacks,
        "callbacks": _callbacks,
        "json_logs": _json_logs,
        "content_policy_fallbacks": _reroute,
        "max_budget": _budget,
    },
    "router_settings": {
        "routing_strategy": _strategy,
        "num_retries": _retries,
        "retry_policy": _retry_policy,
        "timeout": _timeout,
        "stream_timeout": _stream_timeout,
        "allowed_fails": _allowed,
        "cooldown_time": _cooldown,
        "disable_cooldowns": _no_cooldowns,
        "content_policy_fallbacks": _reroute,
        "default_max_parallel_requests": _each_at_once,
        "provider_budget_config": _provider_budgets,
    },
    "general_settings": {
        "master_key": _master_key,
        "max_parallel_requests": _each_at_once,
        "global_max_parallel_requests": _all_at_once,
        "background_health_checks": _checks,
    },
}
"""What is done with a key of each section; an overlapping key of the router's section wins."""

SHARED: Final = frozenset(
    {
        "num_retries", "allowed_fails", "cooldown_time", "fallbacks", "default_fallbacks",
        "context_window_fallbacks", "content_policy_fallbacks",
    }
)  # fmt: skip
"""Keys that may stand in both sections; the router's win."""


def read_section(draft: Draft, piece: Piece, over: Piece | None) -> None:
    """Handle each key of a section. `over` is the section whose keys win over its own."""
    for key, handler in HANDLERS[piece.path].items():
        if key not in piece.table:
            continue
        if over is not None and key in SHARED and key in over.table:
            piece.take(key)
            draft.notes.dropped(piece.at(key), f"{over.path}.{key} wins over it")
            continue
        value = piece.take(key)
        handler(draft, value if key == "master_key" else number(draft.plain(value)), piece, key)
    for key in ALWAYS.keys() & piece.table.keys():
        piece.take(key)
        draft.notes.carried(piece.at(key), ALWAYS[key])


def finish(draft: Draft) -> None:
    """What follows from several settings together."""
    _deadline(draft)
    for name in ("retry", "breaker", "log", "gateway"):
        if not draft.table.get(name, True):
            del draft.table[name]
