"""Answers piece by piece.

How it fits together, from the wire to the caller:

- `channel` is one answer under way: bytes of the transport through an adapter's pure reader, or a
  whole answer of an adapter that cannot stream.
- `attempt` reads a channel under one permit, and settles it exactly once, in the same turn in which
  it ends, however it ends. `silence` tells it how long to wait, and learns from how long it did.
- `rescue` decides, as a pure function, how somebody else may go on with an answer that broke off;
  `splice` is the machine that lets only the part through that was not delivered yet.
- `replay` makes pieces of an answer that is there already: out of the cache, or configured.
- `stream` is what the caller iterates over; `delivered` is what it has got. It has no loop over
  candidates of its own: whenever an answer is to be begun it calls the same request loop that whole
  answers go through, which asks one candidate after the other until one has a first piece.

There is no task beside the caller's: a piece is read when the caller asks for the next one, so a
slow caller slows the provider down and nothing piles up here. Between two pieces no cancel scope is
open, because the caller's own code runs there; each read has one of its own.
"""
