"""A run for people: events as sentences, the few that matter, a sequence diagram, a test."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from understudy_actors.domain.events import (
    AttemptDispatched,
    AttemptEnded,
    AttemptRefused,
    BreakerMoved,
    Event,
    HoldSet,
    RequestAccepted,
    RequestOutcome,
    RequestRefused,
)
from understudy_sim.check import Violation
from understudy_sim.check.rules import provider_of
from understudy_sim.faults import bare
from understudy_sim.run import Run
from understudy_sim.scenario import Scenario
from understudy_sim.world_events import FaultBegan, FaultEnded, Quiet, RunEnded

LINES_MAX: Final = 120
WIDTH: Final = 18
"""Of a column in a diagram."""
_FIRST: Final = ("request", "attempt", "scope", "endpoint", "actor", "provider", "fault")
_WORLD: Final = (FaultBegan, FaultEnded, Quiet, RunEnded)

Numbered = tuple[int, Event]


def line(seq: int, event: Event) -> str:
    """An event as one line: time, number, kind, and whatever it holds."""
    fields = {
        name: value
        for name in event.__struct_fields__
        if name != "at_s" and (value := getattr(event, name)) not in (None, (), {})
    }
    first = {name: fields.pop(name) for name in _FIRST if name in fields}
    said = " ".join(f"{name}={_short(value)}" for name, value in (first | fields).items())
    return f"{event.at_s:12.6f} {seq:6} {event.__struct_config__.tag!s:16} {said}".rstrip()


def _short(value: Any) -> str:
    match value:
        case float():
            return f"{value:.6g}"
        case dict():
            return "{" + ", ".join(f"{k}: {v}" for k, v in value.items()) + "}"
        case tuple() | list():
            return ",".join(map(str, value))
        case _:
            return str(value)


def relevant(run: Run, violation: Violation) -> list[Numbered]:
    """The events about the requests and scopes of the witnesses, up to the last of these."""
    requests = {_of(event, "request") for _, event in violation.witness} - {None}
    scopes = {_of(event, "scope", "endpoint") for _, event in violation.witness} - {None}
    seqs = {seq for seq, _ in violation.witness}
    last = max(seqs, default=len(run.events))
    found = [
        (seq, event)
        for seq, event in run.events
        if seq in seqs
        or (
            seq <= last
            and (
                isinstance(event, _WORLD)
                or _of(event, "request") in requests
                or _of(event, "scope", "endpoint") in scopes
            )
        )
    ]
    return found[-LINES_MAX:]


def _of(event: Event, *names: str) -> Any:
    return next((v for name in names if (v := getattr(event, name, None)) is not None), None)


def story(run: Run, violation: Violation) -> list[str]:
    """The relevant events as lines; witnesses are marked."""
    witnesses = {seq for seq, _ in violation.witness}
    return [
        ("> " if seq in witnesses else "  ") + line(seq, event)
        for seq, event in relevant(run, violation)
    ]


def sequence_diagram(run: Run, violation: Violation | None = None) -> str:
    """Who asked whom when, as plain text: clients, the engine, and each provider in a column."""
    events = run.events if violation is None else relevant(run, violation)
    witnesses = {seq for seq, _ in violation.witness} if violation else set()
    lanes = ["clients", "engine", *(each.name for each in run.scenario.fleet)]
    rows = [" " * 15 + "".join(name.center(WIDTH) for name in lanes).rstrip()]
    for seq, event in events[-LINES_MAX:]:
        if (drawn := _row(event, lanes)) is not None:
            mark = ">" if seq in witnesses else " "
            rows.append(f"{mark}{event.at_s:12.6f}  {drawn}".rstrip())
    return "\n".join(rows)


def _row(event: Event, lanes: Sequence[str]) -> str | None:
    match event:
        case RequestAccepted(request=request):
            return _arrow(lanes, 0, 1, request)
        case RequestRefused(request=request, reason=reason):
            return _arrow(lanes, 1, 0, f"{request} {reason}")
        case RequestOutcome(request=request, status=status):
            return _arrow(lanes, 1, 0, f"{request} {status}")
        case AttemptDispatched(attempt=attempt, endpoint=endpoint, request=request):
            return _arrow(lanes, 1, _lane(lanes, endpoint), f"{request} #{attempt}")
        case AttemptEnded(attempt=attempt, endpoint=endpoint, error=error):
            return _arrow(lanes, _lane(lanes, endpoint), 1, f"#{attempt} {error or 'ok'}")
        case AttemptRefused(endpoint=endpoint, reason=reason):
            return _note(lanes, _lane(lanes, endpoint), f"refuses: {reason}")
        case BreakerMoved(scope=scope, source=source, target=target):
            return _note(lanes, _lane(lanes, scope), f"{scope}: {source} > {target}")
        case HoldSet(scope=scope, why=why, until=until):
            return _note(lanes, _lane(lanes, scope), f"{scope}: {why} until {until:.3f}")
        case FaultBegan(fault_kind=kind, target=target):
            return _note(lanes, _lane(lanes, target), f"{kind} begins")
        case FaultEnded(fault_kind=kind, target=target):
            return _note(lanes, _lane(lanes, target), f"{kind} ends")
        case _:
            return None


def _lane(lanes: Sequence[str], scope: str) -> int:
    name = provider_of(scope)
    return lanes.index(name) if name in lanes else 1


def _posts(lanes: Sequence[str]) -> list[str]:
    return list("".join("|".center(WIDTH) for _ in lanes))


def _arrow(lanes: Sequence[str], source: int, target: int, label: str) -> str:
    posts = _posts(lanes)
    centre = "|".center(WIDTH).index("|")
    left, right = sorted((source * WIDTH + centre, target * WIDTH + centre))
    room = right - left - 1
    text = f" {label[: room - 4]} ".center(room - 1, "-")
    posts[left + 1 : right] = list(f"{text}>" if source < target else f"<{text}")
    return "".join(posts)


def _note(lanes: Sequence[str], lane: int, text: str) -> str:
    posts = _posts(lanes)
    at = lane * WIDTH + "|".center(WIDTH).index("|")
    posts[at : at + len(text) + 2] = list(f"* {text}")
    return "".join(posts)


def regression_test(scenario: Scenario, violation: Violation) -> str:
    """A test that fails for as long as the violation comes up in this document."""
    words = re.sub(r"[^a-z0-9]+", "_", violation.signature.lower()).strip("_")
    table = _literal(bare(scenario))
    return "\n".join(
        [
            f'"""Regression: {violation.monitor}, {_plain(violation.sentence)}."""',
            "",
            "from understudy_sim.examine import examine",
            "from understudy_sim.scenario import parse",
            "",
            f"DOCUMENT = {table}",
            "",
            "",
            f"def test_{words[:70]}() -> None:",
            f"    assert {violation.signature!r} not in examine(parse(DOCUMENT)).signatures",
            "",
        ]
    )


def _plain(sentence: str) -> str:
    return sentence.replace("\\", "/").replace('"', "'").rstrip(".")


def _literal(value: Any) -> str:
    """A document as Python text."""
    text = json.dumps(msgspec.to_builtins(value), indent=4, ensure_ascii=True)
    tokens = re.split(r'("(?:[^"\\]|\\.)*")', text)
    names = {"true": "True", "false": "False", "null": "None"}
    bare_words: Iterable[str] = (
        each if at % 2 else re.sub(r"true|false|null", lambda m: names[m[0]], each)
        for at, each in enumerate(tokens)
    )
    return "".join(bare_words)
