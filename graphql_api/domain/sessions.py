"""Sessions: sign-in in two steps, and sign-out. Failures are counted, and do not disclose their cause.

The functions take a transaction factory: a failure is committed although an error is raised, and no connection is held
while a password is hashed, which takes long.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from sqlalchemy import Update, delete, select, update
from sqlalchemy.orm import undefer

from graphql_api import models
from graphql_api.auth import crypto, tokens
from graphql_api.content.values import is_storable
from graphql_api.domain import challenges
from graphql_api.enums import AuthType, UserErrorCode, UserState
from graphql_api.errors import IllegalState, Invalid
from graphql_api.observability import operation_stats
from graphql_api.recipients import email_addresses

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor
    from graphql_api.auth.crypto import Signer
    from graphql_api.domain.challenges import Challenge
    from graphql_api.domain.transactions import TransactionFactory

SESSION_LIFETIME = timedelta(hours=20)
MAX_FAILED_LOGINS = 10
MIN_FAILURE_SECONDS = 0.25
"""Minimum duration of a failed request, so that its duration does not disclose the cause."""
CODE_LOOKBACK = timedelta(hours=24)
"""For so long after its creation a code is reported as expired rather than as wrong."""
PROOF_ARGUMENT_BY_METHOD = {AuthType.SMS: "sms_code", AuthType.EMAIL: "email_token"}


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session with its bearer token, which is not stored."""

    user: models.User
    session: models.Session
    token: str


async def sign_in(transaction: TransactionFactory, *, email_address: str, password: str, signer: Signer) -> Challenge:
    """Check a password, and begin the second step.

    A wrong address and a wrong password get the same error after the same time. A locked account gets a challenge too,
    which no code completes. Raises `Invalid`, and `IllegalState` for an address that is not confirmed.
    """
    started_at = time.monotonic()
    user = await _find_user(transaction, email_address)
    is_correct = await crypto.verify_password(
        password if is_storable(password) else "", None if user is None else user.password
    )
    if user is None or not is_correct:
        async with transaction() as tx:
            await tx.execute(_count_failed_login(user.id if user else uuid4()))
        operation_stats.delay_response(started_at + MIN_FAILURE_SECONDS)
        raise Invalid("The email address or the password is wrong.", code=UserErrorCode.CREDENTIALS_WRONG)
    locked = user.failed_login_count >= MAX_FAILED_LOGINS
    if user.state != UserState.ACTIVE:
        if not locked:
            async with transaction() as tx:
                await challenges.send_confirmation_link(tx, user, signer=signer)
        message = "Your email address is not confirmed yet: follow the link that we have sent to it."
        raise IllegalState(message, current=user.state.upper(), allowed=[UserState.ACTIVE.name])
    return await challenges.begin(transaction, user, signer=signer, suppress_message=locked)


async def complete_sign_in(
    transaction: TransactionFactory, *, challenge_token: str, proof: Mapping[str, str], signer: Signer
) -> SignedIn:
    """Check a code or the token of a link, and start a session; ends the user's other sessions.

    Every attempt is counted as a failure until it succeeds, so that concurrent attempts cannot exceed the limit.
    """
    started_at = time.monotonic()
    user_id, method = challenges.verify_token(signer, challenge_token)
    name = PROOF_ARGUMENT_BY_METHOD[method]
    if name not in proof:
        expected = "the code sent by text message" if method is AuthType.SMS else "the token of the emailed link"
        raise Invalid(f"This challenge needs {expected}.", "proof")
    async with transaction() as tx:
        counted_user_id = await tx.scalar(
            _count_failed_login(user_id)
            .where(models.User.failed_login_count < MAX_FAILED_LOGINS, models.User.state != UserState.INACTIVE.value)
            .returning(models.User.id)
        )
        codes = await _recent_codes(tx, user_id, challenges.CODE_TYPE_BY_METHOD[method])
    code = await _find_matching_code(codes, proof[name].strip())
    if code is None or counted_user_id is None:
        operation_stats.delay_response(started_at + MIN_FAILURE_SECONDS)
        message = "The code is wrong." if method is AuthType.SMS else "The token of the link is wrong."
        raise Invalid(message, "proof", name, code=UserErrorCode.CODE_WRONG)
    async with transaction() as tx:
        user = await tx.get_one(models.User, user_id, with_for_update=True)
        if code.id not in await _use_valid_codes(tx, user_id):
            raise challenges.expired_error("proof", name)
        session = await start(tx, user)
        if method is AuthType.EMAIL:
            user.email_access_validated_at = session.created_at
    return SignedIn(user, session, tokens.create_session_token(signer, user.id, session.id))


async def start(tx: AsyncSession, user: models.User) -> models.Session:
    """Start a session for an authenticated user, end their others, and make the user active."""
    now = models.utcnow()
    await tx.execute(delete(models.Session).where(models.Session.user_id == user.id))
    session = models.Session(user_id=user.id, created_at=now, last_used_at=now, expires_at=now + SESSION_LIFETIME)
    user.state = UserState.ACTIVE.value
    user.current_session_id, user.logged_in_at, user.failed_login_count = session.id, now, 0
    tx.add(session)
    await tx.flush()
    return session


async def sign_out(tx: AsyncSession, actor: Actor) -> None:
    """End every session of the user."""
    user_id = actor.require_person()
    await tx.execute(delete(models.Session).where(models.Session.user_id == user_id))
    await tx.execute(update(models.User).where(models.User.id == user_id).values(current_session_id=None))


async def _find_user(transaction: TransactionFactory, email_address: str) -> models.User | None:
    """The user with an address, with `password` loaded; None for an archived user."""
    address = email_addresses.normalise(email_address) if is_storable(email_address) else ""
    async with transaction() as tx:
        user: models.User | None = await tx.scalar(
            select(models.User)
            .where(models.User.email_address == address, models.User.state != UserState.INACTIVE.value)
            .options(undefer(models.User.password))
        )
    return user


def _count_failed_login(user_id: UUID) -> Update:
    """The statement that counts a failure."""
    user = models.User
    values = {"failed_login_count": user.failed_login_count + 1, "updated_at": user.updated_at}
    return update(user).where(user.id == user_id).values(values).execution_options(synchronize_session=False)


async def _recent_codes(tx: AsyncSession, user_id: UUID, code_type: str) -> Sequence[models.VerifyCode]:
    """The latest codes of a user, used and expired ones included, at most as many as can be valid."""
    code = models.VerifyCode
    since = models.utcnow() - CODE_LOOKBACK
    rows = await tx.scalars(
        select(code)
        .where(code.user_id == user_id, code.code_type == code_type, code.created_at > since)
        .order_by(code.created_at.desc())
        .limit(challenges.MAX_VALID_CODES)
    )
    return rows.all()


async def _find_matching_code(codes: Sequence[models.VerifyCode], submitted: str) -> models.VerifyCode | None:
    """The code that matches; always verifies every code, and at least one hash, to take the same time."""
    submitted = submitted if is_storable(submitted) else ""
    matches = [await crypto.verify_password(submitted, code.code) for code in codes]
    if not codes:
        await crypto.verify_password(submitted, None)
    return next((code for code, is_match in zip(codes, matches, strict=True) if is_match), None)


async def _use_valid_codes(tx: AsyncSession, user_id: UUID) -> set[UUID]:
    """Mark every valid code of a user as used; returns their ids."""
    code = models.VerifyCode
    code_ids = await tx.scalars(
        update(code)
        .where(code.user_id == user_id, code.code_used.is_not(True), code.expiry_datetime > models.utcnow())
        .values(code_used=True)
        .returning(code.id)
        .execution_options(synchronize_session=False)
    )
    return set(code_ids)
