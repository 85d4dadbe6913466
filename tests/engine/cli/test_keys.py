"""`understudy keys`: with a store, without one, and beside a gateway that has it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.engine.cli.test_verbs import document, run
from understudy.config import load
from understudy.gateway.guard import Guard
from understudy.gateway.problem import Refused
from understudy.keys.offline import look

PROGRAM: Final = [sys.executable, "-c", "from understudy.cli import main; main()", "serve"]
KEY: Final = re.compile(r"usk-[0-9a-f]{16}-[0-9a-f]{64}")
PROMPT: Final = "CANARY-PROMPT-7f3a"
PROVIDERS: Final = "sk-CANARY-PROVIDER-91b2d0a7c3"
OPS: Final = "CANARY-OPS-55e1f0"


def config(folder: Path, *lines: str) -> str:
    path = folder / "u.toml"
    path.write_text("\n".join([*lines, "[providers.local]\n"]))
    return str(path)


def stored(folder: Path) -> str:
    return config(folder, f'store = "{folder / "u.db"}"')


def opens(path: str, key: str) -> str | None:
    """Whose key it is for an engine of this configuration; None: it is refused."""
    from understudy.ports import SystemClock

    guard = Guard(wall=SystemClock().wall)
    guard.ring = look(load(path), {})
    try:
        caller = guard.caller({"x-api-key": key})
    except Refused:
        return None
    return None if caller is None else caller.name


def test_a_key_s_life_in_a_store_that_nobody_holds(tmp_path: Path) -> None:
    path = stored(tmp_path)
    assert "There is no key" in run("keys", "list", "-c", path).stdout
    made = run(
        *("keys", "create", "ann", "-c", path, "--models", "gpt-*,small", "--rpm", "5"),
        *("--budget", "10/day", "--budget", "100/month", "--expires", "30d", "--tag", "beta"),
    )
    assert made.exit_code == 0, made.stderr
    key = made.stdout.strip()
    assert KEY.fullmatch(key), "stdout is the key alone"
    assert "only time" in made.stderr
    assert opens(path, key) == "ann"
    (listed,) = document(run("keys", "list", "-c", path, "--json"))
    assert (listed["name"], listed["state"]) == ("ann", "active")
    assert listed["terms"]["models"] == ["gpt-*", "small"]
    shown = run("keys", "show", "ann", "-c", path).stdout
    assert "5 requests/min; $10/day; $100/month; for gpt-*, small; tag beta" in shown
    assert key not in shown + json.dumps(listed)

    new = run("keys", "rotate", "ann", "-c", path, "--grace", "1h").stdout.strip()
    assert (opens(path, key), opens(path, new)) == ("ann", "ann")
    last = document(run("keys", "rotate", "ann", "-c", path, "--grace", "0", "--json"))
    assert (opens(path, key), opens(path, new), opens(path, last["key"])) == (None, None, "ann")
    changed = run("keys", "change", "ann", "-c", path, "--drop", "budgets", "--parallel", "3")
    assert "5 requests/min; 3 at once;" in changed.stdout
    assert run("keys", "revoke", "ann", "-c", path).exit_code == 0
    assert opens(path, last["key"]) is None
    assert "revoked" in run("keys", "list", "-c", path).stdout


def test_without_a_store_the_hash_belongs_into_the_configuration(tmp_path: Path) -> None:
    path = config(tmp_path)
    made = run("keys", "create", "ann", "-c", path, "--budget", "10/day", "--expires", "2030-01-31")
    key = made.stdout.strip()
    lines = made.stderr[made.stderr.index("[gateway.keys.ann]") :].split("\n\n")[0]
    assert key not in made.stderr
    config(tmp_path, lines)
    assert opens(path, key) == "ann"
    assert opens(path, key[:-1] + "x") is None
    refused = run("keys", "revoke", "ann", "-c", path)
    assert refused.exit_code == 2
    assert 'store = "understudy.db"' in refused.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create", "ann", "--budget", "10"), "budgets[0]"),
        (("create", "a b"), "`name`"),
        (("create", "ann", "--expires", "soon"), "`expires`"),
        (("revoke", "bob"), "there is no key 'bob'"),
        (("change", "bob"), "say what is to change"),
        (("list", "--url", "nowhere"), "--url must be a gateway's address"),
        (("list", "--url", "http://127.0.0.1:1"), "no gateway answers at http://127.0.0.1:1"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    refused = run("keys", *words, "-c", stored(tmp_path), UNDERSTUDY_ADMIN_KEY="x")
    assert refused.exit_code in (1, 2)
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


class Parrot(BaseHTTPRequestHandler):
    """A provider that repeats keys and prompts in its errors, as some do."""

    def do_POST(self) -> None:
        said = self.rfile.read(int(self.headers["content-length"])).decode()
        message = {"role": "assistant", "content": "hello"}
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        found: dict[str, Any] = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
        status, found = 200, {**found, "choices": [choice], "usage": usage}
        if "please fail" in said:
            key = self.headers["authorization"]
            status = 401 if "key" in said else 500
            found = {"error": {"message": f"{key} may not say {said}", "code": key}}
        body = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Says nothing."""


@contextmanager
def parrot() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Parrot)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def gateway(path: str, log: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`understudy serve` as a process of its own; it is killed in the end, if it still runs."""
    begins = log.stat().st_size if log.exists() else 0
    with log.open("a") as file:
        process = subprocess.Popen(
            [*PROGRAM, path, "--port", "0"],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "HOME": str(log.parent), "OPS": OPS, "PK": PROVIDERS},
        )
    try:
        while not (found := re.search(r"http://127\.0\.0\.1:\d+,", log.read_text()[begins:])):
            assert process.poll() is None, log.read_text()
            time.sleep(0.02)
        yield found[0].rstrip(","), process
    finally:
        process.kill()
        process.wait()


@pytest.mark.wall_clock
def test_beside_a_gateway_that_runs_and_after_one_that_was_killed(tmp_path: Path) -> None:
    """Made, revoked and replaced while it runs; all of it there after kill -9; and nowhere a
    secret: not in logs, pages, errors, explain records, or any byte of the store.
    """
    (tmp_path / "store").mkdir()
    log = tmp_path / "log"
    path = tmp_path / "u.toml"
    answers: list[str] = []
    with parrot() as provider:
        path.write_text(
            f'store = "{tmp_path / "store/u.db"}"\n'
            "[log]\nlevel = 'debug'\nformat = 'json'\n"
            "[gateway]\nadmin_key = 'env:OPS'\n"
            "[cache]\n[[budgets]]\nusd = 1\nuser = '*'\n"
            f'[providers.parrot]\nkind = "openai-compatible"\nbase_url = "{provider}"\n'
            'key = "env:PK"\nretry = { attempts = 0 }\n'
            'models = [{ name = "m", price = { input = 1, output = 2 } }]\n'
        )
        with gateway(str(path), log) as (url, process):
            held = run("keys", "create", "ann", "-c", str(path))
            assert held.exit_code == 1
            assert f"is in use by process {process.pid}" in held.stderr
            assert "add --url" in held.stderr
            live = {"UNDERSTUDY_ADMIN_KEY": OPS, "UNDERSTUDY_URL": url}
            own = ("--budget", "1/day", "--team", "red", "--tag", "beta")
            keys = {
                name: run("keys", "create", name, *own, **live).stdout.strip()
                for name in ("ann", "bob", "cat")
            }
            assert all(map(KEY.fullmatch, keys.values()))
            assert run("keys", "revoke", "bob", **live).exit_code == 0
            keys["new"] = run("keys", "rotate", "cat", "--grace", "0", **live).stdout.strip()
            with httpx.Client(base_url=url, timeout=20.0, trust_env=False) as http:
                for who, status in {"ann": 200, "bob": 401, "cat": 401, "new": 200}.items():
                    assert _ask(http, keys[who], "hi").status_code == status, who
                answers += _talk(http, keys["ann"])
            shown = run("keys", "show", "ann", **live)
            assert "of $1 spent in this day" in shown.stdout
            answers += [shown.stdout, run("keys", "list", "--json", **live).stdout]
            process.send_signal(signal.SIGKILL)
            process.wait()
        listed = document(run("keys", "list", "-c", str(path), "--json"))
        assert [(e["name"], e["state"]) for e in listed] == [
            ("ann", "active"), ("bob", "revoked"), ("cat", "active")
        ]  # fmt: skip
        assert run("keys", "revoke", "ann", "-c", str(path)).exit_code == 0, "nobody holds it now"
        for verb in (("top", "keys"), ("costs", "--by", "key")):
            shown = run(*verb, "-c", str(path))
            assert "ann" in shown.stdout, shown.stderr
            assert "cat" in shown.stdout
        (red,) = document(run("top", "teams", "-c", str(path), "--json"))
        assert red["name"] == "red"
        assert red["attempts"] == sum(e["attempts"] for e in document(
            run("top", "keys", "-c", str(path), "--json")))  # fmt: skip
        told = document(run("budgets", "-c", str(path), "--json"))
        assert {(e["scope"], e["name"]) for e in told} >= {("key", "ann"), ("key", "cat")}
        with (
            gateway(str(path), log) as (url, _),
            httpx.Client(base_url=url, timeout=20.0, trust_env=False) as http,
        ):
            ops = {"authorization": f"Bearer {OPS}"}
            http.post("/admin/reset", json={}, headers=ops)  # the provider refused its key
            for who, status in {"ann": 401, "bob": 401, "cat": 401, "new": 200}.items():
                assert _ask(http, keys[who], "hi").status_code == status, who
    secrets = [PROMPT, PROVIDERS, OPS, *(each[-64:] for each in keys.values())]
    files = [each for each in (tmp_path / "store").iterdir() if each.is_file()]
    assert any(each.name.endswith("-wal") for each in files) or len(files) >= 2
    bytes_ = {each.name: each.read_bytes() for each in [*files, log]}
    bytes_ |= {f"answer {at}": each.encode() for at, each in enumerate(answers)}
    assert b"gateway.key.created" in bytes_["log"], "the log was on"
    assert b"ann" in b"".join(bytes_.values())
    for where, found in bytes_.items():
        for secret in secrets:
            assert secret.encode() not in found, f"{secret[:12]} is in {where}"


def _ask(http: httpx.Client, key: str, words: str, **more: Any) -> httpx.Response:
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": words}], **more}
    headers = {"authorization": f"Bearer {key}", "x-request-id": f"r-{len(words)}"}
    return http.post("/v1/chat/completions", json=body, headers=headers)


def _talk(http: httpx.Client, key: str) -> list[str]:
    """Everything that a gateway says to a caller, and of it to operators."""
    said = [
        _ask(http, key, PROMPT),
        _ask(http, key, f"{PROMPT} please fail"),
        _ask(http, key, f"{PROMPT} please fail, the key"),
        _ask(http, key, f"{PROMPT} please fail", stream=True),
        _ask(http, key, PROMPT, temperature="CANARY"),
        _ask(http, key + "0", PROMPT),
        http.post("/v1/messages", content=PROMPT, headers={"x-api-key": key}),
    ]
    assert {each.status_code for each in said} >= {200, 400, 401}
    ops = {"authorization": f"Bearer {OPS}"}
    paths = [
        *("/status", "/metrics", "/health", "/v1/models", "/admin/keys", "/admin/keys/ann"),
        *("/admin/costs", "/admin/usage", "/admin/budgets", "/admin/top/users", "/admin/top/keys"),
        *(f"/admin/explain/r-{n}" for n in (14, 26, 35)),
    ]
    said += [http.get(each, headers=ops) for each in paths]
    return [f"{each.headers} {each.text}" for each in said]


def test_other_machines_are_not_served_before_there_is_a_key(tmp_path: Path) -> None:
    """Also where only the store can tell whether there is one."""
    refused = subprocess.run(
        [*PROGRAM, stored(tmp_path), "--host", "0.0.0.0", "--port", "0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 2
    assert "understudy keys create" in refused.stderr
    assert "serves on" not in refused.stdout
