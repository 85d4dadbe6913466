"""The accounts: every attempt is counted once, in its day's row, and nothing is lost on the way."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from types import ModuleType
from typing import Any, Final
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given, strategies as st

from understudy import InvalidRequest
from understudy.accounts import accounts
from understudy.accounts.latency import LAST, LONGEST_US, Latencies, bounds_of, bucket_of
from understudy.zones import IanaZone
from understudy_actors.domain.result import Attempt, Usage
from understudy_actors.keeper.batch import Batch
from understudy_sim.disk import SimDisk

NOON: Final = datetime(2026, 3, 8, 12, tzinfo=UTC).timestamp()
"""On the day on which New York's clocks go forward."""
ZONES: Final = ("America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC")
WIDTH: Final = 1 / 32
"""A bucket is no wider than this share of what is in it."""


@attrs.frozen
class Call:
    """One attempt as the test remembers it."""

    provider: str
    model: str
    user: str | None
    tenant: str | None
    ended: float
    elapsed_s: float
    ok: bool
    micro_usd: int | None
    usage: Usage | None
    idle_s: float = 0.0

    @property
    def attempt(self) -> Attempt:
        """As the engine records it."""
        return Attempt(
            self.provider,
            self.model,
            "ok" if self.ok else "failed",
            elapsed_s=self.elapsed_s,
            cost_usd=None if self.micro_usd is None else self.micro_usd / 1e6,
        )

    def date(self, zone: str) -> date:
        """The local date on which it began, by another calendar than the engine's."""
        return datetime.fromtimestamp(self.ended - self.elapsed_s, ZoneInfo(zone)).date()

    @property
    def micros(self) -> int:
        """How long it took."""
        return int((self.elapsed_s - self.idle_s) * 1e6)


USAGES: Final = st.builds(
    Usage,
    input_tokens=st.integers(0, 10**6),
    output_tokens=st.integers(0, 10**6),
    cached_tokens=st.integers(0, 100),
    reasoning_tokens=st.integers(0, 100),
    estimated=st.booleans(),
)
PEOPLE: Final = st.sampled_from([None, "ann", "bob", "cy", "dee", "eve"])
CALLS: Final = st.builds(
    Call,
    provider=st.sampled_from(["openai", "groq"]),
    model=st.sampled_from(["large", "small"]),
    user=PEOPLE,
    tenant=st.sampled_from([None, None, "acme"]),
    ended=st.integers(-72, 72).map(lambda half_hours: NOON + 1800.0 * half_hours),
    elapsed_s=st.sampled_from([0.0, 0.00025, 0.5, 2.0, 45.0, 3600.0]),
    ok=st.booleans(),
    micro_usd=st.none() | st.integers(0, 10**9),
    usage=st.none() | USAGES,
)
MANY: Final = st.lists(CALLS, max_size=40)


def counted(module: ModuleType, calls: Iterable[Call], zone: str = "UTC", **bounds: int) -> Any:
    """Accounts of these calls, asked on the evening of the last day that any of them can be in."""
    book = module.Book(IanaZone(zone), **bounds)
    for each in calls:
        wall, idle_s = each.ended, each.idle_s
        book.count(each.attempt, each.usage, each.user, each.tenant, wall, idle_s)
    return module.Accounts(book, lambda: NOON + 3 * 86_400, zone)


def sums(calls: Iterable[Call]) -> tuple[int, ...]:
    """What these calls come to."""
    made = list(calls)
    usages = [each.usage or Usage() for each in made]
    return (
        len(made),
        sum(each.ok for each in made),
        sum(each.micro_usd is None for each in made),
        sum(each.micro_usd or 0 for each in made),
        sum(each.input_tokens for each in usages),
        sum(each.output_tokens for each in usages),
        sum(each.cached_tokens for each in usages),
        sum(each.reasoning_tokens for each in usages),
        sum(each.total_tokens for each in usages if each.estimated),
    )


def told(report: Any) -> tuple[int, ...]:
    """The same, of a report."""
    assert report.tokens == report.input_tokens + report.output_tokens
    return (
        report.attempts,
        report.successes,
        report.unknown,
        round(report.usd * 1e6),
        report.input_tokens,
        report.output_tokens,
        report.cached_tokens,
        report.reasoning_tokens,
        report.estimated_tokens,
    )


def added(reports: Iterable[Any]) -> tuple[int, ...]:
    """Several reports together."""
    return tuple(map(sum, zip(*map(told, reports), strict=True))) or (0,) * 9


def check_sums(module: ModuleType) -> None:
    """Raise unless every way to cut the accounts comes to the sum of all attempts."""

    @given(MANY, st.sampled_from(ZONES), st.integers(0, 6))
    def law(calls: list[Call], zone: str, users: int) -> None:
        found = counted(module, calls, zone, users_max=users)
        costs = found.costs()
        assert told(costs) == sums(calls)
        assert added(costs.providers) == told(costs)
        assert added(found.top("models", 100)) == told(costs)
        assert added(found.top("users", 100)) == told(costs)
        assert added(found.usage(30)) == told(costs)
        for each in costs.providers:
            assert told(each) == sums(c for c in calls if c.provider == each.provider)
        for each in found.top("models", 100):
            own = [c for c in calls if (c.provider, c.model) == (each.provider, each.model)]
            assert told(each) == sums(own)

    law()


def check_days(module: ModuleType) -> None:
    """Raise unless an attempt is in the day in which it began, where the zone says so."""

    @given(MANY, st.sampled_from(ZONES))
    def law(calls: list[Call], zone: str) -> None:
        days = {each.day: told(each) for each in counted(module, calls, zone).usage(30)}
        assert len(days) == 30
        assert list(days) == sorted(days)
        for day, found in days.items():
            assert found == sums(c for c in calls if c.date(zone).isoformat() == day)

    law()


def check_users(module: ModuleType) -> None:
    """Raise unless a day names no more than it may, and those whom it names are exact."""

    @given(MANY, st.integers(0, 4))
    def law(calls: list[Call], users: int) -> None:
        book = counted(module, calls, users_max=users).book
        named: dict[int, set[tuple[Any, Any]]] = {}
        for row in book.rows():
            if not row.others:
                named.setdefault(row.day, set()).add((row.user, row.tenant))
        for day, people in named.items():
            assert len(people - {(None, None)}) <= users
            for person in people:
                rows = [r for r in book.rows(day, day) if (r.user, r.tenant) == person]
                own = [c for c in calls if (c.user, c.tenant) == person and iso(c) == day]
                exact = [row for row in rows if not row.others]
                assert sum(row.attempts for row in exact) == len(own)
                assert sum(row.micro_usd for row in exact) == sum(c.micro_usd or 0 for c in own)

    law()


def iso(call: Call) -> int:
    """Its day in UTC, counted from 1970-01-01."""
    return int((call.ended - call.elapsed_s) // 86_400)


def check_bounds(module: ModuleType) -> None:
    """Raise unless the oldest day goes first, no more are kept, and what is old is counted."""
    days = [
        Call("p", "m", None, None, NOON + 86_400 * n, 1.0, True, 1 << n, None) for n in range(6)
    ]
    book = counted(module, days, days_max=3).book
    assert [row.micro_usd for row in book.rows()] == [8, 16, 32]
    late = Call("p", "m", None, None, NOON, 1.0, True, 1, None)
    book.count(late.attempt, None, None, None, late.ended)
    assert [row.micro_usd for row in book.rows()] == [9, 16, 32]
    assert len({id(row.times) for row in book.rows()}) == 3


def check_long_names(module: ModuleType) -> None:
    """Raise unless a name of any length is counted, and no endless one is kept."""
    calls = [Call("p", "m", "x" * n, None, NOON, 1.0, True, 5, None) for n in (128, 129, 10**5)]
    first, rest = counted(module, calls).top("users", 10)
    assert (rest.user, rest.others, rest.attempts) == ("x" * 128, False, 1)
    assert (first.user, first.others, first.attempts, first.usd) == (None, True, 2, 1e-05)


def check_times(module: ModuleType) -> None:
    """Raise unless mean and percentiles are those of the successes, without their callers' time."""
    times = (
        st.sampled_from([5e3, 1e6])
        | st.floats(0.0, 4000.0)
        | st.integers(0, 4 * 10**9).map(lambda micros: micros / 1e6)
    )

    @given(st.lists(st.tuples(CALLS, times), min_size=1, max_size=60))
    def law(drawn: list[tuple[Call, float]]) -> None:
        calls = [attrs.evolve(c, elapsed_s=took + 0.25, idle_s=0.25) for c, took in drawn]
        for found in counted(module, calls, users_max=2).costs().providers:
            own = [each for each in calls if each.provider == found.provider and each.ok]
            exact = sorted(each.micros / 1e3 for each in own)
            told_ms = found.p50_ms, found.p95_ms, found.p99_ms
            if not exact:
                assert (found.mean_ms, *told_ms) == (None,) * 4
                continue
            assert found.mean_ms == pytest.approx(sum(exact) / len(exact))
            for share, said in zip((0.5, 0.95, 0.99), told_ms, strict=True):
                right = min(exact[math.ceil(share * len(exact)) - 1], LONGEST_US / 1e3)
                assert abs(said - right) <= right * WIDTH / 2 + 0.0005

    law()


def check_order(module: ModuleType) -> None:
    """Raise unless lists begin with the most used model and with the dearest user."""

    @given(MANY, st.integers(1, 4))
    def law(calls: list[Call], most: int) -> None:
        found = counted(module, calls)
        models, users = found.top("models", 100), found.top("users", 100)
        assert found.top("models", most) == models[:most]
        assert found.top("users", most) == users[:most]
        assert [m.attempts for m in models] == sorted((m.attempts for m in models), reverse=True)
        assert [u.usd for u in users] == sorted((u.usd for u in users), reverse=True)
        used = Counter((c.provider, c.model) for c in calls)
        assert {(m.provider, m.model): m.attempts for m in models} == used
        who = Counter((c.user, c.tenant) for c in calls)
        assert {(u.user, u.tenant): u.attempts for u in users} == who
        for each in models:
            assert each.share_percent == round(100 * each.attempts / len(calls), 2)

    law()


def check_mean_price(module: ModuleType) -> None:
    """Raise unless a token's mean price leaves out the tokens that have none."""
    calls = [
        Call("p", "m", None, None, NOON, 1.0, True, 300, Usage(100, 50)),
        Call("p", "m", None, None, NOON, 1.0, True, None, Usage(1000, 1000)),
    ]
    costs = counted(module, calls).costs()
    assert costs.usd_per_token == pytest.approx(2e-6)
    assert costs.providers[0].usd_per_token == pytest.approx(2e-6)


def check_last_days(module: ModuleType) -> None:
    """Raise unless `days` are calendar days with today among them."""
    calls = [
        Call("p", "m", "ann", None, NOON + 86_400 * n, 1.0, True, 1 << n, None) for n in range(4)
    ]
    found = counted(module, calls)
    assert [found.costs(n).usd for n in (1, 2, 3)] == [8e-6, 12e-6, 14e-6]
    assert [found.top("users", 1, n)[0].usd for n in (1, 2)] == [8e-6, 12e-6]
    assert [each.usd for each in found.usage(2)] == [4e-6, 8e-6]
    two = found.costs(2)
    assert (two.since, two.until) == ("2026-03-10", "2026-03-11")
    assert found.costs().since == "2026-03-08"


class Store:
    """A book in one process after another, over a disk that adds up."""

    def __init__(self, module: ModuleType, **bounds: int) -> None:
        self.module, self.bounds = module, bounds
        self.disk = SimDisk()
        self.stirred = 0
        self.written: list[Call] = []
        self.restart()

    def restart(self) -> None:
        """Another process: what was not written is lost."""
        self.book = self.module.Book(IanaZone("UTC"), **self.bounds)
        self.module.restore(self.book, self.disk.saved.sums)
        self.source = self.module.UsageSource(self.book, self._stir)
        self.counted: list[Call] = []

    def _stir(self) -> None:
        self.stirred += 1

    def count(self, call: Call) -> None:
        """Count a call, which must be told of to whoever writes."""
        before = self.stirred
        wall = call.ended
        self.book.count(call.attempt, call.usage, call.user, call.tenant, wall, call.idle_s)
        self.counted.append(call)
        assert self.stirred > before or len(self.counted) > 1

    def write(self) -> None:
        """Write what was counted since the last time."""
        changes = self.source.gather(0.0)
        self.written += self.counted
        assert (changes is None) <= (not self.counted)
        self.counted = []
        if changes is not None:
            sums = tuple(changes.sums)
            number = self.disk.saved.number + 1
            self.disk.put(Batch(number, 0.0, sums=sums, before=changes.before))
        self.source.kept()

    def shown(self) -> Any:
        """The accounts that a new process shows."""
        self.restart()
        return self.shown_now()

    def shown_now(self) -> Any:
        """The accounts that this one shows."""
        return self.module.Accounts(self.book, lambda: NOON + 3 * 86_400, "UTC")


ALIKE: Final = st.builds(
    Call,
    provider=st.just("p"),
    model=st.sampled_from(["large", "small"]),
    user=st.sampled_from(["ann", "bob", "cy"]),
    tenant=st.none(),
    ended=st.just(NOON),
    elapsed_s=st.sampled_from([0.5, 2.0]),
    ok=st.just(True),
    micro_usd=st.integers(1, 9),
    usage=st.none(),
)
"""Calls of few rows, so that each grows again and again."""
STEPS: Final = st.lists(
    CALLS | ALIKE | ALIKE | st.sampled_from(["write", "write", "restart"]), min_size=9, max_size=40
)


def check_keeping(module: ModuleType) -> None:
    """Raise unless what was written is there after any restart, all of it, and once."""

    @given(STEPS, st.sampled_from([1, 2, 100]))
    def law(steps: list[Any], users: int) -> None:
        store = Store(module, users_max=users)
        for step in steps:
            store.count(step) if isinstance(step, Call) else getattr(store, step)()
        lost = store.shown() if users == 2 else None
        assert lost is None or told(lost.costs()) == sums(store.written)
        store.write()
        live = store.shown_now()
        times = {(r.day, r.provider, r.model): r.times.items() for r in live.book.rows()}
        found = store.shown()
        assert times == {(r.day, r.provider, r.model): r.times.items() for r in found.book.rows()}
        assert told(found.costs()) == sums(store.written)
        assert (found.costs(), found.usage(30)) == (live.costs(), live.usage(30))
        assert found.top("users", 100) == live.top("users", 100)
        assert store.book.counted().numbers() == (0,) * 11, "another process has counted it"
        if users > 10:
            alike = counted(module, store.written)
            assert found.costs() == alike.costs()
            assert found.top("users", 100) == alike.top("users", 100)
            assert found.top("models", 100) == alike.top("models", 100)
            assert found.usage(30) == alike.usage(30)
        for day in {row.day for row in store.book.rows()}:
            rows = list(store.book.rows(day, day))
            named = {(r.user, r.tenant) for r in rows if not r.others} - {(None, None)}
            assert len(named) <= users

    law()


def check_forgetting(module: ModuleType) -> None:
    """Raise unless days that are not kept any more are deleted, and no others."""

    @given(st.lists(st.integers(0, 6), max_size=12), st.integers(0, 11), st.integers(2, 4))
    def law(days: list[int], restart_at: int, then: int) -> None:
        store = Store(module, days_max=3)
        for place, day in enumerate(days):
            if place == restart_at:
                newest = sorted({row.day for row in store.book.rows()})[-then:]
                store.bounds = {"days_max": then}
                store.restart()
                assert [row.day for row in store.book.rows()] == newest
            at = NOON + 86_400 * day
            store.count(Call("p", "m", "ann", None, at, 1.0, True, 1, None))
            store.write()
            kept = {row.day for row in store.book.rows()}
            assert {each.key[0] for each in store.disk.saved.sums} == kept
            assert len(kept) <= (then if place >= restart_at else 3)
            assert store.book.counted().attempts == place + 1 - (
                restart_at if place >= restart_at else 0
            )

    law()


def check_odd_names(module: ModuleType) -> None:
    """Raise unless any name is kept in a form that every database takes."""
    names = ["", "*", "=", None, "a\0b", "\udc80", "[red]x[/red]", "line\nbreak", "ann", "Ann "]
    store = Store(module)
    for number, name in enumerate(names):
        store.count(Call("p", "m", name, name, NOON, 1.0, True, 1 << number, None))
    store.write()
    found = store.shown().top("users", 100)
    assert {round(each.usd * 1e6) for each in found} == {1 << n for n in range(len(names))}
    for each in found:
        (each.user or "").encode()
        assert "\0" not in (each.user or "")
    assert {"", "*", "=", None, "[red]x[/red]", "line\nbreak"} <= {each.user for each in found}


LAWS: Final = (
    check_odd_names,
    check_forgetting,
    check_keeping,
    check_bounds,
    check_long_names,
    check_mean_price,
    check_last_days,
    check_sums,
    check_days,
    check_users,
    check_times,
    check_order,
)


@pytest.mark.parametrize("law", LAWS)
def test_the_accounts_keep_the_law(law: Callable[[ModuleType], None]) -> None:
    law(accounts)


@given(st.integers(0, 2 * LONGEST_US))
def test_a_time_is_within_its_bucket(micros: int) -> None:
    bucket = bucket_of(micros)
    shortest, longest = bounds_of(bucket)
    assert 0 <= bucket <= LAST
    assert shortest <= min(micros, LONGEST_US) <= longest
    assert longest - shortest + 1 <= max(1, shortest * WIDTH)


def test_buckets_tile_the_times() -> None:
    bounds = [bounds_of(bucket) for bucket in range(LAST + 1)]
    assert bounds[0][0] == 0
    assert all(end + 1 == start for (_, end), (start, _) in pairwise(bounds))
    assert bounds[-1][1] == LONGEST_US
    assert bucket_of(-5) == 0


@given(st.lists(st.integers(0, 10**9)), st.lists(st.integers(0, 10**9)))
def test_two_histograms_are_one(some: list[int], more: list[int]) -> None:
    both, first, second = Latencies(), Latencies(), Latencies()
    for micros in some:
        first.add(micros)
        both.add(micros)
    for micros in more:
        second.add(micros)
        both.add(micros)
    first.merge(second)
    assert first.items() == both.items()
    assert Latencies(first.items()).counts == first.counts
    assert first.total == len(some) + len(more)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda a: a.costs(0), "days is 0: it must be a whole number from 1 to 3660"),
        (lambda a: a.usage(True), "days is True"),
        (lambda a: a.usage(None), "days is None"),
        (lambda a: a.top("models", -1), "most is -1"),
        (lambda a: a.top("wishes"), "top of 'wishes': there is models, users, keys"),
    ],
)
def test_a_wrong_question_is_refused(ask: Callable[[Any], Any], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said.replace("(", r"\(")):
        ask(counted(accounts, ()))


def test_nothing_is_nothing() -> None:
    found = counted(accounts, ())
    costs = found.costs()
    assert (costs.usd, costs.providers, costs.usd_per_token) == (0.0, (), None)
    assert (found.top("models"), found.top("users")) == ((), ())
    days = found.usage(3)
    assert [each.day for each in days] == [
        (date(2026, 3, 9) + timedelta(days=n)).isoformat() for n in range(3)
    ]
