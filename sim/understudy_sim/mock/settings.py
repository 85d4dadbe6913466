"""What a mock provider is set to: its address and bounds, and how it behaves when healthy."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from understudy_sim.fault_kinds import Rate, Seconds, Seed, Size
from understudy_sim.faults import Failures, Schedule
from understudy_sim.reading import convert, duration_s


class FixedUsage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The token counts of every answer."""

    input_tokens: Size
    output_tokens: Size


Usage: TypeAlias = Literal["derived", "missing"] | FixedUsage


class Behaviour(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the provider answers when nothing fails.

    Attributes:
        reply: The text of every answer; {provider}, {model}, {prompt} (the last message) and {n}
            (the number of the request) are filled in.
        latency_s: Median time to the answer's first byte.
        latency_sigma: Spread of the log-normal latency; 0 makes it fixed.
        tokens_per_s: Pace of the answer; none means at once.
        usage: Token counts: `derived` from the texts, `missing`, or fixed numbers.
        prefill: What it makes of a last message of its own (`assistant`): it may `continue` it,
            `refuse` the request, `ignore` that and answer anew, or continue it if it carries the
            `flag` `prefix: true`, and refuse it else.
    """

    reply: Annotated[str, Meta(max_length=1_000_000)] = "Answer {n} of {provider} ({model})"
    latency_s: Seconds = 0.0
    latency_sigma: Annotated[float, Meta(ge=0.0, le=5.0)] = 0.0
    tokens_per_s: Rate | None = None
    usage: Usage = "derived"
    prefill: Literal["ignore", "continue", "refuse", "flag"] = "ignore"


class MockSettings(Struct, frozen=True, kw_only=True):
    """One mock provider.

    Attributes:
        port: 0 lets the system choose.
        key: The only key that is accepted; none accepts everybody.
        models: The only models that exist; none accepts every name.
        region: Where it is, for faults that select by region.
        max_connections: Further ones are reset.
        idle_s: A connection that is silent for so long between requests is closed.
    """

    provider: str = "mock"
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    key: str | None = None
    models: tuple[str, ...] = ()
    region: str | None = None
    seed: Seed = 0
    behaviour: Behaviour = Behaviour()
    failures: Failures = Failures()
    schedule: Schedule = Schedule()
    max_header_bytes: int = 32 * 1024
    max_body_bytes: int = 16 * 1024 * 1024
    max_connections: int = 10_000
    idle_s: float = 60.0

    def __repr__(self) -> str:  # without the key
        return f"<MockSettings {self.provider} at {self.host}:{self.port}>"


def parse_behaviour(data: object) -> Behaviour:
    """A behaviour from a parsed document; latency may be a text such as "200ms".

    Raises:
        Refused: The message names the key.
    """
    if isinstance(data, dict) and "latency_s" in data:
        data = {**data, "latency_s": duration_s(data["latency_s"], "latency_s")}
    return convert(data, Behaviour, "behaviour")
