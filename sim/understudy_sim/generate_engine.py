"""The engine's configuration in a generated document: half of the knobs are turned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from understudy_actors.dispatcher.strategies import BUILT_IN
from understudy_sim.dice import Dice

ZONES: Final = ("UTC", "America/New_York", "Australia/Lord_Howe")


def engine_for(dice: Dice, fleet: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A configuration for these providers, as in the engine's file."""
    engine: dict[str, Any] = {
        "strategy": dice.pick("strategy", list(BUILT_IN)),
        "max_attempts": dice.pick("max attempts", (1, 2, 3, 5, 8)),
        "providers": _providers(dice, fleet),
    }
    if dice.chance("deadline"):
        engine["deadline"] = dice.pick("seconds", (1, 5, 20, 60))
    if dice.chance("no fallback", 0.1):
        engine["fallback"] = False
    if dice.chance("unmonitored", 0.1):
        engine["monitoring"] = False
    if dice.chance("reroutes", 0.3):
        engine["reroute_refused_content"] = True
    if dice.chance("short queue", 0.3):
        engine["queue_capacity"] = dice.whole("queue", 1, 10)
    if dice.chance("waiting", 0.3):
        engine["waiting"] = {
            "ageing": dice.pick("ageing", (1, 10)),
            "standing": dice.pick("standing", (0.1, 0.5)),
            "window": dice.pick("window", (0, 2, 5)),
        }
    if dice.chance("bulkheads", 0.2):
        engine["max_share"] = _shares(dice.under("bulkheads"))
    if dice.chance("hedged", 0.3):
        engine["hedge"] = {
            "samples": dice.whole("samples", 1, 20),
            "quantile": dice.pick("quantile", (0.5, 0.95)),
            "floor": dice.pick("floor", (0.01, 0.25, 1)),
            "share": dice.pick("share", (0.05, 0.3, 1)),
            "concurrent": dice.whole("at once", 1, 8),
        }
    if dice.chance("hedged streams"):
        engine["stream"] = {
            "hedge": {
                "enabled": dice.chance("enabled", 0.8),
                "samples": dice.whole("first tokens", 1, 20),
                "floor": dice.pick("first floor", (0.25, 1, 3)),
                "ceiling": dice.pick("first ceiling", (3, 45)),
            }
        }
    if dice.chance("degraded", 0.2):
        engine["degraded"] = {"chat": "Please try again later."}
    if dice.chance("retry"):
        engine["retry"] = _retry(dice.under("retry"))
    if dice.chance("breaker"):
        engine["breaker"] = _breaker(dice.under("breaker"))
    if dice.chance("chain", 0.25):
        engine["operations"] = {"chat": {"chain": _chain(dice, fleet)}}
    if dice.chance("cached", 0.1):
        engine["cache"] = _cache(dice.under("cache"))
    if dice.chance("budgets", 0.15):
        engine |= _budgets(dice.under("budgets"), fleet)
    if dice.chance("limits", 0.15):
        engine["limits"] = _limits(dice.under("askers"))
    return engine


def _shares(dice: Dice) -> dict[str, Any]:
    """Ceilings on some kinds of requests, often so low that they bind."""
    kinds = {
        "operations": ("chat", "embedding"),
        "tenants": ("acme", "*"),
        "priorities": ("-1", "0"),
    }
    return {
        kind: {name: dice.pick(f"share/{name}", (0.01, 0.34, 0.5, 0.9)) for name in chosen}
        for kind, names in kinds.items()
        if (chosen := dice.some(kind, names))
    }


def _cache(dice: Dice) -> dict[str, Any]:
    """Small enough, and for times short enough, that answers come and go."""
    return {
        "ttl": dice.pick("ttl", (1, 10, 60)),
        "stale_for": dice.pick("stale", (0, 5, 300)),
        "max_entries": dice.whole("entries", 1, 12),
        "max_bytes": dice.pick("bytes", (65_536, 1_000_000)),
        "compress_above": dice.pick("above", (0, 1_000)),
        "operations": ["chat", "embedding", "image"],
    }


def _budgets(dice: Dice, fleet: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Between a few answers' worth and more than is asked for."""
    scopes: list[dict[str, Any]] = [{}, {"operation": "chat"}, {"user": "*"}, {"hedges": True}]
    scopes += [{"team": "red"}, {"key": "*"}, {"tag": "*"}, {"route": "chat"}]
    scopes += [{"provider": str(each["name"])} for each in fleet]
    budgets = [
        {"usd": dice.pick(f"usd/{place}", (0.0, 0.002, 0.02, 0.5)), "per": per, **scope}
        for place, scope in enumerate(dice.some("scopes", scopes))
        for per in [dice.pick(f"per/{place}", ("hour", "day", "week", "month", "total"))]
    ]
    zone = dice.pick("zone", ZONES)
    mode = dice.pick("mode", ("strict", "strict", "fit_max_tokens", "expected"))
    least = dice.pick("least", (1, 16, 64))
    return {
        "budgets": budgets,
        "time_zone": zone,
        "budget_mode": mode,
        "budget_min_tokens": least,
    }


def _limits(dice: Dice) -> list[dict[str, Any]]:
    """Limits a minute of whoever asks: some are used up at once, some never."""
    scopes: list[dict[str, Any]] = [{}, {"operation": "chat"}, {"user": "*"}, {"tenant": "acme"}]
    scopes += [{"team": "red"}, {"key": "*"}, {"tag": "*"}, {"route": "chat"}]
    ranges = {"requests": (1, 60), "tokens": (300, 20_000), "output_tokens": (200, 10_000)}
    return [
        scope
        | {
            f"{unit}_per_minute": dice.whole(f"{unit}/{place}", *ranges[unit])
            for unit in dice.some(f"units/{place}", list(ranges))
        }
        for place, scope in enumerate(dice.some("scopes", scopes)[:4])
    ]


def _providers(dice: Dice, fleet: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    tiers, weights, domains = (dice.chance(each) for each in ("tiers", "weights", "domains"))
    slots, timeouts, checks = (
        dice.chance("slots"),
        dice.chance("timeouts"),
        dice.chance("checks", 0.3),
    )
    own_breakers, own_retries = dice.chance("breakers", 0.2), dice.chance("retries", 0.2)
    holds, limited = dice.chance("short holds", 0.75), dice.chance("limits", 0.3)
    gifts = dice.chance("free quotas", 0.15)
    every_operation = dice.chance("every operation", 0.8)
    providers = {}
    for place, each in enumerate(fleet):
        own, entry = dice.under(each["name"]), dict[str, Any]()
        if every_operation and each["wire"] == "openai":
            entry["operations"] = ["chat", "embedding", "image"]
        if tiers:
            entry["priority"] = 1 + (place if dice.chance("in order") else own.whole("tier", 0, 1))
        if weights:
            entry["weight"] = own.whole("weight", 1, 5)
        if domains:
            entry["failure_domain"] = own.pick("domain", ("cloud", "edge"))
        if slots:
            entry["concurrency"] = _concurrency(own)
        if timeouts:
            entry["timeout"] = own.pick("timeout", (1, 3, 10, 40))
        if checks:
            entry["health_check"] = {"interval": own.pick("interval", (5, 30)), "timeout": 2}
        if own_breakers:
            entry["breaker"] = _breaker(own.under("breaker"))
        if own_retries:
            entry["retry"] = {"attempts": own.whole("retries", 0, 3), "base": 0.1}
        if holds:
            entry["hold"] = {key: own.between(key, 0.5, 60) for key in ("credit", "auth", "model")}
        if limited and own.chance("limited"):
            entry |= _rates(own.under("rates"), each)
        if gifts and own.chance("free"):
            entry["free_quota"] = {
                "requests": own.whole("free calls", 1, 30),
                "per": own.pick("per", ("day", "month")),
                "time_zone": own.pick("zone", ZONES),
            }
        providers[str(each["name"])] = entry
    return providers


def _rates(dice: Dice, provider: Mapping[str, Any]) -> dict[str, Any]:
    """Limits a minute of the account or of its models, whose answers have a bound then."""
    models = [
        {"name": name, "max_output": dice.pick("bound", (50, 200))}
        for name in provider.get("models", ["large"])
    ]
    limits: dict[str, Any] = {}
    kinds = dice.some("kinds", ("requests", "tokens", "output_tokens"))
    for kind in kinds:
        low, high = (3, 120) if kind == "requests" else (300, 20_000)
        limits[f"{kind}_per_minute"] = dice.whole(kind, low, high)
    if dice.chance("of models"):
        return {"models": [model | limits for model in models]}
    return {"models": models, **limits}


def _concurrency(dice: Dice) -> int | dict[str, int]:
    if dice.chance("cap"):
        return dice.whole("cap of", 1, 8)
    start = dice.whole("start", 1, 6)
    return {
        "initial": start,
        "min": dice.whole("min", 1, start),
        "max": start + dice.whole("max", 0, 6),
    }


def _retry(dice: Dice) -> dict[str, Any]:
    base_s = dice.pick("base", (0.01, 0.1, 1))
    retry: dict[str, Any] = {
        "attempts": dice.whole("attempts", 0, 4),
        "kind": dice.pick("kind", ("exponential", "linear")),
        "base": base_s,
        "cap": base_s * dice.pick("cap", (1, 20)),
        "jitter": dice.pick("jitter", ("full", "none")),
        "patience": dice.pick("patience", (0, 2.5, 10)),
    }
    if dice.chance("budget"):
        retry["budget"] = {
            "ratio": dice.pick("ratio", (0, 0.2, 1)),
            "per_second": dice.pick("per second", (0, 0.2)),
            "cap": 10,
            "start": dice.pick("start", (0, 2, 10)),
        }
    if dice.chance("guard"):
        retry["guard"] = False if dice.chance("off") else {"max": 6, "floor": 3, "ok": 0.5}
    return retry


def _breaker(dice: Dice) -> str | dict[str, Any]:
    if dice.chance("preset"):
        return dice.pick("which", ("default", "classic", "expire"))
    breaker: dict[str, Any] = {
        "trip_after": dice.whole("trip", 1, 6),
        "cooldown": dice.between("wait", 0.5, 60),
    }
    if dice.chance("default rules"):
        breaker["preset"] = "default"
    if dice.chance("jitter"):
        breaker["jitter"] = dice.chance("jitters")
    if dice.chance("probes"):
        breaker |= {
            "max_probes": dice.whole("at once", 1, 3),
            "close_after": dice.whole("close", 1, 3),
        }
    if dice.chance("growth"):
        breaker |= {"factor": dice.pick("factor", (1, 1.5, 3)), "cap": 120}
    if dice.chance("retry after"):
        breaker["retry_after_cap"] = dice.pick("told", (0, 5, 600))
    if dice.chance("ramp"):
        breaker["ramp"] = dice.pick("ramp", (0, 5, 60))
    return breaker


def _chain(dice: Dice, fleet: Sequence[Mapping[str, Any]]) -> list[str]:
    """Some of the endpoints in an order of their own; whole providers now and then."""
    entries = [
        str(each["name"]) if dice.chance(f"whole/{each['name']}") else f"{each['name']}/{model}"
        for each in fleet
        for model in each.get("models", ["large"])[:1]
    ]
    kept = dice.some("chain", entries)
    return sorted(kept, key=lambda entry: dice.uniform(f"order/{entry}"))
