"""The health checks at an interval: one task for each provider that is checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs
import trio

from understudy.config import Config, HealthCheckConfig
from understudy.inspection import keep_checking

if TYPE_CHECKING:
    from understudy.assembly import Parts


@attrs.define(eq=False, slots=True)
class Rounds:
    """Starts and ends the tasks that check."""

    _going: dict[str, tuple[HealthCheckConfig, trio.CancelScope]] = attrs.Factory(dict)

    def follow(self, parts: Parts, nursery: trio.Nursery) -> None:
        """Check as the configuration says from now on; who is checked as before goes on."""
        wanted = _wanted(parts.config)
        for name, (rule, scope) in list(self._going.items()):
            if wanted.get(name) != rule:
                del self._going[name]
                scope.cancel()
        for name, rule in wanted.items():
            if name not in self._going:
                scope = trio.CancelScope()
                self._going[name] = rule, scope
                nursery.start_soon(_check, parts, name, rule, scope, name=f"check {name}")


def _wanted(config: Config) -> Mapping[str, HealthCheckConfig]:
    if not config.monitoring:
        return {}
    checked = ((name, each) for name, each in config.providers.items() if each.enabled)
    return {name: rule for name, each in checked if (rule := each.health_check) is not None}


async def _check(parts: Parts, name: str, rule: HealthCheckConfig, scope: trio.CancelScope) -> None:
    with scope:
        await keep_checking(parts, name, rule)
