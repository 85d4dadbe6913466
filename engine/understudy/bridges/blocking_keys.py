"""The keys of an engine for programs of threads: the same verbs, and none is awaited."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from understudy.bridges.threadrun import ThreadRun
from understudy.config.terms import KeyTerms
from understudy.engine import Engine
from understudy.keys.keys import GRACE_S, Issued, Keys, KeyView
from understudy.keys.ring import KeyRecord


class BlockingKeys:
    """See `Keys`."""

    def __init__(self, keys: Keys, run: ThreadRun[Engine]) -> None:
        self._keys = keys
        self._run = run

    def every(self) -> tuple[KeyView, ...]:
        """See `Keys.every`."""
        return self._run.do(self._keys.every)

    def show(self, name: str) -> KeyView:
        """See `Keys.show`."""
        return self._run.do(self._keys.show, name)

    def create(
        self, name: str | None, terms: KeyTerms, *, expires_at: float | None = None
    ) -> Issued:
        """See `Keys.create`."""
        return self._run.run(partial(self._keys.create, name, terms, expires_at=expires_at))

    def change(self, name: str, change: Callable[[KeyRecord], KeyRecord]) -> KeyView:
        """See `Keys.change`."""
        return self._run.run(self._keys.change, name, change)

    def revoke(self, name: str) -> KeyView:
        """See `Keys.revoke`."""
        return self._run.run(self._keys.revoke, name)

    def rotate(self, name: str, grace_s: float = GRACE_S) -> Issued:
        """See `Keys.rotate`."""
        return self._run.run(self._keys.rotate, name, grace_s)
