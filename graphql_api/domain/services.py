"""Services: creation in trial, settings, and archiving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select
from sqlalchemy import update as updated

from graphql_api import models
from graphql_api.auth import visibility
from graphql_api.auth.actors import PLATFORM_ADMIN
from graphql_api.content import names
from graphql_api.domain import (
    allowances,
    api_keys,
    brandings,
    checks,
    conflicting_rows,
    notify_compatibility,
    organisations,
    versions,
)
from graphql_api.domain.billing_details import billing_columns, validate_details
from graphql_api.domain.service_states import require_active
from graphql_api.enums import JobStatus, OrganisationType, ServiceFeature, ServicePermission, UserErrorCode
from graphql_api.errors import AlreadyExists, DomainError, Forbidden, Invalid, raise_problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor

TRIAL_DAILY_LIMITS = {"email_message_limit": 50, "sms_message_limit": 50, "letter_message_limit": 50}
TRIAL_DAILY_LIMIT_INTERNATIONAL_SMS = 100
TYPES_WITHOUT_TRIAL_SMS = frozenset({OrganisationType.NHS_GP, OrganisationType.NHS_NOTIFY})
DEFAULT_FEATURES = (
    ServiceFeature.EMAIL,
    ServiceFeature.SMS,
    ServiceFeature.LETTER,
    ServiceFeature.INTERNATIONAL_SMS,
    ServiceFeature.INTERNATIONAL_LETTERS,
)
"""Features of a new service."""

DEFAULT_SMS_SENDER = "GOVUK"
"""Text message sender of a new service."""

ADMIN_ONLY_FIELDS = ("organisation_type", "notes", "billing_details")
COPIED_FIELDS = ("prefix_sms", "confirmed_email_sender_name", "confirmed_unique", "consent_to_research", "notes")
_VOLUME_CHANNELS = ("sms", "email", "letter")
_MAX_VOLUME = 2**31 - 1


async def create(
    tx: AsyncSession,
    actor: Actor,
    *,
    name: str,
    organisation_id: UUID | None = None,
    organisation_type: OrganisationType | None = None,
) -> models.Service:
    """Create a service in trial, with its creator as a member with every permission.

    `organisation_id` defaults to the organisation that owns the domain of the creator's address.
    """
    user = await tx.get_one(models.User, actor.require_person())
    organisation = await _find_organisation(tx, actor, user, organisation_id)
    raise_problems([*checks.public_name(name, "name"), *await _name_conflicts(tx, actor, name, None)])
    kind = organisation.organisation_type if organisation else organisation_type
    service = models.Service(
        name=name.strip(),
        **_name_columns(name, None),
        **TRIAL_DAILY_LIMITS | ({"sms_message_limit": 0} if kind in TYPES_WITHOUT_TRIAL_SMS else {}),
        international_sms_message_limit=TRIAL_DAILY_LIMIT_INTERNATIONAL_SMS,
        organisation_id=organisation.id if organisation else None,
        organisation_type=kind,
        crown=await organisations.resolve_crown(tx, kind, organisation.crown if organisation else None),
        created_by_id=user.id,
        count_as_live=not user.platform_admin,
    )
    tx.add(service)
    await tx.flush()
    tx.add_all(
        [
            service.snapshot(),
            models.ServiceMembership(user_id=user.id, service_id=service.id),
            models.SmsSender(service_id=service.id, sms_sender=DEFAULT_SMS_SENDER),
            *(models.ServiceFeature(service_id=service.id, permission=feature) for feature in DEFAULT_FEATURES),
            *(
                models.ServiceMemberPermission(service_id=service.id, user_id=user.id, permission=permission)
                for permission in ServicePermission
            ),
            *await _branding_rows(tx, service, organisation, user),
        ]
    )
    await tx.flush()
    await allowances.reset(tx, [service.id], kind)
    return service


async def update(
    tx: AsyncSession,
    actor: Actor,
    *,
    service_id: UUID,
    changes: Mapping[str, Any],
    expected_version: int | None = None,
) -> models.Service:
    """Change the settings in `changes`; equal values make no new version."""
    service = await visibility.find_visible(tx, actor, models.Service, service_id, "service_id", lock=True)
    actor.require(ServicePermission.MANAGE_SETTINGS, service.id, "service_id")
    if not actor.platform_wide and any(field in changes for field in ADMIN_ONLY_FIELDS):
        raise Forbidden(PLATFORM_ADMIN)
    require_active(service)
    versions.require_version(service, expected_version)
    problems: list[DomainError] = [*_validate(changes)]
    if changes.get("name"):
        problems += await _name_conflicts(tx, actor, changes["name"], service)
    raise_problems(problems)
    kind_before = service.organisation_type
    if versions.apply_changes(service, await _changed_columns(tx, service, changes)):
        tx.add(versions.increment(service))
        await tx.flush()
        if service.organisation_type != kind_before:
            await allowances.reset(tx, [service.id], service.organisation_type)
    return service


async def archive(tx: AsyncSession, actor: Actor, *, service_id: UUID) -> models.Service:
    """Archive a service: revoke its API keys, archive its templates, cancel its scheduled jobs, free its name.

    A second call changes nothing. Only platform admins archive a live service.
    """
    service = await visibility.find_visible(tx, actor, models.Service, service_id, "service_id", lock=True)
    actor.require(ServicePermission.MANAGE_SETTINGS, service.id, "service_id")
    if not service.restricted and not actor.platform_wide:
        raise Forbidden(PLATFORM_ADMIN, "Only a platform admin may archive a live service.")
    if not service.active:
        return service
    now = models.utcnow()
    name = checks.archived_name(service.name, now)
    versions.apply_changes(service, {"name": name, "active": False, **_name_columns(name, None)})
    tx.add(versions.increment(service, now))
    await _archive_templates(tx, service.id)
    await _expire_keys(tx, actor, service.id)
    await tx.execute(
        updated(models.Job)
        .where(models.Job.service_id == service.id, models.Job.job_status == JobStatus.SCHEDULED)
        .values(job_status=JobStatus.CANCELLED, updated_at=now)
    )
    await tx.flush()
    return service


async def _find_organisation(
    tx: AsyncSession, actor: Actor, user: models.User, organisation_id: UUID | None
) -> models.Organisation | None:
    """The organisation of a new service; only platform admins may choose one of which they are not a member."""
    by_domain = await organisations.find_by_email_domain(tx, user.email_address)
    if organisation_id is None or (by_domain and by_domain.id == organisation_id):
        return by_domain
    organisation = await visibility.find_visible(
        tx, actor, models.Organisation, organisation_id, "organisation_id", lock=True
    )
    if not actor.platform_wide and organisation_id not in actor.organisation_ids:
        raise Forbidden(PLATFORM_ADMIN, "Only its members and platform admins may add a service to an organisation.")
    organisations.require_active(organisation)
    return organisation


async def _branding_rows(
    tx: AsyncSession, service: models.Service, organisation: models.Organisation | None, user: models.User
) -> list[models.Model]:
    """Branding of the organisation, else that of the NHS for an NHS service."""
    email: UUID | None = None
    letter: UUID | None = None
    if organisation:
        email, letter = organisation.email_branding_id, organisation.letter_branding_id
    elif service.organisation_type in brandings.NHS_TYPES or brandings.is_nhs_address(user.email_address):
        email, letter = await brandings.find_nhs_brandings(tx)
    rows: list[models.Model] = []
    if email:
        rows.append(models.ServiceEmailBranding(service_id=service.id, email_branding_id=email))
    if letter:
        rows.append(models.ServiceLetterBranding(service_id=service.id, letter_branding_id=letter))
    return rows


def _name_columns(name: str, sender_name: str | None) -> dict[str, str]:
    """Columns derived from a service's name: its unique normalised form, and the local part of its sender address."""
    return {
        "normalised_service_name": names.local_part(name),
        "email_sender_local_part": names.local_part(sender_name or name)[: checks.MAX_TEXT_CHARACTERS],
    }


async def _name_conflicts(
    tx: AsyncSession, actor: Actor, name: str, service: models.Service | None
) -> list[AlreadyExists]:
    """Problems if another service has the name, or the same local part of its sender address."""
    row = models.Service
    same_name = [or_(row.name == name.strip(), row.normalised_service_name == names.local_part(name))]
    if service:
        same_name.append(row.id != service.id)
    return await conflicting_rows.name_conflicts(
        tx, actor, row, name, *same_name, message="Another service has this name, or nearly."
    )


def _validate(changes: Mapping[str, Any]) -> Iterator[Invalid]:
    if "name" in changes:
        yield from checks.public_name(changes["name"], "name")
    if changes.get("custom_email_sender_name") is not None:
        yield from checks.public_name(changes["custom_email_sender_name"], "custom_email_sender_name")
    yield from checks.optional_text(changes.get("contact_link"), "contact_link")
    yield from checks.optional_text(changes.get("notes"), "notes", max_characters=None)
    for name in ("prefix_sms", "confirmed_unique"):
        if name in changes:
            yield from checks.not_null(changes[name], name)
    for name, volume in (changes.get("volumes") or {}).items():
        if volume is not None and not 0 <= volume <= _MAX_VOLUME:
            yield Invalid("Enter a number from 0.", "volumes", name, code=UserErrorCode.OUT_OF_RANGE)
    yield from validate_details(changes.get("billing_details"))


async def _changed_columns(tx: AsyncSession, service: models.Service, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Column values of the changes; a new name resets `confirmed_unique`, a sender name is confirmed."""
    values: dict[str, Any] = {}
    if "name" in changes:
        values["name"] = changes["name"].strip()
        if values["name"] != service.name:
            values["confirmed_unique"] = False
    if "custom_email_sender_name" in changes:
        values["custom_email_sender_name"] = (changes["custom_email_sender_name"] or "").strip() or None
        values["confirmed_email_sender_name"] = True
    if "name" in changes or "custom_email_sender_name" in changes:
        sender_name = values.get("custom_email_sender_name", service.custom_email_sender_name)
        values |= _name_columns(values.get("name", service.name), sender_name)
    if "contact_link" in changes:
        values["contact_link"] = (changes["contact_link"] or "").strip() or None
    if "volumes" in changes:
        values |= {f"volume_{name}": (changes["volumes"] or {}).get(name) for name in _VOLUME_CHANNELS}
    if "billing_details" in changes:
        values |= billing_columns(changes["billing_details"])
    if "organisation_type" in changes:
        kind = changes["organisation_type"]
        values |= {"organisation_type": kind, "crown": await organisations.resolve_crown(tx, kind, service.crown)}
    return values | {name: changes[name] for name in COPIED_FIELDS if name in changes}


async def _archive_templates(tx: AsyncSession, service_id: UUID) -> None:
    row = models.Template
    current = select(row).where(row.service_id == service_id, row.archived.is_(False)).order_by(row.id)
    # Locked, so that a concurrent save gets an earlier version.
    for template in await tx.scalars(current.with_for_update(key_share=True)):
        template.archived = True
        tx.add(versions.increment(template))


async def _expire_keys(tx: AsyncSession, actor: Actor, service_id: UUID) -> None:
    key, lifetime = models.ApiKey, models.ApiKeyLifetime
    rows = await tx.execute(
        select(key, lifetime)
        .outerjoin(lifetime, lifetime.api_key_id == key.id)
        .where(key.service_id == service_id, key.expiry_date.is_(None))
        .order_by(key.id)
        .with_for_update(of=key, key_share=True)
    )
    for_notify = await notify_compatibility.is_enabled(tx)
    for api_key, key_lifetime in rows:
        api_keys.expire(tx, actor, api_key, key_lifetime, for_notify=for_notify)
