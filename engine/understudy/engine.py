"""The engine: the verbs that programs use."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from understudy.adapters.base import Reply
from understudy.assembly import Parts
from understudy.choice import Choice, Fallback, choice_of
from understudy.inspection import TestReport, try_out
from understudy.listening import EventStream
from understudy.prices import estimate_tokens
from understudy.reports import ProviderHealth, StatusReport, down, overall, provider_health
from understudy.routing.endings import nobody, shutting_down
from understudy.routing.explain import Explanation
from understudy.routing.loop import serve
from understudy.routing.validate import validate
from understudy.routing.wiring import Call
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.dispatcher.messages import Select, SetStrategy, Waiting
from understudy_actors.dispatcher.strategies.base import Strategy
from understudy_actors.domain import operation as operations
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.errors import (
    AllAttemptsFailed,
    InvalidRequest,
    NoCandidate,
    OverMaxCost,
    UnderstudyError,
)
from understudy_actors.domain.events import RequestAccepted, RequestOutcome, RequestRefused
from understudy_actors.domain.outcome import POLICY, ErrorClass, Verdict
from understudy_actors.domain.request import ChatInput, CustomInput, Request
from understudy_actors.domain.result import ChatOutput, Result, Usage
from understudy_actors.provider.messages import (
    Admin,
    Describe,
    HoldScope,
    ReleaseScope,
    Report,
    ResetScope,
    SetAdmin,
)
from understudy_actors.runtime.errors import ActorError
from understudy_actors.runtime.trace import Listener

OUTPUT_TOKENS: Final = 500
"""Expected length of an answer when neither the caller nor `max_tokens` says."""

FALLBACK: Final = "fallback"
"""What a result names as its provider when configured fallback content answered."""


class Engine:
    """Routes requests to providers that can serve them now. `open_engine` makes one."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._wiring = parts.wiring
        self._flights = parts.wiring.flights
        self._clock = parts.ports.clock
        self._config = parts.config
        self._trace = parts.trace
        self._by_name = {c.name: c for c in parts.candidates}
        self._operations = frozenset(
            (*operations.BUILT_IN, *(o for c in parts.candidates for o in c.spec.operations))
        )
        self._strategies = set(parts.settings.strategies)

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
        return await self._fly(self._accept(request), None)

    async def with_fallback(
        self, operation: str, function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Fallback:
        """Run the caller's own function with one candidate after another until one succeeds.

        `function` (sync or async) is called with a `Choice`, then `args` and `kwargs`. What it
        raises
        fails that attempt: timeouts and connection errors as such, errors of `understudy` as
        themselves, anything else as a fault of the provider.

        Returns:
            (result, provider, attempts).

        Raises:
            UnderstudyError: As `route`.
        """
        request = Request.custom(operation, *args, kwargs=kwargs)
        flight = self._accept(request)

        async def call(candidate: Candidate, _request: Request) -> Reply:
            decision = flight.decisions[-1]
            choice = choice_of(
                candidate, self._config, decision, self._clock.now(), _estimate(flight)
            )
            answer = function(choice, *args, **kwargs)
            if inspect.isawaitable(answer):
                answer = await answer
            return Reply(answer)

        result = await self._fly(flight, call)
        return Fallback(result.output, result.provider, result.attempts)

    def select(self, what: str | Request) -> Choice:
        """The best provider now for an operation or a request, without calling it.

        Report how the call went with `report_success` or `report_failure`.

        Raises:
            NoCandidate: Nobody may be asked now.
        """
        request = Request.custom(what) if isinstance(what, str) else what
        flight = self._stamp(request)
        decision = self._wiring.dispatcher.ask_now(
            Select(request, flight.input_tokens, flight.output_tokens)
        )
        now = self._clock.now()
        if not decision.ranked:
            raise nobody(flight, decision, now)
        return choice_of(decision.ranked[0], self._config, decision, now, _estimate(flight))

    def report_success(
        self, provider: str, model: str | None = None, *, elapsed_s: float | None = None
    ) -> None:
        """Tell of a call that the caller made: it succeeded, in so many seconds."""
        self._report(provider, model, Report("", Verdict.OK, None, elapsed_s))

    def report_failure(
        self,
        provider: str,
        model: str | None = None,
        *,
        error: ErrorClass | str = ErrorClass.SERVER,
        elapsed_s: float | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        """Tell of a call that the caller made: it failed, in the way of an error class."""
        kind = ErrorClass(error)
        verdict = POLICY[kind].verdict
        self._report(provider, model, Report("", verdict, kind, elapsed_s, retry_after_s))

    # What is going on

    def status(self) -> StatusReport:
        """The status document: overall health, counts, and every endpoint."""
        health = self.health()
        stand_ins = {c.name for c in self._parts.candidates if c.spec.degraded}
        healthy = [each for each in health if each.healthy]
        spare = sum(1 for each in healthy if each.name in stand_ins)
        return StatusReport(
            health=overall(len(healthy), spare, len(health)),
            healthy=len(healthy),
            total=len(health),
            fallback_available=self._config.fallback and len(healthy) > 1,
            strategy=self._parts.settings.strategy,
            running=self._flights.running,
            waiting=self._wiring.dispatcher.ask_now(Waiting()),
            attempts=self._flights.attempts,
            providers=tuple(health),
            contained=tuple(self._parts.contained.faults()),
        )

    def health(self) -> list[ProviderHealth]:
        """One entry for each endpoint, in configured order."""
        found: list[ProviderHealth] = []
        for ref in self._parts.providers.values():
            actor = ref.status()
            try:
                found += [provider_health(each, actor) for each in ref.ask_now(Describe())]
            except ActorError:
                found += self._unknown(ref.name.removeprefix("provider/"), actor)
        return found

    def explain(self, request_id: str) -> Explanation | None:
        """Why a request was served as it was; None if it is unknown, running or long ago."""
        return self._parts.records.explain(request_id)

    def events(self, *, fine: bool = True) -> EventStream:
        """Every event from now on, as an async iterator; `fine=False` leaves out the small ones."""
        return EventStream(self._trace, fine=fine)

    def listen(self, listener: Listener, *, fine: bool = True) -> Callable[[], None]:
        """Call `listener(seq, event)` for every event; returns what removes it.

        It must not block. If it raises, it is removed, and that is reported once.
        """
        return self._trace.listen(listener, fine=fine)

    async def test_provider(self, name: str, *, timeout_s: float = 30.0) -> list[TestReport]:
        """Make one real, cheap call to each model of a provider (or to `provider/model`).

        Raises:
            InvalidRequest: There is no such provider.
        """
        return [await try_out(self._parts, c, timeout_s) for c in self._named(name)]

    # By hand

    def hold(self, name: str, *, seconds: float | None = None) -> None:
        """Give a provider (or `provider/model`) no requests, for a time or until `release`."""
        until = math.inf if seconds is None else self._clock.now() + seconds
        provider, endpoint = self._scope(name)
        self._parts.providers[provider].tell(HoldScope(until, endpoint))

    def release(self, name: str) -> None:
        """End every hold of a provider (or of `provider/model`)."""
        provider, endpoint = self._scope(name)
        self._parts.providers[provider].tell(ReleaseScope(endpoint))

    def reset(self, name: str | None = None) -> None:
        """Forget what was observed of a provider, of `provider/model`, or of all: breakers close.

        A provider whose actor was given up starts again.
        """
        names = [name] if name is not None else list(self._parts.providers)
        for each in names:
            provider, endpoint = self._scope(each)
            self._parts.providers[provider].revive()
            self._parts.providers[provider].tell(ResetScope(endpoint))

    def isolate(self, name: str) -> None:
        """Open a breaker by hand: it refuses everything until `enable`."""
        self._administer(name, Admin.ISOLATE)

    def disable(self, name: str) -> None:
        """Switch a breaker off: it admits everything and counts nothing until `enable`."""
        self._administer(name, Admin.DISABLE)

    def enable(self, name: str) -> None:
        """End `isolate` or `disable`."""
        self._administer(name, Admin.ENABLE)

    def set_strategy(self, strategy: str | Strategy, *, operation: str | None = None) -> None:
        """Use another strategy from now on, for the engine or for one operation.

        Raises:
            InvalidRequest: There is no strategy or operation of that name.
        """
        if operation is not None and operation not in self._operations:
            raise InvalidRequest(
                f"there is no operation {operation!r}: use one of {sorted(self._operations)}"
            )
        if isinstance(strategy, str):
            if strategy not in self._strategies:
                known = ", ".join(sorted(self._strategies))
                raise InvalidRequest(f"there is no strategy {strategy!r}: use one of {known}")
        else:
            self._strategies.add(strategy.name)
        self._wiring.dispatcher.tell(SetStrategy(strategy, operation))

    # Inside

    def _accept(self, request: Request) -> Flight:
        """Validate and stamp."""
        if self._flights.closing:
            raise shutting_down()
        flight = self._stamp(request)
        if self._trace.fine:
            self._trace.emit_fine(
                RequestAccepted(
                    at_s=flight.accepted_at,
                    request=flight.id,
                    operation=request.operation,
                    deadline=flight.deadline,
                    model=request.model,
                    user=request.user,
                )
            )
        return flight

    def _stamp(self, request: Request) -> Flight:
        now = self._clock.now()
        identity = request.id or self._parts.ports.ids.request_id()
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
        return Flight(
            request,
            identity,
            now,
            now + timeout_s,
            request.max_attempts or config.max_attempts,
            estimate_tokens(request),
            _expected_output(request),
            config.fallback and request.fallback,
        )

    async def _fly(self, flight: Flight, call: Call | None) -> Result:
        """See a request through to exactly one outcome."""
        flights = self._flights
        flights.running += 1
        status, result = "cancelled", None
        try:
            reply, candidate = await serve(self._wiring, flight, call)
            result = self._result(flight, reply, candidate)
            status = "degraded" if result.degraded else "ok"
            return result
        except (NoCandidate, AllAttemptsFailed) as error:
            status = type(error).__name__
            result = self._fallback_content(flight)
            if result is None or isinstance(error, OverMaxCost):
                raise
            status = "degraded"
            return result
        except UnderstudyError as error:
            status = type(error).__name__
            error.request_id = error.request_id or flight.id
            raise
        except Exception as error:
            status = type(error).__name__
            raise
        finally:
            flights.running -= 1
            if not flights.running and flights.idle is not None:
                flights.idle.set()
            self._end(flight, status, result)

    def _end(self, flight: Flight, status: str, result: Result | None) -> None:
        now = flight.ended_at if status == "ok" else self._clock.now()
        if self._trace.on:
            self._trace.emit(
                RequestOutcome(
                    at_s=now,
                    request=flight.id,
                    status=status,
                    provider=result.provider if result is not None else None,
                    model=result.model if result is not None else None,
                    attempts=len(flight.attempts),
                    elapsed_s=now - flight.accepted_at,
                    cost_usd=result.cost_usd if result is not None else None,
                )
            )
        served_by = f"{result.provider}/{result.model}" if result is not None else None
        self._parts.records.keep(flight, status, served_by, now)

    def _result(self, flight: Flight, reply: Reply, candidate: Candidate) -> Result:
        spec = candidate.spec
        degraded = reply.degraded or spec.degraded
        attempts = tuple(flight.attempts)
        if not degraded:
            for stand_in in self._wiring.stand_ins:
                stand_in.remember(flight.request, reply.output)
        return Result(
            output=reply.output,
            provider=spec.provider,
            model=spec.model,
            request_id=flight.id,
            elapsed_s=flight.ended_at - flight.accepted_at,
            cost_usd=_total_usd(flight),
            usage=reply.usage or Usage(flight.input_tokens, flight.output_tokens, estimated=True),
            attempts=attempts,
            degraded=degraded,
        )

    def _fallback_content(self, flight: Flight) -> Result | None:
        """The configured answer for when all fail, marked as degraded; None if there is none."""
        text = self._config.degraded_text(flight.request.operation)
        if text is None or not isinstance(flight.request.input, ChatInput | CustomInput):
            return None
        return Result(
            output=ChatOutput(text) if flight.request.operation == operations.CHAT else text,
            provider=FALLBACK,
            model="",
            request_id=flight.id,
            elapsed_s=self._clock.now() - flight.accepted_at,
            cost_usd=_total_usd(flight) if flight.attempts else 0.0,
            attempts=tuple(flight.attempts),
            degraded=True,
        )

    def _report(self, provider: str, model: str | None, report: Report) -> None:
        name = provider if model is None else f"{provider}/{model}"
        for candidate in self._named(name):
            told = Report(
                candidate.name,
                report.verdict,
                report.error,
                report.elapsed_s,
                report.retry_after_s,
            )
            self._parts.providers[candidate.spec.provider].tell(told)

    def _administer(self, name: str, state: Admin) -> None:
        provider, endpoint = self._scope(name)
        self._parts.providers[provider].tell(SetAdmin(state, endpoint))

    def _scope(self, name: str) -> tuple[str, str | None]:
        """A provider, or one endpoint of it."""
        if name in self._parts.providers:
            return name, None
        return self._named(name)[0].spec.provider, name

    def _named(self, name: str) -> Sequence[Candidate]:
        own = [c for c in self._parts.candidates if name in (c.name, c.spec.provider)]
        if not own:
            known = ", ".join([*self._parts.providers, *self._by_name])
            raise InvalidRequest(f"there is no provider {name!r}: use one of {known}")
        return own

    def _unknown(self, provider: str, actor: Any) -> list[ProviderHealth]:
        """Entries for a provider whose actor cannot answer now."""
        return [down(c, actor) for c in self._parts.candidates if c.spec.provider == provider]


def _estimate(flight: Flight) -> tuple[int, int]:
    return flight.input_tokens, flight.output_tokens


def _expected_output(request: Request) -> int:
    if request.output_tokens is not None:
        return request.output_tokens
    body = request.input
    if isinstance(body, ChatInput):
        return OUTPUT_TOKENS if body.max_tokens is None else body.max_tokens
    return 0


def _total_usd(flight: Flight) -> float | None:
    """What the attempts cost together; None if the answer's own price is unknown.

    A failed attempt of unknown cost is left out: it stands as unknown in `attempts`.
    """
    attempts = flight.attempts
    if not attempts or attempts[-1].cost_usd is None:
        return None
    if len(attempts) == 1:
        return attempts[0].cost_usd
    return sum(each.cost_usd or 0.0 for each in attempts)
