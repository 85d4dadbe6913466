"""Small documents for the command line, a way to call it, and a law that is easy to break."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from tests.sim.world.worlds import world
from understudy.cli.app import build
from understudy_actors.domain.events import RequestOutcome
from understudy_sim.check import Rules, Violation, Watch
from understudy_sim.check.rules import DEFAULT
from understudy_sim.examine import Lab
from understudy_sim.scenario import Scenario, canonical_json, parse

DOWN = {"kind": "status", "from": 5.0, "for": 10.0, "selector": {"provider": "alpha"}}
FLEET = ({"name": "alpha"}, {"name": "beta", "wire": "anthropic"})


def small(**keys: Any) -> Scenario:
    """Twenty seconds, twenty requests, one outage in the middle, and somebody to fail over to."""
    engine = {"strategy": "priority", "providers": {"alpha": {"priority": 1}}}
    return world(DOWN, **{"fleet": FLEET, "engine": engine, **keys})


def failing() -> Scenario:
    """The same with nobody to fail over to."""
    return small(fleet=({"name": "alpha"},), engine={"max_attempts": 1})


def written(folder: Path, scenario: Scenario, name: str = "small.json") -> str:
    """The path of its document."""
    path = folder / name
    path.write_bytes(canonical_json(scenario))
    return str(path)


def called(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    result = CliRunner().invoke(build(), list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def answered(*arguments: str, code: int = 0) -> Any:
    """The JSON document that a command prints; it must end with `code`."""
    ended, out, err = called(*arguments, "--json")
    assert ended == code, err
    return json.loads(out)


class NobodyFails(Watch):
    """No request fails."""

    name = "T1"
    claim = "no request fails"

    def __init__(self, rules: Rules = DEFAULT) -> None:
        super().__init__(rules)
        self.hears = {RequestOutcome: self._ended}

    def _ended(self, seq: int, event: RequestOutcome) -> Violation | None:
        if event.status == "ok":
            return None
        return self.broken("failed", f"request {event.request} failed", (seq, event))


def easy(seed: int) -> Scenario:
    """What a seed stands for in the lab."""
    return parse({**json.loads(canonical_json(failing())), "seed": seed})


LAB = Lab(monitors=(NobodyFails,), generate=easy)
STRICT = f"{__name__}:LAB"
