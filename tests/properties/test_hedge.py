"""Laws of hedging: a wait within bounds, to whom does not fail with the first, in budget."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from hypothesis import given, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.actors.dispatcher.made import Seen, candidates, spec
from understudy_actors.dispatcher import hedge
from understudy_actors.domain.candidate import FirstTokenRule, FreeQuota, StreamRule
from understudy_actors.domain.price import Price
from understudy_actors.provider.patience import patience_s, quantile

seconds = st.floats(0.0, 1e4)


def check_delay(module: ModuleType) -> None:
    """Never without enough samples, never shorter than the floor nor longer than the ceiling."""

    @given(st.integers(0, 40), st.none() | seconds, seconds, seconds, st.floats(0.1, 3.0))
    def law(oks: int, usual_s: float | None, floor: float, more: float, factor: float) -> None:
        rule = module.HedgeRule(floor_s=floor, ceiling_s=floor + more, factor=factor, samples=20)
        waits: float | None = module.delay_s(rule, Seen(latency=usual_s, oks=oks))
        if oks < 20 or usual_s is None:
            assert waits is None
        else:
            assert waits is not None
            assert floor <= waits <= floor + more
            if floor < usual_s * factor < floor + more:
                assert waits == usual_s * factor

    law()


def check_first_token_delay(module: ModuleType) -> None:
    """Within the bounds, known or not; without enough samples it is the floor."""

    @given(st.integers(0, 40), st.none() | seconds, seconds, seconds, st.floats(0.1, 3.0))
    def law(seen: int, usual_s: float | None, floor: float, more: float, factor: float) -> None:
        rule = FirstTokenRule(floor_s=floor, ceiling_s=floor + more, factor=factor, samples=20)
        known = Seen(latency=1e9, oks=99, first_token_s=usual_s, first_tokens=seen)
        waits: float = module.first_token_delay_s(rule, known)
        assert floor <= waits <= floor + more
        if seen < 20 or usual_s is None:
            assert waits == floor
        elif floor < usual_s * factor < floor + more:
            assert waits == usual_s * factor

    law()


@given(st.lists(st.floats(0.0, 600.0), max_size=64), st.floats(0.0, 1e6))
def test_no_default_limit_on_silence_ends_before_the_copy_goes_out(
    first_tokens: list[float], age_s: float
) -> None:
    rule = StreamRule()
    seen = Seen(
        first_token_s=quantile(first_tokens, rule.hedge.quantile), first_tokens=len(first_tokens)
    )
    limit_s = patience_s(first_tokens, age_s, rule.first_token_min_s, rule.first_token_max_s)
    assert hedge.first_token_delay_s(rule.hedge, seen) < limit_s


def check_targets(module: ModuleType) -> None:
    """Of those ranked, in their order, all and only those who may get a copy."""
    domains = st.sampled_from([None, "x", "y"])
    prices = st.sampled_from([None, 0.0, 1.0, 3.0])
    facts = st.tuples(
        st.sampled_from("abc"), domains, prices, st.booleans(), st.booleans(), st.integers(0, 9)
    )

    @given(facts, st.lists(facts, max_size=6), st.none() | st.integers(0, 6), st.integers(0, 12))
    @settings(max_examples=300)
    def law(first: Any, others: list[Any], limit: int | None, left_s: int) -> None:
        made = []
        for index, (provider, domain, usd, degraded, free, usual_s) in enumerate([first, *others]):
            one = spec(
                provider,
                f"m{index}",
                failure_domain=domain,
                price=None if usd is None else Price(request_usd=usd),
                free_quota=FreeQuota(9) if free else None,
                degraded=degraded,
            )
            (each,) = candidates(one, seen=Seen(latency=float(usual_s)))
            each.free_left = 9 if free else None
            made.append(each)
        picked = module.targets(
            made[0],
            made[1:],
            now=100.0,
            deadline=100.0 + left_s,
            input_tokens=1,
            output_tokens=1,
            max_cost_usd=limit,
        )
        expected = []
        for each, (provider, domain, usd, degraded, free, usual_s) in zip(
            made[1:], others, strict=True
        ):
            both_usd = (first[2] or 0.0) + (usd or 0.0)
            paid = limit is None or free or (usd is not None and both_usd <= limit)
            together = provider == first[0] or (domain is not None and domain == first[1])
            if paid and not together and not degraded and usual_s <= left_s:
                expected.append(each)
        assert picked == expected

    law()


def budget_machine(module: ModuleType) -> type[RuleBasedStateMachine]:
    """Any interleaving of requests, copies, and their ends, on the budget of `module`."""

    class Budget(RuleBasedStateMachine):
        @initialize(
            burst=st.integers(1, 3), share=st.sampled_from([0.0, 0.25, 1.0]), most=st.integers(1, 3)
        )
        def build(self, burst: int, share: float, most: int) -> None:
            self.rule = module.HedgeRule(burst=float(burst), share=share, concurrent=most)
            self.budget: Any = module.HedgeBudget(self.rule)
            self.sums: list[float] = [0.0]  # of deposits, less copies, at each moment
            self.at_once = 0

        @rule()
        def accept(self) -> None:
            self.budget.deposit()
            self.sums.append(self.sums[-1] + self.rule.share)

        @precondition(lambda self: self.budget.spare)
        @rule()
        def send(self) -> None:
            self.budget.sent()
            self.at_once += 1
            self.sums.append(self.sums[-1] - 1.0)

        @precondition(lambda self: self.at_once)
        @rule()
        def end(self) -> None:
            self.budget.ended()
            self.at_once -= 1

        @invariant()
        def in_every_interval_a_burst_and_the_share_is_the_most(self) -> None:
            highest, worst = self.sums[0], 0.0
            for each in self.sums:
                highest = max(highest, each)
                worst = max(worst, highest - each)
            assert worst <= self.rule.burst + 1e-6
            assert self.at_once <= self.rule.concurrent

        @invariant()
        def a_full_budget_with_nobody_under_way_is_spare(self) -> None:
            if not self.at_once and self.budget.tokens == self.rule.burst:
                assert self.budget.spare
            if self.at_once == self.rule.concurrent:
                assert not self.budget.spare

    return Budget


def check_old_copies(module: ModuleType) -> None:
    """A copy that an earlier incarnation sent takes nothing from this one's count."""
    budget: Any = module.HedgeBudget(module.HedgeRule(concurrent=1))
    budget.ended()
    budget.sent()
    assert not budget.spare


CHECKS = (check_delay, check_first_token_delay, check_targets, check_old_copies)


def test_the_wait_is_learned_within_bounds() -> None:
    check_delay(hedge)


def test_the_wait_for_a_first_token_is_learned_within_bounds() -> None:
    check_first_token_delay(hedge)


def test_a_copy_goes_only_to_whom_does_not_fail_with_the_first_and_both_can_be_paid() -> None:
    check_targets(hedge)


def test_copies_of_an_earlier_life_do_not_count() -> None:
    check_old_copies(hedge)


def test_copies_stay_within_their_budgets() -> None:
    run_state_machine_as_test(budget_machine(hedge), settings=settings(deadline=None))
