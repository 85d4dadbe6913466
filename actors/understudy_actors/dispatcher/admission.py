"""Who may join the queue: nobody whose turn would come too late, and nobody when it is full.

The wait to expect is how many are ahead over how fast slots come free: an endpoint of limit n
whose answers take L seconds frees n / L slots a second. Whoever is turned away is told when to come
again, and can still shed the work or ask somebody else; waiting first would only add to the crowd.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from understudy_actors.dispatcher.flight import Decision, Flight
from understudy_actors.dispatcher.queue import SlotQueue
from understudy_actors.domain.bulkhead import Compartment
from understudy_actors.domain.candidate import ONLY_BUSY, Candidate
from understudy_actors.domain.errors import Overloaded

HINT_S: Final = 1.0
"""What a full queue tells its callers to wait, in seconds, while nothing is known of its pace."""
HINT_MAX_S: Final = 60.0
USEFUL_SHARE: Final = 0.5
"""Half of the time that an answer usually takes must be left for it to be worth a try."""


def slots_per_s(
    wanted: Sequence[Candidate],
    output_tokens: int,
    now: float,
    within: Compartment | None = None,
) -> float | None:
    """How many slots of these come free in a second; None if that is not known of each.

    `within` counts those that this compartment may hold.
    """
    pace = 0.0
    for each in wanted:
        latency_s = each.health.latency_s(now, output_tokens, 0.0)
        if latency_s <= 0.0:
            return None
        if now >= each.shut_until:
            slots = each.limit if within is None else within.most(each.limit)
            pace += slots / latency_s
    return pace or None


def useful_s(wanted: Sequence[Candidate], output_tokens: int, now: float) -> float:
    """With less time left than this, in seconds, no answer of these can be expected."""
    usual = (each.health.latency_s(now, output_tokens, 0.0) for each in wanted)
    return min(usual, default=0.0) * USEFUL_SHARE


def turned_away(
    queue: SlotQueue, flight: Flight, wanted: Sequence[Candidate], now: float
) -> Overloaded | None:
    """Why a newcomer who wants these may not wait in line; None if it may.

    In a compartment, those of it who are ahead share what it may hold.
    """
    tokens, priority = flight.output_tokens, flight.request.priority
    pace = slots_per_s(wanted, tokens, now)
    if queue.full:
        return queue_full(len(queue), pace, now)
    if pace is None:
        return None
    ahead = queue.ahead(wanted, priority, now)
    expected_s = ahead / pace
    for each in flight.compartments:
        alike = queue.ahead(wanted, priority, now, each.name)
        own_s = alike / (slots_per_s(wanted, tokens, now, each) or pace)
        if own_s > expected_s:
            ahead, expected_s = alike, own_s
    left_s = flight.deadline - now - useful_s(wanted, tokens, now)
    return too_late(ahead, expected_s, left_s, now) if expected_s > left_s else None


def queue_full(waiting: int, pace: float | None, now: float) -> Overloaded:
    """The error for a request that finds the queue for a slot full."""
    hint_s = HINT_S if pace is None else min(HINT_MAX_S, 1.0 / pace)
    return Overloaded(
        f"{waiting} requests wait for a slot already. Shed this one, try again in {hint_s:.1f} s, "
        "or raise `queue_capacity`.",
        retry_at=now + hint_s,
        retry_after_s=hint_s,
    )


def too_late(ahead: int, expected_s: float, left_s: float, now: float) -> Overloaded:
    """The error for a request whose turn would come when there is no time left for it."""
    hint_s = min(HINT_MAX_S, expected_s - left_s)
    return Overloaded(
        f"{ahead} requests wait for a slot before this one: its turn is expected in "
        f"{expected_s:.1f} s, and its deadline leaves {left_s:.1f} s. Shed it, try again in "
        f"{hint_s:.1f} s, or allow more time.",
        retry_at=now + hint_s,
        retry_after_s=hint_s,
    )


def worth_waiting_for(flight: Flight, decision: Decision, now: float) -> list[Candidate]:
    """Who may serve this flight as soon as they have a slot.

    Not whom it tried, but for the one it asks again; nor who seems free but refused all the same
    (its actor is down, it is too dear): being woken for such a one would lead straight back into
    the queue. Who falls back on nobody waits for the one it asks again, and for no one else.
    """
    if flight.retries_here and not flight.fallback:
        return [flight.tried[-1]]
    done = flight.tried[:-1] if flight.retries_here else flight.tried
    return [
        each
        for each in decision.route.candidates
        if each not in done
        and (decision.left_out.get(each.name) in ONLY_BUSY or each.refusal(now) is not None)
    ]
