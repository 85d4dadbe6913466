"""Goes through a run event by event, forwards and back, and knows the engine's state at each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import attrs

from understudy_actors.domain.events import BreakerMoved, Event
from understudy_sim.check.gates import ACTOR
from understudy_sim.check.rules import provider_of
from understudy_sim.diagram import line
from understudy_sim.reading import Refused, duration_s
from understudy_sim.replay import Replay
from understudy_sim.snapshot import Snapshot

HELP: Final = """\
  Enter, n [N]   the next event, or N of them
  b [N]          back by one event, or by N
  r [ID]         the next event of a request; without an id, of the one just told about
  p NAME         the next event of a provider
  k KIND         the next event whose kind begins so, such as br or req.outcome
  t TIME         the first event from that time on, such as 12.5s
  v              the next violation
  w              who is under way
  q              leave"""
REQUESTS_MAX: Final = 20

Wanted = Callable[[Event], bool]


class Unclear(ValueError):
    """A command that means nothing; the message says what would."""


def providers_of(event: Event) -> set[str]:
    """The providers that an event is about."""
    names = [getattr(event, field, None) for field in ("endpoint", "scope", "provider")]
    if not isinstance(event, BreakerMoved):  # there they are states
        names += [getattr(event, field, None) for field in ("source", "target")]
    if isinstance(actor := getattr(event, "actor", None), str) and actor.startswith(ACTOR):
        names.append(actor.removeprefix(ACTOR))
    return {provider_of(name) for name in names if isinstance(name, str)}


@attrs.define(eq=False)
class Stepper:
    """A place in a run. `at` counts the events behind it; `snapshot` is the state after them."""

    told: Replay
    at: int = 0
    snapshot: Snapshot = attrs.Factory(Snapshot)
    events: list[tuple[int, Event]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.events = list(self.told.events)

    @property
    def here(self) -> Event | None:
        """The last event that was taken."""
        return self.events[self.at - 1][1] if self.at else None

    def forward(self, wanted: Wanted = lambda _: True) -> int:
        """Go to the next event that is wanted; 0 if there is none, else how many events further."""
        for ahead in range(self.at, len(self.events)):
            if wanted(self.events[ahead][1]):
                start = self.at
                self._go(ahead + 1)
                return self.at - start
        return 0

    def back(self, count: int) -> None:
        """Go back, at most to the start."""
        target = max(0, self.at - count)
        self.at, self.snapshot = 0, Snapshot()
        self._go(target)

    def _go(self, target: int) -> None:
        for _, event in self.events[self.at : target]:
            self.snapshot.take(event)
        self.at = target

    def lines(self) -> list[str]:
        """The event here, what it violates, and the state after it."""
        if not self.at:
            return ["  at the start: nothing has happened yet"]
        seq, event = self.events[self.at - 1]
        state = self.snapshot
        told = [line(seq, event), *self.told.verdicts(seq)]
        told += [f"  {name:20} {said}" for name, said in state.scopes().items()]
        return [*told, f"  {len(state.requests)} requests under way"]

    def under_way(self) -> list[str]:
        """What each request that is not over does; so many, and how many more."""
        requests = list(self.snapshot.requests.items())
        lines = [f"  {request:20} {doing}" for request, doing in requests[:REQUESTS_MAX]]
        more = len(requests) - REQUESTS_MAX
        return [*lines, f"  and {more} more"] if more > 0 else lines or ["  nobody"]


def obey(stepper: Stepper, text: str) -> list[str]:
    """Do what a command says; returns what to tell.

    Raises:
        Unclear: It means nothing.
    """
    word, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    match word or "n":
        case "n":
            told: list[str] = []
            for _ in range(min(_count(rest), len(stepper.events) - stepper.at)):
                told += _moved(stepper, lambda _: True)
            return told or _moved(stepper, lambda _: True)
        case "b":
            stepper.back(_count(rest))
            return stepper.lines()
        case "w":
            return stepper.under_way()
        case "h" | "?" | "help":
            return HELP.splitlines()
        case _:
            return _moved(stepper, _wanted(stepper, word, rest))


def _moved(stepper: Stepper, wanted: Wanted) -> list[str]:
    passed = stepper.forward(wanted)
    if not passed:
        return ["  there is none any more"]
    skipped = [f"  ... {passed - 1} events on"] if passed > 1 else []
    return [*skipped, *stepper.lines()]


def _wanted(stepper: Stepper, word: str, rest: str) -> Wanted:
    match word:
        case "r":
            request = rest or getattr(stepper.here, "request", None)
            if not request:
                raise Unclear("which request? Write its id, such as: r web/3")
            return lambda event: getattr(event, "request", None) == request
        case "p" if rest:
            return lambda event: rest in providers_of(event)
        case "k" if rest:
            return lambda event: str(event.__struct_config__.tag).startswith(rest)
        case "t" if rest:
            at_s = _time_s(rest)
            return lambda event: event.at_s >= at_s
        case "v":
            last = {id(each.witness[-1][1]) for each in stepper.told.violations if each.witness}
            return lambda event: id(event) in last
        case _:
            raise Unclear(f"{f'{word} {rest}'.strip()!r} means nothing here; ? tells what does")


def _count(text: str) -> int:
    if not text:
        return 1
    if not text.isdecimal() or not 0 < int(text) <= 10_000:
        raise Unclear(f"{text!r} is no number of events: write one from 1 to 10000")
    return int(text)


def _time_s(text: str) -> float:
    try:
        seconds = duration_s(text if text[-1].isalpha() else f"{text}s", "time")
    except Refused:
        raise Unclear(f"{text!r} is no time: write seconds, or such as 12.5s or 2m") from None
    assert isinstance(seconds, float)
    return seconds


def walk(stepper: Stepper, ask: Callable[[], str | None]) -> Iterator[str]:
    """Obey one command after another until `q`, or until `ask` has no more; tells as it goes."""
    yield f"{len(stepper.events)} events; ? tells what can be typed"
    while (text := ask()) is not None and text.strip() != "q":
        try:
            yield from obey(stepper, text)
        except Unclear as error:
            yield f"  {error}"


def straight(stepper: Stepper, request: str | None = None) -> Iterator[str]:
    """The whole run without asking anybody: each event, and the state of what it changed."""
    before = stepper.snapshot.scopes()
    while stepper.forward():
        seq, event = stepper.events[stepper.at - 1]
        after = stepper.snapshot.scopes()
        if request is None or getattr(event, "request", request) == request:
            yield line(seq, event)
            yield from (
                f"{'':19} | {name} {said}"
                for name, said in after.items()
                if before.get(name) != said
            )
        yield from stepper.told.verdicts(seq)
        before = after
