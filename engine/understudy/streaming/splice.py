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


@attrs.define(slots=True, eq=False)
class Echo:
    """The same for a target that was given `delivered` to continue: some repeat it, most do not.

    As long as its text could be a repetition it is held back. If it is one, what follows it is let
    through; if not, all of it is a continuation, and goes through `otherwise`.

    Law: what was let through is what came in without `delivered` before it, or else what
    `otherwise` made of it. What is held back is never longer than `delivered`.
    """

    delivered: str
    otherwise: Splice
    _held: str = attrs.field(default="", init=False)
    _repeats: bool | None = attrs.field(default=None, init=False)

    @property
    def joined(self) -> bool:
        """Is it clear what goes on from where?"""
        return self._repeats is True or (self._repeats is False and self.otherwise.joined)

    def text(self, piece: str) -> str:
        """The part of what came that may be delivered.

        Raises:
            Diverged: It neither repeats nor continues what was delivered.
        """
        if self._repeats is True:
            return piece
        if self._repeats is False:
            return self.otherwise.text(piece)
        held, delivered = self._held + piece, self.delivered
        if len(held) < len(delivered) and delivered.startswith(held):
            self._held = held
            return ""
        self._repeats, self._held = held.startswith(delivered), ""
        return held[len(delivered) :] if self._repeats else self.otherwise.text(held)

    def other(self) -> None:
        """Something else than text comes: a function call, or the end.

        Raises:
            Diverged: It is not clear what goes on from where.
        """
        if not self.joined:
            raise Diverged
