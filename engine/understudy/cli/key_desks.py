"""Whom `understudy keys` asks: a gateway that runs, or else the store, which nobody may hold then.

Both take and give the documents of `/admin/keys`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias
from urllib.parse import quote, urlsplit

import msgspec
import trio

from understudy.cli.opening import environment
from understudy.cli.output import plain
from understudy.config import Config, find, parse_duration
from understudy.ports import Ports
from understudy_actors.domain.errors import ConfigError, InvalidRequest, StoreFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from understudy.keys.keys import Issued, Keys

Document: TypeAlias = dict[str, Any]
ADMIN_KEY: Final = "UNDERSTUDY_ADMIN_KEY"
PATIENCE_S: Final = 30.0


class KeyDesk(Protocol):
    """Where keys are made and changed."""

    def every(self) -> list[Document]:
        """All keys."""
        ...

    def show(self, name: str) -> Document:
        """One key."""
        ...

    def create(self, body: Document) -> Document:
        """Make one; the answer holds the key itself."""
        ...

    def change(self, name: str, body: Document) -> Document:
        """Give one other terms."""
        ...

    def revoke(self, name: str) -> Document:
        """Refuse one from now on."""
        ...

    def rotate(self, name: str, grace: str) -> Document:
        """Replace one; the answer holds the new key itself."""
        ...


def desk_of(path: Path | None, url: str | None) -> KeyDesk:
    """A gateway's, if its address is given; else the store's.

    Raises:
        ConfigError: The configuration cannot be read, or the admin key is missing.
    """
    if url is None:
        return StoreDesk(find(path, environment()) or Config())
    return GatewayDesk(url, _admin_key(path))


def _admin_key(path: Path | None) -> str:
    environ = environment()
    if key := environ.get(ADMIN_KEY, "").strip():
        return key
    found = find(path, environ)
    if found is None or found.gateway.admin_key is None:
        raise ConfigError(f"a gateway's keys need its admin key: set {ADMIN_KEY}")
    return found.gateway.admin_key.resolve(environ, "gateway.admin_key").reveal()


class StoreDesk:
    """The store of a configuration."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._ports = Ports()

    def every(self) -> list[Document]:
        """See `KeyDesk`; it may be read while a gateway runs."""
        return [plain(each) for each in self._looked().every()]

    def show(self, name: str) -> Document:
        """See `KeyDesk`."""
        return _document(self._looked().show(name))

    def create(self, body: Document) -> Document:
        """See `KeyDesk`. Without a store the answer holds what belongs into the configuration."""
        from understudy.keys.forms import wanted

        if self._config.store is None:
            return self._create_for_file(body)
        name, terms, end = wanted(body, self._ports.clock.wall())
        with self._writing() as keys:
            return _issued(trio.run(partial(keys.create, name, terms, expires_at=end)))

    def change(self, name: str, body: Document) -> Document:
        """See `KeyDesk`."""
        from understudy.keys.forms import changing

        change = changing(body, self._ports.clock.wall())
        with self._writing() as keys:
            return _document(trio.run(keys.change, name, change))

    def revoke(self, name: str) -> Document:
        """See `KeyDesk`."""
        with self._writing() as keys:
            return _document(trio.run(keys.revoke, name))

    def rotate(self, name: str, grace: str) -> Document:
        """See `KeyDesk`."""
        with self._writing() as keys:
            return _issued(trio.run(keys.rotate, name, parse_duration(grace)))

    def _create_for_file(self, body: Document) -> Document:
        from datetime import UTC, datetime

        from understudy.keys.forms import wanted
        from understudy.keys.offline import snippet
        from understudy.keys.token import Hashing, issue

        name, terms, end = wanted(body, self._ports.clock.wall())
        key, hashed = issue(self._ports.entropy, Hashing())
        until = None if end is None else datetime.fromtimestamp(end, UTC).isoformat("T", "seconds")
        lines = snippet(name or hashed.id, hashed, terms, until)
        return {"key": key, "name": name or hashed.id, "id": hashed.id, "config": lines}

    def _looked(self) -> Keys:
        from understudy.keys.keys import Keys
        from understudy.keys.offline import look

        ring = look(self._config, environment())
        return Keys(ring, self._ports.clock.wall, self._ports.entropy, lambda *_: None)

    @contextmanager
    def _writing(self) -> Iterator[Keys]:
        from understudy.keys.offline import writing
        from understudy.store.lock import StoreInUse

        try:
            wall, entropy = self._ports.clock.wall, self._ports.entropy
            with writing(self._config, environment(), wall, entropy) as keys:
                yield keys
        except StoreInUse as error:
            own = self._config.gateway
            raise StoreFailed(
                f"{error}. If that is a gateway, let it do this: add --url, such as --url "
                f"http://127.0.0.1:{own.port or 8400}, with its admin key in {ADMIN_KEY}"
            ) from None


class GatewayDesk:
    """A gateway that runs."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError("--url must be a gateway's address, such as http://127.0.0.1:8400")
        self._url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._key = key

    def every(self) -> list[Document]:
        """See `KeyDesk`."""
        found: list[Document] = self._ask("GET", "")["keys"]
        return found

    def show(self, name: str) -> Document:
        """See `KeyDesk`."""
        return self._ask("GET", _path(name))

    def create(self, body: Document) -> Document:
        """See `KeyDesk`."""
        return self._ask("POST", "", body)

    def change(self, name: str, body: Document) -> Document:
        """See `KeyDesk`."""
        return self._ask("PATCH", _path(name), body)

    def revoke(self, name: str) -> Document:
        """See `KeyDesk`."""
        return self._ask("DELETE", _path(name))

    def rotate(self, name: str, grace: str) -> Document:
        """See `KeyDesk`."""
        return self._ask("POST", f"{_path(name)}/rotate", {"grace": grace})

    def _ask(self, method: str, path: str, body: Document | None = None) -> Document:
        return trio.run(self._send, method, f"{self._url}/admin/keys{path}", body)

    async def _send(self, method: str, url: str, body: Document | None) -> Document:
        from understudy.transport.factory import default_transport
        from understudy.transport.http import HttpRequest, TransportFailed

        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        content = b"" if body is None else msgspec.json.encode(body)
        transport = default_transport()
        try:
            with trio.fail_after(PATIENCE_S):
                answer = await transport.send("gateway", HttpRequest(method, url, headers, content))
        except (TransportFailed, trio.TooSlowError) as error:
            why = str(error) or f"no answer within {PATIENCE_S:g} s"
            raise StoreFailed(f"no gateway answers at {self._url}: {why}") from None
        finally:
            await transport.aclose()
        try:
            found = msgspec.json.decode(answer.body, type=dict[str, Any])
        except msgspec.MsgspecError:
            found = {}
        if answer.status < 300:
            return found
        said = found.get("error", {}).get("message") or f"HTTP status {answer.status}"
        kind: Callable[[str], Exception] = InvalidRequest if answer.status < 500 else StoreFailed
        raise kind(f"the gateway at {self._url} says: {said}")


def _path(name: str) -> str:
    return f"/{quote(name, safe='')}"


def _document(view: object) -> Document:
    found: Document = plain(view)
    return found


def _issued(issued: Issued) -> Document:
    return {"key": issued.key.reveal(), **_document(issued.view)}
