"""Faults in what a provider actor owns: breaker, holds, slots, and what an attempt says of them."""

from __future__ import annotations

from typing import Final

from tests.mutants.harness import planted_in as _in

_BREAKER: Final = "understudy_actors.provider.breaker"
_HOLDS: Final = "understudy_actors.provider.holds"
_PROVIDER: Final = "understudy_actors.provider.actor"
_ACCOUNT: Final = "understudy_actors.provider.account"
_ENDPOINT: Final = "understudy_actors.provider.endpoint"
_JUDGING: Final = "understudy_actors.provider.judging"
_HEALTH: Final = "understudy_actors.provider.health"
_SLOTS: Final = "understudy_actors.provider.concurrency"
_TELLING: Final = "understudy_actors.provider.telling"
_OUTCOME: Final = "understudy_actors.domain.outcome"
_ATTEMPT: Final = "understudy.routing.attempt"
_SETTLEMENT: Final = "understudy.routing.settlement"


BREAKER: Final = _in(
    _BREAKER,
    ("stale verdicts count", "if generation != self.generation:", "if False:"),
    (
        "one probe too many",
        "len(self._probes) >= self.policy.max_probes",
        "len(self._probes) > self.policy.max_probes",
    ),
    (
        "half-open lets everyone through",
        "if self.state is _HALF_OPEN and len(self._probes) >= self.policy.max_probes:",
        "if False:",
    ),
    (
        "traffic refreshes the cooldown",
        'return Refusal(self.until, "open")',
        'self._due = self.until = self._due + 0.5; return Refusal(self.until, "open")',
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
    ("a hung probe keeps its slot", "self._due = min(self._probes.values())\n", "pass\n"),
    ("a probe goes early", "while now >= self._due:", "while now >= self._due - 1:"),
    (
        "a failed probe loses the back-off",
        'now, "probe failed", grow=True',
        'now, "probe failed", grow=False',
    ),
    (
        "a cooldown ignores Retry-After",
        "        if retry_after is not None:\n            floor_s",
        "        if False:\n            floor_s",
    ),
    (
        "an ignorable probe closes",
        "if verdict is _OK:\n            self._inconclusive = 0",
        "if verdict is not _FAIL:\n            self._inconclusive = 0",
    ),
    (
        "one probe is enough to close",
        "if self._ok_in_row >= self.policy.close_after:",
        "if self._ok_in_row >= 1:",
    ),
    (
        "a run of failures ages",
        "self.run += 1",
        "self.run = self.run + 1 if self._short.n else 1",
    ),
    (
        "the generation is not raised",
        "self.generation += 1",
        "self.generation += target is not _HALF_OPEN",
    ),
    ("it never closes", "self._ok_in_row += 1", "self._ok_in_row = 0"),
    (
        "closing forgets the back-off",
        "return max(0, self._exponent - int((now - self._since) // self.policy.calm_s))",
        "return 0",
    ),
    (
        "a full provider fails its probe",
        "elif verdict is _FAIL:\n            self._open",
        "elif verdict is not _OK:\n            self._open",
    ),
    ("cooldowns have no jitter", "if policy.jitter:", "if False:"),
    (
        "a window never trips it",
        "if policy.ratio is not None:\n            short, long",
        "if False:\n            short, long",
    ),
)

HOLDS: Final = (
    *_in(
        _HOLDS,
        (
            "a later hold keeps the earlier end",
            "if held is not None and end <= held.until and not (stated and origin > held.origin):",
            "if held is not None:",
        ),
        (
            "a short hold cuts a long one",
            "if held is not None and end <= held.until and not (stated and origin > held.origin):",
            "if False:",
        ),
        (
            "a hold ends late",
            "if hold.until <= now]",
            "if hold.until <= now - 5]",
        ),
        (
            "the probe of a hold is not alone",
            'return Refusal(self._lease_end, "probing") if self._probe is not None else None',
            "return None",
        ),
        (
            "the ladder never climbs",
            "level = min(_LEVEL_MAX, ladder.level + 1)",
            "level = 1",
        ),
    ),
    *_in(
        _ACCOUNT,
        (
            "holds are not asked on the way in",
            "            or endpoint.holds.check(now)\n",
            "",
        ),
    ),
    *_in(
        _HEALTH,
        (
            "those who leave early prove nothing together",
            "return self._silence.with_one_more(now, elapsed_s, self._latency_seen) >= long_s",
            "return False",
        ),
    ),
    *_in(
        _JUDGING,
        (
            "an unknown model holds the account",
            "elif kind is HoldKind.MODEL:\n        account.hold(endpoint,",
            "elif kind is HoldKind.MODEL:\n        account.hold(None,",
        ),
        (
            "an account's hold is one model's",
            "account.hold(None, now, kind, stated, started)",
            "account.hold(endpoint, now, kind, stated, started)",
        ),
        (
            "a stated end is ignored",
            "stated = None if message.retry_after_s is None else now + message.retry_after_s",
            "stated = None",
        ),
    ),
    *_in(
        _ACCOUNT,
        (
            "a second end cancels the timer",
            "if at != self._timer_at:\n            if",
            "if self._timer is None:\n            if",
        ),
    ),
)

SLOTS: Final = (
    *_in(
        _PROVIDER,
        (
            "a failure keeps its slot",
            "endpoint.concurrency.ended()",
            "endpoint.concurrency.in_flight -= message.verdict is Verdict.OK",
        ),
        (
            "one slot more than allowed",
            "if refusal is None and concurrency.in_flight >= concurrency.capacity:",
            "if refusal is None and concurrency.in_flight > concurrency.capacity:",
        ),
        (
            "nobody is woken for a free slot",
            "if was_full:\n            self._notify(candidate)",
            "if False:\n            self._notify(candidate)",
        ),
        (
            "a restart forgets who is in flight",
            "self._endpoints[permit.endpoint].concurrency.started()",
            "pass",
        ),
    ),
    *_in(
        _SLOTS,
        ("every refusal cuts the limit", "if started_at < self._last_cut:", "if False:"),
        ("the limit never grows back", "self._set(min(limit + growth, float(self.most)))", "pass"),
    ),
    *_in(
        _TELLING,
        ("a recovered one is flooded", "endpoint.concurrency.restart()", "pass"),
    ),
    *_in(
        _ATTEMPT,
        (
            "a caller that leaves keeps the permit",
            "        settle(wiring, flight, candidate, permit, answer)\n",
            "        if answer is not None:\n"
            "            settle(wiring, flight, candidate, permit, answer)\n",
        ),
    ),
)

ENDPOINTS: Final = (
    *_in(
        _ENDPOINT,
        (
            "a restart closes the breaker",
            "self.breaker.restore(snapshot.breaker, now)",
            "pass",
        ),
        ("a restart lifts the holds", "self.holds.restore(snapshot.holds, now)", "pass"),
        (
            "the breaker is not on the request path",
            "for refusal in (*wider, slow, self.holds.check(now), self.breaker.check(now)):",
            "for refusal in (*wider, slow, self.holds.check(now)):",
        ),
    ),
    *_in(
        _JUDGING,
        (
            "a failure is a latency sample",
            "health.on_fail(now, wall, elapsed_s if cut else None)",
            "health.on_ok(now, wall, elapsed_s)",
        ),
        (
            "the domain's fault is the model's",
            "own = _NEUTRAL if verdict is _FAIL else verdict",
            "own = verdict",
        ),
    ),
    *_in(
        _OUTCOME,
        (
            "cancelling blames the provider",
            "ErrorClass.CANCELLED: Policy(_NEUTRAL,",
            "ErrorClass.CANCELLED: Policy(_FAIL,",
        ),
        (
            "a refused key blames the breaker",
            "ErrorClass.AUTH: Policy(_NEUTRAL, Scope.ACCOUNT, hold=HoldKind.AUTH)",
            "ErrorClass.AUTH: Policy(_FAIL)",
        ),
        (
            "a busy provider is not failed over",
            "ErrorClass.RATE_LIMIT: Policy(_THROTTLE, here=True,",
            "ErrorClass.RATE_LIMIT: Policy(_THROTTLE, here=True, elsewhere=False,",
        ),
    ),
    *_in(
        _SETTLEMENT,
        (
            "an impatient caller blames the provider",
            "return Verdict.FAIL if fails else Verdict.NEUTRAL",
            "return Verdict.FAIL",
        ),
        (
            "who steps in is never blamed",
            "    verdict = verdict_of(candidate, kind, now, elapsed_s - idle_s, heard=heard)\n",
            "    verdict = verdict_of(candidate, kind, now, elapsed_s - idle_s, heard=heard)\n"
            "    if len(flight.tried) > 1 and verdict is Verdict.FAIL:\n"
            "        verdict = Verdict.NEUTRAL\n",
        ),
    ),
)
