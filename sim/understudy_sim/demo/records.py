"""What a scenario leaves behind: requests, expectations, and what was seen instead."""

from __future__ import annotations

from msgspec import Struct

from understudy_actors.domain.result import Attempt, Usage


class Pace(Struct, frozen=True, kw_only=True):
    """How long things take in a scenario, in seconds.

    Attributes:
        latency_s: A healthy mock's answer.
        timeout_s: The engine's limit of one attempt.
        backoff_s: The first wait before a retry.
        cooldown_s: How long a breaker stays open.
    """

    latency_s: float
    timeout_s: float
    backoff_s: float
    cooldown_s: float


USUAL = Pace(latency_s=0.12, timeout_s=1.0, backoff_s=0.5, cooldown_s=3.0)
FAST = Pace(latency_s=0.01, timeout_s=0.3, backoff_s=0.1, cooldown_s=0.8)


class Asked(Struct, frozen=True, kw_only=True):
    """One request and its end.

    Attributes:
        note: What was asked, in a few words.
        outcome: `ok`, `degraded`, or the name of the error.
        provider, model: Who answered.
        text: The answer; of an error its message.
        cost_usd: Sum over all attempts; None if unknown.
        usage: Tokens of the answer.
        elapsed_s: From the call to its return.
        attempts: Every attempt, in order.
        left_out: Who was not asked, and why.
    """

    note: str
    outcome: str
    provider: str | None = None
    model: str | None = None
    text: str = ""
    cost_usd: float | None = None
    usage: Usage = Usage()
    elapsed_s: float = 0.0
    request_id: str | None = None
    attempts: tuple[Attempt, ...] = ()
    left_out: dict[str, str] = {}

    @property
    def who(self) -> list[str]:
        """The providers that were asked, in order."""
        return [each.provider for each in self.attempts]

    @property
    def errors(self) -> list[str | None]:
        """How the attempts failed, in order; None for the one that did not."""
        return [each.error for each in self.attempts]


class Check(Struct, frozen=True):
    """Something that must be seen, and what was."""

    expected: str
    ok: bool
    seen: str


class Played(Struct, frozen=True, kw_only=True):
    """A scenario that was played.

    Attributes:
        setting: What was done to the providers.
        ok: Everything that was expected was seen.
    """

    name: str
    title: str
    ok: bool
    elapsed_s: float
    setting: tuple[str, ...]
    requests: tuple[Asked, ...]
    checks: tuple[Check, ...]
