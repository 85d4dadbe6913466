"""The laws of a strategy: alone, call by call, and inside simulated worlds where providers fail."""

from __future__ import annotations

import copy
import math
import random  # noqa: TID251  its state is what a strategy must not depend on
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias, cast

import attrs

from understudy_actors.dispatcher.strategies.base import Strategy, View
from understudy_actors.domain.candidate import Candidate, EndpointSpec
from understudy_actors.domain.price import Price
from understudy_actors.domain.request import Request
from understudy_actors.provider.health import Health
from understudy_actors.runtime.ports import Randomness, Stream
from understudy_sim.scenario import Scenario, parse
from understudy_sim.testing.laws import LawBroken
from understudy_sim.testing.worlds import verify_scenario

Shares: TypeAlias = str | Mapping[str, float]
Make: TypeAlias = Callable[[], Strategy]

PROTOCOL: Final = "a strategy has a `name` and a method `rank(candidates, view)`"
RETURNS: Final = "rank raises nothing, whatever it is given"
PERMUTATION: Final = "rank returns a permutation of its candidates: nobody twice, missing or new"
READ_ONLY: Final = "candidates are read, and never changed"
ARGUMENTS: Final = "the order depends on the arguments alone, and all chance comes from view.draws"
SHARES: Final = "first places are shared out as the strategy declares"

_SIZES: Final = (1, 2, 3, 5, 8, 70)
_CALLS: Final = 25
_PICKS: Final = 2000
_SIGMAS: Final = 5.0
_SLACK: Final = 0.01
_ALIAS: Final = "under_test"


def verify_strategy(
    strategy: Strategy | Make,
    *,
    shares: Shares | None = None,
    worlds: bool = True,
    seeds: Sequence[int] = (1, 2, 3),
) -> None:
    """Verify a strategy of your own.

        class Loyal:
            name = "loyal"
            def rank(self, candidates, view):
                return sorted(candidates, key=lambda c: (-c.picked, c.index))

        verify_strategy(Loyal)

    Args:
        strategy: Its class, anything else that makes one, or an instance, which is copied.
        shares: Of the first places: `"weight"` (as configured), `"equal"`, or provider to weight.
            Left out, what its attribute `shares` declares, if it has one.
        worlds: Run it in simulated worlds too.
        seeds: Of everything that is drawn.

    Raises:
        LawBroken: The message names the law.
        ValueError: `shares` is none of these.
    """
    make = _maker(strategy)
    name = _subject(make, strategy)
    for seed in seeds:
        _verify_calls(make, name, seed)
    declared = shares if shares is not None else getattr(make(), "shares", None)
    if declared is not None:
        _verify_shares(make, name, declared, seeds[0])
    if worlds:
        for seed in seeds:
            _verify_in_world(make, name, seed)


def _verify_in_world(make: Make, name: str, seed: int) -> None:
    """Run a world under every checker; a law that a call breaks there is told as such."""
    broken: list[LawBroken] = []
    strategies = {_ALIAS: lambda: _Watched(make(), name, broken)}
    try:
        verify_scenario(_world(seed), strategies=strategies, subject=name)
    except LawBroken:
        for first in broken[:1]:
            raise first from first.__cause__
        raise


class _Watched:
    """A strategy whose every call is held against the laws; the first one broken is kept."""

    name = _ALIAS

    def __init__(self, strategy: Strategy, subject: str, broken: list[LawBroken]) -> None:
        self._strategy, self._subject, self._broken = strategy, subject, broken

    def rank(self, candidates: Sequence[Candidate], view: View) -> Sequence[Candidate]:
        """What the strategy says."""
        try:
            return _rank(self._strategy, self._subject, candidates, view)
        except LawBroken as law:
            self._broken.append(law)
            raise


def _maker(strategy: Strategy | Make) -> Make:
    if isinstance(strategy, type) or not hasattr(strategy, "rank"):
        return cast(Make, strategy)
    return lambda: cast(Strategy, copy.deepcopy(strategy))


def _subject(make: Make, given: object) -> str:
    made = make() if callable(make) else make
    if not isinstance(made, Strategy) or not isinstance(made.name, str):
        raise LawBroken(repr(given), PROTOCOL, f"{type(made).__name__} lacks one of them.")
    return f"strategy {made.name!r}"


def _verify_calls(make: Make, name: str, seed: int) -> None:
    """Play the same calls twice, in two worlds that differ in all that must not matter."""
    with _ambient(1):
        once = _play(make, name, seed, backwards=False)
    with _ambient(2):
        again = _play(make, name, seed, backwards=True)
    for call, (one, two) in enumerate(zip(once, again, strict=True)):
        if one != two:
            raise LawBroken(
                name,
                ARGUMENTS,
                f"In call {call} of seed {seed} the same arguments gave {_listed(one)}, and then "
                f"{_listed(two)}: look for `random`, the time, ids, or the order of a set.",
            )


def _play(make: Make, name: str, seed: int, *, backwards: bool) -> list[list[str]]:
    randomness = Randomness(seed)
    orders: list[list[str]] = []
    for size in _SIZES:
        strategy, fleet = make(), _fleet(randomness, size, backwards)
        draws = randomness.stream(f"draws/{size}")
        for call in range(_CALLS):
            stream = randomness.stream(f"readings/{size}/{call}")
            for each in fleet:
                _read(each, stream, float(call))
            chosen = fleet if call % 3 else fleet[: max(1, size // 2)]
            ranked = _rank(strategy, name, chosen, _view(float(call), stream, draws))
            orders.append([each.name for each in ranked])
    return orders


def _rank(strategy: Strategy, name: str, fleet: Sequence[Candidate], view: View) -> list[Candidate]:
    """One call, held against the laws that one call can break."""
    before = [_print_of(each) for each in fleet]
    given = tuple(fleet)
    try:
        ranked = list(strategy.rank(given, view))
    except Exception as error:
        what = f"With {len(given)} candidates it raised {type(error).__name__}."
        raise LawBroken(name, RETURNS, what) from error
    counts = Counter(id(each) for each in ranked)
    for each in given:
        if counts[id(each)] != 1:
            times = "is missing" if not counts[id(each)] else f"stands {counts[id(each)]} times"
            what = f"{each.name} {times} in its order of {len(given)} candidates."
            raise LawBroken(name, PERMUTATION, what)
    if len(ranked) != len(given):
        raise LawBroken(name, PERMUTATION, f"It returned {len(ranked)} for {len(given)}.")
    for each, old in zip(given, before, strict=True):
        if changed := [key for key, value in _print_of(each).items() if value != old[key]]:
            raise LawBroken(name, READ_ONLY, f"It changed {', '.join(changed)} of {each.name}.")
    return ranked


def _verify_shares(make: Make, name: str, declared: Shares, seed: int) -> None:
    """Let equals compete that differ in weight alone, and count who comes first."""
    weights = _weights(declared)
    total = sum(weights.values())
    fleet = [
        Candidate(_spec(provider, weight if declared != "equal" else 1.0), index, Health())
        for index, (provider, weight) in enumerate(weights.items())
    ]
    strategy, draws, wins = make(), Randomness(seed).stream("shares"), Counter[str]()
    for pick in range(_PICKS):
        view = View(pick * 0.1, Request.chat("hi"), 10, 100, draws)
        first = _rank(strategy, name, fleet, view)[0]
        first.picked = pick + 1
        wins[first.spec.provider] += 1
    for provider, weight in weights.items():
        due, got = weight / total, wins[provider] / _PICKS
        if abs(got - due) > _SIGMAS * math.sqrt(due * (1 - due) / _PICKS) + _SLACK:
            said = declared if isinstance(declared, str) else dict(declared)
            raise LawBroken(
                name,
                SHARES,
                f"It declares {said!r}, so {provider} (weight {weight:g} of {total:g}) is due "
                f"{due:.0%} of {_PICKS} first places among equals; it got {got:.0%}.",
            )


def _weights(declared: Shares) -> dict[str, float]:
    if declared == "weight":
        return {"alpha": 5.0, "beta": 3.0, "gamma": 2.0}
    if declared == "equal":
        return {"alpha": 1.0, "beta": 1.0, "gamma": 1.0}
    if isinstance(declared, Mapping) and declared and all(w > 0 for w in declared.values()):
        return dict(declared)
    raise ValueError(f"shares must be 'weight', 'equal' or weights above 0, got {declared!r}")


@contextmanager
def _ambient(seed: int) -> Iterator[None]:
    """Set the global random states, which a strategy must not see, and put them back."""
    state = random.getstate()
    numbers = getattr(sys.modules.get("numpy"), "random", None)
    others = numbers.get_state() if numbers is not None else None
    random.seed(seed)
    if numbers is not None:
        numbers.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
        if numbers is not None:
            numbers.set_state(others)


def _fleet(randomness: Randomness, size: int, backwards: bool) -> list[Candidate]:
    """Candidates of all sorts. `backwards` makes the last one first, so addresses differ."""
    places = range(size - 1, -1, -1) if backwards else range(size)
    made = [_candidate(randomness.stream(f"spec/{size}/{place}"), place) for place in places]
    return sorted(made, key=lambda each: each.index)


def _candidate(stream: Stream, place: int) -> Candidate:
    priced = stream.uniform() < 0.8
    spec = EndpointSpec(
        provider=f"p{place}",
        model="m",
        operations=("chat",),
        weight=1.0 + int(stream.uniform() * 5),
        quality=round(stream.uniform(), 1),
        price=Price(stream.uniform() * 5, stream.uniform() * 20) if priced else None,
    )
    return Candidate(spec, place, Health())


def _spec(provider: str, weight: float) -> EndpointSpec:
    return EndpointSpec(provider=provider, model="m", operations=("chat",), weight=weight)


def _read(each: Candidate, stream: Stream, now: float) -> None:
    """Draw what was observed of a candidate."""
    each.in_flight = int(stream.uniform() * 8)
    each.ramp = 1.0 if stream.uniform() < 0.7 else 0.1 + 0.9 * stream.uniform()
    each.free_left = int(stream.uniform() * 3) if stream.uniform() < 0.2 else None
    each.picked = int(stream.uniform() * 50)
    happened, health = stream.uniform(), cast(Health, each.health)
    if happened < 0.4:
        health.on_ok(now, now, 0.1 + stream.uniform() * 5, None, 100)
    elif happened < 0.6:
        health.on_fail(now, now, None)


def _view(now: float, stream: Stream, draws: Stream) -> View:
    tokens = int(stream.uniform() * 2000)
    return View(now, Request.chat("hi"), tokens, int(stream.uniform() * 1000), draws)


def _print_of(each: Candidate) -> dict[str, Any]:
    own = {field.name: getattr(each, field.name) for field in attrs.fields(Candidate)}
    health = own["health"]
    return own | {"health": (id(health), health.snapshot())}


def _world(seed: int) -> Scenario:
    """A minute in which everybody has a bad time, one after another."""
    names = ("alpha", "beta", "gamma")
    failures: tuple[dict[str, Any], ...] = (
        {"kind": "refuse", "from": 10, "for": 15},
        {"kind": "status", "from": 20, "for": 15, "share": 0.5},
        {"kind": "rate_limit", "from": 30, "for": 15, "retry_after": "truth"},
    )
    return parse(
        {
            "name": "verify-strategy",
            "seed": seed,
            "horizon": 60,
            "clients": [
                {
                    "name": "web",
                    "arrivals": {"kind": "poisson", "rate": 4},
                    "deadline": 20,
                    "cancels": {"share": 0.05},
                }
            ],
            "fleet": [{"name": name} for name in names],
            "faults": [
                {**fault, "selector": {"provider": name}}
                for name, fault in zip(names, failures, strict=True)
            ],
            "schedule": {"policy": "shuffle", "quantum": 2.0**-7},
            "engine": {
                "strategy": _ALIAS,
                "providers": {name: {"weight": 3 - place} for place, name in enumerate(names)},
            },
        }
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
