"""One attempt that answers piece by piece: one permit, settled exactly once on every path.

Every read has a cancel scope of its own, whose limit `silence` tells. When an attempt is over, it
is settled in that very turn; only then is its connection let go.
"""

from __future__ import annotations

from typing import Final, NoReturn

import trio
from msgspec.structs import replace

from understudy.adapters.base import Reply
from understudy.routing.endings import shutting_down
from understudy.routing.failure import silent, typed
from understudy.routing.settlement import settle
from understudy.routing.wiring import Wiring
from understudy.streaming.channel import Channel
from understudy.streaming.rescue import PREFILL, Plan
from understudy.streaming.silence import Silence
from understudy.streaming.splice import Diverged
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.domain.candidate import Candidate, EndpointSpec
from understudy_actors.domain.delta import Delta, TextDelta, ToolCallDelta
from understudy_actors.domain.errors import AdapterFailed, ProviderError, provider_error
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.stream_events import StreamSkipped
from understudy_actors.provider.messages import Permit

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
        if wiring.purse is not None:
            plan = replace(plan, request=wiring.purse.fitted(permit.attempt, plan.request))
        self.plan = plan
        self.reply: Reply | None = None
        self.first: list[Delta] = []
        self._wiring = wiring
        self._flight = flight
        self._now = wiring.clock.now
        self._channel: Channel | None = None
        self._splice = plan.through
        self._settled = False
        self._silence = Silence(flight, candidate, permit.taken_at)

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
        self._silence.resume(self._now())
        held: list[Delta] = []
        try:
            if self._channel is None and (durable := self._wiring.durable) is not None:
                deadline = self._flight.deadline
                await durable.cover(self.permit.attempt, self.candidate.spec, deadline)
            while self._channel is None or not self._channel.over:
                held += self._through(await self._read())
                if any(isinstance(each, CONTENT) for each in held) and not self._over:
                    self._silence.pause(self._now())
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
        channel = self._channel
        begun = channel is not None and channel.begun
        whole = channel is not None and channel.whole
        at, kind = self._silence.limit(began, begun=begun, whole=whole)
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
        now, begun = self._now(), self._channel is not None and self._channel.begun
        self._silence.heard(now, now - began, deltas, begun=begun)
        return deltas

    async def _step(self) -> list[Delta]:
        if self._channel is None:
            opener = self._wiring.openers[self.candidate.index]
            self._channel = await opener(self.candidate, self.plan.request)
            return []
        return await self._channel.read()

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
        raise self._error(kind, self._silence.complaint(begun=begun))

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
            reply = replace(reply, usage=self._silence.usage(None))
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
        channel, unfinished = self._channel, None
        if channel is not None and not isinstance(answer, Reply):
            unfinished = self._silence.usage(channel.usage)
        pace = self._silence.pace(self._now(), unfinished)
        if channel is not None and channel.limits:
            pace = replace(pace, limits=channel.limits)
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
