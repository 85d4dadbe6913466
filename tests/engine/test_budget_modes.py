"""What is set aside for an attempt: its worst case, one that was shortened, or what to expect."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given, strategies as st

from tests.engine.house import Wire, house
from tests.engine.streaming.lines import Script, frames, hear, streaming
from tests.engine.test_budgets import an_engine, answering, ask
from understudy import (
    ChatOutput,
    ConfigError,
    ImageOutput,
    NoCandidate,
    OverBudget,
    Reply,
    Request,
    Usage,
    open_engine,
)
from understudy.transport.http import HttpRequest, HttpResponse
from understudy_actors.domain.money_events import BoundBreached, MoneyCharged, MoneyReserved
from understudy_actors.domain.result import Image
from understudy_actors.ledger.expected import KEPT, SAMPLES, SeenOutput
from understudy_sim.mock.wire import Tokens

FIT = {"budget_mode": "fit_max_tokens", "budget_min_tokens": 10}


def talkative(seconds: float = 0.0) -> Any:
    """A provider whose answers are as long as they may be."""

    async def answer(request: Request) -> Reply:
        await trio.sleep(seconds)
        limit = request.input.max_tokens  # type: ignore[union-attr]
        return Reply(ChatOutput("ok"), Usage(0, limit or 0))

    return answer


# Answers that fit


async def test_an_answer_is_shortened_to_what_the_budgets_still_pay_for() -> None:
    async with an_engine(
        {"p": talkative()}, {"usd": 0.001}, {"usd": 0.0009, "user": "ann"}, **FIT
    ) as (engine, books):
        whole = await engine.route(ask(60, user="ann"))
        assert whole.shortened_to is None
        cut = await engine.route(ask(60, user="ann"))
        assert (cut.shortened_to, cut.cost_usd, cut.usage.output_tokens) == (30, 0.0003, 30)
        explained = engine.explain(cut.request_id)
        assert explained is not None
        assert [each.max_tokens for each in explained.attempts] == [30]
        cut = await engine.route(ask(60))
        assert cut.shortened_to == 10
        with pytest.raises(OverBudget, match=r"\$0.000000 left, up to \$0.000100 needed"):
            await engine.route(ask(60))
        spent = [each.spent_usd for each in engine.budgets()]
        assert spent == [0.001, 0.0009]
        assert not books.of(BoundBreached)


async def test_strict_budgets_shorten_nothing() -> None:
    async with an_engine({"p": talkative()}, {"usd": 0.001}, budget_min_tokens=10) as (engine, _):
        assert (await engine.route(ask(60))).shortened_to is None
        with pytest.raises(OverBudget, match=r"\$0.000400 left, up to \$0.000600 needed"):
            await engine.route(ask(60))


async def test_no_answer_is_shortened_below_the_least_that_makes_sense() -> None:
    async with an_engine({"p": talkative()}, {"usd": 0.0005}, **FIT) as (engine, _):
        await engine.route(ask(41))
        with pytest.raises(OverBudget, match=r"\$0.000090 left, up to \$0.000100 needed"):
            await engine.route(ask(60))
        assert (await engine.route(ask(9))).shortened_to is None, "who asks for less gets it"
        with pytest.raises(OverBudget, match=r"up to \$0.000090 needed"):
            await engine.route(ask(9))


async def test_who_can_pay_for_too_little_gives_way_to_who_need_not_shorten() -> None:
    async with an_engine(
        {"dear": talkative(), "cheap": talkative()},
        {"usd": 0.0002, "provider": "dear"},
        strategy="priority",
        **FIT,
    ) as (engine, _):
        served = [await engine.route(ask(15)) for _ in range(3)]
        assert [(r.provider, r.shortened_to) for r in served] == [
            ("dear", None),
            ("cheap", None),
            ("cheap", None),
        ]


@pytest.mark.parametrize("seconds", [0.0, 1.0])
async def test_a_flood_that_is_shortened_spends_all_there_is_and_no_more(seconds: float) -> None:
    ends: list[int | None] = []
    async with an_engine({"p": talkative(seconds)}, {"usd": 0.01033}, **FIT) as (engine, books):

        async def call(number: int) -> None:
            with trio.move_on_after(0.5 if number % 2 else 60):
                with contextlib.suppress(OverBudget):
                    ends.append((await engine.route(ask(50))).shortened_to)

        async with trio.open_nursery() as nursery:
            for number in range(300):
                nursery.start_soon(call, number)
        (budget,) = engine.budgets()
        assert (budget.spent_usd, budget.reserved_usd) == (0.01033, 0.0)
        assert [each for each in ends if each is not None] in ([33], [])
        assert not books.of(BoundBreached)


async def test_what_the_budgets_cut_is_nothing_to_give_again() -> None:
    wire = Wire(chat_answer)
    own = {"providers": {"p": WIRED}, "budgets": [{"usd": 0.0005}], "cache": True, **FIT}
    async with house(own, transport=wire) as (engine, _):
        for tokens in (20, 50):  # the second is cut to 30, and the budget is spent
            await engine.route(ask(tokens))
        assert (await engine.route(ask(20))).cached
        with pytest.raises(OverBudget):
            await engine.route(ask(50))


def chat_answer(provider: str, request: HttpRequest) -> HttpResponse:
    limit = msgspec.json.decode(request.body).get("max_tokens", 1000)
    given = 150_000 if len(request.body) > 10_000 else 0
    body = {
        "choices": [{"message": {"role": "assistant", "content": "ok"}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": given, "completion_tokens": limit},
    }
    return HttpResponse(200, {"content-type": "application/json"}, msgspec.json.encode(body))


PRICED = [{"name": "m", "price": {"input": 0.0, "output": 10.0}}]
WIRED = {"kind": "openai-compatible", "base_url": "http://localhost/v1", "models": PRICED}


async def test_the_shorter_limit_goes_over_the_wire() -> None:
    wire = Wire(chat_answer)
    config = {"providers": {"p": WIRED}, "budgets": [{"usd": 0.0008}], **FIT}
    async with house(config, transport=wire) as (engine, _):
        results = [await engine.route(ask(50)) for _ in range(2)]
    sent = [msgspec.json.decode(request.body)["max_tokens"] for _, request in wire.sent]
    assert sent == [50, 30]
    assert [each.shortened_to for each in results] == [None, 30]
    assert results[1].usage.output_tokens == 30


async def test_the_shorter_limit_of_a_stream_goes_over_the_wire() -> None:
    script = Script(frames("a short answer", tokens=Tokens(0, 30)))
    own = {"models": PRICED}
    config = {"budgets": [{"usd": 0.0008}], **FIT}
    async with streaming({"a": script}, config, a=own) as (engine, _, wire):
        heard = [await hear(engine, ask(50)) for _ in range(3)]
    assert [body["max_tokens"] for _, body in wire.sent] == [50, 50, 20]
    assert [each.stream.result().shortened_to for each in heard] == [None, None, 20]


async def test_what_cannot_be_shortened_is_refused_as_ever() -> None:
    async def draw(request: Request) -> Reply:
        return Reply(ImageOutput((Image(url="http://x"),)))

    models = [{"name": "m", "price": {"image": 0.02}, "operations": ["image"]}]
    providers = {"p": {"models": models}}
    async with an_engine({"p": draw}, {"usd": 0.07}, providers=providers, **FIT) as (engine, books):
        result = await engine.route(Request.image("a cat", n=3))
        assert (result.cost_usd, books.of(MoneyCharged)[0].known) == (0.06, True)
        with pytest.raises(OverBudget, match=r"\$0.010000 left, up to \$0.020000 needed"):
            await engine.route(Request.image("a cat"))


async def test_a_least_length_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="budget_min_tokens"):
        async with open_engine({"functions": {"p": talkative()}, "budget_min_tokens": 0}):
            pass


# What is expected


async def test_what_95_percent_of_the_answers_stay_below_is_expected() -> None:
    lengths = iter([*range(1, 21), 7, 5, 7])

    async def answer(request: Request) -> Reply:
        return Reply(ChatOutput("ok"), Usage(0, next(lengths)))

    async with an_engine({"p": answer}, {"usd": 1.0}, budget_mode="expected") as (engine, books):
        for _ in range(21):
            await engine.route(ask(50))
        await engine.route(ask(5))
        await engine.route(ask(50, output_tokens=3))
        taken = [each.micro_usd for each in books.of(MoneyReserved)]
        assert taken == [500] * 20 + [190, 50, 30]
        assert not any(each.strict for each in books.of(MoneyReserved))


@given(st.lists(st.integers(0, 1000), max_size=2 * KEPT + 50))
def test_the_usual_most_is_that_of_the_latest_answers(lengths: list[int]) -> None:
    seen = SeenOutput()
    for each in lengths:
        seen.add(each)
    latest = sorted(lengths[-KEPT:])
    usual = seen.usual_most()
    if len(latest) < SAMPLES:
        assert usual is None
        return
    assert usual in latest
    assert sum(each <= usual for each in latest) >= 0.95 * len(latest)
    assert sum(each < usual for each in latest) < 0.95 * len(latest)


async def test_an_answer_whose_tokens_nobody_reports_is_charged_in_full() -> None:
    async def answer(request: Request) -> Reply:
        return Reply(ChatOutput("ok"))

    async with an_engine({"p": answer}, {"usd": 1.0}) as (engine, books):
        await engine.route(ask(100, output_tokens=1))
        (charged,) = books.of(MoneyCharged)
        assert (charged.micro_usd, charged.known) == (1000, False)


# What costs nothing


async def test_a_crowd_gets_as_many_free_calls_as_there_are_and_pays_for_the_others() -> None:
    own = {"models": PRICED, "free_quota": {"requests": 10}}
    async with an_engine(
        {"p": answering(10, 1.0)}, {"usd": 0.002}, providers={"p": {**own, "concurrency": 4096}}
    ) as (engine, books):
        costs: list[float | None] = []

        async def call() -> None:
            with contextlib.suppress(OverBudget):
                costs.append((await engine.route(ask())).cost_usd)

        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(call)
        assert sorted(costs, key=str) == [0.0] * 10 + [0.0001] * 20
        (budget,) = engine.budgets()
        assert (budget.spent_usd, budget.charges) == (0.002, 20)
        assert not books.of(BoundBreached)


# What nobody can tell


async def test_a_prompt_longer_than_the_published_price_is_refused_under_a_budget_only() -> None:
    tiers = {"tiers": [{"above": 10, "input": 2.0, "output": 20.0}]}
    own = {"name": "own", "price": {"input": 1.0, "output": 10.0, **tiers}}
    providers = {"p": {"models": [own]}}
    prompt = "word " * 20
    async with an_engine({"p": answering(5)}, {"usd": 1.0}, providers=providers) as (engine, books):
        await engine.route(Request.chat(prompt, max_tokens=10))
        (taken,) = books.of(MoneyReserved)
        estimate = -(-len(prompt) // 3) + 4
        assert taken.micro_usd == 2 * estimate + 10 * 20


@pytest.mark.parametrize("budgets", [[], [{"usd": 1.0}]], ids=["without", "with"])
async def test_an_unknown_price_is_allowed_without_a_budget_and_its_cost_unknown(
    budgets: list[dict[str, Any]],
) -> None:
    wire = Wire(chat_answer)
    openai = {"base_url": "http://localhost/v1", "models": ["gpt-6.1-sol"]}
    config = {"providers": {"openai": openai}, "budgets": budgets}
    long = Request.chat("word " * 90_000, max_tokens=10)
    async with house(config, transport=wire) as (engine, _):
        if budgets:
            with pytest.raises(NoCandidate, match=r"up to 128000 tokens only.*with `tiers`"):
                await engine.route(long)
        else:
            result = await engine.route(long)
            assert (result.usage.input_tokens, result.cost_usd) == (150_000, None)
            assert result.attempts[0].cost_usd is None
        assert (await engine.route(ask())).cost_usd is not None


async def test_without_max_tokens_the_published_longest_answer_is_the_worst_case() -> None:
    openai = {"base_url": "http://localhost/v1", "models": ["gpt-5.4-nano"]}
    config = {"providers": {"openai": openai}, "budgets": [{"usd": 1.0}]}
    wire = Wire(chat_answer)
    async with house(config, transport=wire) as (engine, books):
        await engine.route(Request.chat("hi"))
        (taken,) = books.of(MoneyReserved)
        assert taken.micro_usd == 128_000 * 1.25 + 1
        assert "max_tokens" not in msgspec.json.decode(wire.sent[0][1].body)
