"""What a strategy is: a pure ordering of candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from msgspec import Struct

from understudy_actors.domain import price
from understudy_actors.domain.candidate import Candidate, EndpointSpec
from understudy_actors.domain.request import Request, pictures
from understudy_actors.runtime.ports import Stream


class View(Struct, eq=False, gc=False):
    """What a strategy may know beside the candidates.

    Attributes:
        now: Seconds on the engine's clock.
        request: What is asked for.
        input_tokens, output_tokens: Estimates.
        draws: The only source of chance, so that a seed replays every order.
    """

    now: float
    request: Request
    input_tokens: int
    output_tokens: int
    draws: Stream

    def price_usd(self, candidate: Candidate) -> float | None:
        """Expected price of this request at `candidate` in USD; None if it is unknown.

        A candidate with calls of its free quota left costs nothing.
        """
        if candidate.free_left:
            return 0.0
        return expected_usd(candidate.spec, self.input_tokens, self.output_tokens, self.request)


def expected_usd(
    spec: EndpointSpec, input_tokens: int, output_tokens: int, request: Request | None = None
) -> float | None:
    """Price in USD of so many tokens, and of the pictures of `request`; None if it is unknown."""
    if spec.price is None:
        return None
    images = pictures(request) if request is not None and spec.price.image_usd else 0
    return price.expected_usd(spec.price, input_tokens, output_tokens, images)


@runtime_checkable
class Strategy(Protocol):
    """Orders the candidates of one tier, best first.

    Law: the result is a permutation of `candidates`, and depends only on them, on `view` and on
    what the strategy itself remembers of earlier calls. All its chance comes from `view.draws`. It
    keeps nothing of `candidates` and changes nothing of them.
    """

    name: str

    def rank(self, candidates: Sequence[Candidate], view: View) -> Sequence[Candidate]:
        """Return `candidates`, best first. There is at least one."""
        ...
