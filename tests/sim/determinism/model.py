"""A small world on the simulator: clients, a desk with a mailbox, providers that fail and hang.

    python -m tests.sim.determinism.model SEEDS [hypothesis | leak]

prints one line of digests for each seed below SEEDS, under a policy and a grid that the seed picks:
with Hypothesis imported first, or with a leak planted. It needs nothing but trio, attrs, msgspec
and this project.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable

import attrs
import trio

from understudy_actors.domain.events import (
    AttemptAdmitted,
    AttemptEnded,
    Event,
    FailedOver,
    RequestAccepted,
    RequestOutcome,
)
from understudy_actors.runtime.trace import Trace
from understudy_sim.control import Policy, PolicyName
from understudy_sim.digest import digest
from understudy_sim.ports import Sim
from understudy_sim.simulation import Simulation, simulate

Events = list[tuple[int, Event]]
PROVIDERS: tuple[str, ...] = ("alpha", "beta", "gamma")
TIMEOUT_S = 0.5


@attrs.define
class World:
    """What the tasks of one run share."""

    sim: Sim
    trace: Trace
    events: Events
    desk: trio.MemorySendChannel[tuple[str, trio.MemorySendChannel[str]]]
    attempts: int = 0

    def emit(self, make: Callable[..., Event], **fields: object) -> None:
        self.trace.emit(make(at_s=self.sim.clock.now(), **fields))

    def draw(self, stream: str, index: int) -> float:
        return self.sim.randomness.uniform(stream, index)


async def provider(world: World, name: str, request: str, number: int) -> bool:
    """One attempt: answers late, fails, or hangs, as the seed has it."""
    kind = world.draw(f"kind/{name}/{request}", number)
    latency_s = 0.4 * world.draw(f"latency/{name}/{request}", number)
    await world.sim.time.sleep(latency_s if kind < 0.8 else 60.0)
    return kind < 0.6


async def attempt(world: World, request: str, name: str, number: int) -> bool:
    world.attempts = mine = world.attempts + 1
    world.emit(AttemptAdmitted, attempt=mine, request=request, endpoint=name, generation=0)
    started_at, ok = world.sim.clock.now(), False
    with trio.move_on_after(TIMEOUT_S):
        ok = await provider(world, name, request, number)
    world.emit(
        AttemptEnded,
        attempt=mine,
        request=request,
        endpoint=name,
        verdict="ok" if ok else "fail",
        elapsed_s=world.sim.clock.now() - started_at,
    )
    return ok


async def dispatcher(
    world: World, inbox: trio.MemoryReceiveChannel[tuple[str, trio.MemorySendChannel[str]]]
) -> None:
    """Hands out providers in turn: the order of asks decides who gets which."""
    turn = 0
    async for _, reply in inbox:
        turn += 1
        reply.send_nowait(PROVIDERS[turn % len(PROVIDERS)])


async def client(world: World, number: int) -> None:
    await world.sim.time.sleep_until(2.0 * world.draw("arrival", number))
    request, started_at = world.sim.ids.request_id(), world.sim.clock.now()
    world.emit(RequestAccepted, request=request, operation="chat", deadline=started_at + 5.0)
    send, receive = trio.open_memory_channel[str](1)
    ok, last = False, None
    for tried in range(3):
        await world.desk.send((request, send))
        name = await receive.receive()
        if last is not None:
            world.emit(FailedOver, request=request, source=last, target=name, why="fail")
        if ok := await attempt(world, request, name, tried):
            break
        last = name
    world.emit(RequestOutcome, request=request, status="ok" if ok else "failed")


def run(
    seed: int,
    policy: PolicyName | Policy = "shuffle",
    quantum: float = 2.0**-5,
    *,
    clients: int = 12,
    **options: bool,
) -> tuple[Simulation[None], Events]:
    """One run of the model, and its events."""
    events: Events = []

    async def main(sim: Sim) -> None:
        send, inbox = trio.open_memory_channel[tuple[str, trio.MemorySendChannel[str]]](0)
        world = World(sim, Trace(), events, send)
        world.trace.listen(lambda seq, event: events.append((seq, event)))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(dispatcher, world, inbox)
            async with trio.open_nursery() as clients_at_work:
                for number in range(clients):
                    clients_at_work.start_soon(client, world, number)
            nursery.cancel_scope.cancel()

    done = simulate(main, seed=seed, policy=policy, quantum=quantum, **options)
    return done, events


def signature(seed: int) -> str:
    """Both digests of the run that this seed picks."""

    policies: tuple[PolicyName, ...] = ("fifo", "shuffle", "pct")
    done, events = run(
        seed,
        policies[seed % 3],
        (0.0, 2.0**-10, 2.0**-7, 2.0**-5)[seed % 4],
        replies_first=bool(seed % 5 == 0),
    )
    return f"{seed} {digest(events).semantic} {done.schedule_digest} {done.steps}"


if __name__ == "__main__":
    if "hypothesis" in sys.argv:
        importlib.import_module("hypothesis")  # it sets trio's flag behind our back
    if "leak" in sys.argv:
        PROVIDERS = tuple({*PROVIDERS})  # in the order of their hashes
    for each in range(int(sys.argv[1])):
        print(signature(each))
