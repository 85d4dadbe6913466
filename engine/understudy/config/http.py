"""How bytes are moved."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from understudy.config.section import Section

TransportName: TypeAlias = Literal["own", "httpx"]


class HttpConfig(Section, frozen=True, kw_only=True):
    """HTTP to the providers.

    Attributes:
        transport: `own` sends over connections of understudy's own, and through httpx only what
            the environment wants sent through a proxy; `httpx` sends everything through httpx.
    """

    title: ClassVar[str] = "HTTP"

    transport: TransportName = "own"
