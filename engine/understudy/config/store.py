"""Where an engine keeps what must outlive its process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeAlias

from msgspec import field

from understudy.config.faults import BadKey
from understudy.config.key import KeySource
from understudy.config.section import Section
from understudy.config.values import Seconds, Text

Durability: TypeAlias = Literal["batched", "strict"]


class StoreConfig(Section, frozen=True, kw_only=True):
    """The store: money, breakers, holds, scores and windows outlive the process in it.

    Attributes:
        path: The SQLite file, which is made if there is none; its folder must exist.
        url: A Postgres database instead, as "env:NAME_OF_VARIABLE" or "file:/path/to/file", since
            the URL holds a password.
        durability: `batched` writes behind, and a process that is killed may lose what happened
            within the last interval; `strict` writes before a request under a budget is sent, and
            before its answer is given.
        interval: How long changes are gathered before they are written.
        retention: For how long the journal is kept.
    """

    title: ClassVar[str] = "a store"
    should: ClassVar[str] = "the path of a file, or a table"

    path: Text | None = None
    url: KeySource | None = None
    durability: Durability = "batched"
    interval_s: Seconds = field(default=0.1, name="interval")
    retention_s: Seconds = field(default=90 * 86_400.0, name="retention")

    @classmethod
    def expand(cls, value: object) -> Mapping[Any, object] | None:
        """Read a path."""
        return {"path": value} if isinstance(value, str) else super().expand(value)

    def check(self) -> None:
        """A file or a database."""
        if self.path is not None and "://" in self.path:
            raise BadKey("must be the path of a file; a database stands under `url`", "path")
        if (self.path is None) == (self.url is None):
            raise BadKey('must name one place: `path = "understudy.db"`, or a database by `url`')
