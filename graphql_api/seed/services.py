"""Invented services: their versions, members, keys, senders and limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING

from graphql_api import models
from graphql_api.content import names
from graphql_api.domain.services import (
    DEFAULT_FEATURES,
    DEFAULT_SMS_SENDER,
    TRIAL_DAILY_LIMIT_INTERNATIONAL_SMS,
    TRIAL_DAILY_LIMITS,
    TYPES_WITHOUT_TRIAL_SMS,
)
from graphql_api.enums import AuthType, KeyType, ServiceFeature, ServicePermission, UserState
from graphql_api.seed import organisations, phone_numbers, sample_texts
from graphql_api.seed.datasets import derive_secret, fixed_id, power_law_weights

if TYPE_CHECKING:
    from graphql_api.seed.datasets import Dataset
    from graphql_api.seed.organisations import SeededOrganisation

DEMO_SERVICE = "service"
FRIEND_NUMBER, FRIEND_EMAIL_ADDRESS = 321, "friend.of.the.team@example.org"
"""The guest list of a trial service; the number is the last digits of a phone number."""
LIVE_LIMITS = {"email_message_limit": 250_000, "sms_message_limit": 250_000, "letter_message_limit": 20_000}
TRIAL_SHARE = 0.3
"""Share of all services that are in trial mode."""
DEFAULT_RETENTION_DAYS = 7
SEND_PERMISSIONS = (ServicePermission.SEND_TEXTS, ServicePermission.SEND_EMAILS, ServicePermission.SEND_LETTERS)
MEMBER_PERMISSIONS = (
    tuple(ServicePermission),
    (ServicePermission.VIEW_ACTIVITY, *SEND_PERMISSIONS),
    (ServicePermission.VIEW_ACTIVITY, *SEND_PERMISSIONS, ServicePermission.MANAGE_TEMPLATES),
    (ServicePermission.VIEW_ACTIVITY, ServicePermission.MANAGE_API_KEYS),
    (ServicePermission.VIEW_ACTIVITY,),
)
"""Permissions of members; the first two sets are the most frequent."""


class ServiceState(Enum):
    """The stage of a service's life."""

    TRIAL = auto()
    LIVE = auto()
    ARCHIVED = auto()


@dataclass(eq=False)
class SeededService:
    """A service, and what its messages are generated from."""

    row: models.Service
    seeded_organisation: SeededOrganisation
    theme: sample_texts.Theme
    state: ServiceState
    weight: float
    """Relative number of messages."""
    retention_days: int = DEFAULT_RETENTION_DAYS
    members: list[models.User] = field(default_factory=list)
    api_keys: dict[str, models.ApiKey] = field(default_factory=dict)
    """Keys that are not revoked, by type."""
    sms_sender: str = DEFAULT_SMS_SENDER
    reply_to: str | None = None
    letter_contact: models.LetterContact | None = None
    folders: list[models.TemplateFolder] = field(default_factory=list)
    first_message_at: datetime | None = None

    @property
    def is_demo(self) -> bool:
        """Whether this is the demo service."""
        return self.row.id == fixed_id(DEMO_SERVICE)


def create(dataset: Dataset, seeded_organisations: list[SeededOrganisation]) -> list[SeededService]:
    """Add services: the demo service, then by decreasing weight; the last before those in trial is archived."""
    count = dataset.sizes.services
    trials = max(1, round(count * TRIAL_SHARE))
    seeded_owners = [seeded_organisations[0]]
    for seeded_organisation, number in zip(
        seeded_organisations,
        dataset.rng.split(count - 1, power_law_weights(len(seeded_organisations), 0.6)),
        strict=True,
    ):
        seeded_owners += [seeded_organisation] * number
    other_owners = seeded_owners[1:]
    dataset.rng.random.shuffle(other_owners)
    weights = power_law_weights(count, 1.15)
    # The demo service has the second largest weight.
    weights[0], weights[1] = weights[1], weights[0]
    seeded_services: list[SeededService] = []
    for index, seeded_organisation in enumerate([seeded_organisations[0], *other_owners]):
        state = (
            ServiceState.TRIAL
            if index >= count - trials
            else ServiceState.ARCHIVED
            if index == count - trials - 1
            else ServiceState.LIVE
        )
        seeded_services.append(
            _create_service(
                dataset,
                seeded_organisation,
                index,
                state,
                weights[index],
                [seeded_service.row.name for seeded_service in seeded_services],
            )
        )
    return seeded_services


def _create_service(
    dataset: Dataset,
    seeded_organisation: SeededOrganisation,
    index: int,
    state: ServiceState,
    weight: float,
    used_names: list[str],
) -> SeededService:
    rng, clock = dataset.rng, dataset.clock
    theme = sample_texts.THEMES[index % len(sample_texts.THEMES)]
    name = next(
        name
        for suffix in (*sample_texts.SERVICE_NAME_SUFFIXES, *(f" {number}" for number in range(3, 99)))
        if (name := f"{seeded_organisation.place} {theme.title}{suffix}") not in used_names
    )
    people = [person for person in seeded_organisation.people if person.state == UserState.ACTIVE]
    demo = index == 0
    creator = people[0] if demo else rng.pick([person for person in people if person.id not in _demo_user_ids()])
    created_at = (
        clock.days_ago(500)
        if demo
        else rng.moment_between(clock.days_ago(30 if state is ServiceState.TRIAL else 700), clock.days_ago(10))
    )
    if state is not ServiceState.TRIAL:
        created_at = min(created_at, clock.days_ago(430 - index % 30))
    kind = seeded_organisation.row.organisation_type
    service = models.Service(
        id=fixed_id(DEMO_SERVICE) if demo else rng.id(created_at),
        created_at=created_at,
        name=name,
        normalised_service_name=names.local_part(name),
        email_sender_local_part=names.local_part(name),
        created_by_id=creator.id,
        organisation_id=seeded_organisation.row.id,
        organisation_type=kind,
        crown=seeded_organisation.row.crown,
        **TRIAL_DAILY_LIMITS | ({"sms_message_limit": 0} if kind in TYPES_WITHOUT_TRIAL_SMS else {}),
        international_sms_message_limit=TRIAL_DAILY_LIMIT_INTERNATIONAL_SMS,
        consent_to_research=rng.chance(0.5),
    )
    dataset.add_row(service)
    dataset.add_row(service.snapshot())
    seeded_service = SeededService(
        service, seeded_organisation, theme, state, weight if state is not ServiceState.TRIAL else weight / 20
    )
    _set_retention(dataset, seeded_service, index)
    _add_members(dataset, seeded_service, creator, people)
    _add_senders(dataset, seeded_service)
    if state is ServiceState.TRIAL:
        service.has_active_go_live_request = index % 4 == 0
    else:
        _go_live(dataset, seeded_service)
    _add_api_keys(dataset, seeded_service)
    for feature in (*DEFAULT_FEATURES, ServiceFeature.EDIT_FOLDER_PERMISSIONS):
        dataset.add(models.ServiceFeature, created_at, service_id=service.id, permission=feature.value)
    if any(member.auth_type == AuthType.EMAIL for member in seeded_service.members):
        permission = ServiceFeature.EMAIL_AUTH.value
        dataset.add(models.ServiceFeature, created_at, service_id=service.id, permission=permission)
    return seeded_service


def _demo_user_ids() -> set[object]:
    return {fixed_id(role) for role in (organisations.MANAGER, organisations.VIEWER)}


def raise_version(dataset: Dataset, row: models.Service | models.Template | models.ApiKey, at: datetime) -> None:
    """Increase the version of a changed row, and add its snapshot."""
    row.version += 1
    row.updated_at = at
    dataset.add_row(row.snapshot())


def _go_live(dataset: Dataset, seeded_service: SeededService) -> None:
    service = seeded_service.row
    went_live_at = service.created_at + timedelta(days=24, hours=2)
    service.restricted = False
    service.go_live_at = went_live_at
    service.go_live_user_id = seeded_service.members[0].id
    for name, limit in LIVE_LIMITS.items():
        setattr(service, name, limit)
    service.volume_sms, service.volume_email, service.volume_letter = 20_000, 50_000, 1_000
    service.confirmed_unique = True
    raise_version(dataset, service, went_live_at)
    seeded_service.first_message_at = went_live_at
    if dataset.rng.chance(0.5) or seeded_service.is_demo:
        service.contact_link = f"https://www.{seeded_service.seeded_organisation.domain}/contact"
        service.prefix_sms = seeded_service.is_demo or dataset.rng.chance(0.6)
        raise_version(dataset, service, went_live_at + timedelta(days=40))


def archive(dataset: Dataset, seeded_service: SeededService, templates: list[models.Template]) -> None:
    """Archive a service and its templates, free its name, and revoke its keys."""
    at = dataset.clock.days_ago(12) + timedelta(hours=15)
    service = seeded_service.row
    for template in templates:
        template.archived = True
        raise_version(dataset, template, at)
    for key in seeded_service.api_keys.values():
        _revoke(dataset, key, seeded_service.members[0], at)
    service.active = False
    stamp = f"{at:_archived_%Y-%m-%d-%H:%M:%S_}"
    service.name = f"{stamp}{service.name}"
    service.normalised_service_name = service.email_sender_local_part = names.local_part(service.name)
    raise_version(dataset, service, at)


def _set_retention(dataset: Dataset, seeded_service: SeededService, index: int) -> None:
    if index % 9 != 4 or seeded_service.state is not ServiceState.LIVE:  # noqa: PLR2004 - one in nine
        return
    seeded_service.retention_days = 3 if index % 2 else 30
    at = seeded_service.row.created_at + timedelta(days=60)
    for channel in ("email", "sms", "letter"):
        dataset.add(
            models.DataRetention,
            at,
            service_id=seeded_service.row.id,
            notification_type=channel,
            days_of_retention=seeded_service.retention_days,
        )


def _add_members(
    dataset: Dataset, seeded_service: SeededService, creator: models.User, people: list[models.User]
) -> None:
    """Add the members of a service: its creator and some colleagues; of the demo service also its viewer."""
    rng, service = dataset.rng, seeded_service.row
    others = [person for person in people if person is not creator and person.id not in _demo_user_ids()]
    size = 43 if seeded_service.weight == 1 else 2 + int(rng.random.expovariate(0.3))
    seeded_service.members = [creator, *rng.sample(others, size)]
    roles = [
        MEMBER_PERMISSIONS[0],
        MEMBER_PERMISSIONS[0],
        *(
            rng.pick((*MEMBER_PERMISSIONS, MEMBER_PERMISSIONS[0], MEMBER_PERMISSIONS[1]))
            for _ in seeded_service.members
        ),
    ]
    if seeded_service.is_demo:
        viewer = next(person for person in people if person.id == fixed_id(organisations.VIEWER))
        seeded_service.members.append(viewer)
        roles[len(seeded_service.members) - 1] = MEMBER_PERMISSIONS[-1]
    for member, permissions in zip(seeded_service.members, roles, strict=False):
        at = max(service.created_at, member.created_at)
        dataset.add(models.ServiceMembership, at, service_id=service.id, user_id=member.id)
        for permission in permissions:
            dataset.add(
                models.ServiceMemberPermission,
                at,
                service_id=service.id,
                user_id=member.id,
                permission=permission.value,
            )
    if seeded_service.is_demo or rng.chance(0.3):
        dataset.add(
            models.InvitedUser,
            dataset.clock.days_ago(1),
            email_address=f"new.colleague.{names.slug(service.name)}@{seeded_service.seeded_organisation.domain}",
            user_id=creator.id,
            service_id=service.id,
            permissions=",".join(permission.value for permission in MEMBER_PERMISSIONS[1]),
            folder_permissions=[],
        )
    if seeded_service.state is ServiceState.TRIAL:
        for kind, recipient in (("mobile", phone_numbers.typed(FRIEND_NUMBER)), ("email", FRIEND_EMAIL_ADDRESS)):
            dataset.add(
                models.GuestListEntry,
                service.created_at,
                service_id=service.id,
                recipient_type=kind,
                recipient=recipient,
            )


def _add_senders(dataset: Dataset, seeded_service: SeededService) -> None:
    service, domain = seeded_service.row, seeded_service.seeded_organisation.domain
    at = service.created_at
    own = seeded_service.state is not ServiceState.TRIAL and dataset.rng.chance(0.7)
    dataset.add(models.SmsSender, at, service_id=service.id, sms_sender=DEFAULT_SMS_SENDER, is_default=not own)
    if own:
        seeded_service.sms_sender = seeded_service.theme.sender
        dataset.add(models.SmsSender, at, service_id=service.id, sms_sender=seeded_service.sms_sender, is_default=True)
    if seeded_service.state is not ServiceState.TRIAL or dataset.rng.chance(0.4):
        seeded_service.reply_to = f"{seeded_service.theme.title.replace(' ', '.')}@{domain}"
        dataset.add(
            models.EmailReplyToAddress,
            at,
            service_id=service.id,
            email_address=seeded_service.reply_to,
            is_default=True,
        )
        if seeded_service.is_demo:
            old = f"old@{domain}"
            dataset.add(
                models.EmailReplyToAddress,
                at,
                service_id=service.id,
                email_address=old,
                is_default=False,
                archived=True,
            )
    if seeded_service.state is not ServiceState.TRIAL:
        sender = seeded_service.seeded_organisation
        block = f"{sender.row.name}\n1 {sample_texts.STREETS[0]}\n{sender.place}\n{sample_texts.POSTCODES[0]}"
        seeded_service.letter_contact = dataset.add(
            models.LetterContact, at, service_id=service.id, contact_block=block, is_default=True
        )


def _add_api_keys(dataset: Dataset, seeded_service: SeededService) -> None:
    """Add the keys of a service: a live one unless it is in trial mode, and for some a revoked one."""
    service, creator = seeded_service.row, seeded_service.members[0]
    first = service.created_at + timedelta(days=1)
    if seeded_service.state is not ServiceState.TRIAL:
        live_key_at = service.created_at + timedelta(days=25)
        _add_working_key(dataset, seeded_service, "Production", KeyType.LIVE, live_key_at)
        if seeded_service.is_demo or dataset.rng.chance(0.4):
            old = _add_key(dataset, seeded_service, "Production", KeyType.LIVE, live_key_at - timedelta(hours=3))
            _revoke(dataset, old, creator, live_key_at)
    if seeded_service.state is not ServiceState.TRIAL or dataset.rng.chance(0.6):
        _add_working_key(dataset, seeded_service, "Team only", KeyType.TEAM, first)
    if seeded_service.is_demo or dataset.rng.chance(0.5):
        key = _add_working_key(dataset, seeded_service, "Continuous integration", KeyType.TEST, first)
        if seeded_service.is_demo:
            expires = dataset.clock.midnight + timedelta(days=90)
            dataset.add(models.ApiKeyLifetime, first, api_key_id=key.id, expires_at=expires)


def _add_working_key(
    dataset: Dataset, seeded_service: SeededService, name: str, key_type: KeyType, at: datetime
) -> models.ApiKey:
    key = seeded_service.api_keys[key_type.value] = _add_key(dataset, seeded_service, name, key_type, at)
    return key


def _add_key(
    dataset: Dataset, seeded_service: SeededService, name: str, key_type: KeyType, at: datetime
) -> models.ApiKey:
    row_id = dataset.rng.id(at)
    key = dataset.add(
        models.ApiKey,
        at,
        id=row_id,
        service_id=seeded_service.row.id,
        name=name,
        key_type=key_type.value,
        secret=dataset.signer.sign(str(derive_secret(dataset.signer, f"key {row_id}"))),
        created_by_id=seeded_service.members[0].id,
    )
    dataset.add_row(key.snapshot())
    return key


def _revoke(dataset: Dataset, key: models.ApiKey, user: models.User, at: datetime) -> None:
    key.expiry_date = at
    raise_version(dataset, key, at)
    dataset.add(models.ApiKeyLifetime, key.created_at, api_key_id=key.id, revoked_at=at, revoked_by_id=user.id)
