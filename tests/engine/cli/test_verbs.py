"""Every verb, in this process: what it takes, what it prints, how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from understudy.cli.app import build
from understudy.config import VARIABLES

KEY = "test-key-1234567890"
LOCAL = """
strategy = "priority"
[providers.local]
reply = "hello from here"
"""
TWO = f"""
strategy = "priority"
[providers.far]
kind = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
models = ["m"]
key = "env:FAR_KEY"
price = {{input = 1, output = 2}}
[providers.far.retry]
attempts = 0
[providers.far.headers]
X-Team = {{insecure_inline = "{KEY}-team"}}
[providers.local]
"""


def run(*arguments: str, **env: str) -> Result:
    """Run a verb; the environment holds what is given here beside the process's own."""
    clean = {"UNDERSTUDY_CONFIG": None, "UNDERSTUDY_LOG_LEVEL": None}
    return CliRunner(env=clean).invoke(build(), arguments, env={**clean, **env})


def document(result: Result) -> Any:
    """The one JSON document on stdout."""
    return json.loads(result.stdout)


@pytest.fixture
def local(tmp_path: Path) -> str:
    path = tmp_path / "local.toml"
    path.write_text(LOCAL)
    return str(path)


@pytest.fixture
def two(tmp_path: Path) -> str:
    path = tmp_path / "two.toml"
    path.write_text(TWO)
    return str(path)


def test_route_prints_the_answer_alone_to_stdout_and_the_rest_to_stderr(local: str) -> None:
    result = run("route", "hi", "--config", local)
    assert result.exit_code == 0
    assert result.stdout == "hello from here\n"
    assert "degraded" in result.stderr
    assert "local/stand-in" in result.stderr


def test_route_streams_the_answer_to_stdout(local: str) -> None:
    result = run("route", "hi", "--config", local, "--stream")
    assert result.exit_code == 0
    assert result.stdout == "hello from here\n"
    assert "local/stand-in" in result.stderr
    whole = run("route", "hi", "--config", local, "--stream", "--json")
    assert document(whole)["text"] == "hello from here"


def test_route_reads_the_prompt_from_stdin(local: str) -> None:
    result = CliRunner().invoke(build(), ["route", "-", "-c", local, "--json"], input="hi")
    assert document(result)["text"] == "hello from here"


def test_route_as_json_holds_every_field_of_result_and_attempts(local: str) -> None:
    result = run("route", "hi", "--config", local, "--json", "--explain")
    shown = document(result)
    assert set(shown) == {
        "text", "output", "provider", "model", "request_id", "elapsed_s", "cost_usd", "usage",
        "attempts", "degraded", "cached", "age_s", "explain",
    }  # fmt: skip
    assert shown["degraded"] is True
    assert set(shown["attempts"][0]) == {
        "provider", "model", "outcome", "error", "reason", "status", "started_s", "elapsed_s",
        "wait_s", "cost_usd", "max_tokens",
    }  # fmt: skip
    assert shown["explain"]["decisions"][0]["ranked"] == ["local/stand-in"]


def test_route_explains_who_was_asked_and_who_was_left_out(two: str) -> None:
    asked = run("route", "hi", "-c", two, "--explain", "--max-cost", "0.00001", FAR_KEY=KEY)
    assert asked.exit_code == 0
    assert "over max_cost_usd" in asked.stdout
    assert "local/stand-in" in asked.stdout
    failed = run("route", "hi", "-c", two, "--explain", FAR_KEY=KEY)
    assert "failed: connect" in failed.stdout
    assert "far/m" in failed.stdout


def test_a_request_that_fails_ends_with_one_error_the_attempts_and_code_1(two: str) -> None:
    result = run("route", "hi", "-c", two, "--model", "far/m", "--json", FAR_KEY=KEY)
    # The stand-in serves any model: only without it does the request fail.
    assert document(result)["degraded"] is True
    alone = Path(two).with_name("alone.toml")
    alone.write_text(TWO.replace("[providers.local]\n", ""))
    result = run("route", "hi", "-c", str(alone), "--json", "--explain", FAR_KEY=KEY)
    assert result.exit_code == 1
    error = document(result)["error"]
    assert error["type"] == "AllAttemptsFailed"
    assert error["attempts"][0]["error"] == "connect"
    assert error["explain"]["decisions"]
    assert result.stderr.startswith("error: ")
    assert "failed: connect" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--strategy", "nonsense"), "nonsense"),
        (("--timeout", "soon"), "soon"),
        (("--timeout", "-3s"), "-3s"),
        (("--max-cost", "-1"), "max_cost_usd"),
        (("--complexity", "odd"), "odd"),
        (("--max-tokens", "0"), "max-tokens"),
    ],
)
def test_wrong_usage_ends_with_code_2_and_names_it(
    local: str, arguments: tuple[str, ...], told: str
) -> None:
    result = run("route", "hi", "-c", local, *arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert not result.stdout


def test_a_good_configuration_is_summed_up(two: str) -> None:
    result = run("config", "check", two)
    assert result.exit_code == 0
    assert result.stdout.startswith("ok: ")
    assert "env:FAR_KEY (MISSING)" in result.stdout
    facts = document(run("config", "check", two, "--json", FAR_KEY=KEY))
    assert facts["ok"] is True
    assert facts["summary"]["keys"]["far"] == "env:FAR_KEY (set)"


def test_every_problem_of_a_bad_configuration_is_told_with_its_key(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        """
strategy: cheapst
deadline: 12 parsecs
providers:
  openai: {models: [gpt-5.4-mini], breaker: {cooldown: -3}, key: sk-abcdefghijklm1234}
  far: {models: [x, {nome: y}], colour: 3}
"""
    )
    result = run("config", "check", str(path), "--json")
    assert result.exit_code == 2
    wrong = document(result)
    assert wrong["ok"] is False
    assert {each["path"] for each in wrong["problems"]} == {
        "deadline", "providers.openai.breaker.cooldown", "providers.openai.key",
        "providers.far.models[1].nome", "providers.far.colour", "strategy", "providers.far.kind",
    }  # fmt: skip
    plain = run("config", "check", str(path))
    assert plain.exit_code == 2
    for text in (result.stdout, plain.stdout):
        assert "12 parsecs" in text
        assert "abcdefghijklm" not in text


def test_a_file_that_cannot_be_read_ends_with_code_2() -> None:
    result = run("config", "check", "nowhere.toml")
    assert result.exit_code == 2
    assert "nowhere.toml" in result.stderr
    assert run("config", "check").exit_code == 2


def test_no_command_shows_a_key(two: str) -> None:
    for arguments in (
        ("config", "show"),
        ("config", "show", "--json"),
        ("providers", "list"),
        ("providers", "list", "--json"),
        ("status", "--timeout", "2s"),
        ("providers", "test", "far", "--json"),
        ("route", "hi", "--explain", "--json"),
    ):
        result = run(*arguments, "--config", two, FAR_KEY=KEY)
        assert KEY not in result.output, arguments
        assert result.stdout, arguments


def test_status_checks_and_reports_every_endpoint(two: str) -> None:
    shown = document(run("status", "-c", two, "--json", FAR_KEY=KEY))
    far, stand_in = shown["providers"]
    assert (far["provider"], far["last_check_ok"]) == ("far", False)
    assert (stand_in["provider"], stand_in["last_check_ok"]) == ("local", None)
    assert "FAILED" in run("status", "-c", two, FAR_KEY=KEY).stdout


def test_status_tells_of_the_cache_if_there_is_one(tmp_path: Path, local: str) -> None:
    assert document(run("status", "-c", local, "--json"))["cache"] is None
    assert "cache" not in run("status", "-c", local).stdout
    path = tmp_path / "cached.toml"
    path.write_text(f"cache = {{ max_entries = 7 }}\n{LOCAL}")
    shown = document(run("status", "-c", str(path), "--json"))["cache"]
    assert (shown["entries"], shown["max_entries"], shown["hit_rate"]) == (0, 7, 0.0)
    told = " ".join(run("status", "-c", str(path)).stdout.split())
    assert "cache: 0 of 7 answers, 0 of 67108864 bytes, nobody has asked it yet" in told


def test_testing_providers_ends_with_1_if_one_fails_and_2_if_there_is_none(two: str) -> None:
    every = run("providers", "test", "-c", two, "--json", FAR_KEY=KEY)
    assert every.exit_code == 1
    assert [each["ok"] for each in document(every)] == [False, True]
    assert run("providers", "test", "local", "-c", two, FAR_KEY=KEY).exit_code == 0
    assert run("providers", "test", "nobody", "-c", two, FAR_KEY=KEY).exit_code == 2


def test_the_schema_goes_to_stdout_or_into_a_file(tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    assert run("config", "schema", "--out", str(path)).stdout == ""
    assert json.loads(path.read_text()) == document(run("config", "schema"))
    missing = run("config", "schema", "--out", str(tmp_path / "no" / "schema.json"))
    assert missing.exit_code == 1
    assert missing.stderr.startswith("error: ")


def test_the_environment_variables_are_those_that_are_read() -> None:
    shown = document(run("config", "env", "--json"))
    assert [each["name"] for each in shown] == [each.name for each in VARIABLES]
    assert all(each.name in run("config", "env").stdout for each in VARIABLES)


def test_the_version_is_told_both_ways() -> None:
    assert document(run("version", "--json"))["understudy"] in run("--version").stdout


def test_verbs_of_other_packages_are_found() -> None:
    told = run("--help").stdout
    assert "demo" in told
    assert "mock" in told
