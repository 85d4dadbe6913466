"""What a simulated provider says of its limits a minute in the headers of its answers."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from understudy_sim.buckets import Meters
from understudy_sim.fleet import Provider
from understudy_sim.mock.wire import Headers


def rate_headers(provider: Provider, meters: Meters, wall_s: float) -> Headers:
    """Three headers for each limit, in the manner of its wire and as true as the scenario says."""
    says = provider.limits.says
    if says == "nothing":
        return ()
    headers: list[tuple[str, str]] = []
    for unit, (limit, left, reset_s) in meters.levels().items():
        told = {
            "negative": ("-1", "-1"),
            "zero": ("0", "0"),
            "absurd": (str(10**15), "1e99"),
            "none_left": (str(math.ceil(limit)), "0"),
            "one": ("1", "0"),
        }.get(says, (str(math.floor(limit)), str(min(math.floor(left), math.floor(limit)))))
        if provider.wire == "openai":
            reset = f"{round(reset_s * 1000)}ms"
            names = [f"x-ratelimit-{part}-{unit}" for part in ("limit", "remaining", "reset")]
        else:
            moment = datetime.fromtimestamp(math.ceil(wall_s + reset_s), UTC)
            reset = moment.isoformat().replace("+00:00", "Z")
            names = [f"anthropic-ratelimit-{unit}-{p}" for p in ("limit", "remaining", "reset")]
        headers += zip(names, (*told, reset), strict=True)
    return tuple(headers)
