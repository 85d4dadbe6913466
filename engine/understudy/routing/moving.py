"""A request whose targets a reload has taken away goes on under the newest configuration.

It happens to whoever would fail otherwise: it waits for a slot, or has to fail over, and those who
are left under its own configuration cannot serve it. What it was accepted with stays: its deadline,
how many attempts it may make, and those it has made.
"""

from __future__ import annotations

from msgspec.structs import replace

from understudy.routing.wiring import Wiring
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.domain.bulkhead import Compartments
from understudy_actors.provider.endpoint import GONE


def left_behind(flight: Flight) -> bool:
    """Did its last decision leave out anybody whom a reload has removed?"""
    return any(GONE.why in each.left_out.values() for each in flight.decisions[-1:])


def moved(flight: Flight, old: Wiring, new: Wiring, compartments: Compartments) -> Flight:
    """The same request under another configuration.

    Whom it has tried already, and who is still there, counts as tried.
    """
    if flight.entered and old.turnstile is not None and new.turnstile is None:
        old.turnstile.leave(flight, None, flight)
    tried = {each.name for each in flight.tried}
    on_its_way = replace(
        flight,
        generation=new.generation,
        compartments=compartments,
        tried=tuple(each for each in new.candidates if each.name in tried),
        retries_here=0,
        ticket=0,
        key=None,  # what is kept under the old configuration's key is no answer of this one
    )
    flight.entered = 0  # the new one leaves
    return on_its_way
