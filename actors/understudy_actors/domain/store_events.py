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
