"""The kit catches an adapter that breaks its laws, and says which; the built-in ones keep them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.engine.adapters.wire import WALL_S
from understudy.adapters.anthropic import AnthropicAdapter
from understudy.adapters.base import Reply, Target
from understudy.adapters.delay import delay_s
from understudy.adapters.openai import OpenAIAdapter
from understudy.transport.http import HttpRequest, HttpResponse
from understudy_actors.domain.errors import ProviderError, provider_error
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import Request
from understudy_actors.domain.result import ChatOutput, Usage
from understudy_sim.testing import LawBroken, verify_adapter

KINDS = {401: ErrorClass.AUTH, 402: ErrorClass.QUOTA, 429: ErrorClass.RATE_LIMIT}


class Plain:
    """A small adapter of somebody's own, for answers such as `{"answer": "..."}`."""

    name = "plain"
    operations: tuple[str, ...] = ("chat",)

    def build(self, request: Request, target: Target) -> HttpRequest:
        key = target.key.reveal() if target.key else ""
        return HttpRequest("POST", target.base_url, {"authorization": key}, b"{}")

    def parse(
        self, request: Request, target: Target, response: HttpResponse, wall_s: float
    ) -> Reply:
        try:
            if response.status == 200:
                answer = msgspec.json.decode(response.body)["answer"]
                if isinstance(answer, str) and "error" not in msgspec.json.decode(response.body):
                    return Reply(ChatOutput(answer))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError, KeyError):
            pass
        raise self.refuse(response)

    def refuse(self, response: HttpResponse) -> ProviderError:
        return provider_error(
            KINDS.get(response.status, ErrorClass.SERVER),
            "no answer",
            provider="p",
            model="m",
            retry_after_s=delay_s(response.status, response.headers, WALL_S),
        )

    def check(self, target: Target) -> HttpRequest:
        return HttpRequest("GET", target.base_url, {})

    def check_failure(
        self, target: Target, response: HttpResponse, wall_s: float
    ) -> ProviderError | None:
        return None


class Gullible(Plain):
    """Takes what it can read of a cut answer for the whole."""

    def parse(self, request: Any, target: Any, response: Any, wall_s: float) -> Reply:
        if response.status == 200 and len(response.body) > 12:
            return Reply(ChatOutput(response.body[11:].decode("utf-8", "replace")))
        raise self.refuse(response)


class Crashing(Plain):
    """Trusts that JSON is an object."""

    def parse(self, request: Any, target: Any, response: Any, wall_s: float) -> Reply:
        if response.status != 200:
            raise self.refuse(response)
        return Reply(ChatOutput(msgspec.json.decode(response.body)["answer"]))


class Blabbing(Plain):
    """Repeats the provider's words in its message."""

    def refuse(self, response: HttpResponse) -> ProviderError:
        words = response.body.decode("utf-8", "replace")
        return provider_error(ErrorClass.SERVER, words, provider="p", model="m")


class InTheUrl(Plain):
    def build(self, request: Request, target: Target) -> HttpRequest:
        assert target.key is not None
        return HttpRequest("GET", f"{target.base_url}?key={target.key.reveal()}", {})


class Patient(Plain):
    """Believes whatever Retry-After says."""

    def refuse(self, response: HttpResponse) -> ProviderError:
        try:
            wait_s = float(response.headers.get("retry-after", "0"))
        except ValueError:
            wait_s = 0.0
        return provider_error(
            ErrorClass.SERVER, "no answer", provider="p", model="m", retry_after_s=wait_s
        )


class Counting(Plain):
    """Takes any count that a provider reports."""

    def parse(self, request: Any, target: Any, response: Any, wall_s: float) -> Reply:
        reply = super().parse(request, target, response, wall_s)
        return Reply(reply.output, Usage(5, 5, cached_tokens=9))


class Deaf(Plain):
    """Does not read Retry-After."""

    def refuse(self, response: HttpResponse) -> ProviderError:
        kind = KINDS.get(response.status, ErrorClass.SERVER)
        return provider_error(kind, "no answer", provider="p", model="m")


class Undiscerning(Plain):
    """Calls every failure the server's."""

    def refuse(self, response: HttpResponse) -> ProviderError:
        return provider_error(ErrorClass.SERVER, "no answer", provider="p", model="m")


class Fickle(Plain):
    calls = 0

    def build(self, request: Request, target: Target) -> HttpRequest:
        self.calls += 1
        return HttpRequest("POST", target.base_url, {}, str(self.calls).encode())


class Optimist(Plain):
    """Does not look at the status."""

    def parse(self, request: Any, target: Any, response: Any, wall_s: float) -> Reply:
        return super().parse(request, target, HttpResponse(200, {}, response.body), wall_s)


GOOD = [(Request.chat("hi"), HttpResponse(200, {}, b'{"answer": "hello to you"}'))]
BREAKERS: list[tuple[type[Plain], str]] = [
    (Gullible, "never returns a wrong success"),
    (Optimist, "never returns a wrong success"),
    (Crashing, "nothing else, for any bytes"),
    (Blabbing, "the key goes into the request's headers and nowhere else"),
    (InTheUrl, "the key goes into the request's headers and nowhere else"),
    (Patient, "its delay a length of time"),
    (Counting, "counts that can be"),
    (Deaf, "Retry-After with a 429 is read"),
    (Undiscerning, "means what HTTP says"),
    (Fickle, "the same arguments give the same result"),
]


@pytest.mark.parametrize(
    ("adapter", "law"), BREAKERS, ids=lambda each: getattr(each, "__name__", "")
)
def test_an_adapter_that_breaks_a_law_is_told_which(adapter: type[Plain], law: str) -> None:
    with pytest.raises(LawBroken, match=law):
        verify_adapter(adapter(), examples=GOOD)


def test_an_adapter_of_ones_own_that_keeps_the_laws_passes() -> None:
    verify_adapter(Plain(), examples=GOOD)


@pytest.mark.parametrize("adapter", [OpenAIAdapter(), AnthropicAdapter()], ids=lambda a: a.name)
def test_the_built_in_adapters_keep_their_laws(adapter: Any) -> None:
    verify_adapter(adapter, seed=3, tries=2000)


def test_an_adapter_without_any_good_answer_proves_nothing() -> None:
    with pytest.raises(ValueError, match="give `examples`"):
        verify_adapter(Plain())


def test_what_is_no_adapter_is_told_so() -> None:
    with pytest.raises(LawBroken, match="check_failure"):
        verify_adapter(object())  # type: ignore[arg-type]
