"""Keys for programs of threads: made, replaced and revoked without a word of async."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.keys.made import terms
from understudy import InvalidRequest
from understudy.bridges import BlockingEngine
from understudy.keys.forms import changing


def test_keys_are_kept_from_one_thread_to_the_next_process(tmp_path: Path) -> None:
    config = {
        "store": str(tmp_path / "u.db"),
        "providers": {"local": {}},
        "log": {"level": "off"},
    }
    with BlockingEngine.open(config, environ={}) as engine:
        made = engine.keys.create("ann", terms(parallel=1))
        assert engine.keys.change("ann", changing({"parallel": 2}, 0.0)).terms["parallel"] == 2
        new = engine.keys.rotate("ann", 60.0)
        assert engine.keys.show("ann").older.keys() == {made.view.id}
        with pytest.raises(InvalidRequest):
            engine.keys.create("ann", terms())
    with BlockingEngine.open(config, environ={}) as engine:
        (kept,) = engine.keys.every()
        assert (kept.id, kept.terms["parallel"]) == (new.view.id, 2)
        assert engine.keys.revoke("ann").state == "revoked"
