"""Limits of one model: configured, and learned from what its provider's headers say."""

from __future__ import annotations

from types import ModuleType

from msgspec.structs import replace

from tests.actors.dispatcher.made import spec
from tests.actors.provider_actor.house import House, settlement
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.rate_events import RateLearned
from understudy_actors.domain.rates import RateRule, Sighting, Unit
from understudy_actors.provider import actor
from understudy_actors.provider.gate import Refusal
from understudy_actors.provider.messages import Permit, ResetScope


def tell(house: House, permit: Permit, *seen: Sighting, error: ErrorClass | None = None) -> None:
    """Settle an attempt whose answer had headers."""
    house.permits.pop(permit.attempt, None)
    house.ref.tell(replace(settlement(permit, error), sightings=seen))


def check_models(module: ModuleType) -> None:
    """Raise unless a model's minute is its own, without traffic as well."""
    house = House(
        spec("p", "m0", rates=RateRule(requests=3)),
        spec("p", "m1", rates=RateRule(tokens=90)),
        spec("p", "m2"),
        module=module,
    )
    assert [c.metered for c in house.tier] == [True, True, False]
    house.attempt()
    refused = house.admit()
    assert isinstance(refused, Refusal)
    assert refused.retry_at == 11.0, "one of three within ten seconds"
    assert [c.refusal(house.now) for c in house.tier] == ["rate limited", None, None]
    house.noticed.clear()
    house.pass_time(11.0)
    assert [c.refusal(house.now) for c in house.tier] == [None, None, None]
    assert house.noticed == house.tier[:1], "somebody looked, without traffic"
    assert isinstance(house.admit(1, tokens=91), Refusal)
    large = house.admit(1, tokens=90)
    assert isinstance(large, Permit)
    assert isinstance(house.admit(1, tokens=1), Refusal)
    assert house.tier[1].refusal(house.now) == "rate limited"
    house.settle(large, ErrorClass.CONNECT)
    assert house.tier[1].refusal(house.now) is None, "nothing arrived: there is room at once"
    house.attempt(index=2)


def check_learning(module: ModuleType) -> None:
    """Raise unless headers limit a model that has no limit, until a hand or a crash asks."""
    short = House(module=module)
    short.attempt()
    tell(short, short.lend(), Sighting(Unit.REQUESTS, 10, 0))
    short.crash()
    short.come_back()
    assert isinstance(short.admit(), Refusal), "it was known at once"
    house = House(spec("p", "m0"), spec("p", "m1"), module=module)
    first, second = house.lend(), house.lend()
    tell(house, first, Sighting(Unit.REQUESTS, 10, 8), Sighting(Unit.TOKENS, 1000, 1000))
    learned = [(e.endpoint, e.unit, e.limit) for e in house.of(RateLearned)]
    assert learned == [("p/m0", "requests", 9), ("p/m0", "tokens", 950)]
    assert [c.metered for c in house.tier] == [True, False]
    house.pass_time(1.0)
    tell(house, second, Sighting(Unit.REQUESTS, 10, 0), error=ErrorClass.RATE_LIMIT)
    house.pass_time(20.0)
    refused = house.admit()
    assert isinstance(refused, Refusal)
    assert refused.retry_at == 63.0, "somebody else used the key"
    house.crash()
    house.come_back()
    assert isinstance(house.admit(), Refusal), "a crash makes no room"
    house.attempt(index=1)
    house.ref.tell(ResetScope("p/m0"))
    slow = house.lend()
    house.pass_time(30.0)
    tell(house, house.lend(), Sighting(Unit.REQUESTS, 100, 100))
    tell(house, slow, Sighting(Unit.REQUESTS, 1, 1))
    assert house.of(RateLearned)[-1].limit == 95, "the news of a call that began earlier are older"


def test_a_models_minute_is_its_own() -> None:
    check_models(actor)


def test_what_headers_say_limits_their_model() -> None:
    check_learning(actor)
