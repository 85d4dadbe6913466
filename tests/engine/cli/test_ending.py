"""`understudy serve` told to reload, and told to end, while requests are under way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.engine.cli.served import ADMIN, Served, SlowProvider, client, config, served

pytestmark = pytest.mark.wall_clock


@pytest.fixture
def slow() -> Iterator[SlowProvider]:
    provider = SlowProvider("it")
    yield provider
    provider.close()


class Asking(threading.Thread):
    """A caller in a thread: a whole answer, or a stream that is read to its end."""

    def __init__(self, service: Served, *, stream: bool = False) -> None:
        super().__init__(daemon=True)
        self.service = service
        self.stream = stream
        self.status = 0
        self.headers = httpx.Headers()
        self.body = ""
        self.start()

    def run(self) -> None:
        with client() as own:
            answer = self.service.chat(own, stream=self.stream)
            self.status, self.headers, self.body = answer.status_code, answer.headers, answer.text

    def over(self) -> Asking:
        self.join(60)
        assert not self.is_alive()
        return self


def reloaded(service: Served, own: httpx.Client, since: object = None) -> dict[str, object]:
    """How the last reload ended, once there was one after `since`."""
    while True:
        last = own.get(f"{service.url}/admin/reload", headers=ADMIN).json()
        if last is not None and last != since:
            return dict(last)


def test_sighup_reads_the_file_anew_and_cuts_nothing(tmp_path: Path, slow: SlowProvider) -> None:
    with served(tmp_path, config({"slow": slow.url})) as service, client() as own:
        whole, stream = Asking(service), Asking(service, stream=True)
        for _ in range(2):
            assert slow.began.acquire(timeout=60)
        service.place.write_text(config({"other": "at your service"}))
        service.process.send_signal(signal.SIGHUP)
        first = reloaded(service, own)
        assert first["ok"] is True
        assert service.text(own) == "at your service"
        service.place.write_text(config({"other": "never"}, port=99999))
        service.process.send_signal(signal.SIGHUP)
        second = reloaded(service, own, first)
        assert second["ok"] is False
        assert "gateway.port" in str(second["error"])
        assert own.get(f"{service.url}/status").json()["last_reload"]["ok"] is False
        assert service.text(own) == "at your service"
        slow.go.set()
        assert whole.over().status == 200
        assert '"it"' in whole.body
        assert "it begins," in stream.over().body
        assert " and ends" in stream.body
        assert "[DONE]" in stream.body
        assert "gateway.port" in (tmp_path / "stderr").read_text()


def test_an_operator_reloads_over_http(tmp_path: Path) -> None:
    with served(tmp_path, config({"one": "first"})) as service, client() as own:
        path = f"{service.url}/admin/reload"
        assert own.post(path).status_code == 401
        service.place.write_text(config({"two": "second"}, body_max=2_000))
        answer = own.post(path, headers=ADMIN)
        assert answer.status_code == 200
        assert (answer.json()["added"], answer.json()["removed"]) == (["two"], ["one"])
        assert service.text(own) == "second"
        assert service.chat(own, user="x" * 3_000).status_code == 413
        for wrong, key in (
            (config({"two": "second"}, concurrent_max=0), "gateway.concurrent_max"),
            (config({"two": "second"}, drain="1s"), "gateway.drain"),
            ("strategy = ", "served.toml"),
        ):
            service.place.write_text(wrong)
            answer = own.post(path, headers=ADMIN)
            assert answer.status_code == 400, answer.text
            assert key in answer.json()["error"]["message"]
            assert answer.json()["error"]["code"] == "invalid_configuration"
        assert service.text(own) == "second"


def test_sigterm_tells_whoever_cannot_be_answered_in_time(
    tmp_path: Path, slow: SlowProvider
) -> None:
    """One more waits for a slot, one keeps an idle connection: nobody hangs."""
    with served(tmp_path, config({"slow": slow.url}, drain="1s")) as service, client() as idle:
        assert idle.get(f"{service.url}/health").status_code == 200
        whole, stream = Asking(service), Asking(service, stream=True)
        for _ in range(2):
            assert slow.began.acquire(timeout=60)
        service.process.send_signal(signal.SIGTERM)
        assert whole.over().status == 503
        assert int(whole.headers["retry-after"]) >= 1
        assert "shutting_down" in whole.body
        assert "it begins," in stream.over().body
        assert '"error"' in stream.body
        assert "[DONE]" not in stream.body
        assert service.process.wait(timeout=60) in (0, -signal.SIGTERM)


def test_sigterm_waits_for_answers(tmp_path: Path, slow: SlowProvider) -> None:
    with served(tmp_path, config({"slow": slow.url}, drain="60s")) as service, client() as idle:
        assert idle.get(f"{service.url}/health").status_code == 200
        whole, stream = Asking(service), Asking(service, stream=True)
        for _ in range(2):
            assert slow.began.acquire(timeout=60)
        service.process.send_signal(signal.SIGTERM)
        with pytest.raises(httpx.HTTPError):
            while True:  # until nobody listens any more
                httpx.get(f"{service.url}/health", trust_env=False)
        slow.go.set()
        assert whole.over().status == 200
        assert "[DONE]" in stream.over().body
        assert service.process.wait(timeout=60) in (0, -signal.SIGTERM)


def test_a_second_sigterm_ends_it_at_once(tmp_path: Path, slow: SlowProvider) -> None:
    with served(tmp_path, config({"slow": slow.url}, drain="600s")) as service:
        whole, stream = Asking(service), Asking(service, stream=True)
        for _ in range(2):
            assert slow.began.acquire(timeout=60)
        service.process.send_signal(signal.SIGTERM)
        with pytest.raises(httpx.HTTPError):
            while True:
                httpx.get(f"{service.url}/health", trust_env=False)
        service.process.send_signal(signal.SIGTERM)
        assert whole.over().status == 503
        assert '"error"' in stream.over().body
        assert service.process.wait(timeout=60) in (0, -signal.SIGTERM)
