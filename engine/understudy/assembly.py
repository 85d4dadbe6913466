"""Puts an engine together: configuration and ports in, actors and wiring out. Nothing runs yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import attrs
from msgspec.structs import replace

from understudy.accounts.accounts import book_of
from understudy.adapters.base import Adapter, JobAdapter, StreamingAdapter, Target, WireAdapter
from understudy.adapters.local import LocalAdapter
from understudy.adapters.registry import BUILT_IN as WIRES, Registry
from understudy.alerts.post import Teller
from understudy.cache.cache import Cache
from understudy.caching import cache_of
from understudy.config import (
    KINDS,
    Config,
    Kind,
    breaker_of,
    check,
    dispatcher_settings,
    endpoints,
    guard_rule,
    holds_of,
    kind_of,
    rate_rule,
    resolve_address,
    resolve_headers,
    resolve_key,
)
from understudy.keys.keys import Keys
from understudy.keys.opening import keys_of, ring_of
from understudy.keys.scopes import budgets_of, limits_of
from understudy.limiting import turnstile_of
from understudy.listening import EventStream
from understudy.ports import Ports
from understudy.prices import lookup
from understudy.routing.calls import counting_of, in_process, over_wire
from understudy.routing.durable import durable_of
from understudy.routing.explain import KEPT_MAX, Records
from understudy.routing.jobs import by_job
from understudy.routing.wiring import Call, Flights, Wiring
from understudy.spending import purse_of
from understudy.store.keeping import Keeping, keep
from understudy.store.port import Store
from understudy.streaming.channel import Opener, over_wire as streams_over_wire, whole
from understudy.telemetry.containment import Containment
from understudy.telemetry.tracing import Remotes, heard
from understudy.transport.http import Transport
from understudy_actors.dispatcher.actor import Dispatcher
from understudy_actors.dispatcher.messages import GateChanged
from understudy_actors.dispatcher.settings import DispatcherSettings
from understudy_actors.dispatcher.strategies import BUILT_IN, Strategy
from understudy_actors.domain.candidate import Candidate
from understudy_actors.keeper.batch import Saved
from understudy_actors.provider.account import ProviderSnapshot
from understudy_actors.provider.actor import ProviderActor
from understudy_actors.provider.health import Health
from understudy_actors.provider.settings import ProviderSettings
from understudy_actors.runtime.actor import ChildSpec, Ref, Start
from understudy_actors.runtime.mailbox import Lane
from understudy_actors.runtime.supervisor import Supervisor
from understudy_actors.runtime.system import System
from understudy_actors.runtime.timers import TimerWheel
from understudy_actors.runtime.trace import Trace

if TYPE_CHECKING:
    from understudy.telemetry.otel import Otel

StrategyMaker = Callable[[], Strategy]
_BUILT_IN_WIRES = frozenset(kind.name for kind in WIRES)


@attrs.define(eq=False, slots=True)
class Parts:
    """Everything an engine consists of.

    `adapters` is by provider, `targets` (only those reached over HTTP) by endpoint name; `streams`
    are closed with the engine, and `tellers` are waited for before that. `remotes` are the traces
    of callers, if anybody wants to know.
    """

    config: Config
    kinds: Mapping[str, Kind]
    ports: Ports
    trace: Trace
    wheel: TimerWheel
    system: System
    transport: Transport
    contained: Containment
    settings: DispatcherSettings
    candidates: tuple[Candidate, ...]
    providers: dict[str, Ref]
    adapters: dict[str, Adapter]
    targets: dict[str, Target]
    wiring: Wiring
    records: Records
    keys: Keys
    cache: Cache | None = None
    keeping: Keeping | None = None
    streams: WeakSet[EventStream] = attrs.Factory(WeakSet)
    tellers: tuple[Teller, ...] = ()
    remotes: Remotes | None = None
    otel: Otel | None = None


def assemble(
    config: Config,
    *,
    ports: Ports,
    transport: Transport,
    environ: Mapping[str, str],
    strategies: Mapping[str, StrategyMaker],
    registry: Registry,
    escalate: Callable[[Ref, Exception], None],
    kept: tuple[Store, Saved] | None = None,
) -> Parts:
    """Build every part; ConfigError or StoreFailed says what cannot run, or cannot be read."""
    known, kinds = {**BUILT_IN, **strategies}, known_kinds(registry)
    check(config, strategies=known, kinds=kinds)
    adapters, candidates, targets = _wires(config, registry, environ, kinds)
    trace, contained, wheel, system, supervisor = _runtime(ports, escalate)
    settings, flights, remotes = dispatcher_settings(config, known, kinds), Flights(), heard(config)
    keeping = keep(config, kept, supervisor, system, ports.clock)
    ring = ring_of(config, keeping, ports.clock.wall())
    purse = purse_of(config, supervisor, ports.clock, keeping, limits=budgets_of(config, ring))
    own, dispatcher = _actors(supervisor, config, settings, candidates, flights, contained, keeping)
    ways = [_ways(c, config, adapters, targets, transport, ports, remotes) for c in candidates]
    wiring = Wiring(
        clock=ports.clock,
        trace=trace,
        dispatcher=dispatcher,
        providers=[own[c.spec.provider] for c in candidates],
        calls=[call for call, _ in ways],
        openers=[opener for _, opener in ways],
        flights=flights,
        contained=contained,
        timers=wheel,
        hedge=settings.hedge,
        stand_ins=tuple(each for each in adapters.values() if isinstance(each, LocalAdapter)),
        purse=purse,
        durable=durable_of(keeping, purse, ports.clock),
        book=book_of(config, keeping),
        turnstile=turnstile_of(limits_of(config, ring), supervisor, ports.clock, keeping),
    )
    return Parts(
        config=config,
        kinds=kinds,
        ports=ports,
        trace=trace,
        wheel=wheel,
        system=system,
        transport=transport,
        contained=contained,
        settings=settings,
        candidates=candidates,
        providers=own,
        adapters=adapters,
        targets=targets,
        wiring=wiring,
        records=Records(KEPT_MAX if config.monitoring else 0),
        keys=keys_of(config, ring, wiring, supervisor, ports, keeping),
        remotes=remotes,
        cache=cache_of(config, candidates, ports.clock, trace),
        keeping=keeping,
    )


def _runtime(
    ports: Ports, escalate: Callable[[Ref, Exception], None]
) -> tuple[Trace, Containment, TimerWheel, System, Supervisor]:
    """What actors run on."""
    trace = ports.trace
    contained = Containment(ports.clock, trace)
    wheel = TimerWheel(lambda error: contained("timer", "engine", error, "other timers go on"))
    on_crash = partial(_report_crash, contained)
    system = System(ports.clock, wheel, ports.randomness, trace, on_crash)
    return trace, contained, wheel, system, Supervisor(system, escalate=escalate)


def _candidates(
    config: Config, kinds: Mapping[str, Kind], adapters: Mapping[str, Adapter]
) -> tuple[Candidate, ...]:
    """One for each endpoint, in configured order, of which nothing is known yet."""
    specs = (
        replace(spec, counting=counting_of(adapters[spec.provider]))
        for spec in endpoints(config, lookup=lookup, kinds=kinds)
    )
    return tuple(Candidate(spec=spec, index=at, health=Health()) for at, spec in enumerate(specs))


def _actors(
    supervisor: Supervisor,
    config: Config,
    settings: DispatcherSettings,
    candidates: tuple[Candidate, ...],
    flights: Flights,
    contained: Containment,
    keeping: Keeping | None,
) -> tuple[dict[str, Ref], Ref]:
    """Start the provider actors, then the dispatcher, which depends on them."""
    gate = _Gate()
    providers: dict[str, Ref] = {}
    for name in config.providers:
        known = None if keeping is None else keeping.provider(name)
        spec = _provider(name, config, candidates, flights, gate, known)
        providers[name] = supervisor.spawn(spec)
    gate.dispatcher = supervisor.spawn(_dispatcher(settings, candidates, contained))
    return providers, gate.dispatcher


@attrs.define(eq=False, slots=True)
class _Gate:
    """Tells the dispatcher of gates that changed; before there is one, nobody needs to know."""

    dispatcher: Ref | None = None

    def __call__(self, candidate: Candidate) -> None:
        if self.dispatcher is not None:
            self.dispatcher.tell(GateChanged(candidate), Lane.CONTROL)


def _provider(
    name: str,
    config: Config,
    candidates: tuple[Candidate, ...],
    flights: Flights,
    gate: Callable[[Candidate], None],
    known: ProviderSnapshot | None,
) -> ChildSpec:
    provider = config.providers[name]
    settings = ProviderSettings(
        name=name,
        breaker=breaker_of(config, provider),
        holds=holds_of(provider.hold),
        concurrency_initial=float(provider.concurrency.start),
        concurrency_least=provider.concurrency.min,
        concurrency_most=provider.concurrency.max,
        guard=guard_rule(config.retry.guard),
        rates=rate_rule(provider),
        failure_domain=provider.failure_domain,
    )
    own = tuple(c for c in candidates if c.spec.provider == name)

    def start(begin: Start) -> ProviderActor:
        snapshot = begin.snapshot if begin.incarnation > 1 else known
        return ProviderActor(
            begin.context, settings, own, flights.permits, gate, snapshot, begin.poison
        )

    return ChildSpec(f"provider/{name}", start, max_restarts=5, period_s=30.0)


def _dispatcher(
    settings: DispatcherSettings, candidates: tuple[Candidate, ...], contained: Containment
) -> ChildSpec:
    def start(begin: Start) -> Dispatcher:
        return Dispatcher(begin.context, settings, candidates, contained, begin.snapshot)

    return ChildSpec("dispatcher", start, max_restarts=3, period_s=60.0, retry_after_s=None)


def known_kinds(registry: Registry) -> dict[str, Kind]:
    """The kinds that a configuration may name: the built-in ones, and those registered by code."""
    kinds = dict(KINDS)
    for name in registry.names:
        if name in _BUILT_IN_WIRES:
            continue
        own = registry.get(name)
        kinds[name] = Kind(
            name=name,
            adapter=name,
            base_url=own.base_url,
            key_variable=own.key_env,
            models=(name,),
            operations=own.operations,
            needs_models=False,
        )
    return kinds


def _adapter(name: str, config: Config, registry: Registry, kinds: Mapping[str, Kind]) -> Adapter:
    provider = config.providers[name]
    kind = kind_of(name, provider, kinds)
    options: dict[str, Any] = {}
    if provider.function is not None:
        options = {"function": provider.function, "name": name}
    elif kind.adapter == "local":
        options = {"name": name}
        if provider.reply is not None:
            options["reply"] = provider.reply
    return registry.get(kind.adapter).make(options)


def _wires(
    config: Config,
    registry: Registry,
    environ: Mapping[str, str],
    kinds: Mapping[str, Kind],
) -> tuple[dict[str, Adapter], tuple[Candidate, ...], dict[str, Target]]:
    """Each provider's adapter, what it serves, and where each endpoint is."""
    adapters = {name: _adapter(name, config, registry, kinds) for name in config.providers}
    candidates = _candidates(config, kinds, adapters)
    return adapters, candidates, _targets(config, candidates, adapters, environ, kinds)


def _targets(
    config: Config,
    candidates: tuple[Candidate, ...],
    adapters: Mapping[str, Adapter],
    environ: Mapping[str, str],
    kinds: Mapping[str, Kind],
) -> dict[str, Target]:
    """Where each endpoint is that is reached over HTTP. A disabled one needs no key."""
    return {
        c.name: _target(c, config, environ, kinds)
        for c in candidates
        if isinstance(adapters[c.spec.provider], WireAdapter) and c.spec.enabled
    }


def _target(
    candidate: Candidate,
    config: Config,
    environ: Mapping[str, str],
    kinds: Mapping[str, Kind],
) -> Target:
    spec = candidate.spec
    provider = config.providers[spec.provider]
    kind = kind_of(spec.provider, provider, kinds)
    headers = resolve_headers(spec.provider, provider, environ)
    return Target(
        provider=spec.provider,
        model=spec.model,
        base_url=resolve_address(spec.provider, provider, environ, kinds),
        key=resolve_key(spec.provider, provider, environ, kinds),
        headers={name: value.reveal() for name, value in headers.items()},
        max_output_tokens=spec.max_output_tokens,
        options={**dict(kind.dialect), **({"errors": provider.errors} if provider.errors else {})},
    )


def _unused(candidate: Candidate) -> Target:
    """A disabled provider's: nothing is ever sent to it."""
    spec = candidate.spec
    return Target(provider=spec.provider, model=spec.model, base_url="")


def _ways(
    candidate: Candidate,
    config: Config,
    adapters: Mapping[str, Adapter],
    targets: Mapping[str, Target],
    transport: Transport,
    ports: Ports,
    remotes: Remotes | None,
) -> tuple[Call, Opener]:
    """How an endpoint is asked for a whole answer, and for one piece by piece."""
    adapter = adapters[candidate.spec.provider]
    if not isinstance(adapter, WireAdapter):
        call = in_process(adapter, candidate.spec.model)
        return call, whole(call)
    target = targets.get(candidate.name) or _unused(candidate)
    limit_s = config.providers[candidate.spec.provider].connect_timeout_s
    if isinstance(adapter, JobAdapter):
        call = by_job(adapter, target, transport, ports.clock, limit_s)
        return call, whole(call)
    mark = remotes.mark if remotes is not None and config.otel.propagate else None
    call = over_wire(adapter, target, transport, ports.clock, limit_s, mark)
    if not isinstance(adapter, StreamingAdapter):
        return call, whole(call)
    return call, streams_over_wire(adapter, target, transport, ports.clock, limit_s, mark)


def _report_crash(contained: Containment, ref: Ref, error: Exception) -> None:
    contained("actor", ref.name, error, "its supervisor restarts it")
