"""What of an engine is kept, and what of an earlier process it goes on with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import attrs
import msgspec
from msgspec.structs import replace

from understudy.config import Config, StoreConfig
from understudy.store.port import Store
from understudy.store.writer import Writer
from understudy_actors.domain.errors import StoreFailed
from understudy_actors.domain.store_events import BooksTaken, StoreOpened
from understudy_actors.keeper.actor import Desk, Keeper
from understudy_actors.keeper.batch import Addend, Saved
from understudy_actors.keeper.outbox import Changes, Outbox, Source, Unready
from understudy_actors.ledger import books
from understudy_actors.ledger.account import Account
from understudy_actors.ledger.actor import BooksKept, GatherBooks
from understudy_actors.ledger.books import AccountBooks
from understudy_actors.provider import remembered
from understudy_actors.provider.account import ProviderSnapshot
from understudy_actors.provider.remembered import Remembered, recall, remember
from understudy_actors.runtime.actor import ChildSpec, Ref, Start
from understudy_actors.runtime.errors import ActorError
from understudy_actors.runtime.mailbox import Lane
from understudy_actors.runtime.ports import Clock
from understudy_actors.runtime.supervisor import Supervisor
from understudy_actors.runtime.system import System
from understudy_actors.runtime.trace import Trace

T = TypeVar("T")


class Memory:
    """What provider actors would go on with after a crash: the same outlives the process."""

    def __init__(self, desk: Desk, clock: Clock) -> None:
        self._desk = desk
        self._clock = clock
        self._newest: dict[str, ProviderSnapshot] = {}

    def hear(self, name: str, snapshot: Any) -> None:
        """An actor saved a snapshot."""
        if isinstance(snapshot, ProviderSnapshot):
            self._newest[name] = snapshot
            self._desk.stirred()

    def gather(self, wall: float) -> Changes | None:
        """See `Source`."""
        if not self._newest:
            return None
        newest, self._newest = self._newest, {}
        now = self._clock.now()
        return Changes({name: remember(each, now, wall) for name, each in newest.items()})

    def kept(self) -> None:
        """See `Source`."""


@attrs.define(eq=False, slots=True)
class Money:
    """The ledger's books. While its actor is down, they wait in it."""

    desk: Desk
    ledger: Ref | None = None

    def gather(self, wall: float) -> Changes | None:  # noqa: ARG002
        """See `Source`."""
        if self.ledger is None:
            return None
        try:
            changes: Changes | None = self.ledger.ask_now(GatherBooks())
        except ActorError:
            self.desk.stirred()  # it stirs only once: ask again
            raise Unready from None
        return changes

    def kept(self) -> None:
        """See `Source`."""
        if self.ledger is not None:
            self.ledger.tell(BooksKept(), Lane.RESULTS)


@attrs.define(eq=False, slots=True)
class Stale:
    """Keys that nobody has known for longer than the retention: they are forgotten, once."""

    keys: list[str]

    def gather(self, wall: float) -> Changes | None:  # noqa: ARG002
        """See `Source`."""
        keys, self.keys = self.keys, []
        return Changes(dict.fromkeys(keys)) if keys else None

    def kept(self) -> None:
        """See `Source`."""


class Keeping:
    """An engine's store: what it held, the keeper, and the task that writes.

    Attributes:
        config: How.
        store: Where.
        saved: What it held.
        desk: Shared with those who lend money.
        keeper, writer, outbox: The actor, the task, and what they write; read only.
        place: Where, for people.
        taken: Budgets that go on, and what each was charged for what may have been spent.
    """

    def __init__(
        self, config: StoreConfig, store: Store, saved: Saved, supervisor: Supervisor, clock: Clock
    ) -> None:
        self.config = config
        self.store = store
        self.saved = saved
        self.desk = Desk(config.durability)
        self.taken: list[tuple[Account, int]] = []
        self.place = str(getattr(store, "name", "a store of one's own"))
        self._clock = clock
        self._memory = Memory(self.desk, clock)
        self.money = Money(self.desk)
        self._stale = Stale([])
        self._sources: list[Source] = [self.money, self._memory, self._stale]
        outbox = self.outbox = Outbox(saved.number, saved.seq)

        def start(begin: Start) -> Keeper:
            return Keeper(begin.context, outbox, self._sources, self.desk)

        self.keeper = supervisor.spawn(ChildSpec("keeper", start, max_restarts=5, period_s=30.0))
        self.writer = Writer(store, self.keeper, self.desk, clock, interval_s=config.interval_s)

    def add(self, source: Source) -> None:
        """Keep what somebody else owns, from the next batch on."""
        self._sources.append(source)

    def take_sums(self) -> tuple[Addend, ...]:
        """Every row of sums that was kept; asked for once, since they may be many."""
        sums, self.saved = self.saved.sums, replace(self.saved, sums=())
        return sums

    def tell_opened(self, trace: Trace) -> None:
        """Tell what was taken over."""
        now, saved = self._clock.now(), self.saved
        if trace.on:
            unknown = sum(each for _, each in self.taken)
            trace.emit(
                StoreOpened(
                    at_s=now,
                    batch=saved.number,
                    states=len(saved.states),
                    unknown_micro_usd=unknown,
                )
            )
        if trace.fine:
            for account, unknown in self.taken:
                trace.emit_fine(_taken(now, account, unknown))
            self.taken = []

    def listen(self, system: System) -> None:
        """Hear of every snapshot from now on."""
        system.on_save = self._memory.hear

    def books(self) -> list[AccountBooks]:
        """What earlier processes have spent.

        Raises:
            StoreFailed: That cannot be read: nobody may spend on.
        """
        return self.every(books.PREFIX, AccountBooks)

    def every(self, prefix: str, kind: type[T]) -> list[T]:
        """What an earlier process kept by keys that begin so.

        Raises:
            StoreFailed: One of it cannot be read.
        """
        return [self._read(key, kind) for key in self.saved.states if key.startswith(prefix)]

    def provider(self, name: str) -> ProviderSnapshot | None:
        """What an earlier process knew of a provider."""
        known = self.state(f"{remembered.PREFIX}{name}", Remembered)
        return None if known is None else recall(known, self._clock.now(), self._clock.wall())

    def state(self, key: str, kind: type[T]) -> T | None:
        """What an earlier process kept by a key; None if it did not.

        Raises:
            StoreFailed: It cannot be read.
        """
        return self._read(key, kind) if key in self.saved.states else None

    def forget_others(self, providers: Iterable[str]) -> None:
        """Forget the providers that are in no configuration any more, once the retention is over.

        Money is never forgotten: a budget that is taken out and put back must still hold.
        """
        known = {f"{remembered.PREFIX}{name}" for name in providers}
        until = self._clock.wall() - self.config.retention_s
        self._stale.keys += [
            key
            for key, at in self.saved.written.items()
            if key.startswith(remembered.PREFIX) and key not in known and at < until
        ]

    def _read(self, key: str, kind: type[T]) -> T:
        try:
            return msgspec.msgpack.decode(self.saved.states[key], type=kind)
        except msgspec.MsgspecError as error:
            raise StoreFailed(
                f"the store holds a state {key!r} that cannot be read ({error}): restore it from a "
                "copy, or name another store"
            ) from None


def _taken(now: float, account: Account, unknown: int) -> BooksTaken:
    window, limit = account.current, account.limit
    return BooksTaken(
        at_s=now,
        budget=str(limit),
        scope=str(limit.scope),
        since=window.span.start,
        micro_usd=window.spent,
        unknown=unknown,
    )


def keep(
    config: Config,
    kept: tuple[Store, Saved] | None,
    supervisor: Supervisor,
    system: System,
    clock: Clock,
) -> Keeping | None:
    """Start the keeper, before all whose state it keeps; None without a store."""
    if config.store is None or kept is None:
        return None
    keeping = Keeping(config.store, *kept, supervisor, clock)
    keeping.listen(system)
    keeping.forget_others(config.providers)
    return keeping
