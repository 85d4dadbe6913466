"""Limits a minute: of a provider, of a model, and of whoever asks."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from understudy.config.faults import BadKey
from understudy.config.section import Section
from understudy.config.values import Count, Name, Text
from understudy_actors.domain.rates import RateRule, Unit
from understudy_actors.ledger.account import Scope
from understudy_actors.limits.gate import RateLimit

_KINDS: Final = ("key", "user", "team", "tenant", "tag", "route", "operation")
_ENGINE: Final = Scope("engine")


class LimitConfig(Section, frozen=True, kw_only=True):
    """How much one scope may ask for in any minute, and at once; without a scope, all together.

    Attributes:
        key: Of the requests that came with this key to the engine (`Request.key`, its id); `*`
            gives every key such a limit, as it does every user, team, tenant, tag and route.
        user: Of the requests of this user.
        team: Of the requests of this team.
        tenant: Of the requests of this tenant.
        tag: Of the requests with this word among their `tags` or `labels`.
        route: Of the requests that asked for this model or group, or, if they named none, for this
            operation.
        operation: Of this operation.
        requests_per_minute: Requests, however many attempts each takes.
        tokens_per_minute: Tokens, prompt and answer together: what an answer may have is reserved,
            what it had is counted.
        input_tokens_per_minute: Tokens of prompts alone.
        output_tokens_per_minute: Tokens of answers alone.
        parallel: Requests at once.
    """

    title: ClassVar[str] = "a limit"

    key: Text | None = None
    user: Text | None = None
    team: Text | None = None
    tenant: Text | None = None
    tag: Text | None = None
    route: Text | None = None
    operation: Name | None = None
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    input_tokens_per_minute: Count | None = None
    output_tokens_per_minute: Count | None = None
    parallel: Count | None = None

    def check(self) -> None:
        """A limit has one scope, and limits something."""
        named = [each for each in _KINDS if getattr(self, each) is not None]
        if len(named) > 1:
            raise BadKey(
                f"cannot stand beside `{named[0]}`: a limit has one scope, write two limits",
                named[1],
            )
        if not rate_rule(self).any and self.parallel is None:
            raise BadKey(
                "limits nothing: give `requests_per_minute`, `tokens_per_minute` or `parallel`"
            )

    def limit(self) -> RateLimit:
        """The same as its gate keeps it."""
        scopes = (Scope(k, name) for k in _KINDS if (name := getattr(self, k)) is not None)
        return RateLimit(next(scopes, _ENGINE), rate_rule(self), self.parallel)


def rate_rule(section: Section) -> RateRule:
    """The limits a minute that stand in a section: a provider's, a model's or one of `limits`."""
    written: dict[str, Any] = {
        unit.value: getattr(section, f"{unit.value}_per_minute") for unit in Unit
    }
    return RateRule(**written)
