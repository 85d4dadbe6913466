"""Laws of what follows a failure: it is decided by that failure, and time is left for others."""

from __future__ import annotations

from typing import ClassVar, Final

from understudy_actors.domain.collapse_events import RequestJoined
from understudy_actors.domain.events import (
    AttemptAdmitted,
    AttemptEnded,
    BreakerCounted,
    Decided,
    FailedOver,
    PermitTaken,
    RequestAccepted,
    RequestOutcome,
    ScoreSet,
)
from understudy_actors.domain.outcome import POLICY, ErrorClass, Scope, Verdict
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.violation import Violation, Watch, Witness

_FAIL: Final = Verdict.FAIL.value
_FINAL: Final = frozenset(
    each.value
    for each, policy in POLICY.items()
    if not policy.elsewhere and each not in (ErrorClass.CONTENT_POLICY, ErrorClass.CANCELLED)
)
_CONTENT: Final = ErrorClass.CONTENT_POLICY.value
_DOMAIN: Final = frozenset(
    each.value for each, policy in POLICY.items() if policy.scope is Scope.DOMAIN
)
_UNKNOWN_S: Final = 1.0  # what an endpoint is expected to take of which nothing is known
_USUAL: Final = 4.0
_SHARE: Final = 0.5
_ROUNDING_S: Final = 1e-6


class Motives(Watch):
    """S38. Of two copies of a request each may fail: what counts is the end at the same target."""

    name = "S38"
    claim = "a failover follows from the failure just seen, and not from one that nobody may mend"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._ended: dict[str, dict[str, tuple[int, AttemptEnded]]] = {}
        final = _FINAL if rules.reroute_refused_content else _FINAL | {_CONTENT}
        self._final = final
        self.hears = {
            AttemptEnded: self._attempt_ended,
            FailedOver: self._failed_over,
            AttemptAdmitted: self._admitted,
            RequestOutcome: self._outcome,
        }

    def _attempt_ended(self, seq: int, event: AttemptEnded) -> None:
        self._ended.setdefault(event.request, {})[event.endpoint] = seq, event

    def _failed_over(self, seq: int, event: FailedOver) -> Violation | None:
        all_ended = self._ended.get(event.request)
        if all_ended is None:
            return None
        ended = all_ended.get(event.source)
        if ended is not None and ended[1].error == event.why:
            return None
        said = f"{event.request} leaves {event.source} because of {event.why}, and failed there"
        said = f"{said} with {None if ended is None else ended[1].error}"
        return self.broken("stale", said, ended, (seq, event))

    def _admitted(self, seq: int, event: AttemptAdmitted) -> Violation | None:
        for endpoint, ended in self._ended.get(event.request, {}).items():
            # Whoever is asked again is judged by the laws of retries.
            if ended[1].error in self._final and endpoint != event.endpoint:
                said = f"{event.request} failed with {ended[1].error}, and {event.endpoint} was"
                return self.broken("final", f"{said} asked too", ended, (seq, event))
        return None

    def _outcome(self, seq: int, event: RequestOutcome) -> None:  # noqa: ARG002
        self._ended.pop(event.request, None)


class TimeLeft(Watch):
    """S39. Only where nothing is known of an endpoint can its usual time be told."""

    name = "S39"
    claim = "while others could be asked, one attempt gets half of the time left, or its usual time"
    learned: ClassVar[bool] = True

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._live: dict[str, tuple[int, RequestAccepted]] = {}
        self._until: dict[str, float] = {}  # of those whose time others lengthened
        self._count: dict[str, int] = {}
        self._ranked: dict[str, tuple[str, ...]] = {}
        self._known: set[str] = set()
        self.hears = {
            RequestAccepted: self._accepted,
            RequestJoined: self._joined,
            ScoreSet: self._scored,
            Decided: self._decided,
            AttemptAdmitted: self._admitted,
            RequestOutcome: self._outcome,
        }

    def _accepted(self, seq: int, event: RequestAccepted) -> None:
        self._live[event.request] = seq, event

    def _joined(self, seq: int, event: RequestJoined) -> None:  # noqa: ARG002
        """A call that others share has as long as the last of them."""
        self._until[event.shared] = max(event.deadline, self._until.get(event.shared, 0.0))

    def _scored(self, seq: int, event: ScoreSet) -> None:  # noqa: ARG002
        self._known.add(event.endpoint)

    def _decided(self, seq: int, event: Decided) -> None:  # noqa: ARG002
        self._ranked[event.request] = event.ranked

    def _admitted(self, seq: int, event: AttemptAdmitted) -> Violation | None:
        request, endpoint = event.request, event.endpoint
        accepted, ranked = self._live.get(request), self._ranked.get(request, ())
        self._count[request] = count = self._count.get(request, 0) + 1
        if accepted is None or event.timeout_s is None or endpoint in self._known:
            return None
        if accepted[1].streams:
            return None  # its silence is limited instead, which no event tells
        most = accepted[1].max_attempts or self.rules.max_attempts
        if endpoint not in ranked or ranked[-1] == endpoint or count >= most:
            return None
        left_s = max(accepted[1].deadline, self._until.get(request, 0.0)) - event.at_s
        most_s = max(_SHARE * left_s, _USUAL * _UNKNOWN_S)
        if event.timeout_s <= most_s + _ROUNDING_S:
            return None
        said = f"{endpoint} may take {event.timeout_s:.3f} s of the {left_s:.3f} s of {request}"
        return self.broken("share", f"{said}, while others could be asked", accepted, (seq, event))

    def _outcome(self, seq: int, event: RequestOutcome) -> None:  # noqa: ARG002
        self._live.pop(event.request, None)
        self._until.pop(event.request, None)
        self._count.pop(event.request, None)
        self._ranked.pop(event.request, None)


class DomainBlame(Watch):
    """Part of S31."""

    name = "S31"
    claim = "a connection that fails is the failure domain's fault, where there is one"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._domains: dict[int, str] = {}
        self._blamed: dict[int, Witness] = {}
        self.hears = {
            PermitTaken: self._taken,
            BreakerCounted: self._counted,
            AttemptEnded: self._ended,
        }

    def _taken(self, seq: int, event: PermitTaken) -> None:  # noqa: ARG002
        if event.scope.startswith("domain "):
            self._domains[event.permit] = event.scope

    def _counted(self, seq: int, event: BreakerCounted) -> None:
        domain = self._domains.get(event.permit) if self._domains else None
        if domain is not None and event.verdict == _FAIL and event.scope != domain:
            self._blamed[event.permit] = seq, event

    def _ended(self, seq: int, event: AttemptEnded) -> Violation | None:
        domain = self._domains.pop(event.attempt, None) if self._domains else None
        blamed = self._blamed.pop(event.attempt, None) if self._blamed else None
        if blamed is None or event.error not in _DOMAIN:
            return None
        said = f"{event.endpoint} is blamed for {event.error}, which is the fault of {domain}"
        return self.broken("domain", said, blamed, (seq, event))
