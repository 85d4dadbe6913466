"""`understudy keys`: make, show, change, replace and revoke the keys of a gateway's callers."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer
from typer import Argument, Option, Typer

from understudy.cli.options import AsJson, ConfigFile
from understudy.cli.output import console, emit, readable, table

if TYPE_CHECKING:
    from understudy.cli.key_desks import Document, KeyDesk

keys = Typer(name="keys", help="The keys of a gateway's callers.", no_args_is_help=True)

Url: TypeAlias = Annotated[
    str | None,
    Option(
        envvar="UNDERSTUDY_URL",
        metavar="URL",
        help="The gateway that runs, such as http://127.0.0.1:8400; its admin key is read from "
        "UNDERSTUDY_ADMIN_KEY. Left out, the store is written, if nobody holds it.",
    ),
]
Name: TypeAlias = Annotated[str, Argument(help="Whom the key stands for.")]
Models: TypeAlias = Annotated[
    list[str] | None,
    Option("--models", "-m", metavar="MODEL,...", help="Models and groups it may ask for, also *."),
]
Rpm: TypeAlias = Annotated[int | None, Option(min=1, help="Requests a minute.")]
Tpm: TypeAlias = Annotated[int | None, Option(min=1, help="Tokens a minute.")]
Parallel: TypeAlias = Annotated[int | None, Option(min=1, help="Requests at once.")]
Budget: TypeAlias = Annotated[
    list[str] | None, Option(metavar="USD/WINDOW", help='Such as "10/day"; for each window one.')
]
Expires: TypeAlias = Annotated[
    str | None, Option(metavar="WHEN", help='"30d" from now, or a date such as "2027-01-31".')
]
User: TypeAlias = Annotated[str | None, Option(help="Whom its requests are accounted to.")]
Team: TypeAlias = Annotated[str | None, Option(help="Whose team that is.")]
Tenant: TypeAlias = Annotated[str | None, Option(help="Whose share they count in.")]
Tag: TypeAlias = Annotated[list[str] | None, Option(help="A word to account them to, too.")]
_ONCE: Final = "This is the only time that the key is shown: whoever has it may use it."


@keys.command()
def create(
    name: Annotated[str | None, Argument(help="Whom it stands for; else its public id.")] = None,
    models: Models = None,
    rpm: Rpm = None,
    tpm: Tpm = None,
    parallel: Parallel = None,
    budget: Budget = None,
    expires: Expires = None,
    user: User = None,
    team: Team = None,
    tenant: Tenant = None,
    tag: Tag = None,
    config: ConfigFile = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Make a key, and print it: on stdout the key alone.

    Without a store, print what belongs into the configuration.
    """
    body = _terms(models, rpm, tpm, parallel, budget, expires, user, team, tenant, tag)
    if name is not None:
        body["name"] = name
    _issued(_desk(config, url).create(body), as_json)


@keys.command("list")
def list_keys(config: ConfigFile = None, url: Url = None, as_json: AsJson = False) -> None:
    """Show every key."""
    found = _desk(config, url).every()
    if as_json:
        emit(found)
        return
    screen = console()
    if not found:
        screen.print("There is no key. `understudy keys create` makes one.")
        return
    shown = table("name", "id", "state", "until", "terms")
    for each in found:
        until = _moment(each["revoked_at"] or each["expires_at"])
        shown.add_row(each["name"], each["id"] or "-", each["state"], until, _told(each["terms"]))
    screen.print(shown)


@keys.command()
def show(name: Name, config: ConfigFile = None, url: Url = None, as_json: AsJson = False) -> None:
    """Show one key; from a gateway that runs, with how its budgets stand."""
    found = _desk(config, url).show(name)
    emit(found) if as_json else _print(found)


@keys.command()
def change(
    name: Name,
    models: Models = None,
    rpm: Rpm = None,
    tpm: Tpm = None,
    parallel: Parallel = None,
    budget: Budget = None,
    expires: Expires = None,
    user: User = None,
    team: Team = None,
    tenant: Tenant = None,
    tag: Tag = None,
    drop: Annotated[
        list[str] | None,
        Option(metavar="TERM", help="Take a term away, such as budgets or parallel."),
    ] = None,
    config: ConfigFile = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Give a key other terms; what is not said stays."""
    body = _terms(models, rpm, tpm, parallel, budget, expires, user, team, tenant, tag)
    body |= dict.fromkeys(drop or ())
    if not body:
        raise typer.BadParameter("say what is to change", param_hint="--rpm, --budget, ...")
    found = _desk(config, url).change(name, body)
    emit(found) if as_json else _print(found)


@keys.command()
def revoke(name: Name, config: ConfigFile = None, url: Url = None, as_json: AsJson = False) -> None:
    """Refuse a key from now on."""
    found = _desk(config, url).revoke(name)
    emit(found) if as_json else console().print(f"The key {name} is revoked.")


@keys.command()
def rotate(
    name: Name,
    grace: Annotated[
        str, Option(metavar="TIME", help="How long the old one is still good; 0 is not at all.")
    ] = "1d",
    config: ConfigFile = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Replace a key by a new one of the same name and terms, and print that."""
    _issued(_desk(config, url).rotate(name, grace), as_json)


def _desk(config: Any, url: str | None) -> KeyDesk:
    from understudy.cli.key_desks import desk_of

    return desk_of(config, url)


def _terms(
    models: list[str] | None,
    rpm: int | None,
    tpm: int | None,
    parallel: int | None,
    budget: list[str] | None,
    expires: str | None,
    user: str | None,
    team: str | None,
    tenant: str | None,
    tag: list[str] | None,
) -> Document:
    """What was said, under the names of the configuration."""
    said = {
        "models": _words(models),
        "requests_per_minute": rpm,
        "tokens_per_minute": tpm,
        "parallel": parallel,
        "budgets": _words(budget),
        "expires": expires,
        "user": user,
        "team": team,
        "tenant": tenant,
        "tags": _words(tag),
    }
    return {name: value for name, value in said.items() if value}


def _words(given: list[str] | None) -> list[str]:
    return [word.strip() for each in given or () for word in each.split(",") if word.strip()]


def _issued(found: Document, as_json: bool) -> None:
    if as_json:
        emit(found)
        return
    print(found["key"])
    aside = console(sys.stderr)
    if "config" in found:
        aside.print(
            "No store keeps keys, so this belongs into the configuration:\n", soft_wrap=True
        )
        aside.print(found["config"], soft_wrap=True)
        aside.print("")
    aside.print(_ONCE, soft_wrap=True)


def _print(found: Document) -> None:
    screen = console()
    screen.print(f"{found['name']}: {found['state']}", style="bold")
    for name, at in (("made", "created_at"), ("ends", "expires_at"), ("revoked", "revoked_at")):
        if found[at]:
            screen.print(f"{name} {_moment(found[at])}")
    for old, until in found["older"].items():
        screen.print(f"its predecessor {old} is good until {_moment(until)}")
    screen.print(_told(found["terms"]) or "no limits", soft_wrap=True)
    for each in found.get("budgets", ()):
        screen.print(
            f"${each['spent_usd']:.6f} of ${each['limit_usd']:g} spent in this {each['per']}, "
            f"${each['reserved_usd']:.6f} reserved"
        )


def _told(terms: Document) -> str:
    """Terms in a line."""
    units = {"requests_per_minute": "requests/min", "tokens_per_minute": "tokens/min"}
    parts = [f"{terms[name]} {unit}" for name, unit in units.items() if name in terms]
    if "parallel" in terms:
        parts.append(f"{terms['parallel']} at once")
    parts += [f"${each['usd']:g}/{each['per']}" for each in terms.get("budgets", ())]
    if terms.get("models") is not None:
        parts.append("for " + ", ".join(terms["models"]))
    whom = [f"{n} {terms[n]}" for n in ("user", "team", "tenant") if n in terms]
    return readable("; ".join([*parts, *whom, *(f"tag {t}" for t in terms.get("tags", ()))]))


def _moment(at: float | None) -> str:
    if not at:
        return "-"
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
