"""What a gateway adds to a request: `python -m benchmarks.gateway [--quick] [--json]`.

Callers ask a provider in another process, which answers at once, over loopback: straight, through
`understudy serve`, and through LiteLLM's proxy and Portkey's gateway where `make bench-peers` has
installed them; each has one worker. Before each number of callers some seconds go by unmeasured.

- requests a second, p50 and p99 of what an answer takes: callers ask again as soon as they are
  answered. CPU microseconds of the service for a request tell the same whatever else runs here.
- added at half of its peak: p99 through ours minus p99 straight, at half of the rate that ours had
  with 32 callers
- first token: the first piece of a streamed answer, beside the same straight
- memory of the process when it is ready, and after all of it; seconds from its start until ready
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop

from benchmarks.clients import Found, load
from benchmarks.report import Record, command, record
from benchmarks.services import PEERS, Service, running
from benchmarks.upstream import PATH, QUESTION, upstream

CALLERS: Final = (1, 32, 256)
TIMES_LITELLM: Final = 10.0
ADDED_P99_MS: Final = 5.0
IDLE_MB: Final = 80.0
READY_S: Final = 1.0
OURS: Final = "understudy"


def asked(service: Service, *, streamed: bool = False) -> bytes:
    """A request as bytes."""
    body = msgspec.json.encode({**QUESTION, "stream": True} if streamed else QUESTION)
    headers = {"content-type": "application/json", **service.headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    begin = f"POST {PATH} HTTP/1.1\r\nhost: 127.0.0.1:{service.port}\r\n{head}"
    return f"{begin}content-length: {len(body)}\r\n\r\n".encode() + body


def run(work: Coroutine[Any, Any, Found]) -> Found:
    """On the fastest loop that there is."""
    return uvloop.run(work)


class Measured:
    """What one service did: `whole` and `first` by the number of callers."""

    def __init__(self, service: Service, lasts_s: float) -> None:
        self.service = service
        self.idle_mb = service.memory_mb()
        self.whole: dict[int, Found] = {}
        self.first: dict[int, Found] = {}
        self.cpu_us: dict[int, float] = {}
        whole, streamed = asked(service), asked(service, streamed=True)
        for callers in CALLERS:
            run(load(service.port, whole, callers, lasts_s=lasts_s / 3))
            before = service.cpu_s()
            found = run(load(service.port, whole, callers, lasts_s=lasts_s))
            spent = service.cpu_s() - before
            self.whole[callers] = found
            self.cpu_us[callers] = spent / max(1, len(found.taken_s)) * 1e6
            self.first[callers] = run(
                load(service.port, streamed, callers, lasts_s=lasts_s / 2, first=True)
            )
        self.loaded_mb = service.memory_mb()
        self.failed = sum(
            each.failed for found in (self.whole, self.first) for each in found.values()
        )

    def records(self, straight: Measured) -> Iterator[Record]:
        """All of it, beside the provider itself."""
        name = self.service.name
        for callers, found in self.whole.items():
            bare, at = straight.whole[callers], f"{name}, {callers} callers"
            yield record(f"{at}: requests", found.rate, "1/s", baseline=bare.rate)
            if self is straight:
                continue
            yield record(f"{at}: CPU of a request", self.cpu_us[callers], "us")
            for share in (0.5, 0.99):
                case = f"{at}: p{share * 100:g} of an answer"
                yield record(case, found.ms(share), "ms", baseline=bare.ms(share))
            if self.first[callers].taken_s:  # a peer may fail to stream
                first, begun = (each.first[callers].ms(0.5) for each in (self, straight))
                yield record(f"{at}: p50 of the first token", first, "ms", baseline=begun)
        if self is straight:
            return
        ours = name == OURS
        none = 0 if ours else None
        yield record(f"{name}: memory, idle", self.idle_mb, "MB", budget=IDLE_MB if ours else None)
        yield record(f"{name}: memory, loaded", self.loaded_mb, "MB")
        ready = self.service.ready_s
        yield record(f"{name}: ready after", ready, "s", budget=READY_S if ours else None)
        yield record(f"{name}: callers that failed", self.failed, "callers", budget=none)


@contextmanager
def measured(port: int, folder: Path, lasts_s: float) -> Iterator[dict[str, Measured]]:
    """Every service that is here, one after the other; ours still runs."""
    provider = Service("straight", port, None)
    with running(OURS, port, folder) as service:
        assert service is not None
        found = {"straight": Measured(provider, lasts_s), OURS: Measured(service, lasts_s)}
        for name in PEERS:
            if name == OURS:
                continue
            with running(name, port, folder) as peer:
                if peer is not None:
                    found[name] = Measured(peer, lasts_s)
        yield found


def main(quick: bool) -> list[Record]:
    """Everything."""
    lasts_s = 2.0 if quick else 6.0
    records: list[Record] = []
    with (
        upstream() as port,
        tempfile.TemporaryDirectory() as folder,
        measured(port, Path(folder), lasts_s) as found,
    ):
        straight, ours = found["straight"], found[OURS]
        for each in found.values():
            records += each.records(straight)
        peak = ours.whole[32].rate
        if "litellm" in found:
            theirs = found["litellm"].whole[32].rate
            goal = TIMES_LITELLM * theirs
            case = "understudy beside litellm, 32 callers"
            records.append(record(case, peak, "1/s", baseline=theirs, goal=goal))
        if "portkey" in found:
            theirs = found["portkey"].whole[32].rate
            case = "understudy beside portkey, 32 callers"
            records.append(record(case, peak, "1/s", baseline=theirs, goal=theirs))
        paced = {
            each.service.name: run(
                load(
                    each.service.port,
                    asked(each.service),
                    32,
                    lasts_s=2 * lasts_s,
                    rate=peak / 2,
                )
            )
            for each in (straight, ours)
        }
        for share, budget in ((0.5, None), (0.99, ADDED_P99_MS)):
            bare = paced["straight"].ms(share)
            added = paced[OURS].ms(share) - bare
            case = f"understudy at {peak / 2:.0f} requests/s: p{share * 100:g} added"
            records.append(record(case, added, "ms", baseline=bare, budget=budget))
    return records


if __name__ == "__main__":
    absent = [name for name in PEERS if PEERS[name](0, 0, Path(tempfile.mkdtemp())) is None]
    skipped = f"; skipped, for `make bench-peers` has not installed it: {', '.join(absent)}"
    command(
        "gateway",
        __doc__,
        main,
        f"one worker each; {os.cpu_count()} cores, shared with callers and provider"
        + (skipped if absent else ""),
    )
