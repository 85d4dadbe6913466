"""A breaker recomputed from its history at every look: slow, and too simple to be wrong alike.

It keeps no counter. An era lasts from one transition to the next and holds what happened in it;
run, shares, probes and leases are all read off that list again each time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from understudy_actors.provider.policy import BreakerPolicy


@dataclass(frozen=True)
class Entry:
    """Something the outside did: admit, release, isolate, disable, enable, reset, restore, look."""

    at: float
    what: str
    permit: int = 0
    generation: int = -1
    verdict: str = ""
    retry_after: float | None = None
    duration: float = 0.0
    timeout: float = 0.0


@dataclass
class Era:
    """From one transition to the next."""

    state: str
    generation: int
    began: float
    exponent: int = 0
    until: float | None = None
    entries: list[Entry] = field(default_factory=list)
    awake_at: float = -math.inf  # nothing is due before, since the machine was not there


@dataclass(frozen=True)
class View:
    """What the outside can see."""

    state: str
    generation: int
    exponent: int
    until: float | None
    run: int
    probes: frozenset[int]
    refusal: str | None
    retry_at: float | None
    next_at: float | None


class BreakerModel:
    """The whole history, and the breaker that follows from it."""

    def __init__(self, policy: BreakerPolicy, jitter: Callable[[int], float]) -> None:
        self.policy = policy
        self.jitter = jitter
        self.log: list[Entry] = []

    def view(self, now: float) -> View:
        """What is to be seen at `now`."""
        return self.view_of(self.eras(now)[-1], now)

    def view_of(self, era: Era, now: float) -> View:
        """What is to be seen of the era of `now`."""
        leases = self._leases(era)
        refusal, retry_at = self._refusal(era, leases)
        outcomes = [each.verdict for each in era.entries if each.what == "counted"]
        run = 0 if era.state != "closed" else _trailing(outcomes, "failed")
        return View(
            state=era.state,
            generation=era.generation,
            exponent=self._exponent(era, now),
            until=era.until,
            run=run,
            probes=frozenset(leases),
            refusal=refusal,
            retry_at=retry_at,
            next_at=self._due(era)[0],
        )

    def eras(self, now: float) -> list[Era]:
        """Every era up to `now`; each but the first began with one transition."""
        self._openings = 0
        eras = [Era("closed", 0, -math.inf)]
        for entry in [*self.log, Entry(now, "look")]:
            while True:
                due, target = self._due(eras[-1])
                if due is None or due > entry.at:
                    break
                eras.append(self._next(eras[-1], due, target))
            if (era := self._apply(eras[-1], entry)) is not None:
                eras.append(era)
        return eras

    def heard(self, entry: Entry) -> bool:
        """Would this release be of the current generation, and not back yet?"""
        era = self.eras(entry.at)[-1]
        if era.generation != entry.generation:
            return False
        return era.state != "half-open" or entry.permit in self._leases(era)

    def _due(self, era: Era) -> tuple[float | None, str]:
        if era.state == "open":
            assert era.until is not None
            return max(era.until, era.awake_at), "half-open"
        leases = self._leases(era)
        return (min(leases.values()), "open") if leases else (None, "")

    def _leases(self, era: Era) -> dict[int, float]:
        if era.state != "half-open":
            return {}
        back = {each.permit for each in era.entries if each.what == "release"}
        return {
            each.permit: each.at + each.timeout + self.policy.lease_grace_s
            for each in era.entries
            if each.what == "admit" and each.permit not in back
        }

    def _refusal(self, era: Era, leases: dict[int, float]) -> tuple[str | None, float | None]:
        if era.state == "open":
            return "open", era.until
        if era.state == "half-open" and len(leases) >= self.policy.max_probes:
            return "probing", min(leases.values())
        return ("isolated", None) if era.state == "isolated" else (None, None)

    def _exponent(self, era: Era, now: float) -> int:
        if era.state != "closed" or not era.exponent:
            return era.exponent
        return max(0, era.exponent - math.floor((now - era.began) / self.policy.calm_s))

    def _next(
        self, era: Era, at: float, target: str, grow: int = 0, lifts: Sequence[float] = ()
    ) -> Era:
        exponent = self._exponent(era, at)
        if target != "open":
            return Era(target, era.generation + 1, at, exponent)
        exponent += grow
        while exponent > 1 and self._full(exponent - 1) == self.policy.cap_s:
            exponent -= 1  # no step beyond the cap
        cool = self._full(exponent)
        if self.policy.jitter:
            cool = cool * (1 + self.jitter(self._openings)) / 2
            self._openings += 1
        return Era("open", era.generation + 1, at, exponent, at + max([cool, *lifts]))

    def _full(self, exponent: int) -> float:
        full = self.policy.cooldown_s
        for _ in range(exponent - 1):
            full = min(self.policy.cap_s, full * self.policy.factor)
        return full

    def _apply(self, era: Era, entry: Entry) -> Era | None:
        admin = {"isolate": "isolated", "disable": "disabled"}
        match entry.what:
            case "isolate" | "disable" if era.state != admin[entry.what]:
                return self._next(era, entry.at, admin[entry.what])
            case "enable" if era.state in admin.values():
                return self._next(era, entry.at, "closed")
            case "reset":
                era.exponent = 0
                if era.state not in admin.values():
                    return self._next(era, entry.at, "closed")
            case "restore":
                kept = [each for each in era.entries if each.what != "admit"]
                after = Era(era.state, era.generation + 1, era.began, era.exponent, era.until, kept)
                after.awake_at = entry.at
                return after
            case "admit" if era.state == "half-open":
                era.entries.append(entry)
            case "release" if entry.generation == era.generation:
                return self._release(era, entry)
        return None

    def _release(self, era: Era, entry: Entry) -> Era | None:
        lifts = []
        if entry.retry_after is not None:
            lifts.append(min(entry.retry_after, self.policy.retry_after_cap_s))
        if era.state == "closed" and entry.verdict in ("ok", "failed"):
            era.entries.append(Entry(entry.at, "counted", verdict=entry.verdict))
            if entry.verdict == "failed" and self._trips(era, entry.at):
                return self._next(era, entry.at, "open", 1, lifts)
        if era.state != "half-open" or entry.permit not in self._leases(era):
            return None
        era.entries.append(entry)
        said = [
            each.verdict
            for each in era.entries
            if each.what == "release" and each.verdict != "void"
        ]
        if entry.verdict == "failed":
            lifts.append(min(2 * entry.duration, self.policy.slow_probe_cap_s))
            return self._next(era, entry.at, "open", 1, lifts)
        if entry.verdict == "ok" and said.count("ok") == self.policy.close_after:
            return self._next(era, entry.at, "closed")
        unsaid = _trailing(said, "neutral", "throttled")
        if entry.verdict != "void" and unsaid == self.policy.inconclusive_limit:
            return self._next(era, entry.at, "open", 0, lifts)
        return None

    def _trips(self, era: Era, now: float) -> bool:
        policy = self.policy
        counted = [each for each in era.entries if each.what == "counted"]
        run = _trailing([each.verdict for each in counted], "failed")

        def window(length_s: float, buckets: int) -> tuple[int, int]:
            width = length_s / buckets
            inside = [e for e in counted if now // width - e.at // width < buckets]
            return len(inside), sum(e.verdict == "failed" for e in inside)

        short = window(policy.short_window_s, policy.short_buckets)
        long = window(policy.long_window_s, policy.long_buckets)
        if run >= policy.run_threshold + (growth(policy, long[0]) if policy.growth else 0):
            return True
        if policy.ratio is None:
            return False
        return any(
            n >= least and bad / n >= policy.ratio
            for (n, bad), least in ((short, policy.short_min), (long, policy.long_min))
        )


def growth(policy: BreakerPolicy, n: int) -> int:
    """ceil(ln(max(1, n / n0)) / ln(1 / p*)), in exact arithmetic."""
    ratio = Fraction(n) / Fraction(policy.growth_from)
    step = 1 / Fraction(policy.background).limit_denominator(1000)
    power = 0
    while step**power < ratio:
        power += 1
    return power


def _trailing(items: Sequence[str], *wanted: str) -> int:
    count = 0
    for item in reversed(items):
        if item not in wanted:
            break
        count += 1
    return count
