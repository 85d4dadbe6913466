"""Spans and metrics of requests: after the GenAI conventions, and without anybody's words."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest
import trio
from hypothesis import given, strategies as st
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.engine.gateway.service import on_loop, serving
from tests.engine.house import Script, house, ordered
from tests.support.mutants import Mutant
from understudy import ConfigError, Engine, ErrorClass, Request, open_engine
from understudy.config import parse
from understudy.telemetry import otel, tracing
from understudy.telemetry.tracing import (
    REMOTES_MAX,
    Parent,
    Remotes,
    read_traceparent,
    span_id_of,
    trace_id_of,
)
from understudy.transport.http import HttpRequest
from understudy_actors.domain.errors import UnderstudyError
from understudy_sim.mock import MockSettings, running_mock
from understudy_sim.mock.settings import Behaviour

PROMPT: Final = "what are the plans for the harbour"
ANSWER: Final = "there are none"
CALLER: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@contextlib.asynccontextmanager
async def watched(
    module: Any = otel, config: dict[str, Any] | None = None, **scripts: Any
) -> AsyncIterator[tuple[Engine, Any, Any, Any]]:
    """An engine of functions, and everything that is told of it."""
    names = tuple(scripts)
    made = {**ordered(*names, retry={"attempts": 0}), **(config or {})}
    async with house(made, **scripts) as (engine, _):
        exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
        own = parse({"otel": {"service": "tests"}}).otel
        told = module.make(engine._parts, Remotes(), own, SimpleSpanProcessor(exporter), reader)
        engine.listen(told.hear, fine=False)
        yield engine, exporter, reader, told
        told._shutdown()


async def spans_of_a_failover(module: Any) -> None:
    """One span a request, one below it an attempt, with what the conventions ask for."""
    scripts: dict[str, Any] = {"a": Script(ErrorClass.SERVER), "b": Script(2.0)}
    async with watched(module, **scripts) as (engine, exporter, _, told):
        result = await engine.route(Request.chat(PROMPT, id="r-1"))
        told.drain()
        failed, good, request = sorted(exporter.get_finished_spans(), key=_ended)
        assert request.name == "chat auto"
        assert request.kind is SpanKind.SERVER
        assert [failed.name, good.name] == [f"chat {n.partition('/')[2]}" for n in asked(result)]
        for each in (failed, good):
            assert each.kind is SpanKind.CLIENT
            assert each.parent.span_id == request.context.span_id
            assert each.context.trace_id == request.context.trace_id == trace_id_of("r-1")
            assert request.start_time <= each.start_time <= each.end_time <= request.end_time
        assert request.context.span_id == span_id_of("r-1")
        assert len({each.context.span_id for each in (failed, good, request)}) == 3
        assert good.end_time - good.start_time == pytest.approx(2e9, rel=0.01)
        assert failed.status.status_code is StatusCode.ERROR
        assert failed.attributes["error.type"] == "server"
        assert request.status.status_code is good.status.status_code is StatusCode.UNSET
        assert good.attributes["gen_ai.operation.name"] == "chat"
        assert good.attributes["gen_ai.provider.name"] == "function"
        assert good.attributes["gen_ai.usage.output_tokens"] > 0
        assert request.attributes["understudy.request_id"] == "r-1"
        assert request.attributes["understudy.attempts"] == 2
        assert request.resource.attributes["service.name"] == "tests"
        told_of = repr([each.to_json() for each in exporter.get_finished_spans()])
        assert PROMPT not in told_of
        assert "late" not in told_of, "the answer"


def _ended(span: Any) -> tuple[int, bool]:
    return span.end_time, span.parent is None


def asked(result: Any) -> list[str]:
    """Who was asked, in order."""
    return [each.endpoint for each in result.attempts]


async def callers_trace(module: Any) -> None:
    """A caller's trace goes on; whoever brings none begins one."""
    async with watched(module, a=Script(ANSWER)) as (engine, exporter, _, told):
        told.remotes.note("r-1", CALLER)
        await engine.route(Request.chat(PROMPT, id="r-1"))
        await engine.route(Request.chat(PROMPT, id="r-2"))
        told.drain()
        tops = [each for each in exporter.get_finished_spans() if each.kind is SpanKind.SERVER]
        first, second = tops
        assert f"{first.context.trace_id:032x}" == CALLER.split("-")[1]
        assert f"{first.parent.span_id:016x}" == CALLER.split("-")[2]
        assert first.parent.is_remote
        assert second.parent is None
        assert told.remotes.take("r-1") is None, "it is forgotten"


async def failures(module: Any) -> None:
    """A request that nobody answers is an error of its class."""
    async with watched(module, a=Script(ErrorClass.AUTH)) as (engine, exporter, reader, told):
        with pytest.raises(UnderstudyError):
            await engine.route(Request.chat(PROMPT))
        told.drain()
        attempt, request = exporter.get_finished_spans()
        if attempt.parent is None:
            attempt, request = request, attempt
        assert request.status.status_code is StatusCode.ERROR
        assert request.attributes["error.type"] == "AllAttemptsFailed"
        assert attempt.attributes["error.type"] == "auth"
        points = metrics(reader)
        assert points["gen_ai.client.operation.duration"][0]["error.type"] == "auth"


def metrics(reader: Any) -> dict[str, list[dict[str, Any]]]:
    """The labels of every metric's points."""
    data = reader.get_metrics_data()
    return {
        metric.name: [dict(point.attributes) for point in metric.data.data_points]
        for resource in (data.resource_metrics if data is not None else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


async def counted(module: Any) -> None:
    """Durations and tokens of attempts, by the labels of the conventions."""
    async with watched(module, a=Script(ANSWER)) as (engine, _, reader, told):
        await engine.route(Request.chat(PROMPT, user="ann"))
        told.drain()
        points = metrics(reader)
        assert set(points) == {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
        kinds = {each.get("gen_ai.token.type") for each in points["gen_ai.client.token.usage"]}
        assert kinds == {"input", "output"}
        (labels,) = points["gen_ai.client.operation.duration"]
        assert labels["gen_ai.operation.name"] == "chat"
        assert "ann" not in repr(points)


async def bounded(module: Any) -> None:
    """What is not made yet is bounded, and so are attempts of requests that never end."""
    async with watched(module, a=Script(ANSWER)) as (engine, exporter, _, told):
        heard = engine._parts.records
        assert heard is not None
        for number in range(module.LINE_MAX + 5):
            told.hear(number, _Ended.of(number))
        assert told.lost == 5
        told.drain()
        told.hear(0, _Ended.of(module.LINE_MAX + 1))
        told.drain()
        assert len(told._attempts) <= module.RUNNING_MAX
        assert not exporter.get_finished_spans()


class _Ended:
    """Attempts of requests that never end."""

    @staticmethod
    def of(number: int) -> Any:
        """One of them."""
        from understudy_actors.domain.events import AttemptEnded

        return AttemptEnded(
            at_s=0.0, attempt=number, request=f"r{number}", endpoint="a/m", verdict="ok"
        )


LAWS: Final = (spans_of_a_failover, callers_trace, failures, counted, bounded)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
async def test_what_is_told(law: Any) -> None:
    await law(otel)


_OTEL: Final = "understudy.telemetry.otel"
FAULTS: Final[list[tuple[Mutant, Any]]] = [
    (
        Mutant("attempts stand alone", _OTEL, "context=inside,", "context=None,"),
        spans_of_a_failover,
    ),
    (
        Mutant("ids by chance", _OTEL, "self.ids.next = trace_id", "_ = trace_id"),
        spans_of_a_failover,
    ),
    (
        Mutant(
            "ids for all",
            _OTEL,
            "finally:\n            self.ids.next = None",
            "finally:\n            pass",
        ),
        spans_of_a_failover,
    ),
    (
        Mutant(
            "time of its own",
            _OTEL,
            "elapsed_s),\n            attributes=told",
            "elapsed_s) + 10**9,\n            attributes=told",
        ),
        spans_of_a_failover,
    ),
    (
        Mutant("a caller's trace is lost", _OTEL, "context=_context(parent)", "context=None"),
        callers_trace,
    ),
    (Mutant("no failure", _OTEL, "if error is not None:", "if False:"), failures),
    (Mutant("failures have no class", _OTEL, '"error.type": event.error,', ""), failures),
    (
        Mutant(
            "tokens of one kind", _OTEL, '"gen_ai.token.type": kind', '"gen_ai.token.type": "input"'
        ),
        counted,
    ),
    (Mutant("a line without end", _OTEL, "len(self._line) >= LINE_MAX", "False"), bounded),
    (Mutant("attempts for ever", _OTEL, "len(self._attempts) > RUNNING_MAX", "False"), bounded),
]


@pytest.mark.parametrize(("fault", "law"), FAULTS, ids=[str(each[0]) for each in FAULTS])
async def test_planted_faults_are_noticed(fault: Mutant, law: Any) -> None:
    planted = fault.plant()
    with pytest.raises((AssertionError, ValueError, KeyError, AttributeError)):
        await law(planted)


async def test_who_does_not_ask_for_it_has_none_of_it() -> None:
    async with house(ordered("a"), a=Script()) as (engine, _):
        assert engine.remotes is None
        assert engine._parts.otel is None
        assert not engine._parts.trace.on or engine._parts.config.log.level == "off"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"endpoint": "collector:4318"}, "http or https"),
        ({"headers": {"authorization": "Bearer x"}}, "carries a secret"),
        ({"headers": {"authorization": "env:NOBODY"}}, "NOBODY"),
        ({"interval": 0}, "more than 0"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_cannot_be_is_refused(said: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        async with house({**ordered("a"), "otel": said}, a=Script()):
            raise AssertionError


async def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "understudy.telemetry.otel", None)
    with pytest.raises(ConfigError, match=r"understudy\[otel\]"):
        async with house({**ordered("a"), "otel": True}, a=Script()):
            raise AssertionError


hexes = st.text("0123456789abcdef", min_size=16, max_size=16)


@given(hexes, hexes, hexes, st.integers(0, 255))
def test_a_right_traceparent_is_read_and_written_alike(
    one: str, two: str, span: str, flags: int
) -> None:
    header = f"00-{one}{two}-{span}-{flags:02x}"
    parent = read_traceparent(header)
    if not int(one + two, 16) or not int(span, 16):
        assert parent is None
        return
    assert parent == Parent(int(one + two, 16), int(span, 16), flags)
    remotes = Remotes()
    remotes.note("r", header)
    sent = remotes.mark(
        Request.chat("hi", id="r"), HttpRequest("POST", "http://h", {"a": "b"}, b"x")
    )
    written = read_traceparent(sent.headers["traceparent"])
    assert written == Parent(int(one + two, 16), span_id_of("r"), flags)
    assert (sent.headers["a"], sent.body) == ("b", b"x")


@given(st.text(max_size=80))
def test_whatever_else_is_sent_is_none(text: str) -> None:
    assert read_traceparent(text) is None
    assert read_traceparent(CALLER + text) is None or not text.strip()


def test_callers_traces_are_bounded() -> None:
    remotes = Remotes()
    for number in range(REMOTES_MAX + 5):
        remotes.note(f"r{number}", CALLER)
    assert remotes.take("r4") is None
    assert remotes.take("r5") is not None
    assert tracing.read_traceparent(None) is None


def test_who_has_no_id_is_not_marked() -> None:
    outgoing = HttpRequest("POST", "http://h", {})
    assert Remotes().mark(Request.chat("hi"), outgoing) is outgoing


class Collector:
    """An OTLP collector on a real socket."""

    def __init__(self) -> None:
        self.heard: dict[str, list[bytes]] = {}

    async def serve(self, stream: trio.SocketStream) -> None:
        """Requests of one connection."""
        data = b""
        with contextlib.suppress(trio.BrokenResourceError):
            while True:
                while b"\r\n\r\n" not in data:
                    if not (more := await stream.receive_some()):
                        return
                    data += more
                head, _, data = data.partition(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                while len(data) < length:
                    data += await stream.receive_some()
                path = head.split(b" ")[1].decode()
                self.heard.setdefault(path, []).append(data[:length])
                data = data[length:]
                await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


@pytest.mark.wall_clock
async def test_it_arrives_at_a_collector_and_providers_hear_of_the_trace() -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    collector = Collector()
    async with (
        trio.open_nursery() as nursery,
        running_mock(MockSettings(behaviour=Behaviour(reply=ANSWER))) as mock,
    ):
        serve = functools.partial(trio.serve_tcp, collector.serve, 0, host="127.0.0.1")
        listeners = await nursery.start(serve)
        port = listeners[0].socket.getsockname()[1]
        provider = {"kind": "openai-compatible", "base_url": f"{mock.url}/v1", "models": ["m"]}
        config = {
            "providers": {"p": provider},
            "log": {"level": "off"},
            "otel": {"endpoint": f"http://127.0.0.1:{port}", "propagate": True},
        }
        async with open_engine(config, environ={}) as engine:
            assert engine.remotes is not None
            engine.remotes.note("r-1", CALLER)
            await engine.route(Request.chat(PROMPT, id="r-1"))
        nursery.cancel_scope.cancel()
    assert set(collector.heard) == {"/v1/traces", "/v1/metrics"}
    sent = ExportTraceServiceRequest()
    sent.ParseFromString(collector.heard["/v1/traces"][0])
    (told,) = sent.resource_spans
    spans = {each.name: each for each in told.scope_spans[0].spans}
    attributes = {each.key: each.value for each in spans["chat m"].attributes}
    assert attributes["server.address"].string_value == "127.0.0.1"
    assert attributes["gen_ai.usage.input_tokens"].int_value > 0
    assert spans["chat auto"].trace_id.hex() == CALLER.split("-")[1]
    assert PROMPT.encode() not in collector.heard["/v1/traces"][0]


@on_loop
async def _through_the_gateway() -> None:
    config = {"otel": {"endpoint": "http://127.0.0.1:9", "metrics": False, "interval": "1h"}}
    async with (
        serving(config, behaviours=(Behaviour(reply="yes"),)) as service,
        httpx.AsyncClient(base_url=service.url, trust_env=False) as client,
    ):
        exporter = InMemorySpanExporter()
        told = service.engine._parts.otel
        assert told is not None
        told.tracing.add_span_processor(SimpleSpanProcessor(exporter))
        body = {"model": "m", "messages": [{"role": "user", "content": PROMPT}]}
        await client.post("/v1/chat/completions", json=body, headers={"traceparent": CALLER})
        told.drain()
        top = next(e for e in exporter.get_finished_spans() if e.kind is SpanKind.SERVER)
        assert top.context is not None
        assert f"{top.context.trace_id:032x}" == CALLER.split("-")[1]
        told.tracing.shutdown = lambda: None  # type: ignore[method-assign]


@pytest.mark.wall_clock
def test_a_traceparent_comes_in_through_the_gateway() -> None:
    _through_the_gateway()
