"""Who may come in. Keys are compared as digests, all of them and each whole, so that the time it
takes says nothing of how wrong one is.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest

from msgspec import Struct
from msgspec.structs import replace

from understudy.config.gateway import GatewayConfig
from understudy.gateway.problem import Refused
from understudy.secret import Secret
from understudy_actors.domain.request import Request

_REFUSED = "the key is missing or wrong: send it as `authorization: Bearer KEY` or `x-api-key: KEY`"


class Caller(Struct, frozen=True):
    """Whose key it is, what it may ask for, and whom that is accounted to."""

    name: str
    models: frozenset[str] | None = None
    user: str | None = None
    team: str | None = None
    tenant: str | None = None

    def marked(self, request: Request) -> Request:
        """A request of this caller.

        Raises:
            Refused: It may not ask for that model.
        """
        if self.models is not None and request.model not in self.models:
            known = ", ".join(sorted(self.models))
            raise Refused(
                f"this key may not ask for that model; it may ask for: {known}",
                status=403,
                code="model_not_allowed",
                param="model",
            )
        own = {"user": self.user, "team": self.team, "tenant": self.tenant}
        said = {name: value for name, value in own.items() if value is not None}
        return replace(request, key=self.name, **said)


class Guard:
    """Tells callers and operators by their keys. Without any caller's key everybody may come in."""

    def __init__(
        self,
        callers: Mapping[str, tuple[Secret, Caller]] | None = None,
        admin: Secret | None = None,
    ) -> None:
        """Keep digests of the keys, and no key."""
        known = callers or {}
        self._callers = [(_digest(secret.reveal()), caller) for secret, caller in known.values()]
        self._admin = None if admin is None else _digest(admin.reveal())

    @property
    def open(self) -> bool:
        """May everybody use it?"""
        return not self._callers

    def caller(self, headers: Mapping[str, str]) -> Caller | None:
        """Whose request it is; None if nobody needs a key.

        Raises:
            Refused: It carries none of the callers' keys.
        """
        if not self._callers:
            return None
        given, found = _digest(_key_of(headers)), None
        for digest, caller in self._callers:
            if compare_digest(digest, given):
                found = caller
        if found is None:
            raise _unknown()
        return found

    def visitor(self, headers: Mapping[str, str]) -> None:
        """Status, models and metrics are for callers, and for operators.

        Raises:
            Refused: It carries neither's key.
        """
        if self._admin is None or not compare_digest(self._admin, _digest(_key_of(headers))):
            self.caller(headers)

    def admin(self, headers: Mapping[str, str]) -> None:
        """Only whoever has the operators' key goes on.

        Raises:
            Refused: It does not carry it, or there is none.
        """
        if self._admin is None:
            why = "no admin key is configured: set `gateway.admin_key`"
            raise Refused(why, status=403, code="no_admin_key")
        if not compare_digest(self._admin, _digest(_key_of(headers))):
            raise _unknown()


def guard_of(config: GatewayConfig, environ: Mapping[str, str]) -> Guard:
    """The guard that a configuration asks for.

    Raises:
        ConfigError: A key cannot be read.
    """
    callers = {
        name: (
            each.key.resolve(environ, f"gateway.keys.{name}.key"),
            Caller(
                name,
                None if each.models is None else frozenset(each.models),
                each.user,
                each.team,
                each.tenant,
            ),
        )
        for name, each in config.keys.items()
    }
    admin = config.admin_key
    return Guard(callers, None if admin is None else admin.resolve(environ, "gateway.admin_key"))


def _key_of(headers: Mapping[str, str]) -> str:
    if (given := headers.get("x-api-key")) is not None:
        return given.strip()
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()


def _unknown() -> Refused:
    return Refused(_REFUSED, status=401, code="invalid_api_key", kind="authentication_error")
