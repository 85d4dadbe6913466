"""The response cache as a configuration wants it."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from understudy.cache.cache import Cache, CacheRule, Life
from understudy.config import Config
from understudy_actors.domain.candidate import Candidate
from understudy_actors.runtime.ports import Clock
from understudy_actors.runtime.trace import Trace


def cache_of(
    config: Config,
    candidates: Iterable[Candidate],
    clock: Clock,
    trace: Trace,
    before: Cache | None = None,
) -> Cache | None:
    """The cache of an engine; None if no operation has one.

    With the bounds of `before`, the one of the configuration before, it goes on with its answers.
    """
    rule = rule_of(config)
    if rule is None:
        return None
    return Cache(rule, clock, trace, salt_of(config, candidates), before)


def rule_of(config: Config) -> CacheRule | None:
    """How answers are kept; None if those of no operation are."""
    rule = cache_rule(config)
    return rule if any(each.unasked for each in rule.operations.values()) else None


def cache_rule(config: Config) -> CacheRule:
    """Bounds and times, with what differs from one operation to another."""
    common = config.cache
    listed = common.operations if common.enabled else ()
    own = {name: each.cache for name, each in config.operations.items() if each.cache is not None}
    operations = {name: Life(common.ttl_s, common.stale_for_s, unasked=True) for name in listed}
    for name, each in own.items():
        operations[name] = Life(
            common.ttl_s if each.ttl_s is None else each.ttl_s,
            common.stale_for_s if each.stale_for_s is None else each.stale_for_s,
            unasked=each.enabled,
        )
    return CacheRule(
        common.max_entries,
        common.max_bytes,
        common.compress_above,
        Life(common.ttl_s, common.stale_for_s, unasked=False),
        operations,
    )


def salt_of(config: Config, candidates: Iterable[Candidate]) -> bytes:
    """Stands for all of the configuration that decides who answers what.

    Answers that were kept under another one are never found under this one.
    """
    endpoints = [
        (s.name, s.operations, s.groups, s.capabilities, s.tags, s.region, s.max_output_tokens)
        for s in (each.spec for each in candidates)
        if s.enabled
    ]
    chains = {name: each.chain for name, each in config.operations.items()}
    text = msgspec.json.encode((endpoints, chains, config.fallbacks), order="sorted")
    return blake2b(text, digest_size=16).digest()
