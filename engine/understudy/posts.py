"""The actors that route, and what the next incarnation of each starts from.

An actor that crashed comes back under the configuration of then, not under that of its first start:
so whatever is told to it stands here as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import attrs

from understudy.routing.wiring import Flights
from understudy.store.keeping import Keeping
from understudy.telemetry.containment import Containment
from understudy_actors.dispatcher.actor import Dispatcher
from understudy_actors.dispatcher.messages import GateChanged
from understudy_actors.dispatcher.plans import Configure, Plan
from understudy_actors.domain.candidate import Candidate
from understudy_actors.provider.account import ProviderSnapshot
from understudy_actors.provider.actor import ProviderActor
from understudy_actors.provider.messages import Adopt
from understudy_actors.runtime.actor import ChildSpec, Ref, Start
from understudy_actors.runtime.mailbox import Lane
from understudy_actors.runtime.supervisor import Supervisor


@attrs.define(eq=False, slots=True)
class _Gate:
    """Tells the dispatcher of gates that changed; before there is one, nobody needs to know."""

    dispatcher: Ref | None = None

    def __call__(self, candidate: Candidate) -> None:
        if self.dispatcher is not None:
            self.dispatcher.tell(GateChanged(candidate), Lane.CONTROL)


class Posts:
    """Starts, tells and dismisses provider actors and the dispatcher.

    Attributes:
        providers: By name; those too that take nothing new, while what they do is under way.
        dispatcher: Who ranks; it depends on the providers and starts after them.
    """

    dispatcher: Ref

    def __init__(
        self,
        supervisor: Supervisor,
        flights: Flights,
        contained: Containment,
        keeping: Keeping | None,
    ) -> None:
        self._supervisor = supervisor
        self._flights = flights
        self._contained = contained
        self._keeping = keeping
        self._gate = _Gate()
        self._ran: set[str] = set()
        self._adopted: dict[str, Adopt] = {}
        self._configured: Configure | None = None
        self.providers: dict[str, Ref] = {}

    def hire(self, wanted: Mapping[str, Adopt]) -> None:
        """Start provider actors, all of them or none.

        Raises:
            Exception: Whatever one of them raised.
        """
        hired: list[str] = []
        try:
            for name, message in wanted.items():
                self._adopted[name] = message
                hired.append(name)
                self.providers[name] = self._supervisor.spawn(self._provider(name))
        except BaseException:
            self.dismiss(hired)
            raise
        self._ran.update(wanted)

    def start_dispatcher(self, plan: Plan) -> None:
        """Start the dispatcher, once."""
        self._configured = Configure(plan)
        self.dispatcher = self._gate.dispatcher = self._supervisor.spawn(self._dispatcher())

    def adopt(self, name: str, message: Adopt) -> None:
        """Give a provider another configuration."""
        self._adopted[name] = message
        self.providers[name].tell(message, Lane.CONTROL)

    def configure(self, message: Configure) -> None:
        """Give the dispatcher other plans."""
        self._configured = message
        self.dispatcher.tell(message, Lane.CONTROL)

    def dismiss(self, names: Iterable[str]) -> None:
        """Stop provider actors whose work is done."""
        for name in names:
            self._adopted.pop(name, None)
            if self.providers.pop(name, None) is not None:
                self._supervisor.remove(f"provider/{name}")

    def but(self, these: Collection[str]) -> list[str]:
        """The providers whose actors run, but for these."""
        return [name for name in self.providers if name not in these]

    def _provider(self, name: str) -> ChildSpec:
        known: ProviderSnapshot | None = None
        if self._keeping is not None and name not in self._ran:  # else that is an old story
            known = self._keeping.provider(name)

        def start(begin: Start) -> ProviderActor:
            adopted = self._adopted[name]
            return ProviderActor(
                begin.context,
                adopted.settings,
                adopted.candidates,
                self._flights.permits,
                self._gate,
                begin.snapshot if begin.incarnation > 1 else known,
                begin.poison,
                adopted.elders,
            )

        return ChildSpec(f"provider/{name}", start, max_restarts=5, period_s=30.0)

    def _dispatcher(self) -> ChildSpec:
        def start(begin: Start) -> Dispatcher:
            configured = self._configured
            assert configured is not None
            plan = configured.plan
            return Dispatcher(
                begin.context,
                plan.settings,
                plan.candidates,
                self._contained,
                begin.snapshot,
                generation=plan.generation,
                earlier=configured.earlier,
            )

        return ChildSpec("dispatcher", start, max_restarts=3, period_s=60.0, retry_after_s=None)
