"""What happens to the configuration of a running engine."""

from __future__ import annotations

from understudy_actors.domain.events import Event


class ConfigReloaded(Event, frozen=True, kw_only=True, tag="config.reloaded"):
    """Whoever comes from now on is served under another configuration.

    `generation` counts them from 0. `changed` are the paths of the keys that say something else
    now, without their values; `added` and `removed` are providers. `running` requests were accepted
    under earlier configurations, and end under those.
    """

    generation: int
    changed: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    running: int
