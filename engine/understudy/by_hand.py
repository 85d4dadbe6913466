"""The verbs for whoever runs an engine: what is done by hand, and holds until it is undone."""

from __future__ import annotations

from understudy.controls import Controls
from understudy_actors.dispatcher.strategies.base import Strategy
from understudy_actors.provider.messages import Admin


class ByHand:
    """Holds, breakers and strategies. A provider is named by its name, or `provider/model`."""

    _controls: Controls
    _brought: set[str]

    def hold(self, name: str, *, seconds: float | None = None) -> None:
        """Give a provider (or `provider/model`) no requests, for a time or until `release`.

        As all of these, it raises `InvalidRequest` if there is no such provider.
        """
        self._controls.hold(name, seconds)

    def release(self, name: str) -> None:
        """End every hold of a provider (or of `provider/model`)."""
        self._controls.release(name)

    def reset(self, name: str | None = None) -> None:
        """Forget what was observed of a provider, of `provider/model`, or of all: breakers close.

        A provider whose actor was given up starts again.
        """
        self._controls.reset(name)

    def isolate(self, name: str) -> None:
        """Open a breaker by hand: it refuses everything until `enable`."""
        self._controls.administer(name, Admin.ISOLATE)

    def disable(self, name: str) -> None:
        """Switch a breaker off: it admits everything and counts nothing until `enable`."""
        self._controls.administer(name, Admin.DISABLE)

    def enable(self, name: str) -> None:
        """End `isolate` or `disable`."""
        self._controls.administer(name, Admin.ENABLE)

    def set_strategy(self, strategy: str | Strategy, *, operation: str | None = None) -> None:
        """Use another strategy from now on, for the engine or for one operation.

        Raises:
            InvalidRequest: There is no strategy or operation of that name.
        """
        self._controls.set_strategy(strategy, operation)
        self._brought.add(strategy if isinstance(strategy, str) else strategy.name)
