"""Limits of whoever asks, and limits that are learned from what providers say."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.engine.house import Script, house, ordered
from understudy import ChatOutput, ErrorClass, NoCandidate, Reply, Request, Usage
from understudy_actors.domain.errors import OverLimit, RateLimited
from understudy_actors.domain.events import ActorGaveUp, RequestRefused
from understudy_actors.domain.rates import Sighting, Unit


class Answering:
    """A provider whose answers take tokens, and say something of its limits."""

    def __init__(self, tokens: int = 10, seconds: float = 0.0) -> None:
        self.tokens = tokens
        self.seconds = seconds
        self.asked = 0
        self.says: tuple[Sighting, ...] = ()
        self.fails = False

    async def __call__(self, request: Request) -> Reply:
        """Answer, or refuse, after a while."""
        self.asked += 1
        await trio.sleep(self.seconds)
        if self.fails:
            error = RateLimited("slow down")
            error.limits = self.says
            raise error
        return Reply(ChatOutput("ok"), Usage(0, self.tokens), limits=self.says)


def limited(*limits: dict[str, Any], **options: Any) -> dict[str, Any]:
    return ordered("p", providers={"p": {"concurrency": 64}}, limits=list(limits), **options)


def ask(user: str | None = None, **facts: Any) -> Request:
    return Request.chat("hi", user=user, **{"max_tokens": 10, **facts})


async def test_a_users_limit_refuses_before_anybody_is_asked() -> None:
    provider = Answering()
    config = limited({"user": "*", "requests_per_minute": 2})
    async with house(config, p=provider) as (engine, events):
        await engine.route(ask("ann"))
        await trio.sleep(10)
        await engine.route(ask("ann"))
        with pytest.raises(
            OverLimit, match=r"user ann, 2 requests a minute\) is used up"
        ) as caught:
            await engine.route(ask("ann"))
        assert provider.asked == 2
        assert caught.value.retry_at == 62.0
        assert caught.value.retry_after_s == 52.0
        assert caught.value.request_id == events.of(RequestRefused)[-1].request
        await engine.route(ask("bob"))
        await engine.route(ask())
        with pytest.raises(OverLimit):
            async with engine.stream(ask("ann")):
                pass
        await trio.sleep(caught.value.retry_after_s)
        await engine.route(ask("ann"))


async def test_a_thousand_at_once_get_what_the_key_allows() -> None:
    provider, refused = Answering(seconds=1.0), 0
    config = limited({"key": "k1", "requests_per_minute": 40}, {"requests_per_minute": 60})
    async with house(config, p=provider) as (engine, _):

        async def client(key: str) -> None:
            nonlocal refused
            try:
                await engine.route(ask(key=key))
            except OverLimit:
                refused += 1

        async with trio.open_nursery() as nursery:
            for number in range(1000):
                nursery.start_soon(client, "k1" if number % 2 else "k2")
    assert (provider.asked, refused) == (60, 940)


async def test_tokens_count_by_what_was_used_and_too_much_never_fits() -> None:
    provider = Answering(tokens=30)
    config = limited({"team": "x", "tokens_per_minute": 100})
    async with house(config, p=provider) as (engine, _):
        with pytest.raises(OverLimit, match="set a smaller max_tokens") as caught:
            await engine.route(ask(team="x", max_tokens=200))
        assert caught.value.retry_at is None
        for _ in range(2):
            await engine.route(ask(team="x", max_tokens=40))
        with pytest.raises(OverLimit):
            await engine.route(ask(team="x", max_tokens=40))
        await engine.route(ask(team="x", max_tokens=30))


async def test_who_was_not_served_by_anybody_has_used_nothing() -> None:
    provider = Answering()
    config = limited({"user": "ann", "requests_per_minute": 1})
    async with house(config, p=provider) as (engine, _):
        engine.hold("p")
        for _ in range(3):
            with pytest.raises(NoCandidate):
                await engine.route(ask("ann"))
        engine.release("p")
        await engine.route(ask("ann"))
        with pytest.raises(OverLimit):
            await engine.route(ask("ann"))


async def test_an_answer_out_of_the_cache_used_no_tokens_but_what_was_lost_before_it() -> None:
    provider = Script(Reply(ChatOutput("one"), Usage(20, 10)), ErrorClass.MALFORMED)
    config = limited(
        {"team": "x", "tokens_per_minute": 100},
        cache={"ttl": "1s", "stale_for": "1h"},
        retry={"attempts": 0},
    )
    asked = ask(team="x", max_tokens=40)
    async with house(config, p=provider) as (engine, _):
        for _ in range(5):
            assert (await engine.route(asked)).text == "one"
        await trio.sleep(2.0)
        old = await engine.route(asked)
        assert (old.text, old.cached, old.degraded) == ("one", True, True)
        with pytest.raises(OverLimit):
            await engine.route(asked)


async def test_those_who_share_a_call_count_each_for_themselves() -> None:
    provider = Answering(seconds=1.0)
    config = limited({"user": "ann", "requests_per_minute": 3}, collapse=True)
    async with house(config, p=provider) as (engine, _):
        request = ask("ann", temperature=0.0)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(engine.route, request)
        assert provider.asked == 1
        with pytest.raises(OverLimit):
            await engine.route(request)


async def test_what_a_provider_says_is_kept_before_it_has_to_refuse() -> None:
    provider, other = Answering(), Answering()
    provider.says = (Sighting(Unit.REQUESTS, 20, 18),)
    config = ordered("p", "q", providers={"p": {"concurrency": 64}})
    async with house(config, p=provider, q=other) as (engine, _):
        served = []
        for _ in range(8):
            served.append((await engine.route(ask())).provider)
            await trio.sleep(10)
    assert served == ["p"] * 8
    async with house(config, p=provider, q=other) as (engine, _):
        served = [(await engine.route(ask())).provider for _ in range(20)]
        assert served.count("p") == 1 + 7, "after the news a third of 19 within ten seconds"
        await trio.sleep(121)
        provider.says = ()
        served = [(await engine.route(ask())).provider for _ in range(20)]
        assert served.count("p") == 20, "nobody says so any more"


async def test_a_refusal_says_it_too_and_lies_lead_nowhere() -> None:
    provider, other = Answering(), Answering()
    provider.says, provider.fails = (Sighting(Unit.REQUESTS, 1, 0),), True
    config = ordered("p", "q", providers={"p": {"concurrency": 64, "requests_per_minute": 60}})
    async with house(config, p=provider, q=other) as (engine, _):
        for _ in range(120):
            await engine.route(ask())
            await trio.sleep(1)
    assert provider.asked == 2, "once a minute is tried whether it is true still"


async def test_a_models_limit_is_its_own() -> None:
    provider = Answering()
    models = [{"name": "small", "requests_per_minute": 3}, {"name": "large"}]
    config = {"providers": {"p": {"concurrency": 64, "models": models}}}
    async with house(config, p=provider) as (engine, _):
        served = [(await engine.route(ask())).model for _ in range(6)]
        assert served.count("small") <= 1
        with pytest.raises(NoCandidate, match="p/small: rate limited"):
            for _ in range(2):
                await engine.route(ask(model="small"))


async def test_whoever_leaves_while_the_limits_are_down_is_not_counted_for_ever() -> None:
    provider = Answering(seconds=20.0)
    config = limited({"user": "ann", "requests_per_minute": 1})
    async with house(config, p=provider) as (engine, events):
        keeper = engine._wiring.turnstile._limits  # type: ignore[union-attr]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(engine.route, ask("ann"))
            await trio.sleep(0.5)
            while not any(e.actor == "limits" for e in events.of(ActorGaveUp)):
                keeper.tell(type("Bomb", (), {})())
                await trio.sleep(0.05)
            with pytest.raises(OverLimit, match="the limits' actor is") as caught:
                await engine.route(ask("ann"))
        assert caught.value.retry_at is not None
        await trio.sleep(400)
        await engine.route(ask("ann"))
    assert provider.asked == 2
