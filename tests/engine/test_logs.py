"""Log lines: one request id through a whole journey, every wait and every opening visible."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest
import trio

from tests.engine.house import QUIET, Script, failing, house, ordered
from understudy import AllAttemptsFailed, Engine, ErrorClass, Request, open_engine
from understudy.config import LogConfig
from understudy.telemetry.log import LEVELS, fields_of, level_of, log_to
from understudy_actors.domain import events
from understudy_actors.domain.events import Event

HI = Request.chat("hi")


def logging(engine: Engine, level: str, form: str = "json") -> io.StringIO:
    """A file that the engine logs to."""
    file = io.StringIO()
    log_to(engine._parts.trace, LogConfig(level=level, format=form), file)  # type: ignore[arg-type]
    return file


def lines(file: io.StringIO) -> list[dict[str, Any]]:
    """What was logged as JSON."""
    return [msgspec.json.decode(line) for line in file.getvalue().splitlines()]


async def test_one_request_id_is_on_every_line_of_a_requests_journey() -> None:
    config = ordered("a", "b", retry={"jitter": "none"})
    async with house(config, a=Script(ErrorClass.TIMEOUT), b=Script()) as (engine, books):
        file = logging(engine, "debug")
        result = await engine.route(HI)
        own = lines(file)
        assert {line.get("request_id") for line in own} == {result.request_id}
        told = [line["event"] for line in own]
        assert told[:2] == ["req.accepted", "route.decide"]
        assert told[-1] == "req.outcome"
        assert {"att.admitted", "att.dispatched", "att.ended", "retry.schedule", "failover"} <= set(
            told
        )
        assert {"permit.taken", "slot.freed", "br.counted", "score.set"} <= set(told)
        assert len(own) == len(books.events)
        waits = [line["wait_s"] for line in own if line["event"] == "retry.schedule"]
        assert waits == [1.0]


async def test_timeouts_are_retried_with_waits_that_double_and_are_logged() -> None:
    rule = {"jitter": "none", "attempts": 4}
    config = ordered("a", retry=rule, breaker={"trip_after": 99, "cooldown": "5s"})
    async with house(config, a=Script(ErrorClass.TIMEOUT)) as (engine, _):
        file = logging(engine, "info")
        with pytest.raises(AllAttemptsFailed):
            await engine.route(HI)
        told = [line for line in lines(file) if line["event"] == "retry.schedule"]
        assert [line["wait_s"] for line in told] == [1.0, 2.0, 4.0, 8.0]
        assert {line["endpoint"] for line in told} == {"a/function"}
        assert {line["level"] for line in told} == {"info"}


async def test_a_breaker_that_opens_after_five_failures_is_logged_and_skips_the_provider() -> None:
    config = {
        "strategy": "priority",
        "breaker": {"trip_after": 5, "cooldown": "60s"},
        "retry": {"attempts": 0},
        "providers": {n: {"kind": "function", "priority": at} for at, n in enumerate("ab")},
    }
    a = Script(ErrorClass.SERVER)
    async with house(config, a=a, b=Script()) as (engine, _):
        file = logging(engine, "warning")
        for _ in range(9):
            assert (await engine.route(HI)).provider == "b"
        (opened,) = [line for line in lines(file) if line["event"] == "br.transition"]
        assert (opened["scope"], opened["source"], opened["target"]) == (
            "a/function",
            "closed",
            "open",
        )
        assert opened["level"] == "warning"
        assert len(a.calls) == 5


async def test_without_monitoring_nothing_is_logged_checked_or_kept(
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = {**ordered("a"), "monitoring": False, "log": {"level": "debug"}}
    async with house(config, a=Script()) as (engine, _):
        result = await engine.route(HI)
        assert engine.explain(result.request_id) is None
    assert capsys.readouterr().err == ""


async def test_a_wait_for_a_slot_and_a_hold_are_logged() -> None:
    config = ordered("a", providers={"a": {"concurrency": 1}})
    script = Script(1.0, failing(ErrorClass.RATE_LIMIT, retry_after_s=3), "yes")
    async with house(config, a=script) as (engine, _):
        file = logging(engine, "info")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(engine.route, HI)
            nursery.start_soon(engine.route, HI)
        told = lines(file)
        assert [e["why"] for e in told if e["event"] == "retry.schedule"] == ["slot", "retry"]
        held = [line for line in told if line["event"] == "hold.set"]
        assert "rate limited" in {line["why"] for line in held}


@pytest.mark.parametrize("level", LEVELS)
async def test_a_level_shows_its_own_lines_and_the_more_important_ones(level: str) -> None:
    config = {**ordered("a", "b"), "strategy": "round_robin"}
    async with house(config, a=Script(ValueError()), b=Script()) as (engine, books):
        file = logging(engine, level)
        await engine.route(HI)
        wanted = [e for e in books.events if LEVELS[level_of(e)] >= LEVELS[level]]
        told = lines(file)
        assert [line["event"] for line in told] == [fields_of(e)["event"] for e in wanted]
        assert {line["level"] for line in told} <= {
            name for name, rank in LEVELS.items() if rank >= LEVELS[level]
        }
        assert told


async def test_nothing_is_written_when_logs_are_off(capsys: pytest.CaptureFixture[str]) -> None:
    async with open_engine({**QUIET, **ordered("a")}, functions={"a": Script()}, environ={}) as e:
        assert not e._parts.trace.on
        await e.route(HI)
    assert capsys.readouterr() == ("", "")


async def test_lines_for_people_name_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    config = {**ordered("a"), "log": {"level": "info", "format": "console"}}
    async with open_engine(config, functions={"a": Script()}, environ={}) as engine:
        result = await engine.route(HI)
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = [each for each in err.splitlines() if "req.outcome" in each]
    assert result.request_id in line
    assert "status=ok" in line
    assert "provider=a" in line


def _kinds() -> list[type[Event]]:
    return [kind for kind in vars(events).values() if isinstance(kind, type) and kind is not Event]


def test_every_event_has_a_level() -> None:
    found = [kind for kind in _kinds() if issubclass(kind, Event)]
    assert len(found) > 25
    for kind in found:
        fields: dict[str, Any] = dict.fromkeys(kind.__struct_fields__, "x")
        assert level_of(kind(**fields)) in LEVELS


async def test_a_log_file_that_breaks_does_not_break_requests() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("no space left")

    async with house(ordered("a"), a=Script()) as (engine, books):
        log_to(engine._parts.trace, LogConfig(level="debug", format="json"), Full())
        assert (await engine.route(HI)).text == "fine"
        (told,) = books.of(events.Contained)
        assert (told.where, told.error) == ("listener", "OSError")
