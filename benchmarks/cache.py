"""What the response cache costs and saves: `python -m benchmarks.cache [--quick] [--json]`.

The provider is a function in this process that answers at once, so the routed call is the engine's
own share alone: a real provider takes ten thousand times as long. Hits are set against that routed
call, and against what one would write by hand: a dict of JSON texts under the JSON of the request,
without time to live, bounds, compression, statistics or accounting. Sizes are those of answers as
they are kept, against the same as msgpack without compression; times of packing are per answer.
CPU time of this process, median of several rounds.
"""

from __future__ import annotations

import statistics
import time
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import trio

from benchmarks.overhead import configuration, crowd, instant
from benchmarks.report import Record, command, record
from understudy import ChatOutput, Engine, Request, Usage, open_engine
from understudy.cache.codec import LEVEL, encoded, entry_of
from understudy.cache.shelf import OVERHEAD_BYTES
from understudy_actors.domain.result import EmbeddingOutput
from understudy_actors.runtime.ports import Randomness

COMMON: Final = (
    "the of a to and in that is for it as with was on be by are this from or an at which have has "
    "not model answer because however provider request question example result value system time "
    "number first second every other under between energy quantum state function therefore"
)
WORDS: Final = COMMON.split()
ANSWER: Final = ChatOutput("ok")
QUESTION: Final = Request.chat("hi")
HIT_SHARE: Final = 0.5
"""A hit should cost at most this share of the engine's part of a routed call."""


def prose(chars: int, seed: int = 1) -> str:
    """Text with the statistics of words, if not of thought."""
    randomness = Randomness(seed)
    words, length, number = list[str](), 0, 0
    while length < chars:
        word = WORDS[int(randomness.uniform("word", number) ** 2 * len(WORDS))]
        if not number % 12:
            word = f"{word}. {number}"
        words.append(word)
        length, number = length + len(word) + 1, number + 1
    return " ".join(words)[:chars]


def vectors(count: int, size: int) -> EmbeddingOutput:
    """Embeddings: hardly anything to compress."""
    randomness = Randomness(2)
    return EmbeddingOutput(
        tuple(
            tuple(randomness.uniform(f"v{n}", i) - 0.5 for i in range(size)) for n in range(count)
        )
    )


class ByHand:
    """The cache that one writes in a minute."""

    def __init__(self) -> None:
        self._answers: dict[bytes, bytes] = {}

    async def route(self, request: Request) -> Any:
        """Answer from the dict, else ask."""
        key = msgspec.json.encode(request)
        known = self._answers.get(key)
        if known is None:
            answer = await instant(request)
            self._answers[key] = msgspec.json.encode(answer)
            return answer
        return msgspec.json.decode(known, type=ChatOutput)


async def per_call(once: Callable[[], Awaitable[Any]], calls: int, rounds: int) -> float:
    """CPU microseconds a call."""
    await crowd(1, calls // 10, once)
    return statistics.median([await crowd(1, calls, once) for _ in range(rounds)])


async def hits(calls: int, rounds: int) -> list[Record]:
    """A hit, a miss, and a call with the cache off, against one another and a dict."""
    hand = ByHand()
    by_hand = await per_call(lambda: hand.route(QUESTION), calls, rounds)
    async with open_engine(configuration(2, instant)) as engine:
        engine.listen(lambda _seq, _event: None, fine=False)
        routed = await per_call(lambda: engine.route(QUESTION), calls, rounds)
    async with open_engine({**configuration(2, instant), "cache": True}) as engine:
        engine.listen(lambda _seq, _event: None, fine=False)
        hit = await per_call(lambda: engine.route(QUESTION), calls, rounds)
        assert (await engine.route(QUESTION)).cached
        bypassed = Request.chat("hi", cache="bypass")
        aside = await per_call(lambda: engine.route(bypassed), calls, rounds)
        miss = await per_call(_always_new(engine), calls, rounds)
    return [
        record("a hit, to the routed call", hit, "us", baseline=routed, budget=routed * HIT_SHARE),
        record("a hit, to a dict of JSON", hit, "us", baseline=by_hand),
        record("a request that bypasses it, to the routed call", aside, "us", baseline=routed),
        record("a miss that is kept, to the routed call", miss, "us", baseline=routed),
    ]


def _always_new(engine: Engine) -> Callable[[], Awaitable[Any]]:
    number = 0

    async def once() -> None:
        nonlocal number
        number += 1
        await engine.route(Request.chat(str(number)))

    return once


def sizes(rounds: int) -> list[Record]:
    """What is kept of answers of several kinds, and what packing and unpacking takes."""
    records: list[Record] = []
    answers: dict[str, Any] = {
        "a short answer (200 characters)": ChatOutput(prose(200)),
        "an answer of 4,000 characters": ChatOutput(prose(4_000)),
        "an answer of 40,000 characters": ChatOutput(prose(40_000)),
        "10 vectors of 1,536 numbers": vectors(10, 1_536),
    }
    for name, output in answers.items():
        raw = encoded("openai", "gpt-5.4-mini", Usage(100, 1000), output)
        assert raw is not None
        packed = zlib.compress(raw, LEVEL)
        entry = entry_of(raw, 0, 0.0, 1.0, 0.0)
        without = float(OVERHEAD_BYTES + len(raw))
        records.append(record(f"{name}: kept", entry.size, "bytes", baseline=without))
        usual = zlib.compress(raw, 6)
        pack = _us(lambda raw=raw: zlib.compress(raw, LEVEL), rounds)  # type: ignore[misc]
        pack6 = _us(lambda raw=raw: zlib.compress(raw, 6), rounds)  # type: ignore[misc]
        records.append(
            record(f"{name}: packed, to level 6", len(packed), "bytes", baseline=float(len(usual)))
        )
        records.append(record(f"{name}: packing, to level 6", pack, "us", baseline=pack6))
        unpack = _us(lambda packed=packed: zlib.decompress(packed), rounds)  # type: ignore[misc]
        records.append(record(f"{name}: unpacking", unpack, "us"))
    return records


def _us(once: Callable[[], object], rounds: int) -> float:
    """CPU microseconds of one call."""
    taken: list[float] = []
    for _ in range(rounds):
        started = time.process_time()
        for _ in range(20):
            once()
        taken.append((time.process_time() - started) / 20 * 1e6)
    return statistics.median(taken)


async def main(quick: bool) -> list[Record]:
    """Everything."""
    calls, rounds = (1_000, 3) if quick else (10_000, 7)
    return [*await hits(calls, rounds), *sizes(rounds)]


if __name__ == "__main__":
    command(
        "cache",
        __doc__,
        lambda quick: trio.run(main, quick),
        "CPU us a call, bytes an entry; baseline: what stands in the case, else uncompressed",
    )
