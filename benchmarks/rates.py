"""What limits a minute cost: `python -m benchmarks.rates [--quick] [--json]`.

The same routed call to an instant provider, one after the other, with limits far away: none; on
requests and tokens of the account; of the account and the model; learned from headers; and of the
user who asks. CPU microseconds a call that the limits add to the same call without any, which is
the baseline. All cases by turns, median of their differences.
"""

from __future__ import annotations

import contextlib
import statistics
from functools import partial
from typing import Any

import trio

from benchmarks.overhead import crowd
from benchmarks.report import Record, command, record
from understudy import ChatOutput, Engine, Reply, Request, Usage, open_engine
from understudy_actors.domain.rates import Sighting, Unit

FAR = 10**9
QUESTION = Request.chat("hi", max_tokens=10, user="ann")
REPLY = Reply(ChatOutput("ok"), Usage(1, 2))
SEEN = Reply(ChatOutput("ok"), Usage(1, 2), limits=(Sighting(Unit.REQUESTS, FAR, FAR),))


async def instant(request: Request) -> Reply:  # noqa: ARG001
    """A provider that answers at once."""
    return REPLY


async def telling(request: Request) -> Reply:  # noqa: ARG001
    """The same, and says how far its limit is."""
    return SEEN


def cases() -> dict[str, dict[str, Any]]:
    """Configurations by name; the first has no limits."""
    limits = {"requests_per_minute": FAR, "tokens_per_minute": FAR}
    plain = {"concurrency": 4096}
    model = {"models": [{"name": "m", **limits}]}
    return {
        "no limits": {"providers": {"p": plain}},
        "account": {"providers": {"p": {**plain, **limits}}},
        "account and model": {"providers": {"p": {**plain, **limits, **model}}},
        "learned from headers": {"providers": {"p": plain}, "functions": {"p": telling}},
        "user": {"providers": {"p": plain}, "limits": [{"user": "*", **limits}]},
    }


async def main(quick: bool) -> list[Record]:
    """One record for each kind of limit."""
    calls, rounds = (1_000, 5) if quick else (5_000, 15)
    async with contextlib.AsyncExitStack() as stack:
        engines: dict[str, Engine] = {}
        for name, case in cases().items():
            config = {"log": {"level": "off"}, "functions": {"p": instant}, **case}
            engines[name] = await stack.enter_async_context(open_engine(config))
        costs: dict[str, list[float]] = {name: [] for name in engines}
        for _ in range(rounds):
            for name, engine in engines.items():
                costs[name].append(await crowd(1, calls, partial(engine.route, QUESTION)))
    bare = costs["no limits"]
    return [
        record(
            f"{name}: added to a call",
            statistics.median(own - other for own, other in zip(costs[name], bare, strict=True)),
            "us",
            baseline=statistics.median(bare),
        )
        for name in engines
        if name != "no limits"
    ]


if __name__ == "__main__":
    command(
        "rates",
        __doc__,
        lambda quick: trio.run(main, quick),
        "value: CPU us a call that limits add; baseline: the same call without any",
    )
