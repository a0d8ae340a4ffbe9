"""Signatures and password hashes, in Notify's formats where the database is shared with it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

from graphql_api.errors import Unavailable

MAX_BCRYPT_BYTES = 72
_BCRYPT = BcryptHasher(rounds=10)
_HASHERS = PasswordHash((Argon2Hasher(time_cost=2, memory_cost=19_456, parallelism=1), _BCRYPT))


class HashingPool:
    """The threads of a process for password hashes, which take 20 to 60 ms each."""

    max_pending = 50
    """Concurrent calls; the last of them waits for about a second."""

    def __init__(self) -> None:
        self.pending = 0
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="hashing")

    async def run(self, function: Any, *arguments: Any) -> Any:
        """The result of a function run in a thread; raises `Unavailable` when `max_pending` calls are pending."""
        if self.pending >= self.max_pending:
            raise Unavailable("Too many people are signing in: try again.")
        self.pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        finally:
            self.pending -= 1


hashing_pool = HashingPool()


class BadSignature(ValueError):
    """No key verifies the signature of a value."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs columns as Notify does: JSON, compressed if that is shorter, base64, and an HMAC-SHA1; not encrypted.

    The first key signs, all are accepted, so that keys can be rotated.
    """

    keys: tuple[bytes, ...]
    salt: bytes

    def sign(self, value: Any) -> str:
        """The signed text of a JSON value, byte for byte as Notify writes it."""
        raw = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        compressed = zlib.compress(raw)
        text = "." + _encode_base64(compressed) if len(compressed) < len(raw) - 1 else _encode_base64(raw)
        return f"{text}.{self._mac(self.keys[0], text)}"

    def unsign(self, signed: str) -> Any:
        """The JSON value of a signed text; raises `BadSignature`."""
        text, _, signature = signed.rpartition(".")
        if not any(hmac.compare_digest(self._mac(key, text).encode(), signature.encode()) for key in self.keys):
            raise BadSignature("The signature is valid with none of the keys.")
        raw = zlib.decompress(_decode_base64(text[1:])) if text.startswith(".") else _decode_base64(text)
        return json.loads(raw)

    def _mac(self, key: bytes, text: str) -> str:
        return _encode_base64(hmac.digest(_derive_key(key, self.salt), text.encode(), "sha1"))


@lru_cache(maxsize=64)
def _derive_key(key: bytes, salt: bytes) -> bytes:
    return hashlib.sha1(salt + b"signer" + key, usedforsecurity=False).digest()


def _encode_base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode_base64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def hash_password(password: str, *, for_notify: bool) -> str:
    """An argon2id hash (19 MiB, two passes); with `for_notify`, a bcrypt one (cost 10) of the first 72 bytes."""
    hashed: str = await (
        hashing_pool.run(_BCRYPT.hash, password.encode()[:MAX_BCRYPT_BYTES])
        if for_notify
        else hashing_pool.run(_HASHERS.hash, password)
    )
    return hashed


async def hash_code(code: str) -> str:
    """A bcrypt hash of a sign-in code, as Notify stores it."""
    hashed: str = await hashing_pool.run(_BCRYPT.hash, code)
    return hashed


async def verify_password(password: str, hashed: str | None) -> bool:
    """Whether the password matches an argon2id hash, or a bcrypt one of Notify's.

    Without a hash it is False after the same time, so that the time does not reveal whether an address is registered.
    """
    matches: bool = await hashing_pool.run(_verify, password, hashed)
    return matches and hashed is not None


def _verify(password: str, hashed: str | None) -> bool:
    hashed = hashed or _dummy_hash()
    secret = password.encode()
    if hashed.startswith("$2"):
        secret = secret[:MAX_BCRYPT_BYTES]
    try:
        return _HASHERS.verify(secret, hashed)
    except (ValueError, PwdlibError):
        return False


@lru_cache(maxsize=1)
def _dummy_hash() -> str:
    return _HASHERS.hash("the password of nobody")
