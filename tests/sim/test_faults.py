"""Laws of fault schedules; each law also has to catch faults planted in the code it is about."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias

import msgspec
import pytest
from hypothesis import Phase, given, settings, strategies as st

from tests.support.mutants import Mutant
from understudy_sim import fault_kinds as kinds, faults
from understudy_sim.fault_kinds import Facts, Selector
from understudy_sim.faults import Schedule, canonical_json, load_schedule, parse_schedule
from understudy_sim.reading import Refused

Law: TypeAlias = Callable[[ModuleType], None]
seeds = st.integers(0, 2**63 - 1)
seconds = st.floats(0, 1000)


def quickly(examples: int) -> settings:
    """A law is also run on faulty code, where neither the smallest nor the second case matters."""
    return settings(
        max_examples=examples, phases=(Phase.generate,), report_multiple_bugs=False, database=None
    )


def injector(module: ModuleType, *layers: object, seed: int = 0, at: float = 0.0) -> Any:
    return module.Injector(module.Schedule(faults=layers), "alpha", seed, at)


def facts(number: int, **known: str) -> Facts:
    return Facts(number=number, provider="alpha", **known)


def kinds_met(module: ModuleType, layers: tuple[object, ...], seed: int, n: int) -> list[str]:
    plan = injector(module, *layers, seed=seed)
    met = [plan.decide(facts(number), 0.0).fault for number in range(n)]
    return [fault.kind if fault else "" for fault in met]


def faults_are_active_in_half_open_intervals(module: ModuleType) -> None:
    @given(start=seconds, length=st.floats(0.001, 1000), at=seconds)
    @quickly(30)
    def check(start: float, length: float, at: float) -> None:
        end = start + length
        fault = kinds.Reset(from_s=start, until_s=end)
        plan = injector(module, fault, at=at)
        for now in (at + start, at + end, at + start + length / 2, at):
            expected = start <= now - at < end
            assert (plan.decide(facts(1), now).fault is not None) == expected

    check()
    for now, expected in ((9.0, False), (10.0, True), (19.0, True), (20.0, False)):
        plan = injector(module, kinds.Reset(from_s=10.0, until_s=20.0))
        assert (plan.decide(facts(1), now).fault is not None) == expected


def calm_is_when_nothing_can_be_hit(module: ModuleType) -> None:
    @given(start=seconds, length=st.floats(0.001, 1000), fade=st.floats(0, 10), at=seconds)
    @quickly(30)
    def check(start: float, length: float, fade: float, at: float) -> None:
        timed: dict[str, Any] = {"from_s": start, "until_s": start + length, "fade_s": fade}
        for layers in ((kinds.Refuse(**timed),), (kinds.Slow(**timed), kinds.Refuse(until_s=1.0))):
            plan = injector(module, *layers, at=at)
            for now in (at, at + start, at + start + length / 2, at + start + length + fade):
                hit = any(fault.active(now - at) for fault in layers)
                assert plan.calm(now) is not hit

    check()
    assert injector(module).calm(0.0)


def shares_are_respected(module: ModuleType) -> None:
    @given(share=st.floats(0, 1), seed=seeds)
    @quickly(10)
    def check(share: float, seed: int) -> None:
        n = 1000
        hits = sum(map(bool, kinds_met(module, (kinds.Reset(share=share),), seed, n)))
        assert abs(hits - n * share) <= 5 * math.sqrt(n * share * (1 - share)) + 1

    check()


def no_fault_hits_more_often_than_its_times(module: ModuleType) -> None:
    @given(times=st.integers(1, 20), share=st.floats(0.5, 1), seed=seeds)
    @quickly(20)
    def check(times: int, share: float, seed: int) -> None:
        fault = kinds.Reset(times=times, share=share)
        assert sum(map(bool, kinds_met(module, (fault,), seed, 200))) == times
        slow = injector(module, kinds.Slow(times=times, add_s=1.0))
        assert sum(slow.decide(facts(n), 0.0).slowed for n in range(50)) == times
        refuse = injector(module, kinds.Refuse(times=times))
        assert sum(refuse.refuse(facts(n), 0.0) is not None for n in range(50)) == times

    check()


def a_seed_repeats_its_sequence_and_seeds_differ(module: ModuleType) -> None:
    @given(seed=seeds)
    @quickly(10)
    def check(seed: int) -> None:
        layers = (kinds.Reset(share=0.5), kinds.Status(statuses=(500, 502, 503)))
        first = kinds_met(module, layers, seed, 64)
        assert first == kinds_met(module, layers, seed, 64)
        assert first != kinds_met(module, layers, seed ^ 1, 64)
        own = module.Injector(module.Schedule(faults=layers, seed=seed), "alpha", seed ^ 1, 0.0)
        again = [own.decide(facts(number), 0.0).fault.kind for number in range(64)]
        assert first == again, "a schedule's own seed comes before its host's"

    check()


def a_fault_does_not_change_the_luck_of_other_kinds(module: ModuleType) -> None:
    alone = kinds_met(module, (kinds.Reset(share=0.3),), 7, 200)
    other = kinds.Hang(share=0.5, selector=Selector(model="other"))
    assert alone == kinds_met(module, (other, kinds.Reset(share=0.3)), 7, 200)
    two = kinds_met(module, (kinds.Reset(share=0.3), kinds.Reset(share=0.3)), 7, 1000)
    assert 430 <= sum(map(bool, two)) <= 590, "two of one kind draw for themselves: 0.51 meet one"


def the_first_failing_fault_wins_and_slow_layers_add_up(module: ModuleType) -> None:
    layers = (
        kinds.Slow(multiplier=2.0),
        kinds.Auth(selector=Selector(model="b")),
        kinds.Reset(),
        kinds.Hang(),
        kinds.Slow(multiplier=3.0, add_s=1.5),
    )
    plan = injector(module, *layers)
    decision = plan.decide(facts(1, model="a"), 0.0)
    assert (decision.fault.kind, decision.multiplier, decision.add_s) == ("reset", 6.0, 1.5)
    assert decision.slowed == 2
    assert plan.decide(facts(2, model="b"), 0.0).fault.kind == "auth"
    assert plan.refuse(facts(3), 0.0) is None


def a_bucket_admits_its_rate_and_tells_the_truth(module: ModuleType) -> None:
    @given(
        per_min=st.floats(1, 600),
        burst=st.integers(1, 5),
        gaps=st.lists(st.floats(0, 10), min_size=5, max_size=50),
    )
    @quickly(50)
    def check(per_min: float, burst: int, gaps: list[float]) -> None:
        plan = injector(module, kinds.RateLimit(requests_per_min=per_min, burst=burst), at=5.0)
        now, admitted = 5.0, list[float]()
        for number, gap in enumerate(gaps):
            now += gap
            decision = plan.decide(facts(number), now)
            assert number >= burst or decision.fault is None, "the bucket starts full"
            if decision.fault is None:
                admitted.append(now)
                for count, since in enumerate(reversed(admitted), 1):
                    assert count <= burst + (now - since) * per_min / 60 + 1e-6
            else:
                assert 0 < decision.ends_in_s <= 60 / per_min + 1e-6
        while (decision := plan.decide(facts(0), now)).fault is None:
            pass
        early, late = decision.ends_in_s * 0.9, decision.ends_in_s * 1.001 + 1e-6
        assert plan.decide(facts(0), now + early).fault is not None
        assert plan.decide(facts(0), now + late).fault is None

    check()


def a_fault_tells_when_it_really_ends(module: ModuleType) -> None:
    plan = injector(module, kinds.RateLimit(until_s=30.0), at=100.0)
    assert plan.decide(facts(1), 110.0).ends_in_s == 20.0
    assert injector(module, kinds.RateLimit()).decide(facts(1), 5.0).ends_in_s == module.NO_END_S
    slow_bucket = kinds.RateLimit(until_s=30.0, requests_per_min=1.0)
    plan = injector(module, slow_bucket)
    plan.decide(facts(1), 0.0)
    assert plan.decide(facts(2), 25.0).ends_in_s == 5.0


def the_simple_form_divides_one_draw(module: ModuleType) -> None:
    failures = module.parse_failures(
        {
            "timeout_probability": 0.25,
            "timeout_duration_seconds": 3,
            "rate_limit_probability": 0.25,
            "server_error_probability": 0.25,
        }
    )
    picked = [failures.pick(draw) for draw in (0.0, 0.24, 0.25, 0.49, 0.5, 0.74, 0.75, 0.99)]
    names = [fault.kind if fault else "" for fault in picked]
    assert names == ["timeout"] * 2 + ["rate_limit"] * 2 + ["status"] * 2 + [""] * 2
    assert picked[0].duration_s == 3
    assert module.Failures().pick(0.0) is None
    module.parse_failures(dict.fromkeys(("timeout_probability", "rate_limit_probability"), 0.5))
    with pytest.raises(Refused, match=r"sum is 1\.1"):
        module.parse_failures({"timeout_probability": 0.5, "server_error_probability": 0.6})


def durations_and_ends_may_be_texts(module: ModuleType) -> None:
    document = [{"kind": "timeout", "from": "2m", "for": "1.5m", "duration": "250ms"}]
    (fault,) = module.parse_schedule(document).faults
    assert (fault.from_s, fault.until_s, fault.duration_s) == (120.0, 210.0, 0.25)
    (fault,) = module.parse_schedule([{"kind": "rate_limit", "retry_after": "5s"}]).faults
    assert fault.retry_after == 5.0
    (fault,) = module.parse_schedule([{"kind": "rate_limit", "retry_after": "lying"}]).faults
    assert fault.retry_after == "lying"


LAWS: list[Law] = [
    faults_are_active_in_half_open_intervals,
    calm_is_when_nothing_can_be_hit,
    shares_are_respected,
    no_fault_hits_more_often_than_its_times,
    a_seed_repeats_its_sequence_and_seeds_differ,
    a_fault_does_not_change_the_luck_of_other_kinds,
    the_first_failing_fault_wins_and_slow_layers_add_up,
    a_bucket_admits_its_rate_and_tells_the_truth,
    a_fault_tells_when_it_really_ends,
    the_simple_form_divides_one_draw,
    durations_and_ends_may_be_texts,
]


def planted(name: str, old: str, new: str) -> Mutant:
    return Mutant(name, "understudy_sim.faults", old, new)


MUTANTS = [
    planted("a times bound is off by one", "hits >= self.fault.times", "hits > self.fault.times"),
    planted("no times bound", "and not layer.spent()", ""),
    planted("the share is ignored", "share >= 1 or", "share > 0 or"),
    planted("the share is inverted", "facts.number) < share", "facts.number) > share"),
    planted("time is not relative", "fault.active(now - self.activated_at)", "fault.active(now)"),
    planted(
        "calm by absolute time",
        "since_s = now - self.activated_at\n        return not",
        "since_s = now\n        return not",
    ),
    planted("calm forgets refusals", "for layer in self._all", "for layer in self._layers"),
    planted("selectors are ignored", "and fault.selector.matches(facts)", ""),
    planted("the last fault wins", "elif failing is None and self", "elif self"),
    planted(
        "slow layers replace", "multiplier * fault.multiplier, add_s", "fault.multiplier, add_s"
    ),
    planted("one draw a kind", "{fault.kind}/{place}", "{fault.kind}"),
    planted("draws by position", "{fault.kind}/{place}", "{len(layers)}"),
    planted("the seed is ignored", "seed if schedule.seed is None else schedule.seed", "0"),
    planted(
        "the schedule's seed is ignored", "seed if schedule.seed is None else schedule.seed", "seed"
    ),
    planted("the bucket starts empty", "= float(fault.burst), activated_at", "= 0.0, activated_at"),
    planted(
        "the bucket has no brim",
        "min(float(fault.burst), layer.tokens + refill)",
        "layer.tokens + refill",
    ),
    planted(
        "a refusal costs a token",
        "    if layer.tokens < 1:\n",
        "    layer.tokens -= 1\n    if layer.tokens < 0:\n",
    ),
    planted(
        "the bucket fills by the second", "fault.requests_per_min / 60", "fault.requests_per_min"
    ),
    planted("the end is absolute", "ends_in_s(since_s, self", "ends_in_s(now, self"),
    planted("the refill is not bounded by the end", "else min(refilled, ends)", "else refilled"),
    planted(
        "server errors leak into the rest",
        "if draw < edge + self.server",
        "if draw < 2 * edge + self.server",
    ),
    planted("the first edge is inside", "draw < (edge := self.t", "draw <= (edge := self.t"),
    planted("any sum passes", "> 1 + 1e-9", "> 3"),
    planted("tenths do not add up", "> 1 + 1e-9", ">= 1"),
    planted("a length is an end", "start + length if", "length if"),
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_law(law: Law) -> None:
    law(faults)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_the_laws_catch(mutant: Mutant) -> None:
    assert mutant.caught_by(LAWS, Refused, pytest.fail.Exception), f"no law noticed that {mutant}"


selectors = st.builds(
    Selector,
    model=st.none() | st.text(max_size=5),
    operation=st.none() | st.sampled_from(["chat", "image"]),
    key=st.none() | st.text(max_size=5),
)
retry_afters = st.floats(0, 1e9) | st.sampled_from(["truth", "date", "missing", "zero", "huge"])
OWN: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "refuse": {"selector": st.builds(Selector, path=st.none() | st.text(max_size=5))},
    "stall": {"after_bytes": st.integers(0, 10**15), "lasts_s": st.none() | st.floats(0, 1e9)},
    "drip": {"bytes_per_s": st.floats(1e-3, 1e9)},
    "cut": {"after_bytes": st.none() | st.integers(0, 9)},
    "slow": {"multiplier": st.floats(0, 1e6), "add_s": st.floats(0, 1e9)},
    "status": {
        "statuses": st.lists(st.integers(400, 599), min_size=1, max_size=4).map(tuple),
        "retry_after": retry_afters,
    },
    "rate_limit": {
        "requests_per_min": st.none() | st.floats(1e-3, 1e9),
        "burst": st.integers(1, 9),
        "retry_after": retry_afters,
    },
    "credit": {"variant": st.sampled_from(["hard", "quota"])},
    "malformed": {"variant": st.sampled_from(["html", "empty", "wrong_type"])},
    "timeout": {"duration_s": st.floats(0, 1e9)},
}


@st.composite
def any_fault(draw: st.DrawFn) -> Any:
    struct = draw(st.sampled_from(kinds.Fault.__args__))
    start = draw(seconds)
    common = {
        "from_s": start,
        "until_s": draw(st.none() | st.floats(start + 0.5, start + 1e6)),
        "share": draw(st.floats(0, 1)),
        "times": draw(st.none() | st.integers(1, 9)),
        "selector": draw(selectors),
    }
    own = OWN.get(struct.__struct_config__.tag, {})
    return struct(**{**common, **{name: draw(values) for name, values in own.items()}})


schedules = st.builds(
    Schedule, faults=st.lists(any_fault(), max_size=5).map(tuple), seed=st.none() | seeds
)


def toml_value(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace(
        "\x7f", "\\u007f"
    )  # JSON lets it stand, TOML does not


@given(schedules)
def test_a_schedule_survives_toml_and_json(schedule: Schedule) -> None:
    text = canonical_json(schedule)
    assert parse_schedule(msgspec.json.decode(text)) == schedule
    assert canonical_json(parse_schedule(msgspec.json.decode(text))) == text
    toml = "\n".join(f"{k} = {toml_value(v)}" for k, v in json.loads(text).items())
    assert parse_schedule(msgspec.toml.decode(toml)) == schedule


def test_what_equals_a_default_is_not_written() -> None:
    written = {"kind": "cut", "from": "0s", "share": 1, "times": None, "selector": {}}
    assert canonical_json(parse_schedule([written])) == b'{"faults":[{"kind":"cut"}]}'
    assert canonical_json(parse_schedule([])) == b"{}"


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["faults", "kind", "from", "for", "until", "share", "selector", "x"]),
            inner | st.sampled_from(kinds.KINDS),
            max_size=4,
        )
    ),
)


@given(json_values | st.lists(json_values).map(lambda faults: {"faults": faults}))
def test_any_document_is_a_schedule_or_refused(document: object) -> None:
    try:
        schedule = parse_schedule(document)
    except Refused:
        return
    assert parse_schedule(msgspec.json.decode(canonical_json(schedule))) == schedule


@pytest.mark.parametrize(
    ("document", "key", "words"),
    [
        ({"fault": []}, "fault", "no such key in a fault schedule"),
        ([{"kind": "hanging"}], "faults[0].kind", "'hanging' is no kind of fault; use refuse,"),
        ([{"kind": "hang"}, {"kind": "cut", "k": 1}], "faults[1].k", "no such key"),
        ([{"kind": "hang", "share": 1.5}], "faults[0].share", "<= 1.0, got 1.5"),
        ([{"kind": "hang", "share": math.nan}], "faults[0].share", "not a finite number"),
        ([{"kind": "hang", "times": 0}], "faults[0].times", ">= 1, got 0"),
        ([{"kind": "hang", "from": "10 sec"}], "faults[0].from", "is no duration; write seconds"),
        ([{"kind": "hang", "for": 1, "until": 2}], "faults[0].for", "keep one of the two"),
        ([{"kind": "hang", "for": 0}], "faults[0].for", "above 0 seconds, got 0"),
        ([{"kind": "hang", "from": 9, "until": 9}], "faults[0]", "ends at 9 s, not after"),
        ([{"kind": "hang", "from": None}], "faults[0].from", "Expected `float`"),
        ([{"kind": "refuse", "selector": {"model": "m"}}], "faults[0]", "another property than m"),
        ([{"kind": "status", "statuses": [200]}], "faults[0].statuses[0]", ">= 400"),
        ([{"kind": "hang", "selector": {"modell": "m"}}], "faults[0].selector.modell", "no such"),
        ("10s", "", "not a fault schedule"),
        ({"seed": -1}, "seed", ">= 0, got -1"),
    ],
)
def test_a_refusal_names_the_key_and_says_what_to_do(document: Any, key: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_schedule(document)
    assert refused.value.key == key
    assert words in str(refused.value)


def test_a_schedule_is_read_from_files(tmp_path: Any) -> None:
    toml = tmp_path / "outage.toml"
    toml.write_text('[[faults]]\nkind = "status"\nfrom = "10s"\nfor = "30s"\nstatuses = [503]\n')
    as_json = tmp_path / "outage.json"
    as_json.write_bytes(canonical_json(load_schedule(toml)))
    assert load_schedule(toml) == load_schedule(as_json)
    assert as_json.read_text() == (
        '{"faults":[{"from":10.0,"kind":"status","statuses":[503],"until":40.0}]}'
    )
    broken = tmp_path / "broken.toml"
    broken.write_text("faults = [")
    with pytest.raises(Refused, match=r"^broken\.toml: "):
        load_schedule(broken)
    with pytest.raises(Refused, match=r"ends in \.toml or \.json"):
        load_schedule(tmp_path / "outage.yaml")


def test_no_repr_shows_a_key() -> None:
    selector = Selector(key="sk-very-secret")
    assert "sk-very" not in repr(selector)
    assert "sk-very" not in repr(Facts(number=1, key="sk-very-secret"))
    assert "sk-very" not in repr(Schedule(faults=(kinds.Reset(selector=selector),)))
