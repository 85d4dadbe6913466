"""The user's own function as a provider.

It takes the `Request`, or the `Request` and the model's name, and returns a `Reply`, an output, or
(for chat) a plain string; for an operation of the user's own it may return anything.
"""

from __future__ import annotations

import functools
import inspect
import socket
from collections.abc import Callable
from typing import Any, Final

import msgspec
import trio

from understudy.adapters.base import Reply, Target
from understudy.adapters.failure import failure, transport_failure
from understudy.transport.http import TransportFailed
from understudy_actors.domain import operation
from understudy_actors.domain.errors import ProviderError
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.request import EmbeddingInput, Request
from understudy_actors.domain.result import ChatOutput, EmbeddingOutput, ImageOutput

_OUTPUTS: Final[dict[str, type]] = {
    operation.CHAT: ChatOutput,
    operation.EMBEDDING: EmbeddingOutput,
    operation.IMAGE: ImageOutput,
    operation.IMAGE_EDIT: ImageOutput,
}
"""What each built-in operation answers with."""

# Both are OSErrors, but about files: a bug in the function, and no news of any network.
_FILE_ERRORS: Final = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)


class FunctionAdapter:
    """Calls `function` for every request.

    A sync function runs inline and must not block: everything else waits meanwhile. With
    `blocking=True` it runs in a worker thread instead; when its caller gives up, the thread goes on
    by itself and its result is dropped.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str = "function",
        operations: tuple[str, ...] = (operation.CHAT,),
        blocking: bool = False,
    ) -> None:
        self.name = name
        self.operations = operations
        self._asynchronous = is_async(function)
        if blocking and self._asynchronous:
            raise TypeError(f"{name}: an async function needs no worker thread: drop blocking=True")
        self._takes_model = _takes_model(function)
        self._function = _in_thread(function) if blocking else function
        self._asynchronous |= blocking

    async def call(self, request: Request, model: str) -> Reply:
        """Call the function; see `CallAdapter.call`.

        Raises:
            ProviderError: It raised one, or something else, or returned what is no answer.
        """
        try:
            answer = (
                self._function(request, model) if self._takes_model else self._function(request)
            )
            if self._asynchronous or inspect.isawaitable(answer):
                answer = await answer
        except ProviderError:
            raise
        except Exception as error:
            raise self._failure(error, model) from error
        reply = answer if type(answer) is Reply else Reply(answer)
        if type(reply.output) is str and request.operation == operation.CHAT:
            return msgspec.structs.replace(reply, output=ChatOutput(reply.output))
        if (wrong := _wrong(request, reply.output)) is not None:
            raise failure(ErrorClass.ADAPTER, self._target(model), why=wrong)
        return reply

    def _failure(self, error: Exception, model: str) -> ProviderError:
        """The typed error; of the exception only its type's name is told, since its text may hold
        anything."""
        target = self._target(model)
        if isinstance(error, TransportFailed):
            return transport_failure(error, target)
        return failure(error_class_of(error), target, why=type(error).__name__)

    def _target(self, model: str) -> Target:
        return Target(provider=self.name, model=model, base_url="")


def error_class_of(error: Exception) -> ErrorClass:
    """What an exception of a user's function means."""
    match error:
        case TimeoutError() | trio.TooSlowError():
            return ErrorClass.SILENT
        case ConnectionRefusedError() | socket.gaierror():
            return ErrorClass.CONNECT
        case ConnectionError() | trio.BrokenResourceError():
            return ErrorClass.RESET
        case OSError() if not isinstance(error, _FILE_ERRORS):
            return ErrorClass.CONNECT
        case _:
            return ErrorClass.ADAPTER


def _wrong(request: Request, output: object) -> str | None:
    """Why `output` is no answer to `request`; None if it is one."""
    expected = _OUTPUTS.get(request.operation)
    if expected is None:
        return None
    if not isinstance(output, expected):
        return f"it returned {type(output).__name__} instead of {expected.__name__}"
    if isinstance(output, EmbeddingOutput) and isinstance(request.input, EmbeddingInput):
        vectors, texts = len(output.vectors), len(request.input.texts)
        if vectors != texts:
            return f"it returned {vectors} vectors for {texts} texts"
    return None


def _in_thread(function: Callable[..., Any]) -> Callable[..., Any]:
    # Abandoned on cancel: a deadline must not wait for a thread that cannot be stopped.
    return functools.partial(trio.to_thread.run_sync, function, abandon_on_cancel=True)


def is_async(function: Callable[..., Any]) -> bool:
    """Does it return what is to be awaited?"""
    call = getattr(function, "__call__", None)  # noqa: B004  an object may be async in its __call__
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def _takes_model(function: Callable[..., Any]) -> bool:
    """Does it want the model's name as second argument?"""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-ins tell nothing
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) < 2:
        return False
    return positional[1].default is inspect.Parameter.empty or positional[1].name == "model"
