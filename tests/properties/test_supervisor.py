"""Restarts: a supervisor and its children against a model recomputed from their histories."""

from __future__ import annotations

from collections import deque
from typing import Any

import attrs
import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.actors.runtime.world import REAL, Runtime, World
from understudy_actors.runtime.actor import ChildSpec, Context, Ref, Start
from understudy_actors.runtime.errors import (
    ActorDied,
    ActorSuspended,
    Crashed,
    MailboxFull,
    PoisonRefused,
)

NAMES = ("first", "second", "third")
MAX_RESTARTS, PERIOD_S, RETRY_S, CAPACITY = 4, 30.0, 300.0, 6


@attrs.frozen
class Note:
    """Remember `serial`; `keep` saves a snapshot too."""

    serial: int
    keep: bool


@attrs.frozen
class Bomb(Note):
    """Crash."""


@attrs.frozen
class OtherBomb(Note):
    """Crash, as a message of another kind."""


class Child:
    """An actor that remembers numbers, and tells the log what happens to it."""

    def __init__(self, log: list[Any], start: Start) -> None:
        self._log = log
        self._context: Context = start.context
        self._name = start.context.name
        self._seen: tuple[int, ...] = start.snapshot or ()
        log.append(("start", self._name, start.incarnation, start.snapshot, start.poison))

    def receive(self, message: Note) -> tuple[int, ...]:
        self._log.append(("turn", self._name, message.serial, self._seen))
        self._seen = (*self._seen, message.serial)
        if message.keep:
            self._context.save(self._seen)
        if isinstance(message, Bomb | OtherBomb):
            raise ValueError(message.serial)
        return self._seen

    def stop(self) -> None:
        self._log.append(("stop", self._name))


@attrs.define
class Model:
    """What is known of one child without looking at it."""

    name: str
    up: bool = False
    gave_up: bool = False
    due: bool = False  # only waits for those before it
    due_at: float | None = None
    incarnation: int = 0
    seen: tuple[int, ...] = ()
    saved: tuple[int, ...] | None = None
    poison: Note | None = None
    queue: deque[Note] = attrs.field(factory=deque)
    crashed_at: list[float] = attrs.field(factory=list)
    allowed_at: list[float] = attrs.field(factory=list)
    bombs: list[tuple[type, float]] = attrs.field(factory=list)
    refused_until: dict[type, float] = attrs.field(factory=dict)
    broken_starts: int = 0
    restarts: int = 0
    dead_letters: int = 0
    handled: int = 0


def supervisor_machine(runtime: Runtime, strategy: str) -> type[RuleBasedStateMachine]:
    """Crashes, waiting, revivals and messages in any order, for three children."""

    class AnyHistory(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.world = World(runtime)
            self.log: list[Any] = []
            self.expected: list[Any] = []
            self.serial = 0
            self._ready: deque[Model] = deque()
            self._pending_falls: list[Model] = []
            self.models = {name: Model(name) for name in NAMES}
            self.supervisor = self.world.supervisor(strategy)
            self.refs: dict[str, Ref] = {}
            for name in NAMES:
                self.refs[name] = self.supervisor.spawn(
                    ChildSpec(
                        name,
                        self._start,
                        max_restarts=MAX_RESTARTS,
                        period_s=PERIOD_S,
                        retry_after_s=RETRY_S,
                        mailbox_capacity=CAPACITY,
                    )
                )
                self._begin(self.models[name])
            self._agree()

        # The world's side.

        def _start(self, start: Start) -> Child:
            child = Child(self.log, start)
            if self.models[start.context.name].broken_starts:
                raise OSError("cannot start")
            return child

        @property
        def now_s(self) -> float:
            return self.world.hand.now_s

        # The model's side: what should happen.

        def _begin(self, model: Model) -> bool:
            model.incarnation += 1
            self.expected.append(
                ("start", model.name, model.incarnation, model.saved, model.poison)
            )
            if model.broken_starts:
                return False
            model.seen = model.saved or ()
            model.restarts += model.incarnation > 1 and 1
            model.up, model.gave_up, model.poison = True, False, None
            model.due, model.due_at = False, None
            return True

        def _fall(self, model: Model) -> None:
            model.crashed_at.append(self.now_s)
            recent = [at for at in model.allowed_at if at > self.now_s - PERIOD_S]
            model.up = model.due = False
            model.gave_up = len(recent) >= MAX_RESTARTS
            if model.gave_up:
                model.due_at = self.now_s + RETRY_S
                model.dead_letters += len(model.queue)
                model.queue.clear()
            else:
                model.allowed_at.append(self.now_s)
                model.due_at = self._check_backoff(model)
            if strategy == "rest_for_one":
                for other in reversed(self._after(model)):
                    if other.up:
                        other.up, other.due = False, True
                        self.expected.append(("stop", other.name))

        def _check_backoff(self, model: Model) -> float:
            in_a_row = 0
            for earlier, later in zip(
                reversed(model.crashed_at[:-1]), reversed(model.crashed_at[1:]), strict=True
            ):
                if later - earlier >= 60:
                    break
                in_a_row += 1
            full_s = min(30.0, 0.1 * 2**in_a_row)
            restart_at = self.refs[model.name].status().retry_at
            assert restart_at is not None
            wait_s = restart_at - self.now_s
            assert 0.8 * full_s - 1e-9 <= wait_s <= full_s + 1e-9, f"{in_a_row} in a row"
            return restart_at

        def _after(self, model: Model) -> list[Model]:
            return [self.models[name] for name in NAMES[NAMES.index(model.name) + 1 :]]

        def _refused(self, model: Model, message: Note) -> bool:
            return model.refused_until.get(type(message), 0.0) > self.now_s

        def _handle(self, model: Model, message: Note) -> None:
            self.expected.append(("turn", model.name, message.serial, model.seen))
            model.seen = (*model.seen, message.serial)
            if message.keep:
                model.saved = model.seen
            if type(message) is Note:
                model.handled += 1
                return
            kind = type(message)
            model.bombs.append((kind, self.now_s))
            times = [at for each, at in model.bombs if each is kind and at > self.now_s - 30]
            if len(times) >= 3:
                model.refused_until[kind] = self.now_s + 60
                model.bombs = [each for each in model.bombs if each[0] is not kind]
            model.poison = message
            self._pending_falls.append(model)

        def _restart(self) -> None:
            """Start what is due, in order; then all that waits is handled, one each in turn."""
            started: deque[Model] = deque()
            for model in self.models.values():
                if not model.up and self._is_due(model):
                    if self._begin(model):
                        started.append(model)
                    else:
                        self._pending_falls.append(model)
                if not model.up and strategy == "rest_for_one":
                    break
            self._ready.extend(started)

        def _is_due(self, model: Model) -> bool:
            return model.due or (model.due_at is not None and model.due_at <= self.now_s)

        # The rules: act on the world, and let the model follow the log it left.

        def _follow(self) -> None:
            """Play the model's consequences after the world has acted.

            Falls are looked up in the finished world (its jitter is not the model's business),
            but in the model they happen at once.
            """
            while self._ready:
                model = self._ready.popleft()
                if model.up and model.queue:
                    message = model.queue.popleft()
                    if self._refused(model, message):
                        model.dead_letters += 1
                    else:
                        self._handle(model, message)
                        self._settle_falls()
                    self._ready.append(model)

        def _settle_falls(self) -> None:
            while self._pending_falls:
                self._fall(self._pending_falls.pop())

        def _agree(self) -> None:
            self._settle_falls()
            self._follow()
            assert self.log == self.expected
            for name, model in self.models.items():
                status = self.refs[name].status()
                state = "running" if model.up else "unavailable" if model.gave_up else "suspended"
                assert status.state.value == state, name
                assert status.work == len(model.queue), name
                assert status.incarnation == model.incarnation
                assert status.restarts == model.restarts
                assert status.handled == model.handled
                assert status.dead_letters == model.dead_letters
            assert not self.world.errors

        def _message(self, kind: type[Note], keep: bool) -> Note:
            self.serial += 1
            return kind(self.serial, keep)

        @rule(
            name=st.sampled_from(NAMES),
            kind=st.sampled_from([Note, Note, Bomb, Bomb, OtherBomb]),
            keep=st.booleans(),
        )
        def tell(self, name: str, kind: type[Note], keep: bool) -> None:
            model, message = self.models[name], self._message(kind, keep)
            full = False
            try:
                self.refs[name].tell(message)
            except MailboxFull:
                full = True
            if model.gave_up or self._refused(model, message):
                model.dead_letters += 1
            elif model.up:
                self._handle(model, message)
            elif len(model.queue) < CAPACITY:
                model.queue.append(message)
            else:
                assert full
                full = False
            assert not full
            self._agree()

        @rule(
            name=st.sampled_from(NAMES),
            kind=st.sampled_from([Note, Bomb, OtherBomb]),
            keep=st.booleans(),
        )
        def ask(self, name: str, kind: type[Note], keep: bool) -> None:
            model, message = self.models[name], self._message(kind, keep)
            was_due = model.due_at
            try:
                outcome = self.refs[name].ask_now(message)
            except (ActorDied, ActorSuspended, Crashed, PoisonRefused) as error:
                outcome = error
            if model.gave_up:
                assert isinstance(outcome, ActorDied)
                assert self._is_due(model) or outcome.retry_at == was_due
            elif self._refused(model, message):
                assert isinstance(outcome, PoisonRefused)
                assert outcome.retry_at == model.refused_until[kind]
            elif not model.up:
                assert isinstance(outcome, ActorSuspended)
            else:
                self._handle(model, message)
                if kind is Note:
                    assert outcome == model.seen
                else:
                    assert isinstance(outcome, Crashed)
            self._agree()

        @rule(
            name=st.sampled_from(NAMES),
            kind=st.sampled_from([Bomb, OtherBomb]),
            times=st.integers(2, 5),
            wait_s=st.sampled_from([1.0, 3.0, 12.0]),
        )
        def tell_again_and_again(
            self, name: str, kind: type[Note], times: int, wait_s: float
        ) -> None:
            for _ in range(times):
                self.tell(name, kind, False)
                self.wait(wait_s)

        @rule(wait_s=st.sampled_from([0.05, 0.1, 0.5, 3.0, 20.0, 31.0, 61.0, 301.0]))
        def wait(self, wait_s: float) -> None:
            until = self.now_s + wait_s
            while (at := self.world.timers.next_at()) <= until:
                self.world.advance_to(at)
                assert any(m.due_at == at for m in self.models.values()), "a timer for nobody"
                self._restart()
                self._agree()
            for model in self.models.values():
                assert model.up or self._is_blocked(model) or not self._is_due(model)
                assert model.due_at is None or model.due_at > until or self._is_blocked(model)
            self.world.advance_to(until)

        @precondition(lambda self: any(not model.up for model in self.models.values()))
        @rule(name=st.sampled_from(NAMES))
        def revive(self, name: str) -> None:
            model = self.models[name]
            self.refs[name].revive()
            if not model.up:
                model.due = True
                self._restart()
            self._agree()

        def _is_blocked(self, model: Model) -> bool:
            before = NAMES[: NAMES.index(model.name)]
            return strategy == "rest_for_one" and not all(self.models[n].up for n in before)

        @rule(name=st.sampled_from(NAMES), broken=st.booleans())
        def break_or_mend_starts(self, name: str, broken: bool) -> None:
            self.models[name].broken_starts = broken

        def teardown(self) -> None:
            """Everybody who runs is stopped, last started first; twice is once."""
            running = [name for name in NAMES if self.models[name].up]
            before = len(self.log)
            self.world.system.stop()
            self.world.system.stop()
            assert self.log[before:] == [("stop", name) for name in reversed(running)]
            self.world.advance_to(self.now_s + 1000)
            assert len(self.log) == before + len(running), "a stopped actor was restarted"

    return AnyHistory


def check_supervisor(runtime: Runtime, strategy: str, examples: int = 100) -> None:
    """Raise if a supervisor of `runtime` does not keep to the model."""
    run_state_machine_as_test(
        supervisor_machine(runtime, strategy),
        settings=settings(database=None, max_examples=examples, stateful_step_count=40),
    )


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one"])
def test_a_supervisor_restarts_as_often_as_allowed_and_loses_nothing_but_the_poison(
    strategy: str,
) -> None:
    check_supervisor(REAL, strategy)
