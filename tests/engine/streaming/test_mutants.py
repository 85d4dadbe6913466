"""Faults planted in streaming; each is noticed by one of the tests named beside it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Any, Final, TypeAlias

import pytest
import trio
import trio.testing
from hypothesis import Phase, settings

from tests.engine.streaming import (
    test_any_script as scripts,
    test_hedged_streams as hedged,
    test_streams as streams,
)
from tests.engine.streaming.lines import CUT, HANG, chunk, frames
from tests.properties import test_patience, test_splice
from tests.support.mutants import Mutant

Test: TypeAlias = Callable[[], Coroutine[Any, Any, None] | None]

SEAMS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "splice": (
        ("understudy.streaming.rescue:Splice", "Splice"),
        ("understudy.streaming.rescue:Echo", "Echo"),
        ("understudy.streaming.attempt:Diverged", "Diverged"),
    ),
    "rescue": (("understudy.streaming.stream:plan", "plan"),),
    "channel": (("understudy.assembly:streams_over_wire", "over_wire"),),
    "attempt": (("understudy.streaming.stream:StreamAttempt", "StreamAttempt"),),
    "silence": (("understudy.streaming.attempt:Silence", "Silence"),),
    "delivered": (("understudy.streaming.stream:Delivered", "Delivered"),),
    "stream": (("understudy.engine:ChatStream", "ChatStream"),),
}
"""Where each module's names are used from."""


def _spliced(name: str = "cut", count: int = 5) -> Test:
    return lambda: streams.test_after_it_an_equal_answer_is_spliced_exactly(name, count)


def _before(name: str) -> Test:
    return lambda: streams.test_before_the_first_byte_any_failure_moves_on(name)


def _broken() -> Coroutine[Any, Any, None]:
    return streams.test_what_cannot_be_continued_is_honestly_broken(frames("The quick"))


def _blanks() -> Coroutine[Any, Any, None]:
    return streams.test_blanks_at_the_end_are_not_sent_and_must_come_back(
        "\n  B", f"{streams.LINE}\n  B"
    )


def _unmarked() -> Coroutine[Any, Any, None]:
    return streams.test_without_an_end_marker_the_finish_reason_makes_it_whole((HANG,))


def _reset_after_the_end() -> Coroutine[Any, Any, None]:
    return streams.test_without_an_end_marker_the_finish_reason_makes_it_whole((CUT,))


def _leaving() -> Coroutine[Any, Any, None]:
    return streams.test_who_leaves_early_settles_at_once(1)


def _in_a_call() -> Coroutine[Any, Any, None]:
    return streams.test_never_across_a_function_call(["prefill"])


FAULTS: Final[list[tuple[str, str, str, str, Test]]] = [
    (
        "stream",
        "of two that begin together the loser is forgotten",
        "            await attempt.aclose()\n        return attempt",
        "            pass\n        return attempt",
        hedged.test_of_two_that_begin_in_the_same_instant_one_is_read_and_one_left,
    ),
    (
        "stream",
        "of two that begin together the last is read",
        "        if self._attempt is None:\n            self._attempt = attempt\n        else:",
        "        self._attempt = attempt\n        if not attempt.first:",
        hedged.test_of_two_that_begin_in_the_same_instant_one_is_read_and_one_left,
    ),
    (
        "stream",
        "the winner is forgotten while the race is wound up",
        "            attempt = self._attempt\n            if attempt is not None:  # it has begun",
        "            attempt = None\n            if attempt is not None:  # it has begun",
        hedged.test_a_winner_is_not_forgotten_if_the_caller_leaves_while_the_race_is_wound_up,
    ),
    (
        "stream",
        "who closes while a race is wound up is not heard",
        "            if self._wiring.flights.over:",
        "            if False:",
        hedged.test_a_winner_is_not_read_if_the_engine_closes_while_the_race_is_wound_up,
    ),
    (
        "stream",
        "who cannot go on is asked all the same",
        "            elif each not in flight.tried:\n",
        "            elif False:\n",
        streams.test_what_is_too_long_to_compare_is_only_continued_by_prefill,
    ),
    (
        "stream",
        "what is left is delivered after the end",
        "        self._ready.clear()\n        self._finish_badly(shutting_down())",
        "        self._finish_badly(shutting_down())",
        streams.test_what_was_not_delivered_when_an_engine_closes_never_is,
    ),
    (
        "stream",
        "rescues are hedged",
        "            flight.hedge = False  #",
        "            pass  #",
        hedged.test_a_rescue_is_never_hedged,
    ),
    (
        "attempt",
        "a cancelled beginning is not settled",
        "        except BaseException as raised:\n            await self._fail(raised)\n",
        "        except Exception as raised:\n            await self._fail(raised)\n",
        hedged.test_a_stream_that_does_not_begin_is_answered_by_another_and_nobody_is_blamed,
    ),
    (
        "splice",
        "a different answer is let through",
        "        if not expected.startswith(piece[:shared], seen):\n            raise Diverged\n",
        "",
        streams.test_another_answer_is_never_mixed_in,
    ),
    (
        "splice",
        "the repetition is delivered again",
        "return piece[shared:]",
        "return piece",
        _spliced(),
    ),
    (
        "splice",
        "an answer that is shorter passes",
        '"""Something else than text comes: a function call, or the end.\n\n        Raises:\n'
        '            Diverged: Not all of the expected text was repeated.\n        """\n'
        "        if not self.joined:",
        '"""Anything comes."""\n        if False:',
        lambda: streams.test_what_cannot_be_continued_is_honestly_broken(
            [chunk({"tool_calls": [streams.CALL]})]
        ),
    ),
    (
        "splice",
        "who repeats is believed to continue",
        "held.startswith(delivered), ",
        "False, ",
        streams.test_who_repeats_what_it_was_given_is_not_delivered_twice,
    ),
    (
        "rescue",
        "a few characters are continued",
        "len(kept) >= PREFILL_CHARS_MIN",
        "kept",
        streams.test_after_a_few_characters_only_a_whole_repetition_will_do,
    ),
    (
        "rescue",
        "prefill within a JSON answer",
        " and asked.json_schema is None",
        "",
        streams.test_within_a_json_answer_only_an_exact_repetition_will_do,
    ),
    (
        "rescue",
        "blanks at the end are sent",
        "kept = delivered.rstrip()",
        "kept = delivered",
        _blanks,
    ),
    (
        "rescue",
        "blanks at the end come twice",
        "Plan(going_on, Echo(delivered, Splice(delivered[len(kept) :])), PREFILL)",
        'Plan(going_on, Echo(delivered, Splice("")), PREFILL)',
        _blanks,
    ),
    (
        "rescue",
        "a refusal is forgotten",
        " and not refused",
        "",
        streams.test_who_refuses_a_prefill_is_asked_anew_and_the_engine_remembers,
    ),
    (
        "rescue",
        "any length is compared",
        "if len(delivered) <= spec.stream.splice_max_chars:",
        "if True:",
        streams.test_what_is_too_long_to_compare_is_only_continued_by_prefill,
    ),
    (
        "channel",
        "a cut after the finish reason is a failure",
        "            if reader.whole:  # only what nobody needs is missing\n"
        "                self.over = True\n"
        "                return reader.close()\n",
        "",
        _reset_after_the_end,
    ),
    (
        "channel",
        "an error with a status is read as a stream",
        "return 200 <= stream.status < 300 and not",
        "return not",
        lambda: streams.test_a_failure_is_seen_as_what_it_is("html"),
    ),
    (
        "channel",
        "connections stay open",
        "        await self._stream.aclose(over=self.over)\n",
        "        pass\n",
        _leaving,
    ),
    (
        "attempt",
        "nobody minds silence",
        "scope = trio.CancelScope(deadline=at)",
        "scope = trio.CancelScope(deadline=at + 30)",
        streams.test_a_silent_start_is_given_up_after_the_limit_that_was_learned,
    ),
    (
        "attempt",
        "keep-alives count as a token",
        "begun = channel is not None and channel.begun\n        whole =",
        "begun = channel is not None\n        whole =",
        _before("keep-alives only"),
    ),
    (
        "silence",
        "one silent start may take all the time",
        "else min(self._share_at, ends_at)",
        "else ends_at",
        streams.test_one_silent_start_cannot_eat_the_whole_time,
    ),
    (
        "attempt",
        "a hang after the finish reason is a failure",
        "        if channel is not None and channel.whole:\n"
        "            channel.over = True\n            return []\n",
        "",
        _unmarked,
    ),
    (
        "silence",
        "the caller's time is the provider's",
        "self._idle_since = now",
        "self._idle_since = None",
        streams.test_the_callers_own_time_is_not_the_providers_fault,
    ),
    (
        "attempt",
        "an answer is delivered before it is judged",
        "for each in held) and not self._over:",
        "for each in held):",
        _before("nonsense at once"),
    ),
    (
        "attempt",
        "a prefill refused is the caller's mistake",
        "if self.plan.how == PREFILL and",
        "if False and",
        streams.test_who_refuses_a_prefill_is_asked_anew_and_the_engine_remembers,
    ),
    (
        "attempt",
        "what came of a broken answer costs nothing",
        "unfinished = self._silence.usage(channel.usage)",
        "pass",
        _spliced(),
    ),
    (
        "attempt",
        "leaving settles nothing",
        "        if not self._settled:\n            self._settle(None)\n",
        "        pass\n",
        _leaving,
    ),
    (
        "attempt",
        "a comparison that is not over counts as an answer",
        "if self._splice is not None and not self._splice.joined:",
        "if False:",
        _broken,
    ),
    (
        "stream",
        "a function call is continued",
        "        if self._delivered.calls:\n            raise self._broken(error, ",
        "        if False:\n            raise self._broken(error, ",
        _in_a_call,
    ),
    (
        "stream",
        "a broken stream ends like a good one",
        "                if self._error is not None:\n                    raise self._error\n",
        "",
        _broken,
    ),
    (
        "delivered",
        "nothing is known of what was delivered",
        "self._texts.append(delta.text)",
        "pass",
        _spliced(),
    ),
    (
        "stream",
        "an engine that closes leaves streams behind",
        "        self._wiring.flights.scopes[self] = None\n",
        "",
        streams.test_an_engine_that_closes_ends_streams_that_nobody_reads,
    ),
    (
        "stream",
        "configured content comes after a part of an answer",
        "            if self._delivered:\n"
        "                raise self._broken(error) from error\n            if (elsewhere",
        "            if (elsewhere",
        streams.test_configured_content_is_delivered_when_nobody_has_begun,
    ),
    (
        "stream",
        "commits are not told",
        "self._committed = attempt.permit.attempt\n            if wiring.trace.on:",
        "self._committed = attempt.permit.attempt\n            if False:",
        _spliced(),
    ),
]


def _noticed(test: Test) -> bool:
    async def main() -> None:
        with trio.fail_after(1e6):  # whoever waits for ever has noticed as well
            running = test()
            assert running is not None
            await running

    try:
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    except (Exception, BaseExceptionGroup, pytest.fail.Exception):
        return True
    return False


@pytest.mark.parametrize(
    ("module", "fault", "old", "new", "test"), FAULTS, ids=[each[1] for each in FAULTS]
)
def test_a_planted_fault_is_noticed(
    module: str, fault: str, old: str, new: str, test: Test, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not _noticed(test), "the test fails without any fault"
    faulty = Mutant(fault.replace("'", ""), f"understudy.streaming.{module}", old, new).plant()
    for seam, name in SEAMS[module]:
        caller, there = seam.split(":")
        monkeypatch.setattr(importlib.import_module(caller), there, getattr(faulty, name))
    assert _noticed(test), "nothing was noticed"


SPLICE: Final = "understudy.streaming.splice"
PATIENCE: Final = "understudy_actors.provider.patience"
PURE: Final[list[tuple[Mutant, Callable[[ModuleType], object]]]] = [
    (
        Mutant(name, module, old, new),
        test_splice.check_exact if "splice" in module else test_patience.check_limits,
    )
    for name, module, old, new in [
        ("held too long", SPLICE, "return piece[shared:]", 'return ""'),
        ("seen is forgotten", SPLICE, "self._seen = seen + shared", "pass"),
        (
            "compared at the start",
            SPLICE,
            "startswith(piece[:shared], seen)",
            "startswith(piece[:shared])",
        ),
        ("no least", PATIENCE, "max(least, MEDIANS", "max(0.0, MEDIANS"),
        ("no most", PATIENCE, "min(most, max(", "max(0.0, max("),
        ("one sample is enough", PATIENCE, "SAMPLES_MIN: Final = 5", "SAMPLES_MIN: Final = 1"),
        ("tails do not count", PATIENCE, "TAILS: Final = 2.0", "TAILS: Final = 1.0"),
        ("medians do not count", PATIENCE, "MEDIANS: Final = 4.0", "MEDIANS: Final = 1.0"),
        ("never wider", PATIENCE, "(most - learned) *", "0.0 *"),
        ("narrower with time", PATIENCE, "return learned + (most", "return learned - (most"),
    ]
]


@pytest.mark.parametrize(("mutant", "law"), PURE, ids=[str(mutant) for mutant, _ in PURE])
def test_a_fault_in_a_pure_machine_is_noticed(
    mutant: Mutant, law: Callable[[ModuleType], object]
) -> None:
    assert mutant.caught_by([law], ExceptionGroup)


def test_the_scripts_notice_a_wrong_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    """The property over any scripts finds a fault by itself."""
    faulty = Mutant(
        "repeated", "understudy.streaming.splice", "return piece[shared:]", "return piece"
    ).plant()
    monkeypatch.setattr("understudy.streaming.rescue.Splice", faulty.Splice)
    monkeypatch.setattr("understudy.streaming.attempt.Diverged", faulty.Diverged)
    with pytest.raises((AssertionError, ExceptionGroup)):
        settings(max_examples=300, phases=(Phase.generate,))(
            scripts.DRAWN(scripts.exact_whatever_happens)
        )()
