"""What operators write to have a key made or changed: on a command line, or as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from understudy.config.faults import BadKey, at
from understudy.config.redact import plain_table
from understudy.config.section import build
from understudy.config.terms import KeyTerms, moment
from understudy.config.values import Name, parse_duration
from understudy.keys.ring import KeyRecord

_END: Final = 'must be a length of time such as "30d", or a date such as "2027-01-31"'


def end_of(value: object, wall: float) -> float | None:
    """When a key ends, in Unix seconds: after a time such as "30d", or at a date; None: never.

    Raises:
        BadKey: It is neither.
    """
    if value is None:
        return None
    try:
        return wall + parse_duration(value)
    except BadKey:
        pass
    try:
        return moment(str(value))
    except BadKey:
        raise BadKey(_END) from None


def wanted(body: Mapping[str, Any], wall: float) -> tuple[str | None, KeyTerms, float | None]:
    """The name, the terms and the end of a key to be made.

    Raises:
        BadKey: A field is unknown or wrong.
    """
    rest = dict(body)
    name, end = rest.pop("name", None), rest.pop("expires", None)
    if name is not None:
        at("name", lambda: build(Name, name))
    return name, KeyTerms.read(rest), at("expires", lambda: end_of(end, wall))


def changing(body: Mapping[str, Any], wall: float) -> Callable[[KeyRecord], KeyRecord]:
    """Changes a record as `body` says; what it leaves out stays, and null takes a term away.

    Raises: as `wanted`, also when it is called.
    """
    rest = dict(body)
    ends = "expires" in rest
    end = at("expires", lambda: end_of(rest.pop("expires", None), wall))

    def change(record: KeyRecord) -> KeyRecord:
        terms = KeyTerms.read({**plain_table(record.terms), **rest})
        return replace(record, terms=terms, expires_at=end if ends else record.expires_at)

    return change
