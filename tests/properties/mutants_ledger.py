"""Faults planted in the ledger, one for each way in which gateways have lost count of money."""

from __future__ import annotations

from typing import Final

from tests.support.mutants import Mutant

_PACKAGE: Final = "understudy_actors.ledger"
ORDER: Final = tuple(f"{_PACKAGE}.{each}" for each in ("windows", "projection", "account", "money"))
"""In the order of their imports: a fault in one is seen by those behind it."""


def _in(module: str, *faults: tuple[str, str, str]) -> list[Mutant]:
    return [Mutant(name, f"{_PACKAGE}.{module}", old, new) for name, old, new in faults]


MUTANTS: Final = [
    *_in(
        "windows",
        ("days end with UTC's", "while zone.day_start(day + 1) <= wall:", "while False:"),
        ("days begin with UTC's", "while zone.day_start(day) > wall:", "while False:"),
        ("weeks from Sunday", "_MONDAY: Final = 3", "_MONDAY: Final = 4"),
        ("every month has 30 days", "first_day(month + 1)", "first_day(month) + 30"),
        ("hours end when they like", "min(start + _HOUR_S, end)", "start + 2 * _HOUR_S"),
        ("hours begin with the day", "// _HOUR_S * _HOUR_S", "// _HOUR_S * 0"),
        ("windows hold their end", "return self.start <= wall < self.end", "return True"),
    ),
    *_in(
        "projection",
        (
            "something is said after a few charges",
            "CHARGES_MIN: Final = 20",
            "CHARGES_MIN: Final = 5",
        ),
        ("something is said at once", "    if share < SHARE_MIN:", "    if share <= 0.0:"),
        (
            "the pace of the whole window",
            "to_come = now.spent / elapsed_s",
            "to_come = now.spent / length_s",
        ),
        (
            "the time that has passed is to come",
            "    to_come *= left_s\n",
            "    to_come *= elapsed_s\n",
        ),
        (
            "what runs is forgotten",
            "now.spent + now.reserved + _whole(to_come)",
            "now.spent + _whole(to_come)",
        ),
        ("yesterday is forgotten", "if before is not None and before.spent:", "if False:"),
        ("yesterday is all", "to_come = share * to_come +", "to_come = 0 * to_come +"),
        (
            "the weights are the wrong way round",
            "share = elapsed_s / length_s if",
            "share = 1 - elapsed_s / length_s if",
        ),
        ("all of yesterday counts, not its evening", "max(begin_s, from_s)", "begin_s"),
        ("a short day ends early", "found + before.spent / length_s * missing_s", "found"),
        ("a month has a week", "MONTH_S: Final = 30 * 86_400.0", "MONTH_S: Final = 7 * 86_400.0"),
        ("what has no end begins with time", "if elapsed_s < SHARE_MIN * MONTH_S:", "if False:"),
    ),
    *_in(
        "account",
        (
            "profiles are of the time of settlement",
            "slot = slot_of(period, self.span, at)",
            "slot = 0",
        ),
        ("the last charge was the first", "self.first_at is None or at < self.first_at", "True"),
        ("reservations are not counted", "window.spent - window.reserved)", "window.spent)"),
        ("the limit can be passed", "self.limit.micro_usd - window.spent", "1 - window.spent"),
        ("windows never roll over", "or wall >= current.span.end:", "or False:"),
        (
            "a clock set back opens a window",
            "wall >= current.span.end:",
            "not current.span.holds(wall):",
        ),
        ("the reservation stays", "window.reserved -= amount", "window.reserved -= 0"),
        ("charges are not booked", "self.spent += actual", "pass"),
        ("free windows are forgotten", "            if current.owed:\n", "            if False:\n"),
        (
            "settled early, forgotten early",
            "if not window.owed and window is not self._current:",
            "if window is not self._current:",
        ),
        ("told again and again", "passed[-1] <= window.told", "False"),
        ("nobody is told", "window.spent * 100 >= p * self", "window.spent > p * 2 * self"),
        ("a frozen scope lends", "        if self.frozen:\n            return 0\n", ""),
        ("a frozen scope resets by itself", "if self.frozen or self.limit", "if self.limit"),
    ),
    *_in(
        "money",
        (
            "one scope after the other",
            "        for account in accounts:\n            if (room",
            "        for account in accounts[:1]:\n            if (room",
        ),
        ("check, then act", "< enough or account.frozen:", "< 0 or account.frozen:"),
        ("free when frozen", "< enough or account.frozen:", "< enough:"),
        (
            "shortened without being asked",
            "amount if least is None else",
            "0 if least is None else",
        ),
        ("more is wanted when short", "else min(amount, least)", "else least"),
        ("the first scope's room is all", "amount = min(amount, room)", "amount = room"),
        ("shortened, and lent in full", "            amount = min(amount, room)\n", ""),
        (
            "booked in today's window",
            "account.settle(window, loan.amount",
            "account.settle(account.current, loan.amount",
        ),
        ("settled twice", "self._loans.pop(number, None)", "self._loans.get(number)"),
        ("the unknown is free", "loan.amount if actual is None", "0 if actual is None"),
        (
            "a charge is cut to its reservation",
            "if actual is None else actual\n",
            "if actual is None else min(actual, loan.amount)\n",
        ),
        ("breaches are ignored", "if loan.strict and amount > loan.amount:", "if False:"),
        ("estimates freeze", "if loan.strict and amount", "if amount"),
        ("a scope pays as often as it is named", "in dict.fromkeys(scopes):", "in scopes:"),
    ),
]
