"""Requests from chat as OpenAI writes it in JSON: the vocabulary that libraries have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from understudy.gateway.asked import ANY_MODEL
from understudy.gateway.problem import Refused
from understudy.gateway.wires.openai_chat import OpenAIChat
from understudy_actors.domain.errors import InvalidRequest
from understudy_actors.domain.request import Request

_WIRE = OpenAIChat()


def chat_request(
    model: str | None, body: Mapping[str, Any], conditions: Mapping[str, Any]
) -> Request:
    """A request from the fields of a chat completion, under the `conditions` of a `Request`.

    Raises:
        InvalidRequest: They are none.
    """
    given = {name: value for name, value in body.items() if value is not None}
    try:
        request = _WIRE.read({"model": model or ANY_MODEL, **given}).request
        return replace(request, **conditions)
    except Refused as refused:
        raise InvalidRequest(str(refused.problem.message)) from None
    except TypeError as error:
        raise InvalidRequest(f"conditions: {error}") from None
