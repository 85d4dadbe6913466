"""Going on with a text that is partly delivered: let through only what follows it."""

from __future__ import annotations

import attrs


class Diverged(Exception):
    """The text is another one than expected. Nothing of it was let through."""


@attrs.define(slots=True, eq=False)
class Splice:
    """Takes a text piece by piece and holds it back until it has repeated `expected` exactly.

    Law: what was let through, put behind `expected`, is the text that came in. What is held back is
    never longer than `expected`.
    """

    expected: str
    _seen: int = attrs.field(default=0, init=False)

    @property
    def joined(self) -> bool:
        """Has all of it been repeated?"""
        return self._seen == len(self.expected)

    def text(self, piece: str) -> str:
        """The part of `piece` that may be delivered.

        Raises:
            Diverged: It does not repeat what is expected.
        """
        seen, expected = self._seen, self.expected
        if seen == len(expected):
            return piece
        shared = min(len(piece), len(expected) - seen)
        if not expected.startswith(piece[:shared], seen):
            raise Diverged
        self._seen = seen + shared
        return piece[shared:]

    def other(self) -> None:
        """Something else than text comes: a function call, or the end.

        Raises:
            Diverged: Not all of the expected text was repeated.
        """
        if not self.joined:
            raise Diverged
