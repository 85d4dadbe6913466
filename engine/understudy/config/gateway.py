"""The HTTP service: where it listens, who may use it, and who may run it."""

from __future__ import annotations

from typing import Annotated, ClassVar, TypeAlias

from msgspec import Meta, field

from understudy.config.key import KeySource
from understudy.config.section import Section
from understudy.config.values import Count, ModelName, Name, Text

Port: TypeAlias = Annotated[
    int, Meta(ge=0, le=65535, extra={"should": "the number of a port, 0 to 65535"})
]


class CallerConfig(Section, frozen=True, kw_only=True):
    """One caller's key. Budgets and limits of this name apply to it (`key = "NAME"`).

    Attributes:
        key: The key itself, from the environment or a file.
        models: The only models and groups that it may ask for; left out, all.
        user: Whom its requests are accounted to, whatever they say themselves.
        team: Whose team that is, whatever they say.
        tenant: Whose share they count in, whatever they say.
    """

    title: ClassVar[str] = "a caller of the gateway"
    should: ClassVar[str] = 'a key source such as "env:NAME", or a table'

    key: KeySource
    models: tuple[ModelName, ...] | None = None
    user: Text | None = None
    team: Text | None = None
    tenant: Text | None = None


class GatewayConfig(Section, frozen=True, kw_only=True):
    """`understudy serve`.

    Attributes:
        host: The address to listen on. Without keys it must be this machine's own.
        port: The port to listen on; 0 is any free one.
        keys: Callers by a name of your choice; whoever has none of their keys is refused.
        admin_key: What the admin paths want; left out, there are none.
        body_max: Bytes of a request at most.
        concurrent_max: Requests at the same time.
    """

    title: ClassVar[str] = "the gateway"

    host: Text = "127.0.0.1"
    port: Port = 8400
    keys: dict[Name, CallerConfig] = field(default_factory=dict)
    admin_key: KeySource | None = None
    body_max: Count = 32 * 1024 * 1024
    concurrent_max: Count = 10_000
