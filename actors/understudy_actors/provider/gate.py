"""What every gate answers when it does not let an attempt pass."""

from __future__ import annotations

from msgspec import Struct


class Refusal(Struct, frozen=True, gc=False):
    """A gate said no; asking changed nothing.

    Attributes:
        retry_at: When this gate may answer otherwise, in seconds on the engine's clock; None if
            no time will change it, only a hand.
        why: `open`, `probing`, `isolated`, or what the hold says.
    """

    retry_at: float | None
    why: str
