"""Faults planted in the provider's machines; each must be noticed by its machine's tests.

The first version of a test looks convincing and lets some of these pass: keep the list beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Final

from hypothesis.stateful import RuleBasedStateMachine

from tests.properties.test_breaker import window_machine
from tests.properties.test_breaker_model import breaker_machine
from tests.properties.test_concurrency import concurrency_machine
from tests.properties.test_health import health_machine
from tests.properties.test_holds import holds_machine
from tests.properties.test_permits import permit_machine
from tests.support.mutants import Mutant

_PACKAGE: Final = "understudy_actors.provider"

MACHINES: Final[Mapping[str, tuple[Callable[[ModuleType], type[RuleBasedStateMachine]], ...]]] = {
    f"{_PACKAGE}.breaker": (breaker_machine, permit_machine),
    f"{_PACKAGE}.windows": (window_machine,),
    f"{_PACKAGE}.holds": (holds_machine,),
    f"{_PACKAGE}.concurrency": (concurrency_machine,),
    f"{_PACKAGE}.health": (health_machine,),
}
"""Who notices faults in which module. Each machine alone notices those of the breaker's lists."""


def _in(module: str, *faults: tuple[str, str, str]) -> list[Mutant]:
    return [Mutant(name, f"{_PACKAGE}.{module}", old, new) for name, old, new in faults]


BREAKER: Final = _in(
    "breaker",
    (
        "no generation check",
        "if generation != self.generation:",
        "if False:",
    ),
    (
        "one probe too many",
        "len(self._probes) >= self.policy.max_probes",
        "len(self._probes) > self.policy.max_probes",
    ),
    (
        "refusals extend the cooldown",
        'return Refusal(self.until, "open")',
        'self._due = self.until = self.until + 1; return Refusal(self.until, "open")',
    ),
    (
        "neutral counts as failure",
        "elif verdict is _FAIL:\n                self._count",
        "else:\n                self._count",
    ),
    (
        "busy counts as failure",
        "elif verdict is _FAIL:\n                self._count",
        "elif verdict in (_FAIL, Verdict.THROTTLE):\n                self._count",
    ),
    ("no lease", "self._due = min(self._probes.values())", "pass"),
    ("a probe goes early", "while now >= self._due:", "while now >= self._due - 1:"),
    (
        "the exponent never fades",
        "return max(0, self._exponent - int((now - self._since) // self.policy.calm_s))",
        "return self._exponent",
    ),
    (
        "void keeps the slot",
        "if self._probes.pop(permit, None) is None:",
        "if (self._probes.get(permit) if verdict is _VOID else self._probes.pop(permit, None))"
        " is None:",
    ),
    ("void is inconclusive", "if verdict is _VOID:", "if False:"),
    (
        "late ticks start late cooldowns",
        'self._open(self._due, "lease over", grow=False)',
        'self._open(now, "lease over", grow=False)',
    ),
    (
        "a lost lease grows the cooldown",
        'self._open(self._due, "lease over", grow=False)',
        'self._open(self._due, "lease over", grow=True)',
    ),
    (
        "full jitter",
        "cooldown_s = cooldown_s / 2 + self._draw() * cooldown_s / 2",
        "cooldown_s = self._draw() * cooldown_s",
    ),
    (
        "retry-after is ignored",
        "floor_s = max(floor_s, min(retry_after, policy.retry_after_cap_s))",
        "pass",
    ),
    (
        "slow probes are ignored",
        "floor_s = min(2 * probe_s, policy.slow_probe_cap_s)",
        "floor_s = 0.0",
    ),
    (
        "inconclusive probes go on for ever",
        "if self._inconclusive >= self.policy.inconclusive_limit:",
        "if False:",
    ),
    ("one success closes", "if self._ok_in_row >= self.policy.close_after:", "if True:"),
    (
        "a transition keeps the generation",
        "self.generation += 1",
        "self.generation += target is not _HALF_OPEN",
    ),
    (
        "a success keeps the run",
        "                self.run = 0\n",
        "",
    ),
    ("a transition keeps the windows", "        self._long.clear()\n", ""),
    (
        "the short window never trips",
        "short.bad >= policy.ratio * short.n",
        "False",
    ),
    (
        "a probe counts in a disabled breaker",
        "if self.state is _HALF_OPEN:\n            return self._settle",
        "if True:\n            return self._settle",
    ),
    (
        "the return of one probe forgets the other's lease",
        "self._due = min(self._probes.values(), default=math.inf)",
        "self._due = math.inf",
    ),
)

WINDOWS: Final = _in(
    "windows",
    ("one bucket too many", "range(self._head + 1, 1 +", "range(self._head + 2, 1 +"),
    ("bad ones stay", "self.bad -= self._bads[slot]", "pass"),
    ("edges drift", "self._edge = (bucket + 1) * width", "self._edge = now + width"),
)

HOLDS: Final = _in(
    "holds",
    (
        "a new hold shortens",
        "if held is not None and end <= held.until and",
        "if held is not None and end == held.until and",
    ),
    (
        "an earlier call's word shortens",
        "not (stated and origin > held.origin)",
        "not stated",
    ),
    (
        "nothing shortens",
        "and not (stated and origin > held.origin)",
        "",
    ),
    (
        "the hold is ignored",
        "if (hold := self.active(now)) is not None:",
        "if (hold := self.active(now)) is None and False:",
    ),
    ("every error doubles", "elif kind in self._held or origin < ladder.set_at:", "elif False:"),
    (
        "a straggler doubles",
        "elif kind in self._held or origin < ladder.set_at:",
        "elif kind in self._held:",
    ),
    ("nothing doubles", "min(_LEVEL_MAX, ladder.level + 1)", "ladder.level"),
    ("success forgets nothing", "if verdict is Verdict.OK:", "if False:"),
    ("any end proves", "if verdict is Verdict.OK:", "if True:"),
    ("anybody's success proves", "if self._probe != permit:", "if False:"),
    ("the probe has no lease", "if now >= self._lease_end:", "if False:"),
    ("two probes", "if self._probe is not None else None", "if False else None"),
    (
        "a stated end is believed for ever",
        "return min(until, now + policy.stated_cap_s)",
        "return until",
    ),
    (
        "doubling has no cap",
        "now + min(policy.cap_s, first_s * 2.0 ** (level - 1))",
        "now + first_s * 2.0 ** (level - 1)",
    ),
)

CONCURRENCY: Final = _in(
    "concurrency",
    ("a cut for each refusal", "if started_at < self._last_cut:", "if False:"),
    (
        "calls of the cut's own time are old",
        "if started_at < self._last_cut:",
        "if started_at <= self._last_cut:",
    ),
    ("grows unused", "if in_flight_at_start * 2 >= limit and", "if"),
    ("grows by one", "limit < self._threshold else 1.0 / limit", "True else 1.0"),
    ("never starts slowly", "growth = 1.0 if limit < self._threshold else", "growth ="),
    (
        "forgets what was safe",
        "        self._threshold = self.limit\n        self._set(min",
        "        self._set(min",
    ),
    ("success keeps the streak", "        self.streak = 0\n        limit = ", "        limit = "),
    (
        "off by one",
        "return self.in_flight >= self.capacity",
        "return self.in_flight > self.capacity",
    ),
    ("no floor", "max(float(self.least), self.limit * self.beta)", "self.limit * self.beta"),
    ("recovers at full width", "self._set(min(self.limit, self.initial))", "pass"),
    (
        "back-off without a cap",
        "min(_BACKOFF_CAP_S, _BACKOFF_S * 2.0 ** (self.streak - 1))",
        "_BACKOFF_S * 2.0 ** (self.streak - 1)",
    ),
)

HEALTH: Final = _in(
    "health",
    (
        "a failure is a latency sample",
        "        if cut_off_s is not None:\n            self._bound(now, cut_off_s)\n\n"
        "    def on_other",
        "        self._base_s *= 0.9\n\n    def on_other",
    ),
    (
        "a failure freshens the latency",
        "        self._success *= kept\n",
        "        self._success *= kept\n        self._latency_seen = now\n",
    ),
    (
        "a cut-off lowers",
        "if cut_off_s < self._bound_s * math.exp((self._bound_seen - now) / _FADE_S):",
        "if False:",
    ),
    ("a bound pulls down", "if bound > expected:", "if True:"),
    ("failures attract", "prior_s) / self.success(now)", "prior_s) * self.success(now)"),
    ("cuts count only where something failed", "if self._bound_weight or ", "if "),
    (
        "never fades to the prior",
        "        expected = prior_s + (expected - prior_s) * fade\n",
        "        expected = expected if self.oks else prior_s\n",
    ),
    (
        "never fades to the prior while nothing fails",
        "        return prior_s + (expected - prior_s) * fade\n",
        "        return expected if self.oks else prior_s\n",
    ),
    (
        "success never fades",
        "return max(_SUCCESS_MIN, 1.0 - (1.0 - self._success) * fade)",
        "return max(_SUCCESS_MIN, self._success)",
    ),
    (
        "a stale median",
        "        self._p50_s = None\n        if self._success",
        "        if self._success",
    ),
    (
        "one failure weighs nothing when busy",
        "        self._success *= kept\n",
        "        self._success *= math.exp((self._success_seen - now) / _TAU_S)\n",
    ),
    (
        "impatience is failure",
        "max(_PATIENCE_S, _PATIENCE_FACTOR * (self.p50_s or 0.0))",
        "_PATIENCE_S",
    ),
    (
        "whole latencies mix with first tokens",
        "self._in_parts, kept = True, 0.0",
        "self._in_parts = True",
    ),
)

MUTANTS: Final = [*BREAKER, *WINDOWS, *HOLDS, *CONCURRENCY, *HEALTH]
