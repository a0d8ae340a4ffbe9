"""Tokens that this API issues: signed for one purpose, or encrypted when their holder must not read them."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer
from itsdangerous import Signer as PlainSigner
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

if TYPE_CHECKING:
    from graphql_api.auth.crypto import Signer

SESSION_TOKEN_PREFIX = "session_"  # noqa: S105 - a prefix, not a secret
"""The prefix of session tokens, by which scanners find leaked ones."""

_JWE_HEADER = {"alg": "dir", "enc": "A256GCM"}


class InvalidToken(ValueError):
    """The token was not issued by this API, or not for this purpose."""


class ExpiredToken(ValueError):
    """The token is too old."""


def sign(signer: Signer, purpose: str, value: Any) -> str:
    """A signed token of a JSON value, readable by its holder, with the time of its creation."""
    return URLSafeTimedSerializer(_signing_keys(signer), **_serializer_options(purpose)).dumps(value)


def unsign(signer: Signer, purpose: str, token: str, *, max_age_seconds: int) -> Any:
    """The value of a token; raises `InvalidToken`, or `ExpiredToken` when it is older than `max_age_seconds`."""
    try:
        return URLSafeTimedSerializer(_signing_keys(signer), **_serializer_options(purpose)).loads(
            token, max_age=max_age_seconds
        )
    except SignatureExpired as error:
        raise ExpiredToken from error
    except (BadSignature, ValueError) as error:
        raise InvalidToken from error


def create_session_token(signer: Signer, user_id: UUID, session_id: UUID) -> str:
    """The bearer token of a person's session."""
    ids = base64.urlsafe_b64encode(user_id.bytes + session_id.bytes).rstrip(b"=")
    return SESSION_TOKEN_PREFIX + _session_signer(signer).sign(ids).decode()


def parse_session_token(signer: Signer, token: str) -> tuple[UUID, UUID]:
    """The ids of the user and of the session; raises `InvalidToken`."""
    try:
        ids = base64.urlsafe_b64decode(_session_signer(signer).unsign(token.removeprefix(SESSION_TOKEN_PREFIX)) + b"=")
        return UUID(bytes=ids[:16]), UUID(bytes=ids[16:])
    except (BadSignature, ValueError) as error:
        raise InvalidToken from error


def seal(signer: Signer, purpose: str, value: Any) -> str:
    """A JSON value encrypted for one purpose (JWE, AES-256-GCM), unreadable in the database."""
    return jwe.encrypt_compact(_JWE_HEADER, orjson.dumps(value), _encryption_key(signer.keys[0], purpose))


def unseal(signer: Signer, purpose: str, sealed: str) -> Any:
    """The value of a sealed text; raises `InvalidToken`."""
    for key in signer.keys:
        try:
            plain = jwe.decrypt_compact(sealed, _encryption_key(key, purpose), algorithms=list(_JWE_HEADER.values()))
        except (JoseError, ValueError):
            continue
        return orjson.loads(plain.plaintext or b"null")
    raise InvalidToken


def _signing_keys(signer: Signer) -> list[bytes]:
    """The keys in itsdangerous' order: the last one signs."""
    return list(reversed(signer.keys))


def _session_signer(signer: Signer) -> PlainSigner:
    return PlainSigner(
        _signing_keys(signer), salt="notify-graphql session", key_derivation="hmac", digest_method=hashlib.sha256
    )


def _serializer_options(purpose: str) -> dict[str, Any]:
    return {
        "salt": f"notify-graphql {purpose}",
        "signer_kwargs": {"key_derivation": "hmac", "digest_method": hashlib.sha256},
    }


def _encryption_key(key: bytes, purpose: str) -> OctKey:
    return OctKey.import_key(hashlib.blake2b(purpose.encode(), key=key[:64], digest_size=32).digest())
