"""Telling: off every request's way, with retries, in bounds, and without the webhook's address."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import pytest
import trio

from tests.engine.cli.test_verbs import run
from tests.engine.house import Script, Wire, house, ordered
from tests.engine.test_logs import lines, logging
from tests.support.mutants import Mutant
from understudy import ConfigError, ErrorClass, Request, open_engine
from understudy.alerts.post import LINE_MAX, TRY_S, WAITS_S, Teller
from understudy.alerts.watch import Alert
from understudy.cli.alerts import NOBODY
from understudy.config import AlertConfig
from understudy.ports import Ports
from understudy.secret import Secret
from understudy.telemetry.containment import Containment
from understudy.transport.http import HttpRequest, HttpResponse, TransportFailed
from understudy_actors.domain.alert_events import AlertLost, AlertRaised
from understudy_actors.domain.errors import UnderstudyError
from understudy_actors.domain.events import Contained, Event
from understudy_actors.runtime.trace import Trace

HOOK: Final = "http://hooks.example/T000/B000/secret-part-of-it"
ENVIRON: Final = {"HOOK": HOOK}
DOWN: Final = Script(ErrorClass.CONNECT)
TROUBLE: Final = Alert("breaker", "a/m", "raised", "breaker of a/m is open", {"why": "x"})
TAKEN: Final = HttpResponse(200, {}, b"ok")


def config(**own: Any) -> dict[str, Any]:
    """One provider that is down, a breaker that opens at once, and a webhook."""
    rule = {"retry": {"attempts": 0}, "breaker": {"trip_after": 1, "cooldown": "1h"}}
    return ordered("a", **rule, alerts=[{"url": "env:HOOK", **own}])


async def ask(engine: Any, times: int = 1) -> None:
    """Requests that fail."""
    for _ in range(times):
        with contextlib.suppress(UnderstudyError):
            await engine.route(Request.chat("hi"))


def bodies(wire: Wire) -> list[Any]:
    """What was posted."""
    return [json.loads(request.body) for provider, request in wire.sent if provider == "alerts"]


async def test_an_open_breaker_is_told_once_with_text_and_fields() -> None:
    wire = Wire(lambda _name, _request: TAKEN)
    async with house(config(), transport=wire, environ=ENVIRON, a=DOWN) as (engine, books):
        await ask(engine, 3)
        await trio.sleep(60)
        (told,) = bodies(wire)
        (request,) = [each for _, each in wire.sent]
        assert (request.method, request.url) == ("POST", HOOK)
        assert request.headers["content-type"] == "application/json"
        assert told["text"].startswith("understudy ALERT: breaker of a/")
        alert = told["alert"]
        assert alert.pop("at").endswith("+00:00")
        assert alert.pop("details")["why"]
        assert alert == {
            "name": "alerts", "about": "breaker", "subject": alert["subject"], "state": "raised",
            "text": told["text"].removeprefix("understudy ALERT: "),
        }  # fmt: skip
        (event,) = books.of(AlertRaised)
        assert (event.alert, event.about, event.state) == ("alerts", "breaker", "raised")
        assert not books.of(AlertLost)


async def test_a_dead_webhook_never_slows_a_request() -> None:
    async def took(**more: Any) -> float:
        wire = Wire(lambda _name, _request: 1e9)  # it never answers
        made = {**config(), **more}
        async with house(made, transport=wire, environ=ENVIRON, a=DOWN, drain_s=0.0) as (engine, _):
            began = trio.current_time()
            await ask(engine, 5)
            return trio.current_time() - began

    assert await took() == await took(alerts=[])


async def test_what_is_over_is_told_too() -> None:
    wire = Wire(lambda _name, _request: TAKEN)
    made = {**config(), "breaker": {"trip_after": 1, "cooldown": "5s"}}
    flaky = Script(ErrorClass.CONNECT, "fine")
    async with house(made, transport=wire, environ=ENVIRON, a=flaky) as (engine, _):
        await ask(engine)
        await trio.sleep(30)
        await ask(engine)
        await trio.sleep(30)
    assert [each["alert"]["state"] for each in bodies(wire)] == ["raised", "resolved"]


async def test_the_log_alone_is_told_without_a_webhook() -> None:
    made = {**config(), "alerts": [{"on": ["breaker"]}]}
    async with house(made, a=DOWN) as (engine, _):
        file = logging(engine, "warning")
        await ask(engine)
        await trio.sleep(1)
        (line,) = [each for each in lines(file) if each["event"] == "alert.raised"]
        assert (line["about"], line["level"]) == ("breaker", "warning")


async def test_without_monitoring_nobody_is_told() -> None:
    made = {**config(), "monitoring": False}
    async with house(made, environ={}, a=DOWN) as (engine, _):
        await ask(engine)
        assert not engine._parts.tellers


@pytest.mark.parametrize(
    ("said", "environ", "why"),
    [
        ({}, {}, "HOOK"),
        ({}, {"HOOK": "ftp://x"}, "http or https"),
        ({}, {"HOOK": "secret-word"}, "http or https"),
        ({"on": []}, ENVIRON, "is empty"),
        ({"on": ["weather"]}, ENVIRON, "weather"),
        ({"budget_percent": 101}, ENVIRON, "must not exceed 100"),
        ({"url": HOOK}, ENVIRON, "not shown here"),
    ],
)
async def test_what_cannot_be_told_is_refused_without_the_address(
    said: dict[str, Any], environ: dict[str, str], why: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        async with house(config(**said), environ=environ, a=DOWN):
            raise AssertionError
    assert why in str(caught.value)
    assert "alerts[0]" in str(caught.value)
    assert "secret-" not in str(caught.value)


async def test_two_of_one_name_are_refused() -> None:
    made = {**config(), "alerts": [{"on": ["budget"]}, {"on": ["breaker"]}]}
    with pytest.raises(ConfigError, match="another one is called"):
        async with house(made, a=DOWN):
            raise AssertionError


class Heard:
    """A trace's events, and the wire under a teller."""

    def __init__(self, answer: Callable[[int], Any]) -> None:
        self.tries: list[float] = []
        self.events: list[Event] = []
        self.wire = Wire(self._answer)
        self._answers = answer

    def _answer(self, _name: str, _request: HttpRequest) -> Any:
        self.tries.append(trio.current_time())
        return self._answers(len(self.tries))

    def of(self, kind: type[Any]) -> list[Any]:
        """Events of one type."""
        return [each for each in self.events if type(each) is kind]


@contextlib.asynccontextmanager
async def telling(
    answer: Callable[[int], Any], make: Callable[..., Teller] = Teller
) -> AsyncIterator[tuple[Teller, Heard]]:
    """A teller at work."""
    heard, trace, ports = Heard(answer), Trace(), Ports()
    trace.listen(lambda _seq, event: heard.events.append(event))
    contain = Containment(ports.clock, trace)
    teller = make(AlertConfig(), Secret(HOOK), heard.wire, ports.clock, trace, contain)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(teller.run)
        yield teller, heard
        nursery.cancel_scope.cancel()


async def retries(make: Callable[..., Teller]) -> None:
    """A failing webhook is tried three times, with waits; one that says never is not."""
    for answer, tries, why in (
        (lambda _: HttpResponse(503, {}, b""), 3, "it answered 503"),
        (lambda _: HttpResponse(429, {}, b""), 3, "it answered 429"),
        (lambda _: HttpResponse(404, {}, b""), 1, "it answered 404"),
        (lambda _: TransportFailed("no", sent=False), 3, "nobody answered"),
        (lambda _: 1e9, 3, f"no answer within {TRY_S:g} s"),
    ):
        async with telling(answer, make) as (teller, heard):
            teller.offer(TROUBLE)
            await trio.sleep(120)
            (lost,) = heard.of(AlertLost)
            assert (lost.why, lost.tries, len(heard.tries)) == (why, tries, tries)
            assert HOOK not in repr(heard.events)


async def second_try(make: Callable[..., Teller]) -> None:
    """The second try is made after the first wait, and is enough."""
    async with telling(lambda n: TAKEN if n == 2 else HttpResponse(500, {}, b""), make) as (t, h):
        t.offer(TROUBLE)
        await trio.sleep(60)
        assert not h.of(AlertLost)
        first, second = h.tries
        assert second - first >= WAITS_S[0]


async def bounded(make: Callable[..., Teller]) -> None:
    """The line is bounded; how many found no room is told."""
    async with telling(lambda _: TAKEN, make) as (teller, heard):
        for _ in range(LINE_MAX + 7):
            teller.offer(TROUBLE)
        await trio.sleep(60)
        assert len(heard.tries) == LINE_MAX
        assert [each.lost for each in heard.of(AlertLost)] == [7]


async def outlives(make: Callable[..., Teller]) -> None:
    """A fault of our own costs one message."""

    def answer(number: int) -> Any:
        if number == 1:
            raise ZeroDivisionError
        return TAKEN

    async with telling(answer, make) as (teller, heard):
        teller.offer(TROUBLE)
        teller.offer(TROUBLE)
        await trio.sleep(60)
        assert len(heard.tries) == 2
        assert [each.where for each in heard.of(Contained)] == ["alerts"]


async def finishes(make: Callable[..., Teller]) -> None:
    """Whoever closes waits until everything is told."""
    async with telling(lambda _: TAKEN, make) as (teller, heard):
        await teller.finish()
        for _ in range(3):
            teller.offer(TROUBLE)
        await teller.finish()
        assert len(heard.tries) == 3


LAWS: Final = (retries, second_try, bounded, outlives, finishes)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
async def test_a_teller(law: Any) -> None:
    await law(Teller)


_POST: Final = "understudy.alerts.post"
FAULTS: Final[list[tuple[Mutant, Any]]] = [
    (Mutant("never tried again", _POST, 'why is None or why.endswith("!")', "True"), second_try),
    (Mutant("tried in vain", _POST, "{'!' if for_good else ''}", ""), retries),
    (
        Mutant("no limit of a try", _POST, "trio.move_on_after(TRY_S)", "trio.CancelScope()"),
        retries,
    ),
    (Mutant("no wait", _POST, "await trio.sleep(wait_s)", "pass"), second_try),
    (Mutant("a line without end", _POST, "len(self._line) >= LINE_MAX", "False"), bounded),
    (Mutant("nobody hears of the lost", _POST, "            self.lost += 1\n", ""), bounded),
    (
        Mutant("one fault ends it", _POST, "except Exception as error", "except OSError as error"),
        outlives,
    ),
    (
        Mutant("never done", _POST, "self._idle.set()\n            self._woken", "self._woken"),
        finishes,
    ),
    (
        Mutant(
            "done before it is told",
            _POST,
            "trio.Event() if self._idle.is_set() else self._idle",
            "self._idle",
        ),
        finishes,
    ),
]


@pytest.mark.parametrize(("fault", "law"), FAULTS, ids=[str(each[0]) for each in FAULTS])
async def test_planted_faults_are_noticed(fault: Mutant, law: Any) -> None:
    planted = fault.plant()
    with pytest.raises((AssertionError, ValueError, ExceptionGroup, trio.TooSlowError)):
        with trio.fail_after(10_000):
            await law(planted.Teller)


class Hook:
    """A webhook on a real socket that takes what it is sent."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.heard: list[Any] = []
        self.came = trio.Event()

    async def serve(self, stream: trio.SocketStream) -> None:
        """One request of one connection."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += await stream.receive_some()
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += await stream.receive_some()
        self.heard.append((head.split(b"\r\n")[0].decode(), json.loads(body)))
        await stream.send_all(
            b"HTTP/1.1 %d X\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok" % self.status
        )
        self.came.set()


@contextlib.asynccontextmanager
async def hooked(status: int = 200) -> AsyncIterator[tuple[Hook, str]]:
    """A webhook that serves, and its address."""
    hook = Hook(status)
    async with trio.open_nursery() as nursery:
        serve = functools.partial(trio.serve_tcp, hook.serve, 0, host="127.0.0.1")
        listeners = await nursery.start(serve)
        port = listeners[0].socket.getsockname()[1]
        yield hook, f"http://127.0.0.1:{port}/services/x?token=secret"
        nursery.cancel_scope.cancel()


@pytest.mark.wall_clock
async def test_it_arrives_over_a_real_socket() -> None:
    async with hooked() as (hook, url):
        made = {**config(), "log": {"level": "off"}}
        async with open_engine(made, functions={"a": DOWN}, environ={"HOOK": url}) as engine:
            with pytest.raises(UnderstudyError):
                await engine.route(Request.chat("hi"))
            with trio.fail_after(30):
                await hook.came.wait()
        ((line, told),) = hook.heard
        assert line == "POST /services/x?token=secret HTTP/1.1"
        assert told["alert"]["about"] == "breaker"


@pytest.mark.wall_clock
@pytest.mark.parametrize(("status", "code"), [(200, 0), (403, 1)])
async def test_the_command_sends_one(status: int, code: int, tmp_path: Any) -> None:
    async with hooked(status) as (hook, url):
        path = tmp_path / "u.toml"
        path.write_text("[providers.local]\n[[alerts]]\nname = 'ops'\nurl = 'env:HOOK'\n")
        result = await trio.to_thread.run_sync(
            lambda: run("alerts", "test", "-c", str(path), "--json", HOOK=url)
        )
        assert result.exit_code == code
        why = None if code == 0 else "it answered 403"
        assert json.loads(result.stdout) == [{"alert": "ops", "sent": code == 0, "why": why}]
        ((_, told),) = hook.heard
        assert told["text"] == "understudy test: this is a test, nothing is wrong"


def test_the_command_says_that_nobody_is_told(tmp_path: Any) -> None:
    path = tmp_path / "u.toml"
    path.write_text("[providers.local]\n")
    result = run("alerts", "test", "-c", str(path))
    assert (result.exit_code, NOBODY in result.stderr) == (2, True)
