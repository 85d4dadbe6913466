"""What reaches a provider without a permit: reports, checks, and what an operator does by hand."""

from __future__ import annotations

from understudy_actors.domain.outcome import POLICY, Scope, Verdict
from understudy_actors.provider.account import Account
from understudy_actors.provider.breaker import Breaker
from understudy_actors.provider.holds import Holds
from understudy_actors.provider.judging import judge
from understudy_actors.provider.messages import (
    Admin,
    Checked,
    HoldScope,
    Permit,
    ReleaseScope,
    Report,
    ResetScope,
    SetAdmin,
    Settle,
)
from understudy_actors.provider.transitions import State

_NOBODY = 0
"""The permit of attempts that have none; those of requests count from 1."""


def report(account: Account, message: Report, now: float, wall: float) -> None:
    """An attempt without a permit: it takes one, as it were, and settles it at once."""
    endpoint = account.endpoints[message.endpoint]
    _catch_up(account, now)
    elapsed_s = message.elapsed_s or 0.0
    permit = Permit(
        _NOBODY,
        message.endpoint,
        now - elapsed_s,
        1,
        _admit(endpoint.breaker, now),
        False,
        -1 if account.domain is None else _admit(account.domain, now),
    )
    judge(
        account,
        endpoint,
        Settle(permit, message.verdict, message.error, message.retry_after_s),
        now,
        wall,
    )


def hold(account: Account, message: HoldScope, now: float) -> None:
    """Hold an endpoint, or the account."""
    endpoint = None if message.endpoint is None else account.endpoints[message.endpoint]
    account.hold(endpoint, now, message.kind, message.until, None)


def release(account: Account, name: str | None, now: float) -> None:
    """End the holds of one endpoint; or of the account and of all its endpoints."""
    scopes: list[tuple[str, Holds]] = [(e.name, e.holds) for e in account.chosen(name)]
    if name is None:
        scopes.insert(0, (account.name, account.holds))
    for scope, holds in scopes:
        for each in holds.clear(now):
            account.tell.cleared(now, scope, each, "by hand")


def reset(account: Account, message: ResetScope | ReleaseScope, now: float) -> None:
    """Close breakers, end holds, forget what was observed."""
    release(account, message.endpoint, now)
    for endpoint in account.chosen(message.endpoint):
        endpoint.breaker.reset(now)
        endpoint.forget()
    if account.domain is not None and message.endpoint is None:
        account.domain.reset(now)


def administer(account: Account, message: SetAdmin, now: float) -> None:
    """Isolate, disable or enable breakers."""
    for endpoint in account.chosen(message.endpoint):
        breaker = endpoint.breaker
        if message.state is Admin.ISOLATE:
            breaker.isolate(now)
        elif message.state is Admin.DISABLE:
            breaker.disable(now)
        else:
            breaker.enable(now)


def check(account: Account, message: Checked, now: float) -> None:
    """A free check may stand in for a probe; a failed one is evidence like any other.

    Evidence of what its error class says: a check that was throttled, or whose key may not list
    models, says nothing about anybody's health.
    """
    policy = POLICY[message.error] if message.error is not None else None
    verdict = Verdict.OK if message.ok else Verdict.FAIL if policy is None else policy.verdict
    domain = account.domain
    _catch_up(account, now)
    blames_domain = domain is not None and policy is not None and policy.scope is Scope.DOMAIN
    if not blames_domain:
        for name, endpoint in account.endpoints.items():
            _hear(account, name, endpoint.breaker, verdict, now)
    if domain is not None and (message.ok or blames_domain):
        _hear(account, None, domain, verdict, now)


def _catch_up(account: Account, now: float) -> None:
    """Tell of the transitions that are due before anything that counts in their generation."""
    for endpoint in account.endpoints.values():
        account.tell.transitions(endpoint, now)
    if account.domain is not None:
        account.domain.tick(now)
        account.tell.domain_transitions(account.domain)


def _hear(
    account: Account, endpoint: str | None, breaker: Breaker, verdict: Verdict, now: float
) -> None:
    """Let a breaker (None: the domain's) know of a check, if that is worth anything to it."""
    breaker.tick(now)
    probing = breaker.state is State.HALF_OPEN and verdict in (Verdict.OK, Verdict.FAIL)
    failed = breaker.state is State.CLOSED and verdict is Verdict.FAIL
    if (probing or failed) and (generation := _admit(breaker, now)) >= 0:
        heard = breaker.release(now, _NOBODY, generation, verdict)
        if account.tell.trace.fine:
            account.tell.counted(now, endpoint, _NOBODY, generation, verdict, heard)


def _admit(breaker: Breaker, now: float) -> int:
    """The generation, if the breaker would admit an attempt now; else -1, which is stale."""
    return breaker.admit(now, _NOBODY, 0.0) if breaker.check(now) is None else -1
