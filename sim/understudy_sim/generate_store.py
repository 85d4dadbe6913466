"""The store of a generated document, and what befalls it: few worlds have one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from understudy_sim.dice import Dice

STORE_P: Final = 0.12


def store_for(dice: Dice, engine: Mapping[str, Any]) -> dict[str, Any]:
    """What a configuration says of its store; nothing for most. More often where money counts."""
    if not dice.chance("store", STORE_P * (3 if "budgets" in engine else 1)):
        return {}
    store: dict[str, Any] = {
        "path": "simulated",
        "durability": dice.pick("durability", ("batched", "strict")),
        "interval": dice.pick("interval", (0.01, 0.1, 2)),
    }
    return {"store": store}


def misfortunes_for(dice: Dice, from_s: float, until_s: float) -> list[dict[str, Any]]:
    """Kills, and a disk that is full, slow or unsure."""
    faults: list[dict[str, Any]] = []
    length_s = until_s - from_s
    if dice.chance("killed", 0.8):
        kill: dict[str, Any] = {
            "kind": "kill",
            "from": round(dice.even("kill", from_s, until_s), 2),
            "down": dice.pick("down", (0, 0.5, 5)),
        }
        if dice.chance("again"):
            kill |= {"every": round(max(0.5, length_s / dice.whole("kills", 2, 6)), 2)}
            kill |= {"until": round(kill["from"] + length_s, 2)}
        faults.append(kill)
    for variant in ("full", "slow", "unsure"):
        if dice.chance(variant, 0.3):
            start_s = round(dice.even(f"{variant} from", from_s, until_s), 2)
            lasts_s = dice.pick(f"{variant} for", (0.2, 2, 10))
            disk: dict[str, Any] = {"kind": "disk", "variant": variant, "from": start_s}
            if variant == "slow":
                disk["takes"] = dice.pick("takes", (0.05, 0.5, 3))
            faults.append(disk | {"until": start_s + lasts_s})
    return faults
