"""Traces: integers only, a digest that misses nothing, files that are read back, differences."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from tests.sim.determinism import model
from understudy_actors.domain.events import (
    BreakerMoved,
    Decided,
    Event,
    RequestAccepted,
    RequestOutcome,
    RetryScheduled,
)
from understudy_sim.diff import HISTORY, diff
from understudy_sim.digest import CHECKPOINT_EVERY, Digest, digest, encode, form_of
from understudy_sim.tracefile import Header, Recording, TraceUnreadable, read, record

HEADER = Header(scenario="0f" * 16, engine="0.1.0", policy="shuffle", seed=3, quantum=2.0**-5)
Numbered = list[tuple[int, Event]]

seconds = st.integers(0, 10**12).map(lambda us: us / 1e6)
short = st.text(max_size=12)
an_event: st.SearchStrategy[Event] = st.one_of(
    st.builds(RequestAccepted, at_s=seconds, request=short, operation=short, deadline=seconds),
    st.builds(
        RequestOutcome,
        at_s=seconds,
        request=short,
        status=short,
        attempts=st.integers(0, 99),
        elapsed_s=seconds,
        cost_usd=st.none() | seconds,
    ),
    st.builds(
        Decided,
        at_s=seconds,
        request=short,
        strategy=short,
        ranked=st.lists(short).map(tuple),
        left_out=st.dictionaries(short, short),
    ),
    st.builds(
        RetryScheduled, at_s=seconds, request=short, endpoint=short, wait_s=seconds, why=short
    ),
)


def numbered(events: list[Event]) -> Numbered:
    return list(enumerate(events, 1))


def many(count: int) -> Numbered:
    """A long run of retries of 50 requests."""
    return numbered(
        [
            RetryScheduled(
                at_s=n / 64, request=f"req-{n % 50}", endpoint="a/b", wait_s=0.5, why="retry"
            )
            for n in range(count)
        ]
    )


def changed(events: Numbered, at: int, **fields: Any) -> Numbered:
    seq, event = events[at]
    return [*events[:at], (seq, msgspec.structs.replace(event, **fields)), *events[at + 1 :]]


def is_plain(value: object) -> bool:
    match value:
        case dict():
            return all(map(is_plain, value.values()))
        case list():
            return all(map(is_plain, value))
        case _:
            return isinstance(value, int | str)


@given(st.lists(an_event, max_size=20))
def test_lines_hold_no_floats_and_are_read_back_as_they_were(events: list[Event]) -> None:
    recording = record(numbered(events), HEADER)
    assert all(is_plain(json.loads(line)) for line in recording.lines)
    assert recording.events() == numbered(events)


@given(st.lists(an_event, min_size=1, max_size=20), st.data())
def test_one_changed_event_changes_the_digest(events: list[Event], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(events) - 1))
    other = changed(numbered(events), at, at_s=events[at].at_s + 1e-6)
    assert digest(other).semantic != digest(numbered(events)).semantic
    assert digest(numbered(events[:-1])).semantic != digest(numbered(events)).semantic


def test_times_are_whole_microseconds_and_units_end_the_name() -> None:
    event = BreakerMoved(
        at_s=1.5000004, scope="a", source="x", target="y", generation=2, why="w", until=2.25
    )
    line = json.loads(encode([(7, event)]))
    assert list(line)[:3] == ["kind", "seq", "at_us"]
    assert (line["kind"], line["seq"], line["at_us"]) == ("br.transition", 7, 1_500_000)
    assert line["until_micro"] == 2_250_000
    assert "retry_after_micro" not in line


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_is_left_out_and_comes_back_as_infinity(value: float) -> None:
    event = RequestAccepted(at_s=0.0, request="r", operation="chat", deadline=value)
    recording = record([(1, event)], HEADER)
    assert b"deadline" not in recording.lines[0]
    (_, back), *_ = recording.events()
    assert isinstance(back, RequestAccepted)
    assert back.deadline == math.inf


class Odd(Event, frozen=True, kw_only=True, tag="test.odd"):
    """Holds what a trace cannot."""

    data: bytes


class Listed(Event, frozen=True, kw_only=True, tag="test.listed"):
    """Holds floats where they cannot be told apart."""

    times: tuple[float, ...]


@pytest.mark.parametrize(("kind", "field"), [(Odd, "Odd.data"), (Listed, "Listed.times")])
def test_a_field_that_has_no_place_in_a_trace_is_refused_by_name(
    kind: type[Event], field: str
) -> None:
    with pytest.raises(TypeError, match=field):
        form_of(kind)


@settings(max_examples=10)
@given(st.integers(0, 3), st.integers(-1, 1))
def test_there_is_a_checkpoint_for_every_full_block(blocks: int, more: int) -> None:
    count = max(blocks * CHECKPOINT_EVERY + more, 0)
    summary = digest(many(count))
    assert summary.events == count
    assert len(summary.checkpoints) == count // CHECKPOINT_EVERY
    for at, checkpoint in enumerate(summary.checkpoints, 1):
        assert digest(many(at * CHECKPOINT_EVERY)).semantic == checkpoint


def test_a_digest_hands_its_lines_on_as_it_goes() -> None:
    blocks: list[bytes] = []
    running = Digest(blocks.append)
    for seq, event in many(CHECKPOINT_EVERY + 10):
        running.add(seq, event)
    assert len(blocks) == 1
    running.finish()
    assert b"".join(blocks) == encode(many(CHECKPOINT_EVERY + 10))


def test_a_file_is_read_back_whole(tmp_path: Path) -> None:
    done, events = model.run(3)
    recording = record(events, HEADER, schedule_digest=done.schedule_digest)
    recording.write(tmp_path / "run.jsonl")
    back = read(tmp_path / "run.jsonl")
    assert back == recording
    assert (back.header.trio, back.header.format) == (HEADER.trio, 1)
    assert back.end.schedule == done.schedule_digest
    assert [type(event) for _, event in back.events()] == [type(event) for _, event in events]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (b'"req-7"', b'"req-8"', "was changed"),
        (b'"format":1', b'"format":2', "format 2"),
        (b'"trace.end"', b'"trace.and"', "cut off"),
        (b'"trace.header"', b'"trace.footer"', "trace header"),
        (b'"schedule":', b'"timetable":', "cut off"),
    ],
)
def test_a_file_that_is_not_what_was_written_is_refused(
    tmp_path: Path, old: bytes, new: bytes, complaint: str
) -> None:
    path = tmp_path / "run.jsonl"
    record(many(60), HEADER).write(path)
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(TraceUnreadable, match=complaint):
        read(path)


def test_an_empty_file_and_half_a_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(b"")
    with pytest.raises(TraceUnreadable, match="trace header"):
        read(path)
    record(many(60), HEADER).write(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(TraceUnreadable, match="cut off"):
        read(path)


def test_an_event_that_is_not_known_is_named() -> None:
    with pytest.raises(TraceUnreadable, match=r"'retry\.schedule'"):
        record(many(1), HEADER).events([RequestAccepted])


def test_equal_runs_have_no_difference_whatever_they_ran_on() -> None:
    other = msgspec.structs.replace(HEADER, python="3.99.0")
    assert diff(record(many(500), HEADER), record(many(500), other)) is None


@settings(max_examples=15)
@given(st.integers(0, 3 * CHECKPOINT_EVERY - 1))
def test_a_planted_difference_is_found_where_it_is(at: int) -> None:
    found = diff(LONG, record(changed(LONG_EVENTS, at, wait_s=0.75), HEADER))
    assert found is not None
    assert found.index == at
    assert json.loads(found.left or "")["wait_us"] == 500_000
    assert json.loads(found.right or "")["wait_us"] == 750_000
    history = [json.loads(line) for line in found.history]
    assert [line["seq"] for line in history] == list(range(at % 50 + 1, at + 1, 50))[-HISTORY:]
    assert {line["request"] for line in history} <= {f"req-{at % 50}"}


LONG_EVENTS = many(3 * CHECKPOINT_EVERY)
LONG = record(LONG_EVENTS, HEADER)


def test_a_difference_reads_as_a_story() -> None:
    events = [
        RequestAccepted(at_s=n / 4, request=f"req-{n % 3}", operation="chat", deadline=9.0)
        for n in range(30)
    ]
    left = record(numbered(list[Event](events)), HEADER)
    other_setup = msgspec.structs.replace(HEADER, policy="fifo")
    right = record(changed(numbered(list[Event](events)), 20, operation="image"), other_setup)
    text = str(diff(left, right))
    assert "part at event 21, after 20 equal ones" in text
    assert "policy: 'shuffle' against 'fifo'" in text
    assert text.count('"request":"req-2"') == 6 + 2, "history of that request only, and both"


def test_a_run_that_goes_on_differs_where_the_other_ended() -> None:
    found = diff(record(many(70), HEADER), record(many(90), HEADER))
    assert found is not None
    assert (found.index, found.left) == (70, None)
    assert "the first run has ended" in str(found)


def test_a_recording_shows_what_it_is() -> None:
    assert isinstance(LONG, Recording)
    assert "12288 events" in repr(LONG)
