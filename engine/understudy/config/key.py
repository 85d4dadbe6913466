"""Where a secret comes from: an environment variable or a file, never the configuration itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from understudy.config.faults import BadKey
from understudy.config.section import Section
from understudy.secret import Secret

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FORM: Final = '"env:NAME_OF_VARIABLE", "file:/path/to/file", or a table with `env` or `file`'
_FILE_BYTES_MAX: Final = 65_536
_CARRIES_SECRET: Final = re.compile(r"(?i)auth|key|token|secret|cookie|password")


class KeySource(Section, frozen=True, kw_only=True):
    """Where to find a secret, given as exactly one of three.

    Attributes:
        env: Name of the environment variable that holds it.
        file: Path of the file that holds it (blanks around it are dropped).
        insecure_inline: The secret itself, for a throw-away test. Whoever reads the file has it.
    """

    title: ClassVar[str] = "a key source (env, file, insecure_inline)"
    should: ClassVar[str] = f"{_FORM}; a secret does not belong into a configuration"
    private: ClassVar[bool] = True

    env: str | None = None
    file: str | None = None
    insecure_inline: Secret | None = None

    @classmethod
    def expand(cls, value: object) -> Mapping[Any, object] | None:
        """Read `env:NAME` and `file:/path`."""
        if not isinstance(value, str):
            return super().expand(value)
        scheme, colon, rest = value.partition(":")
        return {scheme: rest.strip()} if colon and scheme in ("env", "file") else None

    def check(self) -> None:
        """Exactly one source, and a variable's name that can be one."""
        given = sum(getattr(self, name) is not None for name in self.__struct_fields__)
        if given != 1:
            raise BadKey(f"must name exactly one source: {_FORM}")
        if self.env is not None and not _VARIABLE.fullmatch(self.env):
            raise BadKey("must be the name of an environment variable (not shown here)", "env")
        if self.file is not None and not self.file:
            raise BadKey("must be the path of a file", "file")

    def resolve(self, environ: Mapping[str, str], path: str) -> Secret:
        """The secret. `path` is the key of the configuration it stands under, for the error.

        Raises:
            ConfigError: The variable is not set, or the file cannot be read, or nothing is in it.
        """
        if self.insecure_inline is not None:
            return self.insecure_inline
        if self.env is not None:
            text = environ.get(self.env, "").strip()
            if not text:
                raise BadKey(f"needs the environment variable {self.env}: set it", path)
            return _one_line(text, path)
        return _one_line(self._read(path), path)

    def _read(self, path: str) -> str:
        place = Path(self.file or "").expanduser()
        try:
            with place.open("rb") as file:
                text = file.read(_FILE_BYTES_MAX).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise BadKey(f"needs the file {place}, which cannot be read: {why}", path) from None
        if not text:
            raise BadKey(f"needs the file {place}, which is empty", path)
        return text

    def describe(self) -> str:
        """Where the secret comes from, without it."""
        if self.env is not None:
            return f"env:{self.env}"
        return f"file:{self.file}" if self.file is not None else "<secret>"


def _one_line(text: str, path: str) -> Secret:
    # An HTTP client would refuse it later, with the secret in its message.
    if not text.isprintable() or not text.isascii():
        raise BadKey("holds a secret with line breaks or other characters no header takes", path)
    return Secret(text)


class HeaderSource(KeySource, frozen=True, kw_only=True):
    """The value of an extra HTTP header: a text, or like a key from `env` or `file`.

    Attributes:
        text: The value itself; refused under names that carry secrets, such as `Authorization`.
        env: Name of the environment variable that holds it.
        file: Path of the file that holds it (blanks around it are dropped).
        insecure_inline: The value itself, although it is a secret.
    """

    title: ClassVar[str] = "a header"
    should: ClassVar[str] = f"a text, or {_FORM}"

    text: Secret | None = None

    @classmethod
    def expand(cls, value: object) -> Mapping[Any, object] | None:
        """Any text that names no source stands for itself."""
        table = super().expand(value)
        return {"text": value} if table is None and isinstance(value, str) else table

    def resolve(self, environ: Mapping[str, str], path: str) -> Secret:
        """The header's value; see `KeySource.resolve`."""
        return self.text if self.text is not None else super().resolve(environ, path)


def carries_secret(header: str) -> bool:
    """Does a header of this name carry a secret?"""
    return _CARRIES_SECRET.search(header) is not None


def check_headers(headers: Mapping[str, HeaderSource]) -> None:
    """Refuse a plain text where a secret belongs; raises `BadKey`."""
    for name, source in headers.items():
        if source.text is not None and _CARRIES_SECRET.search(name):
            raise BadKey(f"carries a secret by its name: it must be {_FORM}").under(name)
