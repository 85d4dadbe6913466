"""How another provider may go on with an answer that broke off: a pure decision.

In this order: it continues from what was delivered, given as the beginning of its own turn
(prefill); or it answers anew, and is compared with what was delivered (splice). Neither across a
function call, whose pieces mean nothing without each other; no prefill inside an answer that must
follow a JSON schema, since nobody could tell whether the two halves make one document. Nor after a
few characters only: a target that repeats what it was given could not be told from one that goes on
with the same characters.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from understudy.streaming.splice import Echo, Splice
from understudy_actors.domain.candidate import EndpointSpec
from understudy_actors.domain.request import ChatInput, Message, Request

PREFILL: Final = "prefill"
"""The capability of a model to continue a turn of its own that it is given; also a way to go on."""
SPLICE: Final = "splice"
PREFILL_CHARS_MIN: Final = 8
_CHARS_PER_TOKEN: Final = 4


class Plan(Struct, frozen=True):
    """What to ask, and what its answer goes through before anything of it is delivered.

    `how` is `prefill` or `splice`; None for an answer that has its beginning before it.
    """

    request: Request
    through: Splice | Echo | None = None
    how: str | None = None


def plan(
    spec: EndpointSpec, request: Request, delivered: str, *, refused: bool = False
) -> Plan | None:
    """How this endpoint can go on; None if it cannot.

    Args:
        spec: Whom to ask.
        request: What the caller wants.
        delivered: The text that the caller has already.
        refused: Has this endpoint refused to continue a turn before?
    """
    if not delivered:
        return Plan(request)
    asked = request.input
    assert isinstance(asked, ChatInput)
    kept = delivered.rstrip()  # a turn that ends in blanks is refused
    able = PREFILL in spec.capabilities and not refused and asked.json_schema is None
    if able and len(kept) >= PREFILL_CHARS_MIN:
        limit = asked.max_tokens
        if limit is not None:
            limit = max(1, limit - len(delivered) // _CHARS_PER_TOKEN)
        turns = (*asked.messages, Message("assistant", kept))
        going_on = replace(request, input=replace(asked, messages=turns, max_tokens=limit))
        return Plan(going_on, Echo(delivered, Splice(delivered[len(kept) :])), PREFILL)
    if len(delivered) <= spec.stream.splice_max_chars:
        return Plan(request, Splice(delivered), SPLICE)
    return None
