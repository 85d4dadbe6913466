"""What a fault does to an answer that a provider made, or would have made."""

from __future__ import annotations

from typing import Final

from understudy_sim.fault_kinds import Cut, Drip, FailingFault, Ghost, Malformed, Stall

_READABLE: Final = frozenset({"absurd_usage", "bad_event", "unmarked"})


def harmless(fault: FailingFault) -> bool:
    """Whether the answer can be read all the same."""
    if isinstance(fault, Stall):
        return fault.lasts_s is not None
    return isinstance(fault, Malformed) and fault.variant in _READABLE


def works(fault: FailingFault) -> bool:
    """Whether the provider does the work before the fault shows."""
    return isinstance(fault, Stall | Drip | Cut | Malformed | Ghost)
