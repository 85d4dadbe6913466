"""The mock provider without its sockets: what it is set to, and what it does with a request."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from understudy_actors.runtime.ports import Clock, Randomness
from understudy_sim.fault_kinds import (
    Auth,
    ContentPolicy,
    ContextLength,
    Credit,
    Cut,
    Drip,
    Facts,
    FailingFault,
    Ghost,
    Hang,
    Malformed,
    ModelNotFound,
    RateLimit,
    Refuse,
    Reset,
    Stall,
    Status,
    Timeout,
)
from understudy_sim.faults import (
    Decision,
    Failures,
    Injector,
    Schedule,
    parse_failures,
    parse_schedule,
)
from understudy_sim.mock.replies import billed, error, error_of_status, refuses, reply
from understudy_sim.mock.requests import Body, ImageRequest, Route, read_body
from understudy_sim.mock.settings import Behaviour, MockSettings, parse_behaviour
from understudy_sim.mock.stats import Stats
from understudy_sim.mock.wire import ABSURD, Answer, Origin, Wire, hint, malformed

_KEY_HEADERS: Final = (b"x-api-key", b"x-goog-api-key", b"api-key")
"""Where a key may stand besides `authorization`."""
_NORMAL: Final = NormalDist()
_NO_PREFILL: Final = "This model does not support assistant message prefill."
_SMALLEST: Final = 2.0**-54  # below every draw but 0, of which no quantile is finite


class Call(Struct, frozen=True, kw_only=True):
    """One request as far as its head: `n` is its number since the service started."""

    n: int
    path: str
    route: Route
    wire: Wire
    key: str | None
    versioned: bool


class Plan(Struct, frozen=True, kw_only=True):
    """What to do with one request: wait, then send the answer in the manner of the fault."""

    outcome: str
    answer: Answer | None
    wait_s: float = 0.0
    fault: FailingFault | None = None


class MockProvider:
    """State of one mock provider. Every method is synchronous; nothing is sent from here."""

    def __init__(self, settings: MockSettings, clock: Clock) -> None:
        self.settings = settings
        self.stats = Stats()
        self._clock = clock
        self._rng = Randomness(settings.seed)
        self._calls = 0
        self.behaviour = settings.behaviour
        self.set_failures(settings.failures)
        self.set_schedule(settings.schedule)

    def set_failures(self, failures: Failures | Mapping[str, object]) -> Failures:
        """Replace the simple failures; an empty mapping ends them. Raises `Refused`."""
        if not isinstance(failures, Failures):
            failures = parse_failures(failures)
        self.failures = failures
        self._failures_from = self._calls
        return failures

    def set_schedule(self, schedule: Schedule | object) -> Schedule:
        """Activate a fault schedule now, instead of the present one. Raises `Refused`."""
        parsed = parse_schedule(schedule)
        now = self._clock.now()
        self._injector = Injector(parsed, self.settings.provider, self.settings.seed, now)
        self._schedule_from = self._calls
        return parsed

    def set_behaviour(self, behaviour: Behaviour | Mapping[str, object]) -> Behaviour:
        """Replace the healthy behaviour; an empty mapping is the default one. Raises `Refused`."""
        if not isinstance(behaviour, Behaviour):
            behaviour = parse_behaviour(behaviour)
        self.behaviour = behaviour
        return behaviour

    @property
    def schedule(self) -> Schedule:
        """The schedule that is active."""
        return self._injector.schedule

    def call(self, path: str, route: Route, headers: Mapping[bytes, bytes]) -> Call:
        """Number a request, whose head has these headers (names in lower case)."""
        self._calls += 1
        versioned = b"anthropic-version" in headers
        # Both families list their models under one path; only Anthropic's clients say a version.
        wire: Wire = "anthropic" if route.operation == "models" and versioned else route.wire
        named = (headers[name] for name in _KEY_HEADERS if name in headers)
        key = next(named, headers.get(b"authorization", b"").removeprefix(b"Bearer "))
        return Call(
            n=self._calls,
            path=path,
            route=route,
            wire=wire,
            key=key.decode("latin-1") or None,
            versioned=versioned,
        )

    def refuse(self, call: Call) -> Refuse | None:
        """Whether the request is refused before its body is read."""
        return self._injector.refuse(self._facts(call, None), self._clock.now())

    def plan(self, call: Call, raw: bytes) -> Plan:
        """What to do with a request whose body is `raw`."""
        request = read_body(call.route, raw)
        model = None if isinstance(request, str) else request.model
        origin = self._origin(call, model or "")
        decision = self._injector.decide(self._facts(call, model), self._clock.now())
        self.stats.fault("slow", decision.slowed)
        fault = decision.fault or self._simple_failure(call)
        if fault is None:
            answer, wait_s = self._healthy(call, origin, request, decision)
            outcome = "ok" if answer.status < 400 else "client_error"
            return Plan(outcome=outcome, answer=answer, wait_s=wait_s)
        self.stats.fault(fault.kind)
        return self._failing(call, origin, request, decision, fault)

    def error(self, call: Call, problem: str) -> Answer:
        """An error that the server itself answers."""
        return error(self._origin(call, ""), problem)

    def _simple_failure(self, call: Call) -> FailingFault | None:
        index = call.n - self._failures_from
        stream = f"failures/{self.settings.provider}"
        return self.failures.pick(self._rng.uniform(stream, index))

    def _healthy(
        self, call: Call, origin: Origin, request: Body | str, decision: Decision
    ) -> tuple[Answer, float]:
        """The answer that no fault replaces, and how long to wait before it."""
        settings = self.settings
        if settings.key is not None and call.key != settings.key:
            return error(origin, "auth"), 0.0
        if isinstance(request, str):
            return error(origin, "bad_request", message=request), 0.0
        if call.route.wire == "anthropic" and not call.versioned:
            text = "anthropic-version: header is required"
            return error(origin, "bad_request", message=text), 0.0
        if settings.models and origin.model and origin.model not in settings.models:
            return error(origin, "model_not_found"), 0.0
        if refuses(self.behaviour, request):
            return error(origin, "bad_request", message=_NO_PREFILL), 0.0
        absurd = ABSURD if _is_absurd(decision.fault) else None
        answer, made = reply(request, origin, self.behaviour, settings.models, absurd)
        self.stats.bill(*billed(self.behaviour, request, made))
        wait_s = self._latency_s(call.n)
        if self.behaviour.tokens_per_s and not answer.frames:
            wait_s += made / self.behaviour.tokens_per_s
        if answer.pace_s:
            answer = replace(answer, pace_s=answer.pace_s * decision.multiplier)
        return answer, wait_s * decision.multiplier + decision.add_s

    def _failing(
        self,
        call: Call,
        origin: Origin,
        request: Body | str,
        decision: Decision,
        fault: FailingFault,
    ) -> Plan:
        wait_s = decision.add_s
        answer: Answer | None
        match fault:
            case Refuse() | Hang():
                answer = None
            case Reset(after_s=after_s):
                answer, wait_s = None, wait_s + after_s
            case Ghost(variant=variant):
                _, wait_s = self._healthy(call, origin, request, decision)
                end = Reset() if variant == "reset" else Hang()
                return Plan(outcome=fault.kind, answer=None, wait_s=wait_s, fault=end)
            case Stall() | Drip() | Cut():
                answer, wait_s = self._healthy(call, origin, request, decision)
            case Malformed(variant=variant):
                healthy, wait_s = self._healthy(call, origin, request, decision)
                answer = malformed(variant, healthy, error(origin, "server"))
            case Timeout(duration_s=duration_s):
                answer, wait_s = error(origin, "timeout"), wait_s + duration_s
            case _:
                answer = error_of(fault, origin, decision, request)
        return Plan(outcome=fault.kind, answer=answer, wait_s=wait_s, fault=fault)

    def _latency_s(self, n: int) -> float:
        """A log-normal draw around the median, keyed by the request's number."""
        behaviour = self.behaviour
        if not behaviour.latency_s or not behaviour.latency_sigma:
            return behaviour.latency_s
        draw = max(self._rng.uniform(f"latency/{self.settings.provider}", n), _SMALLEST)
        return behaviour.latency_s * math.exp(behaviour.latency_sigma * _NORMAL.inv_cdf(draw))

    def _facts(self, call: Call, model: str | None) -> Facts:
        return Facts(
            number=call.n - self._schedule_from,
            provider=self.settings.provider,
            model=model,
            operation=call.route.operation,
            path=call.path,
            key=call.key,
            region=self.settings.region,
        )

    def _origin(self, call: Call, model: str) -> Origin:
        return Origin(
            wire=call.wire,
            n=call.n,
            provider=self.settings.provider,
            model=model,
            wall_s=self._clock.wall(),
        )


def _is_absurd(fault: FailingFault | None) -> bool:
    return isinstance(fault, Malformed) and fault.variant == "absurd_usage"


def error_of(
    fault: FailingFault, origin: Origin, decision: Decision, request: Body | str
) -> Answer:
    """The error answer of a fault that has one."""
    match fault:
        case Status(statuses=statuses, retry_after=retry_after):
            status = statuses[int(decision.draw * len(statuses))]
            return error_of_status(origin, status, hint(retry_after, decision.ends_in_s))
        case RateLimit(retry_after=retry_after, requests_per_min=limit):
            return error(origin, "rate_limit", hint(retry_after, decision.ends_in_s, limit))
        case Credit(variant=variant):
            return error(origin, f"credit_{variant}")
        case Auth():
            return error(origin, "auth")
        case ContextLength():
            return error(origin, "context_length")
        case ContentPolicy():
            moderated = isinstance(request, ImageRequest)
            return error(origin, "image_moderation" if moderated else "content_policy")
        case ModelNotFound():
            return error(origin, "model_not_found")
        case _:
            raise AssertionError(f"{fault.kind} has no error answer")
