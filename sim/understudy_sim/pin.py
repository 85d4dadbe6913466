"""The only module that touches trio's private parts: two names, which its own tests pin too.

trio steps the tasks that are ready together in batches, in an order of its own choosing. With
`_ALLOW_DETERMINISTIC_SCHEDULING` it sorts each batch by age and hands it to `_r.shuffle`; whoever
stands in for `_r` decides the order. Everything else that a simulation needs of trio is public.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Final, TypeAlias

import trio
from trio._core import _run

FLAG: Final = "_ALLOW_DETERMINISTIC_SCHEDULING"
DICE: Final = "_r"

Order: TypeAlias = Callable[[list[trio.lowlevel.Task]], None]
"""Puts one batch, sorted from the oldest task to the youngest, into the order wanted, in place.
trio steps it from its end. It must not raise."""


class PinFailed(RuntimeError):
    """This trio cannot be made deterministic."""


class _Dice:
    """Stands in for trio's random numbers: `shuffle` is the hook, the rest is a constant."""

    def __init__(self, order: Order) -> None:
        self.shuffle = order

    def random(self) -> float:
        return 0.5

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


@contextlib.contextmanager
def pinned(order: Order, *, where: ModuleType = _run) -> Iterator[None]:
    """Let `order` decide the order of every batch of every `trio.run` inside the block.

    It holds for the whole process: while it lasts, no other thread may run trio.

    Args:
        order: Called with each batch.
        where: The module with the two names; another one in tests only.

    Raises:
        PinFailed: trio lacks one of the names, or is pinned already. Nothing changed.
    """
    for name in (FLAG, DICE):
        if not hasattr(where, name):
            raise PinFailed(
                f"trio {trio.__version__} has no {where.__name__}.{name}, so the order of its "
                "tasks cannot be set and no run would be repeatable. Install a version of trio "
                "that the tests of understudy_sim pass with."
            )
    flag, dice = getattr(where, FLAG), getattr(where, DICE)
    if isinstance(dice, _Dice):
        raise PinFailed(
            "a simulation is running in this process already, and they would mix. "
            "Run one after the other, or in processes of their own."
        )
    setattr(where, FLAG, True)
    setattr(where, DICE, _Dice(order))
    try:
        yield
    finally:
        setattr(where, FLAG, flag)
        setattr(where, DICE, dice)
