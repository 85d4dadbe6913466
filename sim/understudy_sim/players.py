"""Plays the clients of a scenario against an engine, and keeps what they saw."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs
import trio

from understudy import ChatStream, Engine, Request, Result, UnderstudyError
from understudy_actors.domain.events import Event
from understudy_sim.arrivals import OpenLoop, Users, arrival_times
from understudy_sim.asking import ASKED, Asked
from understudy_sim.clock import Alarm
from understudy_sim.fault_kinds import Facts, Leave
from understudy_sim.latency import count_keyed, draw_keyed
from understudy_sim.lives import Lives
from understudy_sim.parking import Parking
from understudy_sim.ports import Sim
from understudy_sim.run import RequestRecord
from understudy_sim.scenario import Scenario
from understudy_sim.workload import Client
from understudy_sim.world_events import Delivered

_CHARS_PER_TOKEN: Final = 4
CANCELLED: Final = "cancelled"
_WELL: Final = frozenset({"ok", "degraded", CANCELLED})


@functools.lru_cache(maxsize=4096)
def _prompt(tokens: int) -> str:
    """A prompt of so many tokens, as providers that count four characters to the token see it."""
    return "word " * (tokens * _CHARS_PER_TOKEN // 5) + "x" * (tokens * _CHARS_PER_TOKEN % 5)


@attrs.define(eq=False, slots=True)
class Audience:
    """All the clients of one run. `records` fills up as their requests end."""

    engine: Engine | Lives
    scenario: Scenario
    sim: Sim
    tell: Callable[[Event], None]
    records: list[RequestRecord] = attrs.Factory(list)
    leaves: list[tuple[int, Leave]] = attrs.Factory(list)

    async def play(self) -> None:
        """Send every request at its time; returns when all of them are over."""
        async with trio.open_nursery() as nursery:
            for client in self.scenario.clients:
                end_s = min(client.until_s or self.scenario.horizon_s, self.scenario.horizon_s)
                arrivals = client.arrivals
                if isinstance(arrivals, Users):
                    for user in range(arrivals.count):
                        nursery.start_soon(self._user, client, arrivals, user, end_s)
                else:
                    nursery.start_soon(self._stream, client, arrivals, end_s, nursery)

    async def _stream(
        self, client: Client, arrivals: OpenLoop, end_s: float, nursery: trio.Nursery
    ) -> None:
        """Send requests as they arrive. A timer starts each: no task need wake up to do so."""
        over, following = Parking(), self._arrivals(client, arrivals, end_s)

        def expect() -> None:
            number, at_s = next(following, (None, 0.0))
            if number is None:
                over.wake()
            else:
                alarms[:] = [self.sim.time.at(at_s, lambda: send(number))]

        def send(number: int) -> None:
            nursery.start_soon(self._see_through, client, f"{client.name}/{number}")
            expect()

        alarms: list[Alarm] = []
        expect()
        try:
            await over.wait()
        finally:
            for alarm in alarms:
                alarm.cancel()

    def _arrivals(
        self, client: Client, arrivals: OpenLoop, end_s: float
    ) -> Iterator[tuple[int, float]]:
        """Number and time of each request that is sent."""
        length_s, without = max(0.0, end_s - client.from_s), frozenset(client.without)
        times = arrival_times(arrivals, self.sim.randomness, client.name, length_s)
        sent = ((number, client.from_s + at_s) for number, at_s in times if number not in without)
        return itertools.islice(sent, client.requests_max)

    async def _user(self, client: Client, arrivals: Users, user: int, end_s: float) -> None:
        """One user of a closed loop: think, ask, wait for the answer, and again."""
        stream, asked = f"think/{client.name}/{user}", 0
        await self.sim.time.sleep_until(client.from_s)
        most = client.requests_max or 10**9
        while asked < most:
            think_s = draw_keyed(arrivals.think, self.sim.randomness, stream, asked)
            await self.sim.time.sleep(think_s)
            if self.sim.clock.now() >= end_s:
                return
            number = asked * arrivals.count + user  # one numbering for all users, for `without`
            if number not in client.without:
                await self._see_through(client, f"{client.name}/{user}.{asked}")
            asked += 1

    async def _see_through(self, client: Client, identity: str) -> None:
        """One request, and what its client repeats by itself."""
        record = await self._ask(client, identity)
        repeats = client.repeats
        if repeats is None:
            return
        for again in range(1, repeats.times + 1):
            if record.status in _WELL:
                return
            wait_s = draw_keyed(repeats.wait, self.sim.randomness, f"repeat/{identity}", again)
            await self.sim.time.sleep(wait_s)
            if self.sim.clock.now() >= self.scenario.horizon_s:
                return
            record = await self._ask(client, f"{identity}+{again}")

    async def _ask(self, client: Client, identity: str) -> RequestRecord:
        chance = self.sim.randomness
        answer_tokens = count_keyed(client.output_tokens, chance, f"output/{identity}")
        ASKED.set(Asked(identity, answer_tokens))
        request = self._request(client, identity)
        now = self.sim.clock.now
        arrived_at, left_at = now(), self._leaves_at(client, identity)
        answer: Result | UnderstudyError | None
        try:
            if left_at is None:
                answer = await self._serve(client, request)
            else:
                answer = None
                with trio.CancelScope(deadline=left_at):
                    answer = await self._serve(client, request)
        except UnderstudyError as error:
            answer = error
        record = _record(client, request, identity, arrived_at, now() - arrived_at, answer)
        self.records.append(record)
        return record

    async def _serve(self, client: Client, request: Request) -> Result:
        if not client.stream:
            return await self.engine.route(request)
        if isinstance(self.engine, Lives):
            return await self.engine.read(
                functools.partial(self._read, self.engine.stream(request), request)
            )
        return await self._read(self.engine.stream(request), request)

    async def _read(self, stream: ChatStream, request: Request) -> Result:
        result: Result | None = None
        try:
            async with stream:
                async for _ in stream:
                    pass
            result = stream.result()
            return result
        finally:
            if not isinstance(self.engine, Lives) or self.engine.up:
                self._tell_delivered(stream, request, result)

    def _tell_delivered(self, stream: ChatStream, request: Request, result: Result | None) -> None:
        self.tell(
            Delivered(
                at_s=self.sim.clock.now(),
                request_id=str(request.id),
                text=stream.text,
                whole=result is not None,
                degraded=result is not None and result.degraded,
                cached=result is not None and result.cached,
            )
        )

    def _request(self, client: Client, identity: str) -> Request:
        size = count_keyed(client.prompt_tokens, self.sim.randomness, f"prompt/{identity}")
        prompt = _prompt(size)
        if client.questions is not None:
            prompt = f"{int(self._uniform('question', identity) * client.questions)} {prompt}"
        user = None
        if client.tenant is not None:
            pick = self._uniform("user", identity) if client.users > 1 else 0.0
            user = f"{client.tenant}/{int(pick * client.users)}"
        conditions: dict[str, Any] = {
            "model": client.model,
            "timeout_s": client.deadline_s,
            "max_cost_usd": client.max_cost_usd,
            "user": user,
            "tenant": client.tenant,
            "team": client.team,
            "key": client.key,
            "labels": client.labels,
            "priority": client.priority,
            "hedge": client.hedge,
            "collapse": client.collapse,
            "cache": client.cache,
            "id": identity,
        }
        match client.operation:
            case "chat":
                return Request.chat(prompt, max_tokens=client.max_tokens, **conditions)
            case "embedding":
                return Request.embed(prompt, **conditions)
            case "image":
                return Request.image(prompt, **conditions)

    def _leaves_at(self, client: Client, identity: str) -> float | None:
        """When its client gives the request up; None if it does not."""
        now = self.sim.clock.now()
        after: list[float] = []
        cancels = client.cancels
        if cancels is not None and self._uniform("cancel", identity) < cancels.share:
            stream = f"cancel/after/{identity}"
            after.append(draw_keyed(cancels.after, self.sim.randomness, stream))
        facts = Facts(number=0, model=client.model, operation=client.operation)
        for place, fault in self.leaves:
            strength = fault.share * fault.strength(now)
            if (
                strength
                and fault.selector.matches(facts)
                and self._uniform(f"leave/{place}", identity) < strength
            ):
                after.append(fault.after_s)
        return now + min(after) if after else None

    def _uniform(self, what: str, identity: str) -> float:
        return self.sim.randomness.uniform(f"{what}/{identity}", 0)


def _record(
    client: Client,
    request: Request,
    identity: str,
    arrived_at: float,
    elapsed_s: float,
    answer: Result | UnderstudyError | None,
) -> RequestRecord:
    common: dict[str, Any] = {
        "id": identity,
        "client": client.name,
        "arrived_at": arrived_at,
        "elapsed_s": elapsed_s,
        "user": request.user,
        "priority": client.priority,
    }
    match answer:
        case None:
            return RequestRecord(status=CANCELLED, **common)
        case Result():
            return RequestRecord(
                status="degraded" if answer.degraded else "ok",
                attempts=len(answer.attempts),
                provider=answer.provider,
                model=answer.model,
                cost_usd=answer.cost_usd,
                **common,
            )
        case _:
            return RequestRecord(
                status=type(answer).__name__,
                attempts=len(answer.attempts),
                retry_at=answer.retry_at,
                **common,
            )
