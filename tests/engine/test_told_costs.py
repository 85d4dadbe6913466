"""What a router says that an answer cost counts where nobody configured a price."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.engine.adapters.wire import answer, example
from tests.engine.house import Wire, house
from understudy import Request
from understudy.transport.http import HttpRequest, HttpResponse

KEYS = {"OPENROUTER_API_KEY": "sk-or-nobodys"}


def provider(**more: Any) -> dict[str, Any]:
    return {"providers": {"openrouter": {"models": ["a/b"], **more}}}


@pytest.mark.parametrize(
    ("price", "cost"), [({}, 0.25), ({"price": {"input": 1, "output": 1}}, None)]
)
async def test_a_price_of_ones_own_goes_before_what_a_router_tells(
    price: dict[str, Any], cost: float | None
) -> None:
    said = example("openrouter.chat.response")
    said["usage"] |= {"cost": 0.25, "is_byok": False}
    wire = Wire(lambda provider, request: answer(said))
    async with house(provider(**price), transport=wire, environ=KEYS) as (engine, _):
        result = await engine.route(Request.chat("hi"))
    own = result.usage.total_tokens / 1e6
    assert result.cost_usd == pytest.approx(own if cost is None else cost)


async def test_the_options_of_a_provider_reach_its_requests() -> None:
    seen: list[Any] = []

    def reply(provider: str, request: HttpRequest) -> HttpResponse:
        seen.append(msgspec.json.decode(request.body))
        return answer(example("openrouter.chat.response"))

    options = {"max_tokens_field": "max_new_tokens", "body": {"models": ["a/b", "c/d"]}}
    wire = Wire(reply)
    async with house(provider(options=options), transport=wire, environ=KEYS) as (engine, _):
        await engine.route(Request.chat("hi", max_tokens=9))
    assert seen[0]["max_new_tokens"] == 9
    assert seen[0]["models"] == ["a/b", "c/d"]
