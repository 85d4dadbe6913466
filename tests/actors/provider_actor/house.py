"""A provider actor under the real runtime: clock by hand, permits kept as request loops keep them.

It takes the modules under test as an argument, so that a test of the real ones is a test of faulty
ones too.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final

from tests.actors.dispatcher.made import spec
from tests.actors.runtime.world import World
from understudy_actors.domain.bulkhead import Compartments
from understudy_actors.domain.candidate import Candidate, EndpointSpec
from understudy_actors.domain.events import Event
from understudy_actors.domain.outcome import POLICY, ErrorClass, Verdict
from understudy_actors.provider import actor
from understudy_actors.provider.gate import Refusal
from understudy_actors.provider.health import Health
from understudy_actors.provider.messages import (
    Admit,
    Describe,
    EndpointStatus,
    Permit,
    Settle,
)
from understudy_actors.provider.policy import BreakerPolicy, HoldPolicy
from understudy_actors.provider.settings import ProviderSettings
from understudy_actors.runtime.actor import ChildSpec, Start, State

DAY_S: Final = 86_400.0
BREAKER: Final = BreakerPolicy(
    run_threshold=2,
    growth=False,
    ratio=None,
    cooldown_s=4,
    cap_s=16,
    jitter=False,
    slow_probe_cap_s=0,
    lease_grace_s=2,
    ramp_s=8,
)
"""Two failures in a row open it for 4 s; two good probes close it."""
HOLDS: Final = HoldPolicy(credit_s=60, auth_s=30, model_s=120, cap_s=240, lease_grace_s=2)
NO_RESPONSE: Final = frozenset(
    {
        ErrorClass.CONNECT,
        ErrorClass.RESET,
        ErrorClass.SILENT,
        ErrorClass.CANCELLED,
        ErrorClass.INTERNAL,
        ErrorClass.ADAPTER,
    }
)


class House:
    """One provider `p`, its readings, and everything that happened."""

    def __init__(
        self, *specs: EndpointSpec, module: ModuleType = actor, now: float = 0.0, **options: Any
    ) -> None:
        self.world = World()
        self.world.hand.now_s = now
        self.world.listen()
        made = specs or (spec("p", "m0"),)
        self.tier = [Candidate(each, index, Health()) for index, each in enumerate(made)]
        self.permits: dict[int, Permit] = {}
        self.noticed: list[Candidate] = []
        self.attempts = 0
        settings = ProviderSettings(
            "p",
            **{"breaker": BREAKER, "holds": HOLDS, "concurrency_initial": 3.0, **options},
        )

        def start(begin: Start) -> Any:
            return module.ProviderActor(
                begin.context,
                settings,
                self.tier,
                self.permits,
                self.noticed.append,
                begin.snapshot,
            )

        self.ref = self.world.supervisor().spawn(ChildSpec("provider/p", start, max_restarts=9999))

    @property
    def now(self) -> float:
        return self.world.hand.now_s

    @property
    def events(self) -> list[Event]:
        return self.world.events

    @property
    def up(self) -> bool:
        return self.ref.status().state is State.RUNNING

    def of(self, kind: type[Event]) -> list[Any]:
        """The events of one kind so far."""
        return [each for each in self.events if type(each) is kind]

    def pass_time(self, seconds: float) -> None:
        self.world.advance_to(self.now + seconds)

    def admit(
        self,
        index: int = 0,
        timeout_s: float = 10.0,
        tokens: int = 0,
        compartments: Compartments = (),
    ) -> Permit | Refusal:
        self.attempts += 1
        name = self.tier[index].name
        answer: Permit | Refusal = self.ref.ask_now(
            Admit(self.attempts, name, timeout_s, input_tokens=tokens, compartments=compartments)
        )
        if isinstance(answer, Permit):
            self.permits[answer.attempt] = answer
        return answer

    def lend(self, index: int = 0, timeout_s: float = 10.0) -> Permit:
        """A permit, which is sure to be given."""
        answer = self.admit(index, timeout_s)
        assert isinstance(answer, Permit), answer
        return answer

    def settle(
        self,
        permit: Permit,
        error: ErrorClass | None = None,
        verdict: Verdict | None = None,
        hint_s: float | None = None,
    ) -> None:
        """Give a permit back, as a request loop does."""
        self.permits.pop(permit.attempt, None)
        self.ref.tell(settlement(permit, error, verdict, hint_s))

    def attempt(self, error: ErrorClass | None = None, index: int = 0, **facts: Any) -> None:
        """A whole attempt that takes no time."""
        self.settle(self.lend(index), error, **facts)

    def crash(self) -> None:
        """Crash it; it stays down until time passes."""
        self.ref.tell(type("Bomb", (), {})())

    def come_back(self) -> None:
        """Let it restart."""
        while not self.up:
            self.world.advance_to(self.world.timers.next_at())

    def status(self, index: int = 0) -> EndpointStatus:
        described: list[EndpointStatus] = self.ref.ask_now(Describe())
        return described[index]


def settlement(
    permit: Permit,
    error: ErrorClass | None = None,
    verdict: Verdict | None = None,
    hint_s: float | None = None,
) -> Settle:
    """What a request loop says at the end of an attempt."""
    if verdict is None:
        verdict = Verdict.OK if error is None else POLICY[error].verdict
    return Settle(permit, verdict, error, hint_s, responded=error not in NO_RESPONSE)
