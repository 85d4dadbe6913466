"""The shelf of the response cache against a model made from its words alone; answers as bytes."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import attrs
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from understudy.cache import codec, shelf, worth
from understudy_actors.domain.request import Request, ToolCall
from understudy_actors.domain.result import (
    Attempt,
    ChatOutput,
    EmbeddingOutput,
    Image,
    ImageOutput,
    Result,
    Usage,
)

KEYS = (b"a", b"b", b"c", b"d", b"e")
OWN = shelf.OVERHEAD_BYTES
ENTRIES_MAX, BYTES_MAX = 3, 8 * (OWN + 100)
"""Room for three entries, or for fewer if they are long: an entry takes an eighth at most."""


@attrs.frozen
class Kept:
    """One entry of the model."""

    key: bytes
    length: int
    raw: int
    fresh_until: float
    stale_until: float


class Model:
    """A list, the least recently used first, looked through from end to end each time."""

    def __init__(self, entries_max: int, bytes_max: int) -> None:
        self.entries_max, self.bytes_max = entries_max, bytes_max
        self.kept: list[Kept] = []
        self.counts = dict.fromkeys(
            ("hits", "misses", "stale", "stored", "unfit", "evicted", "expired"), 0
        )

    @property
    def size(self) -> int:
        return sum(each.length + OWN for each in self.kept)

    def find(self, key: bytes) -> Kept | None:
        return next((each for each in self.kept if each.key == key), None)

    def touch(self, found: Kept) -> None:
        self.kept.remove(found)
        self.kept.append(found)

    def fresh(self, key: bytes, now: float) -> Kept | None:
        found = self.find(key)
        if found is None or not now < found.fresh_until:
            self.counts["misses"] += 1
            return None
        self.counts["hits"] += 1
        self.touch(found)
        return found

    def at_hand(self, key: bytes, now: float) -> Kept | None:
        found = self.find(key)
        if found is None or not now < found.stale_until:
            return None
        self.counts["stale"] += 1
        self.touch(found)
        return found

    def drop_dead(self, key: bytes, now: float) -> list[tuple[bytes, str]]:
        found = self.find(key)
        if found is None or now < found.stale_until:
            return []
        self.kept.remove(found)
        self.counts["expired"] += 1
        return [(key, "expired")]

    def put(self, entry: Kept, now: float) -> list[tuple[bytes, str]] | None:
        if entry.length > self.bytes_max // 8 - OWN:
            self.counts["unfit"] += 1
            return None
        self.kept = [each for each in self.kept if each.key != entry.key] + [entry]
        self.counts["stored"] += 1
        gone: list[tuple[bytes, str]] = []
        while len(self.kept) > self.entries_max or self.size > self.bytes_max:
            why = "entries" if len(self.kept) > self.entries_max else "bytes"
            first = self.kept.pop(0)
            dead = now >= first.stale_until
            self.counts["expired" if dead else "evicted"] += 1
            gone.append((first.key, "expired" if dead else why))
        return gone


def machine(module: ModuleType, entries_max: int, bytes_max: int) -> type[RuleBasedStateMachine]:
    """Both go through the same; whatever can be seen of them is the same."""

    class Shelves(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.now = 0.0
            self.shelf: Any = module.Shelf(entries_max, bytes_max)
            self.model = Model(entries_max, bytes_max)

        @rule(
            key=st.sampled_from(KEYS),
            length=st.integers(0, 120),
            spared=st.integers(0, 50),
            ttl_s=st.integers(1, 4),
            stale_for_s=st.integers(0, 4),
        )
        def put(self, key: bytes, length: int, spared: int, ttl_s: int, stale_for_s: int) -> None:
            until = self.now + ttl_s
            entry = module.Entry(
                bytes(length), bool(spared), length + spared, self.now, until, until + stale_for_s
            )
            kept = Kept(key, length, length + spared, until, until + stale_for_s)
            gone = self.shelf.put(key, entry)
            found = None if gone is None else [(each.key, each.why) for each in gone]
            assert found == self.model.put(kept, self.now)

        @rule(key=st.sampled_from(KEYS))
        def fresh(self, key: bytes) -> None:
            self.same(self.shelf.fresh(key, self.now), self.model.fresh(key, self.now))

        @rule(key=st.sampled_from(KEYS))
        def at_hand(self, key: bytes) -> None:
            self.same(self.shelf.at_hand(key, self.now), self.model.at_hand(key, self.now))

        @rule(key=st.sampled_from(KEYS))
        def drop_dead(self, key: bytes) -> None:
            gone = self.shelf.drop_dead(key, self.now)
            found = [] if gone is None else [(gone.key, gone.why)]
            assert found == self.model.drop_dead(key, self.now)

        @rule(seconds=st.integers(0, 3))
        def wait(self, seconds: int) -> None:
            self.now += seconds

        @rule()
        def clear(self) -> None:
            gone = [(each.key, each.why) for each in self.shelf.clear()]
            assert gone == [(each.key, "cleared") for each in self.model.kept]
            self.model.kept = []

        @rule()
        def refuse(self) -> None:
            self.shelf.refuse()
            self.model.counts["unfit"] += 1

        @invariant()
        def bounds_hold_and_numbers_are_exact(self) -> None:
            stats, model = self.shelf.stats(), self.model
            assert stats.entries == len(self.shelf) == len(model.kept) <= entries_max
            assert stats.bytes == self.shelf.size == model.size <= bytes_max
            assert stats.raw_bytes == sum(each.raw + OWN for each in model.kept)
            assert {name: getattr(stats, name) for name in model.counts} == model.counts
            looked = model.counts["hits"] + model.counts["misses"]
            assert stats.hit_rate == (model.counts["hits"] / looked if looked else 0.0)

        def same(self, entry: Any, kept: Kept | None) -> None:
            if kept is None:
                assert entry is None
            else:
                assert (len(entry.blob), entry.raw_bytes) == (kept.length, kept.raw)
                assert entry.fresh_until == kept.fresh_until

    return Shelves


def check_few_entries(module: ModuleType) -> None:
    """The bound of entries binds."""
    run_state_machine_as_test(
        machine(module, ENTRIES_MAX, BYTES_MAX), settings=settings(deadline=None)
    )


def check_few_bytes(module: ModuleType) -> None:
    """The bound of bytes binds: eight entries of the longest are more than it holds of others."""
    run_state_machine_as_test(
        machine(module, 100, 8 * (OWN + 100)), settings=settings(deadline=None)
    )
    full: Any = module.Shelf(100, 8 * (OWN + 100))
    for number in range(20):
        entry = module.Entry(bytes(100), False, 100, 0.0, 1.0, 1.0)
        gone = full.put(bytes([number]), entry)
        assert [each.key for each in gone] == ([bytes([number - 8])] if number >= 8 else [])
        assert full.size == min(number + 1, 8) * (OWN + 100)


def check_one_for_many(module: ModuleType) -> None:
    """A long one may push out several; a stale one is no dead one."""
    long = 8 * OWN
    full: Any = module.Shelf(100, 8 * (OWN + long))
    for number in range(72):
        full.put(bytes([number]), module.Entry(b"", False, 0, 0.0, 1.0, 2.0))
    gone = full.put(b"long", module.Entry(bytes(long), False, long, 0.0, 1.0, 2.0))
    assert [(each.key, each.why) for each in gone] == [(bytes([n]), "bytes") for n in range(9)]
    assert full.drop_dead(b"long", 1.5) is None
    assert full.drop_dead(b"long", 2.0).why == "expired"


def check_lives(module: ModuleType) -> None:
    """Fresh, then stale, then of no use; the least recently used goes, and is called by its age."""
    full: Any = module.Shelf(2, BYTES_MAX)

    def put(key: bytes, now: float) -> list[tuple[bytes, str]]:
        gone = full.put(key, module.Entry(b"", False, 0, now, now + 1.0, now + 2.0))
        return [(each.key, each.why) for each in gone]

    put(b"a", 0.0)
    assert [full.fresh(b"a", now) is not None for now in (0.0, 0.9, 1.0, 1.9)] == [
        True,
        True,
        False,
        False,
    ]
    assert [full.at_hand(b"a", now) is not None for now in (0.9, 1.9, 2.0)] == [True, True, False]
    put(b"b", 0.0)
    full.fresh(b"a", 0.5)
    assert put(b"c", 0.5) == [(b"b", "entries")]
    full.at_hand(b"a", 1.5)
    assert put(b"d", 1.5) == [(b"c", "entries")]
    assert put(b"e", 2.0) == [(b"a", "expired")]


LAWS = (check_lives, check_one_for_many, check_few_bytes, check_few_entries)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_the_shelf_is_as_its_model(law: Any) -> None:
    law(shelf)


# Answers as bytes

calls = st.builds(ToolCall, st.text(max_size=5), st.text(max_size=5), st.text(max_size=20))
floats = st.floats(allow_nan=False)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | floats | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)
outputs = st.one_of(
    st.builds(
        ChatOutput,
        st.text(max_size=200),
        st.sampled_from(["stop", "length", "tool_calls", "new"]),
        st.lists(calls, max_size=3).map(tuple),
    ),
    st.lists(st.lists(floats, max_size=9).map(tuple), max_size=4).map(
        lambda vectors: EmbeddingOutput(tuple(vectors))
    ),
    st.lists(st.builds(Image, b64=st.text(max_size=30)), max_size=3).map(
        lambda images: ImageOutput(tuple(images))
    ),
    plain,
)
COUNTS = [st.integers(0, 10**6)] * 4
usages = st.builds(Usage, *COUNTS, st.booleans(), *COUNTS[:3])


@given(outputs, usages, st.integers(0, 400))
@settings(deadline=None)
def test_an_answer_is_read_back_as_it_was_compressed_or_not(
    output: object, usage: Usage, above: int
) -> None:
    raw = codec.encoded("p", "m", usage, output)
    assert raw is not None
    entry = codec.entry_of(raw, above, 1.0, 2.0, 3.0)
    assert (entry.stored_at, entry.fresh_until, entry.stale_until) == (1.0, 3.0, 6.0)
    assert entry.raw_bytes == len(raw)
    assert entry.packed == (len(entry.blob) < len(raw))
    assert not entry.packed or len(entry.blob) <= codec.PAYS * len(raw), "it must pay"
    assert not entry.packed or len(raw) > above
    kept = codec.decoded(codec.raw_of(entry))
    assert (kept.provider, kept.model, kept.usage) == ("p", "m", usage)
    assert kept.output == output
    assert type(kept.output) is type(output)
    assert repr(kept.output) == repr(output), "true is no 1, and 1 no 1.0"


def test_long_texts_get_shorter_and_the_longest_are_left_alone() -> None:
    for length, packed in ((10_000, True), (codec.PACKED_MAX + 1, False)):
        raw = codec.encoded("p", "m", Usage(), ChatOutput("word " * (length // 5)))
        assert raw is not None
        entry = codec.entry_of(raw, 2048, 0.0, 1.0, 0.0)
        assert entry.packed is packed
        assert (entry.size < length / 10) is packed


class Odd(str):
    """A text of somebody's own."""

    __slots__ = ()


@pytest.mark.parametrize(
    "output",
    [(1, 2), {1: 2}, {"a": (1,)}, object(), b"bytes", Odd("x"), 2**70, "\ud800", {"a": {1, 2}}],
    ids=lambda value: type(value).__name__,
)
def test_what_would_not_be_read_back_as_it_is_is_not_kept(output: object) -> None:
    assert codec.encoded("p", "m", Usage(), output) is None


def test_what_is_nested_too_deep_is_not_kept() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    assert codec.encoded("p", "m", Usage(), nested) is None
    while nested:  # or taking it apart would be too deep as well
        nested = nested.pop()


# What is kept


def result(output: object, **facts: Any) -> Result:
    return Result(output=output, provider="p", model="m", request_id="r", elapsed_s=0.1, **facts)


ASKED = Request.chat("hi")
SHORT = Request.chat("hi", max_tokens=5)
CALL = (ToolCall("1", "f", "{}"),)
CUT = (Attempt("p", "m", "ok", max_tokens=3),)
"""The budgets paid for so little of it."""


@pytest.mark.parametrize(
    ("request_", "output", "facts", "kept"),
    [
        (ASKED, ChatOutput("fine"), {}, True),
        (ASKED, ChatOutput("", "tool_calls", CALL), {}, True),
        (ASKED, ChatOutput("fine"), {"degraded": True}, False),
        (ASKED, ChatOutput("fine"), {"cached": True}, False),
        (ASKED, ChatOutput("cut", "length"), {}, False),
        (SHORT, ChatOutput("as asked", "length"), {}, True),
        (SHORT, ChatOutput("", "length", CALL), {}, False),
        (SHORT, ChatOutput("cut", "length"), {"attempts": CUT}, False),
        (SHORT, ChatOutput("whole"), {"attempts": CUT}, True),
        (ASKED, ChatOutput("half of", "content_filter"), {}, False),
        (ASKED, ChatOutput("who knows", "unheard of"), {}, False),
        (ASKED, ChatOutput(""), {}, False),
        (Request.embed("a"), EmbeddingOutput(((0.5,),)), {}, True),
        (Request.image("a"), ImageOutput((Image(b64="AA=="),)), {}, True),
        (Request.image("a"), ImageOutput((Image(url="https://x/y.png"),)), {}, False),
        (Request.image("a"), ImageOutput(()), {}, False),
        (Request.custom("translate", "a"), {"text": "b"}, {}, True),
    ],
    ids=str,
)
def test_only_whole_answers_of_a_provider_are_kept(
    request_: Request, output: object, facts: dict[str, Any], kept: bool
) -> None:
    assert worth.worth_keeping(request_, result(output, **facts)) is kept


@given(outputs, usages)
@settings(deadline=None)
def test_what_is_turned_away_unseen_is_really_that_large(output: object, usage: Usage) -> None:
    raw = codec.encoded("p", "m", usage, output)
    assert raw is not None
    assert worth.least_bytes(result(output)) <= len(raw)


def test_an_entry_takes_no_more_memory_than_it_counts_for() -> None:
    import gc
    import tracemalloc

    count = 5_000
    tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        full = shelf.Shelf(count, 10**9)
        for number in range(count):
            blob = bytes(100) + number.to_bytes(4, "big")
            entry = shelf.Entry(blob, False, 104, number * 1.5, number + 1.5, number + 2.5)
            full.put(number.to_bytes(16, "big"), entry)
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken <= full.size
    assert taken >= full.size / 2, "nor much less"
    assert math.isclose(full.size, count * (104 + OWN))
