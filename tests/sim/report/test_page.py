"""The report is one sound HTML file that needs nothing else and holds every number."""

from __future__ import annotations

import functools
import re
from html.parser import HTMLParser
from typing import Final

import pytest
from hypothesis import given, settings, strategies as st
from msgspec.structs import replace

from tests.sim.cli.house import small
from tests.sim.world.worlds import world
from understudy_sim.check import Violation
from understudy_sim.report import Facts, gather, page
from understudy_sim.report.svg import clock, tag, ticks, time_ticks
from understudy_sim.report.words import ROWS, percent, seconds, usd
from understudy_sim.scenario import load
from understudy_sim.world import run

VOID: Final = {"meta", "br", "hr", "img", "input", "link"}


class Reader(HTMLParser):
    """Checks that elements nest, and collects what they refer to and say."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.refers: list[str] = []
        self.says: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.refers += [value or "" for name, value in attrs if name in ("src", "href", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.says.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(name="facts", scope="module")
def _facts() -> Facts:
    return gather(run(small()))


@pytest.mark.parametrize("name", ["regional-outage", "everyone-down", "client-cancels"])
def test_reports_of_the_library_are_sound_and_need_nothing_else(name: str) -> None:
    html = page(gather(run(load(name))))
    reader = read(html)
    assert reader.refers == []
    assert "script" not in reader.seen
    assert not re.search(r"https?:|@import|url\(|nan|inf\b", html)
    assert reader.seen.count("figure") == 7
    assert len(html) < 300_000


def test_every_number_of_the_headline_stands_in_it(facts: Facts) -> None:
    said = read(page(facts)).says
    for name, _, value in ROWS:
        assert name in said
        assert value(facts.headline) in said
    assert facts.scenario in said
    assert any(facts.semantic_digest in each for each in said)


def test_every_slice_stands_in_a_table(facts: Facts) -> None:
    said = read(page(facts)).says
    assert all(clock(each.from_s) in said for each in facts.slices)


def test_equal_runs_give_equal_bytes(facts: Facts) -> None:
    assert page(gather(run(small()))) == page(facts)


def test_other_headlines_stand_beside_the_own(facts: Facts) -> None:
    other = replace(facts.headline, requests=123_456)
    said = read(page(facts, [("without", other)])).says
    assert "without" in said
    assert "123,456" in said


def test_a_violation_and_a_run_without_progress_show_at_once(facts: Facts) -> None:
    broken = gather(run(small()), [Violation("S4", "too <many> & more", (), "S4/x()")])
    html = page(broken)
    assert "1 violation of S4" in html
    assert "too &lt;many&gt; &amp; more" in html
    assert "ended by livelock" in page(replace(facts, progress="livelock"))
    assert "Every law of the trace was kept." in page(replace(facts, violations={}))
    assert "Every law" not in page(facts)  # nobody looked


def test_a_run_without_requests_or_faults_has_a_report() -> None:
    nobody = {"arrivals": {"kind": "recorded", "at": []}}
    reader = read(page(gather(run(world(client=nobody)))))
    assert "Nobody was ever shut." in reader.says


@functools.cache
def short() -> Facts:
    """The facts of five seconds."""
    return gather(run(small(horizon=5)))


def about(text: str) -> Facts:
    return replace(short(), scenario=text, description=text, outcomes={text: 1})


@settings(max_examples=30)
@given(st.text(min_size=1) | st.sampled_from(["</script><b>", "<!--", "]]>", '"onload="', "&lt;"]))
def test_texts_cannot_leave_their_place(text: str) -> None:
    assert read(page(about(text))).seen == read(page(about("x"))).seen


@given(st.floats(1e-6, 1e9))
def test_ticks_are_round_few_and_reach_over_the_highest_value(most: float) -> None:
    found = ticks(most)
    assert found[0] == 0
    assert found[-1] >= most * 0.999
    assert 3 <= len(found) <= 7


@given(st.floats(0.5, 1e7))
def test_time_ticks_lie_within_the_run(length_s: float) -> None:
    found = time_ticks(length_s)
    assert 1 <= len(found) <= 13
    assert found[-1] <= length_s * 1.001


def test_words_for_numbers() -> None:
    assert [percent(x) for x in (1, 0.99999, 0.5, 0)] == ["100 %", "99.99 %", "50 %", "0 %"]
    assert [seconds(x) for x in (None, 0, 0.0123, 1.5, 123.4)] == [
        "–", "0 s", "12 ms", "1.5 s", "123 s",
    ]  # fmt: skip
    assert [usd(x) for x in (0, 0.5, 0.0012, 1.76, 12345.678)] == [
        "$0", "$0.50", "$0.0012", "$1.76", "$12,345.67",
    ]  # fmt: skip
    assert [clock(x) for x in (0, 5, 65, 3725, 2.3)] == [
        "0:00",
        "0:05",
        "1:05",
        "1:02:05",
        "0:02.3",
    ]
    assert tag("a", "x", class_='"<') == '<a class="&quot;&lt;">x</a>'
