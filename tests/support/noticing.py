"""Whether a test of an engine fails, in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import trio
import trio.testing


def noticed(test: Callable[[], Coroutine[Any, Any, None]]) -> bool:
    """Does it fail? Whoever waits for ever has noticed as well."""

    async def main() -> None:
        with trio.fail_after(1e6):
            await test()

    try:
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    except (Exception, BaseExceptionGroup, pytest.fail.Exception):
        return True
    return False
