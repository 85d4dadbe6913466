"""What callers may ask of a gateway, and how long it waits for them."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from understudy.config.gateway import GatewayConfig
from understudy.gateway.body import BODY_MAX


class Limits(Struct, frozen=True, kw_only=True):
    """What callers may ask of a gateway.

    Attributes:
        body_max: Bytes of a body.
        concurrent_max: Requests at the same time.
        pulse_s: A stream that is silent for so long says that it lives.
        send_s: A caller who takes nothing for so long is given up.
    """

    body_max: int = BODY_MAX
    concurrent_max: int = 10_000
    pulse_s: float = 12.0
    send_s: float = 60.0


DEFAULT: Final = Limits()


def limits_of(config: GatewayConfig) -> Limits:
    """Those that a configuration asks for."""
    return Limits(body_max=config.body_max, concurrent_max=config.concurrent_max)
