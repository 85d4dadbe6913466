"""A key as its owner has it, and the hash by which it is known here.

    usk-0123456789abcdef-(64 hexadecimal digits)
        its public id     256 bits that nobody can guess

The hash is HMAC-SHA256 of the whole key under a salt of its own. A slow hash (bcrypt, Argon2) is
for passwords, which can be guessed; of 256 random bits nobody can try even a tiny part, however
fast the hash is, and a slow one would cost every request milliseconds, and let strangers burn them.
The salt keeps equal keys and tables made in advance out of the question.

The id finds the hash in one step, whatever the number of keys. What follows is the same for every
key, right or wrong, known or not: one hash, one comparison that looks at all bytes.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final

import attrs
from msgspec import Struct

PREFIX: Final = "usk"
_ID_BYTES: Final = 8
_SECRET_BYTES: Final = 32
_SALT_BYTES: Final = 16


def _hmac(salt: bytes, text: str) -> bytes:
    return hmac.digest(salt, text.encode("utf-8", "surrogatepass"), "sha256")


@attrs.frozen
class Hashing:
    """How keys are hashed, and how hashes are compared: whole, however early they differ."""

    digest: Callable[[bytes, str], bytes] = _hmac
    same: Callable[[bytes, bytes], bool] = hmac.compare_digest


class Hashed(Struct, frozen=True):
    """A key as far as anybody here knows it.

    Attributes:
        id: Its public id.
        salt, digest: See the module.
        until: From when on it is refused, in Unix seconds, since another one took its place.
    """

    id: str
    salt: bytes
    digest: bytes
    until: float | None = None

    def __str__(self) -> str:
        """As it stands in a configuration."""
        return f"{self.id}:{self.salt.hex()}:{self.digest.hex()}"


NOBODY: Final = Hashed("", bytes(_SALT_BYTES), bytes(32))
"""What a key is compared with whose id is unknown: no key has this hash."""


def issue(entropy: Callable[[int], bytes], hashing: Hashing) -> tuple[str, Hashed]:
    """A new key, and its hash; `entropy` gives random bytes that nobody can foresee."""
    identity = entropy(_ID_BYTES).hex()
    key = f"{PREFIX}-{identity}-{entropy(_SECRET_BYTES).hex()}"
    salt = entropy(_SALT_BYTES)
    return key, Hashed(identity, salt, hashing.digest(salt, key))


def id_of(given: str) -> str:
    """The public id in a key; of what is no key, whatever stands there."""
    return given[len(PREFIX) + 1 : len(PREFIX) + 1 + 2 * _ID_BYTES]


def read_hash(text: str) -> Hashed:
    """The hash that stands in a configuration, which has been checked."""
    identity, salt, digest = text.split(":")
    return Hashed(identity, bytes.fromhex(salt), bytes.fromhex(digest))
