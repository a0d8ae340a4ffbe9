"""Tokens that no client makes: each is refused for what is wrong with it, and costs next to nothing."""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import UUID

import pytest

from graphql_api.auth import authentication, jwts
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.errors import Unauthenticated
from graphql_api.settings import Settings
from tests.builders import Builders
from tests.conftest import Statements
from tests.jwt_builders import Authenticator, b64, jwt, signed_token, unsigned_token

SECRET = "f75845b1-cd29-40c4-aeb6-7ddc42b9840d"


@pytest.fixture
def authenticator(database: Database, settings: Settings, signer: Signer) -> Authenticator:
    """The authenticator of the test's database."""
    return Authenticator(database, settings, signer)


ISSUER = "07edc420-8730-4b0f-8d72-3ad92a0ab109"
CLOCK = (
    "The token was not made within 30 seconds of the server's time: make one for each request, "
    "and check the clock of the computer that makes them."
)
IAT = "The token's `iat` must be a whole number: seconds since 1970, UTC."
ISS = "The token's `iss` must be the id of a service, as text."
UNREADABLE = "The token cannot be decoded."
MALFORMED = "The token is malformed: send a session's token, an API key, or a JSON Web Token signed with one."
ALGORITHM = "The token's algorithm must be HS256."
JTI = "The token's `jti` is a text of at most 255 characters, where it is sent."
HEADERS = "The token has headers other than `alg`, `typ` and `kid`."
HEADER_TEXT = "The token's headers `kid` and `typ` are text, where they are sent."
KNOWN = {"typ": "JWT", "alg": "HS256"}


def now() -> int:
    """The present, in whole seconds."""
    return int(time.time())


def crafted(payload: bytes | str, header: bytes = b'{"typ":"JWT","alg":"HS256"}') -> str:
    """A token rightly signed, whatever its payload is."""
    return signed_token(header, payload.encode() if isinstance(payload, str) else payload, SECRET)


def claims(**changed: Any) -> str:
    """A token rightly signed with claims that are not all right."""
    return jwt(changed.pop("iss", ISSUER), SECRET, **changed)


BAD = {
    "an hour old": (lambda: claims(iat=now() - 3600), CLOCK),
    "an hour early": (lambda: claims(iat=now() + 3600), CLOCK),
    "milliseconds": (lambda: claims(iat=now() * 1000), CLOCK),
    "no iat": (lambda: claims(iat=...), IAT),
    "iat null": (lambda: claims(iat=None), IAT),
    "iat float": (lambda: claims(iat=float(now())), IAT),
    "iat bool": (lambda: claims(iat=True), IAT),
    "iat text": (lambda: claims(iat=str(now())), IAT),
    "iat list": (lambda: claims(iat=[now()]), IAT),
    "iat of 4,000 bits": (lambda: crafted(f'{{"iss":"{ISSUER}","iat":1{"0" * 500}}}'), CLOCK),
    "no iss": (lambda: claims(iss=...), ISS),
    "iss null": (lambda: claims(iss=None), ISS),
    "iss empty": (lambda: claims(iss=""), ISS),
    "iss number": (lambda: claims(iss=1), ISS),
    "iss list": (lambda: claims(iss=[ISSUER]), ISS),
    "iss no uuid": (lambda: claims(iss="a service"), authentication.UNKNOWN_KEY_MESSAGE),
    "iss urn": (lambda: claims(iss=f"urn:uuid:{ISSUER}"), authentication.UNKNOWN_KEY_MESSAGE),
    "iss in braces": (lambda: claims(iss=f"{{{ISSUER}}}"), authentication.UNKNOWN_KEY_MESSAGE),
    "iss half a surrogate": (lambda: crafted(f'{{"iss":"\\ud800","iat":{now()}}}'), authentication.UNKNOWN_KEY_MESSAGE),
    "expired": (lambda: claims(exp=now() - 1), "The token has expired (`exp`): make one for each request."),
    "expires now": (lambda: claims(exp=now()), "The token has expired (`exp`): make one for each request."),
    "exp text": (lambda: claims(exp="never"), "The token's `exp` must be a number: seconds since 1970, UTC."),
    "exp bool": (lambda: claims(exp=True), "The token's `exp` must be a number: seconds since 1970, UTC."),
    "exp null": (lambda: claims(exp=None), "The token's `exp` must be a number: seconds since 1970, UTC."),
    "exp infinite": (
        lambda: crafted(f'{{"iss":"{ISSUER}","iat":{now()},"exp":1e999}}'),
        "The token's `exp` must be a number: seconds since 1970, UTC.",
    ),
    "not yet": (lambda: claims(nbf=now() + 20), "The token is not valid yet (`nbf`)."),
    "aud": (lambda: claims(aud="notify"), "The token names an audience (`aud`): leave it out."),
    "jti number": (lambda: claims(jti=1), JTI),
    "jti empty": (lambda: claims(jti=""), JTI),
    "jti long": (lambda: claims(jti="j" * 256), JTI),
    "kid list": (lambda: jwt(ISSUER, SECRET, header={"kid": [1]}), HEADER_TEXT),
    "kid null": (lambda: jwt(ISSUER, SECRET, header={"kid": None}), HEADER_TEXT),
    "typ number": (lambda: jwt(ISSUER, SECRET, header={"typ": 1}), HEADER_TEXT),
    "crit": (lambda: jwt(ISSUER, SECRET, header={"crit": ["exp"]}), HEADERS),
    "b64": (lambda: jwt(ISSUER, SECRET, header={"crit": ["b64"], "b64": False}), UNREADABLE),
    "key within": (lambda: jwt(ISSUER, SECRET, header={"jwk": {"kty": "oct", "k": "AA"}}), HEADERS),
    "key elsewhere": (lambda: jwt(ISSUER, SECRET, header={"jku": "https://example.com"}), HEADERS),
    "alg none": (lambda: unsigned_token(ISSUER, "none"), MALFORMED),
    "alg none, signed": (lambda: jwt(ISSUER, SECRET, header={"alg": "none"}), ALGORITHM),
    "alg NONE": (lambda: jwt(ISSUER, SECRET, header={"alg": "NONE"}), ALGORITHM),
    "alg hs256": (lambda: jwt(ISSUER, SECRET, header={"alg": "hs256"}), ALGORITHM),
    "alg HS512": (
        lambda: signed_token(b'{"alg":"HS512"}', json.dumps({"iss": ISSUER, "iat": now()}).encode(), SECRET, "sha512"),
        ALGORITHM,
    ),
    "alg RS256": (lambda: jwt(ISSUER, SECRET, header={"alg": "RS256"}), ALGORITHM),
    "alg list": (lambda: jwt(ISSUER, SECRET, header={"alg": ["HS256"]}), ALGORITHM),
    "no alg": (lambda: crafted(json.dumps({"iss": ISSUER, "iat": now()}), b'{"typ":"JWT"}'), UNREADABLE),
    "header list": (lambda: crafted(json.dumps({"iss": ISSUER, "iat": now()}), b'["alg"]'), ALGORITHM),
    "header no json": (lambda: crafted(json.dumps({"iss": ISSUER, "iat": now()}), b"alg"), UNREADABLE),
    "header not utf-8": (lambda: crafted(json.dumps({"iss": ISSUER}), b'{"alg":"HS256","kid":"\xff"}'), UNREADABLE),
    "header deep": (lambda: crafted("{}", b"[" * 350), UNREADABLE),
    "payload utf-16": (lambda: crafted(json.dumps({"iss": ISSUER, "iat": now()}).encode("utf-16")), UNREADABLE),
    "payload latin-1": (lambda: crafted(f'{{"iss":"{ISSUER}","iat":{now()},"sub":"é"}}'.encode("latin-1")), UNREADABLE),
    "payload with a byte order mark": (
        lambda: crafted(b"\xef\xbb\xbf" + json.dumps({"iss": ISSUER, "iat": now()}).encode()),
        UNREADABLE,
    ),
    "payload list": (lambda: crafted(json.dumps([ISSUER, now()])), UNREADABLE),
    "payload null": (lambda: crafted("null"), UNREADABLE),
    "payload empty object": (lambda: crafted("{}"), ISS),
    "payload deep": (lambda: crafted("[" * 650), UNREADABLE),
    "payload deep object": (lambda: crafted('{"a":' * 130), UNREADABLE),
    "payload NaN": (lambda: crafted(f'{{"iss":"{ISSUER}","iat":{now()},"exp":NaN}}'), UNREADABLE),
    "iss twice": (lambda: crafted(f'{{"iss":"x","iss":"{ISSUER}","iat":{now()}}}'), UNREADABLE),
    "two parts": (lambda: claims().rpartition(".")[0], MALFORMED),
    "four parts": (lambda: claims() + ".AAAA", MALFORMED),
    "padded": (lambda: claims() + "=", MALFORMED),
    "white space": (lambda: claims() + "\n", MALFORMED),
    "signature cut": (lambda: claims()[:-4], authentication.UNKNOWN_KEY_MESSAGE),
    "signature of one letter": (lambda: claims().rpartition(".")[0] + ".A", authentication.UNKNOWN_KEY_MESSAGE),
    "another secret": (lambda: jwt(ISSUER, SECRET[:-1]), authentication.UNKNOWN_KEY_MESSAGE),
    "no secret": (lambda: jwt(ISSUER, ""), authentication.UNKNOWN_KEY_MESSAGE),
    "long": (lambda: claims(sub="s" * 1_000), "A token has at most 1024 characters: this is none that this API takes."),
    "empty": (lambda: "", "The header must be `Authorization: Bearer` and a token."),
    "words": (lambda: "let me in", MALFORMED),
    "letters of others": (lambda: "şifre.şifre.şifre", MALFORMED),
    "NUL": (lambda: "a.b.c\0", MALFORMED),
    "secret no uuid": (lambda: f"key-{ISSUER}-{'x' * 36}", MALFORMED),
    "key without its service": (lambda: f"key-{SECRET}", MALFORMED),
    "session broken": (lambda: "session_AAAA.BBBB", "The session's token is broken: sign in again."),
    "session cut": (lambda: "session_", "The session's token is broken: sign in again."),
    "session of letters of others": (lambda: "session_é.é", "The session's token is broken: sign in again."),
}


@pytest.mark.parametrize(("token", "expected"), BAD.values(), ids=BAD)
async def test_a_crafted_token_is_refused(
    authenticator: Authenticator, make: Builders, token: Any, expected: str
) -> None:
    service = await make.service(id=UUID(ISSUER))
    await make.api_key(service, secret=SECRET)

    assert await authenticator.rejection_message(token()) == expected


GOOD = {
    "plain": claims,
    "28 seconds old": lambda: claims(iat=now() - 28),
    "28 seconds early": lambda: claims(iat=now() + 28),
    "kid": lambda: jwt(ISSUER, SECRET, header={"kid": "1"}),
    "no typ": lambda: crafted(json.dumps({"iss": ISSUER, "iat": now()}), b'{"alg":"HS256"}'),
    "capitals": lambda: claims(iss=ISSUER.upper()),
    "exp ahead": lambda: claims(exp=now() + 60),
    "exp far ahead": lambda: crafted(f'{{"iss":"{ISSUER}","iat":{now()},"exp":1{"0" * 400}}}'),
    "nbf passed": lambda: claims(nbf=now()),
    "subject": lambda: claims(sub="anything"),
}


@pytest.mark.parametrize("token", GOOD.values(), ids=GOOD)
async def test_a_token_that_is_only_unusual_is_taken(authenticator: Authenticator, make: Builders, token: Any) -> None:
    service = await make.service(id=UUID(ISSUER))
    key = await make.api_key(service, secret=SECRET)

    assert (await authenticator(token())).api_key_id == key.id


@pytest.mark.parametrize("difference", [-30, 0, 30])
def test_the_clocks_may_differ_by_thirty_seconds(monkeypatch: pytest.MonkeyPatch, difference: int) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.9)

    assert jwts.parse(jwt(ISSUER, SECRET, iat=1_800_000_000 + difference)).issuer == ISSUER


@pytest.mark.parametrize("difference", [-31, 31])
def test_the_clocks_may_differ_by_no_more(monkeypatch: pytest.MonkeyPatch, difference: int) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.9)

    with pytest.raises(Unauthenticated) as refused:
        jwts.parse(jwt(ISSUER, SECRET, iat=1_800_000_000 + difference))

    assert refused.value.message == CLOCK


async def test_a_malformed_token_costs_no_statement(authenticator: Authenticator, statements: Statements) -> None:
    with statements(0):
        for token in (
            "nonsense",
            claims(iat=0),
            unsigned_token(ISSUER, "none"),
            f"session_{b64(b'a' * 32)}.{b64(b'a' * 32)}",
        ):
            await authenticator.rejection_message(token)
