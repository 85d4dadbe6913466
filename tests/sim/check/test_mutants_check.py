"""Faults planted into the monitors are noticed by their cases."""

from __future__ import annotations

import pytest

from tests.sim.check.case import Case
from tests.sim.check.tape import Tape, breaks
from tests.sim.check.test_laws import CASES, RULES
from tests.support.mutants import Mutant
from understudy_sim.check import Watch


def planted(name: str, module: str, old: str, new: str) -> Mutant:
    return Mutant(name, f"understudy_sim.check.{module}", old, new)


MUTANTS = [
    planted("nothing counts later", "room", "self.ended[0] < now - COUNTS_S", "True"),
    planted("all belong", "room", 'scope if scope.partition(" ")[0] in _TOLD else ""', '""'),
    planted(
        "learned for a minute",
        "room",
        "LEARNED_S if provider in self._learned else COUNTS_S",
        "COUNTS_S",
    ),
    planted("charges are lost", "room", "+= event.micro_usd - reserved", "+= 0"),
    planted("windows never end", "room", "if event.wall < end else 0", ""),
    planted("breaches are lost", "room", "self._unsure.add(event.budget)", "pass"),
    planted("all alike", "rotation", "1.0 if strategy == _EQUAL else", "1.0 if strategy else"),
    planted("one line", "rotation", "event.model, event.needs", "event.model"),
    planted("nobody waits", "rotation", "or NO_SLOT in event.left_out.values()", ""),
    planted("others take none", "rotation", "Selected: self._begin_anew,", ""),
    planted("outcomes forgotten", "requests", "over[request] = here\n", "pass\n"),
    planted("any attempt may come back", "requests", "in asked.left:", "in ():"),
    planted("one attempt more", "requests", "asked.count > asked.most", "asked.count > 99"),
    planted("pauses may be short", "requests", "event.at_s < until - 1e-6", "False"),
    planted("at the deadline", "requests", "event.at_s < accepted[1].deadline:", "True:"),
    planted("slots never leak", "permits", "        if self._out:\n", "        if 0:\n"),
    planted("one probe more", "permits", "len(probes) <= most", "len(probes) <= most + 1"),
    planted(
        "any generation frees a probe",
        "permits",
        'getattr(lent[1], "generation", None) == event.generation',
        "True",
    ),
    planted("orphans never end", "permits", "self._orphans[key] = True", "pass"),
    planted(
        "stale ones count",
        "breakers",
        "event.generation != moved[1].generation:\n                said = (",
        "False:\n                said = (",
    ),
    planted("opens on anything", "breakers", "last[1].verdict == _FAIL and", "True or"),
    planted("any path", "breakers", "return (source, target) in _PATHS", "return True"),
    planted("early probes", "breakers", "event.at_s >= until - _ROUNDING_S", "True"),
    planted(
        "no fading", "breakers", "before = max(0, before - int", "before = max(before, 0 * int"
    ),
    planted(
        "no top",
        "breakers",
        "if event.why == _PROBE_FAILED:\n        return min(policy.top_exponent, before + 1)",
        "if event.why == _PROBE_FAILED:\n        return before + 1",
    ),
    planted(
        "runs never end", "counting", "self._run.pop(scope, None)\n            return", "return"
    ),
    planted(
        "holds pass",
        "admission",
        "gates.hold_against(endpoint, event.at_s)) is not",
        "None) is not",
    ),
    planted("any pretext", "admission", "if now < until + self.rules.late_s:", "if True:"),
    planted("probes stay out", "admission", "probes.discard(event.permit)", "pass"),
    planted("any time to retry", "admission", "if sure and at < first", "if False and at < first"),
    planted("budget without end", "budget", "self._tokens -= 1.0", "self._tokens -= 0.9"),
    planted(
        "guard one too low",
        "budget",
        "after <= rule.floor < tokens",
        "after < rule.floor <= tokens",
    ),
    planted("success fills nothing", "budget", "+ rule.ok", "+ 0"),
    planted(
        "leases never end",
        "liveness",
        "self._out.add((scope, event.permit), event.at_s + lease_s, (seq, event))",
        "pass",
    ),
    planted(
        "closing does not heal",
        "recovery",
        "self._moved.pop(scope, None)\n            self._waits.drop(scope)",
        "pass",
    ),
    planted("any goodput", "recovery", "again / m >= GOODPUT * ok / n", "True"),
    planted("every wait prolongs a fault", "recovery", "and not event.stated:", "and False:"),
    planted("no wait prolongs a fault", "recovery", "*self._held.values()))", "))"),
    planted("who is caught by the end", "recovery", "in self._caught and", "in () and"),
    planted("any drop is chance", "recovery", "ok, n) >= CHANCE", "ok, n) >= 0.0"),
    planted("no drop is chance", "recovery", "ok, n) >= CHANCE", "ok, n) >= 2.0"),
    planted("any silence excuses", "recovery", "if event.error in _CUT_SHORT:", "if True:"),
    planted("no silence excuses", "recovery", "if event.error in _CUT_SHORT:", "if False:"),
    planted("fullness is no excuse", "recovery", "event.verdict == _THROTTLE", "False"),
    planted(
        "who is down ends with its gate", "admission", "return self._is_down(endpoint) or", "return"
    ),
    planted("who proves ends with its gate", "admission", "or not proving.isdisjoint(", "or bool("),
    planted("old refusals hold", "admission", "else not waited)", "else True)"),
    planted("full is free", "completeness", "self._free_since[endpoint] = math.inf", "pass"),
    planted(
        "fallback is never off",
        "completeness",
        "if flight.count and not accepted.fallback:",
        "if False:",
    ),
    planted(
        "time goes on for the dead",
        "recovery",
        "if provider_of(scope) == name:\n                self._start_anew",
        "if False:\n                self._start_anew",
    ),
    planted("every decision pays in", "budget", "self._undecided.discard(request)", "pass"),
    planted("who waits has not paid in", "budget", "len(self._undecided) *", "0 *"),
    planted("turns may overlap", "turns", "event.began < last[1].ended", "False"),
    planted("work may come first", "turns", "event.sent >= work[1].began", "True"),
    planted("work never comes first", "turns", "past.urgent < OVERTAKINGS", "True"),
    planted(
        "lanes are one line",
        "turns",
        'past.waited.get(event.lane or "")',
        "next(iter(past.waited.values()), None)",
    ),
    planted("whoever is let pass may overtake", "turns", "past.direct = here", "pass"),
    planted("a hold of any length", "delays", "if end >= until - _ROUNDING_S:", "if True:"),
    planted("a retry of any length", "delays", "event.wait_s >= stated_s", "True or stated_s"),
    planted("no ceiling", "delays", "or self._shut(endpoint, here):", "or True:"),
    planted("retries are not counted", "delays", "number = count + 1 if", "number = 1 if"),
    planted("holds need not double", "ladders", "2.0 * (before_s or 0.0)", "0.0"),
    planted("a failure proves it", "ladders", "if event.verdict == _OK:", "if True:"),
    planted("leases never end", "ladders", "event.at_s >= lease_end - _ROUNDING_S", "False"),
    planted("all of one band", "queueing", "self._band(each[1], now) > event.band", "False"),
    planted("anybody's slot", "queueing", "if endpoint in waiter[1].wanted and", "if True and"),
    planted(
        "the newest is never next",
        "queueing",
        "in reversed(alike) if turned else alike:",
        "in alike:",
    ),
    planted("nobody is lifted", "queueing", "e[1].since <= since for e", "False for e"),
    planted("nobody is called in vain", "queueing", "self._gone_at.get(kin) == now", "False"),
    planted("both copies are called off", "requests", "self._copied.add(event.request)", "pass"),
    planted("who left stays", "limits", "limit.over.add(event.attempt)", "pass"),
    planted("nobody lengthens a call", "decisions", "self._until[event.shared] = max", "max"),
    planted("service lifts too", "queueing", "max(event.since, served_at)", "event.since"),
    planted("woken ones are gone", "queueing", "(self.waiting, self.woken):", "(self.waiting,):"),
    planted("any capacity", "queueing", ">= self.rules.queue_capacity", ">= 1"),
    planted("one more than its share", "bulkheads", "len(held) > (most", "len(held) > 1 + (most"),
    planted("nobody goes", "bulkheads", "held.discard(attempt)", "pass"),
    planted("any pretext will do", "bulkheads", "if why == NO_SHARE:", "if False:"),
    planted("a provider needs none", "bulkheads", "if event.reason != NO_SHARE:", "if True:"),
    planted("sure of everything", "bulkheads", "if not sure or self", "if self"),
    planted("a cut is nothing", "bulkheads", "self._limits.on_limit(seq, event)", "pass"),
    planted("anybody may starve", "completeness", '"slot" and not self', '"slot" and self'),
    planted("far ahead", "fairness", "side.most - side.least > bound", "False and bound"),
    planted(
        "weights are one", "fairness", "/ self.rules.waiting.shares.get(event.tenant, 1.0)", ""
    ),
    planted("only who is ahead now", "fairness", "side.least, side.most =", "_, _ ="),
    planted(
        "who was away has a claim",
        "fairness",
        "            self._forget(name)\n\n    def _forget",
        "\n    def _forget",
    ),
    planted("risen or not", "fairness", "self.risen |= self.waiting.keys()", "pass"),
    planted("late or not", "fairness", "None if late else", ""),
    planted("different ones are alike", "fairness", " or len(self.kinds) > 1:", ":"),
    planted("everybody is alike", "fairness", "(now, ageing_s) != kind:", "(now, 1e9) is None:"),
    planted(
        "who left was not called",
        "fairness",
        "                self._forget(name)\n                self._gone",
        "                self._gone",
    ),
    planted("any motive", "decisions", "ended[1].error == event.why:", "True:"),
    planted("content is final never", "decisions", "_FINAL | {_CONTENT}", "_FINAL"),
    planted("half is all", "decisions", "_SHARE: Final = 0.5", "_SHARE: Final = 1.0"),
    planted("any domain", "decisions", "event.scope != domain", "True"),
    planted("no intensity", "actors", "life.over = len(life.crashes) >= most", "life.over = False"),
    planted(
        "crashes are forgotten",
        "actors",
        "self._expect(event.actor, event.at_s",
        "(lambda *_: 0)(event.actor, event.at_s",
    ),
    planted(
        "pauses are forgotten",
        "actors",
        "self._expect(event.actor, event.retry_at",
        "(lambda *_: 0)(event.actor, event.retry_at",
    ),
    planted(
        "nobody is up again",
        "actors",
        "        self._down.drop(event.actor)\n\n    def _killed",
        "        pass\n\n    def _killed",
    ),
    planted("no doubling", "actors", "2.0 ** min(life.doublings, 60)", "8.0"),
    planted("whatever is charged", "accounts", "if cost == paid[1]:", "if True:"),
    planted("late charges are anybody's", "accounts", "if attempt in self._owed:", "if False:"),
    planted("nothing is late", "accounts", "most = attempts + len(self._late)", "most = attempts"),
    planted("all is written", "accounts", "self._late[0][0] < event.gathered_at_s", "True"),
    planted("nothing is written", "accounts", "self._kept = attempts, micro_usd", "pass"),
    planted("what was taken is forgotten", "accounts", "        self._kept = taken\n", ""),
    planted("any sum", "accounts", "if kept == made:", "if True:"),
    planted("the unknown are known", "accounts", "+= micro_usd is None", "+= 0"),
    planted(
        "a charge moves nothing",
        "lives",
        "window.lent_at, window.batches = event.at_s, 0\n            self._late",
        "self._late",
    ),
    planted("time may go back", "actors", "now >= self._now - self.rules.late_s", "True"),
]


def fails(case: Case, monitor: type[Watch]) -> bool:
    """Does the case notice that this is not the real monitor?"""
    bad, good = Tape(), Tape()
    case.bad(bad)
    case.good(good)
    rules = case.rules or RULES
    found = breaks(monitor, bad, rules)
    told = len(found) == 1 and case.said in found[0].sentence
    return not told or bool(breaks(monitor, good, rules))


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_planted_fault_is_noticed(mutant: Mutant) -> None:
    module = mutant.plant()
    own = [case for case in CASES if case.monitor.__module__ == mutant.module]
    assert any(fails(case, getattr(module, case.monitor.__name__)) for case in own)
