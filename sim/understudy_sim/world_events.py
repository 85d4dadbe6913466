"""What happens outside the engine in a simulation, as events beside the engine's own."""

from __future__ import annotations

from understudy_actors.domain.events import Event


class FaultBegan(Event, frozen=True, kw_only=True, tag="world.fault"):
    """A fault is in force; `target` says on whom: a provider, `region NAME`, or `all`."""

    fault: str
    fault_kind: str
    target: str


class FaultEnded(Event, frozen=True, kw_only=True, tag="world.clear"):
    """A fault is over, its fading included."""

    fault: str
    fault_kind: str
    target: str


class Quiet(Event, frozen=True, kw_only=True, tag="world.quiet"):
    """The last fault is over: from now on everything must get well. Absent if one never ends."""


class Served(Event, frozen=True, kw_only=True, tag="world.served"):
    """A simulated provider is done with a request, whether or not anybody still waits for it.

    `ok` says that it did the work; `billed_usd` what it charged, which a ghost success costs too.
    `status` is what it answers, if it refuses; `retry_after_s` how long it asks to wait by its own
    clock, and `spoiled` that the answer will not arrive as it was made.
    """

    request_id: str
    provider: str
    model: str
    ok: bool
    billed_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    status: int | None = None
    retry_after_s: float | None = None
    spoiled: bool = False


class Counted(Event, frozen=True, kw_only=True, tag="world.counted"):
    """A simulated provider counts a request against its limits a minute, as it arrives."""

    request_id: str
    provider: str
    model: str
    input_tokens: int
    output_tokens: int


class Produced(Event, frozen=True, kw_only=True, tag="world.produced"):
    """A simulated provider has made up a streamed answer, whether or not it will arrive.

    `given` is the beginning that it was asked to continue, `text` what it says after that.
    """

    request_id: str
    provider: str
    text: str
    given: str = ""


class Delivered(Event, frozen=True, kw_only=True, tag="world.delivered"):
    """A client's stream is over: `text` is all that it got; `whole` if it was told that it is.

    `degraded` if a stand-in or configured content answered, `cached` if it was played again.
    """

    request_id: str
    text: str
    whole: bool
    degraded: bool = False
    cached: bool = False


class EngineKilled(Event, frozen=True, kw_only=True, tag="world.killed"):
    """The process of the engine is dead: what it had in memory is gone."""


class RunEnded(Event, frozen=True, kw_only=True, tag="world.end"):
    """The engine is closed. `progress` is `done`, `deadlock` or `livelock`."""

    progress: str
