"""One attempt that answers piece by piece: one permit, settled exactly once on every path.

It is read under four limits: silence before the first token and silence between two tokens (both
learned for each endpoint), the attempt's own limit, and the request's deadline. Every read has a
cancel scope of its own. When an attempt is over, it is settled in that very turn; only then is its
connection let go.
"""

from __future__ import annotations

import math
from typing import Final, NoReturn

import trio

from understudy.adapters.base import Reply
from understudy.prices import BYTES_PER_TOKEN
from understudy.routing.endings import shutting_down
from understudy.routing.failure import silent, typed
from understudy.routing.loop import MIN_USEFUL_S, SHARE_LEFT
from understudy.routing.settlement import Pace, settle
from understudy.routing.wiring import Wiring
from understudy.streaming.channel import Channel
from understudy.streaming.rescue import PREFILL, Plan
from understudy.streaming.splice import Diverged, Splice
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.domain.candidate import Candidate, EndpointSpec
from understudy_actors.domain.delta import Delta, TextDelta, ToolCallDelta
from understudy_actors.domain.errors import AdapterFailed, ProviderError, provider_error
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.result import Usage
from understudy_actors.domain.stream_events import StreamSkipped
from understudy_actors.provider.messages import Permit

TAIL_S: Final = 2.0
"""What may follow the finish reason (token counts, the end marker) is awaited so long: the answer
is whole without it."""


CONTENT: Final = (TextDelta, ToolCallDelta)
"""What belongs to the answer itself."""


class StreamAttempt:
    """One attempt, from its permit to its settlement.

    Attributes:
        candidate, permit: Who was asked, and by which leave.
        plan: What was asked.
        reply: The whole answer, once it is over and good.
        first: What arrived with the first piece; the caller's to take.
    """

    def __init__(
        self, wiring: Wiring, flight: Flight, candidate: Candidate, permit: Permit, plan: Plan
    ) -> None:
        self.candidate = candidate
        self.permit = permit
        self.plan = plan
        self.reply: Reply | None = None
        self.first: list[Delta] = []
        self._wiring = wiring
        self._flight = flight
        self._now = wiring.clock.now
        self._channel: Channel | None = None
        self._splice = Splice(plan.expected) if plan.expected else None
        self._settled = False
        now = permit.taken_at
        first_s, self._gap_limit_s = candidate.health.silence_s(now, candidate.spec.stream)
        self._timeout_at = now + candidate.spec.timeout_s
        self._first_at = now + first_s
        self._share_at = now + _share_s(flight, candidate, now)
        self._first_token_s: float | None = None
        self._waited_s = 0.0  # for the next token
        self._gap_s: float | None = None
        self._idle_since: float | None = None
        self._idle_s = 0.0
        self._bytes = 0  # of text and arguments

    async def begin(self) -> ProviderError | None:
        """Ask, and read until there is something to deliver; the error if it comes to nothing.

        Raises:
            ShuttingDown: The engine was closed meanwhile.
        """
        try:
            while not self.first and self.reply is None:
                self.first = await self.next() or []
        except ProviderError as error:
            return error
        return None

    async def next(self) -> list[Delta] | None:
        """The next pieces, at least one; None when there are no more, and `reply` is there.

        An answer whose end has arrived is judged before its last pieces are handed out.

        Raises:
            ProviderError: The attempt failed; it is settled.
            ShuttingDown: The engine was closed meanwhile.
        """
        if self.reply is not None:
            return None
        if self._idle_since is not None:
            self._idle_s += self._now() - self._idle_since
            self._idle_since = None
        held: list[Delta] = []
        try:
            while self._channel is None or not self._channel.over:
                held += self._through(await self._read())
                if any(isinstance(each, CONTENT) for each in held) and not self._over:
                    self._idle_since = self._now()
                    return held
            self._conclude(self._channel)
        except BaseException as raised:
            await self._fail(raised)
        await self._let_go()
        return held or None

    @property
    def _over(self) -> bool:
        return self._channel is not None and self._channel.over

    def leave(self) -> None:
        """The caller goes, or the engine closes: settle now."""
        if not self._settled:
            self._settle(None)

    async def aclose(self) -> None:
        """Settle if nobody did, and let go of the connection."""
        self.leave()
        await self._let_go()

    # Reading

    async def _read(self) -> list[Delta]:
        """One read under the limits.

        Raises:
            ProviderError: A limit passed, or the provider failed.
            ShuttingDown: The engine was closed meanwhile.
        """
        scopes, began = self._wiring.flights.scopes, self._now()
        at, kind = self._limit(began)
        scope = trio.CancelScope(deadline=at)
        scopes[scope] = None
        deltas: list[Delta] | None = None
        try:
            with scope:
                deltas = await self._step()
        finally:
            del scopes[scope]
        if deltas is None:
            return self._overdue(kind)
        self._measure(self._now() - began, deltas)
        return deltas

    async def _step(self) -> list[Delta]:
        if self._channel is None:
            opener = self._wiring.openers[self.candidate.index]
            self._channel = await opener(self.candidate, self.plan.request)
            return []
        return await self._channel.read()

    @property
    def _ends_at(self) -> float:
        """The attempt's own limit, which leaves out the caller's time, or the deadline."""
        return min(self._timeout_at + self._idle_s, self._flight.deadline)

    def _limit(self, now: float) -> tuple[float, ErrorClass]:
        """Until when a read that begins now may last, and what its passing means."""
        channel = self._channel
        if channel is not None and channel.whole:
            return min(now + TAIL_S, self._ends_at), ErrorClass.SILENT
        begun = channel is not None and channel.begun
        at = now + self._gap_limit_s if begun else self._first_at
        others = self._ends_at if begun else min(self._share_at, self._ends_at)
        return (at, ErrorClass.STALLED) if at <= others else (others, ErrorClass.SILENT)

    def _overdue(self, kind: ErrorClass) -> list[Delta]:
        """The limit of a read passed: that is the end, unless only trimmings are missing.

        Raises:
            ProviderError: The answer is not whole.
            ShuttingDown: It was no limit, but the engine that was closed.
        """
        if self._wiring.flights.over:
            raise shutting_down()
        channel = self._channel
        if channel is not None and channel.whole:
            channel.over = True
            return []
        if kind is ErrorClass.SILENT:
            raise silent(self.candidate.spec, self._now() - self.permit.taken_at)
        begun = channel is not None and channel.begun
        limit_s = self._gap_limit_s if begun else self._first_at - self.permit.taken_at
        key, what = ("gap", "further token") if begun else ("first_token", "token")
        raise self._error(
            kind,
            f"sent no {what} within {limit_s:.2f} s. If it is only slow, raise `{key}_min` and "
            f"`{key}_max` in `stream`",
        )

    def _measure(self, waited_s: float, deltas: list[Delta]) -> None:
        """Note how long the provider was silent, once it is silent no more."""
        channel = self._channel
        self._waited_s += waited_s
        if channel is None or not (deltas or (channel.begun and self._first_token_s is None)):
            return
        if self._first_token_s is None:
            if not channel.begun:
                return  # only a count of tokens so far
            self._first_token_s = self._now() - self.permit.taken_at
        else:
            self._gap_s = max(self._gap_s or 0.0, self._waited_s)
        self._waited_s = 0.0
        for delta in deltas:
            if isinstance(delta, TextDelta):
                self._bytes += len(delta.text.encode("utf-8", "surrogatepass"))
            elif isinstance(delta, ToolCallDelta):
                self._bytes += len(delta.arguments)

    def _through(self, deltas: list[Delta]) -> list[Delta]:
        """What of these pieces was not delivered before.

        Raises:
            ProviderError: (DIVERGED) The answer is another one than what was delivered.
        """
        splice = self._splice
        if splice is None or splice.joined:
            return deltas
        released: list[Delta] = []
        try:
            for delta in deltas:
                if isinstance(delta, TextDelta):
                    if text := splice.text(delta.text):
                        released.append(TextDelta(text))
                    continue
                if isinstance(delta, ToolCallDelta):
                    splice.other()
                released.append(delta)
        except Diverged:
            error = self._error(ErrorClass.DIVERGED, "gave another answer than the one delivered")
        else:
            return released
        raise error

    # Ending

    def _conclude(self, channel: Channel) -> None:
        """The answer is over: settle it as good.

        Raises:
            ProviderError: It is not whole, or no answer.
        """
        reply = channel.reply()
        if self._splice is not None and not self._splice.joined:
            raise self._error(ErrorClass.DIVERGED, "ended before what was delivered already")
        if reply.usage is None:
            reply = Reply(
                reply.output, self._estimate(None), reply.provider_request_id, reply.degraded
            )
        self.reply = reply
        self._settle(reply)

    async def _fail(self, raised: BaseException) -> NoReturn:
        """Settle what ended badly; raises what it means."""
        error: ProviderError | None = None
        if isinstance(raised, Exception) and not self._wiring.flights.over:
            error = self._typed(raised)
        if not self._settled:
            self._settle(error)
        await self._let_go()
        if error is None or error is raised:
            raise raised
        raise error from error.__cause__

    def _typed(self, raised: Exception) -> ProviderError:
        error = typed(raised, self.candidate.spec)
        if isinstance(error, AdapterFailed):
            cause = error.__cause__ or error
            note = "the attempt counts as failed"
            self._wiring.contained("adapter", self.candidate.name, cause, note)
        if self.plan.how == PREFILL and error.kind is ErrorClass.BAD_REQUEST:
            self._wiring.refuse_prefill.add(self.candidate.index)
            told = "does not continue an answer that another provider began; it is asked anew"
            refusal = self._error(ErrorClass.PREFILL, told)
            refusal.status, refusal.code, refusal.detail = error.status, error.code, error.detail
            return refusal
        return error

    def _settle(self, answer: Reply | ProviderError | None) -> None:
        self._settled = True
        channel, unfinished = self._channel, not isinstance(answer, Reply)
        pace = Pace(
            self._first_token_s,
            self._gap_s,
            self._idle_s + (self._now() - self._idle_since if self._idle_since is not None else 0),
            self._estimate(channel.usage) if channel is not None and unfinished else None,
        )
        settle(self._wiring, self._flight, self.candidate, self.permit, answer, pace)
        if channel is not None and channel.skipped and self._wiring.trace.on:
            self._wiring.trace.emit(
                StreamSkipped(
                    at_s=self._now(),
                    attempt=self.permit.attempt,
                    request=self._flight.id,
                    endpoint=self.candidate.name,
                    count=channel.skipped,
                )
            )

    @property
    def skipped(self) -> int:
        """Events that could not be read, and were left out."""
        return self._channel.skipped if self._channel is not None else 0

    def _estimate(self, told: Usage | None) -> Usage:
        """The tokens of an answer that was not counted to its end: by what came of it."""
        output = math.ceil(self._bytes / BYTES_PER_TOKEN)
        if told is None:
            return Usage(self._flight.input_tokens, output, estimated=True)
        return Usage(
            told.input_tokens,
            max(told.output_tokens, output),
            told.cached_tokens,
            told.reasoning_tokens,
            estimated=True,
        )

    async def _let_go(self) -> None:
        if self._channel is not None:
            await self._channel.aclose()

    def _error(self, kind: ErrorClass, what: str) -> ProviderError:
        spec = self.candidate.spec
        return provider_error(
            kind, f"{spec.name} {what}.", provider=spec.provider, model=spec.model
        )


def cannot_go_on(spec: EndpointSpec) -> ProviderError:
    """The error for one that was not asked, since it could not go on with what was delivered."""
    return provider_error(
        ErrorClass.DIVERGED,
        f"{spec.name} does not continue others' answers, and this one is too long to compare. "
        "Raise `splice_max` in `stream` if that is worth a second whole answer.",
        provider=spec.provider,
        model=spec.model,
    )


def _share_s(flight: Flight, candidate: Candidate, now: float) -> float:
    """How long one may stay silent while somebody else could still be asked in time."""
    ranked = flight.decisions[-1].ranked if flight.decisions else ()
    others = any(each is not candidate and each not in flight.tried for each in ranked)
    if not others or len(flight.attempts) + 1 >= flight.max_attempts:
        return math.inf
    return max(MIN_USEFUL_S, (flight.deadline - now) * SHARE_LEFT)
