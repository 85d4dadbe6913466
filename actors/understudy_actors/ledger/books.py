"""What of the ledger outlives its process: how much each window has spent, and may have spent.

    cover of a window = spent + reserved + what was lent since the last time, or in the time before
                        that, whichever is more, within the limit

The cover is written ahead of need. Whoever is killed may have spent anything up to it, and since
nobody knows how much, all of it is charged at the next start: so spent + reserved never exceeds a
limit, whatever dies when. An attempt for which the cover that is written suffices may go out at
once; `Reserved.covered` says whether it does.

The share that is ahead of need follows the traffic. It is given back with the next batch after it,
so that an engine at rest, or one that was closed, is charged nothing when it starts anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import attrs
from msgspec import Struct

from understudy_actors.keeper.outbox import Changes
from understudy_actors.ledger.account import Account, Limit, Scope, Window
from understudy_actors.ledger.windows import Period, Span

if TYPE_CHECKING:
    from understudy_actors.ledger.money import Charged

PREFIX: Final = "account/"
_NAME_MAX: Final = 200


class WindowBooks(Struct, frozen=True):
    """One window; money in micro-USD. `cover` is what it may have spent at most.

    For `profile` and `first_at` see `Window`; what nobody knows of is in no profile.
    """

    span: Span
    spent: int
    cover: int
    charges: int
    told: int
    profile: dict[int, int] = {}
    first_at: float | None = None


class AccountBooks(Struct, frozen=True):
    """One limit: its windows that still count, the current one last, and the one before it."""

    limit: Limit
    frozen: bool
    windows: tuple[WindowBooks, ...]
    previous: WindowBooks | None = None


class Charge(Struct, frozen=True):
    """An entry of the journal: an attempt was charged; `known` is False for its worst case."""

    request: str
    attempt: int
    micro_usd: int
    known: bool
    budgets: tuple[Limit, ...]


class Unknown(Struct, frozen=True):
    """An entry of the journal: at a start, a budget was charged what may have been spent."""

    budget: Limit
    micro_usd: int


def key_of(scope: Scope, period: Period) -> str:
    """The key of an account; names that are long or strange stand for themselves by a digest."""
    name = scope.name
    if len(name) > _NAME_MAX or not name.isascii() or not name.isprintable() or "~" in name:
        name = "~" + blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{PREFIX}{scope.kind}/{period.value}/{name}"


@attrs.define(eq=False, slots=True)
class Keeping:
    """Notes which accounts changed, for whoever writes them.

    Attributes:
        stir: Called when there is something to write.
        hurry: Called when more was lent than a store knows of: it should learn of it at once.
    """

    stir: Callable[[], None]
    hurry: Callable[[], None] = lambda: None
    _changed: dict[Account, None] = attrs.Factory(dict)
    _ahead: dict[Account, None] = attrs.Factory(dict)  # written with more than they need
    _pending: list[tuple[Window, int]] = attrs.Factory(list)
    _gone: list[str] = attrs.Factory(list)
    _journal: list[tuple[float, str, Charge | Unknown]] = attrs.Factory(list)
    _settled: Sequence[Account] = ()

    def lent(self, accounts: Iterable[Account], amount: int) -> bool:
        """So much was reserved under each; True if the covers that are written suffice for it."""
        enough = True
        for each in accounts:
            window = each.current
            window.flow += amount
            enough = enough and window.spent + window.reserved <= window.covered
            self.touch(each)
        if not enough:
            self.hurry()
        return enough

    def charged(self, accounts: Sequence[Account]) -> None:
        """A reservation under these was settled."""
        self._settled = accounts
        for each in accounts:
            self.touch(each)

    def note(self, wall: float, charged: Charged, request: str, attempt: int) -> None:
        """Whose reservation it was that was settled last, for the journal."""
        if charged.amount:
            budgets = tuple(each.limit for each in self._settled)
            body = Charge(request, attempt, charged.amount, charged.known, budgets)
            self._journal.append((wall, "charge", body))

    def touch(self, account: Account) -> None:
        """Something else about an account changed."""
        if not self._changed:
            self.stir()
        self._changed[account] = None

    def unknown(self, wall: float, account: Account, micro_usd: int) -> None:
        """What may have been spent was charged at the start."""
        self._journal.append((wall, "unknown", Unknown(account.limit, micro_usd)))
        self.touch(account)

    def forget(self, account: Account) -> None:
        """An account was given up: nobody has spent anything under it."""
        self._changed.pop(account, None)
        self._ahead.pop(account, None)
        self._gone.append(key_of(account.limit.scope, account.limit.period))
        self.stir()

    def gather(self) -> Changes | None:
        """What changed since the last time, and how far each account may go from here."""
        if not self._changed and not self._gone and not self._journal:
            return None
        changes = Changes(dict.fromkeys(self._gone), self._journal)
        changed, self._changed, self._gone, self._journal = self._changed, {}, [], []
        for account in changed:
            limit = account.limit
            changes.states[key_of(limit.scope, limit.period)] = self._books(account)
        return changes

    def kept(self) -> None:
        """What was gathered last is written."""
        for window, cover in self._pending:
            window.covered = cover
        self._pending.clear()
        ahead, self._ahead = self._ahead, {}
        for each in ahead:
            self.touch(each)

    def _books(self, account: Account) -> AccountBooks:
        windows = []
        for window in account.windows():
            need = window.spent + window.reserved
            flow = max(window.flow, window.flow_before)
            ahead = min(flow, max(0, account.limit.micro_usd - need))
            if ahead:
                self._ahead[account] = None
            window.flow_before, window.flow = window.flow, 0
            window.covered = min(window.covered, need + ahead)
            self._pending.append((window, need + ahead))
            windows.append(_window(window, need + ahead))
        before = account.previous
        previous = None if before is None else _window(before, before.spent + before.reserved)
        return AccountBooks(_plain(account.limit), account.frozen, tuple(windows), previous)


def take_over(account: Account, books: AccountBooks) -> int:
    """Go on with what an earlier process kept, charging what it may have spent.

    Returns:
        How many micro-USD were charged that nobody knows of.
    """
    windows = [_restored(each) for each in books.windows]
    previous = None if books.previous is None else _restored(books.previous)
    if len(windows) > 1 and previous is not None:
        older = {each.span.start: each for each in windows}
        previous = older.get(previous.span.start, previous)
    account.take_over(windows[-1] if windows else None, previous, frozen=books.frozen)
    return sum(each.cover - each.spent for each in books.windows)


def _restored(books: WindowBooks) -> Window:
    unknown = books.cover > books.spent
    return Window(
        books.span,
        spent=books.cover,
        charges=books.charges + unknown,
        told=books.told,
        covered=books.cover,
        profile=dict(books.profile),
        first_at=books.first_at,
    )


def _window(window: Window, cover: int) -> WindowBooks:
    return WindowBooks(
        window.span,
        window.spent,
        cover,
        window.charges,
        window.told,
        dict(window.profile),
        window.first_at,
    )


def _plain(limit: Limit) -> Limit:
    """A name that no encoding takes is written as it can be."""
    name = limit.scope.name.encode("utf-8", "replace").decode()
    if name == limit.scope.name:
        return limit
    return Limit(Scope(limit.scope.kind, name), limit.period, limit.micro_usd)
