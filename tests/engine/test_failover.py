"""A request's way: whom it asks, after what wait, and how it ends."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings, strategies as st

from tests.engine.house import HANG, Script, failing, house, ordered
from understudy import (
    AllAttemptsFailed,
    AttemptTimeout,
    BadRequest,
    ContentRefused,
    ErrorClass,
    NoCandidate,
    Overloaded,
    Request,
)
from understudy_actors.domain import events

HI = Request.chat("hi")
ELSEWHERE = {"strategy": "round_robin"}


async def test_a_healthy_first_choice_answers_alone() -> None:
    a, b = Script("yes"), Script("no")
    async with house(ordered("a", "b"), a=a, b=b) as (engine, books):
        result = await engine.route(HI)
        assert (result.text, result.provider, result.degraded) == ("yes", "a", False)
        assert [each.outcome for each in result.attempts] == ["ok"]
        assert not b.calls
        assert books.outcomes() == {"ok": 1}


async def test_a_target_that_broke_is_asked_once_more_then_the_next_answers() -> None:
    a, b = Script(ErrorClass.SERVER), Script("yes")
    async with house(ordered("a", "b"), a=a, b=b) as (engine, _):
        result = await engine.route(HI)
        assert [each.provider for each in result.attempts] == ["a", "a", "b"]
        assert 0 < a.calls[1] <= 1.0
        assert result.attempts[1].wait_s == pytest.approx(a.calls[1])


async def test_who_steps_in_is_asked_once_more_too() -> None:
    a, b, c = Script(ErrorClass.SERVER), Script(ErrorClass.SERVER, "yes"), Script("no")
    async with house(ordered("a", "b", "c"), a=a, b=b, c=c) as (engine, _):
        result = await engine.route(HI)
        assert [each.provider for each in result.attempts] == ["a", "a", "b", "b"]


async def test_a_process_that_stood_still_past_the_deadline_asks_nobody_again() -> None:
    a = Script(ErrorClass.SERVER, "too late")
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, trio.testing.MockClock)
    async with (
        house({**ordered("a"), "deadline": "10s"}, a=a) as (engine, _),
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(_stand_still, clock)
        with pytest.raises(AllAttemptsFailed, match="deadline passed before the retry"):
            await engine.route(HI)
        assert len(a.calls) == 1


async def _stand_still(clock: trio.testing.MockClock) -> None:
    await trio.testing.wait_all_tasks_blocked()
    clock.jump(11.0)


async def test_under_any_other_strategy_the_next_candidate_comes_at_once() -> None:
    a, b = Script(ErrorClass.SERVER), Script(ErrorClass.SERVER)
    c = Script("yes")
    config = {**ordered("a", "b", "c"), **ELSEWHERE}
    async with house(config, a=a, b=b, c=c) as (engine, books):
        result = await engine.route(HI)
        assert [each.provider for each in result.attempts] == ["a", "b", "c"]
        assert trio.current_time() == 0.0
        assert [(e.source, e.target) for e in books.of(events.FailedOver)] == [
            ("a/function", "b/function"),
            ("b/function", "c/function"),
        ]


@pytest.mark.parametrize("hint_s", [None, 2.6, 3600.0])
async def test_a_429_fails_over_at_once(hint_s: float | None) -> None:
    a, b = Script(failing(ErrorClass.RATE_LIMIT, retry_after_s=hint_s)), Script("yes")
    async with house(ordered("a", "b"), a=a, b=b) as (engine, _):
        result = await engine.route(HI)
        assert (result.provider, trio.current_time()) == ("b", 0.0)


async def test_a_short_retry_after_of_the_preferred_target_is_waited_for() -> None:
    a, b = Script(failing(ErrorClass.RATE_LIMIT, retry_after_s=2.0), "yes"), Script("no")
    async with house(ordered("a", "b"), a=a, b=b) as (engine, _):
        assert (await engine.route(HI)).provider == "a"
        assert a.calls[1] - a.calls[0] >= 2.0


async def test_retry_after_is_a_floor_for_the_last_candidate() -> None:
    a = Script(failing(ErrorClass.RATE_LIMIT, retry_after_s=9.0), "yes")
    async with house(ordered("a"), a=a) as (engine, _):
        assert (await engine.route(HI)).text == "yes"
        assert 9.0 <= a.calls[1] - a.calls[0] < 12.0


async def test_a_retry_after_beyond_the_deadline_ends_the_request_at_once() -> None:
    a = Script(failing(ErrorClass.RATE_LIMIT, retry_after_s=60.0))
    async with house(ordered("a", deadline=30), a=a) as (engine, _):
        with pytest.raises(AllAttemptsFailed) as caught:
            await engine.route(HI)
        assert trio.current_time() == 0.0
        assert caught.value.retry_at == pytest.approx(60.0)
        assert caught.value.retry_after_s == pytest.approx(60.0)


async def test_a_silent_target_is_never_asked_again() -> None:
    a, b = Script(HANG), Script(ErrorClass.SERVER)
    config = ordered("a", "b", providers={"a": {"timeout": 3}}, max_attempts=9)
    async with house(config, a=a, b=b) as (engine, _):
        with pytest.raises(AllAttemptsFailed) as caught:
            await engine.route(HI)
        assert len(a.calls) == 1
        assert caught.value.attempts[0].error == "silent"
        assert [each.provider for each in caught.value.attempts[1:]] == ["b"] * 5


async def test_the_only_candidate_is_retried_with_back_off_up_to_the_cap() -> None:
    a = Script(ErrorClass.SERVER)
    rule = {"attempts": 8, "jitter": "none", "base": 1, "cap": 20}
    breaker = {"trip_after": 99, "cooldown": "5s"}
    config = ordered("a", retry=rule, breaker=breaker, max_attempts=6)
    async with house(config, a=a) as (engine, books):
        with pytest.raises(AllAttemptsFailed) as caught:
            await engine.route(HI)
        assert a.calls == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0]
        assert len(caught.value.attempts) == 6
        assert "6 attempts" in str(caught.value)
        assert [e.wait_s for e in books.of(events.RetryScheduled)] == [1.0, 2.0, 4.0, 8.0, 16.0]


async def test_linear_back_off_grows_by_its_base() -> None:
    a = Script(*[ErrorClass.SERVER] * 3, "yes")
    rule = {"kind": "linear", "jitter": "none", "base": 2}
    async with house(ordered("a", retry=rule), a=a) as (engine, _):
        await engine.route(HI)
        assert a.calls == [0.0, 2.0, 6.0, 12.0]


@given(seed=st.integers(0, 2**32), deadline_s=st.floats(0.5, 40), cap=st.integers(1, 6))
@settings(max_examples=30)
def test_no_request_outlives_its_deadline_or_its_attempts(
    seed: int, deadline_s: float, cap: int
) -> None:
    async def main() -> None:
        steps = [ErrorClass.SERVER, ErrorClass.RATE_LIMIT, HANG, ErrorClass.RESET, 3.0]
        scripts: dict[str, Any] = {
            name: Script(*steps[at:], *steps[:at], HANG) for at, name in enumerate(["a", "b", "c"])
        }
        config = ordered("a", "b", "c", max_attempts=cap)
        async with house(config, seed=seed, **scripts) as (engine, books):
            started = trio.current_time()
            try:
                result = await engine.route(Request.chat("hi", timeout_s=deadline_s))
                attempts = result.attempts
            except AllAttemptsFailed as error:
                attempts = error.attempts
            assert trio.current_time() - started <= deadline_s + 1e-6
            assert 1 <= len(attempts) <= cap
            for event in books.of(events.AttemptDispatched):
                assert event.at_s < started + deadline_s

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def test_one_silent_provider_cannot_eat_the_whole_time() -> None:
    a, b = Script(HANG), Script("yes")
    async with house(ordered("a", "b", deadline=10), a=a, b=b) as (engine, _):
        result = await engine.route(HI)
        assert result.provider == "b"
        assert trio.current_time() <= 5.0


async def test_a_silence_that_the_callers_deadline_cut_short_does_not_blame_the_provider() -> None:
    async with house(ordered("a"), a=Script(HANG)) as (engine, _):
        with pytest.raises(AllAttemptsFailed) as caught:
            await engine.route(Request.chat("hi", timeout_s=0.05))
        assert isinstance(caught.value.__cause__, AttemptTimeout)
        assert caught.value.attempts[0].outcome == "neutral"
        assert engine.health()[0].failures == 0


@pytest.mark.parametrize(
    ("kind", "error"),
    [(ErrorClass.CONTENT_POLICY, ContentRefused), (ErrorClass.BAD_REQUEST, BadRequest)],
)
async def test_what_nobody_else_could_mend_is_passed_on(
    kind: ErrorClass, error: type[Exception]
) -> None:
    a, b = Script(kind), Script("no")
    async with house(ordered("a", "b"), a=a, b=b) as (engine, books):
        with pytest.raises(error) as caught:
            await engine.route(HI)
        assert not b.calls
        assert [each.error for each in caught.value.attempts] == [kind.value]  # type: ignore[attr-defined]
        assert caught.value.request_id  # type: ignore[attr-defined]
        assert books.outcomes() == {error.__name__: 1}


async def test_refused_content_goes_elsewhere_only_if_configured() -> None:
    a, b = Script(ErrorClass.CONTENT_POLICY), Script("yes")
    config = ordered("a", "b", reroute_refused_content=True)
    async with house(config, a=a, b=b) as (engine, _):
        assert (await engine.route(HI)).provider == "b"


async def test_a_prompt_too_long_goes_only_to_a_larger_window() -> None:
    def window(tokens: int) -> dict[str, object]:
        return {"models": [{"name": "m", "max_context": tokens}]}

    scripts: dict[str, Any] = {
        "a": Script(ErrorClass.CONTEXT_LENGTH),
        "b": Script("no"),
        "c": Script("yes"),
    }
    sizes = {"a": window(1000), "b": window(900), "c": window(4000)}
    async with house(ordered("a", "b", "c", providers=sizes), **scripts) as (engine, _):
        result = await engine.route(HI)
        assert [each.provider for each in result.attempts] == ["a", "c"]
        record = engine.explain(result.request_id)
        assert record is not None
        assert record.decisions[-1].left_out["b/m"] == "its context window is not larger"


async def test_fallback_false_asks_the_first_choice_only() -> None:
    a, b = Script(ErrorClass.AUTH), Script("no")
    async with house(ordered("a", "b"), a=a, b=b) as (engine, _):
        with pytest.raises(AllAttemptsFailed):
            await engine.route(Request.chat("hi", fallback=False))
        assert not b.calls


async def test_a_retry_that_finds_the_breaker_open_goes_to_somebody_else() -> None:
    """While one request backs off, others open the breaker: it must not end there."""
    a, b = Script(ErrorClass.SERVER), Script("yes")
    config = ordered("a", "b", breaker={"trip_after": 2, "cooldown": "60s", "jitter": False})
    async with house(config, a=a, b=b) as (engine, _):

        async def spoil() -> None:
            await trio.sleep(1e-4)
            engine.report_failure("a")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(spoil)
            assert (await engine.route(HI)).provider == "b"


async def test_exhausted_chains_carry_every_attempt_and_no_foreign_exception() -> None:
    class Vendor(Exception):
        pass

    a, b = Script(Vendor("internal")), Script(ConnectionResetError("gone"))
    config = ordered("a", "b", retry={"attempts": 0})
    async with house(config, a=a, b=b) as (engine, _):
        with pytest.raises(AllAttemptsFailed) as caught:
            await engine.route(HI)
        error = caught.value
        assert [(each.provider, each.error) for each in error.attempts] == [
            ("a", "adapter"),
            ("b", "reset"),
        ]
        assert error.request_id
        assert "Vendor" in (error.attempts[0].reason or "")
        assert "internal" not in str(error)


async def test_nobody_left_says_why_for_each_and_when() -> None:
    scripts: dict[str, Any] = {name: Script() for name in ("a", "b", "c")}
    own = {"c": {"operations": ["embedding"]}}
    async with house(ordered("a", "b", "c", providers=own), **scripts) as (engine, books):
        engine.hold("a", seconds=30)
        engine.isolate("b")
        with pytest.raises(NoCandidate) as caught:
            await engine.route(HI)
        error = caught.value
        assert error.reasons == {
            "a/function": "held by hand",
            "b/function": "isolated",
            "c/function": "does not offer chat",
        }
        assert (error.retry_at, error.retry_after_s) == (30.0, 30.0)
        assert not any(script.calls for script in scripts.values())
        assert books.outcomes() == {"NoCandidate": 1}
        await trio.sleep(30)
        assert (await engine.route(HI)).provider == "a"


async def test_a_hold_without_an_end_promises_no_time() -> None:
    async with house(ordered("a"), a=Script()) as (engine, _):
        engine.hold("a")
        with pytest.raises(NoCandidate) as caught:
            await engine.route(HI)
        assert caught.value.retry_at is None
        assert "inf" not in str(caught.value)


async def test_waiters_for_a_slot_are_served_in_order_and_within_the_bound() -> None:
    a = Script(1.0)
    config = ordered("a", providers={"a": {"concurrency": 1}}, queue_capacity=3)
    served: list[int] = []
    shed: list[tuple[int, float | None]] = []
    async with house(config, a=a) as (engine, books):

        async def ask(number: int) -> None:
            await trio.sleep(number / 1000)
            try:
                await engine.route(HI)
                served.append(number)
            except Overloaded as error:
                shed.append((number, error.retry_after_s))

        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(ask, number)
        assert (served, shed) == ([0, 1, 2, 3], [(4, 1.0), (5, 1.0)])
        assert max(event.in_flight for event in books.of(events.SlotTaken)) == 1
        assert books.outcomes() == {"ok": 4, "Overloaded": 2}
        assert len([e for e in books.of(events.RetryScheduled) if e.why == "slot"]) >= 3
        assert engine.status().waiting == 0


async def test_a_stand_in_waits_for_those_who_are_only_busy_but_not_for_long() -> None:
    a = Script(1.0, 10.0, 10.0)
    config = {
        "providers": {"a": {"concurrency": 1, "priority": 1}, "local": {}},
        "queue_capacity": 1,
    }
    async with house(config, a=a) as (engine, _), trio.open_nursery() as nursery:
        nursery.start_soon(engine.route, HI)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(engine.route, HI)  # waits 1 s, then is served by a for 10 s
        await trio.testing.wait_all_tasks_blocked()
        full = await engine.route(HI)
        assert (full.provider, trio.current_time()) == ("local", 0.0), "the line is full"
        await trio.sleep(1.5)
        late = await engine.route(HI)
        assert (late.provider, late.degraded) == ("local", True)
        assert trio.current_time() == pytest.approx(1.5 + 2.5, abs=0.1), "the patience is 2.5 s"
    assert a.calls == [0.0, 1.0]


async def test_a_wait_for_a_slot_ends_by_the_deadline() -> None:
    config = ordered("a", providers={"a": {"concurrency": 1}})
    async with house(config, a=Script(10.0)) as (engine, _), trio.open_nursery() as nursery:
        nursery.start_soon(engine.route, HI)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(NoCandidate, match="no slot became free"):
            await engine.route(Request.chat("hi", timeout_s=2))
        assert trio.current_time() == 2.0
        assert engine.status().waiting == 0


async def test_who_leaves_while_waiting_for_a_slot_leaves_the_line() -> None:
    config = ordered("a", providers={"a": {"concurrency": 1}})
    async with house(config, a=Script(10.0)) as (engine, _), trio.open_nursery() as nursery:
        nursery.start_soon(engine.route, HI)
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(2) as leaving:
            await engine.route(HI)
        assert leaving.cancelled_caught
        assert engine.status().waiting == 0


async def test_a_retry_that_finds_no_slot_waits_for_one() -> None:
    a = Script(ErrorClass.SERVER, 3.0, "yes")
    rule = {"jitter": "none", "base": 1}
    config = ordered("a", providers={"a": {"concurrency": 1}}, retry=rule)
    async with house(config, a=a) as (engine, _):
        async with trio.open_nursery() as nursery:

            async def later() -> None:
                await trio.sleep(0.5)
                await engine.route(HI)

            nursery.start_soon(later)
            result = await engine.route(HI)
        assert result.text == "yes"
        assert a.calls == [0.0, 0.5, 3.5]


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(1, 3)),  # arrives at, lasts
        min_size=2,
        max_size=12,
    ),
    st.integers(1, 2),
)
@settings(max_examples=40)
def test_no_free_slot_is_forgotten_while_somebody_waits(
    visits: list[tuple[int, int]], slots: int
) -> None:
    """Arrivals and ends at the same instant, in any order: the work is done without a gap."""

    async def main() -> None:
        lasts: dict[str, int] = {}

        async def serve(request: Request) -> str:
            await trio.sleep(lasts[request.user or ""])
            return "ok"

        config = ordered("a", providers={"a": {"concurrency": slots}}, deadline=1000)
        async with house(config, a=serve) as (engine, _):

            async def visit(number: int, arrives: int, length: int) -> None:
                lasts[str(number)] = length
                await trio.sleep(arrives)
                await engine.route(Request.chat("hi", user=str(number)))

            async with trio.open_nursery() as nursery:
                for number, (arrives, length) in enumerate(visits):
                    nursery.start_soon(visit, number, arrives, length)
            work = sum(length for _, length in visits)
            assert trio.current_time() <= 4 + work / slots + 3

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
