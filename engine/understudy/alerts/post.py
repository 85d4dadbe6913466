"""Tells webhooks: off every request's way, in a task of its own for each place that is told.

A listener judges an event and puts what there is to tell into a bounded line; that is all that a
request ever pays. The task takes it from there. A webhook that is dead, slow or full of errors
costs its own messages and nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import attrs
import msgspec
import trio

from understudy.alerts.watch import Alert, Watch
from understudy.config.alerts import AlertConfig
from understudy.config.faults import BadKey
from understudy.secret import Secret
from understudy.telemetry.containment import Containment
from understudy.transport.http import HttpRequest, Transport, TransportFailed
from understudy_actors.domain.alert_events import AlertLost, AlertRaised
from understudy_actors.domain.events import Event
from understudy_actors.runtime.ports import Clock
from understudy_actors.runtime.trace import Trace

LINE_MAX: Final = 100
"""Messages that wait for one webhook; further ones are lost, and counted."""
WAITS_S: Final = (1.0, 5.0)
"""Waits before the second and the third try."""
TRY_S: Final = 10.0
"""Limit of one try."""
_AGAIN: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


def payload(alert: Alert, name: str, wall: float) -> bytes:
    """The body of a message: `text` for chat systems, everything else under `alert`."""
    at = datetime.fromtimestamp(wall, UTC).isoformat(timespec="seconds")
    mark = {"raised": "ALERT", "resolved": "resolved", "test": "test"}[alert.state]
    told = {"name": name, "at": at, **msgspec.to_builtins(alert)}
    return msgspec.json.encode({"text": f"understudy {mark}: {alert.text}", "alert": told})


async def post(transport: Transport, url: Secret, body: bytes) -> str | None:
    """Try once. None if it was taken; else why not, without the address.

    A reason that ends in `!` will not change by trying again.
    """
    request = HttpRequest("POST", url.reveal(), {"content-type": "application/json"}, body)
    with trio.move_on_after(TRY_S):
        try:
            status = (await transport.send("alerts", request)).status
        except TransportFailed:
            return "nobody answered"
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return None
        for_good = status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _AGAIN
        return f"it answered {status}{'!' if for_good else ''}"
    return f"no answer within {TRY_S:g} s"


@attrs.define(eq=False)
class Teller:
    """Tells one place. `hear` is a listener; `run` is its task, and ends only by being cancelled.

    Attributes:
        lost: Messages that found no room, since the last one that was told.
    """

    config: AlertConfig
    url: Secret | None
    transport: Transport
    clock: Clock
    trace: Trace
    contain: Containment
    lost: int = 0
    _watch: Watch = attrs.field(init=False)
    _line: deque[Alert] = attrs.field(factory=deque, init=False)
    _woken: trio.Event = attrs.field(factory=trio.Event, init=False)
    _idle: trio.Event = attrs.field(factory=trio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        self._watch = Watch(self.config)
        self._idle.set()

    def hear(self, _seq: int, event: Event) -> None:
        """Judge an event. It is told of later."""
        alert = self._watch.hear(event)
        if alert is not None:
            self.offer(alert)

    def offer(self, alert: Alert) -> None:
        """Put a message into the line, if there is room."""
        if len(self._line) >= LINE_MAX:
            self.lost += 1
            return
        self._line.append(alert)
        self._idle = trio.Event() if self._idle.is_set() else self._idle
        self._woken.set()

    async def run(self) -> None:
        """Tell one message after the other; a fault of our own costs the one it is about."""
        while True:
            while self._line:
                alert = self._line.popleft()
                try:
                    await self._tell(alert)
                except Exception as error:
                    self.contain("alerts", self.config.name, error, "this message was lost")
            self._idle.set()
            self._woken = trio.Event()
            await self._woken.wait()

    async def finish(self) -> None:
        """Wait until nothing is left to tell."""
        await self._idle.wait()

    async def _tell(self, alert: Alert) -> None:
        name, now = self.config.name, self.clock.now()
        about = {"alert": name, "about": alert.about, "subject": alert.subject}
        if self.lost:
            self._say_lost("there was no room", 0, about, self.lost)
            self.lost = 0
        if self.trace.on:
            told = AlertRaised(at_s=now, state=alert.state, text=alert.text, **about)
            self.trace.emit(told)
        if self.url is None:
            return
        body = payload(alert, name, self.clock.wall())
        why, tries = await post(self.transport, self.url, body), 1
        for wait_s in WAITS_S:
            if why is None or why.endswith("!"):
                break
            await trio.sleep(wait_s)
            why, tries = await post(self.transport, self.url, body), tries + 1
        if why is not None:
            self._say_lost(why.rstrip("!"), tries, about)

    def _say_lost(self, why: str, tries: int, about: Mapping[str, str], lost: int = 1) -> None:
        if self.trace.on:
            at_s = self.clock.now()
            self.trace.emit(AlertLost(at_s=at_s, why=why, tries=tries, lost=lost, **about))


def address_of(config: AlertConfig, environ: Mapping[str, str], place: int) -> Secret | None:
    """The webhook of a section; None if only the log is told.

    Raises:
        ConfigError: It cannot be read, or holds no address.
    """
    if config.url is None:
        return None
    path = f"alerts[{place}].url"
    url = config.url.resolve(environ, path)
    parts = urlsplit(url.reveal())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadKey("must hold an http or https address (not shown here)", path)
    return url


def tellers(
    configs: tuple[AlertConfig, ...],
    environ: Mapping[str, str],
    transport: Transport,
    clock: Clock,
    trace: Trace,
    contain: Containment,
) -> tuple[Teller, ...]:
    """One for each section, which hears nothing yet.

    Raises:
        ConfigError: An address cannot be read.
    """
    return tuple(
        Teller(each, address_of(each, environ, place), transport, clock, trace, contain)
        for place, each in enumerate(configs)
    )
