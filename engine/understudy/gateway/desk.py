"""What every request goes through: an id, limits, reading, conditions, the answer or its error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from understudy.gateway.access import SEEN, Seen, Write
from understudy.gateway.asked import Asked, Wire
from understudy.gateway.body import Gone, read_json
from understudy.gateway.exchange import Exchange, Told, header_map
from understudy.gateway.form import read_form
from understudy.gateway.guard import Guard
from understudy.gateway.headers import own_id
from understudy.gateway.limits import Limits
from understudy.gateway.overrides import conditioned, overrides
from understudy.gateway.problem import Refused, problem_of
from understudy.telemetry.containment import place_of
from understudy.telemetry.metrics import Metrics
from understudy_actors.domain.errors import UnderstudyError
from understudy_actors.domain.result import ChatOutput, Result

if TYPE_CHECKING:
    from understudy.gateway.renewal import Renewal

MOCK: Final = "mock"
"""Who is told to have answered where a caller brought the answer along."""


class Desk:
    """Serves requests of any format with one engine.

    Attributes:
        limits, guard: What callers may ask, and who may.
        renewal: Reads the configuration anew; None where there is nothing to read.
    """

    def __init__(
        self,
        limits: Limits,
        guard: Guard,
        *,
        wall: Callable[[], float],
        new_id: Callable[[], str],
        write: Write | None = None,
    ) -> None:
        self.limits = limits
        self.guard = guard
        self._wall = wall
        self._new_id = new_id
        self._engine: Any = None
        self._metrics: Metrics | None = None
        self._write = write
        self.running = 0
        self.renewal: Renewal | None = None

    def open(self, engine: Any) -> None:
        """From now on this engine serves."""
        self._engine = engine
        self.guard.ring = engine.keys.ring
        self._metrics = Metrics(engine)

    def close(self) -> None:
        """Nobody serves any more."""
        if self._metrics is not None:
            self._metrics.close()
        self._engine = self._metrics = None

    @property
    def metrics(self) -> Metrics:
        """What is counted of who serves.

        Raises:
            Refused: Nobody does.
        """
        if self._metrics is None:
            raise _closing()
        return self._metrics

    @property
    def engine(self) -> Any:
        """Who serves.

        Raises:
            Refused: Nobody does, before the start and after the end.
        """
        if self._engine is None:
            raise _closing()
        return self._engine

    def complain(self, event: str, why: str) -> None:
        """A line in the log about what an operator has to mend."""
        if self._write is not None:
            self._write("error", {"event": event, "error": why})

    def wall(self) -> float:
        """Unix time in seconds."""
        return self._wall()

    def name(self, headers: Mapping[str, str]) -> str:
        """A request's id: the caller's own if it is fit, else a new one."""
        return own_id(headers.get("x-request-id")) or self._new_id()

    async def serve(self, wire: Wire, scope: Any, receive: Any, send: Any) -> None:
        """One request, from its headers to the last byte of its answer."""
        headers = header_map(scope)
        request_id = self.name(headers)
        exchange = Exchange(receive, send, request_id, self.limits)
        seen: Seen | None = scope.get(SEEN)
        if seen is not None:
            seen.request_id = request_id
        self.running += 1
        try:
            await self._serve(wire, headers, exchange, receive, seen)
        except Gone as gone:
            self._tell(request_id, gone, seen)
        except Told as told:
            self._tell(request_id, told.__cause__ or told, seen)
        except Exception as error:
            self._tell(request_id, error, seen)
            await exchange.problem(wire, problem_of(error))
        finally:
            self.running -= 1

    async def _serve(
        self,
        wire: Wire,
        headers: dict[str, str],
        exchange: Exchange,
        receive: Any,
        seen: Seen | None,
    ) -> None:
        if self.running > self.limits.concurrent_max:
            why = f"{self.limits.concurrent_max} requests are under way, the most allowed"
            raise Refused(why, status=503, code="overloaded", retry_after_s=1.0)
        engine, caller = self.engine, self.guard.caller(headers)
        if (remotes := engine.remotes) is not None:
            remotes.note(exchange.request_id, headers.get("traceparent"))
        if seen is not None and caller is not None:
            seen.key = caller.name
        read = read_form if wire.entry.form else read_json
        asked = wire.read(await read(receive, headers, self.limits.body_max))
        own = overrides(asked.overrides, headers)
        request = replace(conditioned(asked.request, own), id=exchange.request_id)
        if caller is not None:
            request = caller.marked(request)
        asked = replace(asked, request=request)
        created = int(self._wall())
        if seen is not None:
            seen.asked, seen.stream = asked.model, asked.stream
        if own.mock_response is not None:
            result = _mocked(own.mock_response, asked, exchange.request_id)
            await exchange.result(wire, asked, result, created)
        elif asked.stream:
            result = await exchange.streamed(engine, wire, asked, created)
        else:
            result = await exchange.whole(engine, wire, asked, created)
        if seen is not None:
            seen.result = result

    def _tell(self, request_id: str, error: BaseException, seen: Seen | None) -> None:
        """Remember how it ended; a fault of our own is a line in the log, with its place.

        Not with its text nor with a traceback, either of which may hold somebody's words.
        """
        if seen is not None:
            seen.error = error
        if self._write is None or isinstance(error, UnderstudyError | Refused | Gone):
            return
        fields = {"request_id": request_id, "error": type(error).__name__, "at": place_of(error)}
        self._write("error", {"event": "gateway.broke", **fields})


def _closing() -> Refused:
    return Refused("the gateway is closing: ask again in a moment", status=503)


def _mocked(text: str, asked: Asked, request_id: str) -> Result:
    return Result(
        output=ChatOutput(text),
        provider=MOCK,
        model=asked.model,
        request_id=request_id,
        elapsed_s=0.0,
        cost_usd=0.0,
    )
