"""The engine: the verbs that programs use."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from itertools import starmap
from typing import Any, Literal, overload

import trio

from understudy.accounts.accounts import Accounts, Spenders, TopOf
from understudy.accounts.reports import Costs, DayUsage, TopModel, TopSpender, TopUser
from understudy.adapters.base import Reply
from understudy.assembly import Parts
from understudy.by_hand import ByHand
from understudy.cache.shelf import CacheStats
from understudy.choice import Choice, Fallback, choice_of
from understudy.controls import Controls, error_class
from understudy.design import Source
from understudy.differences import Reloaded
from understudy.inspection import TestReport, check_all, try_out
from understudy.listening import EventStream
from understudy.models import RoutableModel, routable
from understudy.projecting import BudgetProjection, budget_projection
from understudy.reloading import resolved, see_out, take_over, unchanged
from understudy.reports import ProviderHealth, StatusReport, health_of, status_of
from understudy.routing.collapse import Collapser
from understudy.routing.desk import Desk
from understudy.routing.endings import nobody
from understudy.routing.explain import Explanation
from understudy.spending import BudgetStanding, budget_standing
from understudy.streaming.stream import ChatStream
from understudy.telemetry.tracing import Remotes
from understudy.winding import wind_up
from understudy_actors.dispatcher.collapse import collapses, key_of
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.dispatcher.messages import Select
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.errors import InvalidRequest
from understudy_actors.domain.operation import BUILT_IN
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import Request
from understudy_actors.domain.result import Result
from understudy_actors.ledger.account import Scope
from understudy_actors.runtime.trace import Listener


class Engine(ByHand):
    """Routes requests to providers that can serve them now. `open_engine` makes one.

    Attributes:
        keys: The keys by which callers of a gateway come in: made, changed, replaced, revoked.
    """

    def __init__(self, parts: Parts, nursery: trio.Nursery) -> None:
        self._parts = parts
        self._nursery = nursery
        self._clock = parts.ports.clock
        self._trace = parts.trace
        self.keys = parts.keys
        self._brought: set[str] = set()  # names of strategies that came by `set_strategy`
        self._equip()

    def _equip(self) -> None:
        """Take what the newest configuration says into use."""
        parts, self._wiring = self._parts, self._parts.wiring
        operations = frozenset(
            (*BUILT_IN, *(o for c in parts.candidates for o in c.spec.operations))
        )
        strategies = {*parts.settings.strategies, *self._brought}
        self._controls = Controls(parts, operations, strategies)
        self._cache = parts.cache
        self._desk = Desk(
            parts.wiring,
            parts.config,
            parts.ports,
            parts.records,
            operations,
            strategies,
            parts.cache,
        )
        self._collapser = Collapser(parts.wiring, self._desk, self._nursery)
        self._collapse = parts.config.collapse

    # Requests

    async def route(self, request: Request) -> Result:
        """Serve a request by the best provider that can, failing over to the next ones.

        Raises:
            InvalidRequest: Nobody could serve it; nothing was called.
            NoCandidate: Nobody may be asked now; nothing was called.
            AllAttemptsFailed: Everybody who was asked failed.
            ProviderError: One failed in a way that asking others cannot help.
            Overloaded, ShuttingDown: It was not accepted.
        """
        flight = self._desk.accept(request)
        if self._cache is not None or request.cache is not None:
            result = self._desk.recall(flight)
            if result is not None:
                return result
        if self._collapse or request.collapse or flight.key is not None:
            # An answer that others may be given later may be shared now, at any temperature.
            for_all = flight.key is not None and request.collapse is None
            key = key_of(request) if for_all or collapses(request, self._collapse) else None
            if key is not None:
                return await self._collapser.route(flight, key)
        return await self._desk.see_through(flight, None)

    def stream(self, request: Request) -> ChatStream:
        """Serve a chat request piece by piece: `async with engine.stream(request) as stream`.

        Entering the block waits for the first piece, and raises as `route` does; then iterate over
        the stream, and ask it for its `result()`.
        """
        return ChatStream(self._wiring, self._desk, request)

    async def with_fallback(
        self, operation: str, function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Fallback:
        """Run the caller's own function with one candidate after another until one succeeds.

        `function` (sync or async) is called with a `Choice`, then `args` and `kwargs`. What it
        raises fails that attempt: timeouts and connection errors as such, errors of `understudy`
        as themselves, anything else as a fault of the code that serves the provider.

        Returns:
            (result, provider, attempts).

        Raises:
            UnderstudyError: As `route`.
        """
        request, made = Request.custom(operation, *args, kwargs=kwargs), self._parts.design
        flight = self._desk.accept(request)

        async def call(candidate: Candidate, _request: Request) -> Reply:
            decision = flight.decisions[-1]
            choice = choice_of(
                candidate,
                made.config,
                made.kinds,
                decision,
                self._clock.now(),
                _estimate(flight),
            )
            answer = function(choice, *args, **kwargs)
            if inspect.isawaitable(answer):
                answer = await answer
            return Reply(answer)

        result = await self._desk.see_through(flight, call)
        return Fallback(result.output, result.provider, result.attempts)

    def select(self, what: str | Request) -> Choice:
        """The best provider now for an operation or a request, without calling it.

        Report how the call went with `report_success` or `report_failure`.

        Raises:
            NoCandidate: Nobody may be asked now.
        """
        request = Request.custom(what) if isinstance(what, str) else what
        flight = self._desk.stamp(request)
        decision = self._wiring.dispatcher.ask_now(
            Select(request, flight.input_tokens, flight.output_tokens)
        )
        now = self._clock.now()
        if not decision.ranked:
            raise nobody(flight, decision, now)
        return choice_of(
            decision.ranked[0],
            self._parts.config,
            self._parts.kinds,
            decision,
            now,
            _estimate(flight),
        )

    def report_success(
        self, provider: str, model: str | None = None, *, elapsed_s: float | None = None
    ) -> None:
        """Tell of a call that the caller made: it succeeded, in so many seconds.

        Raises:
            InvalidRequest: There is no such provider or model.
        """
        self._controls.report(provider, model, None, elapsed_s)

    def report_failure(
        self,
        provider: str,
        model: str | None = None,
        *,
        error: ErrorClass | str = ErrorClass.SERVER,
        elapsed_s: float | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        """Tell of a call that the caller made: it failed, in the way of an error class.

        Raises:
            InvalidRequest: There is no such provider, model or error class.
        """
        self._controls.report(provider, model, error_class(error), elapsed_s, retry_after_s)

    # What is going on

    def status(self) -> StatusReport:
        """The status document: overall health, counts, and every endpoint."""
        return status_of(self._parts)

    def models(self) -> tuple[RoutableModel, ...]:
        """Every name of a model that a request may ask for, and who serves it."""
        return routable(each.spec for each in self._parts.candidates)

    def health(self) -> list[ProviderHealth]:
        """One entry for each endpoint, in configured order."""
        return health_of(self._parts)

    def budgets(self) -> tuple[BudgetStanding, ...]:
        """Every budget in its current window; empty without any."""
        purse = self._wiring.purse
        return () if purse is None else tuple(map(budget_standing, purse.standing()))

    def projection(self) -> tuple[BudgetProjection, ...]:
        """What every budget will have spent by the end of its window, and in the next 30 days."""
        purse = self._wiring.purse
        return () if purse is None else tuple(starmap(budget_projection, purse.forecasts()))

    def cache_stats(self) -> CacheStats | None:
        """The response cache in numbers; None without one."""
        return None if self._cache is None else self._cache.stats()

    def clear_cache(self) -> int:
        """Forget every answer that was kept; returns how many there were."""
        return 0 if self._cache is None else self._cache.clear()

    def thaw(self, scope: str = "engine", name: str = "") -> None:
        """Lend again under the budgets of a scope that an attempt froze by costing too much.

        Raises:
            InvalidRequest: There is no such budget.
        """
        self._controls.thaw(Scope(scope, name))

    def costs(self, *, days: int | None = None) -> Costs:
        """What the attempts of the last `days` calendar days came to; left out, of all days kept.

        As `top` and `usage`, it counts an attempt when it has ended, in the day in which it began.

        Raises:
            InvalidRequest: That is no number of days, or accounts are switched off.
        """
        return self._accounts().costs(days)

    @overload
    def top(
        self, what: Literal["models"] = "models", most: int = 10, *, days: int | None = None
    ) -> tuple[TopModel, ...]: ...

    @overload
    def top(
        self, what: Literal["users"], most: int = 10, *, days: int | None = None
    ) -> tuple[TopUser, ...]: ...

    @overload
    def top(
        self, what: Spenders, most: int = 10, *, days: int | None = None
    ) -> tuple[TopSpender, ...]: ...

    def top(
        self, what: TopOf = "models", most: int = 10, *, days: int | None = None
    ) -> tuple[TopModel, ...] | tuple[TopUser, ...] | tuple[TopSpender, ...]:
        """The `most` used `models` or dearest `users`, `keys`, `teams` or `tags`.

        Of the last `days` calendar days, or of all.

        Raises:
            InvalidRequest: One of these is none, or accounts are switched off.
        """
        return self._accounts().top(what, most, days)

    def usage(self, days: int = 30) -> tuple[DayUsage, ...]:
        """Each of the last `days` calendar days, today last.

        Raises:
            InvalidRequest: That is no number of days, or accounts are switched off.
        """
        return self._accounts().usage(days)

    @property
    def remotes(self) -> Remotes | None:
        """Where callers' traces are noted, by request; None unless `otel` is on."""
        return self._parts.remotes

    def explain(self, request_id: str) -> Explanation | None:
        """Why a request was served as it was; None if it is unknown, running or long ago."""
        return self._parts.records.explain(request_id)

    def events(self, *, fine: bool = True) -> EventStream:
        """Every event until the engine closes, as an async iterator.

        `fine=False` leaves out the small ones.
        """
        stream = EventStream(self._trace, fine=fine)
        self._parts.streams.add(stream)
        return stream

    def listen(
        self, listener: Listener, *, fine: bool = True, turns: bool = False
    ) -> Callable[[], None]:
        """Call `listener(seq, event)` for every event; returns what removes it.

        `fine=False` leaves out the small ones; `turns` adds every turn of every actor. It must not
        block. If it raises, it is removed, and that is reported once.
        """
        return self._trace.listen(listener, fine=fine, turns=turns)

    async def test_provider(self, name: str, *, timeout_s: float = 30.0) -> list[TestReport]:
        """Make one real, cheap call to each model of a provider (or to `provider/model`).

        Raises:
            InvalidRequest: There is no such provider.
        """
        return [await try_out(self._parts, c, timeout_s) for c in self._controls.named(name)]

    async def check(self, *, timeout_s: float = 5.0) -> StatusReport:
        """Check every provider reached over HTTP once, free of charge; then the status document.

        What was found counts as evidence like that of the checks at an interval.
        """
        await check_all(self._parts, timeout_s)
        return self.status()

    # Its whole life

    async def reload(
        self,
        config: Source = None,
        *,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        drain_s: float | None = None,
    ) -> Reloaded:
        """Serve whoever comes from now on under another configuration.

        No call is dropped and no stream cut: a request ends under the configuration it was accepted
        under. What stays keeps all that is known of it; what is left out ends after its last call.

        Args:
            config: As `open_engine` takes it; None reads the same file (or discovers) again.
            functions: The user's own functions; None: those given before.
            drain_s: Calls of removed providers are ended after so many seconds, and their requests
                fail over; None: at their own deadlines.

        Raises:
            ConfigError: It cannot run, or changes what needs a restart; nothing has changed.
            StoreFailed: What is kept of something new cannot be read; nothing has changed.
            ShuttingDown: The engine closes.
        """
        made, origin = await resolved(self._parts, config, functions)
        edition, desk = self._parts.edition, self._desk
        done = take_over(self._parts, made, origin)
        if done is None:
            return unchanged(self._parts)
        self._equip()
        desk.hand_over(self._desk, edition)
        self._parts.rounds.follow(self._parts, self._nursery)
        self._nursery.start_soon(see_out, self._parts, edition, drain_s, name="see out")
        return done

    async def drain(self, within_s: float) -> None:
        """Take nothing new, and wait for what is under way; after `within_s` seconds, end it.

        Whoever is ended hears `ShuttingDown`. Called again, the shorter time counts.
        """
        await wind_up(self._parts, within_s)

    def _accounts(self) -> Accounts:
        book = self._wiring.book
        if book is None:
            raise InvalidRequest("nothing is counted: set `accounts.enabled` to true")
        return Accounts(book, self._clock.wall, self._parts.config.time_zone)


def _estimate(flight: Flight) -> tuple[int, int]:
    return flight.input_tokens, flight.output_tokens
