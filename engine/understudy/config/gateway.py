"""The HTTP service: where it listens, who may use it, and who may run it."""

from __future__ import annotations

from typing import Annotated, ClassVar, TypeAlias

from msgspec import Meta, field

from understudy.config.faults import BadKey, at
from understudy.config.key import KeySource
from understudy.config.section import Section
from understudy.config.terms import KeyTerms, moment
from understudy.config.values import Count, Name, SecondsOrZero, Text

Port: TypeAlias = Annotated[
    int, Meta(ge=0, le=65535, extra={"should": "the number of a port, 0 to 65535"})
]
KeyHash: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^[0-9a-f]{16}:[0-9a-f]{32}:[0-9a-f]{64}$(?!\n)",
        extra={"should": "the hash that `understudy keys create` printed"},
    ),
]


class CallerConfig(KeyTerms, frozen=True, kw_only=True):
    """One caller's key, and its terms. Budgets and limits of this name apply to it too.

    Attributes:
        key: The key itself, from the environment or a file.
        key_hash: Or its hash, as `understudy keys create` prints it: whoever reads that can neither
            use the key nor find it out.
        expires: A date or time from which it is refused, such as "2027-01-31"; UTC's unless it
            says whose.
    """

    title: ClassVar[str] = "a caller of the gateway"

    key: KeySource | None = None
    key_hash: KeyHash | None = None
    expires: Text | None = None

    def check(self) -> None:
        """The key is given in one way, and its end is a time."""
        super().check()
        if (self.key is None) == (self.key_hash is None):
            raise BadKey("must be there or `key_hash`, one of the two", "key")
        if self.expires is not None:
            at("expires", lambda: moment(self.expires or ""))

    @property
    def expires_at(self) -> float | None:
        """When it ends, in Unix seconds."""
        return None if self.expires is None else moment(self.expires)


class GatewayConfig(Section, frozen=True, kw_only=True):
    """`understudy serve`.

    Attributes:
        host: The address to listen on. Without keys it must be this machine's own.
        port: The port to listen on; 0 is any free one.
        keys: Callers by a name of your choice; whoever has none of their keys is refused.
        require_keys: True refuses everybody without a key, even while there is no key yet.
        admin_key: What the admin paths want; left out, there are none.
        body_max: Bytes of a request at most.
        concurrent_max: Requests at the same time.
        drain: How long requests under way have when the gateway is told to end; then they are told
            so (503, or an error within the stream).
    """

    title: ClassVar[str] = "the gateway"

    host: Text = "127.0.0.1"
    port: Port = 8400
    keys: dict[Name, CallerConfig] = field(default_factory=dict)
    require_keys: bool = False
    admin_key: KeySource | None = None
    body_max: Count = 32 * 1024 * 1024
    concurrent_max: Count = 10_000
    drain_s: SecondsOrZero = field(default=30.0, name="drain")
