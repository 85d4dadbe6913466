"""Every async test runs on trio. Its clock is virtual, unless the test is marked `wall_clock`.

On the virtual clock a sleep of an hour takes no time; real sockets need the real one.
"""

from __future__ import annotations

import functools
import inspect
import os

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, settings

for width in ("COLUMNS", "LINES"):  # the readline of a worker process pretends to a terminal's
    os.environ.pop(width, None)

settings.register_profile(
    "default", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what takes minutes of real time, unless it is asked for by its mark."""
    if "slow_live" in config.option.markexpr:
        return
    for item in items:
        if item.get_closest_marker("slow_live"):
            item.add_marker(pytest.mark.skip(reason="waits in real time: run `make live`"))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test function on trio."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    test = functools.partial(pyfuncitem.obj, **arguments)
    if pyfuncitem.get_closest_marker("wall_clock"):
        trio.run(test)
    else:
        trio.run(test, clock=trio.testing.MockClock(autojump_threshold=0))
    return True
