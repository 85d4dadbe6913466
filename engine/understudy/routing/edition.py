"""How many requests of one configuration are under way, once another one took over."""

from __future__ import annotations

import attrs
import trio


@attrs.define(eq=False, slots=True)
class Edition:
    """The requests that were accepted under one configuration.

    Attributes:
        generation: The configuration's, from 0.
        running: How many are under way; counted only once another configuration took over.
        over: Set then, when the last one has ended.
    """

    generation: int = 0
    running: int = 0
    over: trio.Event = attrs.Factory(trio.Event)

    def leave(self, running: int) -> None:
        """Another configuration takes over; so many are under way."""
        self.running = running
        if not running:
            self.over.set()

    def ended(self) -> None:
        """One of them has its outcome."""
        self.running -= 1
        if not self.running:
            self.over.set()
