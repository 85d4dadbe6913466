"""Tables that several verbs show: attempts, the explain record, endpoints."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from understudy.cli.output import seconds, table, usd
from understudy_actors.domain.result import Attempt

if TYPE_CHECKING:
    from rich.table import Table

    from understudy.reports import ProviderHealth
    from understudy.routing.explain import Explanation, Ranked

_NUMBERS = ("#", "rank", "started", "waited", "took", "cost", "answers", "calls", "failed")


def attempts(made: Iterable[Attempt]) -> Table:
    """One line an attempt. `started` counts from the request, `waited` is the pause before it."""
    shown = table(
        "#", "asked", "outcome", "started", "waited", "took", "cost", "reason",
        right=_NUMBERS,
    )  # fmt: skip
    for number, each in enumerate(made, 1):
        shown.add_row(
            str(number),
            each.endpoint,
            outcome(each),
            seconds(each.started_s),
            seconds(each.wait_s) if each.wait_s else "-",
            seconds(each.elapsed_s),
            usd(each.cost_usd),
            why(each),
        )
    return shown


def outcome(attempt: Attempt) -> str:
    """How an attempt ended, in two words."""
    return attempt.outcome if attempt.error is None else f"{attempt.outcome}: {attempt.error}"


def why(attempt: Attempt) -> str:
    """Its reason, without the endpoint's name, which stands beside it; and what shortened it."""
    reason = (attempt.reason or "").removeprefix(attempt.endpoint).strip()
    if attempt.max_tokens is None:
        return reason
    limit = f"limited to {attempt.max_tokens} tokens by the budgets"
    return f"{reason}; {limit}" if reason else limit


def decision(made: Ranked) -> Table:
    """One decision of the dispatcher: who came in which order, and why the others did not."""
    shown = table("rank", "candidate", "why not", right=_NUMBERS)
    # Who was ranked and then refused at its own gate stands in both lists.
    for place, name in enumerate(made.ranked, 1):
        shown.add_row(str(place), name, made.left_out.get(name, ""))
    for name, reason in made.left_out.items():
        if name not in made.ranked:
            shown.add_row("-", name, reason)
    return shown


def explanation(record: Explanation) -> list[Table | str]:
    """The whole explain record of one request."""
    served = record.served_by or "nobody"
    head = (
        f"Request {record.request_id}: {record.operation}, {record.outcome} by {served} "
        f"after {seconds(record.elapsed_s)}"
    )
    shown: list[Table | str] = [head]
    for number, each in enumerate(record.decisions, 1):
        told = f"Decision {number} after {seconds(each.at_s)}, by strategy {each.strategy}:"
        shown += [told, decision(each)]
    return [*shown, "Attempts:", attempts(record.attempts)]


def endpoints(health: Iterable[ProviderHealth]) -> Table:
    """One line an endpoint: may it be asked now, and what was seen of it."""
    shown = table(
        "endpoint", "healthy", "breaker", "waits for", "check", "answers", "calls", "failed",
        right=_NUMBERS,
    )  # fmt: skip
    for each in health:
        shown.add_row(
            each.name,
            "yes" if each.healthy else "NO",
            each.breaker if each.actor == "running" else each.actor,
            _wait(each),
            {True: "ok", False: "FAILED", None: "-"}[each.last_check_ok],
            "-" if each.response_ms is None else f"{each.response_ms:.0f} ms",
            str(each.total_requests),
            str(each.failures),
        )
    return shown


def _wait(health: ProviderHealth) -> str:
    reason = health.hold or ""
    if health.retry_in_s is not None:
        return f"{reason} {seconds(health.retry_in_s)}".strip()
    return reason or "-"
