"""The gateway's configuration, read anew: the engine's, and who may come in under it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from understudy.config import Config
from understudy.config.faults import BadKey
from understudy.config.gateway import GatewayConfig
from understudy.differences import Reloaded
from understudy.gateway.desk import Desk
from understudy.gateway.guard import Guard
from understudy.gateway.limits import limits_of
from understudy_actors.domain.errors import UnderstudyError
from understudy_actors.domain.reload_events import ConfigReloaded

FIXED = ("host", "port", "drain_s")
"""What a gateway keeps from its start to its end."""


class LastReload(Struct, frozen=True, kw_only=True):
    """How the last reload ended.

    Attributes:
        at: When, in Unix seconds.
        ok: Whether it was taken; if not, what served before serves on.
        error: Why it was not.
    """

    at: float
    ok: bool
    error: str | None = None


class Renewal:
    """Reloads, one at a time.

    Attributes:
        last: How the last one ended; None before the first.
    """

    def __init__(
        self,
        desk: Desk,
        began: GatewayConfig,
        read: Callable[[], Config | None],
        admit: Callable[[GatewayConfig], Guard],
        reload: Callable[[Any, Config | None], Awaitable[Reloaded]] | None = None,
    ) -> None:
        """Make one.

        Args:
            desk: Whose engine, guard and limits they are.
            began: What the gateway was started with.
            read: Reads the configuration; None: what is found here is served.
            admit: The guard that a configuration asks for; it raises where that cannot be.
            reload: Reloads an engine; left out, the engine's own verb.
        """
        self._desk = desk
        self._began = began
        self._read = read
        self._admit = admit
        self._reload = reload or _reload
        self._one = asyncio.Lock()
        self.last: LastReload | None = None

    async def reload(self) -> Reloaded:
        """Read the configuration and let it serve whoever comes from now on.

        Raises:
            UnderstudyError: It cannot serve; what served before serves on.
        """
        async with self._one:
            try:
                done = await self._take()
            except UnderstudyError as error:
                self.last = LastReload(at=self._desk.wall(), ok=False, error=str(error))
                self._desk.complain("gateway.reload_refused", str(error))
                raise
            self.last = LastReload(at=self._desk.wall(), ok=True)
            return done

    async def _take(self) -> Reloaded:
        config, desk = self._read(), self._desk
        own = GatewayConfig() if config is None else config.gateway
        for name in FIXED:
            if getattr(own, name) != getattr(self._began, name):
                key = name.removesuffix("_s")
                raise BadKey(
                    "cannot change while the gateway serves: restart to change it", key
                ).under("gateway")
        guard = self._admit(own)

        def swap(_seq: int = 0, event: object = None) -> None:
            if event is None or isinstance(event, ConfigReloaded):
                desk.guard.become(guard)
                desk.limits = limits_of(own)

        forget = desk.engine.listen(swap, fine=False)  # in the very step in which the engine does
        try:
            done = await self._reload(desk.engine, config)
        finally:
            forget()
        swap()  # keys that are others under the same words
        return done


async def _reload(engine: Any, config: Config | None) -> Reloaded:
    done: Reloaded = await engine.reload(config)
    return done
