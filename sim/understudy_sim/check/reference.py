"""A second opinion on the simple strategies: what each ranking must have been.

A sequential model of `priority`, `round_robin`, `weighted` and `cheapest`, written from their
descriptions: it reads `route.decide` and knows the fleet, nothing else. It stays silent where a
decision does not tell what the strategy saw (somebody was left to those in the queue), and counts
both: a model that judges nothing proves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, TypeAlias

from understudy_actors.dispatcher.select import serves
from understudy_actors.domain.candidate import NO_SLOT, EndpointSpec
from understudy_actors.domain.events import (
    ActorRestarted,
    AskClosed,
    AskOpened,
    Decided,
    RequestAccepted,
    RequestOutcome,
    StrategyChanged,
)
from understudy_actors.domain.waiting_events import Queued, QueueLeft
from understudy_sim.check.rules import DEFAULT, Rules
from understudy_sim.check.violation import Violation, Watch

CHAT: Final = "chat"
DISPATCHER: Final = "dispatcher"
_AGAIN: Final = "is asked again first"
_ROUNDING: Final = 1e-9
_TURNS: Final = frozenset({"round_robin", "weighted"})


class Turns:
    """Smooth weighted round robin: who has waited for most of their share comes next."""

    def __init__(self) -> None:
        self._owed: dict[str, float] = {}
        self._total = 0.0

    def order(self, weights: dict[str, float], names: Sequence[str], said: str) -> list[str]:
        """The order of `names` (as configured), which also uses up the turn of the first.

        Rounding decides between equals whose shares were scaled: then `said`, the engine's first,
        is believed.
        """
        total = sum(weights[name] for name in names)
        if self._total and total != self._total:
            self._owed = {n: owed * total / self._total for n, owed in self._owed.items()}
        self._total = total
        for name in names:
            self._owed[name] = self._owed.get(name, 0.0) + weights[name]
        order = sorted(names, key=lambda name: -self._owed[name])  # stable: equals as configured
        if said in order and self._owed[order[0]] - self._owed[said] < _ROUNDING:
            order.remove(said)
            order.insert(0, said)
        self._owed[order[0]] -= total
        return order


_Kind: TypeAlias = tuple[str, str | None, tuple[str, ...] | None]
"""Operation, model, and fallbacks of its own: what requests share a route by, as far as is told."""


class Reference(Watch):
    """D1.

    A decision is told when its request goes on, which is in the turn that made it, but for those
    who waited for the dispatcher's restart: they are answered in line and go on in any order. Where
    turns were taken like that, or given up to those in line, whose turn comes next is not known.

    Attributes:
        judged, skipped: Decisions that were compared, and those that could not be.
    """

    name = "D1"
    claim = "the ranking is what a sequential model of the strategy says"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self.judged = self.skipped = 0
        self._place = {spec.name: at for at, spec in enumerate(rules.fleet)}
        self._spec = {spec.name: spec for spec in rules.fleet}
        self._accepted: dict[str, _Kind] = {}
        self._turns: dict[tuple[object, ...], Turns] = {}
        self._blind: set[tuple[object, ...]] = set()
        self._asking: set[int] = set()  # who waits for the dispatcher
        self._in_line_until = -math.inf
        self._in_line: set[int] = set()  # tickets of those who wait for a slot
        self.hears = {
            Queued: self._on_queued,
            QueueLeft: self._on_left,
            AskOpened: self._on_asked,
            AskClosed: self._on_answered,
            RequestAccepted: self._on_accepted,
            Decided: self._on_decided,
            RequestOutcome: self._on_outcome,
            ActorRestarted: self._on_restarted,
            StrategyChanged: self._on_changed,
        }

    def _on_accepted(self, seq: int, event: RequestAccepted) -> None:  # noqa: ARG002
        self._accepted[event.request] = event.operation, event.model, event.fallbacks

    def _on_outcome(self, seq: int, event: RequestOutcome) -> None:  # noqa: ARG002
        self._accepted.pop(event.request, None)

    def _on_restarted(self, seq: int, event: ActorRestarted) -> None:  # noqa: ARG002
        if event.actor == DISPATCHER:  # the strategies' memory is gone
            self._turns.clear()
            self._blind.clear()
            self._in_line.clear()
            if self._asking:
                self._in_line_until = event.at_s + self.rules.late_s

    def _on_queued(self, seq: int, event: Queued) -> None:  # noqa: ARG002
        self._in_line.add(event.ticket)

    def _on_left(self, seq: int, event: QueueLeft) -> None:  # noqa: ARG002
        self._in_line.discard(event.ticket)

    def _on_asked(self, seq: int, event: AskOpened) -> None:  # noqa: ARG002
        if event.actor == DISPATCHER:
            self._asking.add(event.ask)

    def _on_answered(self, seq: int, event: AskClosed) -> None:  # noqa: ARG002
        if self._asking and event.actor == DISPATCHER:
            self._asking.discard(event.ask)

    def _on_changed(self, seq: int, event: StrategyChanged) -> None:  # noqa: ARG002
        """A name may mean a strategy of somebody's own from now on."""
        if event.strategy in ("priority", "cheapest", *_TURNS):
            self._blind |= {key for key in self._turns if key[0] == event.strategy}

    def _on_decided(self, seq: int, event: Decided) -> Violation | None:
        ranked, reasons = event.ranked, event.left_out.values()
        kind = self._accepted.get(event.request)
        unknown = kind is None or any(name not in self._place for name in ranked)
        if not ranked and kind is not None and self._in_line and NO_SLOT in reasons:
            self._blind.add((event.strategy, *kind))  # somebody's turn went to those in line
        if unknown or not ranked or any(why.endswith(_AGAIN) for why in reasons):
            return None
        assert kind is not None
        tier, rest = self._tiers(ranked, kind)
        wanted = self._wanted(event, kind, tier, left_to_queue=NO_SLOT in event.left_out.values())
        if wanted is None:
            self.skipped += 1
            return None
        self.judged += 1
        if event.strategy == "cheapest":
            return self._dearer_first((seq, event), tier, worded=kind[0] == CHAT)
        wanted = [*wanted, *rest]
        # Behind the first, rounding may decide between equals too: only who comes first counts.
        same = (
            ranked[:1] == tuple(wanted[:1]) if event.strategy in _TURNS else list(ranked) == wanted
        )
        if same:
            return None
        said = f"{event.strategy} ranked {', '.join(ranked)}; it must be {', '.join(wanted)}"
        return self.broken(event.strategy, said, (seq, event))

    def _wanted(
        self, event: Decided, kind: _Kind, tier: list[str], *, left_to_queue: bool
    ) -> list[str] | None:
        """The first tier as the strategy orders it; None if that cannot be known."""
        if event.strategy == "priority":
            return None if kind[0] in self.rules.chained else tier
        if any(self._spec[name].suits for name in tier) and event.strategy != "priority":
            return None  # the complexity of the task is not told
        if event.strategy == "cheapest":
            return None if any(self._spec[name].free_quota for name in tier) else tier
        if event.strategy not in _TURNS:
            return None
        key = (event.strategy, *kind)
        if left_to_queue or event.at_s <= self._in_line_until:
            self._blind.add(key)
        if key in self._blind:
            return None
        if len(tier) + len(event.ranked) == 2:
            return tier  # alone: the strategy is not asked
        equal = event.strategy == "round_robin"
        weights = {name: 1.0 if equal else self._spec[name].weight for name in tier}
        return self._turns.setdefault(key, Turns()).order(weights, tier, event.ranked[0])

    def _tiers(self, ranked: Sequence[str], kind: _Kind) -> tuple[list[str], list[str]]:
        """The first tier, and the rest, as configured."""
        ordered = sorted(ranked, key=lambda name: (*self._tier(name, kind), self._place[name]))
        first = self._tier(ordered[0], kind)
        tier = [name for name in ordered if self._tier(name, kind) == first]
        return tier, ordered[len(tier) :]

    def _tier(self, name: str, kind: _Kind) -> tuple[bool, int, int]:
        spec, (operation, model, own) = self._spec[name], kind
        level = 0
        if model is not None and not serves(spec, model):
            after = self.rules.fallbacks.get(model, ()) if own is None else own
            level = 1 + next(
                (at for at, each in enumerate(after) if serves(spec, each)), len(after)
            )
        return spec.degraded, level, 0 if operation in self.rules.chained else spec.priority

    def _dearer_first(
        self, here: tuple[int, Decided], tier: list[str], *, worded: bool
    ) -> Violation | None:
        """Does somebody stand behind one that is dearer, however long the answer is?"""
        ranked = [name for name in here[1].ranked if name in tier]
        for at, first in enumerate(ranked):
            for other in ranked[at + 1 :]:
                if _cheaper(self._spec[other], self._spec[first], worded=worded):
                    said = f"cheapest ranked {first} before {other}, which is always cheaper"
                    return self.broken("cheapest", said, here)
        return None


def _cheaper(one: EndpointSpec, other: EndpointSpec, *, worded: bool) -> bool:
    """Is `one` cheaper than `other` whatever the tokens? An unknown price is the dearest.

    Only an answer in words (`worded`) has output tokens for certain: any other may cost as much
    for both if they differ in the price of those alone.
    """
    if one.price is None or other.price is None:
        return one.price is not None
    mine = (one.price.input_per_mtok, one.price.request_usd, one.price.output_per_mtok)
    theirs = (other.price.input_per_mtok, other.price.request_usd, other.price.output_per_mtok)
    sure = 3 if worded else 2
    never_dearer = all(a < b or a == b == 0 for a, b in zip(mine, theirs, strict=True))
    return never_dearer and mine[:sure] != theirs[:sure]
