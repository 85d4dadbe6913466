"""Faults planted in the store and in what is restored from it; each is noticed by a test."""

from __future__ import annotations

import importlib
import inspect
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
import trio
import trio.testing

from tests.engine.store import test_database as database, test_restart as restart
from tests.support.mutants import Mutant

Test: TypeAlias = Callable[..., Any]

_BREAKER: Final = partial(restart.test_an_open_breaker_stays_open_as_long_as_it_would_have, False)
_BACK: Final = partial(restart.test_a_wall_clock_that_was_set_back_lengthens_nothing, -7200.0, 40.0)

SEAMS: Final[dict[str, tuple[str, ...]]] = {
    "understudy_actors.keeper.outbox": ("understudy.store.keeping:Outbox",),
    "understudy_actors.keeper.actor": ("understudy.store.keeping:Keeper",),
    "understudy_actors.provider.remembered": (
        "understudy.store.keeping:recall",
        "understudy.store.keeping:remember",
    ),
    "understudy_actors.ledger.books": ("understudy_actors.ledger.money:take_over",),
    "understudy.store.keeping": ("understudy.assembly:keep",),
    "understudy.store.writer": ("understudy.store.keeping:Writer",),
    "understudy.store.database": ("tests.engine.store.test_database:Database",),
    "understudy.store.lock": ("understudy.store.database:FileLock",),
    "understudy.routing.durable": ("understudy.assembly:durable_of",),
    "understudy.routing.purse": ("understudy.spending:Purse",),
}

FAULTS: Final[list[tuple[str, str, str, str, Test]]] = [
    (
        "understudy_actors.provider.remembered",
        "times are not moved to the new clock",
        "by_s = now - remembered.now - max(0.0, wall - remembered.wall)",
        "by_s = 0.0",
        _BREAKER,
    ),
    (
        "understudy_actors.provider.remembered",
        "the time that was down does not count",
        "- max(0.0, wall - remembered.wall)",
        "",
        _BREAKER,
    ),
    (
        "understudy_actors.provider.remembered",
        "a wall clock set back lengthens a wait",
        "max(0.0, wall - remembered.wall)",
        "(wall - remembered.wall)",
        _BACK,
    ),
    (
        "understudy_actors.keeper.outbox",
        "a batch on its way is put together anew",
        "        if self.batch is not None:\n            return self.batch\n",
        "",
        restart.test_under_batched_a_broken_disk_stops_nobody_and_is_caught_up_with,
    ),
    (
        "understudy_actors.keeper.outbox",
        "entries have the same numbers again",
        "        self.seq += len(entries)\n",
        "",
        restart.test_a_write_that_took_effect_unheard_counts_once,
    ),
    (
        "understudy_actors.keeper.outbox",
        "the journal is told again",
        "        self._journal.clear()\n",
        "",
        restart.test_a_write_that_took_effect_unheard_counts_once,
    ),
    (
        "understudy_actors.keeper.outbox",
        "everybody hears of every failure",
        "news = self.failing is None",
        "news = True",
        restart.test_under_strict_a_broken_disk_stops_what_costs_money_and_says_so_once,
    ),
    (
        "understudy_actors.keeper.actor",
        "a store that is well again stays shut",
        "        self._desk.failing = None\n",
        "",
        restart.test_under_strict_a_broken_disk_stops_what_costs_money_and_says_so_once,
    ),
    (
        "understudy_actors.ledger.books",
        "a frozen budget thaws by itself",
        "frozen=books.frozen)",
        "frozen=False)",
        restart.test_a_frozen_budget_stays_frozen_until_thawed,
    ),
    (
        "understudy.store.keeping",
        "the retention forgets those who live",
        "and key not in known and at < until",
        "and at < until",
        restart.test_new_models_start_fresh_and_those_left_out_are_remembered_for_a_while,
    ),
    (
        "understudy.store.keeping",
        "the retention forgets nobody",
        "and key not in known and at < until",
        "and False",
        restart.test_new_models_start_fresh_and_those_left_out_are_remembered_for_a_while,
    ),
    (
        "understudy.store.writer",
        "a closing engine writes nothing",
        "            for _ in range(_LAST_BATCHES):\n",
        "            for _ in range(0):\n",
        restart.test_a_closed_engine_is_charged_what_it_spent_and_nothing_more,
    ),
    (
        "understudy.store.writer",
        "a write that failed is not tried again",
        "while not await self.write():",
        "if not await self.write():",
        restart.test_under_batched_a_broken_disk_stops_nobody_and_is_caught_up_with,
    ),
    (
        "understudy.routing.purse",
        "sent before it is covered",
        "and not answer.covered:",
        "and False:",
        restart.test_strict_answers_when_the_charge_is_written_and_not_before,
    ),
    (
        "understudy.routing.purse",
        "lent although nothing can be written",
        "if self._desk is not None and self._desk.failing is not None:",
        "if False:",
        restart.test_under_strict_a_broken_disk_stops_what_costs_money_and_says_so_once,
    ),
    (
        "understudy.routing.durable",
        "batched waits too",
        'or keeping.config.durability != "strict"',
        "",
        restart.test_batched_never_waits,
    ),
    (
        "understudy.store.database",
        "a batch counts twice",
        "            if newest == number:\n",
        "            if newest == number and False:\n",
        database.test_a_batch_that_is_written_again_changes_nothing,
    ),
    (
        "understudy.store.database",
        "the journal is deleted too early",
        "JOURNAL.c.at < batch.at - self._retention_s",
        "JOURNAL.c.at < batch.at",
        database.test_a_journal_is_kept_as_long_as_it_says_and_states_for_ever,
    ),
    (
        "understudy.store.lock",
        "two processes write one file",
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
        database.test_a_second_process_is_told_who_has_the_store,
    ),
]


def _run(test: Test) -> None:
    """Run a test as the conftest does; one that needs a store gets one in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "understudy.db"
        names = inspect.signature(test).parameters
        found: dict[str, Any] = {"path": path} if "path" in names else {}
        if "database" in names:
            found["database"], _ = database.opened(path)
        try:
            if inspect.iscoroutinefunction(getattr(test, "func", test)):
                trio.run(test, clock=trio.testing.MockClock(autojump_threshold=0))
            else:
                test(**found)
        finally:
            if "database" in found:
                found["database"].close()


@pytest.mark.parametrize(
    ("module", "name", "old", "new", "test"), FAULTS, ids=[name for _, name, *_ in FAULTS]
)
def test_a_planted_fault_is_noticed(
    module: str, name: str, old: str, new: str, test: Test, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty = Mutant(name, module, old, new).plant()
    for seam in SEAMS[module]:
        place, _, what = seam.partition(":")
        monkeypatch.setattr(importlib.import_module(place), what, getattr(faulty, what))
    with pytest.raises(BaseException) as noticed:  # noqa: PT011 - whatever shows it
        _run(test)
    assert not isinstance(noticed.value, KeyboardInterrupt | LookupError)
