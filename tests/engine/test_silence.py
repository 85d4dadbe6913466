"""A provider that falls silent under callers who do not wait for long."""

from __future__ import annotations

import trio

from tests.engine.house import HANG, Script, house, ordered
from understudy import Engine, Request, UnderstudyError
from understudy_actors.domain import events


async def told(engine: Engine, times: int, timeout_s: float, every_s: float = 0.0) -> list[str]:
    """How so many requests in a row end whose callers wait so long."""
    ends = []
    for _ in range(times):
        try:
            ends.append((await engine.route(Request.chat("hi", timeout_s=timeout_s))).provider)
        except UnderstudyError as error:
            ends.append(type(error).__name__)
        await trio.sleep(every_s)
    return ends


async def test_a_provider_that_fell_silent_is_left_out_although_nobody_waits_long() -> None:
    silent, spare = Script(*(1.0,) * 9, HANG), Script("spare")
    async with house(ordered("a", "b"), a=silent, b=spare) as (engine, books):
        assert await told(engine, 9, 6.0) == ["a"] * 9
        ends = await told(engine, 20, 6.0)
        assert ends[-10:] == ["b"] * 10
        moves = [(each.scope, each.target) for each in books.of(events.BreakerMoved)]
        assert moves[0] == ("a/function", "open")
        verdicts = [e.verdict for e in books.of(events.AttemptEnded) if e.error == "silent"]
        # Nobody waits ten seconds for `a`, but the first two wait four each, which is no proof.
        assert verdicts[:2] == ["neutral"] * 2
        assert set(verdicts[2:]) == {"failed"}
        assert all(each.elapsed_s < 10.0 for each in books.of(events.AttemptEnded))


async def test_impatient_callers_open_nothing_while_patient_ones_are_answered() -> None:
    async with house(ordered("a"), a=Script(5.0)) as (engine, books):
        assert await told(engine, 3, 30.0) == ["a"] * 3
        async with trio.open_nursery() as nursery:
            nursery.start_soon(told, engine, 60, 4.0)  # never answered: it takes 5 s
            nursery.start_soon(told, engine, 60, 4.9)
            assert await told(engine, 20, 30.0) == ["a"] * 20
            nursery.cancel_scope.cancel()
        assert not books.of(events.BreakerMoved)


async def test_a_provider_that_became_slower_stays_for_those_whom_it_answers() -> None:
    """Twelve seconds instead of two: half of the callers wait for them, half leave before."""
    async with house(ordered("a"), a=Script(*(2.0,) * 9, 12.0)) as (engine, books):
        assert await told(engine, 9, 30.0) == ["a"] * 9
        for _ in range(20):
            assert await told(engine, 1, 9.0) == ["AllAttemptsFailed"]
            assert await told(engine, 1, 30.0) == ["a"]
        assert not books.of(events.BreakerMoved)
