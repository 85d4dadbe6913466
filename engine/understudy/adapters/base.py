"""What an adapter is: one provider family's wire format, as pure functions.

An adapter builds the HTTP request for a routed request, and reads the answer. It sends nothing,
waits for nothing and keeps nothing. Failures are raised as the typed errors of the core
(`understudy_actors.domain.errors.ProviderError`), classified by rules that stand as data beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias, runtime_checkable

from msgspec import Struct

from understudy.secret import Secret
from understudy.transport.http import HttpRequest, HttpResponse
from understudy_actors.domain.delta import Delta
from understudy_actors.domain.errors import ProviderError
from understudy_actors.domain.rates import Sighting
from understudy_actors.domain.request import Request
from understudy_actors.domain.result import Output, Usage


class Target(Struct, frozen=True, kw_only=True):
    """Where a request goes: one provider entry and one of its models, as configured.

    `max_output_tokens` caps the answer (from the model's limit and the request's `max_cost_usd`).
    """

    provider: str
    model: str
    base_url: str
    key: Secret | None = None
    headers: Mapping[str, str] = {}
    max_output_tokens: int | None = None
    options: Mapping[str, object] = {}

    def __repr__(self) -> str:  # without the headers, which may hold secrets
        return f"<Target {self.provider}/{self.model} at {self.base_url or 'home'}>"


class Reply(Struct, frozen=True):
    """A parsed success: the output, the usage if reported, and the provider's own request id.

    `limits` is what its headers said of rate limits.
    """

    output: Output
    usage: Usage | None = None
    provider_request_id: str | None = None
    degraded: bool = False
    limits: tuple[Sighting, ...] = ()


@runtime_checkable
class WireAdapter(Protocol):
    """A provider that speaks HTTP.

    Law: `parse` either returns a `Reply` that the body fully supports or raises a `ProviderError`;
    it never raises anything else for any bytes, and never returns a wrong success. Only `build`
    and `check` may put the key anywhere, and only into the request's headers.
    """

    name: str
    operations: tuple[str, ...]

    def build(self, request: Request, target: Target) -> HttpRequest:
        """The HTTP request for `request`.

        Raises:
            ProviderError: (BAD_REQUEST) This provider cannot express the request.
        """
        ...

    def parse(
        self, request: Request, target: Target, response: HttpResponse, wall_s: float
    ) -> Reply:
        """The reply inside `response`. `wall_s` (Unix seconds) resolves dates in its headers.

        Raises:
            ProviderError: The response is an error, or no valid answer.
        """
        ...

    def check(self, target: Target) -> HttpRequest:
        """A free request that shows whether the provider is reachable and the key is accepted."""
        ...

    def check_failure(
        self, target: Target, response: HttpResponse, wall_s: float
    ) -> ProviderError | None:
        """What is wrong according to the answer to `check`; None if nothing is."""
        ...


class Reader(Protocol):
    """Reads one streamed answer as its bytes arrive. Pure; the deltas depend on the bytes alone."""

    @property
    def begun(self) -> bool:
        """Has the model put out anything yet, thoughts included?"""
        ...

    @property
    def ended(self) -> bool:
        """Has the end marker arrived? What follows it does not matter."""
        ...

    @property
    def whole(self) -> bool:
        """Would the answer be whole if the body ended here?"""
        ...

    @property
    def usage(self) -> Usage | None:
        """The tokens used so far, if the provider has told."""
        ...

    @property
    def skipped(self) -> int:
        """Events that could not be read, and were left out."""
        ...

    def feed(self, chunk: bytes) -> list[Delta]:
        """Take the next bytes; returns what they deliver.

        Raises:
            ProviderError: The provider says that the answer failed.
        """
        ...

    def close(self) -> list[Delta]:
        """The body has ended; returns what its end still delivers.

        Raises:
            ProviderError: The provider says that the answer failed.
        """
        ...

    def reply(self) -> Reply:
        """The whole answer.

        Raises:
            ProviderError: It was cut, or it is no answer.
        """
        ...


@runtime_checkable
class StreamingAdapter(Protocol):
    """A `WireAdapter` that can also have chat answers streamed."""

    def build_stream(self, request: Request, target: Target) -> HttpRequest:
        """The HTTP request for `request` that asks for a stream.

        Raises:
            ProviderError: (BAD_REQUEST) This provider cannot express the request.
        """
        ...

    def reader(self, target: Target, headers: Mapping[str, str], wall_s: float) -> Reader:
        """What reads a streamed answer with these headers; `wall_s` as for `parse`."""
        ...


class Step(Struct, frozen=True):
    """What comes next with a job that is not done.

    Attributes:
        request: To be sent next.
        cancel: What ends the job, if nobody wants its result any more; None if nothing does.
        at_once: There is nothing to wait for before it.
    """

    request: HttpRequest
    cancel: HttpRequest | None = None
    at_once: bool = False


@runtime_checkable
class JobAdapter(Protocol):
    """A `WireAdapter` whose provider takes a job, and is then asked for it until it is done."""

    def follow(
        self,
        request: Request,
        target: Target,
        asked: HttpRequest,
        response: HttpResponse,
        wall_s: float,
    ) -> Reply | Step:
        """What the answer to `asked` says: the result, or what to ask next.

        Raises:
            ProviderError: The response is an error, or the job failed.
        """
        ...


@runtime_checkable
class CallAdapter(Protocol):
    """A provider inside this process: the user's own function, or `local`."""

    name: str
    operations: tuple[str, ...]

    async def call(self, request: Request, model: str) -> Reply:
        """Do the work and return the reply.

        Raises:
            ProviderError: It failed, in a way that is known.
        """
        ...


Adapter: TypeAlias = WireAdapter | CallAdapter
