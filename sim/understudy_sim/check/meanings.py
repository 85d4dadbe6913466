"""What each end of an attempt means, from a table of its own: the engine's may be wrong."""

from __future__ import annotations

import math
from typing import Final

from understudy_actors.domain.events import (
    ActorCrashed,
    ActorGaveUp,
    ActorRestarted,
    ActorStopped,
    AttemptEnded,
    HoldSet,
    RequestOutcome,
)
from understudy_actors.domain.outcome import HoldKind
from understudy_sim.check.gates import Down
from understudy_sim.check.rules import DEFAULT, Rules, provider_of
from understudy_sim.check.violation import Violation, Watch

_VERDICTS: Final = {
    **dict.fromkeys(("auth", "permission", "quota", "model_not_found", "conflict"), "neutral"),
    **dict.fromkeys(("context_length", "content_policy", "bad_request"), "neutral"),
    **dict.fromkeys(("cancelled", "internal"), "neutral"),
    **dict.fromkeys(("rate_limit", "overloaded"), "throttled"),
    **dict.fromkeys(("timeout", "connect", "reset", "server", "malformed", "adapter"), "failed"),
}
"""Silence is missing: it fails only if it lasted, or if nobody else was answered for as long."""
_HOLDS: Final = {
    "auth": HoldKind.AUTH.value,
    "permission": HoldKind.AUTH.value,
    "quota": HoldKind.CREDIT.value,
}
"""Errors that speak of the account, and the hold that each must bring."""
_PATIENCE_S: Final = 10.0
_ROUNDING_S: Final = 1e-3
_OTHERS_MAY: Final = frozenset(
    {
        "AuthenticationFailed",
        "PermissionDenied",
        "CreditExhausted",
        "RateLimited",
        "ProviderOverloaded",
        "ModelNotFound",
        "AttemptTimeout",
        "ConnectionFailed",
        "ServerFailed",
        "MalformedResponse",
        "AdapterFailed",
    }
)
"""Errors of one provider that say nothing about the others: none of them may end a request as its
own outcome."""


class Meanings(Watch):
    """Errors mean what they say."""

    name = "R6"
    claim = "each error brings the verdict, the hold and the outcome that its class calls for"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._held: set[tuple[str, str]] = set()
        self._answered: dict[str, float] = {}
        self._down = Down()
        self.hears = {
            ActorCrashed: self._down.fell,
            ActorGaveUp: self._down.fell,
            ActorStopped: self._down.fell,
            ActorRestarted: self._down.rose,
            AttemptEnded: self._on_ended,
            HoldSet: self._on_hold,
            RequestOutcome: self._on_outcome,
        }

    def _on_hold(self, seq: int, event: HoldSet) -> Violation | None:
        self._held.add((event.scope, event.why))
        if event.why != HoldKind.MODEL.value or event.scope != provider_of(event.scope):
            return None
        said = f"all of {event.scope} is held for the sake of one model"
        return self.broken("hold/model", said, (seq, event))

    def _on_ended(self, seq: int, event: AttemptEnded) -> Violation | None:
        error, kind = event.error, _HOLDS.get(event.error or "")
        answered_at = self._answered.get(event.endpoint, -math.inf)
        if error is None or event.status is not None:
            self._answered[event.endpoint] = event.at_s
        if error is None:
            return None
        wanted = _VERDICTS.get(error)
        if wanted is not None and event.verdict != wanted:
            said = f"{error} at {event.endpoint} was judged {event.verdict}, not {wanted}"
            return self.broken(f"verdict/{error}", said, (seq, event))
        provider = provider_of(event.endpoint)
        held = (provider, kind) in self._held or provider in self._down.names
        if kind is not None and not held:  # an actor that is down learns of it when it is back
            said = f"{event.endpoint} answered {error}, and its account was never held"
            return self.broken(f"hold/{error}", said, (seq, event))
        patience_s = min(_PATIENCE_S, self.rules.timeout_of(event.endpoint))
        brief = event.elapsed_s < patience_s - _ROUNDING_S
        brief = brief and event.at_s - answered_at < _PATIENCE_S - _ROUNDING_S
        if error == "silent" and event.verdict == "failed" and brief:
            said = f"{event.endpoint} is blamed for a silence of {event.elapsed_s:.3f} s"
            return self.broken("impatient", said, (seq, event))
        return None

    def _on_outcome(self, seq: int, event: RequestOutcome) -> Violation | None:
        if event.status not in _OTHERS_MAY:
            return None
        said = f"{event.request} ended in {event.status}, which says nothing about other providers"
        return self.broken(f"outcome/{event.status}", said, (seq, event))
