"""The laws of an adapter: whatever bytes arrive, an answer or a typed error, and no secret."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Iterator, Sequence
from email.utils import formatdate
from typing import Any, Final, TypeAlias

import msgspec

from understudy.adapters.base import Reply, Target, WireAdapter
from understudy.secret import Secret
from understudy.transport.http import HttpRequest, HttpResponse
from understudy_actors.domain import operation as operations
from understudy_actors.domain.errors import ERROR_TYPES, ProviderError
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import Request
from understudy_actors.domain.result import ChatOutput, EmbeddingOutput, ImageOutput
from understudy_actors.runtime.ports import Randomness, Stream
from understudy_sim.mock import anthropic, openai
from understudy_sim.mock.wire import Answer, Origin, Tokens
from understudy_sim.testing.laws import LawBroken

Example: TypeAlias = tuple[Request, HttpResponse]

PROTOCOL: Final = "an adapter has name, operations, build, parse, check and check_failure"
TOTAL: Final = "parse returns a Reply or raises a ProviderError, and nothing else, for any bytes"
HONEST: Final = "parse never returns a wrong success"
TYPED: Final = "an error is of the type of its class, and its delay a length of time"
FITTING: Final = "a reply holds what was asked for, and counts that can be"
MEANS: Final = "a status without a word means what HTTP says, and Retry-After with a 429 is read"
PURE: Final = "the same arguments give the same result"
BUILDS: Final = "build and check return an HttpRequest, or raise a ProviderError"
SECRET: Final = "the key goes into the request's headers and nowhere else"

_KEY: Final = "k3y-0f-0ur-0wn-Qx7"
_PROMPT: Final = "the-prompt-of-nobody-else"
_DELAY_MAX_S: Final = 86_400.0
_COUNT_MAX: Final = 10**9
_WALL_S: Final = 1_795_132_800.0
_TARGET: Final = Target(
    provider="verified", model="large", base_url="https://host.invalid/v1", key=Secret(_KEY)
)
_REQUESTS: Final = {
    operations.CHAT: Request.chat(_PROMPT),
    operations.EMBEDDING: Request.embed(_PROMPT, dimensions=4),
    operations.IMAGE: Request.image(_PROMPT),
}
_OUTPUTS: Final[dict[str, type]] = {
    operations.CHAT: ChatOutput,
    operations.EMBEDDING: EmbeddingOutput,
    operations.IMAGE: ImageOutput,
}
_GOOD: Final = (200, 201, 204)
_BAD: Final = (301, 400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529, 999)
_STATUSES: Final = (*_GOOD, *_BAD)
_PLAIN: Final = {
    401: {ErrorClass.AUTH},
    402: {ErrorClass.QUOTA},
    429: {ErrorClass.RATE_LIMIT},
    500: {ErrorClass.SERVER},
    503: {ErrorClass.SERVER, ErrorClass.OVERLOADED},
}
_JUNK: Final[tuple[Any, ...]] = (
    None, True, 0, -1, 10**12, 1e308, "", "x", "\ud7ff\0", [], {}, [None], {"error": "x"}, [[[]]],
)  # fmt: skip
_HINTS: Final = ("0", "7", "-3", "1e400", "nan", "soon", "Wed, 21 Oct 2099 07:28:00 GMT", "\t" * 99)


def verify_adapter(
    adapter: WireAdapter,
    *,
    examples: Sequence[Example] = (),
    seed: int = 1,
    tries: int = 400,
) -> None:
    """Verify an adapter of your own.

        verify_adapter(MyAdapter(), examples=[(Request.chat("hi"), HttpResponse(200, {}, body))])

    Args:
        adapter: What speaks a provider's wire format.
        examples: Requests with whole, good answers to them. Left out, those of the OpenAI and
            Anthropic wires that it understands.
        seed: Of everything that is drawn.
        tries: How many drawn bodies it is given.

    Raises:
        LawBroken: The message names the law.
        ValueError: There is no example, and it understands none of ours.
    """
    if not isinstance(adapter, WireAdapter):
        raise LawBroken(repr(adapter), PROTOCOL, f"{type(adapter).__name__} lacks one of them.")
    name = f"adapter {adapter.name!r}"
    for request in _requests(adapter):
        _verify_build(adapter, name, request)
    good = list(examples) or [each for each in _ours() if _understands(adapter, each)]
    if not good:
        raise ValueError(f"{name}: give `examples` of good answers; it understands none of ours")
    draws = Randomness(seed).stream("adapter")
    for request, response in good:
        whole = _parse(adapter, name, request, response)
        if not isinstance(whole, Reply):
            raise LawBroken(name, HONEST, f"It refused a good answer to {request.operation}.")
        _verify_variations(adapter, name, request, response, draws)
    for request in _requests(adapter):
        for response in _arbitrary(draws, tries // 4):
            _parse(adapter, name, request, response)
    _verify_meanings(adapter, name, good[0][0])


def _verify_build(adapter: WireAdapter, name: str, request: Request) -> None:
    builds: tuple[Callable[[], HttpRequest], ...] = (
        lambda: adapter.build(request, _TARGET),
        lambda: adapter.check(_TARGET),
    )
    for build in builds:
        made: list[HttpRequest] = []
        for _ in range(2):
            try:
                made.append(build())
            except ProviderError:
                return
            except Exception as error:
                raise LawBroken(name, BUILDS, f"It raised {type(error).__name__}.") from error
        one, two = made
        if not isinstance(one, HttpRequest):
            raise LawBroken(name, BUILDS, f"It returned {type(one).__name__}.")
        if one != two:
            raise LawBroken(name, PURE, f"Two requests for the same {request.operation} differ.")
        if _KEY in one.url or _KEY.encode() in one.body or _KEY in repr(one):
            raise LawBroken(name, SECRET, f"The request to {one.method} it shows it elsewhere.")


def _verify_meanings(adapter: WireAdapter, name: str, request: Request) -> None:
    for status, kinds in _PLAIN.items():
        error = _parse(adapter, name, request, HttpResponse(status, {}, b""))
        if isinstance(error, Reply) or error.kind not in kinds:
            said = "a success" if isinstance(error, Reply) else repr(error.kind.value)
            raise LawBroken(name, MEANS, f"A bare {status} passed for {said}.")
    for told in ("30", formatdate(_WALL_S + 30, usegmt=True)):
        hinted = HttpResponse(429, {"retry-after": told}, b"")
        error = _parse(adapter, name, request, hinted)
        if isinstance(error, Reply) or error.retry_after_s != 30.0:
            raise LawBroken(name, MEANS, f"A 429 with Retry-After {told!r} asks for 30 s.")


def _verify_variations(
    adapter: WireAdapter, name: str, request: Request, good: HttpResponse, draws: Stream
) -> None:
    """Cut, bend and relabel a good answer."""
    body = good.body
    for cut in {0, 1, len(body) - 1, *(int(draws.uniform() * len(body)) for _ in range(40))}:
        cut_short = HttpResponse(good.status, good.headers, body[:cut])
        if isinstance(_parse(adapter, name, request, cut_short), Reply):
            what = f"The first {cut} of {len(body)} bytes of an answer passed for a whole one."
            raise LawBroken(name, HONEST, what)
    for status in _BAD:
        if isinstance(_parse(adapter, name, request, HttpResponse(status, {}, body)), Reply):
            raise LawBroken(name, HONEST, f"An answer with status {status} passed for a success.")
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return
    for error in ({"message": "overloaded", "type": "server_error"}, "no"):
        bad = HttpResponse(good.status, {}, msgspec.json.encode({"error": error}))
        if isinstance(_parse(adapter, name, request, bad), Reply):
            raise LawBroken(name, HONEST, "An error in a 200 passed for a success.")
        if isinstance(document, dict):
            both = HttpResponse(
                good.status, {}, msgspec.json.encode({**document, "type": "error", "error": error})
            )
            if isinstance(_parse(adapter, name, request, both), Reply):
                raise LawBroken(name, HONEST, "An answer with an error in it passed for a success.")
    for bent in _bent(document, draws):
        changed = HttpResponse(good.status, good.headers, msgspec.json.encode(bent))
        _parse(adapter, name, request, changed)


def _parse(
    adapter: WireAdapter, name: str, request: Request, response: HttpResponse
) -> Reply | ProviderError:
    """Parse twice, and hold what comes of it against the laws."""
    one = _parse_once(adapter, name, request, response)
    two = _parse_once(adapter, name, request, response)
    if type(one) is not type(two) or str(one) != str(two):
        raise LawBroken(name, PURE, f"Two readings of the same {len(response.body)} bytes differ.")
    if isinstance(one, Reply):
        _verify_reply(name, request, one)
    else:
        _verify_error(name, one)
    return one


def _parse_once(
    adapter: WireAdapter, name: str, request: Request, response: HttpResponse
) -> Reply | ProviderError:
    try:
        found = adapter.parse(request, _TARGET, response, _WALL_S)
    except ProviderError as error:
        return error
    except Exception as error:
        start = response.body[:60]
        what = f"It raised {type(error).__name__} over status {response.status} and {start!r}."
        raise LawBroken(name, TOTAL, what) from error
    if not isinstance(found, Reply):
        raise LawBroken(name, TOTAL, f"It returned {type(found).__name__}.")
    return found


def _verify_reply(name: str, request: Request, reply: Reply) -> None:
    wanted = _OUTPUTS.get(request.operation, object)
    if not isinstance(reply.output, wanted):
        got = type(reply.output).__name__
        raise LawBroken(name, FITTING, f"{request.operation} was answered with {got}.")
    if (usage := reply.usage) is None:
        return
    for part, whole in (
        (0, usage.cached_tokens),
        (usage.cached_tokens, usage.input_tokens),
        (0, usage.reasoning_tokens),
        (usage.reasoning_tokens, usage.output_tokens),
        (usage.input_tokens, _COUNT_MAX),
        (usage.output_tokens, _COUNT_MAX),
    ):
        if part > whole:
            raise LawBroken(name, FITTING, f"Its usage says {usage}.")


def _verify_error(name: str, error: ProviderError) -> None:
    if type(error) is not ERROR_TYPES.get(error.kind):
        what = f"{type(error).__name__} says that it is {error.kind!r}."
        raise LawBroken(name, TYPED, what)
    delay_s = error.retry_after_s
    if delay_s is not None and not (math.isfinite(delay_s) and 0 <= delay_s <= _DELAY_MAX_S):
        raise LawBroken(name, TYPED, f"It asks to wait {delay_s!r} s.")
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    if _KEY in shown:
        raise LawBroken(name, SECRET, f"{type(error).__name__} shows the key.")
    if _PROMPT in str(error):
        raise LawBroken(name, SECRET, f"The message of {type(error).__name__} shows the prompt.")


def _arbitrary(draws: Stream, count: int) -> Iterator[HttpResponse]:
    """Bytes, texts and documents of all sorts, some of which repeat the key and the prompt."""
    echo = f"invalid key {_KEY} for prompt {_PROMPT}"
    for number in range(count):
        status = _STATUSES[int(draws.uniform() * len(_STATUSES))]
        hint = _HINTS[int(draws.uniform() * len(_HINTS))]
        headers = {"retry-after": hint} if draws.uniform() < 0.5 else {}
        body: bytes
        match number % 4:
            case 0:
                body = b"".join(draws.bits().to_bytes(8) for _ in range(int(draws.uniform() * 9)))
            case 1:
                shape = (echo, {"error": echo}, {"error": {"message": echo, "code": _KEY}})
                body = msgspec.json.encode(shape[int(draws.uniform() * len(shape))])
            case 2:
                body = msgspec.json.encode(_JUNK[int(draws.uniform() * len(_JUNK))])
            case _:
                depth = int(draws.uniform() * 2000)
                body = (b"[" * depth + b"]" * depth, b"<html>" + echo.encode())[number % 8 == 3]
        yield HttpResponse(status, headers, body)


def _bent(document: Any, draws: Stream) -> Iterator[Any]:
    """The document with one value at a time replaced by junk, or left out."""
    for path in _paths(document, ()):
        for _ in range(3):
            yield _with(document, path, _JUNK[int(draws.uniform() * len(_JUNK))])


def _paths(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    yield path
    inner: list[tuple[Any, Any]] = list(value.items()) if isinstance(value, dict) else []
    if isinstance(value, list):
        inner = list(enumerate(value[:4]))
    for key, each in inner:
        yield from _paths(each, (*path, key))


def _with(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    if not path:
        return junk
    bent = value.copy()
    bent[path[0]] = _with(value[path[0]], path[1:], junk)
    return bent


def _requests(adapter: WireAdapter) -> list[Request]:
    return [_REQUESTS[each] for each in adapter.operations if each in _REQUESTS]


def _understands(adapter: WireAdapter, example: Example) -> bool:
    request, response = example
    if request.operation not in adapter.operations:
        return False
    try:
        return isinstance(adapter.parse(request, _TARGET, response, _WALL_S), Reply)
    except Exception:
        return False


def _ours() -> Iterator[Example]:
    """Good answers of the two wires."""
    where: dict[str, Any] = {"n": 1, "provider": "verified", "model": "large", "wall_s": _WALL_S}
    here, there = Origin(wire="openai", **where), Origin(wire="anthropic", **where)
    tokens = Tokens(10, 20)
    chat = _REQUESTS[operations.CHAT]
    yield chat, _response(openai.chat(here, "Hello to you.", tokens, "stop"))
    yield chat, _response(anthropic.messages(there, "Hello to you.", tokens, "stop"))
    vectors = openai.embeddings(here, [_PROMPT], 4, False, tokens)
    yield _REQUESTS[operations.EMBEDDING], _response(vectors)
    yield _REQUESTS[operations.IMAGE], _response(openai.images(here, 1, {}, tokens))


def _response(answer: Answer) -> HttpResponse:
    return HttpResponse(answer.status, dict(answer.headers), answer.body)
