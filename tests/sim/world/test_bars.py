"""What is promised at the edges, each promise a test: the same engine on virtual time.

`tests.live.test_bars` holds the same promises over real sockets. Two providers in an order that is
a preference, and defaults otherwise.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.sim.world.worlds import CALM, of, statuses
from tests.support.mutants import Mutant
from understudy_actors.domain.events import AttemptDispatched, AttemptEnded
from understudy_actors.domain.stream_events import StreamRescue, StreamSkipped
from understudy_sim.check import ALL
from understudy_sim.mock import openai
from understudy_sim.mock.wire import Origin, Tokens, pieces
from understudy_sim.run import RequestRecord, Run
from understudy_sim.scenario import parse
from understudy_sim.world import run
from understudy_sim.world_events import Delivered, Produced

TOKENS: Final = 60
PACE: Final = 30.0
WHOLE_S: Final = 0.5 + TOKENS / PACE
SEEDS: Final = range(40)
READER: Final = {"stream": True}
TEXT: Final = " ".join(["both:web/0", *map(str, range(500))])[: 4 * TOKENS]
ORIGIN: Final = Origin(wire="openai", n=1, provider="alpha", model="first", wall_s=1.7e9)
FRAMES: Final = openai.chat_frames(ORIGIN, TEXT, Tokens(100, TOKENS), "stop")
"""The stream of `alpha`: first the role, then one word a frame, the reason of its end, the tokens
used, the end marker."""
NO_MARKER: Final = sum(map(len, FRAMES[:-1]))


def chain(
    *faults: dict[str, Any],
    alpha: dict[str, Any] | None = None,
    beta: dict[str, Any] | None = None,
    client: dict[str, Any] | None = None,
    lone: bool = False,
    **keys: Any,
) -> Run:
    """A request for 60 tokens at 0 s; faults hit `alpha`, the preferred of the two providers."""
    asking = {"name": "web", "arrivals": {"kind": "recorded", "at": [0.0]}}
    common = {"latency": CALM, "tokens_per_s": PACE, "voice": "both"}
    fleet = [
        {"name": "alpha", "models": ["first"], **common, **(alpha or {})},
        {"name": "beta", "models": ["second"], "wire": "anthropic", **common, **(beta or {})},
    ][: 1 if lone else 2]
    document = {
        "name": "bars",
        "horizon": "2m",
        "clients": [asking | {"output_tokens": TOKENS} | (client or {})],
        "fleet": fleet,
        "faults": [{"selector": {"provider": "alpha"}, **each} for each in faults],
        "engine": {
            "strategy": "priority",
            "providers": {each["name"]: {"priority": at} for at, each in enumerate(fleet)},
        },
        **keys,
    }
    ran = run(parse(document), monitors=ALL)
    assert (ran.violations, ran.progress) == ([], "done")
    return ran


def only(ran: Run) -> RequestRecord:
    (record,) = ran.requests
    return record


def calls(ran: Run, provider: str = "alpha") -> list[float]:
    """When the provider was asked."""
    sent = of(ran, AttemptDispatched)
    return [each.at_s for each in sent if each.endpoint.startswith(f"{provider}/")]


def errors(ran: Run) -> list[str | None]:
    """How each attempt ended, in order."""
    return [each.error for each in of(ran, AttemptEnded)]


def answered_exactly(ran: Run) -> None:
    """Its client got the very text that the providers made up, all of it, and nothing twice."""
    (delivered,) = of(ran, Delivered)
    assert delivered.whole
    assert {each.given + each.text for each in of(ran, Produced)} == {delivered.text}
    assert len(delivered.text) == 4 * TOKENS
    assert only(ran).ok


def bytes_of(tokens: int) -> int:
    """How many bytes of it are its first so many tokens, to the word, of four characters each."""
    ends = itertools.accumulate(map(len, pieces(TEXT)))
    words = sum(end <= 4 * tokens for end in ends)
    return sum(map(len, FRAMES[: 1 + words]))


# Plain calls


def test_a_429_with_retry_after_2_once_is_asked_again_there_and_not_before_2_s() -> None:
    ran = chain({"kind": "rate_limit", "retry_after": 2, "times": 1})
    asked = calls(ran)
    assert len(asked) == 2
    assert asked[1] - asked[0] >= 2.0
    assert only(ran).provider == "alpha"
    assert calls(ran, "beta") == []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_lasting_429_without_header_costs_4_calls_in_3_s_and_6_in_all(seed: int) -> None:
    alone = chain({"kind": "rate_limit", "retry_after": "missing"}, lone=True, seed=seed)
    asked = calls(alone)
    assert 2 <= len(asked) <= 6
    assert sum(at_s <= asked[0] + 3.0 for at_s in asked) <= 4
    assert statuses(alone) == ["AllAttemptsFailed"]
    followed = chain({"kind": "rate_limit", "retry_after": "missing"}, seed=seed)
    assert len(calls(followed)) <= 6
    assert only(followed).provider == "beta"


def test_a_single_500_is_answered_by_the_same_target_on_its_retry() -> None:
    ran = chain({"kind": "status", "statuses": [500], "times": 1})
    assert (only(ran).provider, only(ran).attempts) == ("alpha", 2)
    assert calls(ran, "beta") == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "fault",
    [{"kind": "status", "statuses": [503]}, {"kind": "reset"}, {"kind": "refuse"}],
    ids=lambda fault: str(fault["kind"]),
)
def test_a_lasting_503_or_reset_is_bounded_and_answered_by_the_other(
    fault: dict[str, Any], stream: bool
) -> None:
    ran = chain(fault, client={"stream": stream})
    assert 1 <= len(calls(ran)) <= 2
    assert only(ran).provider == "beta"
    assert only(ran).elapsed_s < WHOLE_S + 2.0


@pytest.mark.parametrize("stream", [False, True])
def test_120_s_of_silence_are_answered_within_100_s_with_one_call_to_the_silent(
    stream: bool,
) -> None:
    ran = chain({"kind": "slow", "add": 120}, client={"stream": stream})
    assert only(ran).provider == "beta"
    assert only(ran).elapsed_s < 100.0
    assert len(calls(ran)) == 1


def test_a_context_too_long_costs_one_call_then_the_larger_model_answers() -> None:
    engine = {
        "strategy": "priority",
        "providers": {
            "alpha": {"priority": 0, "models": [{"name": "first", "max_context": 8000}]},
            "beta": {"priority": 1, "models": [{"name": "second", "max_context": 99_000}]},
        },
    }
    ran = chain({"kind": "context_length"}, engine=engine)
    assert len(calls(ran)) == len(calls(ran, "beta")) == 1
    assert only(ran).model == "second"


@pytest.mark.parametrize("stream", [False, True])
def test_a_content_refusal_is_passed_on(stream: bool) -> None:
    ran = chain({"kind": "content_policy"}, client={"stream": stream})
    assert statuses(ran) == ["ContentRefused"]
    assert (len(calls(ran)), calls(ran, "beta")) == (1, [])


@pytest.mark.parametrize("stream", [False, True])
def test_a_fallbacks_model_name_and_usage_are_what_the_caller_sees(stream: bool) -> None:
    price = {"input": 7.0, "output": 11.0}
    ran = chain({"kind": "auth"}, beta={"price": price}, client={"stream": stream})
    record = only(ran)
    assert (record.provider, record.model) == ("beta", "second")
    assert record.cost_usd == pytest.approx((100 * 7.0 + TOKENS * 11.0) / 1e6)


# Streams


def test_a_first_token_after_20_s_is_made_up_for_within_15_s_by_another() -> None:
    ran = chain({"kind": "slow", "add": 20}, client=READER)
    assert only(ran).provider == "beta"
    assert only(ran).elapsed_s < 15.0
    assert len(calls(ran)) == len(calls(ran, "beta")) == 1
    begun = {each.endpoint: each.at_s for each in of(ran, AttemptDispatched)}
    assert begun["beta/second"] - begun["alpha/first"] >= 5.0  # the slow one is given its time
    answered_exactly(ran)


@pytest.mark.parametrize(("times", "by"), [(1, "alpha"), (None, "beta")])
def test_a_stream_cut_after_40_of_60_tokens_is_complete_and_no_byte_comes_twice(
    times: int | None, by: str
) -> None:
    cut = {"kind": "cut", "after_bytes": bytes_of(40), "times": times}
    ran = chain(cut, client=READER)
    answered_exactly(ran)
    assert only(ran).provider == by
    assert all(155 < each.delivered_chars <= 160 for each in of(ran, StreamRescue))
    assert errors(ran) == ["reset"] * (times or 2) + [None]


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("lasts", [30, None])
def test_a_stall_of_30_s_after_20_tokens_is_complete_within_45_s(
    known: bool, lasts: float | None
) -> None:
    """Whether or not the provider's usual pace is known, and whether or not it goes on after it."""
    stall = {"kind": "stall", "after_bytes": bytes_of(20), "from": 500, "lasts": lasts}
    arrivals = {"kind": "recorded", "at": [*(range(0, 300, 10) if known else ()), 600]}
    ran = chain(stall, client=READER | {"arrivals": arrivals}, horizon="20m")
    assert ran.requests[-1].ok
    assert ran.requests[-1].elapsed_s < 45.0
    assert all(each.whole and len(each.text) == 4 * TOKENS for each in of(ran, Delivered))


def test_a_malformed_event_in_the_middle_leaves_the_answer_complete() -> None:
    ran = chain({"kind": "malformed", "variant": "bad_event"}, client=READER)
    answered_exactly(ran)
    assert (errors(ran), sum(each.count for each in of(ran, StreamSkipped))) == ([None], 1)


def test_a_stream_without_end_marker_ends_promptly_with_its_usage() -> None:
    closed = chain({"kind": "malformed", "variant": "unmarked"}, client=READER)
    left_open = chain({"kind": "stall", "after_bytes": NO_MARKER}, client=READER)
    for ran in (closed, left_open):
        answered_exactly(ran)
        assert only(ran).elapsed_s < WHOLE_S + 3.0


def test_a_cut_whose_fallback_refuses_a_prefill_is_spliced_and_never_shows_the_refusal() -> None:
    cut = {"kind": "cut", "after_bytes": bytes_of(40)}
    ran = chain(cut, beta={"prefill": "refuse"}, client=READER)
    answered_exactly(ran)
    ways = [each.how for each in of(ran, StreamRescue) if each.endpoint == "beta/second"]
    assert ways == ["prefill", "splice"]
    assert errors(ran)[-2:] == ["prefill", None]


# An outage


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "fault",
    [{"kind": "status", "statuses": [code]} for code in (429, 500, 503)]
    + [{"kind": kind} for kind in ("reset", "refuse", "hang")],
    ids=lambda fault: str(fault.get("statuses", fault["kind"])),
)
def test_an_outage_of_60_s_is_served_by_the_other_and_over_within_30_s(
    fault: dict[str, Any], stream: bool, seed: int
) -> None:
    ran = chain(
        {**fault, "from": 60, "until": 120},
        client={"arrivals": {"kind": "steady", "rate": 0.25}, "stream": stream},
        horizon="4m",
        seed=seed,
    )
    assert set(statuses(ran)) == {"ok"}
    late = [each for each in ran.requests if each.arrived_at >= 150.0]
    assert {each.provider for each in late} == {"alpha"}
    assert len(late) > 10
    wasted = [at_s for at_s in calls(ran) if 60.0 <= at_s < 120.0]
    assert len(wasted) < 15  # fewer than requests


# Faults planted in the engine break the promises

PLANTED: Final[dict[Callable[[], None], tuple[Mutant, str]]] = {
    test_a_429_with_retry_after_2_once_is_asked_again_there_and_not_before_2_s: (
        Mutant(
            "no header is waited for",
            "understudy_actors.dispatcher.retry",
            "return hint is not None and hint <= rule.patience_s",
            "return False",
        ),
        "understudy_actors.dispatcher.actor.prefers_here",
    ),
    test_a_single_500_is_answered_by_the_same_target_on_its_retry: (
        Mutant(
            "nobody is asked once more",
            "understudy_actors.dispatcher.retry",
            "if retries_here >= 1 or",
            "if True or",
        ),
        "understudy_actors.dispatcher.actor.prefers_here",
    ),
    lambda: test_120_s_of_silence_are_answered_within_100_s_with_one_call_to_the_silent(False): (
        Mutant(
            "a silent one gets all the time",
            "understudy.routing.loop",
            "return allowed_s if allowed_s < limit_s else limit_s",
            "return limit_s",
        ),
        "understudy.routing.loop._attempt_timeout_s",
    ),
    lambda: test_a_stream_cut_after_40_of_60_tokens_is_complete_and_no_byte_comes_twice(
        1, "alpha"
    ): (
        Mutant(
            "what was delivered comes again",
            "understudy.streaming.splice",
            "return piece[shared:]",
            "return piece",
        ),
        "understudy.streaming.rescue.Splice",
    ),
    lambda: test_a_stall_of_30_s_after_20_tokens_is_complete_within_45_s(False, None): (
        Mutant(
            "gaps are borne as long as first tokens",
            "understudy.streaming.silence",
            "first_s, self._gap_limit_s = candidate",
            "self._gap_limit_s, first_s = candidate",
        ),
        "understudy.streaming.attempt.Silence",
    ),
    test_a_stream_without_end_marker_ends_promptly_with_its_usage: (
        Mutant(
            "the end marker is awaited", "understudy.streaming.silence", "if whole:", "if False:"
        ),
        "understudy.streaming.attempt.Silence",
    ),
    lambda: test_an_outage_of_60_s_is_served_by_the_other_and_over_within_30_s(
        {"kind": "status", "statuses": [503]}, False, 0
    ): (
        Mutant(
            "back-offs reach a minute",
            "understudy_actors.provider.concurrency",
            "_BACKOFF_CAP_S: Final = 15.0",
            "_BACKOFF_CAP_S: Final = 60.0",
        ),
        "understudy_actors.provider.endpoint.Concurrency",
    ),
}


@pytest.mark.parametrize(
    ("promise", "mutant", "seam"),
    [(promise, *planted) for promise, planted in PLANTED.items()],
    ids=[mutant.name for mutant, _ in PLANTED.values()],
)
def test_a_planted_fault_breaks_its_promise(
    promise: Callable[[], None], mutant: Mutant, seam: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    promise()
    monkeypatch.setattr(seam, getattr(mutant.plant(), seam.rpartition(".")[2]))
    with pytest.raises(AssertionError):
        promise()
