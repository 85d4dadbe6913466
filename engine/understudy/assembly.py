"""Puts an engine together: a design and ports in, actors and wiring out. Nothing runs yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakSet

import attrs

from understudy.accounts.accounts import book_of
from understudy.accounts.book import Book
from understudy.adapters.base import Adapter, JobAdapter, StreamingAdapter, Target, WireAdapter
from understudy.adapters.local import LocalAdapter
from understudy.alerts.post import Teller
from understudy.cache.cache import Cache
from understudy.caching import cache_of
from understudy.config import Config, Kind
from understudy.design import Design, Origin, design
from understudy.keys.keys import Keys
from understudy.keys.opening import keys_of, ring_of
from understudy.keys.scopes import Scopes, budgets_of, limits_of
from understudy.limiting import Doors
from understudy.listening import EventStream
from understudy.ports import Ports
from understudy.posts import Posts
from understudy.rounds import Rounds
from understudy.routing.calls import in_process, over_wire
from understudy.routing.durable import durable_of
from understudy.routing.edition import Edition
from understudy.routing.explain import KEPT_MAX, Records
from understudy.routing.jobs import by_job
from understudy.routing.wiring import Call, Flights, Wiring
from understudy.spending import Bank
from understudy.store.keeping import Keeping, keep
from understudy.store.port import Store
from understudy.streaming.channel import Opener, over_wire as streams_over_wire, whole
from understudy.telemetry.containment import Containment
from understudy.telemetry.tracing import Remotes, heard
from understudy.transport.http import Transport
from understudy_actors.dispatcher.plans import Plan
from understudy_actors.dispatcher.settings import DispatcherSettings
from understudy_actors.domain.candidate import Candidate
from understudy_actors.keeper.batch import Saved
from understudy_actors.provider.messages import Adopt
from understudy_actors.runtime.actor import Ref
from understudy_actors.runtime.supervisor import Supervisor
from understudy_actors.runtime.system import System
from understudy_actors.runtime.timers import TimerWheel
from understudy_actors.runtime.trace import Trace

if TYPE_CHECKING:
    from understudy.telemetry.otel import Otel


@attrs.define(eq=False, slots=True)
class Parts:
    """Everything an engine consists of.

    `design`, `wiring` and `cache` are those of the configuration that whoever comes now is served
    under; `earlier` are the ones before it that requests under way were accepted under. `streams`
    are closed with the engine, and `tellers` are waited for before that. `remotes` are the traces
    of callers, if anybody wants to know; `agents` were started on it.
    """

    design: Design
    origin: Origin
    ports: Ports
    trace: Trace
    wheel: TimerWheel
    system: System
    transport: Transport
    contained: Containment
    posts: Posts
    bank: Bank
    doors: Doors
    wiring: Wiring = attrs.field(init=False)
    scopes: Scopes = attrs.field(init=False)
    keys: Keys = attrs.field(init=False)
    records: Records
    edition: Edition
    cache: Cache | None = None
    keeping: Keeping | None = None
    rounds: Rounds = attrs.Factory(Rounds)
    earlier: dict[Edition, Design] = attrs.Factory(dict)
    streams: WeakSet[EventStream] = attrs.Factory(WeakSet)
    agents: set[str] = attrs.Factory(set)
    tellers: tuple[Teller, ...] = ()
    remotes: Remotes | None = None
    otel: Otel | None = None

    @property
    def config(self) -> Config:
        """The configuration."""
        return self.design.config

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """Every known kind of provider."""
        return self.design.kinds

    @property
    def settings(self) -> DispatcherSettings:
        """What the dispatcher is configured with."""
        return self.design.settings

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every endpoint, in configured order."""
        return self.design.candidates

    @property
    def adapters(self) -> Mapping[str, Adapter]:
        """By provider."""
        return self.design.adapters

    @property
    def targets(self) -> Mapping[str, Target]:
        """By endpoint name; only of those reached over HTTP."""
        return self.design.targets

    @property
    def providers(self) -> dict[str, Ref]:
        """The actors of the configured providers."""
        return {name: self.posts.providers[name] for name in self.config.providers}


def assemble(
    config: Config,
    origin: Origin,
    *,
    ports: Ports,
    transport: Transport,
    escalate: Callable[[Ref, Exception], None],
    kept: tuple[Store, Saved] | None = None,
) -> Parts:
    """Build every part from a configuration, and from what an earlier process `kept`.

    Raises ConfigError or StoreFailed if it cannot run, or a key or what was kept cannot be read.
    """
    made = design(config, origin)
    trace, contained, wheel, system, supervisor = _runtime(ports, escalate)
    flights = Flights()
    keeping = keep(config, kept, supervisor, system, ports.clock)
    bank, doors = Bank(supervisor, ports.clock, keeping), Doors(supervisor, ports.clock, keeping)
    ring = ring_of(config, keeping, ports.clock.wall())
    bank.open(config, budgets_of(config, ring))
    posts = Posts(supervisor, flights, contained, keeping)
    posts.hire({n: Adopt(made.providers[n], made.of(n)) for n in config.providers})
    posts.start_dispatcher(Plan(0, made.settings, made.candidates))
    book = book_of(config, keeping)
    doors.open(limits_of(config, ring))
    parts = Parts(
        design=made,
        origin=origin,
        ports=ports,
        trace=trace,
        wheel=wheel,
        system=system,
        transport=transport,
        contained=contained,
        posts=posts,
        bank=bank,
        doors=doors,
        records=Records(KEPT_MAX if config.monitoring else 0),
        remotes=heard(config),
        edition=Edition(),
        cache=cache_of(config, made.candidates, ports.clock, trace),
        keeping=keeping,
    )
    parts.wiring = wire(parts, made, flights, book)
    parts.scopes = Scopes(config, parts.wiring, bank, doors)
    parts.keys = keys_of(ring, parts.scopes, ports, keeping)
    return parts


def wire(parts: Parts, made: Design, flights: Flights, book: Book | None) -> Wiring:
    """What the requests of a configuration work with, once its actors run."""
    ports, providers = parts.ports, parts.posts.providers
    ways = [_ways(c, made, parts.transport, ports, parts.remotes) for c in made.candidates]
    purse = parts.bank.purse
    return Wiring(
        clock=ports.clock,
        trace=parts.trace,
        dispatcher=parts.posts.dispatcher,
        providers=[providers[c.spec.provider] for c in made.candidates],
        calls=[call for call, _ in ways],
        openers=[opener for _, opener in ways],
        flights=flights,
        contained=parts.contained,
        timers=parts.wheel,
        hedge=made.settings.hedge,
        stand_ins=tuple(each for each in made.adapters.values() if isinstance(each, LocalAdapter)),
        purse=purse,
        durable=durable_of(parts.keeping, purse, ports.clock),
        book=book,
        turnstile=parts.doors.turnstile,
        generation=parts.edition.generation,
        candidates=made.candidates,
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


def _unused(candidate: Candidate) -> Target:
    """A disabled provider's: nothing is ever sent to it."""
    spec = candidate.spec
    return Target(provider=spec.provider, model=spec.model, base_url="")


def _ways(
    candidate: Candidate,
    made: Design,
    transport: Transport,
    ports: Ports,
    remotes: Remotes | None,
) -> tuple[Call, Opener]:
    """How an endpoint is asked for a whole answer, and for one piece by piece."""
    adapter = made.adapters[candidate.spec.provider]
    if not isinstance(adapter, WireAdapter):
        call = in_process(adapter, candidate.spec.model)
        return call, whole(call)
    target = made.targets.get(candidate.name) or _unused(candidate)
    limit_s = made.config.providers[candidate.spec.provider].connect_timeout_s
    if isinstance(adapter, JobAdapter):
        call = by_job(adapter, target, transport, ports.clock, limit_s)
        return call, whole(call)
    mark = remotes.mark if remotes is not None and made.config.otel.propagate else None
    call = over_wire(adapter, target, transport, ports.clock, limit_s, mark)
    if not isinstance(adapter, StreamingAdapter):
        return call, whole(call)
    return call, streams_over_wire(adapter, target, transport, ports.clock, limit_s, mark)


def _report_crash(contained: Containment, ref: Ref, error: Exception) -> None:
    contained("actor", ref.name, error, "its supervisor restarts it")
