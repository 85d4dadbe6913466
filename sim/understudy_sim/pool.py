"""Executors of a campaign: what takes chunks of seeds and gives back what came of them.

One more executor, on many machines, is a function like `here` that hands `run_chunk` to a cluster.
"""

from __future__ import annotations

import faulthandler
import gc
import itertools
import multiprocessing
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Final, TypeAlias

import attrs

from understudy_sim.examine import Item, run_chunk

Chunk: TypeAlias = Sequence[Item]
Told: TypeAlias = list[dict[str, Any]] | None
"""What `run_chunk` returned; None for a chunk of one item whose process died of it."""
Executor: TypeAlias = Callable[[Iterable[Chunk], str], Iterator[tuple[Chunk, Told]]]
"""Takes chunks and the name of a lab. It draws a chunk only when it can begin with it, and may give
the chunks back in any order, or split."""

CHUNKS_PER_WORKER: Final = 100
STUCK_S: Final = 120.0
"""Real seconds that a chunk may take. It ends by itself long before: time in it is virtual."""


def here(chunks: Iterable[Chunk], lab: str) -> Iterator[tuple[Chunk, Told]]:
    """Run everything in this process, in order."""
    for chunk in chunks:
        yield chunk, run_chunk(chunk, lab)


@attrs.frozen
class Pool:
    """Runs chunks in processes of this machine.

    They are spawned, not forked: a forked process would inherit a heap that nobody can set up
    again. They are replaced after `recycle` chunks each; one whose chunk takes `stuck_s` real
    seconds is ended.
    """

    jobs: int
    recycle: int = CHUNKS_PER_WORKER
    stuck_s: float = STUCK_S

    def __call__(self, chunks: Iterable[Chunk], lab: str) -> Iterator[tuple[Chunk, Told]]:
        """See `Executor`."""
        source = iter(chunks)
        while (first := next(source, None)) is not None:
            lost: list[Chunk] = []
            rest = itertools.islice(source, self.recycle * self.jobs - 1)
            yield from self._round(itertools.chain([first], rest), lab, lost)
            for chunk in lost:
                yield from self._one_by_one(chunk, lab)

    def _round(
        self, source: Iterator[Chunk], lab: str, lost: list[Chunk]
    ) -> Iterator[tuple[Chunk, Told]]:
        """Until the source is empty, or a process died: then `lost` has what it did not do."""
        with self._workers(self.jobs) as workers:
            under_way: dict[Future[list[dict[str, Any]]], Chunk] = {}
            try:
                while not lost:
                    while len(under_way) < 2 * self.jobs and (drawn := next(source, None)):
                        lost.append(drawn)  # until it is under way
                        under_way[workers.submit(_work, drawn, lab, self.stuck_s)] = lost.pop()
                    if not under_way:
                        return
                    for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                        chunk = under_way.pop(future)
                        if isinstance(future.exception(), BrokenProcessPool):
                            lost.append(chunk)
                        else:
                            yield chunk, future.result()
                lost += under_way.values()
            except BrokenProcessPool:  # it broke between two chunks
                lost += under_way.values()
            finally:
                workers.shutdown(wait=True, cancel_futures=True)

    def _one_by_one(self, chunk: Chunk, lab: str) -> Iterator[tuple[Chunk, Told]]:
        """Find the items of which a process dies, by halves."""
        try:
            with self._workers(1) as workers:
                told: Told = workers.submit(_work, chunk, lab, self.stuck_s).result()
        except BrokenProcessPool:
            told = None
        if told is not None or len(chunk) == 1:
            yield chunk, told
            return
        middle = len(chunk) // 2
        yield from self._one_by_one(chunk[:middle], lab)
        yield from self._one_by_one(chunk[middle:], lab)

    def _workers(self, jobs: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            jobs,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_settle,
        )


def _settle() -> None:
    """Everything is imported; none of it is ever to be looked at by the garbage collector."""
    gc.collect()
    gc.freeze()


def _work(chunk: Chunk, lab: str, stuck_s: float) -> list[dict[str, Any]]:
    faulthandler.dump_traceback_later(stuck_s, exit=True, file=sys.__stderr__ or sys.stderr)
    try:
        return run_chunk(chunk, lab)
    finally:
        faulthandler.cancel_dump_traceback_later()
