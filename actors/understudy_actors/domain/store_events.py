"""What happens to the store."""

from __future__ import annotations

from understudy_actors.domain.events import Event


class StoreOpened(Event, frozen=True, kw_only=True, tag="store.opened"):
    """What an earlier process kept was taken over.

    `states` is how many keys it held; `unknown_micro_usd` what was charged, over all budgets, for
    attempts that were under way when that process ended.
    """

    batch: int
    states: int
    unknown_micro_usd: int


class BooksTaken(Event, frozen=True, kw_only=True, tag="store.books"):
    """A budget goes on where an earlier process left it, in the window that begins at `since`.

    `micro_usd` is spent in it, `unknown` of which nobody knows of.
    """

    budget: str
    scope: str
    since: float
    micro_usd: int
    unknown: int


class LimitTaken(Event, frozen=True, kw_only=True, tag="store.limit"):
    """An endpoint's concurrency limit goes on where an earlier process left it.

    It grows by one for a success up to `threshold`; None: without end.
    """

    endpoint: str
    limit: float
    threshold: float | None


class HoldTaken(Event, frozen=True, kw_only=True, tag="store.hold"):
    """A scope goes on being held for what an earlier process was told, or its end to be proven."""

    scope: str
    why: str


class StoreKept(Event, frozen=True, kw_only=True, tag="store.kept"):
    """A batch was written; all that happened until `gathered_at_s` outlives the process."""

    batch: int
    states: int
    entries: int
    gathered_at_s: float


class StoreFailing(Event, frozen=True, kw_only=True, tag="store.failing"):
    """The store cannot be written; told of once, until it can be again."""

    why: str
    durability: str


class StoreWorking(Event, frozen=True, kw_only=True, tag="store.working"):
    """The store can be written again, after so many seconds."""

    after_s: float
