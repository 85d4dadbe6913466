"""One engine at a time writes a file: the second one is told who does.

The lock is the operating system's, on a file beside the store's. It ends with the process that
holds it, however that ends, so none is ever left behind.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from understudy_actors.domain.errors import StoreFailed


class StoreInUse(StoreFailed):
    """Another process has the store."""


class FileLock:
    """The lock of one store's file."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}.lock")
        self._file: int | None = None

    def take(self) -> None:
        """Take it.

        Raises:
            StoreFailed: Another process has it, or the lock's file cannot be written.
        """
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreFailed(
                f"the store's lock {self._path} cannot be opened: {error.strerror}. "
                "Make its folder writable, or name another one as `store.path`"
            ) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.read(file, 32).decode("ascii", "replace").strip()
            os.close(file)
            raise StoreInUse(
                f"the store {self._path.with_suffix('')} is in use by process "
                f"{owner or 'unknown'}: stop that one, or give this one a `store.path` of its own"
            ) from None
        self._file = file
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go of it. Harmless when it is not held."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
