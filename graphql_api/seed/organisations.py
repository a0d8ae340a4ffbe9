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

    from graphql_api.seed.datasets import World

CROWN = {OrganisationType.CENTRAL.value: True, OrganisationType.NHS_CENTRAL.value: True}
"""Kinds of body that are the Crown's; of emergency services it depends, and the others are not."""
AGREEMENT_VERSION = 3.0

ADMIN, MANAGER, VIEWER = "platform_admin", "service_manager", "service_viewer"


@dataclass
class Body:
    """A public body, what it is called for short, and its people."""

    row: models.Organisation
    place: str
    domain: str
    people: list[models.User] = field(default_factory=list)


def phone_number(number: int) -> str:
    """One of the thousand numbers that belong to nobody, for plays and films."""
    return f"+447700900{number % 1000:03}"


def plain(name: str) -> str:
    """A name as it stands in an address."""
    bare = unicodedata.normalize("NFD", name.lower())
    return "".join(letter for letter in bare if letter.isascii() and letter.isalnum())


def found(world: World) -> list[Body]:
    """Make bodies and their people; the demo's three people come first, in the first body but for the admin."""
    bodies = [_body(world, index) for index in range(min(world.sizes.organisations, len(sample_texts.PLACES)))]
    began = world.clock.ago(900)
    admin = _person(world, "Ada Platform", f"{ADMIN.replace('_', '.')}@notify.example", began, fixed_id(ADMIN))
    admin.platform_admin = True
    first = bodies[0]
    for role, name in ((MANAGER, "Maya Manager"), (VIEWER, "Vikram Viewer")):
        address = f"{role.replace('_', '.')}@{first.domain}"
        first.people.append(_person(world, name, address, began + timedelta(days=1), fixed_id(role)))
    weights = [1 / (1 + index) ** 0.7 for index in range(len(bodies))]
    counts = world.dice.shares(max(0, world.sizes.users - 3), weights)
    for body, count in zip(bodies, counts, strict=True):
        taken = {person.email_address for person in body.people}
        for _ in range(max(count, 4 - len(body.people))):
            body.people.append(_employee(world, body, taken))
        _join(world, body, admin)
    return bodies


def _body(world: World, index: int) -> Body:
    kind, pattern = sample_texts.BODIES[index % len(sample_texts.BODIES)]
    place = sample_texts.PLACES[index]
    made = world.clock.ago(1500 - 8 * index)
    signed = not world.dice.chance(0.15) or index == 0
    row = world.add(
        models.Organisation,
        made,
        id=fixed_id("organisation", str(index)),
        name=pattern.format(place),
        active=True,
        crown=CROWN.get(kind, None if kind in {"emergency_service", "other"} else False),
        organisation_type=kind,
        agreement_signed=signed or None,
        agreement_signed_at=made + timedelta(days=30) if signed else None,
        agreement_signed_version=AGREEMENT_VERSION if signed else None,
        can_approve_own_go_live_requests=index % 7 == 0,
        purchase_order_number=f"PO-{4100 + index}" if index % 3 == 0 else None,
        billing_reference=f"{place[:3].upper()}-{index:03}" if index % 4 == 0 else None,
    )
    domain = f"{plain(place)}.example"
    world.add(models.OrganisationDomain, made, domain=domain, organisation_id=row.id)
    if index % 5 == 0:
        world.add(models.OrganisationDomain, made, domain=f"mail.{domain}", organisation_id=row.id)
    if index % 2 == 0:
        permission = OrganisationFeature.ASK_TO_JOIN_SERVICE.value
        world.add(models.OrganisationFeature, made, organisation_id=row.id, permission=permission)
    return Body(row, place, domain)


def _employee(world: World, body: Body, taken: set[str]) -> models.User:
    dice = world.dice
    first, last = dice.pick(sample_texts.FIRST_NAMES), dice.pick(sample_texts.LAST_NAMES)
    address = base = f"{plain(first)}.{plain(last)}"
    number = 1
    while f"{address}@{body.domain}" in taken:
        number += 1
        address = f"{base}{number}"
    taken.add(f"{address}@{body.domain}")
    made = dice.between(world.clock.ago(1000), world.clock.ago(20))
    person = _person(world, f"{first} {last}", f"{address}@{body.domain}", made)
    luck = dice.random.random()
    if luck < 0.03:  # noqa: PLR2004 - a share
        person.state = UserState.PENDING.value
        person.logged_in_at = None
    elif luck < 0.12:  # noqa: PLR2004 - a share
        person.auth_type = AuthType.EMAIL.value
        person.mobile_number = None
    return person


def _person(world: World, name: str, address: str, made: datetime, row_id: UUID | None = None) -> models.User:
    dice, clock = world.dice, world.clock
    return world.add(
        models.User,
        made,
        id=row_id or dice.id(made),
        name=name,
        email_address=address,
        mobile_number=phone_number(dice.random.randrange(1000)),
        password=world.password_hash,
        password_changed_at=made,
        state=UserState.ACTIVE.value,
        auth_type=AuthType.SMS.value,
        logged_in_at=dice.between(max(made, clock.ago(30)), clock.midnight),
        email_access_validated_at=dice.between(max(made, clock.ago(60)), clock.midnight),
        take_part_in_research=dice.chance(0.6),
        receives_new_features_email=dice.chance(0.7),
    )


def _join(world: World, body: Body, admin: models.User) -> None:
    """Make some people members of their body, and one of them the one who signed its agreement."""
    demo = {fixed_id(MANAGER), fixed_id(VIEWER)}
    active = [one for one in body.people if one.state == UserState.ACTIVE and one.id not in demo]
    for index, person in enumerate(active[: 1 + len(active) // 12]):
        made = max(person.created_at, body.row.created_at)
        world.add(models.OrganisationMembership, made, user_id=person.id, organisation_id=body.row.id)
        if index == 0:
            world.add(
                models.OrganisationMemberPermission,
                made,
                organisation_id=body.row.id,
                user_id=person.id,
                permission=OrganisationPermission.MAKE_SERVICES_LIVE.value,
            )
    if body.row.agreement_signed:
        body.row.agreement_signed_by_id = (active[0] if active else admin).id
