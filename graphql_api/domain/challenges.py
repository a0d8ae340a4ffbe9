"""The second step of signing in: what is sent, to whom, and the token that remembers what was asked for."""

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
MAX_LIVE_CODES = 5
SMS_CODE_DIGITS = 5
CONFIRMATION_LIFETIME = timedelta(hours=1)
CODE_TYPE_BY_METHOD = {AuthType.SMS: "sms", AuthType.EMAIL: "email"}
"""What Notify calls the codes of each method."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What is still to be proved; `expires_at` is naive UTC."""

    token: str
    method: AuthType
    sent_to: str
    expires_at: datetime


async def begin(
    transaction: TransactionFactory, user: models.User, *, signer: Signer, suppress_message: bool = False
) -> Challenge:
    """Send what the person's method wants, and answer the challenge; `silently`, nothing is sent.

    While five codes are live nothing more is sent either, and the answer looks the same.
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
    """Whose challenge it is, and what it wants proved; raises `Invalid` for one that is broken or too old."""
    try:
        user_id, method = tokens.unsign(signer, "challenge", token, max_age_seconds=int(CODE_LIFETIME.total_seconds()))
    except tokens.ExpiredToken as error:
        raise expired_error("challenge_token") from error
    except tokens.InvalidToken as error:
        message = "This is no challenge: pass the token of `signIn` on unchanged."
        raise Invalid(message, "challenge_token", code=UserErrorCode.LINK_INVALID) from error
    return UUID(user_id), AuthType[method]


def expired_error(*path: str) -> Invalid:
    """The refusal of what is too old or was used before; the two look alike."""
    return Invalid("This has expired or was used before: sign in again.", *path, code=UserErrorCode.CODE_EXPIRED)


async def send_confirmation_link(tx: AsyncSession, user: models.User, *, signer: Signer) -> None:
    """Send the link by which somebody proves that their address is theirs."""
    token = tokens.sign(signer, "confirmation", _confirmation_claims(user))
    await platform_messages.send(
        tx, signer, MessageKind.CONFIRM_ADDRESS, user.id, user.email_address, name=user.name, token=token
    )


async def verify_confirmation_link(tx: AsyncSession, signer: Signer, token: str) -> models.User:
    """The person, locked, whose address a link proves.

    Raises `Invalid` when it is broken or too old, or their address or password is another by now.
    """
    try:
        registration = tokens.unsign(
            signer, "confirmation", token, max_age_seconds=int(CONFIRMATION_LIFETIME.total_seconds())
        )
    except tokens.ExpiredToken as error:
        raise _link_expired_error() from error
    except tokens.InvalidToken as error:
        raise Invalid("This link is broken: copy the whole of it.", "token", code=UserErrorCode.LINK_INVALID) from error
    user = await tx.get(models.User, UUID(registration[0]), with_for_update=True)
    if user is None or user.state == UserState.INACTIVE or _confirmation_claims(user) != registration:
        raise _link_expired_error()
    return user


def generate_sms_code() -> str:
    """A code, no digit of which stands next to its twin."""
    digits = secrets.choice("0123456789")
    while len(digits) < SMS_CODE_DIGITS:
        digits += secrets.choice("0123456789".replace(digits[-1], ""))
    return digits


def _link_expired_error() -> Invalid:
    return Invalid("This link is too old: ask for a new one.", "token", code=UserErrorCode.LINK_EXPIRED)


def _confirmation_claims(user: models.User) -> list[str]:
    """What a link is good for: one address, and one password of one person."""
    return [user.id.hex, user.email_address, user.password_changed_at.isoformat()]


async def _can_send_another_code(tx: AsyncSession, user_id: UUID, now: datetime) -> bool:
    """Whether fewer than five codes are live; the person's row is locked, so that nobody counts at the same time."""
    await tx.execute(select(models.User.id).where(models.User.id == user_id).with_for_update(key_share=True))
    live = await tx.scalar(
        select(func.count())
        .select_from(models.VerifyCode)
        .where(
            models.VerifyCode.user_id == user_id,
            models.VerifyCode.code_used.is_not(True),
            models.VerifyCode.expiry_datetime > now,
        )
    )
    return (live or 0) < MAX_LIVE_CODES


def _mask_contact(user: models.User, method: AuthType) -> str:
    """The end of a phone number, or the beginning and the domain of an address."""
    if method is AuthType.SMS:
        number = user.mobile_number or ""
        return "*" * max(len(number) - 3, 0) + number[-3:]
    local, _, domain = user.email_address.rpartition("@")
    return f"{local[:1]}{'*' * max(len(local) - 1, 0)}@{domain}"
