"""`understudy serve` as a process, and a provider behind it that answers when it is let."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

PROGRAM = [sys.executable, "-c", "from understudy.cli import main; main()", "serve"]
ADMIN = {"authorization": "Bearer operator-0123456789"}
ASKED = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}


class SlowProvider:
    """Speaks OpenAI's chat. What it says ends when `go` is set; a stream begins at once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.go = threading.Event()
        self.began = threading.Semaphore(0)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def close(self) -> None:
        self.go.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        own = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with contextlib.suppress(OSError):
                    own._stream(self) if asked.get("stream") else own._whole(self)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler

    def _whole(self, to: BaseHTTPRequestHandler) -> None:
        self.began.release()
        self.go.wait()
        message = {"role": "assistant", "content": self.text}
        body = json.dumps(
            {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        ).encode()
        to.send_response(200)
        to.send_header("content-type", "application/json")
        to.send_header("content-length", str(len(body)))
        to.end_headers()
        to.wfile.write(body)

    def _stream(self, to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.send_header("content-type", "text/event-stream")
        to.send_header("connection", "close")
        to.end_headers()
        self._piece(to, f"{self.text} begins,", None)
        self.began.release()
        self.go.wait()
        self._piece(to, " and ends", None)
        self._piece(to, "", "stop")
        to.wfile.write(b"data: [DONE]\n\n")

    def _piece(self, to: BaseHTTPRequestHandler, text: str, why: str | None) -> None:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": why}
        to.wfile.write(f"data: {json.dumps({'choices': [choice]})}\n\n".encode())
        to.wfile.flush()


class Served:
    """A running process."""

    def __init__(self, process: subprocess.Popen[str], url: str, place: Path) -> None:
        self.process = process
        self.url = url
        self.place = place

    def chat(self, client: httpx.Client, **body: Any) -> httpx.Response:
        return client.post(f"{self.url}/v1/chat/completions", json={**ASKED, **body})

    def text(self, client: httpx.Client) -> str:
        answer = self.chat(client)
        return str(answer.json()["choices"][0]["message"]["content"])


def client() -> httpx.Client:
    return httpx.Client(trust_env=False, timeout=60)


def config(providers: dict[str, str], **gateway: Any) -> str:
    """A file: name of a provider to its address, or to what it says if it is a stand-in."""
    lines = ["strategy = 'priority'", "[log]", "level = 'error'", "[gateway]"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in gateway.items()]
    lines += ["[gateway.admin_key]", "env = 'ADMIN'"]
    for at, (name, what) in enumerate(providers.items()):
        lines.append(f"[providers.{name}]")
        lines.append(f"priority = {at + 1}")
        if what.startswith("http"):
            lines += ["kind = 'openai'", f"base_url = '{what}'", "models = ['m']"]
        else:
            lines += ["kind = 'local'", f"reply = '{what}'"]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def served(place: Path, text: str) -> Iterator[Served]:
    """Serve a configuration from a file; what is left of the process at the end is killed."""
    path = place / "served.toml"
    path.write_text(text)
    with (place / "stderr").open("w") as said:
        process = subprocess.Popen(
            [*PROGRAM, str(path), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "HOME": os.environ.get("HOME", ""),
                "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
                "ADMIN": "operator-0123456789",
            },
        )
    assert process.stdout is not None
    try:
        told = [process.stdout.readline() for _ in range(5)]
        found = re.search(r"http://127\.0\.0\.1:\d+", told[0])
        assert found, (told, (place / "stderr").read_text())
        yield Served(process, found[0], path)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
