"""Laws about two runs: what must not change when something else does.

Each compares the traces of two runs that differ in one way, and returns where they part.
Randomness is keyed by name, so a renamed provider draws other numbers: compare runs without
jitter. Scaling holds as far as nothing but configured times passes: the engine has a few constants
of its own (what an answer needs at least, the fading of a score).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, Final

from understudy_actors.domain.events import Event, RequestAccepted, RequestOutcome
from understudy_sim.check.violation import Violation, Witness

_TIMES: Final = frozenset({"at_s", "deadline", "until", "retry_at", "retry_after"})
_ROUNDING: Final = 1e-6
_WORD: Final = re.compile(r"[^\s/:]+")
_SERVED: Final = frozenset({"ok", "degraded"})


def identical(first: Iterable[Witness], second: Iterable[Witness]) -> Violation | None:
    """S30: the same seed and script give the same trace."""
    return _part("S30", "replay", list(first), list(second), lambda _name, value: value)


def renamed(
    first: Iterable[Witness], second: Iterable[Witness], names: Mapping[str, str]
) -> Violation | None:
    """M1: renaming providers changes nothing but names.

    `names` maps the first run's names to the second's; they are replaced wherever they stand as a
    word of their own, so they should be no words that reasons are made of.
    """

    def rename(_name: str, value: Any) -> Any:
        if isinstance(value, str):
            return _rename(value, names)
        if isinstance(value, tuple):
            return tuple(rename(_name, each) for each in value)
        if isinstance(value, dict):
            return {rename(_name, k): rename(_name, v) for k, v in value.items()}
        return value

    return _part("M1", "renamed", list(first), list(second), rename)


def scaled(first: Iterable[Witness], second: Iterable[Witness], factor: float) -> Violation | None:
    """M3: with every time multiplied by `factor`, the same happens at the multiplied times."""

    def scale(name: str, value: Any) -> Any:
        is_time = name in _TIMES or name.endswith("_s")
        return value * factor if is_time and isinstance(value, float) else value

    return _part("M3", "scaled", list(first), list(second), scale)


def adding_hurts(first: Iterable[Witness], second: Iterable[Witness]) -> Violation | None:
    """M2: `second` has one more provider, which is always healthy: nobody may fare worse.

    Compared are the requests that both runs accepted; those that left by themselves do not count.
    """
    before, after = _outcomes(first), _outcomes(second)
    worse: list[Witness] = []
    better = 0
    for request, (was, then) in before.items():
        now = after.get(request)
        if now is None or "cancelled" in (was, now[0]):
            continue
        if was in _SERVED and now[0] not in _SERVED:
            worse += [then, now[1]]
        better += was not in _SERVED and now[0] in _SERVED
    if len(worse) // 2 <= better:
        return None
    lost = len(worse) // 2 - better
    said = f"with one more healthy provider {lost} requests fewer succeed"
    return Violation("M2", said, tuple(worse[:8]), "M2/worse")


def _outcomes(events: Iterable[Witness]) -> dict[str, tuple[str, Witness]]:
    """How each request ended; those of one id by the order of their arrival."""
    count: dict[str, int] = {}
    ended: dict[str, tuple[str, Witness]] = {}
    for seq, event in events:
        if isinstance(event, RequestAccepted):
            count[event.request] = count.get(event.request, 0) + 1
        elif isinstance(event, RequestOutcome):
            name = f"{event.request}#{count.get(event.request, 0)}"
            ended[name] = event.status, (seq, event)
    return ended


def _part(
    law: str,
    shape: str,
    first: Sequence[Witness],
    second: Sequence[Witness],
    turn: Any,
) -> Violation | None:
    """Where `second` parts from `first`, once every field of `first` was turned."""
    for one, other in zip_longest(first, second):
        if one is None or other is None:
            left = one or other
            which = "second" if one is None else "first"
            said = f"only the {which} run goes on, with {_kind(left[1])}"
            return Violation(law, said, (left,), f"{law}/{shape} length")
        field = _differs(one[1], other[1], turn)
        if field is not None:
            said = f"the runs part at event {one[0]}: {_kind(one[1])} against {_kind(other[1])}"
            if field:
                said = f"the runs part at event {one[0]}: {_kind(one[1])} differs in `{field}`"
            signature = f"{law}/{shape} {_kind(one[1])},{_kind(other[1])} {field}"
            return Violation(law, said, (one, other), signature)
    return None


def _differs(one: Event, other: Event, turn: Any) -> str | None:
    """The field in which two events differ; empty for their types; None if they are equal."""
    if type(one) is not type(other):
        return ""
    for name in one.__struct_fields__:
        if not _same(turn(name, getattr(one, name)), getattr(other, name)):
            return name
    return None


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and one != other:
        return math.isclose(one, other, rel_tol=_ROUNDING, abs_tol=_ROUNDING)
    return bool(one == other)


def _rename(text: str, names: Mapping[str, str]) -> str:
    """Replace whole names: alone, before a model, behind an actor's kind, after a domain."""
    return _WORD.sub(lambda found: names.get(found[0], found[0]), text)


def _kind(event: Event) -> str:
    return str(event.__struct_config__.tag)
