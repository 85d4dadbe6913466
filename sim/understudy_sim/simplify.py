"""The steps by which a document is made smaller, as functions from documents to documents.

A step either leaves out parts (`parts` and `without`) or offers simpler variants, each of which is
simpler by a measure of its own, so that no sequence of steps goes on for ever.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import attrs

from understudy_sim.run import Run

Document: TypeAlias = dict[str, Any]
Part: TypeAlias = Any
_NO_PARTS: Final = iter(())

SIMPLER: Final = ("status", "refuse", "hang", "reset")
"""Kinds that others are replaced by, the simplest first."""
WORLD: Final = ("clock_jump", "pause", "leave", "crash")
_INTERVAL: Final = ("kind", "from", "until", "selector", "share")
_ROUND: Final = (0, 1, 2)  # digits after the point
_QUICK: Final = {"trip_after": 1, "close_after": 1}


@attrs.frozen
class Step:
    """One way to make documents smaller.

    Attributes:
        name: Its name.
        variants: Simpler documents, the boldest first.
        parts: What could be left out; None for a step that leaves nothing out.
        without: The document without some parts, None if it cannot be without them.
    """

    name: str
    variants: Callable[[Document, Run | None], Iterator[Document]] = lambda _d, _r: _NO_PARTS
    parts: Callable[[Document, Run | None], list[Part]] | None = None
    without: Callable[[Document, Sequence[Part]], Document | None] = lambda _d, _p: None


def steps() -> Sequence[Step]:
    """All steps, in the order in which they help most."""
    return (
        Step("end earlier", variants=_shorter),
        Step("faults", parts=_places("faults"), without=_less("faults")),
        Step("clients", parts=_places("clients"), without=_less("clients")),
        Step("requests", parts=_requests, without=_without_requests),
        Step("providers", parts=_providers, without=_without_providers),
        Step("thresholds", variants=_quicker),
        Step("counts", variants=_fewer),
        Step("schedule", variants=_calmer),
        Step("settings", parts=_settings, without=_without_settings),
        Step("looks", parts=_looks, without=_without_looks),
        Step("intervals", variants=_intervals),
        Step("kinds", variants=_kinds),
        Step("arrivals", variants=_arrivals),
        Step("numbers", variants=_rounder),
        Step("seed", variants=_seeds),
    )


def _changed(document: Document, change: Callable[[Document], object]) -> Document:
    other = copy.deepcopy(document)
    change(other)
    return other


def _places(key: str) -> Callable[[Document, Run | None], list[Part]]:
    return lambda document, _run: [copy.deepcopy(each) for each in document.get(key, [])]


def _less(key: str) -> Callable[[Document, Sequence[Part]], Document]:
    return lambda document, parts: {
        **document, key: [each for each in document.get(key, []) if each not in parts]
    }  # fmt: skip


def _shorter(document: Document, run: Run | None) -> Iterator[Document]:
    horizon_s = document["horizon"]
    arrived = sorted(each.arrived_at for each in run.requests) if run else []
    shares = (0.1, 0.25, 0.5, 0.75, 0.9)
    for at in (arrived[int(share * len(arrived))] for share in shares if arrived):
        if (sooner_s := round(at + 0.01, 2)) < horizon_s:
            yield {**document, "horizon": sooner_s}
    for share in shares:
        if (sooner_s := round(horizon_s * share, 2)) > 0:
            yield {**document, "horizon": sooner_s}


def _requests(document: Document, run: Run | None) -> list[Part]:
    """Client and number of every request that was made; see `Client.without`."""
    if run is None:
        return []
    found: dict[tuple[str, int], None] = {}
    users = {
        each["name"]: each["arrivals"]["count"]
        for each in document["clients"]
        if each["arrivals"]["kind"] == "users"
    }
    for record in run.requests:
        client, _, number = record.id.partition("/")
        number = number.partition("+")[0]
        if client in users:
            user, _, asked = number.partition(".")
            found[client, int(asked) * users[client] + int(user)] = None
        else:
            found[client, int(number)] = None
    return list(found)


def _without_requests(document: Document, parts: Sequence[Part]) -> Document:
    def leave_out(other: Document) -> None:
        for client in other["clients"]:
            own = {number for name, number in parts if name == client["name"]}
            if own:
                client["without"] = sorted({*client.get("without", []), *own})

    return _changed(document, leave_out)


def _providers(document: Document, _run: Run | None) -> list[Part]:
    return [each["name"] for each in document["fleet"]]


def _without_providers(document: Document, names: Sequence[Part]) -> Document | None:
    if len(names) >= len(document["fleet"]):
        return None

    def drop(other: Document) -> None:
        other["fleet"] = [each for each in other["fleet"] if each["name"] not in names]
        other["faults"] = [
            each
            for each in other.get("faults", [])
            if each.get("selector", {}).get("provider") not in names
        ]
        engine = other.get("engine", {})
        for name in names:
            engine.get("providers", {}).pop(name, None)
        for operation in engine.get("operations", {}).values():
            chain = operation.get("chain", [])
            operation["chain"] = [each for each in chain if each.partition("/")[0] not in names]

    return _changed(document, drop)


def _quicker(document: Document, _run: Run | None) -> Iterator[Document]:
    """Breakers that one failure opens and one success closes: they need the fewest requests."""
    engine = document.get("engine", {})
    providers = engine.get("providers", {})
    tables = [engine, *(each for each in providers.values() if "breaker" in each)]
    if all(_QUICK.items() <= _table(each.get("breaker")).items() for each in tables):
        return

    def hurry(other: Document) -> None:
        for table in [
            other.setdefault("engine", {}),
            *other["engine"].get("providers", {}).values(),
        ]:
            if table is other["engine"] or "breaker" in table:
                table["breaker"] = {**_table(table.get("breaker")), **_QUICK}

    yield _changed(document, hurry)


def _table(breaker: object) -> dict[str, Any]:
    """A breaker's table; one that stands for a preset is written out."""
    if isinstance(breaker, dict):
        return breaker
    return {"preset": breaker or "default"}


def _fewer(document: Document, _run: Run | None) -> Iterator[Document]:
    """Smaller whole numbers in the engine's configuration and the providers' limits."""
    for key in ("engine", "fleet"):
        for path, number in _counts(document.get(key, {}), (key,)):
            for less in dict.fromkeys((1, number // 2)):
                if 1 <= less < number:
                    yield _changed(document, partial(_put, path=path, value=less))


def _counts(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], int]]:
    if type(value) is int:
        yield path, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _counts(each, (*path, key))
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from _counts(each, (*path, place))


def _put(root: Any, path: tuple[Any, ...], value: object) -> None:
    *way, last = path
    for step in way:
        root = root[step]
    root[last] = value


def _calmer(document: Document, _run: Run | None) -> Iterator[Document]:
    schedule = document.get("schedule", {})
    for keys in (tuple(schedule), *((key,) for key in schedule)):
        left = {key: value for key, value in schedule.items() if key not in keys}
        if left != schedule:
            yield {**document, "schedule": left}


def _settings(document: Document, _run: Run | None) -> list[Part]:
    """Paths of every table and value of the engine's configuration, the deepest last."""
    return sorted(_paths(document.get("engine", {})), key=len)


def _looks(document: Document, _run: Run | None) -> list[Part]:
    """The same for what clients, providers and faults need not have."""
    needed = {"name", "kind", "arrivals", "from", "until", "selector"}
    return [
        (key, place, *path)
        for key in ("clients", "fleet", "faults")
        for place, each in enumerate(document.get(key, []))
        for path in _paths(each)
        if path[0] not in needed
    ]


def _paths(table: Any, root: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(table, dict):
        for key, value in table.items():
            yield (*root, key)
            yield from _paths(value, (*root, key))


def _without_settings(document: Document, paths: Sequence[Part]) -> Document:
    return _changed(document, lambda other: _drop_all(other.get("engine", {}), paths))


def _without_looks(document: Document, paths: Sequence[Part]) -> Document:
    return _changed(document, lambda other: _drop_all(other, paths))


def _drop_all(root: Any, paths: Sequence[Part]) -> None:
    for *way, last in paths:
        table = root
        for step in way:
            table = table[step] if isinstance(table, list) else (table or {}).get(step)
        if isinstance(table, dict):
            table.pop(last, None)


def _each_fault(
    document: Document, change: Callable[[Document], Iterator[Document]]
) -> Iterator[Document]:
    for place, fault in enumerate(document.get("faults", [])):
        for other in change(fault):
            if other != fault:
                faults = [*document["faults"][:place], other, *document["faults"][place + 1 :]]
                yield {**document, "faults": faults}


def _intervals(document: Document, _run: Run | None) -> Iterator[Document]:
    """Faults that last from the start, or half as long, or until the end."""
    yield from _each_fault(document, _interval)


def _interval(fault: Document) -> Iterator[Document]:
    start_s, end_s = fault.get("from", 0.0), fault.get("until")
    yield {key: value for key, value in fault.items() if key not in ("from", "until")}
    yield {key: value for key, value in fault.items() if key != "from"}
    if end_s is not None and fault["kind"] != "pause":
        yield {key: value for key, value in fault.items() if key != "until"}
    if end_s is not None and end_s - start_s > 1.0:
        yield {**fault, "until": round((start_s + end_s) / 2, 2)}
        yield {**fault, "from": round((start_s + end_s) / 2, 2)}


def _kinds(document: Document, _run: Run | None) -> Iterator[Document]:
    yield from _each_fault(document, _kind)


def _kind(fault: Document) -> Iterator[Document]:
    if fault["kind"] in WORLD:
        return
    known = SIMPLER.index(fault["kind"]) if fault["kind"] in SIMPLER else len(SIMPLER)
    for kind in SIMPLER[:known]:
        yield {**{key: fault[key] for key in _INTERVAL if key in fault}, "kind": kind}


def _arrivals(document: Document, run: Run | None) -> Iterator[Document]:
    """Clients that come at written times: those of the requests that are left, in order."""
    for place, client in enumerate(document["clients"]):
        kind = client["arrivals"]["kind"]
        over = [at for at in client["arrivals"].get("at", ()) if at >= document["horizon"]]
        exact = kind == "recorded" and "without" not in client and not over
        if run is None or exact:
            continue
        times = [
            each.arrived_at - client.get("from", 0.0)
            for each in run.requests
            if each.client == client["name"] and "+" not in each.id
        ]
        if times:
            other = {k: v for k, v in client.items() if k not in ("without", "requests_max")}
            at = [round(each, 3) for each in times]
            yield _with_client(
                document, place, other | {"arrivals": {"kind": "recorded", "at": at}}
            )


def _with_client(document: Document, place: int, client: Document) -> Document:
    clients = document["clients"]
    return {**document, "clients": [*clients[:place], client, *clients[place + 1 :]]}


def _rounder(document: Document, _run: Run | None) -> Iterator[Document]:
    """Numbers with fewer digits: all of them at once, then one by one."""
    for digits in _ROUND:
        yield _mapped(document, lambda _path, number, n=digits: round(number, n))
    paths = [path for path, number in _numbers(document) if number != round(number)]
    for path in paths:
        for digits in _ROUND:
            yield _mapped(
                document,
                lambda at, number, p=path, n=digits: round(number, n) if at == p else number,
            )


def _numbers(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], float]]:
    if isinstance(value, float):
        yield path, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _numbers(each, (*path, key))
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from _numbers(each, (*path, place))


def _mapped(value: Any, change: Callable[..., float], path: tuple[Any, ...] = ()) -> Any:
    if isinstance(value, float):
        return float(change(path, value)) if path[-1] != "quantum" else value
    if isinstance(value, dict):
        return {key: _mapped(each, change, (*path, key)) for key, each in value.items()}
    if isinstance(value, list):
        return [_mapped(each, change, (*path, place)) for place, each in enumerate(value)]
    return value


def _seeds(document: Document, _run: Run | None) -> Iterator[Document]:
    for seed in range(min(3, document.get("seed", 0))):
        yield {**document, "seed": seed}
