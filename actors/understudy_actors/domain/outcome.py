"""How an attempt may end, and what each end means for the provider and for the request.

An adapter turns a response into an `ErrorClass` (with rules that are data, beside the adapter).
`POLICY` says what follows from it, for the provider and for the request.
"""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import Final

from msgspec import Struct


class Verdict(enum.Enum):
    """What one attempt says about the endpoint that made it."""

    OK = "ok"  # it works
    FAIL = "failed"  # evidence against it
    THROTTLE = "throttled"  # it works, but it is full
    NEUTRAL = "neutral"  # dispatched, says nothing about health
    VOID = "void"  # never dispatched


class Scope(enum.Enum):
    """Whose fault it is, from narrow to wide."""

    ENDPOINT = "endpoint"  # one model of one provider
    ACCOUNT = "account"  # everything behind one key
    DOMAIN = "domain"  # everything behind one address (a configured `failure_domain`)


class ErrorClass(enum.StrEnum):
    """Every way in which an attempt can fail, as far as routing cares."""

    AUTH = "auth"
    PERMISSION = "permission"
    QUOTA = "quota"  # credit, billing, hard spend limits
    RATE_LIMIT = "rate_limit"
    OVERLOADED = "overloaded"  # 529, 503 with a code or Retry-After: full, not broken
    CONTEXT_LENGTH = "context_length"
    CONTENT_POLICY = "content_policy"
    MODEL_NOT_FOUND = "model_not_found"
    BAD_REQUEST = "bad_request"
    TIMEOUT = "timeout"  # the provider answered that it timed out (408, 504, 524)
    SILENT = "silent"  # no answer within our limit
    STALLED = "stalled"  # a stream: no first token, or no further one, within our limit for that
    CONNECT = "connect"  # nothing was sent: refused, DNS, TLS
    RESET = "reset"  # broken after the request was sent
    SERVER = "server"  # other 5xx
    MALFORMED = "malformed"  # an answer that is none: truncated, HTML, an error in a 200
    CONFLICT = "conflict"  # 409, 425
    PREFILL = "prefill"  # it does not go on with an answer that another one began
    DIVERGED = "diverged"  # its answer is another one than what was delivered already
    ADAPTER = "adapter"  # the adapter's or the user's own code raised
    CANCELLED = "cancelled"  # the caller left
    INTERNAL = "internal"  # our own fault


class HoldKind(enum.Enum):
    """Why a scope waits, apart from any breaker."""

    RATE = "rate limited"
    BUSY = "busy"
    CREDIT = "credit exhausted"
    AUTH = "key refused"
    MODEL = "model not found"
    MANUAL = "held by hand"


class Policy(Struct, frozen=True):
    """What follows from an error class.

    Attributes:
        verdict: For the scope named here; a wider one hears OK if any response arrived,
            a narrower one nothing.
        scope: Who is to blame.
        here: May the same endpoint be asked again within the request?
        elsewhere: May another one be asked?
        hold: The hold it sets, if any; on the account for CREDIT and AUTH, else on the endpoint.
        billed: May the provider charge for the attempt although it failed?
    """

    verdict: Verdict
    scope: Scope = Scope.ENDPOINT
    here: bool = False
    elsewhere: bool = True
    hold: HoldKind | None = None
    billed: bool = False


_FAIL, _NEUTRAL, _THROTTLE = Verdict.FAIL, Verdict.NEUTRAL, Verdict.THROTTLE

POLICY: Final = MappingProxyType(
    {
        ErrorClass.AUTH: Policy(_NEUTRAL, Scope.ACCOUNT, hold=HoldKind.AUTH),
        ErrorClass.PERMISSION: Policy(_NEUTRAL, Scope.ACCOUNT, hold=HoldKind.AUTH),
        ErrorClass.QUOTA: Policy(_NEUTRAL, Scope.ACCOUNT, hold=HoldKind.CREDIT),
        ErrorClass.RATE_LIMIT: Policy(_THROTTLE, here=True, hold=HoldKind.RATE),
        ErrorClass.OVERLOADED: Policy(_THROTTLE, here=True, hold=HoldKind.BUSY),
        ErrorClass.CONTEXT_LENGTH: Policy(_NEUTRAL, elsewhere=True),
        ErrorClass.CONTENT_POLICY: Policy(_NEUTRAL, elsewhere=False, billed=True),
        ErrorClass.MODEL_NOT_FOUND: Policy(_NEUTRAL, hold=HoldKind.MODEL),
        ErrorClass.BAD_REQUEST: Policy(_NEUTRAL, elsewhere=False),
        ErrorClass.TIMEOUT: Policy(_FAIL, here=True, billed=True),
        ErrorClass.SILENT: Policy(_FAIL, billed=True),
        ErrorClass.STALLED: Policy(_FAIL, billed=True),
        ErrorClass.CONNECT: Policy(_FAIL, Scope.DOMAIN, here=True),
        ErrorClass.RESET: Policy(_FAIL, Scope.DOMAIN, here=True, billed=True),
        ErrorClass.SERVER: Policy(_FAIL, here=True),
        ErrorClass.MALFORMED: Policy(_FAIL, billed=True),
        ErrorClass.CONFLICT: Policy(_NEUTRAL, here=True),
        ErrorClass.PREFILL: Policy(_NEUTRAL, here=True),
        ErrorClass.DIVERGED: Policy(_NEUTRAL, billed=True),
        ErrorClass.ADAPTER: Policy(_FAIL, billed=True),
        ErrorClass.CANCELLED: Policy(_NEUTRAL, elsewhere=False, billed=True),
        ErrorClass.INTERNAL: Policy(_NEUTRAL, elsewhere=False),
    }
)
"""The row for each class. CONTEXT_LENGTH goes elsewhere only to an endpoint with a larger window,
CONTENT_POLICY only where the configuration says so."""
