"""A progress bar for whatever takes longer than two seconds.

It is on stderr, and only where that is a terminal. A thread of its own draws it, since a simulated
run keeps this one busy.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Final

from understudy.cli.output import console

AFTER_S: Final = 2.0
EVERY_S: Final = 0.1


@contextlib.contextmanager
def progress(what: str, total: float | None, done: Callable[[], float]) -> Iterator[None]:
    """Show how far the work in this block is.

    Args:
        what: A few words.
        total: What `done` returns in the end; None if nobody knows.
        done: How far it is; called from another thread.
    """
    if not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    drawing = threading.Thread(target=_draw, args=(what, total, done, over), daemon=True)
    drawing.start()
    try:
        yield
    finally:
        over.set()
        drawing.join()


def _draw(what: str, total: float | None, done: Callable[[], float], over: threading.Event) -> None:
    if over.wait(AFTER_S):
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    known = "{task.percentage:>3.0f} %" if total is not None else "{task.completed:.0f}"
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn(known), TimeElapsedColumn()
    )  # fmt: skip
    screen = console(sys.stderr)
    with Progress(*columns, console=screen, transient=True, auto_refresh=False) as bar:
        task = bar.add_task(what, total=total)
        while not over.wait(EVERY_S):
            reached = done() if total is None else min(total, done())
            bar.update(task, completed=reached, refresh=True)
