"""Where a scenario plays: three mock providers on loopback sockets, an engine before them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import attrs
from msgspec import Struct

from understudy import Engine, Request, UnderstudyError, open_engine
from understudy.config.presets import layered
from understudy.ports import SystemClock
from understudy_actors.domain.events import AttemptDispatched, Event
from understudy_sim.demo.records import Asked, Check, Pace
from understudy_sim.mock import Behaviour, MockHandle, MockSettings, running_mock

STAND_IN: Final = "Nobody can answer at the moment. Please try again in a minute."


class Cast(Struct, frozen=True, kw_only=True):
    """One mock provider: its wire format by `kind`, its only model, its price for 1M tokens."""

    name: str
    kind: str
    path: str
    model: str
    usd_in: float
    usd_out: float

    @property
    def key(self) -> str:
        """The only key that the mock accepts."""
        return f"test-key-of-{self.name}"

    @property
    def key_variable(self) -> str:
        """The variable that the engine reads it from."""
        return f"DEMO_{self.name.upper()}_KEY"


CAST: Final = (
    Cast(
        name="alpha",
        kind="openai-compatible",
        path="/v1",
        model="large",
        usd_in=10.0,
        usd_out=40.0,
    ),
    Cast(name="beta", kind="anthropic", path="", model="medium", usd_in=2.0, usd_out=8.0),
    Cast(
        name="gamma",
        kind="openai-compatible",
        path="/v1",
        model="small",
        usd_in=0.1,
        usd_out=0.4,
    ),
)


@attrs.define(eq=False)
class Stage:
    """What a scenario works with. It records everything; nothing here decides what is right.

    Attributes:
        pace: How long things take.
        log_level: Of the engine's log lines on stderr; `off` for none.
    """

    pace: Pace
    log_level: str = "off"
    setting: list[str] = attrs.Factory(list)
    asked: list[Asked] = attrs.Factory(list)
    checks: list[Check] = attrs.Factory(list)
    events: list[Event] = attrs.Factory(list)
    mocks: dict[str, MockHandle] = attrs.Factory(dict)
    clock: SystemClock = attrs.Factory(SystemClock)
    _engine: Engine | None = None

    @contextlib.asynccontextmanager
    async def opened(self, changes: Mapping[str, Any]) -> AsyncIterator[None]:
        """Mocks and engine, for as long as the block runs. `changes` lie over the usual config."""
        async with contextlib.AsyncExitStack() as stack:
            for each in CAST:
                settings = MockSettings(
                    provider=each.name,
                    key=each.key,
                    models=(each.model,),
                    behaviour=Behaviour(latency_s=self.pace.latency_s),
                )
                self.mocks[each.name] = await stack.enter_async_context(running_mock(settings))
            config = self.configure(layered(self._usual(), changes))
            environ = {each.key_variable: each.key for each in CAST}
            self._engine = await stack.enter_async_context(open_engine(config, environ=environ))
            self._engine.listen(lambda _seq, event: self.events.append(event))
            yield

    def configure(self, config: dict[str, Any]) -> dict[str, Any]:
        """The configuration that the engine gets."""
        return config

    def faults(self, provider: str, told: str, *faults: Mapping[str, object]) -> None:
        """Make a mock fail from now on; several faults come in this order."""
        self.setting.append(f"{provider} {told}")
        self.mocks[provider].control.set_schedule({"faults": list(faults)})

    def say(self, told: str) -> None:
        """Tell what else is done."""
        self.setting.append(told)

    async def ask(self, request: Request, note: str) -> Asked:
        """Route a request; an error is an outcome like any other."""
        assert self._engine is not None
        started = self.clock.now()
        try:
            result = await self._engine.route(request)
        except UnderstudyError as error:
            asked = Asked(
                note=note,
                outcome=type(error).__name__,
                text=str(error),
                elapsed_s=self.clock.now() - started,
                request_id=error.request_id,
                attempts=error.attempts,
                left_out=self._left_out(error.request_id),
            )
        else:
            asked = Asked(
                note=note,
                outcome="degraded" if result.degraded else "ok",
                provider=result.provider,
                model=result.model,
                text=result.text,
                cost_usd=result.cost_usd,
                usage=result.usage,
                elapsed_s=self.clock.now() - started,
                request_id=result.request_id,
                attempts=result.attempts,
                left_out=self._left_out(result.request_id),
            )
        self.asked.append(asked)
        return asked

    def expect(self, expected: str, ok: bool, seen: object) -> None:
        """Record whether something was seen that must be seen."""
        self.checks.append(Check(expected, ok, str(seen)))

    def calls(self, provider: str) -> int:
        """How many calls a mock itself has counted."""
        return self.mocks[provider].control.stats.requests

    def all_calls(self) -> dict[str, int]:
        """The same for all of them."""
        return {name: self.calls(name) for name in self.mocks}

    def compare_counts(self) -> None:
        """Whatever the scenario: engine and providers must have counted the same calls."""
        sent = dict.fromkeys(self.mocks, 0)
        for event in self.events:
            if isinstance(event, AttemptDispatched):
                name = event.endpoint.partition("/")[0]
                if name in sent:
                    sent[name] += 1
        counted = self.all_calls()
        shown = ", ".join(f"{name} {calls}" for name, calls in counted.items())
        told = ", ".join(f"{name} {calls}" for name, calls in sent.items())
        self.expect(
            "the providers counted as many calls as the engine made",
            counted == sent,
            shown if counted == sent else f"the providers {shown}; the engine {told}",
        )

    def _left_out(self, request_id: str | None) -> dict[str, str]:
        assert self._engine is not None
        record = self._engine.explain(request_id) if request_id else None
        if record is None:
            return {}
        asked = {each.endpoint for each in record.attempts}
        return {
            name: why
            for decision in record.decisions
            for name, why in decision.left_out.items()
            if name not in asked
        }

    def _usual(self) -> dict[str, Any]:
        pace = self.pace
        return {
            "deadline": 30,
            "max_attempts": 8,
            "log": {"level": self.log_level},
            # Without jitter each wait is exactly what the back-off says, so that it can be checked.
            "retry": {"base": pace.backoff_s, "jitter": "none"},
            "breaker": {"trip_after": 5, "cooldown": pace.cooldown_s},
            "operations": {"chat": {"chain": ["alpha", "beta", "gamma", "local"]}},
            "providers": {
                **{each.name: self._provider(each) for each in CAST},
                "local": {"reply": STAND_IN},
            },
        }

    def _provider(self, member: Cast) -> dict[str, Any]:
        return {
            "kind": member.kind,
            "base_url": f"{self.mocks[member.name].url}{member.path}",
            "key": f"env:{member.key_variable}",
            "models": [member.model],
            "price": {"input": member.usd_in, "output": member.usd_out},
            "timeout": self.pace.timeout_s,
        }
