"""`understudy providers list` and `understudy providers test`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Typer

from understudy.cli.opening import configuration, environment, opened
from understudy.cli.options import AsJson, ConfigFile, duration_s
from understudy.cli.output import console, emit, readable, seconds, table
from understudy_actors.domain.candidate import EndpointSpec
from understudy_actors.domain.errors import ConfigError
from understudy_actors.domain.price import Price

if TYPE_CHECKING:
    from understudy.config import Config
    from understudy.inspection import TestReport

providers = Typer(name="providers", help="Look at the configured providers.", no_args_is_help=True)


@providers.command("list")
def list_providers(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show every provider's models, prices, and whether its key is there. Calls nobody."""
    import trio

    rows = listed(trio.run(configuration, config), environment())
    if as_json:
        emit(rows)
        return
    shown = table("endpoint", "kind", "priority", "operations", "price", "address", "key")
    for row in rows:
        shown.add_row(
            f"{row['provider']}/{row['model']}",
            row["kind"],
            str(row["priority"]),
            ", ".join(row["operations"]),
            row["price"] or "unknown",
            row["address"] or "-",
            row["key"],
        )
    console().print(shown)


@providers.command("kinds")
def list_kinds(as_json: AsJson = False) -> None:
    """Show every kind of provider that comes along, configured or not. Calls nobody."""
    rows = kinds(environment())
    if as_json:
        emit(rows)
        return
    shown = table("kind", "operations", "usual model", "its price", "address", "variables")
    for row in rows:
        variables = (f"{name} ({'set' if is_set else '-'})" for name, is_set in row["variables"])
        shown.add_row(
            row["kind"],
            ", ".join(row["operations"]),
            row["model"] or "-",
            row["price"] or "unknown",
            row["address"] or "-",
            ", ".join(variables) or "-",
        )
    console().print(shown)


@providers.command("test")
def try_providers(
    name: Annotated[
        str | None, typer.Argument(help="A provider or provider/model; left out, all of them.")
    ] = None,
    config: ConfigFile = None,
    timeout: Annotated[
        str, typer.Option(metavar="TIME", help="Limit of each call, such as 30s.")
    ] = "30s",
    as_json: AsJson = False,
) -> None:
    """Make one real, cheap call to each model. Ends with 1 if any of them failed."""
    import trio

    reports = trio.run(_test, config, name, duration_s(timeout, "--timeout"))
    if as_json:
        emit(reports)
    else:
        console().print(_tested(reports))
    if not all(each.ok for each in reports):
        raise typer.Exit(1)


async def _test(config: Path | None, name: str | None, timeout_s: float) -> list[TestReport]:
    """Test all providers at once; the models of one come one after the other."""
    import trio

    found: dict[str, list[TestReport]] = {}
    async with opened(config) as engine:
        names = [name] if name is not None else _in_use(engine.health())

        async def test(each: str) -> None:
            found[each] = await engine.test_provider(each, timeout_s=timeout_s)

        if name is not None:
            await test(name)  # outside a nursery, so that an error comes out as it is
        else:
            async with trio.open_nursery() as nursery:
                for each in names:
                    nursery.start_soon(test, each)
    return [report for each in names for report in found[each]]


def _in_use(health: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(each.provider for each in health))


def _tested(reports: Iterable[TestReport]) -> Any:
    shown = table("endpoint", "outcome", "took", "answer or error", right=("took",))
    for each in reports:
        told = each.answer if each.ok else each.message
        words = readable(told or "")
        shown.add_row(
            f"{each.provider}/{each.model}",
            "ok" if each.ok else f"FAILED: {each.error}",
            seconds(each.elapsed_s),
            words if len(words) <= 300 else f"{words[:300]}...",
        )
    return shown


def listed(config: Config, environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """One entry for each endpoint; of its key only where it is, and whether it is there."""
    from understudy.config import address, endpoints, kind_of
    from understudy.prices import lookup

    return [
        {
            "provider": spec.provider,
            "model": spec.model,
            "kind": kind_of(spec.provider, config.providers[spec.provider]).name,
            "enabled": spec.enabled,
            "priority": spec.priority,
            "operations": list(spec.operations),
            "groups": list(spec.groups),
            "price": _price(spec),
            "address": address(spec.provider, config.providers[spec.provider]),
            "key": key_state(spec.provider, config, environ),
        }
        for spec in endpoints(config, lookup=lookup)
    ]


def kinds(environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """One entry for each kind; of its variables only whether they are set.

    `operations` are those of its adapter; `price` is that of the usual model, as of `price_as_of`.
    """
    from understudy.adapters.registry import Registry
    from understudy.config import KINDS
    from understudy.config.kinds import address_variables
    from understudy.prices import bundled_table, lookup

    found, registry = [], Registry()
    for kind in KINDS.values():
        model = kind.models[0] if kind.models else None
        price = kind.price or (lookup(kind.prices or kind.name, model) if model else None)
        own = (kind.key_variable, *address_variables(kind.base_url))
        entry = {
            "kind": kind.name,
            "operations": list(kind.operations or registry.get(kind.adapter).operations),
            "model": model,
            "price": None if price is None else _words(price),
            "price_as_of": bundled_table().as_of if price and kind.price is None else None,
            "address": kind.base_url,
            "variables": [(name, bool(environ.get(name, "").strip())) for name in own if name],
            "capabilities": list(kind.capabilities),
        }
        found.append(entry)
    return found


def key_state(name: str, config: Config, environ: Mapping[str, str]) -> str:
    """Where a provider's key is, and whether it is there: never the key."""
    from understudy.config import key_source, resolve_key

    source = key_source(name, config.providers[name])
    if source is None:
        return "none needed"
    try:
        resolve_key(name, config.providers[name], environ)
    except ConfigError:
        return f"{source.describe()} (MISSING)"
    return f"{source.describe()} (set)"


def _price(spec: EndpointSpec) -> str | None:
    return None if spec.price is None else _words(spec.price)


def _words(price: Price) -> str:
    if price == Price():
        return "free"
    call = f" + ${price.request_usd:g} a call" if price.request_usd else ""
    if price.image_usd and not price.by_tokens:
        return f"${price.image_usd:g} a picture{call}"
    return f"${price.input_per_mtok:g} in, ${price.output_per_mtok:g} out per 1M{call}"
