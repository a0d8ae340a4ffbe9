"""Organisations: public bodies that own services; only platform admins change them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import any_, bindparam, delete, exists, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from graphql_api import models
from graphql_api.auth import visibility
from graphql_api.domain import allowances, brandings, checks, conflicting_rows, email_domains, versions
from graphql_api.domain.billing_details import billing_columns, validate_details
from graphql_api.enums import OrganisationFeature, OrganisationType, UserErrorCode
from graphql_api.errors import AlreadyExists, DomainError, IllegalState, Invalid, raise_problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor

ACTIVE, ARCHIVED = "ACTIVE", "ARCHIVED"
COPIED_FIELDS = ("can_approve_own_go_live_requests", "request_to_go_live_notes", "notes")
_DOMAIN_PATTERN = re.compile(
    r"(?=.{3,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+\Z"
)


async def create(
    tx: AsyncSession,
    actor: Actor,
    *,
    name: str,
    type: OrganisationType,  # noqa: A002 - the contract's word
    crown: bool | None = None,
    domains: Sequence[str] | None = None,
    agreement_signed: bool | None = None,
) -> models.Organisation:
    """Create an organisation; an NHS organisation gets the NHS branding."""
    actor.require_platform_admin()
    normalised_domains = _normalise_domains(domains or ())
    raise_problems(
        [
            *checks.public_name(name, "name"),
            *_validate_domains(normalised_domains),
            *await _name_conflicts(tx, actor, name.strip()),
            *await _domain_conflicts(tx, actor, normalised_domains, None),
        ]
    )
    organisation = models.Organisation(
        name=name.strip(),
        organisation_type=type,
        crown=await resolve_crown(tx, type, crown),
        agreement_signed=agreement_signed,
    )
    if type in brandings.NHS_TYPES:
        organisation.email_branding_id, organisation.letter_branding_id = await brandings.find_nhs_brandings(tx)
    tx.add(organisation)
    await tx.flush()
    tx.add_all(
        models.OrganisationDomain(domain=domain, organisation_id=organisation.id) for domain in normalised_domains
    )
    await tx.flush()
    return organisation


async def update(
    tx: AsyncSession, actor: Actor, *, organisation_id: UUID, changes: Mapping[str, Any]
) -> models.Organisation:
    """Change the fields in `changes`; type and crown apply to its services too, a new type resets their allowance."""
    actor.require_platform_admin()
    organisation = await visibility.find_visible(
        tx, actor, models.Organisation, organisation_id, "organisation_id", lock=True
    )
    require_active(organisation)
    domains = _normalise_domains(changes["domains"] or ()) if "domains" in changes else None
    raise_problems([*_validate(changes), *await _find_conflicts(tx, actor, organisation, changes, domains)])
    values = {name: changes[name] for name in COPIED_FIELDS if name in changes}
    if "name" in changes:
        values["name"] = changes["name"].strip()
    if "billing_details" in changes:
        values |= billing_columns(changes["billing_details"])
    values |= await _type_columns(tx, organisation, changes)
    kind_before = organisation.organisation_type
    if versions.apply_changes(organisation, values):
        organisation.updated_at = models.utcnow()
    if domains is not None:
        await _replace_domains(tx, organisation.id, domains)
    if "features" in changes:
        await _replace_features(tx, organisation.id, changes["features"] or ())
    await tx.flush()
    if "type" in changes or "crown" in changes:
        await _propagate_to_services(tx, organisation, type_changed=organisation.organisation_type != kind_before)
    return organisation


async def archive(tx: AsyncSession, actor: Actor, *, organisation_id: UUID) -> models.Organisation:
    """Archive an organisation that is not in use; a second call changes nothing."""
    actor.require_platform_admin()
    organisation = await visibility.find_visible(
        tx, actor, models.Organisation, organisation_id, "organisation_id", lock=True
    )
    if not organisation.active:
        return organisation
    raise_problems(list(await _remaining_uses(tx, organisation_id)))
    await tx.execute(
        delete(models.OrganisationDomain).where(models.OrganisationDomain.organisation_id == organisation_id)
    )
    organisation.updated_at = models.utcnow()
    organisation.name = checks.archived_name(organisation.name, organisation.updated_at)
    organisation.active = False
    organisation.email_branding_id = organisation.letter_branding_id = None
    await tx.flush()
    return organisation


def require_active(organisation: models.Organisation) -> None:
    """Raise `IllegalState` for an archived organisation."""
    if not organisation.active:
        message = "The organisation is archived."
        raise IllegalState(message, "organisation_id", current=ARCHIVED, allowed=[ACTIVE])


async def find_by_email_domain(tx: AsyncSession, email_address: str) -> models.Organisation | None:
    """The organisation that owns the longest matching domain of an email address, locked; None without one."""
    suffixes = email_domains.domain_suffixes(email_address)
    domain = models.OrganisationDomain
    organisation: models.Organisation | None = await tx.scalar(
        select(models.Organisation)
        .join(domain, domain.organisation_id == models.Organisation.id)
        .where(domain.domain == any_(bindparam("suffixes", suffixes, ARRAY(domain.domain.type))))
        .where(models.Organisation.active)
        .order_by(func.length(domain.domain).desc())
        .limit(1)
        .with_for_update(of=models.Organisation, key_share=True)
    )
    return organisation


@lru_cache(maxsize=64)
def parse_type(stored: str | None) -> OrganisationType | None:
    """The stored type; OTHER for one that is not known here, such as Notify's former `nhs`."""
    try:
        return OrganisationType(stored) if stored else None
    except ValueError:
        return OrganisationType.OTHER


async def resolve_crown(tx: AsyncSession, organisation_type: str | None, default: bool | None) -> bool | None:
    """Whether a body belongs to the Crown: by its type, or `default` if the type does not imply it."""
    kind = models.OrganisationType
    implied = await tx.scalar(select(kind.is_crown).where(kind.name == organisation_type))
    return default if implied is None else implied


def _normalise_domains(domains: Sequence[str]) -> list[str]:
    """In lower case, without duplicates."""
    return list(dict.fromkeys(domain.strip().lower() for domain in domains))


def _validate(changes: Mapping[str, Any]) -> Iterator[Invalid]:
    if "name" in changes:
        yield from checks.public_name(changes["name"], "name")
    for name in ("type", "can_approve_own_go_live_requests"):
        if name in changes:
            yield from checks.not_null(changes[name], name)
    for name in ("request_to_go_live_notes", "notes"):
        yield from checks.optional_text(changes.get(name), name, max_characters=None)
    yield from _validate_domains(_normalise_domains(changes.get("domains") or ()))
    yield from validate_details(changes.get("billing_details"))


def _validate_domains(domains: Sequence[str]) -> Iterator[Invalid]:
    for index, domain in enumerate(domains):
        if not _DOMAIN_PATTERN.match(domain):
            yield Invalid("Enter an email domain without @, such as example.gov.uk.", "domains", str(index))


async def _find_conflicts(
    tx: AsyncSession,
    actor: Actor,
    organisation: models.Organisation,
    changes: Mapping[str, Any],
    domains: Sequence[str] | None,
) -> list[DomainError]:
    problems: list[DomainError] = []
    name = (changes.get("name") or "").strip()
    if name and name != organisation.name:
        problems += await _name_conflicts(tx, actor, name)
    return problems + await _domain_conflicts(tx, actor, domains or (), organisation.id)


async def _name_conflicts(tx: AsyncSession, actor: Actor, name: str) -> list[AlreadyExists]:
    row = models.Organisation
    return await conflicting_rows.name_conflicts(
        tx, actor, row, name, row.name == name, message="Another organisation has this name."
    )


async def _domain_conflicts(
    tx: AsyncSession, actor: Actor, domains: Sequence[str], organisation_id: UUID | None
) -> list[DomainError]:
    valid_domains = [domain for domain in domains if _DOMAIN_PATTERN.match(domain)]
    if not valid_domains:
        return []
    row = models.OrganisationDomain
    owners = await tx.execute(select(row.domain, row.organisation_id).where(row.domain.in_(valid_domains)))
    owner_id_by_domain = {domain: owner_id for domain, owner_id in owners if owner_id != organisation_id}
    owner_by_id = {
        owner_id: await conflicting_rows.load_visible(tx, actor, models.Organisation, owner_id)
        for owner_id in {*owner_id_by_domain.values()}
    }
    return [
        AlreadyExists(
            f"{domain} belongs to another organisation.",
            "domains",
            str(index),
            existing=owner_by_id[owner_id_by_domain[domain]],
        )
        for index, domain in enumerate(domains)
        if domain in owner_id_by_domain
    ]


async def _type_columns(
    tx: AsyncSession, organisation: models.Organisation, changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Columns that a new type or crown sets; a new NHS body gets the NHS branding where it has none."""
    if "type" not in changes and "crown" not in changes:
        return {}
    kind = changes.get("type", organisation.organisation_type)
    values: dict[str, Any] = {
        "organisation_type": kind,
        "crown": await resolve_crown(tx, kind, changes.get("crown", organisation.crown)),
    }
    if "type" in changes and kind in brandings.NHS_TYPES:
        email, letter = await brandings.find_nhs_brandings(tx)
        values["email_branding_id"] = organisation.email_branding_id or email
        values["letter_branding_id"] = organisation.letter_branding_id or letter
    return values


async def _propagate_to_services(tx: AsyncSession, organisation: models.Organisation, *, type_changed: bool) -> None:
    services = await tx.scalars(
        select(models.Service)
        .where(models.Service.organisation_id == organisation.id)
        .order_by(models.Service.id)
        .with_for_update()
    )
    values = {"organisation_type": organisation.organisation_type, "crown": organisation.crown}
    service_ids = []
    for service in services:
        service_ids.append(service.id)
        if versions.apply_changes(service, values):
            tx.add(versions.increment(service))
    await tx.flush()
    if type_changed:
        await allowances.reset(tx, service_ids, organisation.organisation_type)


async def _replace_domains(tx: AsyncSession, organisation_id: UUID, domains: Sequence[str]) -> None:
    row = models.OrganisationDomain
    current = set(await tx.scalars(select(row.domain).where(row.organisation_id == organisation_id)))
    removed = current.difference(domains)
    if removed:
        await tx.execute(delete(row).where(row.organisation_id == organisation_id, row.domain.in_(removed)))
    tx.add_all(row(domain=domain, organisation_id=organisation_id) for domain in domains if domain not in current)


async def _replace_features(tx: AsyncSession, organisation_id: UUID, features: Sequence[OrganisationFeature]) -> None:
    row = models.OrganisationFeature
    current = set(await tx.scalars(select(row.permission).where(row.organisation_id == organisation_id)))
    removed = current.difference(features)
    if removed:
        await tx.execute(delete(row).where(row.organisation_id == organisation_id, row.permission.in_(removed)))
    tx.add_all(row(organisation_id=organisation_id, permission=feature) for feature in sorted({*features} - current))


async def _remaining_uses(tx: AsyncSession, organisation_id: UUID) -> Iterator[Invalid]:
    """Problems of an organisation that is in use: active services, members, pending invitations."""
    service, member, invitation = models.Service, models.OrganisationMembership, models.InvitedOrganisationUser
    row = (
        await tx.execute(
            select(
                exists().where(service.organisation_id == organisation_id, service.active),
                exists().where(member.organisation_id == organisation_id),
                exists().where(invitation.organisation_id == organisation_id, invitation.status == "pending"),
            )
        )
    ).one()
    services, members, invitations = row
    reasons = {"active services": services, "members": members, "pending invitations": invitations}
    return (
        Invalid(f"The organisation still has {label}.", "organisation_id", code=UserErrorCode.IN_USE)
        for label, is_in_use in reasons.items()
        if is_in_use
    )
