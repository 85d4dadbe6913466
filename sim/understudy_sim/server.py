"""One simulated provider at work: what it makes of a request, how long it takes, what it bills.

It answers with bytes in its wire format, made by the same pure functions as those of the mock
service. Faults come from the same schedules; on top of them it has limits of its own: rates,
credit, and so many servers, so that load matters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final

import trio
from msgspec.structs import replace

from understudy.transport.http import (
    HttpRequest,
    HttpResponse,
    HttpStream,
    PiecedStream,
    TransportFailed,
)
from understudy_actors.domain.events import Event
from understudy_sim.asking import ASKED, Asked, key_number
from understudy_sim.buckets import meters
from understudy_sim.fault_kinds import (
    Brownout,
    Cut,
    Drip,
    Facts,
    FailingFault,
    Fault,
    Ghost,
    Hang,
    Malformed,
    Reset,
    Stall,
    Timeout,
)
from understudy_sim.faults import Decision, Injector, Schedule
from understudy_sim.fleet import Provider
from understudy_sim.harm import harmless, works
from understudy_sim.latency import draw_keyed
from understudy_sim.limit_headers import rate_headers
from understudy_sim.mock.provider import error_of
from understudy_sim.mock.replies import begun, error, reply, said
from understudy_sim.mock.requests import (
    ROUTES,
    Body,
    ChatRequest,
    MessagesRequest,
    ModelsRequest,
    Route,
    count_tokens,
    prompt_length,
    read_body,
)
from understudy_sim.mock.settings import Behaviour
from understudy_sim.mock.wire import (
    ABSURD,
    Answer,
    Origin,
    Tokens,
    hint,
    malformed,
    stated_s,
)
from understudy_sim.parking import Parking
from understudy_sim.ports import Sim
from understudy_sim.simstream import GONE, SimStream, broken
from understudy_sim.visit import Visit, key_of, path_of
from understudy_sim.workbench import Job, Workbench
from understudy_sim.world_events import Produced, Served

_BEHAVIOUR: Final = Behaviour()
_CALM: Final = Decision()
_BUSY_S: Final = 1.0  # what a full provider says of when to come back


class Server:
    """A provider of the fleet. `answer` is all that a transport needs of it.

    `tell` takes the events of what it served.
    """

    def __init__(
        self, spec: Provider, faults: Iterable[Fault], sim: Sim, tell: Callable[[Event], None]
    ) -> None:
        self.spec = spec
        self._clock = sim.clock
        self._time = sim.time
        self._tell = tell
        self._rng = sim.randomness
        now = sim.clock.now()
        own = tuple(fault for fault in faults if fault.selector.covers(spec.name, spec.region))
        self._injector = Injector(Schedule(faults=own), spec.name, sim.seed, now)
        self._browns_out = any(isinstance(fault, Brownout) for fault in own)
        self._meters = meters(spec, now)
        self._bench = Workbench(sim.time, sim.clock.now, self._servers)
        self._calls = 0

    @property
    def billed_usd(self) -> float:
        """What it has charged so far."""
        return self._meters.billed_usd

    async def answer(self, request: HttpRequest) -> HttpResponse:
        """Take a request for a whole answer, and answer it.

        Raises:
            TransportFailed: As the transport's `send`.
        """
        answer = await self._take(request)
        assert isinstance(answer, HttpResponse), "a stream is opened, not sent for"
        return answer

    async def open(self, request: HttpRequest) -> HttpStream:
        """Take a request, and return when the head of its answer is there.

        Raises:
            TransportFailed: As the transport's `open`.
        """
        answer = await self._take(request)
        if isinstance(answer, HttpResponse):
            return PiecedStream(answer.status, answer.headers, (answer.body,))
        return answer

    async def _take(self, request: HttpRequest) -> HttpResponse | HttpStream:
        self._calls += 1
        asked = ASKED.get() or Asked(f"call {self._calls}")
        visit = asked.visit(self.spec.name)
        path = path_of(request.url)
        route = ROUTES.get(path)
        body = read_body(route, request.body) if route is not None else "Not Found"
        model = None if isinstance(body, str) else body.model
        decision, now = _CALM, self._clock.now()
        if not self._injector.calm(now):
            facts = self._facts(asked, visit, request, path, route, model)
            if (refused := self._injector.refuse(facts, now)) is not None:
                await self._sleep(refused.after_s)
                raise TransportFailed("the connection was refused", sent=False)
            decision = self._injector.decide(facts, now)
        origin = self._origin(model or "")
        if isinstance(body, str) or route is None:
            problem = "bad_request" if route is not None else "not_found"
            return await self._refuse(asked, origin, error(origin, problem), decision.add_s)
        made = self._output_tokens(body, asked)
        tokens = Tokens(count_tokens(prompt_length(body)), made)
        seen = Visit(asked, visit, body, origin, tokens)
        if decision.fault is not None and not works(decision.fault):
            return await self._fail(seen, decision, decision.fault)
        if (no := self._turned_away(seen, route, key_of(request.headers))) is not None:
            return await self._refuse(asked, origin, no, decision.add_s)
        if isinstance(body, ChatRequest | MessagesRequest) and body.stream:
            return await self._stream(seen, body, decision)
        return await self._work(seen, decision)

    def _turned_away(self, seen: Visit, route: Route, key: str | None) -> Answer | None:
        """Why the provider itself does not take the request; None if it does."""
        spec, origin, now = self.spec, seen.origin, self._clock.now()
        if key != spec.key:
            return error(origin, "auth")
        if route.operation == "models":
            return None
        if origin.model not in spec.models:
            return error(origin, "model_not_found")
        if self._meters.broke:
            return error(origin, "credit_hard")
        limits, bench = spec.limits, self._bench
        if limits.concurrency is not None and bench.busy + bench.waiting >= limits.concurrency:
            return error(origin, "rate_limit", hint(limits.retry_after, _BUSY_S))
        wait_s = self._meters.wait_s(seen.tokens.input + seen.tokens.output, now)
        if wait_s > 0:
            told = hint(limits.retry_after, wait_s, limits.requests_per_min)
            return error(origin, "rate_limit", told)
        if self._meters.counts or spec.counts:
            self._count(seen)
        if not bench.free() and bench.waiting >= spec.queue:
            return error(origin, "overloaded")
        return None

    def _count(self, seen: Visit) -> None:
        """Tell that a request counts against the limits, and note what the answer says of them."""
        seen.said = rate_headers(self.spec, self._meters, seen.origin.wall_s)
        self._tell(seen.counted(self.spec.name, self._clock.now()))

    async def _work(self, seen: Visit, decision: Decision) -> HttpResponse:
        """Make the answer, and deliver it in the manner of the fault, if there is one."""
        fault = decision.fault
        absurd = isinstance(fault, Malformed) and fault.variant == "absurd_usage"
        if isinstance(seen.body, ModelsRequest):
            return await self._refuse(seen.asked, seen.origin, self._reply(seen, None), 0.0)
        service_s = self._service_s(seen) * decision.multiplier + decision.add_s
        spoiled = fault is not None and not isinstance(fault, Drip) and not harmless(fault)
        job = Job(service_s, lambda: self._served(seen, spoiled))
        self._bench.add(job)
        try:
            await job.parking.wait()
        except trio.Cancelled:
            if not self.spec.keeps_working:
                self._bench.drop(job)
            raise
        answer = self._reply(seen, ABSURD if absurd else seen.tokens)
        if seen.said:
            answer = replace(answer, headers=(*answer.headers, *seen.said))
        match fault:
            case None:
                return _response(answer)
            case Stall(lasts_s=float(lasts_s)):
                await self._sleep(lasts_s)
            case Ghost(variant="silence") | Stall():
                await trio.sleep_forever()
            case Ghost() | Cut():
                raise TransportFailed(GONE, sent=True)
            case Drip(bytes_per_s=bytes_per_s):
                await self._sleep(len(answer.payload) / bytes_per_s)
            case Malformed(variant=variant):
                answer = malformed(variant, answer, error(seen.origin, "server"))
            case _:
                raise AssertionError(f"{fault.kind} does no work")
        return _response(answer)

    async def _stream(
        self, seen: Visit, body: ChatRequest | MessagesRequest, decision: Decision
    ) -> HttpResponse | HttpStream:
        """Make a streamed answer: its head is there with its first token."""
        spec, fault = self.spec, decision.fault
        behaviour = Behaviour(reply=self._words(seen.asked), prefill=spec.prefill)
        given = begun(body)
        if given and spec.prefill == "refuse":
            refusal = error(seen.origin, "bad_request", message="no prefill")
            return await self._refuse(seen.asked, seen.origin, refusal, decision.add_s)
        text, _ = said(body, seen.origin, behaviour)
        kept = given if spec.prefill == "continue" else ""
        now, name = self._clock.now(), spec.name
        self._tell(
            Produced(at_s=now, request_id=seen.asked.id, provider=name, text=text, given=kept)
        )
        first_s = self._first_s(seen) * decision.multiplier + decision.add_s
        rest_s = self._rest_s(seen) * decision.multiplier
        # A cut may come after all that matters, so nothing is said of it.
        spoiled = isinstance(fault, Malformed | Ghost) and not harmless(fault)
        job = Job(first_s + rest_s, lambda: self._served(seen, spoiled), begun=Parking())
        self._bench.add(job)
        assert job.begun is not None

        def leave() -> None:
            if not spec.keeps_working:
                self._bench.drop(job)

        try:
            await job.begun.wait()
            await self._sleep(first_s)
        except trio.Cancelled:
            leave()
            raise
        absurd = isinstance(fault, Malformed) and fault.variant == "absurd_usage"
        tokens = ABSURD if absurd else seen.tokens
        answer, _ = reply(body, seen.origin, behaviour, spec.models, tokens)
        frames, end = broken(answer, rest_s, fault, error(seen.origin, "server"))
        headers = {"content-type": answer.content_type, **dict((*answer.headers, *seen.said))}
        return SimStream(headers, frames, end, self._clock, self._time.sleep_until, leave)

    def _words(self, asked: Asked) -> str:
        """What this provider says to a request when it streams: four characters to the token."""
        length = 4 * asked.output_tokens
        words = [f"{self.spec.voice or self.spec.name}:{asked.id}"]
        words += map(str, range(length // 2))
        return " ".join(words)[: max(1, length)]

    async def _fail(self, seen: Visit, decision: Decision, fault: FailingFault) -> HttpResponse:
        """A failure in place of an answer."""
        match fault:
            case Hang():
                self._unserved(seen.asked, seen.origin)
                await trio.sleep_forever()
                raise AssertionError("nobody sleeps longer than for ever")
            case Reset(after_s=after_s):
                self._unserved(seen.asked, seen.origin)
                await self._sleep(decision.add_s + after_s)
                raise TransportFailed(GONE, sent=True)
            case Timeout(duration_s=duration_s):
                answer, wait_s = error(seen.origin, "timeout"), decision.add_s + duration_s
            case _:
                answer = error_of(fault, seen.origin, decision, seen.body)
                wait_s = decision.add_s
        return await self._refuse(seen.asked, seen.origin, answer, wait_s)

    async def _refuse(
        self, asked: Asked, origin: Origin, answer: Answer, wait_s: float
    ) -> HttpResponse:
        """An answer that costs no work."""
        self._unserved(asked, origin, answer)
        await self._sleep(self.spec.refusal_s + wait_s)
        return _response(answer)

    def _served(self, seen: Visit, spoiled: bool) -> None:
        usd = self.spec.price.usd(seen.tokens.input, seen.tokens.output)
        self._meters.billed_usd += usd
        self._tell(
            Served(
                at_s=self._clock.now(),
                request_id=seen.asked.id,
                provider=self.spec.name,
                model=seen.origin.model,
                ok=True,
                billed_usd=usd,
                input_tokens=seen.tokens.input,
                output_tokens=seen.tokens.output,
                spoiled=spoiled,
            )
        )

    def _unserved(self, asked: Asked, origin: Origin, answer: Answer | None = None) -> None:
        self._tell(
            Served(
                at_s=self._clock.now(),
                request_id=asked.id,
                provider=self.spec.name,
                model=origin.model,
                ok=False,
                status=None if answer is None else answer.status,
                retry_after_s=None if answer is None else stated_s(answer, origin.wall_s),
            )
        )

    def _servers(self) -> int | None:
        capacity = self.spec.capacity
        if capacity is None or not self._browns_out:
            return capacity
        left = self._injector.capacity(self.spec.region, self._clock.now())
        return math.floor(capacity * left + 1e-9)

    def _service_s(self, seen: Visit) -> float:
        return self._first_s(seen) + self._rest_s(seen)

    def _first_s(self, seen: Visit) -> float:
        stream = f"latency/{self.spec.name}/{seen.asked.id}"
        return draw_keyed(self.spec.latency, self._rng, stream, seen.visit)

    def _rest_s(self, seen: Visit) -> float:
        pace = self.spec.tokens_per_s
        return seen.tokens.output / pace if pace else 0.0

    def _output_tokens(self, body: Body, asked: Asked) -> int:
        if isinstance(body, ChatRequest):
            return min(asked.output_tokens, body.limit or asked.output_tokens)
        if isinstance(body, MessagesRequest):
            return min(asked.output_tokens, body.max_tokens)
        return 0

    def _reply(self, seen: Visit, tokens: Tokens | None) -> Answer:
        return reply(seen.body, seen.origin, _BEHAVIOUR, self.spec.models, tokens)[0]

    def _origin(self, model: str) -> Origin:
        return Origin(
            wire=self.spec.wire,
            n=self._calls,
            provider=self.spec.name,
            model=model,
            wall_s=self._clock.epoch_s + self._clock.now(),  # its own clock is right
        )

    def _facts(
        self,
        asked: Asked,
        visit: int,
        request: HttpRequest,
        path: str,
        route: Route | None,
        model: str | None,
    ) -> Facts:
        return Facts(
            number=key_number(self._rng, asked, visit),
            provider=self.spec.name,
            model=model,
            operation=route.operation if route is not None else None,
            path=path,
            key=key_of(request.headers),
            region=self.spec.region,
        )

    async def _sleep(self, seconds: float) -> None:
        await self._time.sleep(seconds)


def _response(answer: Answer) -> HttpResponse:
    headers = {"content-type": answer.content_type, **dict(answer.headers)}
    return HttpResponse(answer.status, headers, answer.payload)
