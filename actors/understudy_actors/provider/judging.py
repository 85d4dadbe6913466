"""What the end of an attempt says about whom: one verdict for each scope, then what follows.

The scope that is to blame gets the attempt's verdict, a wider one OK if any response arrived, a
narrower one NEUTRAL. Health takes its sample, and an error class that asks for a hold gets it.
"""

from __future__ import annotations

from understudy_actors.domain.outcome import POLICY, ErrorClass, HoldKind, Scope, Verdict
from understudy_actors.provider.account import Account
from understudy_actors.provider.endpoint import Endpoint
from understudy_actors.provider.messages import Settle
from understudy_actors.provider.transitions import State

_CUT_SHORT = (ErrorClass.SILENT, ErrorClass.STALLED, ErrorClass.CANCELLED)
_NOT_TAKEN = (ErrorClass.CONNECT, ErrorClass.RATE_LIMIT)
"""What a provider did not take, it did not count; if it did, its headers say so."""
_OK, _FAIL, _NEUTRAL, _VOID = Verdict.OK, Verdict.FAIL, Verdict.NEUTRAL, Verdict.VOID


def judge(account: Account, endpoint: Endpoint, message: Settle, now: float, wall: float) -> None:
    """Give every scope its verdict, health its sample, and set what holds follow."""
    permit, verdict, error = message.permit, message.verdict, message.error
    policy = POLICY[error] if error is not None else None
    domain, tell = account.domain, account.tell
    own = wide = verdict
    if domain is not None:
        if policy is not None and policy.scope is Scope.DOMAIN:
            own = _NEUTRAL if verdict is _FAIL else verdict
        elif verdict is not _VOID:
            wide = _OK if message.responded else _NEUTRAL
    elapsed_s = now - permit.taken_at - message.idle_s
    attempt, retry_after_s = permit.attempt, message.retry_after_s
    heard = endpoint.breaker.release(now, attempt, permit.generation, own, retry_after_s, elapsed_s)
    fine = tell.trace.fine
    if fine and endpoint.breaker.state is not State.DISABLED:
        tell.counted(now, endpoint.name, attempt, permit.generation, own, heard)
    if domain is not None:
        heard = domain.release(now, attempt, permit.domain_generation, wide, None, elapsed_s)
        if fine and permit.domain_generation >= 0:
            tell.counted(now, None, attempt, permit.domain_generation, wide, heard)
    if not endpoint.calm:
        endpoint.holds.release(now, attempt, verdict)
        account.holds.release(now, attempt, verdict)
    reached = verdict is not _VOID and error not in _NOT_TAKEN
    if reached and message.sightings:
        account.learn(endpoint, now, message)  # while the call still counts as what it may use
    if endpoint.candidate.metered:
        for rates in (account.rates, endpoint.rates):
            if rates is not None:
                rates.settle(now, attempt, message.used, reached=reached)
    if not reached and message.sightings:
        account.learn(endpoint, now, message)  # what others used is all that was used
    if verdict is _VOID:
        if permit.free and endpoint.free is not None:
            endpoint.free.give_back(wall, elapsed_s)
    else:
        _observe(account, endpoint, message, elapsed_s, now, wall, fine=fine)
        if policy is not None and policy.hold is not None:
            _hold(account, endpoint, policy.hold, message, now)
    if fine and attempt:
        tell.released(now, endpoint, permit, own, wide)


def _observe(
    account: Account,
    endpoint: Endpoint,
    message: Settle,
    elapsed_s: float,
    now: float,
    wall: float,
    *,
    fine: bool,
) -> None:
    verdict, error, health = message.verdict, message.error, endpoint.health
    before = (health.success(now), health.latency_s(now, 0.0, 1.0)) if fine else None
    guard = account.settings.guard
    candidate = endpoint.candidate
    if guard is not None and (verdict is _FAIL or candidate.guard_tokens < guard.cap):
        candidate.guard_tokens = guard.after(candidate.guard_tokens, verdict)
    if verdict is _OK:
        health.on_ok(now, wall, elapsed_s, message.first_token_s, message.output_tokens)
        if message.first_token_s is not None:
            health.on_stream(now, message.gap_s)
        endpoint.concurrency.on_ok(message.permit.load)
    else:
        cut = error in _CUT_SHORT
        if verdict is _FAIL:
            health.on_fail(now, wall, elapsed_s if cut else None)
        else:
            health.on_other(now, elapsed_s if cut else None)
        if message.responded:
            health.answered(now)
        elif cut:
            health.left_unanswered(now, elapsed_s - message.idle_s)
    if fine:
        account.tell.scored(now, endpoint, verdict, before)


def _hold(
    account: Account, endpoint: Endpoint, kind: HoldKind, message: Settle, now: float
) -> None:
    """Credit and keys are the account's; rates, slots and models the endpoint's."""
    started = message.permit.taken_at
    stated = None if message.retry_after_s is None else now + message.retry_after_s
    if kind is HoldKind.RATE or kind is HoldKind.BUSY:
        backoff_s = endpoint.concurrency.on_throttle(now, started)
        if stated is not None:
            account.hold(endpoint, now, kind, stated, started)
        if backoff_s is not None:
            account.tell.limited(now, endpoint)
            account.hold(endpoint, now, kind, now + backoff_s, None)
    elif kind is HoldKind.MODEL:
        account.hold(endpoint, now, kind, stated, started)
    else:
        account.hold(None, now, kind, stated, started)
