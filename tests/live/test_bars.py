"""What is promised at the edges, each promise a test: over real sockets, against mock providers.

`tests.sim.world.test_bars` holds the same promises on virtual time, where their seconds are exact.
Here what takes long is played faster, on limits that are shorter by as much; those marked
`slow_live` take the defaults, and their own time: `make live`.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import trio

from tests.engine.house import Books
from tests.engine.streaming.lines import hear
from understudy import (
    AllAttemptsFailed,
    ContentRefused,
    Engine,
    Request,
    Result,
    UnderstudyError,
    open_engine,
)
from understudy_actors.domain.result import Usage
from understudy_actors.domain.stream_events import StreamRescue
from understudy_sim.mock import (
    MockHandle,
    MockSettings,
    anthropic as anthropic_wire,
    openai as openai_wire,
    running_mock,
)
from understudy_sim.mock.settings import Behaviour, FixedUsage
from understudy_sim.mock.wire import Origin, Tokens

pytestmark = pytest.mark.wall_clock

WORDS: Final = [f"t{number:02d}" for number in range(60)]
TEXT: Final = " ".join(WORDS)
HI: Final = Request.chat("hi")
KINDS: Final = ("openai-compatible", "anthropic")
ORDERS: Final = pytest.mark.parametrize("kinds", [KINDS, KINDS[::-1]], ids=lambda each: each[0])
WAYS: Final = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
SCALES: Final = pytest.mark.parametrize(
    "scale", [0.05, pytest.param(1.0, marks=pytest.mark.slow_live)]
)
USAGE: Final = {"p0": Tokens(101, 60), "p1": Tokens(202, 61)}


@contextlib.asynccontextmanager
async def chain(
    *faults: dict[str, Any],
    kinds: tuple[str, ...] = KINDS,
    first: dict[str, Any] | None = None,
    second: dict[str, Any] | None = None,
    own: dict[str, dict[str, Any]] | None = None,
    **config: Any,
) -> AsyncIterator[tuple[Engine, Books, list[MockHandle]]]:
    """Two providers in an order that is a preference; `faults` hit the first. Defaults otherwise.

    `first` and `second` say how the mocks behave, `own` what is configured of each.
    """
    async with contextlib.AsyncExitStack() as stack:
        handles, providers = [], {}
        for at, (kind, how) in enumerate(zip(kinds, (first, second), strict=False)):
            name = f"p{at}"
            usage = FixedUsage(input_tokens=USAGE[name].input, output_tokens=USAGE[name].output)
            behaviour = Behaviour(**{"reply": TEXT, "usage": usage, **(how or {})})
            settings = MockSettings(provider=name, seed=at, behaviour=behaviour)
            handles.append(await stack.enter_async_context(running_mock(settings)))
            providers[name] = {
                "kind": kind,
                "base_url": handles[at].url + ("" if kind == "anthropic" else "/v1"),
                "priority": at,
                "models": [f"m{at}"],
                "price": {"input": 1.0, "output": 2.0},
                **(own or {}).get(name, {}),
            }
        handles[0].control.set_schedule(list(faults))
        table = {"log": {"level": "off"}, "strategy": "priority", "providers": providers, **config}
        async with open_engine(table, environ={}) as engine:
            books = Books(engine)
            yield engine, books, handles
        books.balance()


async def ask(engine: Engine, stream: bool) -> Result:
    """One answer, in one piece or in many; a stream's pieces are all of it, and nothing twice."""
    if not stream:
        return await engine.route(HI)
    heard = await hear(engine, HI)
    if heard.error is not None:
        raise heard.error
    result = heard.stream.result()
    assert heard.text == result.text
    return result


def asked(result: Result | UnderstudyError) -> str:
    """Who was asked, in order."""
    return " ".join(each.provider for each in result.attempts)


def frames(kind: str) -> tuple[bytes, ...]:
    """The events of the first provider's first stream."""
    make, wire = (
        (anthropic_wire.message_frames, "anthropic")
        if kind == "anthropic"
        else (openai_wire.chat_frames, "openai")
    )
    origin = Origin(wire=wire, n=1, provider="p0", model="m0", wall_s=1.7e9)  # type: ignore[arg-type]
    return make(origin, TEXT, USAGE["p0"], "stop")


def bytes_of(kind: str, tokens: int) -> int:
    """How many bytes of that stream its first so many tokens take."""
    size, last = 0, WORDS[tokens - 1].encode()
    for frame in frames(kind):
        size += len(frame)
        if last in frame:
            return size
    raise AssertionError(f"there are no {tokens} tokens")


def limits(scale: float) -> dict[str, Any]:
    """The defaults, so many times as long; none of them if that is once."""
    if scale == 1.0:
        return {}
    bounds = {"first_token_min": 10, "first_token_max": 60, "gap_min": 10, "gap_max": 30}
    return {
        "deadline": 120 * scale,
        "stream": {
            "hedge": {"floor": 8 * scale},
            **{name: seconds * scale for name, seconds in bounds.items()},
        },
        "retry": {"base": scale, "cap": 20 * scale},
        "breaker": {"cooldown": 5 * scale, "cap": 15 * scale},
    }


def within(seconds: float, result: Result, scale: float) -> None:
    """What was promised in seconds is held to them where nothing is played faster."""
    if scale == 1.0:
        assert result.elapsed_s < seconds


# Plain calls


@ORDERS
@WAYS
async def test_a_429_with_retry_after_2_once_is_asked_again_there_and_not_before_2_s(
    kinds: tuple[str, ...], stream: bool
) -> None:
    fault = {"kind": "rate_limit", "retry_after": 2, "times": 1}
    async with chain(fault, kinds=kinds) as (engine, _, handles):
        result = await ask(engine, stream)
        first, second = result.attempts
        assert asked(result) == "p0 p0"
        assert second.started_s - first.started_s >= 2.0
        assert handles[1].control.stats.requests == 0


@WAYS
async def test_a_lasting_429_without_header_is_answered_by_the_other(stream: bool) -> None:
    fault = {"kind": "rate_limit", "retry_after": "missing"}
    async with chain(fault) as (engine, _, handles):
        assert asked(await ask(engine, stream)) == "p0 p1"
        assert handles[0].control.stats.requests == 1


@pytest.mark.slow_live
async def test_a_lasting_429_without_header_costs_4_calls_in_3_s_and_6_in_all() -> None:
    fault = {"kind": "rate_limit", "retry_after": "missing"}
    async with chain(fault, kinds=KINDS[:1]) as (engine, _, handles):
        with pytest.raises(AllAttemptsFailed) as caught:
            await engine.route(HI)
        starts = [each.started_s for each in caught.value.attempts]
        assert 2 <= len(starts) == handles[0].control.stats.requests <= 6
        assert sum(start <= 3.0 for start in starts) <= 4


@ORDERS
@WAYS
async def test_a_single_500_is_answered_by_the_same_target_on_its_retry(
    kinds: tuple[str, ...], stream: bool
) -> None:
    async with chain({"kind": "status", "times": 1}, kinds=kinds) as (engine, _, handles):
        assert asked(await ask(engine, stream)) == "p0 p0"
        assert handles[1].control.stats.requests == 0


@ORDERS
@WAYS
@pytest.mark.parametrize(
    "fault",
    [{"kind": "status", "statuses": [503]}, {"kind": "reset"}, {"kind": "refuse"}],
    ids=lambda fault: str(fault["kind"]),
)
async def test_a_lasting_503_or_reset_is_bounded_and_answered_by_the_other(
    fault: dict[str, Any], stream: bool, kinds: tuple[str, ...]
) -> None:
    async with chain(fault, kinds=kinds) as (engine, _, handles):
        result = await ask(engine, stream)
        assert (result.provider, result.text) == ("p1", TEXT)
        assert 1 <= sum(each.provider == "p0" for each in result.attempts) <= 2
        assert handles[1].control.stats.requests == 1


@SCALES
@WAYS
async def test_120_s_of_silence_are_answered_within_100_s_with_one_call_to_the_silent(
    stream: bool, scale: float
) -> None:
    first = {"latency_s": 120 * scale}
    async with chain(first=first, **limits(scale)) as (engine, _, handles):
        result = await ask(engine, stream)
        assert asked(result) == "p0 p1"
        assert handles[0].control.stats.requests == 1
        within(100.0, result, scale)


@ORDERS
@WAYS
async def test_a_context_too_long_costs_one_call_then_the_larger_model_answers(
    kinds: tuple[str, ...], stream: bool
) -> None:
    own = {
        f"p{at}": {"models": [{"name": f"m{at}", "max_context": size}]}
        for at, size in enumerate((8_000, 99_000))
    }
    async with chain({"kind": "context_length"}, kinds=kinds, own=own) as (engine, _, handles):
        result = await ask(engine, stream)
        assert (asked(result), result.model) == ("p0 p1", "m1")
        assert [each.control.stats.requests for each in handles] == [1, 1]


@WAYS
async def test_a_content_refusal_is_passed_on(stream: bool) -> None:
    async with chain({"kind": "content_policy"}) as (engine, _, handles):
        with pytest.raises(ContentRefused) as caught:
            await ask(engine, stream)
        assert asked(caught.value) == "p0"
        assert handles[1].control.stats.requests == 0


@ORDERS
@WAYS
async def test_a_fallbacks_model_name_and_usage_are_what_the_caller_sees(
    kinds: tuple[str, ...], stream: bool
) -> None:
    async with chain({"kind": "auth"}, kinds=kinds) as (engine, _, _handles):
        result = await ask(engine, stream)
        assert (result.provider, result.model) == ("p1", "m1")
        assert result.usage == Usage(USAGE["p1"].input, USAGE["p1"].output)


# Streams


@SCALES
@ORDERS
async def test_a_first_token_after_20_s_is_made_up_for_within_15_s_by_another(
    kinds: tuple[str, ...], scale: float
) -> None:
    first = {"latency_s": 20 * scale}
    async with chain(kinds=kinds, first=first, **limits(scale)) as (engine, _, handles):
        result = await ask(engine, stream=True)
        assert (result.provider, result.text) == ("p1", TEXT)
        assert [each.control.stats.requests for each in handles] == [1, 1]
        within(15.0, result, scale)


@ORDERS
@pytest.mark.parametrize(("times", "by"), [(1, "p0"), (None, "p1")])
async def test_a_stream_cut_after_40_of_60_tokens_is_complete_and_no_byte_comes_twice(
    kinds: tuple[str, ...], times: int | None, by: str
) -> None:
    cut = {"kind": "cut", "after_bytes": bytes_of(kinds[0], 40), "times": times}
    async with chain(cut, kinds=kinds) as (engine, books, _):
        result = await ask(engine, stream=True)
        assert (result.provider, result.text) == (by, TEXT)
        rescues = books.of(StreamRescue)
        assert {each.delivered_chars for each in rescues} == {len(" ".join(WORDS[:40]))}


@SCALES
@ORDERS
async def test_a_stall_of_30_s_after_20_tokens_is_complete_within_45_s(
    kinds: tuple[str, ...], scale: float
) -> None:
    size = bytes_of(kinds[0], 20)
    stall = {"kind": "stall", "after_bytes": size, "lasts": 30 * scale}
    async with chain(stall, kinds=kinds, **limits(scale)) as (engine, _, _handles):
        result = await ask(engine, stream=True)
        assert result.text == TEXT
        within(45.0, result, scale)


@ORDERS
async def test_a_malformed_event_in_the_middle_leaves_the_answer_complete(
    kinds: tuple[str, ...],
) -> None:
    fault = {"kind": "malformed", "variant": "bad_event"}
    async with chain(fault, kinds=kinds) as (engine, _, _handles):
        heard = await hear(engine, HI)
        assert (heard.error, heard.text, heard.stream.skipped) == (None, TEXT, 1)
        assert asked(heard.stream.result()) == "p0"


@ORDERS
@pytest.mark.parametrize("left_open", [False, True])
async def test_a_stream_without_end_marker_ends_promptly_with_its_usage(
    kinds: tuple[str, ...], left_open: bool
) -> None:
    before = sum(map(len, frames(kinds[0])[:-1]))
    unmarked = {"kind": "malformed", "variant": "unmarked"}
    silent = {"kind": "stall", "after_bytes": before}
    async with chain(silent if left_open else unmarked, kinds=kinds) as (engine, _, _handles):
        result = await ask(engine, stream=True)  # no limit on silence is as short as this test
        assert (asked(result), result.text) == ("p0", TEXT)
        assert result.usage == Usage(USAGE["p0"].input, USAGE["p0"].output)


@ORDERS
async def test_a_cut_whose_fallback_refuses_a_prefill_is_spliced_and_never_shows_the_refusal(
    kinds: tuple[str, ...],
) -> None:
    cut = {"kind": "cut", "after_bytes": bytes_of(kinds[0], 40)}
    own = {"p1": {"capabilities": ["prefill"]}}
    async with chain(cut, kinds=kinds, second={"prefill": "refuse"}, own=own) as (engine, books, _):
        result = await ask(engine, stream=True)
        assert (result.provider, result.text) == ("p1", TEXT)
        ways = [each.how for each in books.of(StreamRescue) if each.endpoint == "p1/m1"]
        assert ways == ["prefill", "splice"]


# An outage


@SCALES
@WAYS
async def test_an_outage_of_60_s_is_served_by_the_other_and_over_within_30_s(
    stream: bool, scale: float
) -> None:
    outage = {"kind": "status", "for": 60 * scale}
    async with chain(outage, **limits(scale)) as (engine, _, handles):
        began = trio.current_time()
        for _ in range(15):
            result = await ask(engine, stream)
            assert result.text == TEXT
            await trio.sleep(4 * scale)
        wasted = handles[0].control.stats.faults["status"]
        assert wasted < 15
        with trio.fail_after(max(10.0, 60 * scale)):
            while (await ask(engine, stream)).provider != "p0":  # noqa: ASYNC110, as a caller sees it
                await trio.sleep(4 * scale)
        if scale == 1.0:
            assert trio.current_time() - began < 60.0 + 30.0
