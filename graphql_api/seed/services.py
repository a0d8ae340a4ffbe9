"""Invented services: their versions, members, keys, senders and limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from graphql_api import models
from graphql_api.content import names
from graphql_api.domain.services import FEATURES, SMS_SENDER, TRIAL_LIMIT_ABROAD, TRIAL_LIMITS, WITHOUT_TEXTS_IN_TRIAL
from graphql_api.enums import AuthType, KeyType, ServiceFeature, ServicePermission, UserState
from graphql_api.seed import organisations, sample_texts
from graphql_api.seed.datasets import fixed_id, ranks, secret

if TYPE_CHECKING:
    from graphql_api.seed.datasets import World
    from graphql_api.seed.organisations import Body

DEMO = "service"
LIVE_LIMITS = {"email_message_limit": 250_000, "sms_message_limit": 250_000, "letter_message_limit": 20_000}
TRIAL_SHARE = 0.3
"""Of all services, those still in trial."""
CREATED, LIVE, ARCHIVED = 1, 2, 3
"""How far a service has come."""
RETENTION = 7
SENDS = (ServicePermission.SEND_TEXTS, ServicePermission.SEND_EMAILS, ServicePermission.SEND_LETTERS)
ROLES = (
    tuple(ServicePermission),
    (ServicePermission.VIEW_ACTIVITY, *SENDS),
    (ServicePermission.VIEW_ACTIVITY, *SENDS, ServicePermission.MANAGE_TEMPLATES),
    (ServicePermission.VIEW_ACTIVITY, ServicePermission.MANAGE_API_KEYS),
    (ServicePermission.VIEW_ACTIVITY,),
)
"""What members may do, most often the first two."""


@dataclass(eq=False)
class Team:
    """A service and what its messages are made of."""

    service: models.Service
    body: Body
    theme: sample_texts.Theme
    state: int
    weight: float
    """How much it sends, beside others."""
    retention: int = RETENTION
    """Days for which it keeps its messages."""
    members: list[models.User] = field(default_factory=list)
    keys: dict[str, models.ApiKey] = field(default_factory=dict)
    """Its keys that work, by type."""
    sms_sender: str = SMS_SENDER
    reply_to: str | None = None
    contact: models.LetterContact | None = None
    folders: list[models.TemplateFolder] = field(default_factory=list)
    messages_from: datetime | None = None
    """When its first message left."""

    @property
    def demo(self) -> bool:
        """Whether this is the service of the demo."""
        return self.service.id == fixed_id(DEMO)


def gather(world: World, found: list[Body]) -> list[Team]:
    """Make services: the demo's first, then from the busiest to the quietest; one of the last is archived."""
    count = world.sizes.services
    trials = max(1, round(count * TRIAL_SHARE))
    owners = [found[0]]
    for body, number in zip(found, world.dice.shares(count - 1, ranks(len(found), 0.6)), strict=True):
        owners += [body] * number
    rest = owners[1:]
    world.dice.random.shuffle(rest)
    weights = ranks(count, 1.15)
    # The demo is busy, but not the busiest.
    weights[0], weights[1] = weights[1], weights[0]
    teams: list[Team] = []
    for index, body in enumerate([found[0], *rest]):
        state = CREATED if index >= count - trials else ARCHIVED if index == count - trials - 1 else LIVE
        teams.append(_team(world, body, index, state, weights[index], [team.service.name for team in teams]))
    return teams


def _team(world: World, body: Body, index: int, state: int, weight: float, taken: list[str]) -> Team:
    dice, clock = world.dice, world.clock
    theme = sample_texts.THEMES[index % len(sample_texts.THEMES)]
    name = next(
        name
        for suffix in (*sample_texts.SUFFIXES, *(f" {number}" for number in range(3, 99)))
        if (name := f"{body.place} {theme.title}{suffix}") not in taken
    )
    people = [person for person in body.people if person.state == UserState.ACTIVE]
    demo = index == 0
    creator = people[0] if demo else dice.pick([one for one in people if one.id not in _demo_people()])
    made = clock.ago(500) if demo else dice.between(clock.ago(30 if state == CREATED else 700), clock.ago(10))
    if state != CREATED:
        made = min(made, clock.ago(430 - index % 30))
    kind = body.row.organisation_type
    service = models.Service(
        id=fixed_id(DEMO) if demo else dice.id(made),
        created_at=made,
        name=name,
        normalised_service_name=names.local_part(name),
        email_sender_local_part=names.local_part(name),
        created_by_id=creator.id,
        organisation_id=body.row.id,
        organisation_type=kind,
        crown=body.row.crown,
        **TRIAL_LIMITS | ({"sms_message_limit": 0} if kind in WITHOUT_TEXTS_IN_TRIAL else {}),
        international_sms_message_limit=TRIAL_LIMIT_ABROAD,
        consent_to_research=dice.chance(0.5),
    )
    world.keep(service)
    world.keep(service.snapshot())
    team = Team(service, body, theme, state, weight if state != CREATED else weight / 20)
    _retain(world, team, index)
    _staff(world, team, creator, people)
    _send_from(world, team)
    if state == CREATED:
        service.has_active_go_live_request = index % 4 == 0
    else:
        _go_live(world, team)
    _cut_keys(world, team)
    for feature in (*FEATURES, ServiceFeature.EDIT_FOLDER_PERMISSIONS):
        world.add(models.ServiceFeature, made, service_id=service.id, permission=feature.value)
    if any(member.auth_type == AuthType.EMAIL for member in team.members):
        permission = ServiceFeature.EMAIL_AUTH.value
        world.add(models.ServiceFeature, made, service_id=service.id, permission=permission)
    return team


def _demo_people() -> set[object]:
    return {fixed_id(role) for role in (organisations.MANAGER, organisations.VIEWER)}


def raise_version(world: World, row: models.Service | models.Template | models.ApiKey, at: datetime) -> None:
    """Make a changed row its next version."""
    row.version += 1
    row.updated_at = at
    world.keep(row.snapshot())


def _go_live(world: World, team: Team) -> None:
    service = team.service
    live = service.created_at + timedelta(days=24, hours=2)
    service.restricted = False
    service.go_live_at = live
    service.go_live_user_id = team.members[0].id
    for name, limit in LIVE_LIMITS.items():
        setattr(service, name, limit)
    service.volume_sms, service.volume_email, service.volume_letter = 20_000, 50_000, 1_000
    service.confirmed_unique = True
    raise_version(world, service, live)
    team.messages_from = live
    if world.dice.chance(0.5) or team.demo:
        service.contact_link = f"https://www.{team.body.domain}/contact"
        service.prefix_sms = team.demo or world.dice.chance(0.6)
        raise_version(world, service, live + timedelta(days=40))


def archive(world: World, team: Team, templates: list[models.Template]) -> None:
    """Close a service for good: its name is freed, its templates are archived, its keys are revoked."""
    at = world.clock.ago(12) + timedelta(hours=15)
    service = team.service
    for template in templates:
        template.archived = True
        raise_version(world, template, at)
    for key in team.keys.values():
        _revoke(world, key, team.members[0], at)
    service.active = False
    stamp = f"{at:_archived_%Y-%m-%d-%H:%M:%S_}"
    service.name = f"{stamp}{service.name}"
    service.normalised_service_name = service.email_sender_local_part = names.local_part(service.name)
    raise_version(world, service, at)


def _retain(world: World, team: Team, index: int) -> None:
    if index % 9 != 4 or team.state != LIVE:  # noqa: PLR2004 - one in nine
        return
    team.retention = 3 if index % 2 else 30
    at = team.service.created_at + timedelta(days=60)
    for channel in ("email", "sms", "letter"):
        world.add(
            models.DataRetention,
            at,
            service_id=team.service.id,
            notification_type=channel,
            days_of_retention=team.retention,
        )


def _staff(world: World, team: Team, creator: models.User, people: list[models.User]) -> None:
    """Give a service its members: the creator, and a few colleagues; the demo has its manager and its viewer."""
    dice, service = world.dice, team.service
    others = [person for person in people if person is not creator and person.id not in _demo_people()]
    size = 43 if team.weight == 1 else 2 + int(dice.random.expovariate(0.3))
    team.members = [creator, *dice.few(others, size)]
    roles = [ROLES[0], ROLES[0], *(dice.pick((*ROLES, ROLES[0], ROLES[1])) for _ in team.members)]
    if team.demo:
        viewer = next(person for person in people if person.id == fixed_id(organisations.VIEWER))
        team.members.append(viewer)
        roles[len(team.members) - 1] = ROLES[-1]
    for member, permissions in zip(team.members, roles, strict=False):
        at = max(service.created_at, member.created_at)
        world.add(models.ServiceMembership, at, service_id=service.id, user_id=member.id)
        for permission in permissions:
            world.add(
                models.ServiceMemberPermission,
                at,
                service_id=service.id,
                user_id=member.id,
                permission=permission.value,
            )
    if team.demo or dice.chance(0.3):
        world.add(
            models.InvitedUser,
            world.clock.ago(1),
            email_address=f"new.colleague.{organisations.plain(service.name)}@{team.body.domain}",
            user_id=creator.id,
            service_id=service.id,
            permissions=",".join(permission.value for permission in ROLES[1]),
            folder_permissions=[],
        )
    if team.state == CREATED:
        for kind, recipient in (("mobile", "07700 900321"), ("email", "friend.of.the.team@example.org")):
            world.add(
                models.GuestListEntry,
                service.created_at,
                service_id=service.id,
                recipient_type=kind,
                recipient=recipient,
            )


def _send_from(world: World, team: Team) -> None:
    service, domain = team.service, team.body.domain
    at = service.created_at
    own = team.state != CREATED and world.dice.chance(0.7)
    world.add(models.SmsSender, at, service_id=service.id, sms_sender=SMS_SENDER, is_default=not own)
    if own:
        team.sms_sender = team.theme.sender
        world.add(models.SmsSender, at, service_id=service.id, sms_sender=team.sms_sender, is_default=True)
    if team.state != CREATED or world.dice.chance(0.4):
        team.reply_to = f"{team.theme.title.replace(' ', '.')}@{domain}"
        world.add(models.EmailReplyToAddress, at, service_id=service.id, email_address=team.reply_to, is_default=True)
        if team.demo:
            old = f"old@{domain}"
            world.add(
                models.EmailReplyToAddress,
                at,
                service_id=service.id,
                email_address=old,
                is_default=False,
                archived=True,
            )
    if team.state != CREATED:
        block = f"{team.body.row.name}\n1 {sample_texts.STREETS[0]}\n{team.body.place}\n{sample_texts.POSTCODES[0]}"
        team.contact = world.add(models.LetterContact, at, service_id=service.id, contact_block=block, is_default=True)


def _cut_keys(world: World, team: Team) -> None:
    """Give a service its keys: a live one when it is live, and one that was revoked."""
    service, creator = team.service, team.members[0]
    first = service.created_at + timedelta(days=1)
    if team.state != CREATED:
        live = service.created_at + timedelta(days=25)
        _cut(world, team, "Production", KeyType.LIVE, live)
        if team.demo or world.dice.chance(0.4):
            old = _key(world, team, "Production", KeyType.LIVE, live - timedelta(hours=3))
            _revoke(world, old, creator, live)
    if team.state != CREATED or world.dice.chance(0.6):
        _cut(world, team, "Team only", KeyType.TEAM, first)
    if team.demo or world.dice.chance(0.5):
        key = _cut(world, team, "Continuous integration", KeyType.TEST, first)
        if team.demo:
            expires = world.clock.midnight + timedelta(days=90)
            world.add(models.ApiKeyLifetime, first, api_key_id=key.id, expires_at=expires)


def _cut(world: World, team: Team, name: str, kind: KeyType, at: datetime) -> models.ApiKey:
    key = team.keys[kind.value] = _key(world, team, name, kind, at)
    return key


def _key(world: World, team: Team, name: str, kind: KeyType, at: datetime) -> models.ApiKey:
    row_id = world.dice.id(at)
    key = world.add(
        models.ApiKey,
        at,
        id=row_id,
        service_id=team.service.id,
        name=name,
        key_type=kind.value,
        secret=world.signer.sign(str(secret(world.signer, f"key {row_id}"))),
        created_by_id=team.members[0].id,
    )
    world.keep(key.snapshot())
    return key


def _revoke(world: World, key: models.ApiKey, user: models.User, at: datetime) -> None:
    key.expiry_date = at
    raise_version(world, key, at)
    world.add(models.ApiKeyLifetime, key.created_at, api_key_id=key.id, revoked_at=at, revoked_by_id=user.id)
