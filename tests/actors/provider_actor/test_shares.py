"""What a provider actor does about compartments, and what it takes along through a crash."""

from __future__ import annotations

from types import ModuleType

from tests.actors.dispatcher.made import spec
from tests.actors.provider_actor.house import House
from understudy_actors.domain.bulkhead import Compartment
from understudy_actors.domain.candidate import NO_SHARE
from understudy_actors.domain.outcome import ErrorClass, HoldKind
from understudy_actors.provider import actor
from understudy_actors.provider.gate import Refusal
from understudy_actors.provider.messages import HoldScope, Permit

THIRD = (Compartment("third", 1 / 3),)


def check_compartments(module: ModuleType) -> None:
    """Raise unless a compartment holds its share of each endpoint, whatever crashes between."""
    house = House(spec("p", "m0"), spec("p", "m1"), module=module)  # three slots each
    first, other = house.admit(compartments=THIRD), house.admit(1, compartments=THIRD)
    assert isinstance(first, Permit)
    assert isinstance(other, Permit), "each endpoint by itself"
    assert house.admit(compartments=THIRD) == Refusal(None, NO_SHARE)
    house.crash()
    house.come_back()
    assert house.tier[0].held == {"third": 1}
    assert house.admit(compartments=THIRD) == Refusal(None, NO_SHARE), "a crash forgot it"
    rest = [house.lend(), house.lend()]
    house.settle(rest[0])
    house.noticed.clear()
    house.settle(first)
    assert house.noticed == [house.tier[0]], "somebody of its own may wait"
    assert not house.tier[0].held
    assert isinstance(house.admit(compartments=THIRD), Permit)


def check_held_through(module: ModuleType) -> None:
    """Raise unless holds of an account outlive a crash, and one with something to prove is asked.

    A hold for a refused key ends with one attempt alone, which must prove that it is over.
    """
    house = House(spec("p", "m0"), spec("p", "m1"), module=module)
    house.ref.tell(HoldScope(50.0, None, HoldKind.MANUAL))
    house.crash()
    house.come_back()
    assert [each.shut_until for each in house.tier] == [50.0, 50.0], "the crash ended it"
    house.pass_time(60.0)
    house.attempt(ErrorClass.AUTH)
    house.pass_time(house.tier[0].shut_until - house.now)
    assert isinstance(house.admit(0), Permit)
    assert isinstance(house.admit(0), Refusal), "one alone proves it"
    assert isinstance(house.admit(1), Refusal)


SHARES = (check_compartments, check_held_through)


def test_a_compartment_holds_its_share_through_a_crash() -> None:
    check_compartments(actor)


def test_a_hold_stands_through_a_crash_and_ends_with_a_proof() -> None:
    check_held_through(actor)
