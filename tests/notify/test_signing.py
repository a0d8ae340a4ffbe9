"""Signed columns: the same bytes as those of Notify's library, and rotated keys."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from itsdangerous import URLSafeSerializer
from sqlalchemy import text

from graphql_api.auth.crypto import BadSignature, Signer
from graphql_api.database.database import Database
from graphql_api.enums import KeyType
from tests.builders import Builders
from tests.jwt_builders import Authenticator, jwt

OLD, NEW = b"older-secret-key", b"test-secret-key"
SALT = b"test-salt"

WORDS = some.text(some.characters(exclude_categories=["Cs"]))
VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


def notifys(key: bytes) -> URLSafeSerializer:
    """The serializer that Notify signs with."""
    return URLSafeSerializer(key, salt=SALT)


@given(VALUES)
def test_signed_values_have_the_bytes_of_the_library(value: Any) -> None:
    signed = Signer((NEW,), SALT).sign(value)

    assert signed == notifys(NEW).dumps(value)
    assert Signer((NEW,), SALT).unsign(signed) == value


def test_long_values_are_compressed_as_the_library_does() -> None:
    value = {"name": "Zoë 🎉 " * 40, "code": "1234"}

    signed = Signer((NEW,), SALT).sign(value)

    assert signed.startswith(".")
    assert signed == notifys(NEW).dumps(value)


def test_no_personalisation_is_an_empty_object_signed() -> None:
    assert Signer((b"dev-notify-secret-key",), b"dev-notify-salt").sign({}) == "e30.wJgrveR2petiA95MC-635dlw_xQ"


def test_the_first_key_signs_and_every_key_reads() -> None:
    before, during, after = Signer((OLD,), SALT), Signer((NEW, OLD), SALT), Signer((NEW,), SALT)
    old = before.sign({"name": "Ada"})

    assert during.unsign(old) == {"name": "Ada"}
    new = during.sign({"name": "Ada"})
    assert new == after.sign({"name": "Ada"}) != old
    assert after.unsign(new) == {"name": "Ada"}
    with pytest.raises(BadSignature):
        after.unsign(old)
    with pytest.raises(BadSignature):
        before.unsign(new)


def test_another_salt_is_another_signature() -> None:
    with pytest.raises(BadSignature):
        Signer((NEW,), b"pepper").unsign(Signer((NEW,), SALT).sign("value"))


async def test_a_key_signed_before_the_rotation_is_still_valid(
    make: Builders, database: Database, authenticator: Authenticator
) -> None:
    service = await make.service()
    key = await make.api_key(service, KeyType.TEAM, secret="5f3c0c9e-6d0f-4c57-9c55-1f7f5a0f3f11")
    signed = notifys(OLD).dumps("5f3c0c9e-6d0f-4c57-9c55-1f7f5a0f3f11")
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE api_keys SET secret = :secret WHERE id = :id"), {"secret": signed, "id": key.id})
    token = jwt(str(service.id), "5f3c0c9e-6d0f-4c57-9c55-1f7f5a0f3f11")

    assert (await authenticator(token)).api_key_id == key.id
    assert await authenticator.rejection_message(
        token, signer=Signer((NEW,), SALT)
    ) == await authenticator.rejection_message(jwt(str(service.id), "none"))
