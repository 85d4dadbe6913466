"""Faults planted in the accounts, one for each way in which a bill has come out wrong."""

from __future__ import annotations

from typing import Final

from tests.support.mutants import Mutant

_PACKAGE: Final = "understudy.accounts"
ORDER: Final = tuple(
    f"{_PACKAGE}.{each}" for each in ("latency", "tally", "book", "reports", "keeping", "accounts")
)
"""In the order of their imports: a fault in one is seen by those behind it."""


def _in(module: str, *faults: tuple[str, str, str]) -> list[Mutant]:
    return [Mutant(name, f"{_PACKAGE}.{module}", old, new) for name, old, new in faults]


MUTANTS: Final = [
    *_in(
        "latency",
        ("the mean of a bucket is its end", "(shortest + longest) / 2e6", "longest / 1e6"),
        ("times are added again", "[(bucket, now - then) for", "[(bucket, now) for"),
        ("percentiles round down", "max(1, -int(-share", "max(1, int(share"),
        ("merged as one", "self.counts[bucket] += count\n\n    def items", "pass\n\n    def items"),
        ("long ones are lost", "if micros < LONGEST_US else LAST", "if micros < LONGEST_US else 0"),
    ),
    *_in(
        "tally",
        ("estimates do not add up", '    "estimated_tokens",\n    "elapsed_us",\n', ""),
        (
            "taken for ever",
            "self.taken, self.owed = self.taken, self.numbers(), False",
            "self.taken = ZEROS, self.numbers()",
        ),
        ("absolute, not added", "tuple(map(sub, self.taken, before))", "self.taken"),
        ("the last one counts", "getattr(self, name) + getattr(other", "getattr(other"),
    ),
    *_in(
        "book",
        ("only successes are counted", "        row.attempts += 1\n", ""),
        ("the unknown is nothing", "row.unknown += 1", "pass"),
        ("money by halves of cents", "round(cost * 1e6)", "round(cost * 200) * 5000"),
        ("micro-dollars are cut off", "round(cost * 1e6)", "int(cost * 1e6)"),
        ("in the day of its end", "wall - attempt.elapsed_s", "wall"),
        ("days of UTC", "day_of(wall, self._zone)\n        if", "int(wall // 86400)\n        if"),
        ("yesterday goes on", "if not day.start <= began < day.end:", "if day.number == 0:"),
        (
            "the others cost nothing",
            "            if row is None:\n                row = day.oth",
            "            if True:\n                row = day.oth",
        ),
        ("nobody stirs", "            self._stir()\n", "            pass\n"),
        (
            "new rows are not owed",
            "owed=self._stir is None,\n        )\n        return row",
            "owed=True,\n        )\n        return row",
        ),
        ("zeros in names", '.replace("\\0", "\\\\0")', ""),
        ("whom it knew is forgotten", "            day.people.add((row.user, row.tenant))\n", ""),
        ("a restored day is today's work", "        self._restored.add(row)\n", ""),
        (
            "gone days were never counted",
            "            self._gone.add(total_of(self.rows(oldest, oldest)))\n",
            "",
        ),
        (
            "forgets what it keeps",
            "min(self._days) if self._forgotten",
            "max(self._days) if self._forgotten",
        ),
        ("everybody is named", "if len(day.people) >= self._users_max or max", "if max"),
        ("long names are kept", " > NAME_MAX", " > NAME_MAX * 10000"),
        (
            "tenants are one",
            "endpoint, person = (provider, model), (user, tenant)",
            "tenant = None\n        endpoint, person = (provider, model), (user, tenant)",
        ),
        (
            "the newest day goes",
            "oldest = min(self._days)",
            "oldest = max(self._days)",
        ),
        ("no day goes", "            del self._days[oldest]\n", ""),
        ("late ones open old days", "number = max(number, min(self._days))", "pass"),
        ("callers make providers slow", "(attempt.elapsed_s - idle_s)", "attempt.elapsed_s"),
        ("failures are fast", 'if attempt.outcome == "ok":', "if True:"),
        (
            "models share their times",
            "times = day.times.get(endpoint)",
            "times = next(iter(day.times.values()), None)",
        ),
        (
            "tokens without a price",
            "if cost is not None:\n                row.priced",
            "if True:\n                row.priced",
        ),
        ("estimates are reports", "if usage.estimated:", "if False:"),
    ),
    *_in(
        "reports",
        ("providers by name", "lambda row: row.provider)", "lambda row: row.model)"),
        (
            "times by row",
            "{id(row.times): row.times for row in rows}.values()",
            "[row.times for row in rows[:1]]",
        ),
        ("the cheapest first", "-total.micro_usd, -total.tokens", "total.micro_usd, -total.tokens"),
        (
            "models by money",
            "(-each[1].attempts, -each[1].tokens",
            "(-each[1].micro_usd, -each[1].tokens",
        ),
        ("a day short", "in range(since, until + 1)", "in range(since, until)"),
        (
            "users without tenants",
            "(row.others, row.tenant, row.user)",
            "(row.others, None, row.user)",
        ),
    ),
    *_in(
        "keeping",
        ("the others are nobody", 'who, tenant = _OTHERS, ""', 'who, tenant = "", ""'),
        ("nobody is empty", 'return "" if name is None else', 'return "=" if not name else'),
        ("times of the last row only", "in times.values():", "in list(times.values())[-1:]:"),
        ("old days stay", "(USAGE, LATENCY, SPENDERS), first", "(USAGE,), first"),
        ("taken twice", "            own.take()\n", ""),
        (
            "what was kept is added again",
            "times=times,\n        owed=False,\n        taken=kept.numbers,",
            "times=times,\n        owed=False,",
        ),
        (
            "goes on unnoticed",
            "times=times,\n        owed=False,",
            "times=times,\n        owed=True,",
        ),
        ("tenants are not read", "tenant=_read(str(tenant)),", "tenant=None,"),
        ("days out of order", "sorted(rows, key=lambda row: row.key)", "rows[::-1]"),
    ),
    *_in(
        "accounts",
        (
            "a day too many",
            "DAYS_SHOWN_MAX) + 1\n        return first",
            "DAYS_SHOWN_MAX)\n        return first",
        ),
        (
            "tomorrow is today",
            "self.book.rows(first, today), since=first",
            "self.book.rows(first, today - 1), since=first",
        ),
    ),
]
