"""What is wrong with a configuration: the path of the key, its value, and what would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from understudy_actors.domain.errors import ConfigError

T = TypeVar("T")

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_SECRETIVE: Final = re.compile(
    r"(?i)\b(sk|pk|rk|gsk|xai|hf|r8|key|tgp|csk|pplx)[-_][\w-]{8,}|\bAIza|\bbearer\s"
    r"|(?=[\w+=-]*\d)(?=[\w+=-]*[A-Za-z])[\w+=-]{32,}"
)
"""How API keys look. A value that looks like one is not shown, whatever key it stands under."""
_SHOWN_CHARS: Final = 60


class BadKey(ConfigError):
    """One key of the configuration is wrong.

    Attributes:
        path: The key as a user would write it, e.g. `providers.openai.breaker.cooldown`.
        problem: What is wrong with it and what would be right, without the path.
    """

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(f"`{path}` {problem}" if path else problem)
        self.path = path
        self.problem = problem

    def under(self, key: str | int) -> BadKey:
        """The same fault, seen from one level further up."""
        step = f"[{key}]" if isinstance(key, int) else _quoted(key)
        joint = "." if self.path and not self.path.startswith("[") else ""
        return BadKey(self.problem, f"{step}{joint}{self.path}")


class NotValid(Exception):
    """A file that its language forbids; the message repeats none of it."""


def bad_value(
    value: object, should: str, near: Iterable[str] = (), *, hidden: bool = False
) -> BadKey:
    """The fault of a wrong value. `near` are right ones, to guess which was meant."""
    what = "has a value that is not shown here" if hidden else f"is {show(value)}"
    guess = "" if hidden else did_you_mean(value, near)
    return BadKey(f"{what}: it must be {should}{guess}")


def unknown_key(key: object, known: Iterable[str], title: str) -> BadKey:
    """The fault of a key that nobody reads; its value, perhaps a misplaced secret, is not shown."""
    known = sorted(known)
    guess = did_you_mean(key, known) or f" (known: {', '.join(known)})"
    return BadKey(f"is no key of {title}{guess}", _quoted(str(key)))


def did_you_mean(value: object, known: Iterable[str]) -> str:
    """A guess at what was meant, as the end of a sentence; empty if nothing is near."""
    folded = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(str(value).casefold(), folded, n=1, cutoff=0.55)
    return f" (did you mean `{folded[near[0]]}`?)" if near else ""


def show(value: object) -> str:
    """A value as it may stand in an error: short, and nothing that looks like a secret."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple | set | frozenset):
        return "a list"
    if isinstance(value, int) and value.bit_length() > 256:
        return "a huge number"
    if value is None or isinstance(value, bool | int | float | str):
        text = repr(value) if not isinstance(value, str) else f'"{value}"'
        if _SECRETIVE.search(text):
            return "a value that looks like a secret (not shown)"
        return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
    return f"a {type(value).__name__}"


def looks_secret(text: str) -> bool:
    """Does it look like an API key, whatever it stands under?"""
    return _SECRETIVE.search(text) is not None


def at(key: str | int, read: Callable[[], T]) -> T:
    """Do `read`; a fault in it is raised with `key` in front of its path."""
    try:
        return read()
    except BadKey as fault:
        raise fault.under(key) from None


def _quoted(key: str) -> str:
    if _SECRETIVE.search(key):
        return '"..."'
    return key if _BARE.fullmatch(key) else f'"{key}"'
