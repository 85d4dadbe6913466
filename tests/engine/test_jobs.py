"""A job at a provider is one attempt: one deadline, one reservation, and nobody left working."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import trio

from tests.engine.adapters.wire import answer, example
from tests.engine.house import Wire, house
from tests.support.mutants import Mutant
from understudy import Request
from understudy.routing import jobs
from understudy.routing.jobs import LOOK_MAX_S, LOST_MAX
from understudy.transport.http import HttpRequest, HttpResponse, TransportFailed
from understudy_actors.domain.errors import UnderstudyError
from understudy_actors.domain.money_events import MoneyCharged, MoneyReserved
from understudy_actors.domain.result import ImageOutput

KEYS = {"REPLICATE_API_TOKEN": "r8_key-of-nobody", "FAL_KEY": "id:secret", "BFL_API_KEY": "bfl_k"}
DRAW = Request.image("a red cube", max_attempts=1)
SUBMITTED = example("replicate.submit.response")["body"]
RUNNING = answer(SUBMITTED)
DONE = answer(example("replicate.poll.succeeded-response"))
BROKEN = TransportFailed("hung up", sent=True)
Said = HttpResponse | TransportFailed | float


class Service:
    """Replicate, following a script: the last step again and again. Cancels are counted."""

    def __init__(self, *steps: Said) -> None:
        self.steps = steps
        self.looks: list[float] = []
        self.cancelled = 0
        self.wire = Wire(self.answer)

    def answer(self, provider: str, request: HttpRequest) -> Said:
        if request.url.endswith("/cancel"):
            self.cancelled += 1
            return answer(SUBMITTED | {"status": "canceled"})
        if request.method == "POST":
            return answer(SUBMITTED, 201)
        self.looks.append(trio.current_time())
        return self.steps[min(len(self.looks), len(self.steps)) - 1]


def configured(**keys: Any) -> dict[str, Any]:
    provider = {
        "models": [{"name": "black-forest-labs/flux-schnell", "price": {"image": 0.25}}],
        **keys,
    }
    budgets = [{"usd": 100, "per": "day"}]
    return {"providers": {"replicate": provider}, "budgets": budgets}


async def test_a_job_is_looked_at_ever_more_rarely_until_it_is_done() -> None:
    service = Service(*[RUNNING] * 9, DONE)
    async with house(configured(), transport=service.wire, environ=KEYS) as (engine, books):
        result = await engine.route(DRAW)
    assert isinstance(result.output, ImageOutput)
    assert result.usage.images == 1
    assert len(result.attempts) == 1
    gaps = [b - a for a, b in zip(service.looks, service.looks[1:], strict=False)]
    assert gaps == sorted(gaps)
    assert gaps[0] < 1.0 < gaps[-1] < LOOK_MAX_S + 0.1
    assert service.cancelled == 0
    [reserved], [charged] = books.of(MoneyReserved), books.of(MoneyCharged)
    assert charged.at_s - reserved.at_s == pytest.approx(result.elapsed_s, abs=0.1)
    assert result.cost_usd == 0.25


async def test_a_job_that_is_given_up_is_cancelled_at_its_provider() -> None:
    service = Service(RUNNING)
    async with house(configured(), transport=service.wire, environ=KEYS) as (engine, _):
        with trio.move_on_after(20) as scope:
            await engine.route(DRAW)
    assert scope.cancelled_caught
    assert service.cancelled == 1


async def test_a_job_has_the_deadline_of_its_attempt() -> None:
    service = Service(RUNNING)
    wire, late = service.wire, configured(timeout="15s")
    async with house(late, transport=wire, environ=KEYS) as (engine, _):
        start = trio.current_time()
        with pytest.raises(UnderstudyError) as caught:
            await engine.route(DRAW)
        assert trio.current_time() - start == pytest.approx(15, abs=jobs.CANCEL_S)
    assert caught.value.attempts[0].error == "silent"
    assert service.cancelled == 1


@pytest.mark.parametrize("trouble", [BROKEN, answer({}, 503), answer({}, 429)], ids=str)
async def test_a_look_that_fails_does_not_lose_the_job(trouble: Said) -> None:
    service = Service(RUNNING, *[trouble] * LOST_MAX, RUNNING, trouble, DONE)
    async with house(configured(), transport=service.wire, environ=KEYS) as (engine, _):
        result = await engine.route(DRAW)
    assert len(result.attempts) == 1
    assert service.cancelled == 0


async def test_a_job_that_cannot_be_looked_at_any_more_is_cancelled() -> None:
    service = Service(BROKEN)
    async with house(configured(), transport=service.wire, environ=KEYS) as (engine, _):
        with pytest.raises(UnderstudyError):
            await engine.route(DRAW)
    assert len(service.looks) == LOST_MAX + 1
    assert service.cancelled == 1


async def test_a_key_that_is_refused_while_looking_ends_the_attempt_at_once() -> None:
    service = Service(answer({"detail": "no"}, 401))
    async with house(configured(), transport=service.wire, environ=KEYS) as (engine, _):
        with pytest.raises(UnderstudyError) as caught:
            await engine.route(DRAW)
    assert [each.error for each in caught.value.attempts] == ["auth"]
    assert len(service.looks) == 1


async def test_a_job_that_failed_is_not_looked_at_again_nor_cancelled() -> None:
    service = Service(answer(SUBMITTED | {"status": "failed", "error": "out of memory"}))
    async with house(configured(), transport=service.wire, environ=KEYS) as (engine, _):
        with pytest.raises(UnderstudyError) as caught:
            await engine.route(DRAW)
    assert caught.value.attempts[0].error == "server"
    assert len(service.looks) == 1
    assert service.cancelled == 0


async def test_a_provider_that_will_not_be_cancelled_is_not_waited_for() -> None:
    service = Service(RUNNING)
    said = service.wire.answer
    assert said is not None
    service.wire.answer = lambda provider, request: (
        3600.0 if request.url.endswith("/cancel") else said(provider, request)
    )
    async with house(configured(), transport=service.wire, environ=KEYS) as (engine, _):
        start = trio.current_time()
        with trio.move_on_after(5):
            await engine.route(DRAW)
        assert trio.current_time() - start == pytest.approx(5 + jobs.CANCEL_S, abs=0.5)


async def test_the_next_provider_draws_what_a_queue_could_not() -> None:
    asked: list[str] = []

    def both(provider: str, request: HttpRequest) -> Said:
        asked.append(f"{provider} {request.method}")
        if provider == "fal":
            looked = request.url.endswith("/status")
            name = "fal.status.completed-error-response" if looked else "fal.submit.response"
            return answer(example(name))
        pending = request.method == "POST"
        return answer(example("bfl.submit.response" if pending else "bfl.poll.ready-response"))

    providers = {
        "fal": {"models": ["fal-ai/flux/schnell"]},
        "bfl": {"models": ["flux-dev"], "priority": 200},
    }
    config = {"strategy": "priority", "providers": providers}
    async with house(config, transport=Wire(both), environ=KEYS) as (engine, _):
        result = await engine.route(Request.image("a red cube"))
    assert result.provider == "bfl"
    assert asked[-2:] == ["bfl POST", "bfl GET"]
    assert "secret" not in repr(result)


async def left_after_20_s(*steps: Said) -> Service:
    """What a service sees of an engine that is left after 20 s."""
    service = Service(*steps)
    async with house(configured(), transport=service.wire, environ=KEYS) as (engine, _):
        with trio.move_on_after(20):
            with contextlib.suppress(UnderstudyError):
                await engine.route(DRAW)
    return service


JOBS = "understudy.routing.jobs"
PLANTED: dict[str, tuple[Mutant, tuple[Said, ...], Callable[[Service], bool]]] = {
    "nobody tells the provider": (
        Mutant("untold", JOBS, "await _give_up(send, step.cancel)", "pass"),
        (RUNNING,),
        lambda service: service.cancelled == 1,
    ),
    "a job that failed is looked at again": (
        Mutant("again", JOBS, " and not _is_word(error)", ""),
        (answer(SUBMITTED | {"status": "failed", "error": "x"}),),
        lambda service: len(service.looks) == 1,
    ),
    "the first look that fails loses the job": (
        Mutant("lost", JOBS, "lost <= LOST_MAX", "lost < 1"),
        (BROKEN, DONE),
        lambda service: service.cancelled == 0,
    ),
    "it is looked at without a pause": (
        Mutant("hasty", JOBS, "await trio.sleep(wait_s)", "await trio.sleep(0)"),
        (*[RUNNING] * 99, DONE),
        lambda service: len(service.looks) < 20,
    ),
}


@pytest.mark.parametrize("name", PLANTED)
async def test_a_fault_planted_in_the_loop_is_noticed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant, steps, right = PLANTED[name]
    assert right(await left_after_20_s(*steps))
    monkeypatch.setattr("understudy.assembly.by_job", mutant.plant().by_job)
    assert not right(await left_after_20_s(*steps))
