"""What a task's function works with: the engine's verbs, accounted to its task."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from understudy.agent.records import Spent
from understudy.choice import Choice, Fallback
from understudy.streaming.stream import ChatStream
from understudy_actors.domain.errors import UnderstudyError
from understudy_actors.domain.request import Complexity, Request
from understudy_actors.domain.result import Attempt, Result

if TYPE_CHECKING:
    from understudy.engine import Engine


class Handle:
    """An engine for one run of one task. Every request of it is routed, priced and failed over.

    Attributes:
        key: The same in each run of this task, also after a crash: give it to whatever must happen
            only once, as its idempotency key.
        run: Which run this is, from 1.
    """

    def __init__(
        self,
        engine: Engine,
        key: str,
        run: int,
        *,
        label: str,
        complexity: Complexity | None,
        estimated_tokens: int | None,
    ) -> None:
        self.key = key
        self.run = run
        self._engine = engine
        self._label = label
        self._complexity = complexity
        self._tokens = estimated_tokens
        self.spent = Spent()
        self.provider: str | None = None

    async def route(self, request: Request) -> Result:
        """See `Engine.route`."""
        try:
            result = await self._engine.route(self._own(request))
        except UnderstudyError as error:
            self._count(error.attempts)
            raise
        self._count(result.attempts, result)
        return result

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[ChatStream]:
        """See `Engine.stream`."""
        stream = self._engine.stream(self._own(request))
        try:
            async with stream:
                yield stream
        finally:
            try:
                result = stream.result()
            except UnderstudyError as error:
                self._count(error.attempts)
            except RuntimeError:
                self._count(())  # it was left before it had begun
            else:
                self._count(result.attempts, result)

    async def with_fallback(
        self, operation: str, function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Fallback:
        """See `Engine.with_fallback`."""
        try:
            done = await self._engine.with_fallback(operation, function, *args, **kwargs)
        except UnderstudyError as error:
            self._count(error.attempts)
            raise
        self._count(done.attempts)
        self._answered(done.provider)
        return done

    def select(self, what: str | Request) -> Choice:
        """See `Engine.select`; report how the call went to the engine."""
        return self._engine.select(what)

    def _own(self, request: Request) -> Request:
        """The request as this task's, where it does not say otherwise itself."""
        return replace(
            request,
            labels=(*request.labels, self._label),
            complexity=request.complexity or self._complexity,
            output_tokens=request.output_tokens or self._tokens,
        )

    def _count(self, attempts: Sequence[Attempt], result: Result | None = None) -> None:
        known = [each.cost_usd for each in attempts if each.cost_usd is not None]
        self.spent = self.spent.plus(
            Spent(
                cost_usd=sum(known),
                unknown=sum(1 for each in attempts if each.cost_usd is None and _went(each)),
                tokens=0 if result is None else result.usage.total_tokens,
                requests=1,
            )
        )
        if result is not None:
            self._answered(result.provider)

    def _answered(self, provider: str) -> None:
        self.provider = provider
        self.spent = self.spent.plus(Spent(providers={provider: 1}))


def _went(attempt: Attempt) -> bool:
    return attempt.outcome != "refused"
