"""Tokens, valid and invalid ones, built without a library."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import pytest

from graphql_api.auth import authentication
from graphql_api.auth.actors import Actor
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.domain import credentials
from graphql_api.errors import Unauthenticated
from graphql_api.settings import Settings


class Authenticator:
    """Authenticates tokens with fixed settings."""

    def __init__(self, database: Database, settings: Settings, signer: Signer) -> None:
        self.database, self.settings, self.signer = database, settings, signer

    async def __call__(self, token: str | None, acting_user: str | None = None, **other: Any) -> Actor:
        """The actor of a token."""
        fixed: dict[str, Any] = {
            "database": self.database,
            "store": credentials,
            "settings": self.settings,
            "signer": self.signer,
        }
        return await authentication.authenticate(token, acting_user, **fixed | other)

    async def rejection_message(self, token: str, acting_user: str | None = None, **other: Any) -> str:
        """The message with which a token is rejected."""
        with pytest.raises(Unauthenticated) as rejection:
            await self(token, acting_user, **other)
        return rejection.value.message


def b64(data: bytes) -> str:
    """URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed_token(header: bytes, payload: bytes, secret: str, digest: str = "sha256") -> str:
    """A token of these bytes."""
    text = f"{b64(header)}.{b64(payload)}"
    return f"{text}.{b64(hmac.digest(secret.encode(), text.encode(), digest))}"


def jwt(issuer: Any, secret: str, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token as the official clients build it, with other claims; a claim of `...` is left out."""
    all_claims = {"iss": issuer, "iat": int(time.time())} | claims
    payload = {name: value for name, value in all_claims.items() if value is not ...}
    headers = {"typ": "JWT", "alg": "HS256"} | (header or {})
    return signed_token(json.dumps(headers).encode(), json.dumps(payload).encode(), secret)


def unsigned_token(issuer: str, algorithm: str) -> str:
    """A token without a signature, for an algorithm."""
    header = b64(json.dumps({"alg": algorithm}).encode())
    return f"{header}.{b64(json.dumps({'iss': issuer, 'iat': int(time.time())}).encode())}."
