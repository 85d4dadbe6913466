"""`what-if`: somebody's own configuration, with and without an outage."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim.cli.house import answered, called
from understudy.config.files import read_table
from understudy_sim.cli.what_if import both
from understudy_sim.scenario import load
from understudy_sim.whatif import OUTAGES, Load, Outage, WhatIf, what_if

MINE = """
strategy = "priority"
[groups]
chat = ["openai", "groq"]
[providers.openai]
priority = 1
key = "env:SOMEBODY_ELSES_KEY"
models = ["gpt-5.4-mini", "text-embedding-3-small"]
[providers.groq]
priority = 2
region = "us"
models = [{name = "openai/gpt-oss-20b", aliases = ["oss"], price = {input = 2, output = 3}}]
[providers.house]
kind = "openai-compatible"
base_url = "http://10.0.0.1/v1"
models = ["own"]
[providers.anthropic]
enabled = false
models = ["claude-haiku-4-5"]
[providers.local]
"""
ASKED = ("--down", "10s", "--rps", "1")


@pytest.fixture(name="mine")
def _mine(tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    return str(path)


def imagined(mine: str, *, rps: float = 1.0, shows_as: str = "refuse") -> WhatIf:
    outage = Outage(provider="openai", for_s=10.0, shows_as=shows_as)
    return what_if(read_table(Path(mine)), outage, Load(rps=rps))


def test_an_outage_is_told_beside_the_same_time_without_it(mine: str) -> None:
    shown = answered("what-if", "--provider", "openai", "--config", mine, *ASKED)
    broken, healthy = shown["with_outage"]["headline"], shown["without_outage"]["headline"]
    assert broken["requests"] == healthy["requests"] > 100
    assert broken["attempts_per_request"] > healthy["attempts_per_request"] == 1.0
    assert broken["share"]["openai"] < healthy["share"]["openai"]
    assert broken["detect_s"] is not None
    assert healthy["detect_s"] is None
    assert len(shown["assumptions"]) == 4


def test_the_terminal_shows_both_and_every_assumption(mine: str, tmp_path: Path) -> None:
    report, saved = tmp_path / "r.html", tmp_path / "s.json"
    extra = ("--report", str(report), "--save", str(saved))
    code, out, err = called("what-if", "--provider", "openai", "-c", mine, *ASKED, *extra)
    assert (code, err) == (0, "")
    assert "outage" in out
    assert "no outage" in out
    assert all(each in out for each in imagined(mine).assumptions)
    assert "no outage" in report.read_text()
    assert load(saved).faults == imagined(mine).broken.faults


def test_the_configuration_is_kept_and_what_it_lacks_is_stated(mine: str) -> None:
    made = imagined(mine)
    config = made.broken.config
    assert [each.name for each in made.broken.fleet] == ["openai", "groq", "house"]
    assert config.strategy == "priority"
    assert config.groups == {"chat": ("openai", "groq")}
    assert config.providers["groq"].models[0].aliases == ("oss",)
    assert config.providers["openai"].models[1].operations == ("embedding",)
    assert config.providers["local"].kind == "local"
    told = " ".join(made.assumptions)
    assert "groq/openai/gpt-oss-20b 2/3" in told
    assert "taken as 1/4 USD: house/own" in told
    assert "SOMEBODY" not in repr(made.broken)  # where keys are is nobody's business here
    assert "10.0.0.1" not in repr(made.broken)


def test_both_worlds_are_the_same_but_for_the_outage(mine: str) -> None:
    made = imagined(mine)
    assert made.healthy.faults == ()
    for name in ("seed", "clients", "fleet", "horizon_s", "engine"):
        assert getattr(made.healthy, name) == getattr(made.broken, name)


@pytest.mark.parametrize("shows_as", sorted(OUTAGES))
def test_every_kind_of_outage_makes_a_scenario(mine: str, shows_as: str) -> None:
    (fault,) = imagined(mine, shows_as=shows_as).broken.faults
    assert (fault.from_s, fault.until_s, fault.selector.provider) == (60.0, 70.0, "openai")


def test_a_load_that_the_limits_of_the_engine_cannot_let_through_is_noted(mine: str) -> None:
    assert imagined(mine).notes == ()
    (cold,) = imagined(mine, rps=30.0).notes
    assert "a fresh engine admits 32" in cold
    most, cold = imagined(mine, rps=200.0).notes
    assert "without openai the others admit 512" in most
    assert "a fresh engine" in cold
    most, _ = imagined(mine, rps=5000.0).notes
    assert "all providers together admit 1024" in most


def test_a_large_run_is_done_in_two_processes_and_comes_to_the_same(mine: str) -> None:
    made = imagined(mine)
    assert both(made, requests_max=0) == both(made)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--provider", "nobody"], "openai, groq, house"),
        (["--provider", "anthropic"], "openai, groq, house"),  # disabled
        (["--provider", "openai", "--down", "0"], "--down"),
        (["--provider", "openai", "--fault", "fire"], "rate-limit"),
        (["--provider", "openai", "--model", "gpt-9"], "nobody serves it"),
        (["--provider", "openai", "--config", "gone.toml"], "gone.toml"),
        (["--down", "5m"], "--provider"),
    ],
)
def test_what_cannot_be_imagined_ends_with_64(mine: str, arguments: list[str], word: str) -> None:
    code, _, err = called("what-if", "--config", mine, *arguments)
    assert code == 64
    assert word in err


def test_a_provider_that_cannot_be_simulated_is_named(tmp_path: Path) -> None:
    path = tmp_path / "empty.toml"
    path.write_text('[providers.openai]\nkey = 5\nmodels = ["gpt-5.4-mini"]')
    code, _, err = called("what-if", "--provider", "openai", "--config", str(path))
    assert code == 64
    assert "providers.openai.key" in err
