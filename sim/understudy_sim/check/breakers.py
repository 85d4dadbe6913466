"""Laws of one breaker: which way it moves, when, for how long, and because of what."""

from __future__ import annotations

import math
from typing import Final

from understudy_actors.domain.events import (
    BreakerCounted,
    BreakerMoved,
    BreakerStale,
    PermitReleased,
    PermitTaken,
)
from understudy_actors.domain.outcome import Verdict
from understudy_actors.provider.policy import BreakerPolicy
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.violation import Violation, Watch, Witness

_OK: Final = Verdict.OK.value
_FAIL: Final = Verdict.FAIL.value
_COUNTED: Final = frozenset({_OK, _FAIL})
_ROUNDING_S: Final = 1e-6
_REVIVED: Final = frozenset({"restored", "snapshot unusable"})
_ADMINISTERED: Final = frozenset({"isolated", "disabled", "enabled", "reset"})
_SILENT: Final = frozenset({"isolated", "disabled"})
_PROBE_FAILED: Final = "probe failed"
_PATHS: Final = frozenset(
    {("closed", "open"), ("open", "half-open"), ("half-open", "closed"), ("half-open", "open")}
)


class Generations(Watch):
    """S3."""

    name = "S3"
    claim = "only verdicts of the current generation count, and every one of them is heard"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._moved: dict[str, tuple[int, BreakerMoved]] = {}
        self._stale: dict[str, tuple[int, BreakerStale]] = {}
        self.hears = {
            BreakerMoved: self._on_moved,
            BreakerCounted: self._on_counted,
            BreakerStale: self._on_stale,
            PermitTaken: self._on_taken,
        }

    def _on_moved(self, seq: int, event: BreakerMoved) -> None:
        self._moved[event.scope] = seq, event
        self._stale.pop(event.scope, None)

    def _on_counted(self, seq: int, event: BreakerCounted) -> Violation | None:
        if self._moved and (moved := self._moved.get(event.scope)) is not None:
            if event.generation != moved[1].generation:
                said = (
                    f"{event.scope} counted a verdict of generation {event.generation} "
                    f"in generation {moved[1].generation}"
                )
                return self.broken("counted", said, moved, (seq, event))
            return self._unheard(event.scope, event.generation, (seq, event))
        return None

    def _on_stale(self, seq: int, event: BreakerStale) -> None:
        """If its generation is the current one, the next event must be the move that ended it."""
        if event.permit:
            self._stale[event.scope] = seq, event

    def _on_taken(self, seq: int, event: PermitTaken) -> Violation | None:
        if not self._moved or (moved := self._moved.get(event.scope)) is None:
            return None
        if event.generation != moved[1].generation:
            said = f"{event.scope} lent a permit of another generation than its own"
            return self.broken("lent", said, moved, (seq, event))
        return self._unheard(event.scope, event.generation, (seq, event))

    def _unheard(self, scope: str, generation: int, here: Witness) -> Violation | None:
        stale = self._stale.pop(scope, None) if self._stale else None
        if stale is None or stale[1].generation != generation:
            return None
        said = f"{scope} called a verdict of its own generation {generation} stale"
        return self.broken("not heard", said, stale, here)


class Causes(Watch):
    """S6. VOID never reaches a breaker today, for every permit is dispatched in its own turn."""

    name = "S6"
    claim = "a breaker opens on a failure only; throttling and silence of ours never count"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._last: dict[str, tuple[int, BreakerCounted | PermitReleased]] = {}
        self.hears = {
            BreakerCounted: self._counted,
            PermitReleased: self._released,
            BreakerMoved: self._moved,
        }

    def _counted(self, seq: int, event: BreakerCounted) -> Violation | None:
        self._last[event.scope] = seq, event
        if event.verdict in _COUNTED:
            return None
        said = f"{event.scope} counted the verdict {event.verdict}"
        return self.broken("counted", said, (seq, event))

    def _released(self, seq: int, event: PermitReleased) -> None:
        self._last[event.scope] = seq, event

    def _moved(self, seq: int, event: BreakerMoved) -> Violation | None:
        last = self._last.get(event.scope)
        if event.why in _ADMINISTERED or event.why in _REVIVED:
            return None
        if last is None or event.target != "open":
            return None
        if event.source != "closed" and event.why != _PROBE_FAILED:
            return None
        if last[1].verdict == _FAIL and last[1].generation == event.generation - 1:
            return None
        said = f"{event.scope} opened after the verdict {last[1].verdict}"
        return self.broken("opened", said, last, (seq, event))


class Paths(Watch):
    """S7."""

    name = "S7"
    claim = "closed, open, half-open, closed or open again; each move raises the generation by one"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._last: dict[str, tuple[int, BreakerMoved]] = {}
        self.hears = {BreakerMoved: self._moved}

    def _moved(self, seq: int, event: BreakerMoved) -> Violation | None:
        last, here = self._last.get(event.scope), (seq, event)
        self._last[event.scope] = here
        path = f"{event.scope} went from {event.source} to {event.target}"
        if not _allowed(event):
            return self.broken("path", f"{path} because of {event.why}", last, here)
        if last is None or event.why in _REVIVED:
            if last is not None and event.generation <= last[1].generation:
                said = f"{event.scope} was revived in generation {event.generation}, not a new one"
                return self.broken("revived", said, last, here)
            return None
        if event.source != last[1].target:
            return self.broken("jump", f"{path}, but was {last[1].target}", last, here)
        if event.generation != last[1].generation + 1:
            said = f"{path} and from generation {last[1].generation} to {event.generation}"
            return self.broken("generation", said, last, here)
        if event.at_s < last[1].at_s:
            return self.broken("order", f"{path} before its previous move", last, here)
        return None


def _allowed(event: BreakerMoved) -> bool:
    source, target, why = event.source, event.target, event.why
    if why in _SILENT:
        return target == why and source != target
    if why == "enabled":
        return source in _SILENT and target == "closed"
    if why == "reset":
        return target == "closed" and source not in _SILENT
    if why in _REVIVED:
        return why == "restored" or target == "half-open"
    return (source, target) in _PATHS


class Cooldowns(Watch):
    """S8."""

    name = "S8"
    claim = "an open breaker stays open until the time it named, which Retry-After can only raise"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._open: dict[str, tuple[int, BreakerMoved]] = {}
        self.hears = {BreakerMoved: self._moved}

    def _moved(self, seq: int, event: BreakerMoved) -> Violation | None:
        scope, here = event.scope, (seq, event)
        opened = self._open.pop(scope, None)
        if event.target == "open":
            self._open[scope] = here
            return self._opened(opened, here)
        if opened is None or event.target != "half-open" or event.why in _REVIVED:
            return None
        until = opened[1].until
        if until is None or event.at_s >= until - _ROUNDING_S:
            return None
        said = f"{scope} let probes through {until - event.at_s:.3f} s before its cooldown's end"
        return self.broken("early", said, opened, here)

    def _opened(
        self, before: tuple[int, BreakerMoved] | None, here: tuple[int, BreakerMoved]
    ) -> Violation | None:
        event = here[1]
        if event.until is None:
            return self.broken("endless", f"{event.scope} opened without an end", here)
        if event.why in _REVIVED:
            if before is not None and event.until != before[1].until:
                said = f"{event.scope} moved the end of its cooldown from {before[1].until}"
                return self.broken("moved", said, before, here)
            return None
        if event.retry_after is not None:
            cap_s = self.rules.breaker_of(event.scope).retry_after_cap_s
            floor_s = min(event.retry_after, cap_s)
            if event.until < event.at_s + floor_s - _ROUNDING_S:
                said = f"{event.scope} opens for less than the {floor_s:g} s it was told to wait"
                return self.broken("retry after", said, here)
        return None


class Exponents(Watch):
    """S9. The exponent stops where the cooldown reaches its cap."""

    name = "S9"
    claim = "cooldowns double with each failed probe, up to the cap, and fade by calm time only"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self._last: dict[str, tuple[int, BreakerMoved]] = {}
        self._since: dict[str, float] = {}
        self._probes: dict[str, dict[int, float]] = {}
        self._probe_s: dict[str, float] = {}
        self.hears = {
            BreakerMoved: self._moved,
            PermitTaken: self._taken,
            BreakerCounted: self._counted,
        }

    def _taken(self, seq: int, event: PermitTaken) -> None:  # noqa: ARG002
        if self._probes and (probes := self._probes.get(event.scope)) is not None:
            probes[event.permit] = event.at_s

    def _counted(self, seq: int, event: BreakerCounted) -> None:  # noqa: ARG002
        if self._probes and event.verdict == _FAIL:
            taken = self._probes.get(event.scope, {}).get(event.permit)
            # Without a permit (a report, a check) nobody knows how long it took.
            self._probe_s[event.scope] = math.inf if taken is None else event.at_s - taken

    def _moved(self, seq: int, event: BreakerMoved) -> Violation | None:
        scope, here = event.scope, (seq, event)
        last = self._last.get(scope)
        self._last[scope] = here
        since = self._since.get(scope, event.at_s)
        if event.why != "restored":
            self._since[scope] = event.at_s
        self._probes.pop(scope, None)
        if event.target == "half-open":
            self._probes[scope] = {}
        probe_s = self._probe_s.pop(scope, None)
        if event.why in _REVIVED or event.why in _ADMINISTERED:
            return None
        policy = self.rules.breaker_of(scope)
        if last is not None:
            wanted = _exponent(policy, last[1], event, since)
            if event.exponent != wanted:
                said = f"{scope} says cooldown number {event.exponent}, it must be {wanted}"
                return self.broken("exponent", said, last, here)
        if event.target != "open" or event.until is None:
            return None
        if event.why == _PROBE_FAILED:
            return self._within(policy, here, probe_s if probe_s is not None else math.inf)
        return self._within(policy, here, 0.0)

    def _within(
        self, policy: BreakerPolicy, here: tuple[int, BreakerMoved], probe_s: float
    ) -> Violation | None:
        event = here[1]
        assert event.until is not None
        length_s = event.until - event.at_s
        full_s = policy.full_s(event.exponent)
        least_s = full_s / 2 if policy.jitter else full_s
        floor_s = min(2 * probe_s, policy.slow_probe_cap_s)
        if event.retry_after is not None:
            floor_s = max(floor_s, min(event.retry_after, policy.retry_after_cap_s))
        most_s = max(full_s, floor_s)
        if probe_s != math.inf:
            least_s = max(least_s, floor_s)
        if policy.jitter and length_s == full_s and floor_s == 0.0:
            said = f"{event.scope} opens for exactly {full_s:g} s, as everybody else would"
            return self.broken("no jitter", said, here)
        if least_s - _ROUNDING_S <= length_s <= most_s + _ROUNDING_S:
            return None
        said = f"{event.scope} opens for {length_s:.3f} s, not for {least_s:.3f} to {most_s:.3f} s"
        return self.broken("length", said, here)


def _exponent(policy: BreakerPolicy, last: BreakerMoved, event: BreakerMoved, since: float) -> int:
    """What the exponent must be after `event`."""
    before = last.exponent
    if event.source == "closed" and event.target == "open":
        before = max(0, before - int((event.at_s - since) // policy.calm_s))
        return min(policy.top_exponent, before + 1)
    if event.why == _PROBE_FAILED:
        return min(policy.top_exponent, before + 1)
    return before
