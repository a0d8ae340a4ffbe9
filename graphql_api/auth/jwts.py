"""JSON Web Tokens of Notify's clients, parsed and checked more strictly than libraries do."""

from __future__ import annotations

import json
import math
import re
import time
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from graphql_api.errors import Unauthenticated

MAX_TOKEN_CHARACTERS = 1_024
"""A client's token has about 180."""
CLOCK_LEEWAY_SECONDS = 30
"""The difference allowed between the client's clock and the server's, either way."""
ALGORITHM = "HS256"
MAX_TOKEN_ID_CHARACTERS = 255

_COMPACT_SERIALIZATION = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_ALLOWED_HEADERS = frozenset({"alg", "typ", "kid"})


@dataclass(frozen=True, slots=True)
class Jwt:
    """A token with valid form and claims; its signature is checked by `is_signed_by`."""

    issuer: str
    id: str | None
    compact: Any

    def is_signed_by(self, secret: str) -> bool:
        """Whether the signature is valid with a secret, compared in constant time."""
        try:
            return jws.validate_compact(self.compact, OctKey.import_key(secret), [ALGORITHM])
        except (JoseError, ValueError):
            return False


def parse(token: str) -> Jwt:
    """Parse a token and check everything but its signature; raises `Unauthenticated` with the reason."""
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise Unauthenticated(
            f"A token has at most {MAX_TOKEN_CHARACTERS} characters: this is not a token of this API."
        )
    if not _COMPACT_SERIALIZATION.fullmatch(token):
        raise Unauthenticated(
            "The token is malformed: send a session's token, an API key, or a JSON Web Token signed with one."
        )
    try:
        compact = jws.extract_compact(token.encode())
        header, claims = compact.headers(), _parse_claims(compact.payload)
    except (JoseError, ValueError, RecursionError) as error:
        raise Unauthenticated("The token cannot be decoded.") from error
    _check_header(header)
    issuer = _check_claims(claims, int(time.time()))
    return Jwt(issuer, claims.get("jti"), compact)


def _parse_claims(payload: bytes) -> dict[str, Any]:
    claims = json.loads(
        payload.decode("utf-8"), object_pairs_hook=_reject_duplicate_names, parse_constant=_reject_constant
    )
    if not isinstance(claims, dict):
        raise ValueError  # noqa: TRY004 - every fault of a payload raises the same error
    return claims


def _reject_duplicate_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object without duplicate names, which parsers read differently."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


def _reject_constant(name: str) -> Any:
    raise ValueError(name)


def _check_header(header: Any) -> None:
    if not isinstance(header, dict) or header.get("alg") != ALGORITHM:
        raise Unauthenticated(f"The token's algorithm must be {ALGORITHM}.")
    if not isinstance(header.get("kid", ""), str) or not isinstance(header.get("typ", ""), str):
        raise Unauthenticated("The token's headers `kid` and `typ` must be strings, if they are sent.")
    if not header.keys() <= _ALLOWED_HEADERS:
        raise Unauthenticated("The token has headers other than `alg`, `typ` and `kid`.")


def _check_claims(claims: dict[str, Any], now: int) -> str:
    """The issuer of valid claims; `now` is Unix time in seconds."""
    issuer, issued_at, token_id = claims.get("iss"), claims.get("iat"), claims.get("jti")
    if not isinstance(issuer, str) or not issuer:
        raise Unauthenticated("The token's `iss` must be the id of a service, as a string.")
    if type(issued_at) is not int:
        raise Unauthenticated("The token's `iat` must be an integer: Unix time in seconds.")
    if abs(now - issued_at) > CLOCK_LEEWAY_SECONDS:
        raise Unauthenticated(
            f"The token's `iat` is not within {CLOCK_LEEWAY_SECONDS} seconds of the server's time: "
            "make a token for each request, and check the clock of the computer that makes it."
        )
    if "exp" in claims and not now < _parse_timestamp(claims["exp"], "exp"):
        raise Unauthenticated("The token has expired (`exp`): make one for each request.")
    if "nbf" in claims and not now >= _parse_timestamp(claims["nbf"], "nbf"):
        raise Unauthenticated("The token is not valid yet (`nbf`).")
    if "aud" in claims:
        raise Unauthenticated("The token names an audience (`aud`): leave it out.")
    if "jti" in claims and not (isinstance(token_id, str) and 0 < len(token_id) <= MAX_TOKEN_ID_CHARACTERS):
        raise Unauthenticated(
            f"The token's `jti` must be a string of 1 to {MAX_TOKEN_ID_CHARACTERS} characters, if it is sent."
        )
    return issuer


def _parse_timestamp(value: Any, claim: str) -> int | float:
    if type(value) is not int and not (type(value) is float and math.isfinite(value)):
        raise Unauthenticated(f"The token's `{claim}` must be a number: Unix time in seconds.")
    timestamp: int | float = value
    return timestamp
