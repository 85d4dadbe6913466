"""The trace of a run as a file: JSON Lines, from a header over the events to an end line.

    {"kind": "trace.header", "format": 1, "scenario": ..., "python": ..., "policy": ..., ...}
    {"kind": "req.accepted", "seq": 1, "at_us": 0, ...}
    ...
    {"kind": "trace.end", "progress": "done", "semantic": ..., "checkpoints": [...], ...}

A file without its end line was cut off and is refused, as is one whose digest does not fit.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import msgspec
import trio
from msgspec import Struct

from understudy_actors.domain.events import Event
from understudy_sim.digest import Digest, form_of, restore
from understudy_sim.progress import Progress
from understudy_sim.run import Run

FORMAT: Final = 1
"""Version of the format. It is raised when a reader of the old one would misread the new one."""

S = TypeVar("S", bound=Struct)


class TraceUnreadable(ValueError):
    """A file is no trace, is cut off, was changed, or is of another format."""


class Header(Struct, frozen=True, tag_field="kind", tag="trace.header"):
    """What was run, with what. None of it enters the digest of the events.

    Attributes:
        scenario: Hash of the scenario document.
        engine: Version of understudy.
        policy: Policy of the schedule.
        seed: Seed of the run.
        quantum: In seconds; 0 or a power of two, and so exact.
    """

    scenario: str
    engine: str
    policy: str = "fifo"
    seed: int = 0
    quantum: float = 0.0
    replies_first: bool = False
    python: str = msgspec.field(default_factory=platform.python_version)
    trio: str = trio.__version__
    format: int = FORMAT


class End(Struct, frozen=True, tag_field="kind", tag="trace.end"):
    """How it ended. Attributes: as in `Summary` and `Simulation`."""

    progress: Progress
    schedule: str
    events: int
    semantic: str
    checkpoints: tuple[str, ...]


@attrs.frozen(repr=False)
class Recording:
    """A trace in memory.

    Attributes:
        header: What was run.
        lines: The events, one line of JSON each.
        end: How it ended, with the digests.
    """

    header: Header
    lines: tuple[bytes, ...]
    end: End

    def events(self, kinds: Iterable[type[Event]] | None = None) -> list[tuple[int, Event]]:
        """The events, numbered, with their times exact to the microsecond.

        Args:
            kinds: Types of event that may occur; None for all that are imported by now.

        Raises:
            TraceUnreadable: A line is of none of these kinds.
        """
        by_tag = {str(kind.__struct_config__.tag): kind for kind in kinds or _all_kinds()}
        return [_restored(line, by_tag) for line in self.lines]

    def write(self, path: Path) -> None:
        """Write it to a file, replacing what is there."""
        encode = msgspec.json.encode
        path.write_bytes(b"\n".join([encode(self.header), *self.lines, encode(self.end)]) + b"\n")

    def __repr__(self) -> str:
        return f"<Recording of {self.header.scenario}: {self.end.events} events>"


def record(
    events: Iterable[tuple[int, Event]],
    header: Header,
    *,
    schedule_digest: str = "",
    progress: Progress = "done",
) -> Recording:
    """The recording of a run that is over."""
    blocks: list[bytes] = []
    running = Digest(blocks.append)
    running.add_all(events)
    summary = running.finish()
    end = End(progress, schedule_digest, summary.events, summary.semantic, summary.checkpoints)
    return Recording(header, tuple(b"".join(blocks).splitlines()), end)


def record_run(run: Run) -> Recording:
    """The recording of a run, headed by what its scenario says."""
    schedule = run.scenario.schedule
    header = Header(
        scenario=run.scenario.content_hash,
        engine=version("understudy"),
        policy=schedule.policy,
        seed=run.scenario.seed,
        quantum=schedule.quantum_s,
        replies_first=schedule.replies_first,
    )
    return record(run.events, header, schedule_digest=run.schedule_digest, progress=run.progress)


def read(path: Path) -> Recording:
    """Read a trace file and check that it is whole.

    Raises:
        TraceUnreadable: It is not.
        OSError: The file cannot be read.
    """
    first, *lines = path.read_bytes().splitlines() or [b""]
    header = _decode(first, Header, path, "does not begin with a trace header")
    if header.format != FORMAT:
        raise TraceUnreadable(
            f"{path.name} is a trace of format {header.format}, and this version reads format "
            f"{FORMAT}: read it with understudy {header.engine}, or run its scenario again"
        )
    last = lines.pop() if lines else b""
    end = _decode(last, End, path, "was cut off: it has no end line")
    semantic = blake2b(b"".join(line + b"\n" for line in lines), digest_size=16).hexdigest()
    if semantic != end.semantic or len(lines) != end.events:
        raise TraceUnreadable(
            f"{path.name} was changed: its {len(lines)} events have the digest {semantic}, and its "
            f"end line says {end.events} and {end.semantic}. Run its scenario again"
        )
    return Recording(header, tuple(lines), end)


def _decode(line: bytes, kind: type[S], path: Path, complaint: str) -> S:
    try:
        return msgspec.json.decode(line, type=kind)
    except msgspec.DecodeError as error:
        raise TraceUnreadable(f"{path.name} {complaint} ({error})") from None


class _Kind(Struct):
    kind: str


def _restored(line: bytes, by_tag: dict[str, type[Event]]) -> tuple[int, Event]:
    try:
        tag = msgspec.json.decode(line, type=_Kind).kind
        if tag not in by_tag:
            raise TraceUnreadable(
                f"no event of the kind {tag!r} is known here: import the module that defines it, "
                "or read the trace with the version that wrote it"
            )
        form = form_of(by_tag[tag])
        found: Any = msgspec.json.decode(line, type=form.line)
    except msgspec.DecodeError as error:
        raise TraceUnreadable(
            f"an event does not fit this version of understudy ({error}): "
            f"{line[:120].decode(errors='replace')}"
        ) from None
    return found.seq, restore(found, form)


def _all_kinds() -> list[type[Event]]:
    """Every type of event there is, one per tag."""
    kinds: dict[str | int, type[Event]] = {}
    pending: list[type[Event]] = [Event]
    while pending:
        for kind in pending.pop().__subclasses__():
            pending.append(kind)
            if (tag := kind.__struct_config__.tag) is not None:
                kinds.setdefault(tag, kind)
    return list(kinds.values())
