"""Invented organisations and their users."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from graphql_api import models
from graphql_api.content import names
from graphql_api.enums import AuthType, OrganisationFeature, OrganisationPermission, OrganisationType, UserState
from graphql_api.seed import phone_numbers, sample_texts
from graphql_api.seed.datasets import fixed_id

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from graphql_api.seed.datasets import Dataset

CROWN_BY_TYPE = {OrganisationType.CENTRAL.value: True, OrganisationType.NHS_CENTRAL.value: True}
"""`crown` by type; null for emergency services and others, false for every other type."""
AGREEMENT_VERSION = 3.0

ADMIN, MANAGER, VIEWER = "platform_admin", "service_manager", "service_viewer"


@dataclass
class SeededOrganisation:
    """An organisation, the place in its name, its domain, and its users."""

    row: models.Organisation
    place: str
    domain: str
    people: list[models.User] = field(default_factory=list)


def create(dataset: Dataset) -> list[SeededOrganisation]:
    """Add organisations and users; the demo's manager and viewer are the first users of the first organisation."""
    seeded_organisations = [
        _create_organisation(dataset, index)
        for index in range(min(dataset.sizes.organisations, len(sample_texts.PLACES)))
    ]
    joined_at = dataset.clock.days_ago(900)
    admin = _create_user(
        dataset, "Ada Platform", f"{ADMIN.replace('_', '.')}@notify.example", joined_at, fixed_id(ADMIN)
    )
    admin.platform_admin = True
    first = seeded_organisations[0]
    for role, name in ((MANAGER, "Maya Manager"), (VIEWER, "Vikram Viewer")):
        address = f"{role.replace('_', '.')}@{first.domain}"
        first.people.append(_create_user(dataset, name, address, joined_at + timedelta(days=1), fixed_id(role)))
    weights = [1 / (1 + index) ** 0.7 for index in range(len(seeded_organisations))]
    counts = dataset.rng.split(max(0, dataset.sizes.users - 3), weights)
    for seeded_organisation, count in zip(seeded_organisations, counts, strict=True):
        used_addresses = {person.email_address for person in seeded_organisation.people}
        for _ in range(max(count, 4 - len(seeded_organisation.people))):
            seeded_organisation.people.append(_create_employee(dataset, seeded_organisation, used_addresses))
        _add_members(dataset, seeded_organisation, admin)
    return seeded_organisations


def _create_organisation(dataset: Dataset, index: int) -> SeededOrganisation:
    kind, pattern = sample_texts.ORGANISATION_NAME_PATTERNS[index % len(sample_texts.ORGANISATION_NAME_PATTERNS)]
    place = sample_texts.PLACES[index]
    created_at = dataset.clock.days_ago(1500 - 8 * index)
    is_signed = not dataset.rng.chance(0.15) or index == 0
    row = dataset.add(
        models.Organisation,
        created_at,
        id=fixed_id("organisation", str(index)),
        name=pattern.format(place),
        active=True,
        crown=CROWN_BY_TYPE.get(kind, None if kind in {"emergency_service", "other"} else False),
        organisation_type=kind,
        agreement_signed=is_signed or None,
        agreement_signed_at=created_at + timedelta(days=30) if is_signed else None,
        agreement_signed_version=AGREEMENT_VERSION if is_signed else None,
        can_approve_own_go_live_requests=index % 7 == 0,
        purchase_order_number=f"PO-{4100 + index}" if index % 3 == 0 else None,
        billing_reference=f"{place[:3].upper()}-{index:03}" if index % 4 == 0 else None,
    )
    domain = f"{names.slug(place)}.example"
    dataset.add(models.OrganisationDomain, created_at, domain=domain, organisation_id=row.id)
    if index % 5 == 0:
        dataset.add(models.OrganisationDomain, created_at, domain=f"mail.{domain}", organisation_id=row.id)
    if index % 2 == 0:
        permission = OrganisationFeature.ASK_TO_JOIN_SERVICE.value
        dataset.add(models.OrganisationFeature, created_at, organisation_id=row.id, permission=permission)
    return SeededOrganisation(row, place, domain)


def _create_employee(
    dataset: Dataset, seeded_organisation: SeededOrganisation, used_addresses: set[str]
) -> models.User:
    rng = dataset.rng
    first, last = rng.pick(sample_texts.FIRST_NAMES), rng.pick(sample_texts.LAST_NAMES)
    address = base = f"{names.slug(first)}.{names.slug(last)}"
    number = 1
    while f"{address}@{seeded_organisation.domain}" in used_addresses:
        number += 1
        address = f"{base}{number}"
    used_addresses.add(f"{address}@{seeded_organisation.domain}")
    created_at = rng.moment_between(dataset.clock.days_ago(1000), dataset.clock.days_ago(20))
    person = _create_user(dataset, f"{first} {last}", f"{address}@{seeded_organisation.domain}", created_at)
    draw = rng.random.random()
    if draw < 0.03:  # noqa: PLR2004 - a share
        person.state = UserState.PENDING.value
        person.logged_in_at = None
    elif draw < 0.12:  # noqa: PLR2004 - a share
        person.auth_type = AuthType.EMAIL.value
        person.mobile_number = None
    return person


def _create_user(
    dataset: Dataset, name: str, address: str, created_at: datetime, row_id: UUID | None = None
) -> models.User:
    rng, clock = dataset.rng, dataset.clock
    return dataset.add(
        models.User,
        created_at,
        id=row_id or rng.id(created_at),
        name=name,
        email_address=address,
        mobile_number=phone_numbers.e164(rng.random.randrange(1000)),
        password=dataset.password_hash,
        password_changed_at=created_at,
        state=UserState.ACTIVE.value,
        auth_type=AuthType.SMS.value,
        logged_in_at=rng.moment_between(max(created_at, clock.days_ago(30)), clock.midnight),
        email_access_validated_at=rng.moment_between(max(created_at, clock.days_ago(60)), clock.midnight),
        take_part_in_research=rng.chance(0.6),
        receives_new_features_email=rng.chance(0.7),
    )


def _add_members(dataset: Dataset, seeded_organisation: SeededOrganisation, admin: models.User) -> None:
    """Make some users members of their organisation, the first of them the signer of its agreement."""
    demo = {fixed_id(MANAGER), fixed_id(VIEWER)}
    active = [
        person for person in seeded_organisation.people if person.state == UserState.ACTIVE and person.id not in demo
    ]
    for index, person in enumerate(active[: 1 + len(active) // 12]):
        created_at = max(person.created_at, seeded_organisation.row.created_at)
        dataset.add(
            models.OrganisationMembership, created_at, user_id=person.id, organisation_id=seeded_organisation.row.id
        )
        if index == 0:
            dataset.add(
                models.OrganisationMemberPermission,
                created_at,
                organisation_id=seeded_organisation.row.id,
                user_id=person.id,
                permission=OrganisationPermission.MAKE_SERVICES_LIVE.value,
            )
    if seeded_organisation.row.agreement_signed:
        seeded_organisation.row.agreement_signed_by_id = (active[0] if active else admin).id
