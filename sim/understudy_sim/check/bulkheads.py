"""Law of bulkheads: what each compartment holds, worked out again from who took which slot."""

from __future__ import annotations

import math
from typing import Final

from understudy_actors.domain.bulkhead import Compartments
from understudy_actors.domain.candidate import NO_SHARE
from understudy_actors.domain.events import (
    AttemptEnded,
    AttemptRefused,
    Decided,
    LimitSet,
    PermitReleased,
    RequestAccepted,
    RequestOutcome,
    SlotFreed,
    SlotTaken,
)
from understudy_actors.domain.request import ChatInput, Request
from understudy_sim.check.limits import SlotLimits
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.violation import Hears, Violation, Watch, Witness

_NO_INPUT: Final = ChatInput(())


class Members:
    """Which compartments each request that is under way belongs to."""

    def __init__(self, rules: Rules = DEFAULT) -> None:
        self._rule = rules.shares
        self._own: dict[str, Compartments] = {}

    def hears(self) -> Hears:
        """What it needs to hear; nothing where there are no compartments."""
        if self._rule is None:
            return {}
        return {RequestAccepted: self.accepted, RequestOutcome: self.over}

    def accepted(self, seq: int, event: RequestAccepted) -> None:  # noqa: ARG002
        """A request sets out."""
        assert self._rule is not None
        own = self._rule.compartments(
            Request(
                operation=event.operation,
                input=_NO_INPUT,
                user=event.user,
                tenant=event.tenant,
                priority=event.priority,
            )
        )
        if own:
            self._own[event.request] = own

    def over(self, seq: int, event: RequestOutcome) -> None:  # noqa: ARG002
        """A request has its outcome."""
        self._own.pop(event.request, None)

    def of(self, request: str | None) -> Compartments:
        """Those of a request."""
        return self._own.get(request or "", ())


class Bulkheads(Watch):
    """S41. A lowered limit takes nothing back: the share is that of the limit at each take.

    Weaker where a limit is not known for sure, because its actor came back and may have forgotten
    what it had not saved: then it is the most that it can be, and nobody is blamed for a refusal.
    Nor is anybody for one in the very instant in which something changed there.
    """

    name = "S41"
    claim = "no compartment holds more than its share, and none is refused that has room in it"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._members, self._limits = Members(rules), SlotLimits(rules)
        self._held: dict[tuple[str, str], set[int]] = {}
        self._changed_at: dict[str, float] = {}
        self.hears = {}
        if rules.shares is not None:
            self.hears = {
                **self._limits.hears,
                **self._members.hears(),
                SlotTaken: self._taken,
                SlotFreed: self._freed,
                AttemptEnded: self._ended,
                LimitSet: self._limited,
                PermitReleased: self._released,
                Decided: self._decided,
                AttemptRefused: self._refused,
            }

    def _taken(self, seq: int, event: SlotTaken) -> Violation | None:
        self._limits.on_taken(seq, event)
        endpoint, found = event.endpoint, None
        self._changed_at[endpoint] = event.at_s
        limit, _ = self._limits.limit_of(endpoint)
        for each in self._members.of(event.request):
            held = self._held.setdefault((endpoint, each.name), set())
            held.add(event.permit)
            if len(held) > (most := each.most(max(1, limit))):
                said = f"{each.name} holds {len(held)} slots of {endpoint}, and may hold {most}"
                found = self.broken("beyond", said, (seq, event))
        return found

    def _freed(self, seq: int, event: SlotFreed) -> None:
        self._limits.on_freed(seq, event)
        self._gone(event.permit, event.endpoint, event.at_s)

    def _ended(self, seq: int, event: AttemptEnded) -> None:
        self._limits.on_ended(seq, event)
        self._gone(event.attempt, event.endpoint, event.at_s)

    def _gone(self, attempt: int, endpoint: str, now: float) -> None:
        self._changed_at[endpoint] = now
        for key, held in list(self._held.items()):
            if key[0] == endpoint and attempt in held:
                held.discard(attempt)
                if not held:
                    del self._held[key]

    def _released(self, seq: int, event: PermitReleased) -> None:
        self._limits.on_released(seq, event)
        self._changed_at[event.scope] = event.at_s

    def _limited(self, seq: int, event: LimitSet) -> None:
        self._limits.on_limit(seq, event)
        self._changed_at[event.endpoint] = event.at_s

    def _decided(self, seq: int, event: Decided) -> Violation | None:
        found = None
        for endpoint, why in event.left_out.items():
            if why == NO_SHARE:
                found = found or self._pretext(event.request, endpoint, (seq, event))
        return found

    def _refused(self, seq: int, event: AttemptRefused) -> Violation | None:
        if event.reason != NO_SHARE:
            return None
        return self._pretext(event.request, event.endpoint, (seq, event))

    def _pretext(self, request: str, endpoint: str, here: Witness) -> Violation | None:
        limit, sure = self._limits.limit_of(endpoint)
        if not sure or self._changed_at.get(endpoint, -math.inf) >= here[1].at_s:
            return None
        for each in self._members.of(request):
            if len(self._held.get((endpoint, each.name), ())) >= each.most(max(1, limit)):
                return None
        said = f"{request} is refused for its share of {endpoint}, in which there is room"
        return self.broken("pretext", said, here)
