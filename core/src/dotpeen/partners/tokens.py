"""Tokens: their text, how they are made, and how one is told from a guess.

A token is `dp_<id>_<secret>` (an access token: `dpa_…`): the id is public and finds the row, the secret is 256 random
bits, of which only the SHA-256 is stored. A slow hash would add nothing: there is no dictionary of such secrets.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeAlias

from dotpeen.errors import AuthenticationError

Kind: TypeAlias = Literal["client", "access"]

_PREFIXES: Final[dict[Kind, str]] = {"client": "dp", "access": "dpa"}
_KINDS: Final[dict[str, Kind]] = {prefix: kind for kind, prefix in _PREFIXES.items()}
_ALPHABET: Final = "0123456789abcdefghijkmnpqrstuvwxyz"
_TOKEN = re.compile(r"(dpa?)_([0-9a-z]{16})_([A-Za-z0-9_-]{43})")
_ID = re.compile(r"[0-9a-z]{16}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


class ReadToken(NamedTuple):
    """What a token says: its kind, its public id, and the hash of its secret."""

    kind: Kind
    id: str
    hash: bytes


@dataclass(frozen=True)
class NewToken:
    """A token just made; the only moment in which its secret is known."""

    kind: Kind
    id: str
    hash: bytes = field(repr=False)
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """The token as a partner sends it."""
        return f"{_PREFIXES[self.kind]}_{self.id}_{self.secret}"


def new_token(kind: Kind) -> NewToken:
    """Make a token with a secret of 256 random bits."""
    secret = secrets.token_urlsafe(32)
    public = "".join(secrets.choice(_ALPHABET) for _ in range(16))
    return NewToken(kind, public, _hash(secret), secret)


def read_token(text: str) -> ReadToken:
    """Take a token apart. Raises `AuthenticationError("malformed")`, which doesn't carry it."""
    match = _TOKEN.fullmatch(text)
    if match is None:
        raise AuthenticationError("malformed")
    prefix, public, secret = match.groups()
    return ReadToken(_KINDS[prefix], public, _hash(secret))


def read_client(client_id: str, client_secret: str) -> ReadToken:
    """Take OAuth 2 client credentials: a token's id and its secret, or its id and the whole token.

    Raises `AuthenticationError("malformed")`.
    """
    if client_secret.startswith("dp_"):
        read = read_token(client_secret)
        if read.id == client_id:
            return read
    elif _ID.fullmatch(client_id) and _SECRET.fullmatch(client_secret):
        return ReadToken("client", client_id, _hash(client_secret))
    raise AuthenticationError("malformed")


def matches(hash_at_rest: bytes, hash_brought: bytes) -> bool:
    """Compare two hashes in a time that doesn't depend on where they differ."""
    return hmac.compare_digest(hash_at_rest, hash_brought)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()
