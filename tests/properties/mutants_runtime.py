"""Faults planted in the actor runtime, each with the check that has to notice it."""

from __future__ import annotations

from collections.abc import Callable

from tests.actors.runtime.test_ask import check_ask
from tests.actors.runtime.test_restart import check_restart
from tests.actors.runtime.test_timers import check_timers
from tests.actors.runtime.world import runtime
from tests.properties.test_mailbox import check_mailbox, check_turns
from tests.properties.test_supervisor import check_supervisor
from tests.support.mutants import Mutant

Check = Callable[[Mutant], None]


def _mailbox(mutant: Mutant) -> None:
    check_mailbox(mutant.plant())


def _restart(mutant: Mutant) -> None:
    check_restart(mutant.plant())


def _timers(mutant: Mutant) -> None:
    check_timers(mutant.plant())


def _turns(mutant: Mutant) -> None:
    check_turns(runtime(mutant))


def _ask(mutant: Mutant) -> None:
    check_ask(runtime(mutant))


def _one_for_one(mutant: Mutant) -> None:
    check_supervisor(runtime(mutant), "one_for_one")


def _rest_for_one(mutant: Mutant) -> None:
    check_supervisor(runtime(mutant), "rest_for_one")


FAULTS: list[tuple[Check, str, str, str, str]] = [
    # check, name, module, what stands there, what stands there instead
    (_mailbox, "work starves", "mailbox", "self._overtakings >= OVERTAKINGS", "False"),
    (_mailbox, "one overtaking too many", "mailbox", ">= OVERTAKINGS", "> OVERTAKINGS"),
    (_mailbox, "last in first out", "mailbox", "self._work.popleft()", "self._work.pop()"),
    (
        _mailbox,
        "results before control",
        "mailbox",
        "self._control or self._results\n        if",
        "self._results or self._control\n        if",
    ),
    (
        _mailbox,
        "one more than fits",
        "mailbox",
        "len(self._work) < self.capacity",
        "len(self._work) <= self.capacity",
    ),
    (
        _restart,
        "restarts never forgotten",
        "restart",
        "while self._at and self._at[0]",
        "while False and self._at[0]",
    ),
    (_restart, "one restart too many", "restart", "len(self._at) >= ", "len(self._at) > "),
    (
        _restart,
        "no quiet time",
        "restart",
        "self._doublings = 0\n        self",
        "pass\n        self",
    ),
    (_restart, "jitter beyond the bound", "restart", "(1 - self.jitter", "(1 + self.jitter"),
    (_restart, "door shut for ever", "restart", "if until <= now_s:", "if False:"),
    (_timers, "equal times reversed", "timers", "self._seq += 1", "self._seq -= 1"),
    (_timers, "swept but no heap", "timers", "heapq.heapify(self._heap)", "self._heap.reverse()"),
    (_timers, "never swept", "timers", "if self._cancelled * 2 > len", "if 0 > len"),
    (_timers, "sleeps too long", "timers", "self._wake.set()", "pass"),
    (
        _timers,
        "one failure stops the others",
        "timers",
        "self._on_error(error)",
        "return self._on_error(error)",
    ),
    (
        _ask,
        "leaving leaves the slot open",
        "reply",
        "self.left = True\n        self._finish()",
        "self.left = True",
    ),
    (
        _ask,
        "late reply taken for delivered",
        "reply",
        "self._debts.dropped += 1\n        return False\n\n    def fail",
        "self._debts.dropped += 1\n        return True\n\n    def fail",
    ),
    (
        _ask,
        "the dead owe for ever",
        "life",
        "for reply in list(self._debts.owed)",
        "for reply in []",
    ),
    (_ask, "stale work is handled", "cell", "elif is_wanted(entry):", "else:"),
    (_ask, "deadline timer leaks", "cell", "timer.cancel()", "pass"),
    (
        _turns,
        "tells recurse",
        "cell",
        "if self._open is not None and not self._stack:\n            try:",
        "if self._open is not None:\n            try:",
    ),
    (
        _turns,
        "asks overtake",
        "cell",
        "while self.state is State.RUNNING and self._mailbox:",
        "while False:",
    ),
    (_turns, "cycles go on", "cell", "if self in self._stack:", "if False:"),
    (_turns, "one tell a turn", "system", "while ready:", "if ready:"),
    (_turns, "scheduled once for ever", "system", "member.scheduled = False", "pass"),
    (
        _one_for_one,
        "poison comes back",
        "supervisor",
        "cell.poison = message\n",
        "cell.poison = message; cell._mailbox.put(message, None)\n",
    ),
    (
        _one_for_one,
        "a crash empties the mailbox",
        "life",
        "if state is not State.SUSPENDED:",
        "if True:",
    ),
    (_one_for_one, "snapshot lost", "life", "self._snapshot = snapshot", "pass"),
    (_one_for_one, "restarts without end", "supervisor", "child.intensity.allows(now_s)", "True"),
    (
        _one_for_one,
        "no second chance",
        "supervisor",
        "None if retry_s is None else now_s + retry_s",
        "None",
    ),
    (_one_for_one, "no door", "supervisor", "cell.door.crashed(", "len, ("),
    (
        _rest_for_one,
        "dependents stay up",
        "supervisor",
        "if other.cell.state is State.RUNNING:",
        "if 0:",
    ),
    (
        _rest_for_one,
        "dependents start first",
        "supervisor",
        "blocker = blocker or child",
        "pass",
    ),
    (
        _rest_for_one,
        "dependents stopped forwards",
        "supervisor",
        "reversed(self._started",
        "(self._started",
    ),
    (
        _rest_for_one,
        "stopped forwards",
        "system",
        "popitem()",
        "popitem() if 0 else (0, self._members.pop(next(iter(self._members))))",
    ),
]
"""At least one fault in every module that decides something."""

MUTANTS: list[tuple[Check, Mutant]] = [
    (check, Mutant(name, f"understudy_actors.runtime.{module}", old, new))
    for check, name, module, old, new in FAULTS
]

CHECKS: list[Check] = [_turns, _ask, _one_for_one, _rest_for_one]
"""Those that rebuild the runtime around a faulty module."""

NO_FAULT = Mutant(
    "no fault", "understudy_actors.runtime.restart", "no clock and no timer", "nothing else"
)
"""A change that is none: what notices it notices the planting."""
