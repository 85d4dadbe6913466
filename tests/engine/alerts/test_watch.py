"""What is told: each trouble once, its end once, and nothing that callers caused themselves."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final

import pytest
from hypothesis import Phase, given, settings, strategies as st

from tests.support.mutants import Mutant
from understudy.alerts import watch
from understudy.config import AlertConfig
from understudy_actors.domain.events import BreakerMoved, RequestOutcome
from understudy_actors.domain.money_events import BoundBreached, BudgetAlert

REPEAT_S: Final = 100.0
CONFIG: Final = AlertConfig(requests=4, window_s=50.0, availability=0.75, repeat_s=REPEAT_S)


def moved(target: str, at_s: float = 0.0, scope: str = "a/m") -> BreakerMoved:
    """A breaker changes state."""
    return BreakerMoved(
        at_s=at_s, scope=scope, source="closed", target=target, generation=1, why="5 in a row"
    )


def ended(status: str, at_s: float = 0.0) -> RequestOutcome:
    """A request ends."""
    return RequestOutcome(at_s=at_s, request="r", status=status)


def spent(percent: int, at_s: float = 0.0, budget: str = "engine/day") -> BudgetAlert:
    """A budget passes a threshold."""
    return BudgetAlert(at_s=at_s, budget=budget, percent=percent, spent_micro_usd=2_500_000)


def check_once(module: ModuleType) -> None:
    """A trouble is told once within `repeat`, and its end once after each telling."""

    @settings(max_examples=60, database=None, phases=[Phase.generate])
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["open", "half-open", "closed"]),
                st.sampled_from(["a/m", "b/m"]),
                st.floats(0.0, 60.0),
            ),
            max_size=30,
        )
    )
    def any_order(steps: list[tuple[str, str, float]]) -> None:
        judge, now = module.Watch(CONFIG), 0.0
        raised: dict[str, float] = {}
        told_of: set[str] = set()
        for target, scope, wait_s in steps:
            now += wait_s
            alert = judge.hear(moved(target, now, scope))
            if target == "open":
                due = scope not in raised or now - raised[scope] >= REPEAT_S
                assert (alert is not None) is due
                if alert is not None:
                    assert (alert.state, alert.subject) == ("raised", scope)
                    raised[scope] = now
                    told_of.add(scope)
            elif target == "closed":
                assert (alert is not None) is (scope in told_of)
                told_of.discard(scope)
            else:
                assert alert is None

    any_order()


def check_availability(module: ModuleType) -> None:
    """Few requests prove nothing; then the share decides; what is past is forgotten."""
    judge = module.Watch(CONFIG)
    hear = judge.hear
    assert [hear(ended("AllAttemptsFailed", at)) for at in (0.0, 1.0, 2.0)] == [None] * 3
    alert = hear(ended("degraded", 3.0))
    assert (alert.about, alert.state) == ("availability", "raised")
    assert alert.details == {"share": 0.0, "requests": 4}
    assert "under 75.0%" in alert.text
    assert hear(ended("AllAttemptsFailed", 4.0)) is None
    over = [hear(ended("ok", 5.0 + at / 100)) for at in range(15)]
    (resolved,) = [each for each in over if each is not None]
    assert (resolved.state, resolved.details) == ("resolved", {"share": 0.75, "requests": 20})
    assert [hear(ended("NoCandidate", 60.0 + at)) for at in range(3)] == [None] * 3, "forgotten"
    assert hear(ended("NoCandidate", 64.0)) is None, "told within the repeat"
    assert hear(ended("NoCandidate", 204.0)) is None, "the old ones are forgotten, one is no proof"


def check_callers(module: ModuleType) -> None:
    """What callers did counts neither way."""
    judge = module.Watch(CONFIG)
    for status in sorted(module.NOT_OURS):
        assert judge.hear(ended(status)) is None
    for _ in range(3):
        assert judge.hear(ended("NoCandidate")) is None
    assert judge.hear(ended("NoCandidate")) is not None


def check_budgets(module: ModuleType) -> None:
    """From the configured part on, each threshold by itself; a stopped one too."""
    judge = module.Watch(CONFIG)
    assert judge.hear(spent(50)) is None
    alert = judge.hear(spent(80))
    assert (alert.subject, alert.details) == ("engine/day 80%", {"percent": 80, "spent_usd": 2.5})
    assert judge.hear(spent(80, 1.0)) is None
    assert judge.hear(spent(100, 2.0)) is not None
    assert judge.hear(spent(80, REPEAT_S)) is not None, "the next window's"
    assert judge.hear(BoundBreached(at_s=0.0, budget="user/ann", request="r")) is not None


def check_choice(module: ModuleType) -> None:
    """Only what was asked for."""
    events = {"breaker": moved("open"), "budget": spent(100), "availability": ended("NoCandidate")}
    for wanted in events:
        config: Any = AlertConfig(on=(wanted,), requests=1)  # type: ignore[arg-type]
        judge = module.Watch(config)
        told = {name for name, event in events.items() if judge.hear(event) is not None}
        assert told == {wanted}


def check_bounds(module: ModuleType) -> None:
    """A thousand troubles are remembered."""
    judge = module.Watch(CONFIG)
    for number in range(module.SUBJECTS_MAX + 50):
        judge.hear(moved("open", 0.0, f"p{number}/m"))
    assert len(judge._told_at) == module.SUBJECTS_MAX
    assert len(judge._open) == module.SUBJECTS_MAX
    assert len(watch.Availability(10.0)._pieces) == 0
    available = module.Availability(10.0)
    for number in range(1000):
        available.count(True, number / 10)
    assert len(available._pieces) <= module.BUCKETS + 1


LAWS: Final = (
    check_once, check_availability, check_callers, check_budgets, check_choice, check_bounds,
)  # fmt: skip


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_the_judge(law: Any) -> None:
    law(watch)


FAULTS: Final = [
    Mutant("told each time", "understudy.alerts.watch", "now - last < self", "now > now + self"),
    Mutant(
        "never again",
        "understudy.alerts.watch",
        "last is not None and now - last < self._config.repeat_s",
        "last is not None",
    ),
    Mutant(
        "the end of what nobody heard of",
        "understudy.alerts.watch",
        "if (about, subject) not in self._open:",
        "if False:",
    ),
    Mutant(
        "over again and again",
        "understudy.alerts.watch",
        '        self._open.discard((about, subject))\n        return Alert(about, subject, "re',
        '        return Alert(about, subject, "re',
    ),
    Mutant("stand-ins are fine", "understudy.alerts.watch", 'status == "ok"', 'status != "x"'),
    Mutant("one request proves it", "understudy.alerts.watch", "total < config.requests", "False"),
    Mutant("callers count", "understudy.alerts.watch", "event.status in NOT_OURS", "False"),
    Mutant(
        "nothing is forgotten",
        "understudy.alerts.watch",
        "self._pieces[0][0] <= now - self.window_s",
        "False",
    ),
    Mutant(
        "half a budget",
        "understudy.alerts.watch",
        "event.percent < self._config.budget_percent",
        "False",
    ),
    Mutant(
        "memory without end",
        "understudy.alerts.watch",
        "len(self._told_at) > SUBJECTS_MAX",
        "False",
    ),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_planted_faults_are_noticed(fault: Mutant) -> None:
    assert fault.caught_by(LAWS, AttributeError)
