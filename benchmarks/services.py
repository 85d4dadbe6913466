"""The services that `benchmarks.gateway` compares: ours, and peers where they are installed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import attrs

READY_S: Final = 120.0
_ROOT: Final = Path(__file__).parent.parent
LITELLM: Final = _ROOT / ".venv-peers/bin/litellm"
PORTKEY: Final = _ROOT / ".peers/node_modules/@portkey-ai/gateway/build/start-server.js"
PAGE_KB: Final = os.sysconf("SC_PAGE_SIZE") / 1024
TICKS: Final = os.sysconf("SC_CLK_TCK")

OPEN: Final = {
    "TRUSTED_CUSTOM_HOSTS": "localhost,127.0.0.1",
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
}
"""What peers must be told to ask a provider on loopback, and to let anybody ask: as ours does."""

OURS: Final = """
log = {{ level = "off" }}
[providers.upstream]
kind = "openai-compatible"
base_url = "http://127.0.0.1:{upstream}/v1"
models = ["m"]
concurrency = 2048
"""
THEIRS: Final = """
model_list:
  - model_name: m
    litellm_params:
      model: openai/m
      api_base: http://127.0.0.1:{upstream}/v1
      api_key: sk-benchmark
litellm_settings:
  telemetry: false
"""


@attrs.define
class Service:
    """A running service: where it is, its process, and how long it took to answer."""

    name: str
    port: int
    process: subprocess.Popen[bytes] | None
    ready_s: float = 0.0
    headers: Mapping[str, str] = attrs.field(factory=dict)

    def memory_mb(self) -> float:
        """Resident memory of it and what it started, in MB."""
        return sum(_resident_mb(pid) for pid in self._pids())

    def cpu_s(self) -> float:
        """CPU time that it took so far, with what it started, in seconds."""
        return sum(_cpu_s(pid) for pid in self._pids())

    def _pids(self) -> list[int]:
        return [] if self.process is None else _family(self.process.pid)


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    found = [pid]
    with contextlib.suppress(OSError):
        for child in children.read_text().split():
            found += _family(int(child))
    return found


def _resident_mb(pid: int) -> float:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_KB / 1024
    return 0.0


def _cpu_s(pid: int) -> float:
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS
    return 0.0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def ours(upstream: int, port: int, folder: Path) -> tuple[list[str], str]:
    """This gateway."""
    config = folder / "understudy.toml"
    config.write_text(OURS.format(upstream=upstream))
    understudy = str(Path(sys.executable).with_name("understudy"))
    return [understudy, "serve", str(config), "--port", str(port)], "/health"


def litellm(upstream: int, port: int, folder: Path) -> tuple[list[str], str] | None:
    """LiteLLM's proxy, one worker."""
    if not LITELLM.exists():
        return None
    config = folder / "litellm.yaml"
    config.write_text(THEIRS.format(upstream=upstream))
    command = [str(LITELLM), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    return [*command, "--num_workers", "1"], "/health/liveliness"


def portkey(upstream: int, port: int, folder: Path) -> tuple[list[str], str] | None:  # noqa: ARG001
    """Portkey's gateway."""
    node = shutil.which("node")
    if node is None or not PORTKEY.exists():
        return None
    return [node, str(PORTKEY), f"--port={port}", "--headless"], "/"


Starter = Callable[[int, int, Path], tuple[list[str], str] | None]
PEERS: Final[dict[str, Starter]] = {"understudy": ours, "litellm": litellm, "portkey": portkey}


@contextlib.contextmanager
def running(name: str, upstream: int, folder: Path) -> Iterator[Service | None]:
    """A service in a process of its own; None if it is not installed."""
    port = _free_port()
    found = PEERS[name](upstream, port, folder)
    if found is None:
        yield None
        return
    command, path = found
    environ = {**os.environ, **OPEN}
    headers = {"authorization": "Bearer sk-benchmark"}
    if name == "portkey":
        headers |= {
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"http://127.0.0.1:{upstream}/v1",
        }
    began = time.perf_counter()
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=environ, cwd=folder, start_new_session=True
        )
    try:
        _await(f"http://127.0.0.1:{port}{path}", process, folder / f"{name}.log")
        yield Service(name, port, process, time.perf_counter() - began, headers)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until it answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    ends_at = time.perf_counter() + READY_S
    while time.perf_counter() < ends_at and process.poll() is None:
        try:
            with opener.open(url, timeout=1) as response:
                if response.status == 200:
                    return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError(f"it did not start: {log.read_text()[-2000:]}")
