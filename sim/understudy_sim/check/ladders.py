"""Laws of holds that nobody gave an end to: used-up credit, and keys that are refused."""

from __future__ import annotations

from typing import Final

import attrs

from understudy_actors.domain.events import (
    ActorCrashed,
    ActorRestarted,
    AttemptAdmitted,
    AttemptEnded,
    HoldCleared,
    HoldSet,
)
from understudy_actors.domain.outcome import HoldKind, Verdict
from understudy_sim.check.gates import ACTOR
from understudy_sim.check.rules import DEFAULT, Rules, provider_of
from understudy_sim.check.violation import Violation, Watch, Witness

_ROUNDING_S: Final = 1e-6
_OK: Final = Verdict.OK.value
_CREDIT, _AUTH = HoldKind.CREDIT.value, HoldKind.AUTH.value
_LADDERS: Final = frozenset({_CREDIT, _AUTH})
_OVER: Final = "over"


@attrs.define(eq=False, slots=True)
class _Account:
    """What has to be proven about one account, and who is out to prove it.

    Attributes:
        open: The last hold of each kind that no success has proven to be over.
        held: Kinds in force.
        ended_at: When the hold of each kind ended by time.
        own_s: Length of the last hold of each kind, in seconds, if the provider stated none.
        probe: The lone attempt, and its lease's end.
    """

    open: dict[str, tuple[int, HoldSet]] = attrs.Factory(dict)
    held: set[str] = attrs.Factory(set)
    ended_at: dict[str, float] = attrs.Factory(dict)
    own_s: dict[str, float] = attrs.Factory(dict)
    probe: tuple[int, AttemptAdmitted] | None = None
    lease_end: float = 0.0


class Ladders(Watch):
    """S35. An error that comes back after its hold's end is worth twice the hold, up to the cap."""

    name = "S35"
    claim = "a hold for credit or a key doubles if its error comes back; one attempt tries its end"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._accounts: dict[str, _Account] = {}
        self._admitted: dict[int, float] = {}
        self._news: dict[str, tuple[tuple[int, HoldSet], float | None]] = {}
        self.hears = {
            HoldSet: self._held,
            HoldCleared: self._cleared,
            AttemptAdmitted: self._on_admitted,
            AttemptEnded: self._on_ended,
            ActorCrashed: self._restarted,
            ActorRestarted: self._restarted,
        }

    def _held(self, seq: int, event: HoldSet) -> None:
        if event.why not in _LADDERS:
            return
        account = self._accounts.setdefault(event.scope, _Account())
        ended_at = account.ended_at.pop(event.why, None)
        account.open[event.why] = here = seq, event
        account.held.add(event.why)
        account.probe = None  # whoever was out proves nothing any more
        if event.request is not None:
            self._news[event.request] = here, ended_at
        else:
            account.own_s.pop(event.why, None)

    def _cleared(self, seq: int, event: HoldCleared) -> None:  # noqa: ARG002
        account = self._accounts.get(event.scope)
        why, _, how = event.why.rpartition(": ")
        if account is None or why not in _LADDERS:
            return
        account.held.discard(why)
        if how == _OVER and why in account.open:
            account.ended_at[why] = event.at_s
        elif how != _OVER:
            account.open.pop(why, None)
            account.ended_at.pop(why, None)
            account.own_s.pop(why, None)
            if not account.open:
                account.probe = None

    def _on_admitted(self, seq: int, event: AttemptAdmitted) -> Violation | None:
        account = self._accounts.get(provider_of(event.endpoint)) if self._accounts else None
        if account is None or not account.open:
            return None
        self._admitted[event.attempt] = event.at_s
        before, lease_end = account.probe, account.lease_end
        account.probe = here = seq, event
        timeout_s = event.timeout_s or self.rules.timeout_of(event.endpoint)
        grace_s = self.rules.hold_of(event.endpoint).lease_grace_s
        account.lease_end = event.at_s + timeout_s + grace_s
        if before is None or event.at_s >= lease_end - _ROUNDING_S:
            return None
        said = f"{event.request} was let through to {event.endpoint} beside a probe of its account"
        return self.broken("not alone", said, before, here)

    def _on_ended(self, seq: int, event: AttemptEnded) -> Violation | None:
        admitted_at = self._admitted.pop(event.attempt, None) if self._admitted else None
        news = self._news.pop(event.request, None) if self._news else None
        account = self._accounts.get(provider_of(event.endpoint)) if self._accounts else None
        if account is None:
            return None
        if account.probe is not None and account.probe[1].attempt == event.attempt:
            account.probe = None
            if event.verdict == _OK:
                account.open = {k: each for k, each in account.open.items() if k in account.held}
                account.own_s = {k: each for k, each in account.own_s.items() if k in account.held}
        if news is None:
            return None
        held, ended_at = news
        before_s = account.own_s.pop(held[1].why, None)
        if event.retry_after_s:
            return None
        account.own_s[held[1].why] = held[1].until - held[1].at_s
        back = ended_at is not None and admitted_at is not None and admitted_at >= ended_at
        return self._length(held, before_s if back else None, (seq, event))

    def _length(
        self, held: tuple[int, HoldSet], before_s: float | None, here: Witness
    ) -> Violation | None:
        """Is a hold that nobody gave an end to as long as it must be?"""
        policy, why = self.rules.hold_of(held[1].scope), held[1].why
        least_s = policy.credit_s if why == _CREDIT else policy.auth_s
        least_s = min(policy.cap_s, max(least_s, 2.0 * (before_s or 0.0)))
        length_s = held[1].until - held[1].at_s
        if length_s >= least_s - _ROUNDING_S:
            return None
        said = f"{held[1].scope} is held for {length_s:.3f} s ({why}), not {least_s:g} s"
        return self.broken("length", said, held, here)

    def _restarted(self, seq: int, event: ActorCrashed | ActorRestarted) -> None:  # noqa: ARG002
        """It forgets who was out to prove something."""
        account = self._accounts.get(event.actor.removeprefix(ACTOR))
        if account is not None:
            account.probe = None
