"""Waiting for the store, where `durability` is `strict`: before money is spent, and after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from understudy.routing.purse import NO_STORE, Purse
from understudy_actors.dispatcher.flight import Flight
from understudy_actors.domain.candidate import EndpointSpec
from understudy_actors.domain.errors import ProviderError, StoreFailed, provider_error
from understudy_actors.domain.outcome import ErrorClass
from understudy_actors.domain.result import Result
from understudy_actors.keeper.actor import Desk, WhenKept
from understudy_actors.runtime.actor import Ref
from understudy_actors.runtime.errors import ActorDied, ActorError
from understudy_actors.runtime.ports import Clock

if TYPE_CHECKING:
    from understudy.store.keeping import Keeping

PATIENCE_S: Final = 5.0
"""How long a request waits for the store before it ends with an error."""


def durable_of(keeping: Keeping | None, purse: Purse | None, clock: Clock) -> Durable | None:
    """What requests wait by; None where they never do."""
    if keeping is None or keeping.config.durability != "strict":
        return None
    return Durable(keeping.keeper, keeping.desk, purse, clock)


class Durable:
    """Makes a request wait until what it did outlives the process.

    Attributes:
        purse: Who lends money; None as long as there are no budgets.
    """

    def __init__(self, keeper: Ref, desk: Desk, purse: Purse | None, clock: Clock) -> None:
        self._keeper = keeper
        self._desk = desk
        self.purse = purse
        self._clock = clock

    async def cover(self, attempt: int, spec: EndpointSpec, deadline: float) -> None:
        """Wait until the store knows that this attempt may spend what was reserved for it.

        `deadline` is the request's.

        Raises:
            ProviderError: (INTERNAL) It does not come to know; nothing may be sent.
        """
        if self.purse is None or not self.purse.uncovered(attempt):
            return
        if not await self._kept(min(deadline, self._clock.now() + PATIENCE_S)):
            raise self._not_covered(spec)

    async def settled(self, flight: Flight, result: Result | None = None) -> StoreFailed | None:
        """Wait until all that this request did is kept; what to raise if that fails.

        `result` is what came of it, if that is known yet.

        Without budgets a store that cannot be written stands in nobody's way.
        """
        if not flight.attempts:
            return None
        if self.purse is None and self._desk.failing is not None:
            return None
        until = min(flight.deadline, self._clock.now() + PATIENCE_S)
        if await self._kept(until) or self.purse is None:
            return None
        why = self._desk.failing or "it did not answer in time"
        unkept = StoreFailed(
            f"the answer is here, in `result`, but {NO_STORE}{why}: if this process ends now, what "
            "it cost is charged as its worst case",
            attempts=flight.attempts,
            request_id=flight.id,
        )
        unkept.result = result
        return unkept

    async def _kept(self, until: float) -> bool:
        return await when_kept(self._keeper, until)

    def _not_covered(self, spec: EndpointSpec) -> ProviderError:
        why = self._desk.failing or "it did not answer in time"
        return provider_error(
            ErrorClass.INTERNAL,
            f"nothing was sent to {spec.name}, since {NO_STORE}{why}. Mend the store, or set "
            '`store.durability = "batched"`',
            provider=spec.provider,
            model=spec.model,
        )


async def when_kept(keeper: Ref, until: float) -> bool:
    """Wait until all that happened before outlives the process; False: not until then."""
    while True:
        try:
            return bool(await keeper.ask(WhenKept(), until))
        except ActorDied:
            continue  # whoever waited is forgotten, what is to be written is not
        except ActorError:
            return False
