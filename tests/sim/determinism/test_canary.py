"""The canary lives on this trio, and dies of every pin that does not hold."""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType

import pytest
import trio
from trio._core import _run

from understudy_sim import pin
from understudy_sim.canary import canary
from understudy_sim.pin import DICE, FLAG, Order, PinFailed, pinned

Pin = Callable[[Order], AbstractContextManager[None]]


def state() -> tuple[object, object]:
    return getattr(_run, FLAG), getattr(_run, DICE)


def test_this_trio_can_be_pinned() -> None:
    canary()


@contextlib.contextmanager
def does_nothing(order: Order) -> Iterator[None]:
    yield


@contextlib.contextmanager
def forgets_the_flag(order: Order) -> Iterator[None]:
    with pinned(order):
        setattr(_run, FLAG, False)
        yield


@contextlib.contextmanager
def rolls_its_own_dice(order: Order) -> Iterator[None]:
    def anyhow(batch: list[trio.lowlevel.Task]) -> None:
        order(batch)
        random.shuffle(batch)

    with pinned(anyhow):
        yield


@contextlib.contextmanager
def ignores_the_seed(order: Order) -> Iterator[None]:
    def by_age(batch: list[trio.lowlevel.Task]) -> None:
        before = list(batch)
        order(batch)
        batch[:] = before

    with pinned(by_age):
        yield


@pytest.mark.parametrize(
    "broken", [does_nothing, forgets_the_flag, rolls_its_own_dice, ignores_the_seed]
)
def test_a_pin_that_does_not_hold_is_found_out(broken: Pin) -> None:
    with pytest.raises(PinFailed, match=f"trio {trio.__version__}"):
        canary(broken)


@pytest.mark.parametrize("missing", [FLAG, DICE])
def test_a_trio_without_one_of_the_names_is_refused_by_its_version(missing: str) -> None:
    changed = ModuleType("changed")
    for name in {FLAG, DICE} - {missing}:
        setattr(changed, name, None)
    with (
        pytest.raises(PinFailed, match=f"trio {trio.__version__} has no changed.{missing}"),
        pinned(list.reverse, where=changed),
    ):
        raise AssertionError("not reached")


def test_everything_is_put_back_whatever_happened() -> None:
    before = state()
    with pytest.raises(KeyError), pinned(list.reverse):
        assert state() != before
        raise KeyError
    assert state() == before


def test_two_pins_at_once_are_refused() -> None:
    before = state()
    with pinned(list.reverse), pytest.raises(PinFailed, match="already"), pinned(list.reverse):
        raise AssertionError("not reached")
    assert state() == before


def test_nothing_else_in_the_simulator_touches_the_private_parts_of_trio() -> None:
    package = Path(pin.__file__).parent
    private = re.compile(r"\btrio\._[a-z]")
    users = {path.name for path in package.rglob("*.py") if private.search(path.read_text())}
    assert users == {"pin.py"}
