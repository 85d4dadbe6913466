"""What a caller iterates over: one answer, piece by piece, whoever gives it."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Final, Self

from msgspec.structs import replace

from understudy.adapters.base import Reply
from understudy.prices import estimate_tokens, message_tokens
from understudy.routing.attempt import tell_dispatched
from understudy.routing.desk import Desk
from understudy.routing.endings import shutting_down
from understudy.routing.loop import Broken, serve
from understudy.routing.settlement import settle
from understudy.routing.wiring import Call, Wiring
from understudy.streaming.attempt import StreamAttempt, cannot_go_on
from understudy.streaming.delivered import Delivered
from understudy.streaming.replay import pieces
from understudy.streaming.rescue import plan
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.delta import Delta, TextDelta, ToolCallDelta, UsageDelta
from understudy_actors.domain.errors import (
    AllAttemptsFailed,
    InvalidRequest,
    NoCandidate,
    OverMaxCost,
    ProviderError,
    StreamBroken,
    UnderstudyError,
)
from understudy_actors.domain.request import ChatInput, Request
from understudy_actors.domain.result import ChatOutput, Result
from understudy_actors.domain.stream_events import AttemptCommitted, StreamRescue
from understudy_actors.provider.messages import Permit

_LEFT: Final = "cancelled"


class ChatStream:
    """One streamed answer: `async with engine.stream(request) as stream`, then iterate over it.

    Entering the block waits until somebody has begun to answer: until then any failure moves on to
    the next candidate, and nothing is delivered. After that an answer that breaks off is continued
    exactly, or ends in `StreamBroken`. Leaving the block early gives everything up at once.

    It is read at the caller's pace, by one task at a time; the request's deadline does not wait.
    """

    def __init__(self, wiring: Wiring, desk: Desk, request: Request) -> None:
        self._wiring = wiring
        self._desk = desk
        self._request = request
        self._flight: Flight | None = None
        self._attempt: StreamAttempt | None = None
        self._ready: deque[Delta] = deque()
        self._committed = 0  # the attempt of which something was delivered last
        self._delivered = Delivered()
        self._reading = False
        self._skipped = 0
        self._kept: Result | None = None  # an answer that is there already: it is played
        self._result: Result | None = None
        self._error: Exception | None = None
        self._over = False

    @property
    def request_id(self) -> str:
        """Ties together every log line of the request; empty before the block is entered."""
        return self._flight.id if self._flight is not None else ""

    @property
    def provider(self) -> str:
        """Who is answering now; empty if nobody is."""
        return self._attempt.candidate.spec.provider if self._attempt is not None else ""

    @property
    def model(self) -> str:
        """Which model is answering now; empty if none is."""
        return self._attempt.candidate.spec.model if self._attempt is not None else ""

    @property
    def text(self) -> str:
        """The text that was delivered so far."""
        return self._delivered.text

    @property
    def skipped(self) -> int:
        """Events of the providers' streams that could not be read and were left out."""
        return self._skipped + (self._attempt.skipped if self._attempt is not None else 0)

    @property
    def waiting(self) -> bool:
        """Has a piece arrived that was not delivered yet?"""
        return bool(self._ready)

    def result(self) -> Result:
        """The whole answer with its cost and attempts, once the last piece was delivered.

        Raises:
            UnderstudyError: How the stream ended, if that was no good end.
            RuntimeError: It is not over yet.
        """
        if self._result is not None and self._over:
            return self._result
        if isinstance(self._error, UnderstudyError):
            raise self._error
        raise RuntimeError("the stream is not over: iterate over it to its end, then ask for this")

    def __repr__(self) -> str:
        state = "over" if self._over else "open" if self._flight is not None else "not begun"
        return f"<ChatStream {self.request_id} {state}, {self._delivered.chars} characters>"

    # The caller's side

    async def __aenter__(self) -> Self:
        if self._flight is not None:
            raise RuntimeError("a stream is entered once: ask the engine for another one")
        if not isinstance(self._request.input, ChatInput):
            raise InvalidRequest(
                f"only chat can be streamed, not {self._request.operation}: use `route`"
            )
        desk = self._desk = self._desk.newest
        self._wiring = desk.wiring
        self._flight = desk.accept(self._request, streams=True)
        desk.begin()
        self._wiring.flights.scopes[self] = None
        await self._guarded(None)
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delta:
        """The next piece.

        Raises:
            StreamBroken: The answer broke off, and nobody could go on with it exactly.
            StoreFailed: It is whole, and in `result`, but what it cost may not be kept.
            UnderstudyError: As `Engine.route`, if nothing was delivered before.
        """
        while not self._ready:
            if self._over:
                durable, flight = self._wiring.durable, self._flight
                if durable is not None and flight is not None and self._error is None:
                    self._error = await durable.settled(flight, self._result)
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            if self._reading:
                raise RuntimeError("another task reads this stream: only one may")
            await self._more()
        delta = self._ready.popleft()
        if not isinstance(delta, UsageDelta):
            self._deliver(delta)
        attempt = self._attempt
        if not self._ready and not self._over:
            if self._kept is not None:
                self._finish_replay(self._kept)
            elif attempt is not None and attempt.reply is not None:
                self._finish(attempt)
        return delta

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        attempt = self._leave()
        if attempt is not None:
            await attempt.aclose()

    def _leave(self) -> StreamAttempt | None:
        """Settle what is under way; returns the attempt whose connection is to be let go of."""
        attempt = self._attempt
        if attempt is not None:
            attempt.leave()
        if not self._over:
            self._finish_badly(UnderstudyError("its block was left before its end."), _LEFT)
        self._ready.clear()
        return attempt

    def cancel(self) -> None:
        """The engine closes. Whoever is reading hears of it by the scope of that read."""
        if self._reading or self._over:
            return
        if self._attempt is not None:
            self._attempt.leave()
        self._ready.clear()
        self._finish_badly(shutting_down())

    # Reading on

    async def _more(self) -> None:
        attempt = self._attempt
        assert attempt is not None
        self._reading = True
        try:
            deltas = await attempt.next()
        except ProviderError as error:
            self._reading = False
            await self._guarded((attempt.candidate, error))
            return
        except BaseException as error:
            self._finish_badly(error)
            raise
        finally:
            self._reading = False
        if deltas is None:
            self._finish(attempt)
        else:
            self._ready.extend(deltas)

    async def _guarded(self, broken: Broken | None) -> None:
        """Find somebody who answers; end the request if nobody does."""
        self._reading = True
        try:
            await self._advance(broken)
        except BaseException as error:
            attempt = self._attempt
            if attempt is not None:  # it has begun, but nobody will read it
                attempt.leave()
            if not self._over:
                self._finish_badly(error)
            if attempt is not None:
                await attempt.aclose()
            raise
        finally:
            self._reading = False

    async def _advance(self, broken: Broken | None) -> None:
        flight = self._flight
        assert flight is not None
        if broken is None and (kept := self._desk.find(flight)) is not None:
            self._replay(kept)
            return
        if self._attempt is not None:
            self._skipped += self._attempt.skipped
            self._attempt = None
        if broken is not None and self._delivered:
            flight.hedge = False  # one voice at a time goes on
            flight.input_tokens = estimate_tokens(self._request) + message_tokens(self.text)
            self._leave_out(flight, broken[1])
        try:
            attempt, _ = await serve(self._wiring, flight, self._begin, broken=broken)
        except (NoCandidate, AllAttemptsFailed) as error:
            if self._delivered:
                raise self._broken(error) from error
            if (elsewhere := self._desk.pass_on(flight)) is not None:
                self._desk, self._flight = elsewhere
                self._wiring = self._desk.wiring
                self._desk.begin()
                await self._advance(None)
                return
            stand_in = None if isinstance(error, OverMaxCost) else self._desk.stand_in(flight)
            if stand_in is None:
                raise
            self._replay(stand_in)
        except UnderstudyError as error:
            if self._delivered:
                raise self._broken(error) from error
            error.request_id = error.request_id or flight.id
            raise
        else:
            if self._wiring.flights.over:  # it was closed while a race was wound up
                raise shutting_down()
            self._ready.extend(attempt.first)
            attempt.first = []

    async def _begin(
        self,
        wiring: Wiring,
        flight: Flight,
        candidate: Candidate,
        permit: Permit,
        _call: Call,
        _timeout_s: float,
    ) -> StreamAttempt | ProviderError:
        """Ask one candidate; the request loop calls this once for each.

        Of two copies the one that begins first becomes the stream's own at once: whatever happens
        to the race, it is not forgotten.
        """
        refused = candidate.index in wiring.refuse_prefill
        own = plan(candidate.spec, self._request, self.text, refused=refused)
        if wiring.trace.fine:
            tell_dispatched(wiring, flight, candidate, permit)
        if own is None:
            error = cannot_go_on(candidate.spec)
            settle(wiring, flight, candidate, permit, error)
            return error
        if own.how is not None and wiring.trace.on:
            wiring.trace.emit(
                StreamRescue(
                    at_s=permit.taken_at,
                    attempt=permit.attempt,
                    request=flight.id,
                    endpoint=candidate.name,
                    how=own.how,
                    delivered_chars=self._delivered.chars,
                )
            )
        attempt = StreamAttempt(wiring, flight, candidate, permit, own)
        failed = await attempt.begin()
        if failed is not None:
            return failed
        if self._attempt is None:
            self._attempt = attempt
        else:  # the other copy has begun in this very instant, and has won
            await attempt.aclose()
        return attempt

    def _leave_out(self, flight: Flight, error: ProviderError) -> None:
        """Who cannot go on with what was delivered is not asked: as if it had been tried already.

        Raises:
            StreamBroken: Nobody can.
        """
        if self._delivered.calls:
            raise self._broken(error, "a function call cannot be continued") from error
        text, able = self.text, False
        for each in flight.decisions[-1].route.candidates:
            refused = each.index in self._wiring.refuse_prefill
            own = plan(each.spec, self._request, text, refused=refused)
            if own is not None and not each.spec.degraded:
                able = True
            elif each not in flight.tried:
                flight.tried = (each, *flight.tried)
        if not able:
            raise self._broken(error, "it is too long to go on with") from error

    def _deliver(self, delta: TextDelta | ToolCallDelta) -> None:
        """A piece of the answer goes to the caller: from here on it cannot be taken back."""
        attempt, wiring = self._attempt, self._wiring
        if attempt is not None and attempt.permit.attempt != self._committed:
            self._committed = attempt.permit.attempt
            if wiring.trace.on:
                now = wiring.clock.now()
                wiring.trace.emit(
                    AttemptCommitted(
                        at_s=now,
                        attempt=self._committed,
                        request=self.request_id,
                        endpoint=attempt.candidate.name,
                        delivered_chars=self._delivered.chars,
                        waited_s=now - attempt.permit.taken_at,
                    )
                )
        self._delivered.add(delta)

    def _replay(self, kept: Result) -> None:
        self._kept = kept
        self._ready.extend(pieces(kept))

    # Ending

    def _finish_replay(self, kept: Result) -> None:
        flight = self._flight
        assert flight is not None
        flight.ended_at = self._wiring.clock.now()
        self._result = replace(kept, elapsed_s=flight.ended_at - flight.accepted_at)
        self._end("degraded" if kept.degraded else "ok")

    def _finish(self, attempt: StreamAttempt) -> None:
        reply, flight = attempt.reply, self._flight
        assert reply is not None
        assert flight is not None
        flight.ended_at = self._wiring.clock.now()
        output = reply.output
        if attempt.plan.how is not None and isinstance(output, ChatOutput):
            reply = Reply(replace(output, text=self.text), reply.usage, reply.provider_request_id)
        self._result = self._desk.result(flight, reply, attempt.candidate)
        if attempt.plan.how is None and not self.skipped:  # the work of one, and all of it
            self._desk.keep(flight, self._result)
        self._end("degraded" if self._result.degraded else "ok")

    def _finish_badly(self, error: BaseException, status: str | None = None) -> None:
        """It is over. Whoever goes on reading all the same must not take that for a good end."""
        if not isinstance(error, Exception):
            error, status = UnderstudyError("its reading was cancelled."), _LEFT
        retry_at = error.retry_at if isinstance(error, UnderstudyError) else None
        self._error = error if status is None else self._broken(UnderstudyError(str(error)))
        self._end(status or type(error).__name__, retry_at)

    def _end(self, status: str, retry_at: float | None = None) -> None:
        """The request's one outcome."""
        flight, flights = self._flight, self._wiring.flights
        if self._over or flight is None:
            return
        self._over = True
        flights.scopes.pop(self, None)
        self._desk.end(flight, status, self._result, retry_at)

    def _broken(self, error: UnderstudyError, why: str | None = None) -> StreamBroken:
        assert self._flight is not None
        return self._delivered.broken(self._flight, error, why)
