"""The document: strict about its keys, the same whoever wrote it down, and found by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from tests.sim.test_faults import any_fault
from tests.sim.world.worlds import world
from understudy_sim.arrivals import Burst, Diurnal, Poisson, Ramp, Recorded, Steady, Users
from understudy_sim.fault_kinds import Selector
from understudy_sim.fleet import Limits, Price, Provider
from understudy_sim.latency import Empirical, Fixed, Lognormal
from understudy_sim.reading import Refused
from understudy_sim.scenario import (
    Scenario,
    Scheduling,
    canonical_json,
    from_json,
    load,
    names,
    parse,
)
from understudy_sim.workload import Cancels, Client, Repeats

some = st.floats(0.001, 1e6)
rates = st.floats(0.001, 1e4)
labels = st.from_regex(r"[a-z][a-z0-9_.\-]{0,8}", fullmatch=True)
distributions = (
    st.builds(Fixed, some)
    | st.builds(Lognormal, some, st.floats(0, 5))
    | st.builds(Empirical, st.lists(some, min_size=1, max_size=3).map(tuple))
)
patterns = (
    st.builds(Poisson, rate=rates)
    | st.builds(Steady, rate=rates)
    | st.builds(Ramp, from_rate=rates, to_rate=rates)
    | st.builds(Diurnal, rate=rates, swing=st.floats(0, 1), period_s=st.floats(1, 1e6))
    | st.builds(Burst, size=st.integers(1, 99), within_s=some, every_s=st.none() | some)
    | st.builds(Recorded, at=st.lists(some, max_size=3).map(tuple))
    | st.builds(Users, count=st.integers(1, 99), think=distributions)
)
clients = st.builds(
    Client,
    name=labels,
    arrivals=patterns,
    from_s=st.floats(0, 10),
    until_s=st.none() | st.floats(11, 1e6),
    operation=st.sampled_from(["chat", "embedding", "image"]),
    prompt_tokens=distributions,
    output_tokens=distributions,
    max_tokens=st.none() | st.integers(1, 1000),
    deadline_s=st.none() | some,
    max_cost_usd=st.none() | some,
    tenant=st.none() | labels,
    users=st.integers(1, 99),
    priority=st.integers(-3, 3),
    cancels=st.none() | st.builds(Cancels, share=st.floats(0, 1), after=distributions),
    repeats=st.none() | st.builds(Repeats, times=st.integers(0, 9), wait=distributions),
    without=st.lists(st.integers(0, 99), max_size=3).map(tuple),
)
providers = st.builds(
    Provider,
    name=labels,
    wire=st.sampled_from(["openai", "anthropic"]),
    models=st.lists(labels, min_size=1, max_size=3, unique=True).map(tuple),
    region=st.none() | labels,
    capacity=st.none() | st.integers(1, 999),
    queue=st.integers(0, 999),
    limits=st.builds(
        Limits,
        concurrency=st.none() | st.integers(1, 99),
        requests_per_min=st.none() | rates,
        retry_after=some | st.sampled_from(["truth", "missing", "lying"]),
    ),
    latency=distributions,
    price=st.builds(Price, input=st.floats(0, 100), output=st.floats(0, 100)),
    credit_usd=st.none() | some,
    keeps_working=st.booleans(),
)
scenarios = st.builds(
    Scenario,
    name=labels,
    horizon_s=some,
    description=st.text(max_size=9),
    seed=st.integers(0, 2**63 - 1),
    clients=st.lists(clients, min_size=1, max_size=2, unique_by=lambda c: c.name).map(tuple),
    fleet=st.lists(providers, min_size=1, max_size=3, unique_by=lambda p: p.name).map(tuple),
    faults=st.lists(
        any_fault().map(lambda fault: msgspec.structs.replace(fault, selector=Selector())),
        max_size=3,
    ).map(tuple),
    schedule=st.builds(
        Scheduling,
        policy=st.sampled_from(["fifo", "shuffle", "pct"]),
        quantum_s=st.sampled_from([0.0, 2.0**-10, 2.0**-5]),
        replies_first=st.booleans(),
    ),
    engine=st.sampled_from([{}, {"strategy": "priority"}, {"retry": {"guard": False}}]),
)


@given(scenarios)
@settings(max_examples=40)
def test_a_scenario_survives_its_canonical_json(scenario: Scenario) -> None:
    text = canonical_json(scenario)
    again = from_json(text)
    assert again == scenario
    assert canonical_json(again) == text
    assert again.content_hash == scenario.content_hash


def test_the_hash_is_stable_and_changes_with_anything() -> None:
    def changed(**keys: Any) -> str:
        return world(**keys).content_hash

    base = changed()
    assert base == changed()
    assert base == "e0e9591284c42c18c8521004b57760b6", "a stored document keeps its hash"
    others = [
        changed(seed=6),
        changed(horizon=21),
        changed(client={"deadline": 11}),
        changed(fleet=[{"name": "beta"}]),
        changed(engine={"strategy": "priority"}),
        changed(schedule={"policy": "shuffle"}),
    ]
    assert len({base, *others}) == len(others) + 1


def test_the_order_of_keys_in_the_engine_means_nothing_and_that_of_the_fleet_something() -> None:
    one = world(engine={"strategy": "priority", "max_attempts": 2})
    two = world(engine={"max_attempts": 2, "strategy": "priority"})
    assert (one, one.content_hash) == (two, two.content_hash)
    fleet = [{"name": "zeta"}, {"name": "alpha"}]
    assert list(world(fleet=fleet).engine_table["providers"]) == ["zeta", "alpha"]
    assert list(from_json(canonical_json(world(fleet=fleet))).engine_table["providers"]) == [
        "zeta",
        "alpha",
    ]


def test_short_forms_and_durations_mean_their_long_forms() -> None:
    short = parse(
        {
            "name": "n",
            "horizon": "5m",
            "clients": [
                {
                    "name": "c",
                    "arrivals": {"kind": "users", "count": 2, "think": "1.5s"},
                    "deadline": "30s",
                    "prompt_tokens": 7,
                    "cancels": {"share": 0.1, "after": "250ms"},
                }
            ],
            "fleet": [{"name": "a", "latency": {"kind": "lognormal", "median": "800ms"}}],
            "faults": [{"kind": "leave", "from": "1m", "for": "2m", "after": "500ms"}],
        }
    )
    client, (fault,) = short.clients[0], short.faults
    assert (short.horizon_s, client.deadline_s) == (300.0, 30.0)
    assert isinstance(client.arrivals, Users)
    assert client.arrivals.think == Fixed(1.5)
    assert client.prompt_tokens == Fixed(7.0)
    assert client.cancels == Cancels(share=0.1, after=Fixed(0.25))
    assert short.fleet[0].latency == Lognormal(0.8, 0.5)
    assert (fault.from_s, fault.until_s) == (60.0, 180.0)


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"sed": 1}, "sed", "no such key in a scenario"),
        ({"client": {"deadlin": 1}}, "clients[0].deadlin", "no such key"),
        ({"client": {"arrivals": {"kind": "poisson", "rat": 1}}}, "clients[0].arrivals.rat", "no"),
        ({"client": {"deadline": "soon"}}, "clients[0].deadline", "is no duration"),
        ({"client": {"until": 1, "from": 2}}, "clients[0]", "not after its start at 2 s"),
        ({"fleet": [{"name": "a", "limits": {"rpm": 1}}]}, "fleet[0].limits.rpm", "no such key"),
        ({"fleet": [{"name": "a", "capacity": 0}]}, "fleet[0].capacity", ">= 1, got 0"),
        ({"fleet": [{"name": "a"}, {"name": "a"}]}, "", "two providers are called 'a'"),
        ({"faults": [{"kind": "hanging"}]}, "faults[0].kind", "no kind of fault; use refuse,"),
        ({"faults": [{"kind": "pause"}]}, "faults[0]", "give `for` or `until`"),
        ({"faults": [{"kind": "clock_jump", "by": "-1 w"}]}, "faults[0].by", "is no duration"),
        (
            {"faults": [{"kind": "hang", "selector": {"provider": "b"}}]},
            "faults[0].selector.provider",
            "no provider 'b'; it has alpha",
        ),
        ({"schedule": {"quantum": 0.01}}, "schedule", "no power of two; take 0.0078125"),
        ({"schedule": {"policy": "lifo"}}, "schedule.policy", "lifo"),
        ({"engine": {"providers": {"b": {}}}}, "engine.providers.b", "no such provider"),
        ({"engine": {"strateg": "x"}}, "engine", "strateg"),
        ({"engine": "no-such-file.toml"}, "engine", "cannot be read"),
        ({"horizon": 0}, "horizon", "> 0.0, got 0"),
    ],
)
def test_a_refusal_names_the_key_and_says_what_to_do(
    changes: dict[str, Any], key: str, words: str
) -> None:
    faults = changes.get("faults", [])
    with pytest.raises(Refused) as refused:
        world(*faults, **{name: each for name, each in changes.items() if name != "faults"})
    assert refused.value.key == key
    assert words in str(refused.value)


def test_an_engine_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "engine.toml").write_text('strategy = "priority"\n')
    document = json.loads(canonical_json(world()))
    text = json.dumps({**document, "engine": "engine.toml"})
    (tmp_path / "outage.json").write_text(text)
    scenario = load(tmp_path / "outage.json")
    assert scenario.engine == {"strategy": "priority"}
    assert scenario == parse({**document, "engine": {"strategy": "priority"}}), "it is taken in"


def test_a_users_own_configuration_is_led_to_the_fleet() -> None:
    own = {
        "kind": "openai",
        "base_url": "https://real.example/v1",
        "key": "env:REAL_KEY",
        "headers": {"x-org": "env:REAL_ORG"},
        "priority": 3,
        "models": [{"name": "large", "quality": 0.9}],
    }
    table = world(engine={"providers": {"alpha": own}}).engine_table["providers"]["alpha"]
    assert table["base_url"] == "http://alpha.sim/v1"
    assert table["key"] == "env:SIM_KEY_ALPHA"
    assert table["kind"] == "openai-compatible"
    assert "headers" not in table
    assert (table["priority"], table["models"]) == (3, [{"name": "large", "quality": 0.9}])


def test_the_library_is_found_by_name() -> None:
    assert len(names()) >= 15
    for name in names():
        scenario = load(name)
        assert scenario.name == name
        assert len(scenario.description) > 60, "it says what happens and what should come of it"
    with pytest.raises(
        Refused, match="there is no scenario 'outage'; use a file, or actor-crashes"
    ):
        load("outage")
