"""Users: registration, confirmation of an email address, and changes to one's own or a colleague's details."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from graphql_api import models
from graphql_api.auth import crypto, visibility
from graphql_api.auth.actors import PLATFORM_ADMIN
from graphql_api.domain import (
    challenges,
    checks,
    email_domains,
    members,
    notify_compatibility,
    passwords,
    platform_messages,
)
from graphql_api.domain.platform_messages import MessageKind
from graphql_api.enums import AuthType, ServicePermission, UserErrorCode, UserState
from graphql_api.errors import AlreadyExists, DomainError, Forbidden, IllegalState, Invalid, raise_problems
from graphql_api.recipients import email_addresses, phone_numbers
from graphql_api.recipients.errors import RecipientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor
    from graphql_api.auth.crypto import Signer
    from graphql_api.domain.challenges import Challenge
    from graphql_api.domain.transactions import TransactionFactory

COLUMN_BY_FIELD = {
    "name": "name",
    "phone_number": "mobile_number",
    "auth_type": "auth_type",
    "take_part_in_research": "take_part_in_research",
    "receives_new_features_email": "receives_new_features_email",
}
MANAGER_EDITABLE_FIELDS = frozenset({"email_address", "phone_number", "auth_type"})
"""Fields of a colleague that a manager of their team may change."""
ANNOUNCED_FIELD_NAMES = {"email_address": "email address", "phone_number": "phone number"}
WEBAUTHN_NOT_SUPPORTED = "A security key cannot be set up here: choose text message or email."


async def register(
    transaction: TransactionFactory,
    *,
    name: str,
    email_address: str,
    password: str,
    signer: Signer,
    phone_number: str | None = None,
    auth_type: AuthType | None = AuthType.SMS,
) -> None:
    """Register a person with a government address, and email that address, whether or not it is registered already.

    A registration of an address that is not confirmed yet is replaced. Raises `Problems`.
    """
    auth_type = auth_type or AuthType.SMS
    problems: list[DomainError] = [*checks.required_name(name, "name"), *_validate_email_address(email_address)]
    for_notify = False
    if not problems:
        async with transaction() as tx:
            for_notify = await notify_compatibility.is_enabled(tx)
            if not await email_domains.is_government_address(tx, email_addresses.normalise(email_address)):
                message = "Enter a government email address, or ask a colleague who has one to invite you."
                problems.append(Invalid(message, "email_address", code=UserErrorCode.EMAIL_DOMAIN_NOT_ALLOWED))
    problems += [
        *_validate_phone_number(phone_number),
        *_validate_auth_type(auth_type, phone_number),
        *passwords.validate(password, "password"),
    ]
    raise_problems(problems)
    values = {
        "name": name.strip(),
        "password": await crypto.hash_password(password, for_notify=for_notify),
        "mobile_number": (phone_number or "").strip() or None,
        "auth_type": auth_type.value,
        "password_changed_at": models.utcnow(),
    }
    async with transaction() as tx:
        await _send_registration_message(
            tx, await _find_or_insert(tx, email_addresses.normalise(email_address), values), values, signer
        )


async def confirm_email_address(
    transaction: TransactionFactory, *, token: str, signer: Signer
) -> tuple[models.User, Challenge | None]:
    """Confirm an address by the token of the emailed link; returns a sign-in challenge too if the user is pending."""
    async with transaction() as tx:
        user = await challenges.verify_confirmation_link(tx, signer, token)
        user.email_access_validated_at = models.utcnow()
        await tx.flush()
    if user.state == UserState.ACTIVE:
        return user, None
    return user, await challenges.begin(transaction, user, signer=signer)


async def update(
    tx: AsyncSession, actor: Actor, *, changes: Mapping[str, Any], signer: Signer, user_id: UUID | None = None
) -> models.User:
    """Change one's own details, or those of a colleague whose team one manages, who gets an email about it."""
    caller_id = actor.require_person()
    user_id = user_id or caller_id
    user = await visibility.find_visible(tx, actor, models.User, user_id, "user_id", lock=True)
    is_own = user.id == caller_id
    if not is_own:
        await _require_can_manage(tx, actor, user, changes)
    if user.state == UserState.INACTIVE:
        message = "This person's account was archived."
        raise IllegalState(
            message, "user_id", current=UserState.INACTIVE.name, allowed=[UserState.PENDING.name, UserState.ACTIVE.name]
        )
    changes = {name: _normalise_value(name, value) for name, value in changes.items()}
    raise_problems(
        [*_validate(changes, user), *await _validate_new_email_address(tx, actor, user, changes, is_own=is_own)]
    )
    before = {name: getattr(user, COLUMN_BY_FIELD.get(name, name)) for name in changes}
    for name, value in changes.items():
        setattr(user, COLUMN_BY_FIELD.get(name, name), value)
    announced = [
        label for name, label in ANNOUNCED_FIELD_NAMES.items() if name in changes and changes[name] != before[name]
    ]
    if announced and not is_own:
        colleague = await tx.get(models.User, caller_id)
        await platform_messages.send(
            tx,
            signer,
            MessageKind.DETAILS_CHANGED,
            user.id,
            before.get("email_address", user.email_address),
            name=user.name,
            by=colleague.name if colleague else "A manager",
            what=", ".join(announced),
        )
    await tx.flush()
    return user


async def _find_or_insert(tx: AsyncSession, address: str, values: Mapping[str, Any]) -> models.User:
    """The user with an address, locked; inserted if there is none."""
    new_user = models.User(email_address=address, **values)
    row = {
        column.key: getattr(new_user, column.key)
        for column in models.User.__mapper__.column_attrs
        if column.key in new_user.__dict__
    }
    await tx.execute(insert(models.User).values(row).on_conflict_do_nothing(index_elements=["email_address"]))
    user: models.User | None = await tx.scalar(
        select(models.User).where(models.User.email_address == address).with_for_update()
    )
    if user is None:
        raise LookupError
    return user


async def _send_registration_message(
    tx: AsyncSession, user: models.User, values: Mapping[str, Any], signer: Signer
) -> None:
    if user.state != UserState.PENDING:
        await platform_messages.send(
            tx, signer, MessageKind.ADDRESS_REGISTERED, user.id, user.email_address, name=user.name
        )
        return
    for name, value in values.items():
        setattr(user, name, value)
    await tx.flush()
    await challenges.send_confirmation_link(tx, user, signer=signer)


async def _require_can_manage(tx: AsyncSession, actor: Actor, user: models.User, changes: Mapping[str, Any]) -> None:
    """Raise `Forbidden` unless the caller is a platform admin, or manages the user and changes few fields."""
    if actor.platform_wide:
        return
    if not await members.can_manage(tx, actor, user.id):
        raise Forbidden(ServicePermission.MANAGE_USERS.name)
    if user.platform_admin or not changes.keys() <= MANAGER_EDITABLE_FIELDS:
        raise Forbidden(PLATFORM_ADMIN, "Of a colleague you may change the address, phone number and way to sign in.")


def _normalise_value(name: str, value: Any) -> Any:
    """A value as it is stored: trimmed; an email address normalised."""
    if not isinstance(value, str) or isinstance(value, AuthType):
        return value
    if name == "email_address":
        return email_addresses.normalise(value)
    return value.strip() or (None if name == "phone_number" else "")


def _validate(changes: Mapping[str, Any], user: models.User) -> Iterator[DomainError]:
    for name in changes:
        if name not in {"phone_number", "name"}:
            yield from checks.not_null(changes[name], name)
    if "name" in changes:
        yield from checks.required_name(changes["name"], "name")
    yield from _validate_phone_number(changes.get("phone_number"))
    if changes.keys() & {"auth_type", "phone_number"}:
        method = AuthType(changes.get("auth_type") or user.auth_type)
        if method != user.auth_type or method is AuthType.SMS:
            yield from _validate_auth_type(method, changes.get("phone_number", user.mobile_number))


def _validate_email_address(address: str) -> Iterator[DomainError]:
    if not address.strip():
        yield Invalid("Enter an email address.", "email_address", code=UserErrorCode.REQUIRED)
        return
    try:
        email_addresses.parse(address)
    except RecipientError as error:
        yield Invalid(error.message, "email_address", code=error.code)
        return
    # Lower case can be longer than upper case.
    yield from checks.optional_text(email_addresses.normalise(address), "email_address")


def _validate_phone_number(number: str | None) -> Iterator[DomainError]:
    if number is not None and number.strip():
        try:
            phone_numbers.parse(number, international=True)
        except RecipientError as error:
            yield Invalid(error.message, "phone_number", code=error.code)


def _validate_auth_type(method: AuthType, number: str | None) -> Iterator[DomainError]:
    if method is AuthType.WEBAUTHN:
        yield Invalid(WEBAUTHN_NOT_SUPPORTED, "auth_type")
    elif method is AuthType.SMS and not (number or "").strip():
        message = "Signing in by text message needs a mobile number."
        yield Invalid(message, "phone_number", code=UserErrorCode.REQUIRED)


async def _validate_new_email_address(
    tx: AsyncSession, actor: Actor, user: models.User, changes: Mapping[str, Any], *, is_own: bool
) -> list[DomainError]:
    """Problems of a colleague's new address: malformed, taken, or no government address where the old one is."""
    address = changes.get("email_address")
    if not isinstance(address, str) or address == user.email_address:
        return []
    if is_own:
        message = "Your own address cannot be changed here: request a link to the new one instead."
        return [Invalid(message, "email_address")]
    problems = list(_validate_email_address(address))
    if problems:
        return problems
    government_addresses = await email_domains.filter_government_addresses(tx, [address, user.email_address])
    if user.email_address in government_addresses and address not in government_addresses:
        message = "Enter a government email address, as the present one is."
        problems.append(Invalid(message, "email_address", code=UserErrorCode.EMAIL_DOMAIN_NOT_ALLOWED))
    problems += await _address_conflicts(tx, actor, address)
    return problems


async def _address_conflicts(tx: AsyncSession, actor: Actor, address: str) -> list[DomainError]:
    """`AlreadyExists` for a registered address; holds the user for platform admins alone, who may read every user."""
    conflicting_user = await tx.scalar(select(models.User).where(models.User.email_address == address))
    if conflicting_user is None:
        return []
    # The rollback that follows would expire its attributes.
    tx.expunge(conflicting_user)
    existing = conflicting_user if actor.platform_wide else None
    return [AlreadyExists("The address is already registered.", "email_address", existing=existing)]
