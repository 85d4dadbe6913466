"""What people see of the accounts: costs, the top of the list, and use by day.

Money is in USD, exact to a micro-dollar; times are in milliseconds; days are ISO dates in the
configured time zone. `unknown` counts the attempts of which nobody knows what they cost: they are
part of no sum of money.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from datetime import date, timedelta
from typing import Any, Final, TypeVar

from msgspec import Struct

from understudy.accounts.latency import Latencies
from understudy.accounts.tally import Row, Share, Tally, total_of
from understudy_actors.domain.errors import InvalidRequest

_EPOCH: Final = date(1970, 1, 1)
_Key = TypeVar("_Key", bound=Hashable)
_Row = TypeVar("_Row", bound=Tally)


class Sums(Struct, frozen=True, kw_only=True):
    """What attempts came to.

    Attributes:
        usd: Their cost, as far as it is known.
        unknown: How many of them have no known cost.
        attempts: Calls that were sent, however they ended; one request may take several.
        successes: Those that were answered well.
        tokens: Input and output together.
        input_tokens, output_tokens: Inclusive: cached ones are input, reasoning ones are output.
        cached_tokens, reasoning_tokens: Of these.
        estimated_tokens: Of `tokens`, those that no provider reported.
        usd_per_token: Mean over the tokens of attempts whose cost is known; None of none.
    """

    usd: float
    unknown: int
    attempts: int
    successes: int
    tokens: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    estimated_tokens: int
    usd_per_token: float | None


class ProviderCosts(Sums, frozen=True, kw_only=True):
    """One provider. Its times are those of its successes; None of none.

    Attributes:
        provider: Its name.
        mean_ms: Exact.
        p50_ms, p95_ms, p99_ms: Percentiles, within 1.6 %.
    """

    provider: str
    mean_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class Costs(Sums, frozen=True, kw_only=True):
    """Everything, and everything by provider.

    Attributes:
        since, until: The first and the last day that is counted, both included.
        time_zone: Whose days they are.
        providers: Dearest first.
    """

    since: str
    until: str
    time_zone: str
    providers: tuple[ProviderCosts, ...]


class TopModel(Sums, frozen=True, kw_only=True):
    """A model of one provider; `share_percent` is its part of all attempts."""

    provider: str
    model: str
    share_percent: float


class TopUser(Sums, frozen=True, kw_only=True):
    """A user, of a tenant if the requests named one.

    Attributes:
        user, tenant: As the requests said; None if they named nobody.
        others: These are all who came on a day that had its most users already.
        share_percent: Their part of all costs.
    """

    user: str | None
    tenant: str | None
    others: bool
    share_percent: float


class TopSpender(Sums, frozen=True, kw_only=True):
    """A key, a team or a tag.

    Attributes:
        name: Which one; None for what was asked without any.
        others: These are all who came on a day that had its most names already.
        share_percent: Their part of all costs; of tags, those of a request count for each.
    """

    name: str | None
    others: bool
    share_percent: float


class DayUsage(Sums, frozen=True, kw_only=True):
    """One day."""

    day: str


def costs_of(rows: Iterable[Row], *, since: int, until: int, time_zone: str) -> Costs:
    """What these rows come to, which are of the days from `since` to `until`."""
    kept = list(rows)
    by_provider = _grouped(kept, lambda row: row.provider)
    providers = [_provider(name, own) for name, own in by_provider.items()]
    providers.sort(key=lambda each: (-each.usd, -each.attempts, each.provider))
    return Costs(
        **_sums(total_of(kept)),
        since=iso_day(since),
        until=iso_day(until),
        time_zone=time_zone,
        providers=tuple(providers),
    )


def top_models(rows: Iterable[Row], most: int) -> tuple[TopModel, ...]:
    """The most used models: by attempts, then by tokens."""
    found = {k: total_of(v) for k, v in _grouped(rows, lambda r: (r.provider, r.model)).items()}
    every = sum(each.attempts for each in found.values())
    ranked = sorted(found.items(), key=lambda each: (-each[1].attempts, -each[1].tokens, each[0]))
    return tuple(
        TopModel(
            **_sums(total),
            provider=provider,
            model=model,
            share_percent=_percent(total.attempts, every),
        )
        for (provider, model), total in ranked[:most]
    )


def top_users(rows: Iterable[Row], most: int) -> tuple[TopUser, ...]:
    """The dearest users: by cost, then by tokens, then by attempts."""
    groups = _grouped(rows, lambda row: (row.others, row.tenant, row.user))
    found = {key: total_of(own) for key, own in groups.items()}
    every = sum(each.micro_usd for each in found.values())
    ranked = sorted(found.items(), key=_dearest)
    return tuple(
        TopUser(
            **_sums(total),
            user=user,
            tenant=tenant,
            others=others,
            share_percent=_percent(total.micro_usd, every),
        )
        for (others, tenant, user), total in ranked[:most]
    )


def top_spenders(
    shares: Iterable[Share], rows: Iterable[Row], most: int, *, rest: bool
) -> tuple[TopSpender, ...]:
    """The dearest keys, teams or tags: by cost, then by tokens, then by attempts.

    `rows` is everything; with `rest`, what of it is in no share is nobody's.
    """
    found: dict[tuple[bool, str | None], Tally] = {
        (others, name): total_of(own)
        for (others, name), own in _grouped(shares, lambda each: (each.others, each.name)).items()
    }
    every = total_of(rows)
    if rest:
        named = total_of(found.values()).numbers()
        left = Tally(*map(int.__sub__, every.numbers(), named))
        if left.attempts > 0:
            found[False, None] = left
    ranked = sorted(
        found.items(),
        key=lambda e: (-e[1].micro_usd, -e[1].tokens, -e[1].attempts, e[0][0], e[0][1] or ""),
    )
    return tuple(
        TopSpender(
            **_sums(total),
            name=None if others else name,
            others=others,
            share_percent=_percent(total.micro_usd, every.micro_usd),
        )
        for (others, name), total in ranked[:most]
    )


def usage_of(rows: Iterable[Row], *, since: int, until: int) -> tuple[DayUsage, ...]:
    """One entry for each day from `since` to `until`, those without any use too."""
    found = _grouped(rows, lambda row: row.day)
    return tuple(
        DayUsage(**_sums(total_of(found.get(day, ()))), day=iso_day(day))
        for day in range(since, until + 1)
    )


def iso_day(day: int) -> str:
    """A day counted from 1970-01-01 as an ISO date."""
    try:
        return (_EPOCH + timedelta(days=day)).isoformat()
    except OverflowError:
        return str(day)  # a clock that is beyond the year 9999


def whole(name: str, value: object, most: int) -> int:
    """A number of days or of entries.

    Raises:
        InvalidRequest: It is none from 1 to `most`.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most:
        return value
    raise InvalidRequest(f"{name} is {value!r}: it must be a whole number from 1 to {most}")


def _provider(name: str, rows: list[Row]) -> ProviderCosts:
    total, times = total_of(rows), Latencies()
    for each in {id(row.times): row.times for row in rows}.values():  # once, whoever shares it
        times.merge(each)
    mean_ms = total.elapsed_us / total.successes / 1e3 if total.successes else None
    p50, p95, p99 = (_ms(times.percentile(share)) for share in (0.5, 0.95, 0.99))
    return ProviderCosts(
        **_sums(total), provider=name, mean_ms=mean_ms, p50_ms=p50, p95_ms=p95, p99_ms=p99
    )


def _grouped(rows: Iterable[_Row], key: Callable[[_Row], _Key]) -> dict[_Key, list[_Row]]:
    found: dict[_Key, list[_Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def _sums(total: Tally) -> dict[str, Any]:
    return {
        "usd": total.micro_usd / 1e6,
        "unknown": total.unknown,
        "attempts": total.attempts,
        "successes": total.successes,
        "tokens": total.tokens,
        "input_tokens": total.input_tokens,
        "output_tokens": total.output_tokens,
        "cached_tokens": total.cached_tokens,
        "reasoning_tokens": total.reasoning_tokens,
        "estimated_tokens": total.estimated_tokens,
        "usd_per_token": _ratio(total.micro_usd / 1e6, total.priced_tokens),
    }


def _dearest(entry: tuple[tuple[bool, str | None, str | None], Tally]) -> tuple[object, ...]:
    (others, tenant, user), total = entry
    return (-total.micro_usd, -total.tokens, -total.attempts, others, tenant or "", user or "")


def _ratio(part: float, whole: int) -> float | None:
    return part / whole if whole else None


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 3)
