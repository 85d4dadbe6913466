"""Who may come in.

The time it takes to refuse a key says nothing of how wrong it is: every key is hashed as often,
and compared with as many hashes, each whole. Keys that are known by their hash are found by the
public id in them; those that stand in the environment have none, and all of them are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from understudy.config.gateway import GatewayConfig
from understudy.config.terms import KeyTerms
from understudy.gateway.problem import Refused
from understudy.keys.ring import KeyRecord, Ring, why_not
from understudy.keys.token import Hashed, Hashing
from understudy.secret import Secret
from understudy_actors.domain.request import Request

_REFUSED = "the key is missing or wrong: send it as `authorization: Bearer KEY` or `x-api-key: KEY`"
_UNSALTED = b""
"""Keys of the environment are in this process as they are: a salt would hide nothing."""


class Caller(Struct, frozen=True):
    """Whose key it is, and what it is for."""

    name: str
    terms: KeyTerms = KeyTerms()
    expires_at: float | None = None

    def marked(self, request: Request) -> Request:
        """A request of this caller.

        Raises:
            Refused: It may not ask for that model.
        """
        terms = self.terms
        if not all(map(terms.allows, (request.model, *(request.fallbacks or ())))):
            known = ", ".join(terms.models or ())
            raise Refused(
                f"this key may not ask for that model; it may ask for: {known}",
                status=403,
                code="model_not_allowed",
                param="model",
            )
        own = {"user": terms.user, "team": terms.team, "tenant": terms.tenant}
        said = {name: value for name, value in own.items() if value is not None}
        labels = tuple(dict.fromkeys((*request.labels, *terms.tags)))
        return replace(request, key=self.name, labels=labels, **said)


class Guard:
    """Tells callers and operators by their keys. While there is no key everybody may come in.

    Attributes:
        ring: The keys that are known by their hash, once an engine is open.
    """

    def __init__(
        self,
        callers: Mapping[str, tuple[Secret, Caller]] | None = None,
        admin: Secret | None = None,
        *,
        hashed: bool = False,
        required: bool = False,
        wall: Callable[[], float] = lambda: 0.0,
        hashing: Hashing | None = None,
    ) -> None:
        """Keep hashes of the keys, and no key.

        Args:
            callers: Keys that are at hand, and whose they are.
            admin: The operators' key.
            hashed: More are known by their hash, and stand in the engine's ring.
            required: Nobody comes in without a key, even while there is none.
            wall: The time in Unix seconds.
            hashing: See `Hashing`.
        """
        self._hashing = hashing or Hashing()
        known = callers or {}
        self._callers = [(self._hash(secret.reveal()), caller) for secret, caller in known.values()]
        self._admin = None if admin is None else self._hash(admin.reveal())
        self._closed = bool(self._callers) or hashed or required
        self._wall = wall
        self.ring = Ring(hashing=self._hashing)

    def become(self, other: Guard) -> None:
        """From now on, who comes in there comes in here; the ring stays."""
        self._hashing, self._wall = other._hashing, other._wall
        self._callers, self._admin, self._closed = other._callers, other._admin, other._closed

    @property
    def open(self) -> bool:
        """May everybody use it? A key that was revoked does not open it again."""
        return not (self._closed or self.ring.records)

    def caller(self, headers: Mapping[str, str]) -> Caller | None:
        """Whose request it is; None if nobody needs a key.

        Raises:
            Refused: It carries none of the callers' keys, or one that is good no more.
        """
        if self.open:
            return None
        given, wall = _key_of(headers), self._wall()
        digest, found = self._hash(given), None
        for known, caller in self._callers:
            if self._hashing.same(known, digest):
                found = caller
        record = self.ring.find(given)
        if record is not None:
            return self._of(*record, wall)
        if found is None:
            raise _unknown(_REFUSED)
        if found.expires_at is not None and wall >= found.expires_at:
            raise _unknown("the key has expired: ask for another one")
        return found

    def visitor(self, headers: Mapping[str, str]) -> Caller | None:
        """Status, models and metrics are for callers, and for operators: None is an operator.

        Raises:
            Refused: It carries neither's key.
        """
        if self._admin is not None and self._is_admin(headers):
            return None
        return self.caller(headers)

    def admin(self, headers: Mapping[str, str]) -> None:
        """Only whoever has the operators' key goes on.

        Raises:
            Refused: It does not carry it, or there is none.
        """
        if self._admin is None:
            why = "no admin key is configured: set `gateway.admin_key`"
            raise Refused(why, status=403, code="no_admin_key")
        if not self._is_admin(headers):
            raise _unknown(_REFUSED)

    def _is_admin(self, headers: Mapping[str, str]) -> bool:
        assert self._admin is not None
        return self._hashing.same(self._admin, self._hash(_key_of(headers)))

    def _hash(self, key: str) -> bytes:
        return self._hashing.digest(_UNSALTED, key)

    def _of(self, record: KeyRecord, hashed: Hashed, wall: float) -> Caller:
        if (why := why_not(record, hashed, wall)) is not None:
            raise _unknown(f"the key {why}: ask for another one")
        return Caller(record.name, record.terms, record.expires_at)


def guard_of(
    config: GatewayConfig, environ: Mapping[str, str], wall: Callable[[], float] = lambda: 0.0
) -> Guard:
    """The guard that a configuration asks for; `wall` tells the time in Unix seconds.

    Raises:
        ConfigError: A key cannot be read.
    """
    callers = {
        name: (
            each.key.resolve(environ, f"gateway.keys.{name}.key"),
            Caller(name, each, each.expires_at),
        )
        for name, each in config.keys.items()
        if each.key is not None
    }
    admin = config.admin_key
    return Guard(
        callers,
        None if admin is None else admin.resolve(environ, "gateway.admin_key"),
        hashed=len(callers) < len(config.keys),
        required=config.require_keys,
        wall=wall,
    )


def _key_of(headers: Mapping[str, str]) -> str:
    if (given := headers.get("x-api-key")) is not None:
        return given.strip()
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _unknown(why: str) -> Refused:
    return Refused(why, status=401, code="invalid_api_key", kind="authentication_error")
