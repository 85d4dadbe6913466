"""One request as it stands before a simulated provider."""

from __future__ import annotations

import functools

import attrs

from understudy_sim.asking import Asked
from understudy_sim.mock.requests import Body
from understudy_sim.mock.wire import Headers, Origin, Tokens
from understudy_sim.world_events import Counted


@attrs.define(eq=False, slots=True)
class Visit:
    """One request as it stands before the provider; `said` is what its answer says of limits."""

    asked: Asked
    visit: int
    body: Body
    origin: Origin
    tokens: Tokens
    said: Headers = ()

    def counted(self, provider: str, now: float) -> Counted:
        """Tells that the provider counts it."""
        return Counted(
            at_s=now,
            request_id=self.asked.id,
            provider=provider,
            model=self.origin.model,
            input_tokens=self.tokens.input,
            output_tokens=self.tokens.output,
        )


@functools.lru_cache(maxsize=1024)
def path_of(url: str) -> str:
    """The path of an address."""
    return "/" + url.partition("?")[0].split("/", 3)[-1]


def key_of(headers: dict[str, str]) -> str | None:
    """The key that a request came with."""
    return headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
