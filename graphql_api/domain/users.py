"""People: registering, proving an address, and changing one's own or a colleague's details."""

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
from graphql_api.domain.platform_messages import Kind
from graphql_api.enums import AuthType, ServicePermission, UserErrorCode
from graphql_api.errors import AlreadyExists, DomainError, Forbidden, IllegalState, Invalid, refuse
from graphql_api.recipients import email_addresses, phone_numbers
from graphql_api.recipients.errors import RecipientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor
    from graphql_api.auth.crypto import Signer
    from graphql_api.domain.challenges import Challenge, Transactions

COLUMNS = {
    "name": "name",
    "phone_number": "mobile_number",
    "auth_type": "auth_type",
    "take_part_in_research": "take_part_in_research",
    "receives_new_features_email": "receives_new_features_email",
}
FOR_MANAGERS = frozenset({"email_address", "phone_number", "auth_type"})
"""What of a colleague those who manage a team may change."""
ANNOUNCED = {"email_address": "email address", "phone_number": "phone number"}
WEBAUTHN_WANTED = "A security key cannot be set up here: choose text message or email."


async def register(
    transaction: Transactions,
    *,
    name: str,
    email_address: str,
    password: str,
    signer: Signer,
    phone_number: str | None = None,
    auth_type: AuthType | None = AuthType.SMS,
) -> None:
    """Register somebody who has a government address; they get an email, whether or not the address is known.

    Whoever registers an address that nobody has confirmed yet replaces the registration before.
    """
    auth_type = auth_type or AuthType.SMS
    problems: list[DomainError] = [*checks.label(name, "name"), *_wrong_address(email_address)]
    for_notify = False
    if not problems:
        async with transaction() as tx:
            for_notify = await notify_compatibility.notify(tx)
            if not await email_domains.is_government(tx, email_addresses.normalise(email_address)):
                message = "Enter a government email address, or ask a colleague who has one to invite you."
                problems.append(Invalid(message, "email_address", code=UserErrorCode.EMAIL_DOMAIN_NOT_ALLOWED))
    problems += [
        *_wrong_phone(phone_number),
        *_wrong_method(auth_type, phone_number),
        *passwords.wrong(password, "password"),
    ]
    refuse(problems)
    values = {
        "name": name.strip(),
        "password": await crypto.hash_password(password, for_notify=for_notify),
        "mobile_number": (phone_number or "").strip() or None,
        "auth_type": auth_type.value,
        "password_changed_at": models.utcnow(),
    }
    async with transaction() as tx:
        await _write_to(tx, await _kept(tx, email_addresses.normalise(email_address), values), values, signer)


async def confirm_address(
    transaction: Transactions, *, token: str, signer: Signer
) -> tuple[models.User, Challenge | None]:
    """Note that an address is its owner's, by the emailed link; somebody who has just registered goes on to sign in."""
    async with transaction() as tx:
        user = await challenges.confirmed(tx, signer, token)
        user.email_access_validated_at = models.utcnow()
        await tx.flush()
    if user.state == "active":
        return user, None
    return user, await challenges.begin(transaction, user, signer=signer)


async def update(
    tx: AsyncSession, actor: Actor, *, changes: Mapping[str, Any], signer: Signer, user_id: UUID | None = None
) -> models.User:
    """Change one's own details, or those of a colleague whose team one manages, who is told of it by email."""
    caller_id = actor.require_person()
    user_id = user_id or caller_id
    user = await visibility.find(tx, actor, models.User, user_id, "user_id", lock=True)
    own = user.id == caller_id
    if not own:
        await _require_management(tx, actor, user, changes)
    if user.state == "inactive":
        message = "This person's account was archived."
        raise IllegalState(message, "user_id", current="INACTIVE", allowed=["PENDING", "ACTIVE"])
    changes = {name: _stored(name, value) for name, value in changes.items()}
    refuse([*_wrong(changes, user), *await _wrong_new_address(tx, actor, user, changes, own=own)])
    before = {name: getattr(user, COLUMNS.get(name, name)) for name in changes}
    for name, value in changes.items():
        setattr(user, COLUMNS.get(name, name), value)
    told = [words for name, words in ANNOUNCED.items() if name in changes and changes[name] != before[name]]
    if told and not own:
        colleague = await tx.get(models.User, caller_id)
        await platform_messages.send(
            tx,
            signer,
            Kind.DETAILS_CHANGED,
            user.id,
            before.get("email_address", user.email_address),
            name=user.name,
            by=colleague.name if colleague else "Somebody",
            what=", ".join(told),
        )
    await tx.flush()
    return user


async def _kept(tx: AsyncSession, address: str, values: Mapping[str, Any]) -> models.User:
    """The person with an address, locked: a new one, or whoever has it already."""
    fresh = models.User(email_address=address, **values)
    row = {
        column.key: getattr(fresh, column.key)
        for column in models.User.__mapper__.column_attrs
        if column.key in fresh.__dict__
    }
    await tx.execute(insert(models.User).values(row).on_conflict_do_nothing(index_elements=["email_address"]))
    found: models.User | None = await tx.scalar(
        select(models.User).where(models.User.email_address == address).with_for_update()
    )
    if found is None:
        raise LookupError
    return found


async def _write_to(tx: AsyncSession, user: models.User, values: Mapping[str, Any], signer: Signer) -> None:
    if user.state != "pending":
        await platform_messages.send(tx, signer, Kind.ADDRESS_REGISTERED, user.id, user.email_address, name=user.name)
        return
    for name, value in values.items():
        setattr(user, name, value)
    await tx.flush()
    await challenges.ask_to_confirm(tx, user, signer=signer)


async def _require_management(tx: AsyncSession, actor: Actor, user: models.User, changes: Mapping[str, Any]) -> None:
    """Refuse all but platform admins, and those who manage a team that the person is in, within bounds."""
    if actor.platform_wide:
        return
    if not await members.manages(tx, actor, user.id):
        raise Forbidden(ServicePermission.MANAGE_USERS.name)
    if user.platform_admin or not changes.keys() <= FOR_MANAGERS:
        raise Forbidden(PLATFORM_ADMIN, "Of a colleague you may change the address, phone number and way to sign in.")


def _stored(name: str, value: Any) -> Any:
    """A value as it is kept: trimmed, an address in the form in which addresses are compared."""
    if not isinstance(value, str) or isinstance(value, AuthType):
        return value
    if name == "email_address":
        return email_addresses.normalise(value)
    return value.strip() or (None if name == "phone_number" else "")


def _wrong(changes: Mapping[str, Any], user: models.User) -> Iterator[DomainError]:
    for name in changes:
        if name not in {"phone_number", "name"}:
            yield from checks.given(changes[name], name)
    if "name" in changes:
        yield from checks.label(changes["name"], "name")
    yield from _wrong_phone(changes.get("phone_number"))
    if changes.keys() & {"auth_type", "phone_number"}:
        method = AuthType(changes.get("auth_type") or user.auth_type)
        if method != user.auth_type or method is AuthType.SMS:
            yield from _wrong_method(method, changes.get("phone_number", user.mobile_number))


def _wrong_address(address: str) -> Iterator[DomainError]:
    if not address.strip():
        yield Invalid("Enter an email address.", "email_address", code=UserErrorCode.REQUIRED)
        return
    try:
        email_addresses.read(address)
    except RecipientError as error:
        yield Invalid(error.message, "email_address", code=error.code)
        return
    # Some letters are two in lower case.
    yield from checks.text(email_addresses.normalise(address), "email_address")


def _wrong_phone(number: str | None) -> Iterator[DomainError]:
    if number is not None and number.strip():
        try:
            phone_numbers.read(number, international=True)
        except RecipientError as error:
            yield Invalid(error.message, "phone_number", code=error.code)


def _wrong_method(method: AuthType, number: str | None) -> Iterator[DomainError]:
    if method is AuthType.WEBAUTHN:
        yield Invalid(WEBAUTHN_WANTED, "auth_type")
    elif method is AuthType.SMS and not (number or "").strip():
        message = "Signing in by text message needs a mobile number."
        yield Invalid(message, "phone_number", code=UserErrorCode.REQUIRED)


async def _wrong_new_address(
    tx: AsyncSession, actor: Actor, user: models.User, changes: Mapping[str, Any], *, own: bool
) -> list[DomainError]:
    """What is wrong with a colleague's new address: its form, who has it, a government's that would become another."""
    address = changes.get("email_address")
    if not isinstance(address, str) or address == user.email_address:
        return []
    if own:
        message = "Your own address changes by proving the new one, not here: ask for a link to be sent to it."
        return [Invalid(message, "email_address")]
    problems = list(_wrong_address(address))
    if problems:
        return problems
    government = await email_domains.of_government(tx, [address, user.email_address])
    if user.email_address in government and address not in government:
        message = "Enter a government email address, as the present one is."
        problems.append(Invalid(message, "email_address", code=UserErrorCode.EMAIL_DOMAIN_NOT_ALLOWED))
    problems += await _taken(tx, actor, address)
    return problems


async def _taken(tx: AsyncSession, actor: Actor, address: str) -> list[DomainError]:
    """The refusal of an address that somebody has; platform admins, who may read all of them, are told who."""
    holder = await tx.scalar(select(models.User).where(models.User.email_address == address))
    if holder is None:
        return []
    # The rollback that follows would take its values away.
    tx.expunge(holder)
    existing = holder if actor.platform_wide else None
    return [AlreadyExists("Somebody has registered this address.", "email_address", existing=existing)]
