"""What a flight does after a failure: under any failures, and case by case."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from tests.actors.dispatcher.desk import Desk
from tests.actors.dispatcher.made import Seen, candidates, flight, many, spec
from understudy_actors.dispatcher import actor
from understudy_actors.dispatcher.retry import Backoff, Move, RetryRule
from understudy_actors.domain.candidate import Candidate
from understudy_actors.domain.outcome import POLICY, ErrorClass
from understudy_actors.domain.result import Attempt

SILENT, SERVER, BUSY = ErrorClass.SILENT, ErrorClass.SERVER, ErrorClass.OVERLOADED
failures = st.lists(
    st.tuples(
        st.sampled_from([*ErrorClass, *[SERVER] * 20]),
        st.sampled_from([None, None, 1.0, 30.0]),  # its Retry-After
        st.sampled_from([0.0, 0.0, 1.0, 40.0]),  # how long the attempt lasted
    ),
    min_size=5,
    max_size=12,
)


def check_flights(module: ModuleType) -> None:
    """Raise if any flight breaks a rule, whatever happens to it."""

    @settings(database=None, max_examples=400)
    @given(
        st.integers(1, 4),
        st.sampled_from(["priority", "round_robin"]),
        st.sampled_from([1, 3, 100]),
        st.sampled_from([5.0, 100.0]),
        st.booleans(),
        failures,
    )
    def any_failures(
        count: int,
        strategy: str,
        cap: int,
        deadline: float,
        fallback: bool,
        failures: list[tuple[ErrorClass, float | None, float]],
    ) -> None:
        rule = RetryRule(attempts=2, backoff=Backoff(jitter=False))
        desk = Desk(many(count), module, strategy=strategy, default_retry=rule, budget_start=1.0)
        going = flight(max_attempts=cap, deadline=deadline, fallback=fallback)
        world, now_s, retries = desk.world, 0.0, 0
        candidate: Candidate = desk.ref.ask_now(module.Rank(going)).ranked[0]
        asked = [candidate]
        for error, hint_s, lasted_s in failures:
            now_s += lasted_s
            world.advance_to(now_s)
            going.attempts += (Attempt(candidate.spec.provider, "m", "failed"),)
            step = desk.fail(going, candidate, error, hint_s)
            if step.move is Move.END:
                others = [c for c in desk.tier if c not in asked]
                final = not POLICY[error].elsewhere or not fallback or not others
                assert final or len(asked) >= cap or now_s >= deadline, step.why
                return
            assert len(asked) < cap, "more attempts than the request allows"
            assert now_s < deadline
            if step.move is Move.HERE:
                retries, going.retries_here = retries + 1, going.retries_here + 1
                assert POLICY[error].here, "it cannot help"
                assert going.retries_here <= 2
                assert step.wait_s >= (hint_s or 0.0)
                assert now_s + step.wait_s < deadline, "it waits past the deadline"
                first = strategy == "priority" and going.retries_here == 1
                left = fallback and any(c not in asked for c in desk.tier)
                assert first or not left, "somebody untried was passed over"
                now_s += step.wait_s
            else:
                assert step.decision is not None
                assert POLICY[error].elsewhere
                assert fallback
                candidate, going.retries_here = step.decision.ranked[0], 0
                assert candidate not in asked, "asked again although others were left"
            asked.append(candidate)
            assert retries <= 1.0 + 0.2 + 0.2 * now_s, "more retries than the budget has"

    any_failures()


def test_no_flight_breaks_a_rule_whatever_happens_to_it() -> None:
    check_flights(actor)


@pytest.mark.parametrize(
    ("strategy", "error", "hint_s", "move"),
    [
        ("priority", SERVER, None, Move.HERE),
        ("priority", ErrorClass.CONNECT, None, Move.HERE),
        ("priority", BUSY, 2.5, Move.HERE),
        ("priority", BUSY, 2.6, Move.ELSEWHERE),
        ("priority", BUSY, None, Move.ELSEWHERE),
        ("priority", ErrorClass.RATE_LIMIT, None, Move.ELSEWHERE),
        ("priority", SERVER, 2.6, Move.ELSEWHERE),
        ("priority", SILENT, None, Move.ELSEWHERE),
        ("priority", ErrorClass.AUTH, None, Move.ELSEWHERE),
        ("priority", ErrorClass.CONTENT_POLICY, None, Move.END),
        ("priority", ErrorClass.BAD_REQUEST, None, Move.END),
        ("adaptive", SERVER, None, Move.ELSEWHERE),
        ("adaptive", BUSY, 1.0, Move.ELSEWHERE),
    ],
)
def test_an_order_that_is_a_preference_looks_twice_before_it_fails_over(
    strategy: str, error: ErrorClass, hint_s: float | None, move: Move
) -> None:
    desk = Desk(many(2), strategy=strategy)
    going = flight()
    desk.rank(going)
    step = desk.fail(going, desk.tier[0], error, hint_s)
    assert step.move is move
    if move is Move.HERE:
        assert step.wait_s == max(1.0, hint_s or 0.0)
        going.retries_here = 1
        assert desk.fail(going, desk.tier[0], error, hint_s).move is Move.ELSEWHERE, "once"


def test_with_one_candidate_left_it_is_asked_again_after_longer_and_longer_waits() -> None:
    desk, going = Desk(many(1)), flight()
    desk.rank(going)
    waits: list[float] = []
    for _ in range(4):
        step = desk.fail(going, desk.tier[0], SERVER)
        waits.append(step.wait_s)
        going.retries_here += 1
    assert waits == [1.0, 2.0, 4.0, 8.0]
    assert desk.fail(going, desk.tier[0], SERVER).move is Move.END
    assert desk.fail(flight(), desk.tier[0], SILENT).move is Move.END


def test_a_silent_one_is_asked_again_only_if_a_rule_names_it() -> None:
    rule = RetryRule(on=frozenset({SILENT}), backoff=Backoff(jitter=False))
    desk, going = Desk(many(1), retry={"p0": rule}), flight()
    desk.rank(going)
    assert desk.fail(going, desk.tier[0], SILENT).move is Move.HERE
    assert desk.fail(going, desk.tier[0], SERVER).move is Move.END


def test_the_deadline_ends_what_would_not_be_useful_any_more() -> None:
    desk, going = Desk(many(1)), flight(deadline=3.0)
    desk.rank(going)
    assert desk.fail(going, desk.tier[0], SERVER, min_useful_s=2.0).move is Move.HERE
    assert desk.fail(going, desk.tier[0], SERVER, min_useful_s=2.1).move is Move.END
    assert desk.fail(going, desk.tier[0], SERVER, ready_at=2.5).move is Move.END
    desk.world.advance_to(3.0)
    assert "deadline" in desk.fail(going, desk.tier[0], SERVER).why


def test_an_empty_budget_ends_retries_but_never_a_failover() -> None:
    desk = Desk(many(2), strategy="round_robin", budget_start=0.0)
    going = flight()
    desk.rank(going)
    assert desk.fail(going, desk.tier[0], SERVER).move is Move.ELSEWHERE
    step = desk.fail(going, desk.tier[1], SERVER)
    assert (step.move, step.why) == (Move.END, "the retry budget is used up")


def test_a_prompt_that_did_not_fit_goes_only_to_larger_windows_from_then_on() -> None:
    windows = {"a": 8000, "b": 8000, "c": 32000, "d": None, "e": 4000}
    desk = Desk(candidates(*(spec(n, max_context_tokens=w) for n, w in windows.items())))
    going = flight()
    desk.rank(going)
    step = desk.fail(going, desk.tier[0], ErrorClass.CONTEXT_LENGTH)
    assert step.decision is not None
    assert {c.spec.provider for c in step.decision.ranked} == {"c", "d"}
    step = desk.fail(going, desk.tier[2], SILENT)
    assert step.decision is not None
    assert [c.spec.provider for c in step.decision.ranked] == ["d"]
    assert step.decision.left_out["e/m"] == "its context window is not larger"
    assert desk.fail(going, desk.tier[3], ErrorClass.CONTEXT_LENGTH).move is Move.END


@pytest.mark.parametrize(("configured", "move"), [(True, Move.ELSEWHERE), (False, Move.END)])
def test_a_content_refusal_goes_elsewhere_only_if_so_configured(
    configured: bool, move: Move
) -> None:
    desk, going = Desk(many(2), reroute_refused_content=configured), flight()
    desk.rank(going)
    assert desk.fail(going, desk.tier[0], ErrorClass.CONTENT_POLICY).move is move


def test_nobody_is_failed_over_onto_who_fails_too_often() -> None:
    desk, going = Desk(many(3)), flight()
    desk.rank(going)
    desk.tier[1].guard_tokens = 5.0
    step = desk.fail(going, desk.tier[0], SERVER)
    assert step.decision is not None
    assert [c.index for c in step.decision.ranked] == [2]


def test_without_fallback_only_the_first_choice_is_asked() -> None:
    desk, going = Desk(many(2)), flight(fallback=False)
    desk.rank(going)
    assert desk.fail(going, desk.tier[0], SERVER).move is Move.HERE
    assert desk.fail(going, desk.tier[0], ErrorClass.AUTH).move is Move.END


def test_the_cap_on_attempts_counts_all_providers_together() -> None:
    desk, going = Desk(many(5)), flight(max_attempts=2)
    desk.rank(going)
    going.attempts += (Attempt("p0", "m", "failed"), Attempt("p1", "m", "failed"))
    assert "cap of 2" in desk.fail(going, desk.tier[1], SERVER).why


def test_a_first_attempt_spends_nothing_and_earns_a_share_of_a_retry() -> None:
    desk = Desk(many(1), budget_start=0.0)
    for _ in range(5):
        going: Any = flight()
        desk.rank(going)
        desk.rank(going)  # having waited: the same request
    assert desk.fail(going, desk.tier[0], SERVER).move is Move.HERE
    assert desk.fail(going, desk.tier[0], SERVER).move is Move.END


def test_a_slow_provider_is_asked_again_only_if_a_useful_answer_fits() -> None:
    slow = candidates(spec("a"), seen=Seen(useful_s=30.0))
    desk, going = Desk(slow), flight(deadline=20.0)
    desk.rank(going)
    useful_s = slow[0].health.min_useful_s
    assert desk.fail(going, slow[0], SERVER, min_useful_s=useful_s).move is Move.END
