"""Faults planted in the response cache: the law notices each in a simulated world."""

from __future__ import annotations

import importlib
from typing import Any

import msgspec
import pytest

from tests.support.mutants import Mutant
from understudy_sim.check import ALL
from understudy_sim.scenario import Scenario, load, parse
from understudy_sim.world import run

SHELF = ("understudy.cache.shelf", "understudy.cache.cache:Shelf")
CACHE = ("understudy.cache.cache", "understudy.caching:Cache")
CODEC = ("understudy.cache.codec", "understudy.cache.cache:entry_of")
WORTH = ("understudy.cache.worth", "understudy.cache.cache:worth_keeping")
KEY = ("understudy_actors.dispatcher.collapse", "understudy.cache.cache:key_of")
RULE = ("understudy.caching", "understudy.assembly:cache_of")
DESK = ("understudy.routing.desk", "understudy.engine:Desk")
STREAM = ("understudy.streaming.stream", "understudy.engine:ChatStream")

FAULTS = [
    (KEY, "tenants share", "cache=None\n    )\n", "cache=None, tenant=None, user=None\n    )\n"),
    (SHELF, "time to live is ignored",
     "if entry is None or now >= entry.fresh_until:", "if entry is None:"),
    (SHELF, "stale is served as fresh", "now >= entry.fresh_until", "now >= entry.stale_until"),
    (SHELF, "stale for ever",
     "if entry is None or now >= entry.stale_until:", "if entry is None:"),
    (SHELF, "bytes are not given back",
     "            self.size -= entry.size\n", "            self.size -= entry.size - 300\n"),
    (SHELF, "the oldest goes, not the least used",
     "        self._hits += 1\n        self._entries.move_to_end(key)\n",
     "        self._hits += 1\n"),
    (SHELF, "entries have no bound", "len(self._entries) > self.max_entries or", "False or"),
    (SHELF, "bytes have no bound", "or self.size > self.max_bytes:", "or False:"),
    (SHELF, "what is there is not found",
     "if entry is None or now >= entry.fresh_until:", "if True or entry is None:"),
    (CACHE, "a refresh answers from the cache",
     "if key is None or asked == Caching.REFRESH:", "if key is None:"),
    (SHELF, "a refresh does not replace", "        self._remove(key)\n        self._entries[key] = "
     "entry\n", "        if key in self._entries:\n            return []\n"
     "        self._entries[key] = entry\n"),
    (CACHE, "an old answer is told as fresh",
     "            degraded=stale,\n", "            degraded=False,\n"),
    (CACHE, "answers are paid again",
     "            cost_usd=0.0,\n", "            cost_usd=0.01,\n"),
    (CACHE, "its age is told wrong",
     "age_s=now - entry.stored_at,\n                    stale",
     "age_s=0.0,\n                    stale"),
    (RULE, "kept longer than configured", "Life(common.ttl_s, common.stale_for_s, unasked=True)",
     "Life(common.ttl_s * 2, common.stale_for_s, unasked=True)"),
    (DESK, "what a stand-in answered is kept",
     "        if result.degraded:\n            return self._kept(flight) or result\n"
     "        self.keep(flight, result)\n",
     "        self.keep(flight, replace(result, degraded=False))\n"),
    (DESK, "errors are kept",
     "            status, retry_at = type(error).__name__, error.retry_at\n"
     "            result = None if",
     "            status, retry_at = type(error).__name__, error.retry_at\n"
     "            self.keep(flight, Result(output=ChatOutput(str(error)), provider='', model='',\n"
     "                request_id='', elapsed_s=0.0))\n"
     "            result = None if"),
    (DESK, "only is asked of providers",
     "if result is not None or asked != Caching.ONLY:", "if True:"),
    (DESK, "whoever was given one is asked for all the same",
     "            self.end(flight, \"degraded\" if result.degraded else \"ok\", result, None)\n"
     "        return result\n",
     "            self._flights.running -= 1\n        return None\n"),
    (STREAM, "half of an answer is played",
     "        self._ready.extend(pieces(kept))\n",
     "        self._ready.extend(pieces(kept)[1:])\n"),
]  # fmt: skip


SHORT, LONG = "many short answers", "long answers and no stand-in"
WORLD_OF = {
    "bytes are not given back": LONG,
    "bytes have no bound": LONG,
    "errors are kept": LONG,
}


def world(name: str) -> Scenario:
    """A scenario of the library, shorter and with less room; in one of them answers are long."""
    document: dict[str, Any] = msgspec.to_builtins(load("asked-again"))
    document["horizon"] = 100
    document["faults"] = [{"kind": "refuse", "from": 40, "for": 40}]
    engine = document["engine"]
    engine["cache"] = {"ttl": 8, "stale_for": 10, "max_entries": 30, "max_bytes": 65_536}
    if name == LONG:
        engine["cache"]["compress_above"] = 10**6
    else:
        engine["providers"]["spare"] = {"kind": "local", "priority": 9}
    for client in document["clients"]:
        client["output_tokens"] = {"kind": "fixed", "value": 900 if name == LONG else 300}
    return parse(document)


def found(name: str) -> set[str]:
    """The laws that a run breaks."""
    return {each.monitor for each in run(world(name), monitors=ALL).violations}


@pytest.mark.parametrize("name", [SHORT, LONG])
def test_nothing_is_found_where_nothing_is_planted(name: str) -> None:
    assert found(name) == set()


@pytest.mark.parametrize(("place", "fault", "old", "new"), FAULTS, ids=[each[1] for each in FAULTS])
def test_a_planted_fault_breaks_the_law(
    place: tuple[str, str], fault: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, seam = place
    faulty = Mutant(fault, module, old, new).plant()
    caller, name = seam.split(":")
    monkeypatch.setattr(importlib.import_module(caller), name, getattr(faulty, name))
    assert found(WORLD_OF.get(fault, SHORT)) & {"C1", "S33"}
