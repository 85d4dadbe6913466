"""What makes an account of a deployment: a provider without its models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from understudy.config.faults import BadKey, looks_secret
from understudy.config.imports.reading import REFERENCE, Draft, Piece, Table, listed, number
from understudy.config.imports.vendors import Vendor
from understudy.config.key import HeaderSource, carries_secret, check_headers
from understudy.config.provider import ProviderConfig
from understudy.config.section import build, keys_of
from understudy.config.streams import StreamConfig

_PROVIDER: Final = frozenset(each.encode_name for each in keys_of(ProviderConfig))


def account_of(draft: Draft, known: Vendor, params: Piece) -> Table:
    """All that makes a provider, but for its models."""
    account: Table = {"kind": known.kind.name}
    usual = known.base_url is None or known.base_url == known.kind.base_url
    if known.base_url is not None and not usual:
        account["base_url"] = known.base_url
    key = params.take("api_key")
    if key is not None:
        name = known.key_variable or f"{known.name}_API_KEY"
        account["key"] = draft.secret(key, name, params.at("api_key"))
    elif known.key_variable is not None and (
        not usual or known.key_variable != known.kind.key_variable
    ):
        account["key"] = f"env:{known.key_variable}"
    for foreign, ours in (
        ("timeout", "timeout"),
        ("max_parallel_requests", "concurrency"),
        ("region_name", "region"),
        ("api_version", "api_version"),
    ):
        if ours in _PROVIDER and (value := params.take(foreign)) is not None:
            value = number(draft.plain(value)) if ours != "api_version" else draft.plain(value)
            draft.put(account, ProviderConfig, ours, value, params.at(foreign), ours)
    _patience(draft, params, account)
    _retries(draft, params, account)
    if (tags := listed(params.take("tags"))) and draft.put(
        account, ProviderConfig, "tags", tags, params.at("tags")
    ):
        draft.notes.changed(params.at("tags"), "tags: a request that names some needs all of them")
    _headers(draft, params, account)
    if params.take("drop_params") is not None:
        draft.notes.carried(params.at("drop_params"), "fields that a target does not know stay out")
    return account


def _patience(draft: Draft, params: Piece, account: Table) -> None:
    value = number(draft.plain(params.take("stream_timeout")))
    if value is None:
        return
    stream: Table = {}
    path = params.at("stream_timeout")
    if draft.put(stream, StreamConfig, "first_token_max", value, path, "stream.first_token_max"):
        if value < StreamConfig().first_token_min_s:
            stream["first_token_min"] = value
        account["stream"] = stream


def _retries(draft: Draft, params: Piece, account: Table) -> None:
    for name in ("num_retries", "max_retries"):
        value = number(draft.plain(params.take(name)))
        if value is not None and draft.put(
            account, ProviderConfig, "retry", {"attempts": value}, params.at(name)
        ):
            draft.notes.changed(params.at(name), "retry.attempts: retries on this provider")


def _headers(draft: Draft, params: Piece, account: Table) -> None:
    headers: dict[str, Any] = {}
    for foreign, header in (
        ("organization", "OpenAI-Organization"),
        ("project", "OpenAI-Project"),
    ):
        if (value := params.take(foreign)) is not None:
            headers[header] = value, params.at(foreign)
    for foreign in ("extra_headers", "headers"):
        table = params.take(foreign)
        if isinstance(table, Mapping):
            for key, value in table.items():
                headers[str(key)] = value, f"{params.at(foreign)}.{key}"
        elif table is not None:
            draft.notes.dropped(params.at(foreign), "is no table")
    made: Table = {}
    for header, (value, path) in headers.items():
        if (text := _header(draft, header, value, path)) is not None:
            made[header] = text
    if made:
        account["headers"] = made


def _header(draft: Draft, header: str, value: Any, path: str) -> Any:
    """A header that can be sent; what may be a secret is taken out of the file."""
    text = str(value)
    secret = text.startswith(REFERENCE) or carries_secret(header) or looks_secret(text)
    made: Any = draft.secret(value, header, path) if secret else {"text": text}
    try:
        build(_HEADERS, {header: made}, hidden=True)
        check_headers({header: HeaderSource.read(made)})
    except BadKey as fault:
        draft.notes.dropped(path, f"is no header that can be sent: it {fault.problem}")
        return None
    if not secret:
        draft.notes.carried(path, "headers")
    return made if secret or ":" in text else text


_HEADERS: Final = next(e.type for e in keys_of(ProviderConfig) if e.encode_name == "headers")
