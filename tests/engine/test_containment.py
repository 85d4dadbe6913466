"""Code from outside that misbehaves harms one attempt at most, and is reported once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import trio

from tests.engine.house import Books, Script, Wire, failing, house, ordered
from understudy import (
    AdapterFailed,
    AllAttemptsFailed,
    Candidate,
    ChatOutput,
    ConfigError,
    Engine,
    ErrorClass,
    Reply,
    Request,
    Target,
    View,
)
from understudy.adapters.registry import Kind, Registry
from understudy.transport.http import HttpRequest, HttpResponse
from understudy_actors.domain import events
from understudy_actors.domain.errors import ProviderError, ShuttingDown
from understudy_actors.domain.events import Event

HI = Request.chat("hi")


class Foreign:
    """A third-party adapter, faulty in one of its four functions."""

    name = "foreign"
    operations = ("chat",)

    def __init__(self, faulty: str, error: Exception) -> None:
        self._faulty = faulty
        self._error = error

    def _fault(self, where: str) -> None:
        if where == self._faulty:
            raise self._error

    def build(self, request: Request, target: Target) -> HttpRequest:
        """Fails or not."""
        self._fault("build")
        return HttpRequest("POST", f"{target.base_url}/x", {})

    def parse(
        self, request: Request, target: Target, response: HttpResponse, wall_s: float
    ) -> Reply:
        """Fails or not."""
        self._fault("parse")
        return Reply(ChatOutput("foreign"))

    def check(self, target: Target) -> HttpRequest:
        """Fails or not."""
        self._fault("check")
        return HttpRequest("GET", f"{target.base_url}/x", {})

    def check_failure(
        self, target: Target, response: HttpResponse, wall_s: float
    ) -> ProviderError | None:
        """Fails or not."""
        self._fault("check_failure")
        return None


def registered(adapter: Any) -> Registry:
    """A registry that knows a kind called foreign."""
    registry = Registry()

    def make(options: Mapping[str, Any]) -> Any:
        return adapter

    registry.register(Kind("foreign", make, ("chat",), "http://foreign", "FOREIGN_KEY"))
    return registry


def config() -> dict[str, Any]:
    """The foreign provider first, then a function."""
    return {
        "strategy": "round_robin",
        "providers": {"x": {"kind": "foreign", "priority": 1}, "b": {"kind": "function"}},
    }


OK = Wire(lambda _p, _r: HttpResponse(200, {}, b"{}"))
KEYS = {"FOREIGN_KEY": "k-1"}


async def test_a_third_party_adapter_serves_like_a_built_in_one() -> None:
    registry = registered(Foreign("", ValueError()))
    async with house(config(), registry=registry, transport=OK, environ=KEYS, b=Script()) as (
        engine,
        _,
    ):
        assert (await engine.route(HI)).text == "foreign"
        choice = engine.select("chat")
        assert (choice.provider, choice.key_variable) == ("x", "FOREIGN_KEY")


async def test_the_key_of_a_third_party_kind_must_be_there() -> None:
    with pytest.raises(ConfigError, match="FOREIGN_KEY"):
        async with house(config(), registry=registered(Foreign("", ValueError())), b=Script()):
            pass


@pytest.mark.parametrize("where", ["build", "parse"])
@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyError("x"), RecursionError(), ExceptionGroup("x", [OSError()])]
)
async def test_an_adapter_that_raises_fails_its_attempt_and_is_reported_once(
    where: str, error: Exception
) -> None:
    registry = registered(Foreign(where, error))
    async with house(config(), registry=registry, transport=OK, environ=KEYS, b=Script("yes")) as (
        engine,
        books,
    ):
        for _ in range(3):
            result = await engine.route(HI)
            assert (result.text, result.attempts[0].error) == ("yes", "adapter")
        (told,) = books.of(events.Contained)
        assert (told.where, told.who, told.error) == (
            "adapter",
            "x/foreign",
            type(error).__name__,
        )
        assert told.line.startswith("test_containment.py:")
        (fault,) = engine.status().contained
        assert (fault.count, fault.where) == (3, "adapter")
        assert engine.health()[0].failures == 3
        assert engine.health()[1].failures == 0


class Odd:
    """A third-party adapter that returns something else than a reply."""

    name = "odd"
    operations = ("chat",)

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def call(self, request: Request, model: str) -> Any:
        """Return whatever."""
        return self._answer


@pytest.mark.parametrize("answer", [None, "text", {"output": 1}, 42, ChatOutput("no Reply")])
async def test_an_adapter_that_returns_no_reply_fails_its_attempt(answer: Any) -> None:
    registry = registered(Odd(answer))
    async with house(config(), registry=registry, environ=KEYS, b=Script("yes")) as (
        engine,
        books,
    ):
        result = await engine.route(HI)
        assert (result.text, result.attempts[0].error) == ("yes", "adapter")
        assert type(answer).__name__ in (result.attempts[0].reason or "")
        assert [each.who for each in books.of(events.Contained)] == ["x/foreign"]


async def test_a_health_check_that_raises_is_a_failed_check_and_nothing_more() -> None:
    for where in ("check", "check_failure"):
        own = config()
        own["providers"]["x"]["health_check"] = {"interval": "5s"}
        registry = registered(Foreign(where, ValueError()))
        async with house(own, registry=registry, transport=OK, environ=KEYS, b=Script()) as (
            engine,
            _,
        ):
            await trio.sleep(12)
            assert engine.health()[0].last_check_ok is False
            assert (await engine.route(HI)).provider in ("x", "b")


async def test_a_function_that_raises_or_answers_nonsense_is_contained() -> None:
    own = {**ordered("a", "b"), "strategy": "round_robin"}
    for step in (ZeroDivisionError(), 1 + 2j, ShuttingDown("of another engine")):
        async with house(own, a=Script(step), b=Script("yes")) as (engine, books):
            result = await engine.route(HI)
            first = result.attempts[0]
            assert (result.text, first.error, first.outcome) == ("yes", "adapter", "failed")
            assert engine.health()[0].consecutive_failures == 1
            assert len(books.of(events.Contained)) == 1


@pytest.mark.parametrize("stated", [math.nan, math.inf, -5.0, "5", [], 1e300])
@pytest.mark.parametrize(
    "kind", [ErrorClass.RATE_LIMIT, ErrorClass.SERVER, ErrorClass.AUTH, ErrorClass.MODEL_NOT_FOUND]
)
async def test_a_nonsensical_delay_in_a_foreign_error_harms_nobody(
    kind: ErrorClass, stated: Any
) -> None:
    own = {**ordered("a", "b"), "breaker": {"trip_after": 1, "cooldown": "5s"}}
    a = Script(failing(kind, retry_after_s=stated))
    async with house(own, a=a, b=Script("yes")) as (engine, books):
        assert (await engine.route(HI)).text == "yes"
        assert not books.of(events.ActorCrashed)


@pytest.mark.parametrize("stated", [math.nan, math.inf, -5.0, "5", []])
async def test_a_nonsensical_delay_is_not_passed_on(stated: Any) -> None:
    a = Script(failing(ErrorClass.RATE_LIMIT, retry_after_s=stated))
    async with house({**ordered("a"), "max_attempts": 1}, a=a) as (engine, _):
        with pytest.raises(AllAttemptsFailed) as caught:
            await engine.route(HI)
        cause = caught.value.__cause__
        assert isinstance(cause, ProviderError)
        assert cause.retry_after_s is None


async def test_the_error_of_the_only_provider_names_its_cause_for_who_debugs() -> None:
    async with house(ordered("a"), a=Script(ZeroDivisionError("x"))) as (engine, _):
        with pytest.raises(AllAttemptsFailed) as caught:
            await engine.route(HI)
        assert isinstance(caught.value.__cause__, AdapterFailed)
        assert isinstance(caught.value.__cause__.__cause__, ZeroDivisionError)


# Strategies


class Faulty:
    """A strategy that breaks its law."""

    name = "faulty"

    def __init__(self, act: Callable[[list[Candidate]], Any]) -> None:
        self._act = act

    def rank(self, candidates: Sequence[Candidate], view: View) -> Any:
        """Do what it does."""
        return self._act(list(candidates))


def _raise(_: list[Candidate]) -> None:
    raise ValueError("x")


@pytest.mark.parametrize(
    "act",
    [
        _raise,
        lambda c: [],
        lambda c: c[:1],
        lambda c: [*c, c[0]],
        lambda c: [c[0]] * len(c),
        lambda c: ["a", "b"],
        lambda c: None,
        lambda c: 3,
    ],
)
async def test_a_faulty_strategy_is_replaced_by_the_configured_order(
    act: Callable[[list[Candidate]], Any],
) -> None:
    own = {"strategy": "faulty", "providers": {n: {"kind": "function"} for n in "ab"}}
    faulty = Faulty(act)
    async with house(own, strategies={"faulty": faulty}, a=Script(), b=Script()) as (engine, books):
        for _ in range(5):
            assert (await engine.route(HI)).provider == "a"
        (told,) = books.of(events.Contained)
        assert (told.where, told.who) == ("strategy", "faulty")
        assert not books.of(events.ActorCrashed)


# Listeners


async def test_a_listener_that_raises_is_removed_and_the_others_hear_everything_in_order() -> None:
    heard: list[tuple[int, Event]] = []
    count = [0]

    def bad(seq: int, event: Event) -> None:
        count[0] += 1
        if isinstance(event, events.AttemptAdmitted):
            raise ValueError("x")

    async with house(ordered("a"), a=Script()) as (engine, books):
        engine.listen(bad)
        engine.listen(lambda seq, event: heard.append((seq, event)))
        for _ in range(2):
            assert (await engine.route(HI)).text == "fine"
        (told,) = books.of(events.Contained)
        assert (told.where, told.error) == ("listener", "ValueError")
        assert [event for _, event in heard] == books.events
        assert [seq for seq, _ in heard] == sorted({seq for seq, _ in heard})
        at = books.events.index(told)
        assert isinstance(books.events[at - 1], events.AttemptAdmitted)
        assert count[0] == at


async def test_a_listener_may_look_at_the_engine_from_within_any_event() -> None:
    looked: list[int] = []

    async with house(ordered("a", "b"), a=Script(ValueError()), b=Script()) as (engine, books):

        def look(seq: int, event: Event) -> None:
            looked.append(engine.status().total)
            engine.health()

        engine.listen(look)
        for _ in range(3):
            await engine.route(HI)
        assert looked.count(2) == len(looked) > 30
        assert [each.where for each in books.of(events.Contained)] == ["adapter"]
        assert not books.of(events.ActorCrashed)


async def test_every_kind_of_fault_at_once_still_serves() -> None:
    def bad(seq: int, event: Event) -> None:
        raise RuntimeError

    own = {
        "strategy": "faulty",
        "providers": {
            "a": {"kind": "function"},
            "x": {"kind": "foreign"},
            "c": {"kind": "function"},
        },
    }
    books: Books
    engine: Engine
    async with house(
        own,
        strategies={"faulty": Faulty(_raise)},
        registry=registered(Foreign("parse", ValueError())),
        transport=OK,
        environ=KEYS,
        a=Script(ValueError()),
        c=Script("yes"),
    ) as (engine, books):
        engine.listen(bad)
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(engine.route, HI)
        assert books.outcomes() == {"ok": 5}
        told = sorted((each.where, each.who) for each in books.of(events.Contained))
        assert told == [
            ("adapter", "a/function"),
            ("adapter", "x/foreign"),
            ("listener", bad.__qualname__),
            ("strategy", "faulty"),
        ]
