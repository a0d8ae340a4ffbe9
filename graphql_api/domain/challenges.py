"""The second factor of signing in: a code or link that is sent, and the signed token that names user and method."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from sqlalchemy import func, select

from graphql_api import models
from graphql_api.auth import crypto, tokens
from graphql_api.domain import platform_messages
from graphql_api.domain.platform_messages import MessageKind
from graphql_api.enums import AuthType, UserErrorCode, UserState
from graphql_api.errors import IllegalState, Invalid

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.crypto import Signer
    from graphql_api.domain.transactions import TransactionFactory

CODE_LIFETIME = timedelta(minutes=30)
MAX_VALID_CODES = 5
SMS_CODE_DIGITS = 5
CONFIRMATION_LIFETIME = timedelta(hours=1)
CODE_TYPE_BY_METHOD = {AuthType.SMS: "sms", AuthType.EMAIL: "email"}
"""Values of `verify_codes.code_type`."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """A second factor that the user has yet to prove; `sent_to` is masked, `expires_at` naive UTC."""

    token: str
    method: AuthType
    sent_to: str
    expires_at: datetime


async def begin(
    transaction: TransactionFactory, user: models.User, *, signer: Signer, suppress_message: bool = False
) -> Challenge:
    """Send a code or a link by the user's method, and return the challenge.

    Nothing is sent with `suppress_message`, or while five codes are valid; the challenge looks the same. Raises
    `IllegalState` for a user with a security key.
    """
    method = AuthType(user.auth_type)
    if method is AuthType.WEBAUTHN:
        raise IllegalState(
            "This account signs in with a security key, which this API cannot check: sign in on the website.",
            current=method.name,
            allowed=[AuthType.SMS.name, AuthType.EMAIL.name],
        )
    code = generate_sms_code() if method is AuthType.SMS else str(uuid4())
    hashed = await crypto.hash_code(code)
    now = models.utcnow()
    async with transaction() as tx:
        if not suppress_message and await _can_send_another_code(tx, user.id, now):
            tx.add(
                models.VerifyCode(
                    user_id=user.id,
                    code=hashed,
                    code_type=CODE_TYPE_BY_METHOD[method],
                    created_at=now,
                    expiry_datetime=now + CODE_LIFETIME,
                )
            )
            await tx.flush()
            if method is AuthType.SMS:
                await platform_messages.send(
                    tx, signer, MessageKind.SIGN_IN_CODE, user.id, user.mobile_number or "", code=code
                )
            else:
                await platform_messages.send(
                    tx, signer, MessageKind.SIGN_IN_LINK, user.id, user.email_address, name=user.name, token=code
                )
    token = tokens.sign(signer, "challenge", [user.id.hex, method.name])
    return Challenge(token, method, _mask_contact(user, method), now + CODE_LIFETIME)


def verify_token(signer: Signer, token: str) -> tuple[UUID, AuthType]:
    """The id of the user and the method of a challenge; raises `Invalid` for a malformed or expired token."""
    try:
        user_id, method = tokens.unsign(signer, "challenge", token, max_age_seconds=int(CODE_LIFETIME.total_seconds()))
    except tokens.ExpiredToken as error:
        raise expired_error("challenge_token") from error
    except tokens.InvalidToken as error:
        message = "The challenge token is not valid: pass the token of `signIn` on unchanged."
        raise Invalid(message, "challenge_token", code=UserErrorCode.LINK_INVALID) from error
    return UUID(user_id), AuthType[method]


def expired_error(*path: str) -> Invalid:
    """The error for a code that is expired or used; the two are not distinguished."""
    return Invalid("This has expired or was used before: sign in again.", *path, code=UserErrorCode.CODE_EXPIRED)


async def send_confirmation_link(tx: AsyncSession, user: models.User, *, signer: Signer) -> None:
    """Email the link that confirms the user's address."""
    token = tokens.sign(signer, "confirmation", _confirmation_claims(user))
    await platform_messages.send(
        tx, signer, MessageKind.CONFIRM_ADDRESS, user.id, user.email_address, name=user.name, token=token
    )


async def verify_confirmation_link(tx: AsyncSession, signer: Signer, token: str) -> models.User:
    """The user, locked, whose address a link confirms.

    Raises `Invalid` for a malformed or expired token, and when the address or the password has changed since.
    """
    try:
        claims = tokens.unsign(
            signer, "confirmation", token, max_age_seconds=int(CONFIRMATION_LIFETIME.total_seconds())
        )
    except tokens.ExpiredToken as error:
        raise _link_expired_error() from error
    except tokens.InvalidToken as error:
        raise Invalid(
            "The link is not valid: copy the whole of it.", "token", code=UserErrorCode.LINK_INVALID
        ) from error
    user = await tx.get(models.User, UUID(claims[0]), with_for_update=True)
    if user is None or user.state == UserState.INACTIVE or _confirmation_claims(user) != claims:
        raise _link_expired_error()
    return user


def generate_sms_code() -> str:
    """Five random digits, without equal neighbours."""
    digits = secrets.choice("0123456789")
    while len(digits) < SMS_CODE_DIGITS:
        digits += secrets.choice("0123456789".replace(digits[-1], ""))
    return digits


def _link_expired_error() -> Invalid:
    return Invalid("The link has expired: request a new one.", "token", code=UserErrorCode.LINK_EXPIRED)


def _confirmation_claims(user: models.User) -> list[str]:
    """Claims of a confirmation token: user id, address, and when the password was set."""
    return [user.id.hex, user.email_address, user.password_changed_at.isoformat()]


async def _can_send_another_code(tx: AsyncSession, user_id: UUID, now: datetime) -> bool:
    """Whether fewer than five codes are valid; locks the user's row, so that concurrent calls respect the limit."""
    await tx.execute(select(models.User.id).where(models.User.id == user_id).with_for_update(key_share=True))
    valid_count = await tx.scalar(
        select(func.count())
        .select_from(models.VerifyCode)
        .where(
            models.VerifyCode.user_id == user_id,
            models.VerifyCode.code_used.is_not(True),
            models.VerifyCode.expiry_datetime > now,
        )
    )
    return (valid_count or 0) < MAX_VALID_CODES


def _mask_contact(user: models.User, method: AuthType) -> str:
    """The last three digits of a phone number, or the first character and the domain of an email address."""
    if method is AuthType.SMS:
        number = user.mobile_number or ""
        return "*" * max(len(number) - 3, 0) + number[-3:]
    local, _, domain = user.email_address.rpartition("@")
    return f"{local[:1]}{'*' * max(len(local) - 1, 0)}@{domain}"
