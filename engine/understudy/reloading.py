"""Another configuration for a running engine, without dropping a call or cutting a stream.

    resolve   everything that can be wrong with it is found out; nobody has been told of anything
    take over every actor hears of it within one step of the engine: no request sees a part of it
    see out   what was accepted before ends under the configuration that it was accepted under;
              whom the new one left out is stopped after its last call

A request keeps its wiring and its candidates from first to last, and the dispatcher its plan. What
is known of an endpoint belongs to its provider's actor, which serves old and new ones alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import trio

from understudy.assembly import Parts, wire
from understudy.caching import cache_of
from understudy.config import Config, discover, find
from understudy.design import Design, Origin, Source, design
from understudy.differences import Reloaded, changes, refuse_fixed
from understudy.keys.opening import check_names, follow
from understudy.keys.scopes import budgets_of, limits_of
from understudy.routing.edition import Edition
from understudy.routing.endings import shutting_down
from understudy.routing.wiring import Wiring
from understudy.transport.factory import list_models
from understudy.transport.http import Forgetful
from understudy_actors.dispatcher.plans import Configure, Plan
from understudy_actors.dispatcher.strategies import BUILT_IN
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.reload_events import ConfigReloaded
from understudy_actors.provider.messages import Adopt

CUT_EVERY_S: Final = 1.0
"""Past its time, what a removed provider still does is ended this often."""

Functions = Mapping[str, Callable[..., Any]]


async def resolved(
    parts: Parts, source: Source, functions: Functions | None
) -> tuple[Design, Origin]:
    """The design of a new configuration; None for `source` reads the engine's own anew.

    Raises:
        ConfigError: It cannot run, or wants to change what cannot change while an engine runs.
    """
    origin = parts.origin
    if source is None:
        source = origin.source
    origin = Origin(
        source,
        origin.environ,
        origin.functions if functions is None else functions,
        origin.strategies,
        origin.registry,
    )
    config: Config | None = find(
        source,
        origin.environ,
        functions=origin.functions,
        strategies={*BUILT_IN, *origin.strategies},
    )
    if config is None:
        config = await discover(origin.environ, list_models(parts.transport))
    refuse_fixed(parts.config, config)
    check_names(config, parts.keys.ring, parts.ports.clock.wall())
    if parts.wiring.flights.closing:
        raise shutting_down()
    return design(config, origin, parts.design, _known(parts)), origin


def take_over(parts: Parts, made: Design, origin: Origin) -> Reloaded | None:
    """Let a design serve from now on, in one step; None if it is the one that serves already.

    Raises:
        StoreFailed: What was kept of a new provider or budget cannot be read; nothing changed.
    """
    before, told = parts.design, changes(parts.design, made)
    if not told:
        parts.origin = origin
        return None
    flights, edition = parts.wiring.flights, parts.edition
    newcomers = [name for name in made.config.providers if name not in parts.posts.providers]
    parts.posts.hire({n: Adopt(made.providers[n], made.of(n)) for n in newcomers})
    try:
        parts.bank.open(made.config, budgets_of(made.config, parts.keys.ring))
    except BaseException:
        parts.posts.dismiss(newcomers)
        raise
    parts.doors.open(limits_of(made.config, parts.keys.ring))
    edition.leave(flights.running - sum(each.running for each in parts.earlier))
    parts.earlier[edition] = before
    parts.edition = Edition(edition.generation + 1)
    parts.design, parts.origin = made, origin
    _tell(parts)
    parts.wiring = _rewired(parts, before)
    follow(parts.keys, made.config)
    parts.scopes.config, parts.scopes.wiring = made.config, parts.wiring
    parts.cache = cache_of(
        made.config, made.candidates, parts.ports.clock, parts.trace, parts.cache
    )
    done = Reloaded(
        generation=parts.edition.generation,
        changed=told,
        added=_missing(made.config.providers, before.config.providers),
        removed=_missing(before.config.providers, made.config.providers),
        running=flights.running,
    )
    if parts.trace.on:
        parts.trace.emit(
            ConfigReloaded(
                at_s=parts.ports.clock.now(),
                generation=done.generation,
                changed=done.changed,
                added=done.added,
                removed=done.removed,
                running=done.running,
            )
        )
    return done


async def see_out(parts: Parts, edition: Edition, drain_s: float | None = None) -> None:
    """Wait until the requests of an earlier configuration have ended, and tidy up behind them.

    After `drain_s` seconds whatever removed providers still do is ended as if they were silent.
    """
    with trio.move_on_after(math.inf if drain_s is None else drain_s):
        await edition.over.wait()
    while not edition.over.is_set():
        _cut(parts)
        with trio.move_on_after(CUT_EVERY_S):
            await edition.over.wait()
    if parts.earlier.pop(edition, None) is None or parts.wiring.flights.closing:
        return
    needed = {name for each in _living(parts) for name in each.config.providers}
    parts.posts.dismiss(parts.posts.but(needed))
    _tell(parts)
    if isinstance(parts.transport, Forgetful):
        targets = [target for each in _living(parts) for target in each.targets.values()]
        await parts.transport.forget_others({(t.provider, t.base_url) for t in targets})


def _tell(parts: Parts) -> None:
    """Every actor hears of what is in use now."""
    made, earlier = parts.design, parts.earlier
    for name in parts.posts.providers:
        own = made.of(name)
        elders = {id(c): c for each in earlier.values() for c in each.of(name) if c not in own}
        known = (made, *reversed(earlier.values()))
        settings = next(each.providers[name] for each in known if name in each.providers)
        parts.posts.adopt(name, Adopt(settings, own, tuple(elders.values())))
    parts.posts.configure(
        Configure(
            Plan(parts.edition.generation, made.settings, made.candidates),
            tuple(Plan(e.generation, d.settings, d.candidates) for e, d in earlier.items()),
            _gone(parts),
        )
    )


def _gone(parts: Parts) -> frozenset[int]:
    """The seats of endpoints that are in use by earlier configurations alone."""
    staying = {each.seat for each in parts.candidates}
    return frozenset(c.seat for c in _known(parts).values() if c.seat not in staying)


def _living(parts: Parts) -> tuple[Design, ...]:
    """The designs in use, the newest last."""
    return (*parts.earlier.values(), parts.design)


def _known(parts: Parts) -> dict[str, Candidate]:
    """The newest description of every endpoint in use."""
    return {c.name: c for each in _living(parts) for c in each.candidates}


def _rewired(parts: Parts, before: Design) -> Wiring:
    """The wiring of the newest design. Who would not continue an answer still would not."""
    old = parts.wiring
    wiring = wire(parts, parts.design, old.flights, old.book)
    refused = {before.candidates[at].name for at in old.refuse_prefill}
    wiring.refuse_prefill = {c.index for c in parts.candidates if c.name in refused}
    return wiring


def _cut(parts: Parts) -> None:
    """End what runs on providers that the newest configuration left out."""
    flights, gone = parts.wiring.flights, set(parts.posts.but(parts.config.providers))
    busy = {p.request for p in flights.permits.values() if p.endpoint.partition("/")[0] in gone}
    for scope, flight in list(flights.scopes.items()):
        if flight is not None and flight.id in busy:
            scope.cancel()


def _missing(these: Iterable[str], among: Iterable[str]) -> tuple[str, ...]:
    known = set(among)
    return tuple(each for each in these if each not in known)


def unchanged(parts: Parts) -> Reloaded:
    """What a reload tells that found nothing new."""
    return Reloaded(generation=parts.edition.generation, running=parts.wiring.flights.running)
