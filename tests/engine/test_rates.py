"""Requests and tokens a minute are kept by the engine itself, before a provider has to refuse."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.engine.house import Script, house, ordered
from understudy import ChatOutput, ErrorClass, NoCandidate, Reply, Request, Usage
from understudy_actors.domain.errors import provider_error
from understudy_actors.domain.rates import Sighting, Unit


class Counting:
    """A provider that writes down when requests arrive, and what they use."""

    def __init__(self, seconds: float = 0.0, tokens: int = 10) -> None:
        self.seconds = seconds
        self.tokens = tokens
        self.arrived: list[float] = []

    async def __call__(self, request: Request) -> Reply:
        """Answer after a while."""
        self.arrived.append(trio.current_time())
        await trio.sleep(self.seconds)
        return Reply(ChatOutput("ok"), Usage(0, self.tokens))

    def most_in_a_minute(self) -> int:
        """The most requests that any 60 s held."""
        spans = ([t for t in self.arrived if end - 60 < t <= end] for end in self.arrived)
        return max(map(len, spans), default=0)


def limited(**limits: Any) -> dict[str, Any]:
    return ordered("p", "q", providers={"p": {"concurrency": 64, **limits}})


@pytest.mark.parametrize("seconds", [0.0, 0.5, 20.0, 45.0])
async def test_no_minute_sees_more_requests_than_the_limit(seconds: float) -> None:
    first, other = Counting(seconds), Counting()
    async with house(limited(requests_per_minute=5), p=first, q=other) as (engine, _):

        async def client(number: int) -> None:
            await trio.sleep(number * 0.7)
            await engine.route(Request.chat("hi", max_tokens=10))

        async with trio.open_nursery() as nursery:
            for number in range(300):
                nursery.start_soon(client, number)
    assert first.most_in_a_minute() == 5
    assert len(first.arrived) + len(other.arrived) == 300, "the next one serves the rest"


async def test_tokens_count_by_what_may_come_and_then_by_what_came() -> None:
    first, other = Counting(tokens=10), Counting()
    async with house(limited(tokens_per_minute=1000), p=first, q=other) as (engine, _):
        request = Request.chat("hi", max_tokens=500)
        served = []
        for _ in range(2):
            served += [(await engine.route(request)).provider for _ in range(60)]
            await trio.sleep(11)
    assert served[:60] == ["p"] * 34 + ["q"] * 26, "ten seconds hold no more than a third"
    assert served[60:] == ["p"] * 16 + ["q"] * 44
    assert served.count("p") == 50, "50 answers of 10 tokens, while 500 more must always fit"


async def test_alone_it_says_when_the_next_request_fits() -> None:
    only = Counting()
    config = ordered("p", providers={"p": {"requests_per_minute": 2}})
    async with house(config, p=only) as (engine, _):
        await engine.route(Request.chat("hi"))
        with pytest.raises(NoCandidate, match="rate limited") as early:
            await engine.route(Request.chat("hi"))
        assert early.value.retry_after_s is not None
        assert 10 <= early.value.retry_after_s <= 11, "bursts are smoothed"
        await trio.sleep(early.value.retry_after_s)
        await engine.route(Request.chat("hi"))
        with pytest.raises(NoCandidate, match="rate limited") as caught:
            await engine.route(Request.chat("hi"))
        assert caught.value.retry_after_s is not None
        assert 49 <= caught.value.retry_after_s <= 52
        await trio.sleep(caught.value.retry_after_s)
        assert (await engine.route(Request.chat("hi"))).provider == "p"


async def test_what_never_fits_is_refused_for_good() -> None:
    config = ordered("p", providers={"p": {"tokens_per_minute": 100}})
    async with house(config, p=Counting()) as (engine, _):
        with pytest.raises(NoCandidate, match="tokens exceed its 100 a minute") as caught:
            await engine.route(Request.chat("hi", max_tokens=200))
        assert caught.value.retry_at is None


async def test_a_stated_delay_ends_the_reset_that_is_told_beside_it() -> None:
    """Resets come in whole seconds: one of 3 s beside a delay of 1 s would be too long to wait."""
    busy = provider_error(ErrorClass.RATE_LIMIT, "busy", retry_after_s=1.0)
    busy.limits = (Sighting(Unit.REQUESTS, 10, 0, 3.0),)
    async with house(ordered("p", "q"), p=Script(busy, "fine"), q=Script("other")) as (engine, _):
        result = await engine.route(Request.chat("hi", max_tokens=10))
    assert (result.text, result.provider) == ("fine", "p")
    assert 1.0 <= result.attempts[-1].started_s < 2.0
