"""What a store keeps of accounts and budgets, for those who only look: no engine is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import attrs
import msgspec
from msgspec.structs import replace

from understudy.accounts.accounts import Accounts
from understudy.accounts.book import Book
from understudy.accounts.keeping import restore
from understudy.config import Config
from understudy.keys.offline import stored
from understudy.keys.opening import configured
from understudy.keys.ring import Ring
from understudy.keys.scopes import budgets_of
from understudy.projecting import BudgetProjection, budget_projection
from understudy.spending import BudgetStanding, budget_standing
from understudy.store.opening import url_of
from understudy.zones import IanaZone
from understudy_actors.domain.errors import ConfigError, StoreFailed
from understudy_actors.keeper.batch import Saved
from understudy_actors.ledger.account import Scope
from understudy_actors.ledger.books import PREFIX, AccountBooks, Keeping
from understudy_actors.ledger.money import Ledger, Standing
from understudy_actors.ledger.projection import Forecast
from understudy_actors.ledger.windows import Period, Span

UNKEPT: Final = (
    "nothing is kept: this configuration names no store, so what is counted ends with its process. "
    'Add `store = "understudy.db"` to it (or `[store]` with the `url` of a Postgres database)'
)


@attrs.frozen
class Kept:
    """What a store held at one moment.

    Attributes:
        accounts: Questions to what was counted.
        budgets: Every budget of the configuration, and of keys. What may still be charged for
            attempts that run, or that ran when the engine was killed, is reserved.
        projections: What each of them will have spent, in the same order.
    """

    accounts: Accounts
    budgets: tuple[BudgetStanding, ...]
    projections: tuple[BudgetProjection, ...]


def read_kept(config: Config, environ: Mapping[str, str], wall: Callable[[], float]) -> Kept:
    """Read the store that a configuration names, while an engine may write it.

    Raises:
        ConfigError: It names none.
        StoreFailed: There is none yet, or it cannot be read.
    """
    if config.store is None:
        raise ConfigError(UNKEPT)
    url = url_of(config.store, environ)
    from understudy.store.reading import look_into

    return kept_of(config, look_into(url), wall)


def kept_of(config: Config, saved: Saved, wall: Callable[[], float]) -> Kept:
    """What was saved, in the light of a configuration."""
    own = config.accounts
    book = Book(IanaZone(config.time_zone), days_max=own.days, users_max=own.users)
    restore(book, saved.sums)
    found = _standing(config, saved, wall())
    return Kept(
        accounts=Accounts(book, wall, config.time_zone),
        budgets=tuple(budget_standing(each) for each, _ in found),
        projections=tuple(budget_projection(*each) for each in found),
    )


def _standing(config: Config, saved: Saved, wall: float) -> list[tuple[Standing, Forecast]]:
    """Every budget with what was really spent; an engine that starts would charge more."""
    every = [_books(key, state) for key, state in saved.states.items() if key.startswith(PREFIX)]
    ring = Ring([*stored(saved), *configured(config)])
    ledger = Ledger(budgets_of(config, ring), IanaZone(config.time_zone))
    ledger.keep(Keeping(lambda: None), map(_spent_only, every), wall)
    may_spend = {
        (books.limit.scope, books.limit.period, window.span): window.cover - window.spent
        for books in every
        for window in books.windows
    }
    return [
        (replace(each, reserved=may_spend.get(_window(each), 0)), forecast)
        for each, forecast in ledger.forecasts(wall)
    ]


def _window(standing: Standing) -> tuple[Scope, Period, Span]:
    return standing.limit.scope, standing.limit.period, standing.window


def _spent_only(books: AccountBooks) -> AccountBooks:
    windows = tuple(replace(each, cover=each.spent) for each in books.windows)
    return replace(books, windows=windows)


def _books(key: str, state: bytes) -> AccountBooks:
    try:
        return msgspec.msgpack.decode(state, type=AccountBooks)
    except msgspec.MsgspecError as error:
        raise StoreFailed(
            f"the store holds a state {key!r} that cannot be read ({error})"
        ) from None
