"""The desk: where requests are accepted, stamped, seen through, and given their one outcome."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from msgspec.structs import replace

from understudy.adapters.base import Reply
from understudy.cache.cache import Cache
from understudy.config import Config
from understudy.ports import Ports
from understudy.prices import estimate_tokens
from understudy.routing.attempt import attempt
from understudy.routing.edition import Edition
from understudy.routing.endings import not_cached, shutting_down
from understudy.routing.explain import Records
from understudy.routing.loop import serve
from understudy.routing.moving import left_behind, moved
from understudy.routing.sums import expected_output, total_usd
from understudy.routing.turnstile import Turnstile
from understudy.routing.validate import validate
from understudy.routing.wiring import Call, Wiring
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.domain import operation as operations
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.errors import (
    AllAttemptsFailed,
    InvalidRequest,
    NoCandidate,
    NotCached,
    OverLimit,
    OverMaxCost,
    UnderstudyError,
)
from understudy_actors.domain.events import RequestAccepted, RequestOutcome, RequestRefused
from understudy_actors.domain.request import Caching, ChatInput, CustomInput, Request
from understudy_actors.domain.result import ChatOutput, Result, Usage

FALLBACK: Final = "fallback"
"""What a result names as its provider when configured fallback content answered."""


class Desk:
    """Takes requests in and hands results out.

    `operations` and `strategies` are the names that a request may use.
    """

    def __init__(
        self,
        wiring: Wiring,
        config: Config,
        ports: Ports,
        records: Records,
        operations: Collection[str],
        strategies: Collection[str],
        cache: Cache | None = None,
    ) -> None:
        self._wiring = wiring
        self._flights = wiring.flights
        self._trace = wiring.trace
        self._clock = ports.clock
        self._ids = ports.ids
        self._config = config
        self._shares = config.max_share.rule()
        self._records = records
        self._cache = cache
        self._operations = operations
        self._strategies = strategies
        self._generation = wiring.generation
        self._edition: Edition | None = None  # set when another configuration took over
        self._successor: Desk | None = None

    @property
    def wiring(self) -> Wiring:
        """What its requests work with."""
        return self._wiring

    @property
    def newest(self) -> Desk:
        """The desk that takes new requests."""
        desk = self
        while desk._successor is not None:
            desk = desk._successor
        return desk

    def hand_over(self, successor: Desk, edition: Edition) -> None:
        """Another desk takes new requests; `edition` counts those that end here."""
        self._successor, self._edition = successor, edition

    def begin(self) -> None:
        """An accepted request is under way; `end` tells its outcome."""
        self._flights.running += 1
        if self._edition is not None:
            self._edition.running += 1

    def pass_on(self, flight: Flight) -> tuple[Desk, Flight] | None:
        """Where a request goes on that nobody is left for here; None: nowhere else."""
        desk = self.newest
        if desk is self or not left_behind(flight):
            return None
        shares = desk._shares
        compartments = shares.compartments(flight.request) if shares is not None else ()
        self._flights.running -= 1  # the other one begins at once
        if self._edition is not None:
            self._edition.ended()
        return desk, moved(flight, self._wiring, desk._wiring, compartments)

    def accept(self, request: Request, *, streams: bool = False, counts: bool = True) -> Flight:
        """Validate and stamp.

        `streams` if the answer is to be delivered piece by piece; `counts` if it is somebody's own
        request, and not the call that several share.
        """
        if self._flights.closing:
            raise shutting_down()
        flight = self.stamp(request)
        if counts and self._wiring.turnstile is not None:
            self._let_in(flight, self._wiring.turnstile)
        if streams:
            flight.streams = True
            if request.hedge is None:
                flight.hedge = self._config.hedges(request.operation, streams=True)
        if self._trace.fine:
            self._trace.emit_fine(
                RequestAccepted(
                    at_s=flight.accepted_at,
                    request=flight.id,
                    operation=request.operation,
                    deadline=flight.deadline,
                    model=request.model,
                    user=request.user,
                    max_attempts=flight.max_attempts,
                    fallback=flight.fallback,
                    timeout_s=request.timeout_s,
                    streams=streams,
                    cache=request.cache,
                    tenant=request.tenant,
                    priority=request.priority,
                    needs=_needs(request),
                    fallbacks=request.fallbacks,
                )
            )
        return flight

    def _let_in(self, flight: Flight, turnstile: Turnstile) -> None:
        """Keep the limits of whoever asks.

        Raises:
            OverLimit: One is used up.
        """
        try:
            turnstile.enter(flight)
        except OverLimit as error:
            error.request_id = flight.id
            if self._trace.on:
                refused = RequestRefused(
                    at_s=flight.accepted_at, request=flight.id, reason=str(error)[:200]
                )
                self._trace.emit(refused)
            raise

    def stamp(self, request: Request) -> Flight:
        """Validate a request, and give it an id and a deadline."""
        now = self._clock.now()
        identity = getattr(request, "id", None) or self._ids.request_id()
        try:
            validate(request, self._operations, self._strategies)
        except InvalidRequest as error:
            error.request_id = identity
            if self._trace.on:
                self._trace.emit(
                    RequestRefused(at_s=now, request=identity, reason=str(error)[:200])
                )
            raise
        config = self._config
        timeout_s = request.timeout_s if request.timeout_s is not None else config.deadline_s
        shares = self._shares
        return Flight(
            request,
            identity,
            now,
            now + timeout_s,
            request.max_attempts or config.max_attempts,
            estimate_tokens(request),
            expected_output(request),
            config.fallback and request.fallback,
            hedge=request.hedge if request.hedge is not None else config.hedges(request.operation),
            compartments=shares.compartments(request) if shares is not None else (),
            generation=self._generation,
        )

    async def see_through(self, flight: Flight, call: Call | None) -> Result:
        """See a request through to exactly one outcome."""
        self._flights.running += 1
        if self._edition is not None:
            self._edition.running += 1
        status: str | None = "cancelled"
        result, retry_at = None, None
        try:
            reply, candidate = await serve(self._wiring, flight, attempt, call)
            unkept = None
            if self._wiring.durable is not None:
                unkept = await self._wiring.durable.settled(flight)
                flight.ended_at = self._clock.now()
            result = self.result(flight, reply, candidate)
            if unkept is not None:
                unkept.result = result
                raise unkept
            result = self._settled(flight, result)
            status = "degraded" if result.degraded else "ok"
            return result
        except (NoCandidate, AllAttemptsFailed) as error:
            elsewhere = self.pass_on(flight) if call is None else None
            if elsewhere is not None:
                status = None
                return await elsewhere[0].see_through(elsewhere[1], None)
            if self._wiring.durable is not None:
                await self._wiring.durable.settled(flight)
            status, retry_at = type(error).__name__, error.retry_at
            result = None if isinstance(error, OverMaxCost) else self.stand_in(flight)
            if result is None:
                raise
            status = "degraded"
            return result
        except UnderstudyError as error:
            status, retry_at = type(error).__name__, error.retry_at
            error.request_id = error.request_id or flight.id
            raise
        except Exception as error:
            status = type(error).__name__
            raise
        finally:
            if status is not None:
                self.end(flight, status, result, retry_at)

    def end(
        self,
        flight: Flight,
        status: str,
        result: Result | None,
        retry_at: float | None,
        shared: Flight | None = None,
    ) -> None:
        """An accepted request has its outcome; of a good one, `flight.ended_at` says when.

        `shared` is the flight that was seen through in its place, if it shared one.
        """
        flights = self._flights
        flights.running -= 1
        if self._edition is not None:
            self._edition.ended()
        if not flights.running and flights.idle is not None:
            flights.idle.set()
        if flight.entered and self._wiring.turnstile is not None:
            self._wiring.turnstile.leave(flight, result, shared or flight)
        now = flight.ended_at if status == "ok" else self._clock.now()
        provider = model = None
        if result is not None:
            provider, model = result.provider, result.model
        if self._trace.on:
            self._trace.emit(
                RequestOutcome(
                    at_s=now,
                    request=flight.id,
                    status=status,
                    provider=provider,
                    model=model,
                    attempts=len(flight.attempts),
                    elapsed_s=now - flight.accepted_at,
                    cost_usd=result.cost_usd if result is not None else None,
                    retry_at=retry_at,
                    cached=result is not None and result.cached,
                )
            )
        self._records.keep(flight, status, provider, model, now, shared or flight)
        flight.last_error = None  # its traceback leads back here, where no collector looks

    def result(self, flight: Flight, reply: Reply, candidate: Candidate) -> Result:
        """What the caller gets for a reply."""
        spec = candidate.spec
        degraded = reply.degraded or spec.degraded
        if not degraded:
            for stand_in in self._wiring.stand_ins:
                stand_in.remember(flight.request, reply.output)
        return Result(
            output=reply.output,
            provider=spec.provider,
            model=spec.model,
            request_id=flight.id,
            elapsed_s=flight.ended_at - flight.accepted_at,
            cost_usd=total_usd(flight),
            usage=reply.usage or Usage(flight.input_tokens, flight.output_tokens, estimated=True),
            attempts=flight.attempts,
            degraded=degraded,
        )

    def recall(self, flight: Flight) -> Result | None:
        """The answer to an accepted request that was given before, if it may be given again.

        This, or the error, is the request's outcome.

        Raises:
            NotCached: Nothing else may answer it, and there is none.
        """
        try:
            result = self.find(flight)
        except NotCached as error:
            self.begin()
            self.end(flight, type(error).__name__, None, None)
            raise
        if result is not None:
            self.begin()
            self.end(flight, "degraded" if result.degraded else "ok", result, None)
        return result

    def find(self, flight: Flight) -> Result | None:
        """As `recall`, but the outcome is still to be told."""
        cache, asked = self._cache, flight.request.cache
        result = cache.look_up(flight) if cache is not None else None
        if result is not None or asked != Caching.ONLY:
            return result
        if cache is None:
            raise not_cached(flight, "the engine has none")
        result = cache.stand_in(flight)
        if result is None:
            raise not_cached(flight, "none that may still serve")
        return result

    def keep(self, flight: Flight, result: Result) -> None:
        """Keep the answer of a provider, if the request uses the cache."""
        if flight.key is not None and self._cache is not None:
            self._cache.keep(flight, result)

    def stand_in(self, flight: Flight) -> Result | None:
        """What is answered when all fail, marked as degraded; None if there is nothing.

        That is the last answer to the same request, if the cache has one that may serve; else the
        configured one.
        """
        return self._kept(flight) or self._fallback_content(flight)

    def _settled(self, flight: Flight, result: Result) -> Result:
        """What a provider answered is kept; what a stand-in did gives way to an older answer."""
        if flight.key is None:
            return result
        if result.degraded:
            return self._kept(flight) or result
        self.keep(flight, result)
        return result

    def _kept(self, flight: Flight) -> Result | None:
        """The last answer to the same request, with what was spent in vain on a new one."""
        if flight.key is None or self._cache is None:
            return None
        kept = self._cache.stand_in(flight)
        if kept is None or not flight.attempts:
            return kept
        return replace(kept, attempts=flight.attempts, cost_usd=total_usd(flight))

    def _fallback_content(self, flight: Flight) -> Result | None:
        text = self._config.degraded_text(flight.request.operation)
        if text is None or not isinstance(flight.request.input, ChatInput | CustomInput):
            return None
        return Result(
            output=ChatOutput(text) if flight.request.operation == operations.CHAT else text,
            provider=FALLBACK,
            model="",
            request_id=flight.id,
            elapsed_s=self._clock.now() - flight.accepted_at,
            cost_usd=total_usd(flight) if flight.attempts else 0.0,
            attempts=flight.attempts,
            degraded=True,
        )


def _needs(request: Request) -> tuple[str, ...] | None:
    """What else decides about its route than its operation and its model."""
    if not (request.capabilities or request.tags or request.region):
        return None
    return *request.capabilities, *request.tags, *((request.region,) if request.region else ())
