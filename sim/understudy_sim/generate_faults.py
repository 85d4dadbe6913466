"""The faults of a generated document: families that are there or not, on a common timeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, get_args

from understudy_sim.dice import Dice
from understudy_sim.fault_kinds import MalformedVariant

FAMILIES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "crash": ("refuse", "reset"),
        "hang": ("hang", "stall", "drip", "timeout"),
        "brownout": ("slow", "brownout"),
        "server": ("status",),
        "rate limit": ("rate_limit",),
        "credit": ("credit",),
        "auth": ("auth",),
        "malformed": ("malformed",),
        "partial": ("cut",),
        "ghost": ("ghost",),
        "request": ("context_length", "content_policy", "model_not_found"),
        "clock": ("clock_jump",),
        "pause": ("pause",),
        "client": ("leave",),
        "engine": ("crash",),
    }
)
"""Each with its kinds. A document has half of the families, and some kind of each it has."""
SWIZZLE_P: Final = 0.2
SEQUELS_P: Final = 0.4
SEQUELS: Final = ("rate_limit", "status", "refuse", "auth", "credit")
"""What may follow a fault on the same provider: one that has just come back is often busy, or falls
again."""
NEVER_ENDS_P: Final = 0.03
_WORLD: Final = frozenset({"clock", "pause", "client", "engine"})


def faults_for(
    dice: Dice, fleet: Sequence[Mapping[str, Any]], from_s: float, until_s: float
) -> list[dict[str, Any]]:
    """Faults that begin in [`from_s`, `until_s`), most of which are over by its end."""
    families = [name for name in FAMILIES if dice.chance(name)]
    knobs = [name for name in ("regional", "flapping", "fading", "partly") if dice.chance(name)]
    sequels = dice.chance("sequels", SEQUELS_P)
    faults = []
    for name in families:
        own = dice.under(name)
        interval = _when(own, from_s, until_s)
        fault = interval | _what(own, own.pick("kind", FAMILIES[name]), interval["from"])
        if name not in _WORLD:
            fault |= _whom(own, fleet, "regional" in knobs)
            fault |= _how(own, knobs, fault)
        elif name == "engine" and own.chance("whose"):
            fault["selector"] = {"provider": own.pick("provider", fleet)["name"]}
        faults.append(fault)
        if sequels and name not in _WORLD and own.chance("sequel"):
            faults += _sequel(own.under("sequel"), fault, until_s)
    if dice.chance("swizzle", SWIZZLE_P):
        faults += _swizzle(dice.under("swizzle"), fleet, from_s, until_s)
    return faults


def _when(dice: Dice, from_s: float, until_s: float) -> dict[str, Any]:
    start_s = round(dice.even("from", from_s, until_s * 0.9), 2)
    length_s = round(dice.between("length", 0.02, 1.0) * (until_s - start_s), 2)
    return {"from": start_s, "until": start_s + max(0.1, length_s)}


def _what(dice: Dice, kind: str, start_s: float) -> dict[str, Any]:
    """The kind and its parameters; a pause is shorter than other faults."""
    told = ("truth", "date", "missing", "zero", "huge", "lying", 1, 10)
    fault: dict[str, Any] = {"kind": kind}
    match kind:
        case "refuse" | "reset":
            fault["after"] = dice.pick("after", (0, 0.05, 1))
        case "stall":
            fault["after_bytes"] = dice.pick("bytes", (0, 40))
            fault["lasts"] = dice.pick("lasts", (None, 1, 20))
        case "drip":
            fault["bytes_per_s"] = dice.pick("pace", (1, 100))
        case "timeout":
            fault["duration"] = dice.pick("duration", (0.5, 5, 30))
        case "slow":
            fault |= {"multiplier": dice.pick("times", (1, 3, 10)), "add": dice.pick("add", (0, 2))}
        case "brownout":
            fault |= {
                "multiplier": dice.pick("times", (2, 8)),
                "capacity": dice.pick("cut", (0, 0.3)),
            }
        case "status":
            fault["statuses"] = dice.some("statuses", (500, 502, 503, 529, 408, 409, 418))
            fault["retry_after"] = dice.pick("told", told)
        case "rate_limit":
            fault["retry_after"] = dice.pick("told", told)
            if dice.chance("bucket"):
                fault |= {"requests_per_min": dice.between("rate", 6, 120), "burst": 3}
        case "credit":
            fault["variant"] = dice.pick("variant", ("hard", "quota"))
        case "malformed":
            fault["variant"] = dice.pick("variant", get_args(MalformedVariant))
        case "cut":
            fault |= dice.pick("after", ({}, {"after_bytes": 0}))
        case "ghost":
            fault["variant"] = dice.pick("variant", ("silence", "reset"))
        case "clock_jump":
            fault["by"] = dice.pick("by", (-3600, -30, 30, 3600, 86_400))
        case "pause":
            fault["until"] = start_s + dice.pick("pause", (0.5, 5, 60))
        case "leave":
            fault |= {
                "after": dice.pick("after", (0, 0.1, 2)),
                "share": dice.pick("of", (0.2, 0.7)),
            }
        case "crash":
            fault["actor"] = dice.pick("actor", ("provider", "provider", "dispatcher"))
            if fault["actor"] == "dispatcher":  # the engine ends itself if that crashes too often
                fault |= {"every": 60, "times": 2}
            elif dice.chance("again"):
                fault |= {"every": dice.pick("every", (0.5, 5, 20)), "times": dice.whole("n", 2, 8)}
        case _:
            pass
    return fault


def _whom(dice: Dice, fleet: Sequence[Mapping[str, Any]], regional: bool) -> dict[str, Any]:
    """Mostly one provider; a whole region where there are some; now and then everybody."""
    regions = sorted({each["region"] for each in fleet if "region" in each})
    if regional and regions:
        return {"selector": {"region": dice.pick("region", regions)}}
    if dice.chance("everybody", 0.15):
        return {}
    return {"selector": {"provider": dice.pick("provider", fleet)["name"]}}


def _how(dice: Dice, knobs: Sequence[str], fault: Mapping[str, Any]) -> dict[str, Any]:
    """How many it hits, and whether it comes, goes, and comes again."""
    shape: dict[str, Any] = {}
    length_s = fault["until"] - fault["from"]
    if "partly" in knobs:
        shape["share"] = dice.pick("share", (0.1, 0.3, 0.6))
    if "flapping" in knobs and dice.chance("flaps"):
        shape |= {"every": max(0.5, round(length_s / dice.whole("flaps many", 2, 8), 2))}
        shape |= {
            "duty": dice.pick("duty", (0.2, 0.5, 0.8)),
            "jitter": dice.pick("late", (0.0, 1.0)),
        }
    if "fading" in knobs and dice.chance("fades"):
        shape |= {"rise": round(length_s * dice.pick("rise", (0.0, 0.3)), 2)}
        shape |= {"fade": round(length_s * dice.pick("fade", (0.3, 1.0)), 2)}
    elif dice.chance("for ever", NEVER_ENDS_P):
        shape["until"] = None
    return shape


def _sequel(dice: Dice, first: Mapping[str, Any], until_s: float) -> list[dict[str, Any]]:
    """Another fault on the same target as soon as the first is over, or a little later."""
    if first["until"] is None:
        return []
    start_s = round(first["until"] + dice.pick("gap", (0.0, 0.0, 1.0, 10.0)), 2)
    if start_s >= until_s:
        return []
    length_s = round(dice.between("length", 0.05, 1.0) * (until_s - start_s), 2)
    fault = {"from": start_s, "until": start_s + max(0.1, length_s)}
    fault |= _what(dice, dice.pick("kind", SEQUELS), start_s)
    return [fault | ({"selector": first["selector"]} if "selector" in first else {})]


def _swizzle(
    dice: Dice, fleet: Sequence[Mapping[str, Any]], from_s: float, until_s: float
) -> list[dict[str, Any]]:
    """Take some providers down one by one, and bring them back in another order.

    Source: FoundationDB's "swizzle-clogging", its testing documentation.
    """
    kind = dice.pick("kind", ("refuse", "hang", "status"))
    down = dice.some("down", [each["name"] for each in fleet])
    middle_s = from_s + (until_s - from_s) / 2
    return [
        {
            "kind": kind,
            "from": round(from_s + (middle_s - from_s) * dice.uniform(f"{name}/down"), 2),
            "until": round(middle_s + (until_s - middle_s) * dice.uniform(f"{name}/up") + 0.01, 2),
            "selector": {"provider": name},
        }
        for name in down
    ]
