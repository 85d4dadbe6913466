"""What happens in the queue for a slot, as events."""

from __future__ import annotations

from understudy_actors.dispatcher.order import Waiter
from understudy_actors.dispatcher.queue import Promise
from understudy_actors.domain.events import Event
from understudy_actors.domain.waiting_events import Queued, QueueLeft, Unqueued


def turn_of(promise: Promise, now: float) -> Event:
    """Somebody's turn has come; if it had left without a word, that."""
    waiter, candidate = promise.waiter, promise.candidate
    name, ticket = waiter.name, waiter.ticket
    if candidate is None:
        return QueueLeft(at_s=now, request=name, ticket=ticket)
    return Unqueued(
        at_s=now,
        request=name,
        ticket=ticket,
        endpoint=candidate.name,
        band=waiter.band,
        waited_s=now - waiter.since,
    )


def queued(waiter: Waiter, now: float) -> Event:
    """It waits for a slot."""
    return Queued(
        at_s=now,
        request=waiter.name,
        ticket=waiter.ticket,
        wanted=tuple(each.name for each in waiter.wanted),
        since=waiter.since,
        deadline=waiter.deadline,
        priority=waiter.priority,
        tenant=waiter.tenant,
        tokens=waiter.tokens,
    )
