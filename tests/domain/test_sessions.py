"""Signing in and out: two steps, at most ten failures, five codes and one session."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select, text

from graphql_api import models
from graphql_api.auth import authentication, crypto, tokens
from graphql_api.auth.actors import Actor, ActorKind
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.domain import challenges, sessions
from graphql_api.domain.challenges import Challenge
from graphql_api.domain.sessions import SignedIn
from graphql_api.enums import AuthType, UserErrorCode
from graphql_api.errors import DomainError, Forbidden, IllegalState, Invalid, Unauthenticated
from graphql_api.observability import operation_stats
from graphql_api.settings import Settings
from tests.builders import Builders, api_key_actor, user_actor
from tests.conftest import Statements
from tests.platform_messages import queued_messages

PASSWORD = "password-correct-horse"
NOTIFY_PASSWORD_HASH = "$2b$10$IjNmKlm389sdZyUG2DRfA.POIGE9WRoMmgmWGw81EI3UXAa3eOnoK"


class SignInService:
    """Signs users in and out as the schema does."""

    def __init__(self, database: Database, signer: Signer) -> None:
        self.database, self.signer = database, signer

    async def sign_in(self, email_address: str, password: str = PASSWORD) -> Challenge:
        """Check the password."""
        return await sessions.sign_in(
            self.database.transaction, email_address=email_address, password=password, signer=self.signer
        )

    async def complete(self, challenge: Challenge | str, **proof: str) -> SignedIn:
        """Complete the sign-in."""
        return await sessions.complete_sign_in(
            self.database.transaction,
            challenge_token=challenge if isinstance(challenge, str) else challenge.token,
            proof=proof,
            signer=self.signer,
        )

    async def codes(self) -> list[str]:
        """Codes and tokens of the queued messages, in order."""
        texts = [message.text for message in await queued_messages(self.database, self.signer)]
        return [match[0] for body in texts if (match := re.search(r"\b\d{5}\b|[0-9a-f-]{36}", body))]

    async def load_user(self, user: models.User) -> Any:
        """The current row of a user."""
        async with self.database.read_connection() as connection:
            return (await connection.execute(select(models.User).where(models.User.id == user.id))).one()

    async def execute(self, statement: str, **values: Any) -> None:
        """Execute an SQL statement."""
        async with self.database.transaction() as tx:
            await tx.execute(text(statement), values)


@pytest.fixture
def sign_in_service(database: Database, signer: Signer) -> SignInService:
    """A service on the test's database."""
    return SignInService(database, signer)


@pytest.fixture(scope="module")
async def password_hash() -> str:
    """The hash of the password."""
    return await crypto.hash_password(PASSWORD, for_notify=False)


@pytest.fixture
async def user(make: Builders, password_hash: str) -> models.User:
    """A user who signs in by text message."""
    return await make.user(email_address="a.person@example.gov.uk", mobile_number="07700900123", password=password_hash)


async def catch_error(awaitable: Any) -> tuple[type[DomainError], str, tuple[str, ...], str]:
    """Type, code, path and message of the error that is raised."""
    with pytest.raises(DomainError) as raised:
        await awaitable
    return type(raised.value), raised.value.code.name, raised.value.path, raised.value.message


CREDENTIALS_WRONG = (Invalid, "CREDENTIALS_WRONG", (), "The email address or the password is wrong.")
WRONG_CODE = (Invalid, "CODE_WRONG", ("proof", "sms_code"), "The code is wrong.")
CODE_EXPIRED = (Invalid, "CODE_EXPIRED", ("proof", "sms_code"), "This has expired or was used before: sign in again.")


async def test_the_correct_password_sends_a_code_by_text_message(
    sign_in_service: SignInService, user: models.User, database: Database, signer: Signer
) -> None:
    before = models.utcnow()

    challenge = await sign_in_service.sign_in(user.email_address)

    assert (challenge.method, challenge.sent_to) == (AuthType.SMS, "********123")
    assert before <= challenge.expires_at - timedelta(minutes=30) <= models.utcnow()
    (message,) = await queued_messages(database, signer)
    assert (message.channel, message.recipient, message.subject) == ("sms", "447700900123", None)
    assert re.fullmatch(r"\d{5} is your Notify code\. Use it within 30 minutes, and do not share it\.", message.text)


async def test_the_correct_code_starts_a_session(
    sign_in_service: SignInService, user: models.User, database: Database, settings: Settings, signer: Signer
) -> None:
    await sign_in_service.execute("UPDATE users SET failed_login_count = 3 WHERE id = :id", id=user.id)
    challenge = await sign_in_service.sign_in(user.email_address)
    (code,) = await sign_in_service.codes()

    signed_in = await sign_in_service.complete(challenge, sms_code=code)

    actor = await authentication.authenticate(
        signed_in.token, None, database=database, settings=settings, signer=signer
    )
    assert actor == Actor(ActorKind.PERSON, user_id=user.id, session_id=signed_in.session.id)
    row = await sign_in_service.load_user(user)
    assert (row.current_session_id, row.failed_login_count) == (signed_in.session.id, 0)
    assert row.logged_in_at == signed_in.session.created_at
    assert signed_in.session.expires_at - signed_in.session.created_at == timedelta(hours=20)


async def test_the_code_is_stored_as_notify_stores_it(
    sign_in_service: SignInService, user: models.User, database: Database
) -> None:
    await sign_in_service.sign_in(user.email_address)

    async with database.read_connection() as connection:
        (row,) = (await connection.execute(text("SELECT *, _code AS hashed FROM verify_codes"))).all()
    (code,) = await sign_in_service.codes()
    assert row.hashed.startswith("$2b$10$")
    assert await crypto.verify_password(code, row.hashed)
    assert (row.user_id, row.code_type, row.code_used) == (user.id, "sms", False)
    assert row.expiry_datetime - row.created_at == timedelta(minutes=30)


async def test_nothing_in_the_queue_can_be_read_without_the_key(
    sign_in_service: SignInService, user: models.User, database: Database
) -> None:
    await sign_in_service.sign_in(user.email_address)

    async with database.read_connection() as connection:
        payload = bytes(await connection.scalar(text("SELECT payload FROM pgqueuer"))).decode()
    (code,) = await sign_in_service.codes()
    assert code not in payload
    assert "7700900123" not in payload


async def test_a_password_hashed_by_notify_is_accepted(sign_in_service: SignInService, make: Builders) -> None:
    user = await make.user(password=NOTIFY_PASSWORD_HASH)

    assert (await sign_in_service.sign_in(user.email_address)).method is AuthType.SMS
    assert (await catch_error(sign_in_service.sign_in(user.email_address, "another")))[1] == "CREDENTIALS_WRONG"
    async with sign_in_service.database.read_connection() as connection:
        assert (
            await connection.scalar(text("SELECT _password FROM users WHERE id = :id"), {"id": user.id})
            == NOTIFY_PASSWORD_HASH
        )


async def test_the_case_of_the_address_does_not_matter(sign_in_service: SignInService, user: models.User) -> None:
    del user

    assert (await sign_in_service.sign_in(" A.Person@EXAMPLE.gov.uk\u200b ")).method is AuthType.SMS


async def test_a_wrong_address_and_a_wrong_password_have_the_same_error(
    sign_in_service: SignInService, user: models.User, make: Builders
) -> None:
    await make.user(email_address="gone@example.gov.uk", password=user.password, state="inactive")

    assert await catch_error(sign_in_service.sign_in(user.email_address, "another")) == CREDENTIALS_WRONG
    assert await catch_error(sign_in_service.sign_in("nobody@example.gov.uk")) == CREDENTIALS_WRONG
    assert await catch_error(sign_in_service.sign_in("gone@example.gov.uk")) == CREDENTIALS_WRONG
    assert await catch_error(sign_in_service.sign_in("")) == CREDENTIALS_WRONG
    assert await sign_in_service.codes() == []


@pytest.mark.parametrize("odd", ["\0", "\ud800", "é" * 71, "p" * 60_000])
async def test_passwords_and_addresses_that_cannot_be_stored_are_only_wrong(
    sign_in_service: SignInService, user: models.User, odd: str
) -> None:
    assert await catch_error(sign_in_service.sign_in(user.email_address, odd)) == CREDENTIALS_WRONG
    assert await catch_error(sign_in_service.sign_in(odd)) == CREDENTIALS_WRONG


async def test_an_error_takes_the_same_time_and_statements_whatever_its_cause(
    sign_in_service: SignInService,
    user: models.User,
    make: Builders,
    statements: Statements,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(sessions, "time", SimpleNamespace(monotonic=lambda: now))
    of_notify = await make.user(password=NOTIFY_PASSWORD_HASH)
    for address in (user.email_address, of_notify.email_address, "nobody@example.gov.uk"):
        stats = operation_stats.begin()
        with statements(2):
            await catch_error(sign_in_service.sign_in(address, "another"))
        assert stats.respond_not_before == now + sessions.MIN_FAILURE_SECONDS


async def test_failures_are_counted_and_committed(sign_in_service: SignInService, user: models.User) -> None:
    for _ in range(3):
        await catch_error(sign_in_service.sign_in(user.email_address, "another"))

    row = await sign_in_service.load_user(user)
    assert (row.failed_login_count, row.updated_at) == (3, None)


async def test_the_tenth_failure_locks_the_account(sign_in_service: SignInService, user: models.User) -> None:
    challenge = await sign_in_service.sign_in(user.email_address)
    (code,) = await sign_in_service.codes()
    await sign_in_service.execute("UPDATE users SET failed_login_count = 9 WHERE id = :id", id=user.id)

    assert await catch_error(sign_in_service.complete(challenge, sms_code="00000")) == WRONG_CODE
    assert (await sign_in_service.load_user(user)).failed_login_count == 10
    assert await catch_error(sign_in_service.complete(challenge, sms_code=code)) == WRONG_CODE
    assert (await sign_in_service.load_user(user)).current_session_id is None


async def test_a_locked_account_gets_a_challenge_but_no_code(sign_in_service: SignInService, user: models.User) -> None:
    await sign_in_service.execute("UPDATE users SET failed_login_count = 10 WHERE id = :id", id=user.id)

    challenge = await sign_in_service.sign_in(user.email_address)

    assert (challenge.method, challenge.sent_to) == (AuthType.SMS, "********123")
    assert await sign_in_service.codes() == []
    assert await catch_error(sign_in_service.complete(challenge, sms_code="12345")) == WRONG_CODE
    assert (await sign_in_service.load_user(user)).failed_login_count == 10


async def test_concurrent_attempts_are_limited_to_ten(sign_in_service: SignInService, user: models.User) -> None:
    challenge = await sign_in_service.sign_in(user.email_address)
    await sign_in_service.execute("UPDATE users SET failed_login_count = 5 WHERE id = :id", id=user.id)

    results = await asyncio.gather(
        *(catch_error(sign_in_service.complete(challenge, sms_code=f"0000{result}")) for result in range(8))
    )

    assert results == [WRONG_CODE] * 8
    assert (await sign_in_service.load_user(user)).failed_login_count == 10


async def test_the_ninth_failure_does_not_lock_the_account(sign_in_service: SignInService, user: models.User) -> None:
    await sign_in_service.execute("UPDATE users SET failed_login_count = 9 WHERE id = :id", id=user.id)
    challenge = await sign_in_service.sign_in(user.email_address)
    (code,) = await sign_in_service.codes()

    await sign_in_service.complete(challenge, sms_code=f" {code} ")

    assert (await sign_in_service.load_user(user)).failed_login_count == 0


async def test_the_password_alone_does_not_reset_the_failures(
    sign_in_service: SignInService, user: models.User
) -> None:
    await sign_in_service.execute("UPDATE users SET failed_login_count = 9 WHERE id = :id", id=user.id)

    await sign_in_service.sign_in(user.email_address)

    assert (await sign_in_service.load_user(user)).failed_login_count == 9


async def test_five_codes_are_valid_at_once_and_each_of_them_works(
    sign_in_service: SignInService, user: models.User
) -> None:
    signed_challenges = [await sign_in_service.sign_in(user.email_address) for _ in range(6)]

    codes = await sign_in_service.codes()
    assert len(codes) == 5
    await sign_in_service.complete(signed_challenges[5], sms_code=codes[0])


async def test_a_code_works_once(sign_in_service: SignInService, user: models.User) -> None:
    challenge = await sign_in_service.sign_in(user.email_address)
    other = await sign_in_service.sign_in(user.email_address)
    used, unused = await sign_in_service.codes()
    await sign_in_service.complete(challenge, sms_code=used)

    assert await catch_error(sign_in_service.complete(challenge, sms_code=used)) == CODE_EXPIRED
    assert await catch_error(sign_in_service.complete(other, sms_code=unused)) == CODE_EXPIRED


async def test_a_code_used_twice_concurrently_works_once(sign_in_service: SignInService, user: models.User) -> None:
    challenge = await sign_in_service.sign_in(user.email_address)
    (code,) = await sign_in_service.codes()

    results = await asyncio.gather(
        sign_in_service.complete(challenge, sms_code=code),
        sign_in_service.complete(challenge, sms_code=code),
        return_exceptions=True,
    )

    assert sorted(type(result).__name__ for result in results) == ["Invalid", "SignedIn"]


async def test_expired_and_used_codes_have_the_same_error(sign_in_service: SignInService, user: models.User) -> None:
    challenge = await sign_in_service.sign_in(user.email_address)
    (code,) = await sign_in_service.codes()
    await sign_in_service.execute("UPDATE verify_codes SET expiry_datetime = :now", now=models.utcnow())

    assert await catch_error(sign_in_service.complete(challenge, sms_code=code)) == CODE_EXPIRED
    assert (await sign_in_service.load_user(user)).failed_login_count == 1


async def test_a_code_is_valid_for_one_user(
    sign_in_service: SignInService, user: models.User, make: Builders, password_hash: str
) -> None:
    other = await make.user(password=password_hash)
    mine = await sign_in_service.sign_in(user.email_address)
    await sign_in_service.sign_in(other.email_address)
    _, theirs = await sign_in_service.codes()

    assert await catch_error(sign_in_service.complete(mine, sms_code=theirs)) == WRONG_CODE


async def test_a_new_session_ends_the_others(
    sign_in_service: SignInService, user: models.User, database: Database, settings: Settings, signer: Signer
) -> None:
    first = await sign_in_service.complete(
        await sign_in_service.sign_in(user.email_address), sms_code=(await sign_in_service.codes())[-1]
    )
    second = await sign_in_service.complete(
        await sign_in_service.sign_in(user.email_address), sms_code=(await sign_in_service.codes())[-1]
    )

    with pytest.raises(Unauthenticated):
        await authentication.authenticate(first.token, None, database=database, settings=settings, signer=signer)
    actor = await authentication.authenticate(second.token, None, database=database, settings=settings, signer=signer)
    assert actor.session_id == second.session.id
    async with database.read_connection() as connection:
        assert (await connection.scalars(select(models.Session.id))).all() == [second.session.id]


async def test_an_emailed_link_confirms_the_address_again(
    sign_in_service: SignInService, make: Builders, password_hash: str, database: Database, signer: Signer
) -> None:
    long_ago = models.utcnow() - timedelta(days=80)
    user = await make.user(
        name="Ada",
        email_address="ada@example.gov.uk",
        auth_type="email_auth",
        mobile_number=None,
        password=password_hash,
        email_access_validated_at=long_ago,
    )

    challenge = await sign_in_service.sign_in(user.email_address)

    assert (challenge.method, challenge.sent_to) == (AuthType.EMAIL, "a**@example.gov.uk")
    (message,) = await queued_messages(database, signer)
    assert (message.channel, message.recipient, message.subject) == (
        "email",
        "ada@example.gov.uk",
        "Finish signing in to Notify",
    )
    assert message.text.startswith("Dear Ada,\n")
    (token,) = await sign_in_service.codes()
    signed_in = await sign_in_service.complete(challenge, email_token=token)
    assert (await sign_in_service.load_user(user)).email_access_validated_at == signed_in.session.created_at > long_ago


async def test_a_wrong_link_is_counted_too(sign_in_service: SignInService, make: Builders, password_hash: str) -> None:
    user = await make.user(auth_type="email_auth", password=password_hash)
    challenge = await sign_in_service.sign_in(user.email_address)

    expected = (Invalid, "CODE_WRONG", ("proof", "email_token"), "The token of the link is wrong.")
    assert await catch_error(sign_in_service.complete(challenge, email_token="\0")) == expected
    assert (await sign_in_service.load_user(user)).failed_login_count == 1


async def test_the_proof_must_be_of_the_challenges_method(sign_in_service: SignInService, user: models.User) -> None:
    challenge = await sign_in_service.sign_in(user.email_address)

    assert await catch_error(sign_in_service.complete(challenge, email_token="x")) == (
        Invalid,
        "INVALID",
        ("proof",),
        "This challenge needs the code sent by text message.",
    )
    assert (await sign_in_service.load_user(user)).failed_login_count == 0


async def test_a_challenge_is_signed_and_expires_after_half_an_hour(
    sign_in_service: SignInService, user: models.User, monkeypatch: pytest.MonkeyPatch
) -> None:
    challenge = await sign_in_service.sign_in(user.email_address)
    (code,) = await sign_in_service.codes()
    forged = tokens.sign(Signer((b"another",), b""), "challenge", [user.id.hex, "SMS"])
    broken = (
        Invalid,
        "LINK_INVALID",
        ("challenge_token",),
        "The challenge token is not valid: pass the token of `signIn` on unchanged.",
    )

    for token in (
        "",
        "\ud800",
        challenge.token[:-1],
        forged,
        tokens.sign(sign_in_service.signer, "confirmation", [user.id.hex]),
    ):
        assert await catch_error(sign_in_service.complete(token, sms_code=code)) == broken
    later = time.time() + 1_802
    monkeypatch.setattr(time, "time", lambda: later)
    assert (await catch_error(sign_in_service.complete(challenge, sms_code=code)))[1:3] == (
        "CODE_EXPIRED",
        ("challenge_token",),
    )


async def test_a_user_with_a_security_key_cannot_sign_in(
    sign_in_service: SignInService, make: Builders, password_hash: str
) -> None:
    user = await make.user(auth_type="webauthn_auth", password=password_hash)

    with pytest.raises(IllegalState) as raised:
        await sign_in_service.sign_in(user.email_address)

    assert (raised.value.code, raised.value.current_state, raised.value.allowed_states) == (
        UserErrorCode.ILLEGAL_STATE,
        "WEBAUTHN",
        ["SMS", "EMAIL"],
    )


async def test_a_user_without_a_confirmed_address_gets_the_link_again(
    sign_in_service: SignInService, make: Builders, password_hash: str, database: Database, signer: Signer
) -> None:
    user = await make.user(state="pending", password=password_hash)

    with pytest.raises(IllegalState) as raised:
        await sign_in_service.sign_in(user.email_address)

    assert (raised.value.current_state, raised.value.allowed_states) == ("PENDING", ["ACTIVE"])
    (message,) = await queued_messages(database, signer)
    assert (message.recipient, message.subject) == (user.email_address, "Confirm your email address for Notify")


async def test_signing_out_ends_the_session(
    sign_in_service: SignInService, user: models.User, database: Database, settings: Settings, signer: Signer
) -> None:
    signed_in = await sign_in_service.complete(
        await sign_in_service.sign_in(user.email_address), sms_code=(await sign_in_service.codes())[0]
    )
    actor = await authentication.authenticate(
        signed_in.token, None, database=database, settings=settings, signer=signer
    )

    async with database.transaction() as tx:
        await sessions.sign_out(tx, actor)

    assert (await sign_in_service.load_user(user)).current_session_id is None
    with pytest.raises(Unauthenticated):
        await authentication.authenticate(signed_in.token, None, database=database, settings=settings, signer=signer)


async def test_only_people_sign_out(make: Builders, database: Database) -> None:
    api_key = await make.api_key(await make.service())

    async with database.transaction() as tx:
        with pytest.raises(Forbidden):
            await sessions.sign_out(tx, api_key_actor(api_key))
        with pytest.raises(Unauthenticated):
            await sessions.sign_out(tx, Actor.anonymous())


async def test_a_user_for_whom_a_client_acts_signs_out_everywhere(
    sign_in_service: SignInService, user: models.User, database: Database
) -> None:
    await sign_in_service.complete(
        await sign_in_service.sign_in(user.email_address), sms_code=(await sign_in_service.codes())[0]
    )

    async with database.transaction() as tx:
        await sessions.sign_out(tx, user_actor(user))

    assert (await sign_in_service.load_user(user)).current_session_id is None


def test_a_code_has_no_equal_neighbouring_digits() -> None:
    codes = [challenges.generate_sms_code() for _ in range(2_000)]

    assert [code for code in codes if not re.fullmatch(r"(?!.*(\d)\1)\d{5}", code)] == []
    assert {code[0] for code in codes} == set("0123456789")
