"""Hypothesis strategies that draw whole scenario documents, their schedule included.

    @given(scenarios())
    def test_my_configuration_keeps_the_laws(scenario):
        verify_scenario(scenario)

Hypothesis shrinks what it draws: towards one provider, one request, no fault, whole seconds and
the calm schedule. Every random value of a run hangs on the drawn seed, and the order of tasks is
part of the document, so what it found fails again wherever it is run. Needs `hypothesis`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hypothesis import strategies as st

from understudy_actors.dispatcher.strategies import BUILT_IN
from understudy_sim.scenario import Scenario, parse

NAMES: Final = ("alpha", "beta", "gamma")
HORIZON_S: Final = 60
_TIMES: Final = st.integers(0, HORIZON_S * 4 - 1).map(lambda quarter: quarter / 4)

_FAILURES: Final[tuple[st.SearchStrategy[dict[str, Any]], ...]] = (
    st.fixed_dictionaries({"kind": st.sampled_from(("refuse", "reset", "hang", "stall"))}),
    st.fixed_dictionaries({"kind": st.just("status"), "statuses": st.sampled_from(([500], [503]))}),
    st.fixed_dictionaries(
        {
            "kind": st.just("rate_limit"),
            "retry_after": st.sampled_from(("truth", "missing", "zero", "lying", 5)),
        }
    ),
    st.fixed_dictionaries({"kind": st.sampled_from(("credit", "auth", "cut", "ghost", "timeout"))}),
    st.fixed_dictionaries({"kind": st.just("malformed")}),
    st.fixed_dictionaries({"kind": st.just("slow"), "multiplier": st.sampled_from((3.0, 30.0))}),
)
_WORLDLY: Final[tuple[st.SearchStrategy[dict[str, Any]], ...]] = (
    st.fixed_dictionaries({"kind": st.just("leave"), "after": st.sampled_from((0.25, 1.0))}),
    st.fixed_dictionaries({"kind": st.just("pause")}),
    st.fixed_dictionaries({"kind": st.just("clock_jump"), "by": st.sampled_from((3600, -3600))}),
    st.fixed_dictionaries(
        {
            "kind": st.just("crash"),
            "every": st.sampled_from((2, 10)),
            "actor": st.sampled_from(("provider", "dispatcher")),
        }
    ),
)


@st.composite
def faults(draw: st.DrawFn, names: Sequence[str]) -> dict[str, Any]:
    """One fault for one of these providers, or for everybody."""
    worldly = draw(st.integers(0, 3)) == 3
    fault = dict(draw(st.one_of(*(_WORLDLY if worldly else _FAILURES))))
    begins = draw(st.integers(0, HORIZON_S - 1))
    fault |= {"from": begins, "until": begins + draw(st.integers(1, 30))}
    if fault.get("actor") == "dispatcher":
        fault["every"] = HORIZON_S  # once: an engine whose dispatcher crashes on and on ends itself
    if not worldly:
        fault["share"] = draw(st.sampled_from((1.0, 0.5)))
        whom = draw(st.sampled_from((*names, None)))
        fault["selector"] = {"provider": whom} if whom else {}
    return fault


@st.composite
def engines(draw: st.DrawFn, names: Sequence[str]) -> dict[str, Any]:
    """A configuration for these providers."""
    providers: dict[str, Any] = {}
    for name in names:
        slots = draw(st.sampled_from((8, 2, 1)))
        providers[name] = {
            "priority": draw(st.integers(1, 2)),
            "weight": draw(st.integers(1, 3)),
            "concurrency": {"initial": slots, "min": 1, "max": slots + 2},
            "timeout": draw(st.sampled_from((30, 5, 1))),
        }
    return {
        "strategy": draw(st.sampled_from(sorted(BUILT_IN))),
        "max_attempts": draw(st.integers(1, 5)),
        "breaker": draw(st.sampled_from(("default", "classic", "expire"))),
        "providers": providers,
    }


@st.composite
def clients(draw: st.DrawFn, name: str, requests_max: int) -> dict[str, Any]:
    """Somebody who asks at drawn times."""
    at = draw(st.lists(_TIMES, min_size=1, max_size=requests_max).map(sorted))
    client: dict[str, Any] = {
        "name": name,
        "arrivals": {"kind": "recorded", "at": at},
        "deadline": draw(st.sampled_from((20, 2, 60))),
    }
    if draw(st.booleans()):
        client["cancels"] = {"share": 0.3, "after": draw(st.sampled_from((0.25, 2)))}
    return client


@st.composite
def documents(
    draw: st.DrawFn,
    *,
    providers_max: int = len(NAMES),
    faults_max: int = 4,
    requests_max: int = 20,
    engine: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A whole document, as a table.

    Args:
        draw: Given by Hypothesis.
        providers_max, faults_max, requests_max: Bounds; the fleet's names are those of `NAMES`.
        engine: The configuration to try; left out, it is drawn too.
    """
    names = NAMES[: draw(st.integers(1, providers_max))]
    return {
        "name": "drawn",
        "seed": draw(st.integers(0, 2**32)),
        "horizon": HORIZON_S,
        "clients": [draw(clients("web", requests_max))],
        "fleet": [
            {
                "name": name,
                "wire": draw(st.sampled_from(("openai", "anthropic"))),
                "latency": draw(st.sampled_from((0.5, 0.125, 4.0))),
                "tokens_per_s": 200,
                "capacity": draw(st.sampled_from((100, 2))),
            }
            for name in names
        ],
        "faults": _bearable(draw(st.lists(faults(names), max_size=faults_max))),
        "schedule": {
            "policy": draw(st.sampled_from(("fifo", "shuffle", "pct"))),
            "quantum": draw(st.sampled_from((0.0, 2.0**-7, 2.0**-5))),
            "replies_first": draw(st.booleans()),
        },
        "engine": draw(engines(names)) if engine is None else dict(engine),
    }


def _bearable(drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the dispatcher's crashes beyond the third, which would end the engine by design."""
    crashes = [each for each in drawn if each.get("actor") == "dispatcher"]
    return [each for each in drawn if not any(each is one for one in crashes[3:])]


def scenarios(**bounds: Any) -> st.SearchStrategy[Scenario]:
    """The same as a scenario; `bounds` are those of `documents`."""
    return documents(**bounds).map(parse)
