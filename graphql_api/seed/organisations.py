"""Invented public bodies and the people who work for them."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from graphql_api import models
from graphql_api.enums import AuthType, OrganisationFeature, OrganisationPermission, OrganisationType, UserState
from graphql_api.seed import sample_texts
from graphql_api.seed.datasets import fixed_id

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from graphql_api.seed.datasets import Dataset

CROWN_BY_TYPE = {OrganisationType.CENTRAL.value: True, OrganisationType.NHS_CENTRAL.value: True}
"""Kinds of body that are the Crown's; of emergency services it depends, and the others are not."""
AGREEMENT_VERSION = 3.0

ADMIN, MANAGER, VIEWER = "platform_admin", "service_manager", "service_viewer"


@dataclass
class SeededOrganisation:
    """A public body, what it is called for short, and its people."""

    row: models.Organisation
    place: str
    domain: str
    people: list[models.User] = field(default_factory=list)


def fictional_phone_number(number: int) -> str:
    """One of the thousand numbers that belong to nobody, for plays and films."""
    return f"+447700900{number % 1000:03}"


def slug(name: str) -> str:
    """A name as it stands in an address."""
    bare = unicodedata.normalize("NFD", name.lower())
    return "".join(letter for letter in bare if letter.isascii() and letter.isalnum())


def create(dataset: Dataset) -> list[SeededOrganisation]:
    """Make bodies and their people; the demo's three people come first, in the first body but for the admin."""
    bodies = [
        _create_organisation(dataset, index)
        for index in range(min(dataset.sizes.organisations, len(sample_texts.PLACES)))
    ]
    began = dataset.clock.days_ago(900)
    admin = _create_user(dataset, "Ada Platform", f"{ADMIN.replace('_', '.')}@notify.example", began, fixed_id(ADMIN))
    admin.platform_admin = True
    first = bodies[0]
    for role, name in ((MANAGER, "Maya Manager"), (VIEWER, "Vikram Viewer")):
        address = f"{role.replace('_', '.')}@{first.domain}"
        first.people.append(_create_user(dataset, name, address, began + timedelta(days=1), fixed_id(role)))
    weights = [1 / (1 + index) ** 0.7 for index in range(len(bodies))]
    counts = dataset.rng.split(max(0, dataset.sizes.users - 3), weights)
    for body, count in zip(bodies, counts, strict=True):
        taken = {person.email_address for person in body.people}
        for _ in range(max(count, 4 - len(body.people))):
            body.people.append(_create_employee(dataset, body, taken))
        _add_members(dataset, body, admin)
    return bodies


def _create_organisation(dataset: Dataset, index: int) -> SeededOrganisation:
    kind, pattern = sample_texts.ORGANISATION_NAME_PATTERNS[index % len(sample_texts.ORGANISATION_NAME_PATTERNS)]
    place = sample_texts.PLACES[index]
    made = dataset.clock.days_ago(1500 - 8 * index)
    signed = not dataset.rng.chance(0.15) or index == 0
    row = dataset.add(
        models.Organisation,
        made,
        id=fixed_id("organisation", str(index)),
        name=pattern.format(place),
        active=True,
        crown=CROWN_BY_TYPE.get(kind, None if kind in {"emergency_service", "other"} else False),
        organisation_type=kind,
        agreement_signed=signed or None,
        agreement_signed_at=made + timedelta(days=30) if signed else None,
        agreement_signed_version=AGREEMENT_VERSION if signed else None,
        can_approve_own_go_live_requests=index % 7 == 0,
        purchase_order_number=f"PO-{4100 + index}" if index % 3 == 0 else None,
        billing_reference=f"{place[:3].upper()}-{index:03}" if index % 4 == 0 else None,
    )
    domain = f"{slug(place)}.example"
    dataset.add(models.OrganisationDomain, made, domain=domain, organisation_id=row.id)
    if index % 5 == 0:
        dataset.add(models.OrganisationDomain, made, domain=f"mail.{domain}", organisation_id=row.id)
    if index % 2 == 0:
        permission = OrganisationFeature.ASK_TO_JOIN_SERVICE.value
        dataset.add(models.OrganisationFeature, made, organisation_id=row.id, permission=permission)
    return SeededOrganisation(row, place, domain)


def _create_employee(dataset: Dataset, seeded_organisation: SeededOrganisation, taken: set[str]) -> models.User:
    dice = dataset.rng
    first, last = dice.pick(sample_texts.FIRST_NAMES), dice.pick(sample_texts.LAST_NAMES)
    address = base = f"{slug(first)}.{slug(last)}"
    number = 1
    while f"{address}@{seeded_organisation.domain}" in taken:
        number += 1
        address = f"{base}{number}"
    taken.add(f"{address}@{seeded_organisation.domain}")
    made = dice.moment_between(dataset.clock.days_ago(1000), dataset.clock.days_ago(20))
    person = _create_user(dataset, f"{first} {last}", f"{address}@{seeded_organisation.domain}", made)
    luck = dice.random.random()
    if luck < 0.03:  # noqa: PLR2004 - a share
        person.state = UserState.PENDING.value
        person.logged_in_at = None
    elif luck < 0.12:  # noqa: PLR2004 - a share
        person.auth_type = AuthType.EMAIL.value
        person.mobile_number = None
    return person


def _create_user(
    dataset: Dataset, name: str, address: str, created_at: datetime, row_id: UUID | None = None
) -> models.User:
    dice, clock = dataset.rng, dataset.clock
    return dataset.add(
        models.User,
        created_at,
        id=row_id or dice.id(created_at),
        name=name,
        email_address=address,
        mobile_number=fictional_phone_number(dice.random.randrange(1000)),
        password=dataset.password_hash,
        password_changed_at=created_at,
        state=UserState.ACTIVE.value,
        auth_type=AuthType.SMS.value,
        logged_in_at=dice.moment_between(max(created_at, clock.days_ago(30)), clock.midnight),
        email_access_validated_at=dice.moment_between(max(created_at, clock.days_ago(60)), clock.midnight),
        take_part_in_research=dice.chance(0.6),
        receives_new_features_email=dice.chance(0.7),
    )


def _add_members(dataset: Dataset, seeded_organisation: SeededOrganisation, admin: models.User) -> None:
    """Make some people members of their body, and one of them the one who signed its agreement."""
    demo = {fixed_id(MANAGER), fixed_id(VIEWER)}
    active = [one for one in seeded_organisation.people if one.state == UserState.ACTIVE and one.id not in demo]
    for index, person in enumerate(active[: 1 + len(active) // 12]):
        made = max(person.created_at, seeded_organisation.row.created_at)
        dataset.add(models.OrganisationMembership, made, user_id=person.id, organisation_id=seeded_organisation.row.id)
        if index == 0:
            dataset.add(
                models.OrganisationMemberPermission,
                made,
                organisation_id=seeded_organisation.row.id,
                user_id=person.id,
                permission=OrganisationPermission.MAKE_SERVICES_LIVE.value,
            )
    if seeded_organisation.row.agreement_signed:
        seeded_organisation.row.agreement_signed_by_id = (active[0] if active else admin).id
