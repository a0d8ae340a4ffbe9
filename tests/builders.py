"""Builders of rows for tests, with a default for every value."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any, TypeVar
from uuid import UUID, uuid4

from graphql_api import models
from graphql_api.auth.actors import API_KEY_PERMISSIONS, Actor, ActorKind
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.enums import Channel, KeyType, ServicePermission

ALL_PERMISSIONS = frozenset(ServicePermission)
FEATURES = ("email", "sms", "letter", "international_sms", "international_letters")
M = TypeVar("M", bound=models.Model)


class Builders:
    """Builds rows, and writes each at once."""

    def __init__(self, database: Database, signer: Signer) -> None:
        self._database = database
        self._signer = signer
        self._numbers = count(1)

    async def add(self, *rows: models.Model) -> None:
        """Write rows in this order."""
        async with self._database.transaction() as tx:
            for row in rows:
                tx.add(row)
                await tx.flush()

    async def user(self, **values: Any) -> models.User:
        """A user who can sign in."""
        number = next(self._numbers)
        defaults = {
            "name": f"Person {number}",
            "email_address": f"person.{number}@example.gov.uk",
            "mobile_number": f"+4477009{number:05}",
            "password": "!",
            "state": "active",
        }
        return await self._add_row(models.User(**defaults | values))

    async def organisation(self, **values: Any) -> models.Organisation:
        """A public body."""
        defaults = {"name": f"Organisation {next(self._numbers)}", "organisation_type": "central", "crown": True}
        return await self._add_row(models.Organisation(**defaults | values))

    async def service(self, *, features: Iterable[str] = FEATURES, **values: Any) -> models.Service:
        """A live service, with its first version and a text message sender."""
        number = next(self._numbers)
        if "created_by_id" not in values:
            values["created_by_id"] = (await self.user()).id
        defaults = {
            "name": f"Service {number}",
            "normalised_service_name": f"service.{number}",
            "email_sender_local_part": f"service.{number}",
            "restricted": False,
            "email_message_limit": 250_000,
            "sms_message_limit": 250_000,
            "letter_message_limit": 20_000,
            "international_sms_message_limit": 100,
        }
        service = models.Service(**defaults | values)
        await self.add(
            service,
            service.snapshot(),
            *(models.ServiceFeature(service_id=service.id, permission=feature) for feature in features),
            models.SmsSender(service_id=service.id, sms_sender="GOVUK", is_default=True),
        )
        return service

    async def member(
        self,
        service: models.Service,
        permissions: Iterable[ServicePermission] = ALL_PERMISSIONS,
        user: models.User | None = None,
    ) -> models.User:
        """A member of a service."""
        user = user or await self.user()
        await self.add(
            models.ServiceMembership(user_id=user.id, service_id=service.id),
            *(
                models.ServiceMemberPermission(user_id=user.id, service_id=service.id, permission=permission.value)
                for permission in permissions
            ),
        )
        return user

    async def template(self, service: models.Service, channel: Channel = Channel.SMS, **values: Any) -> models.Template:
        """A template, with its first version."""
        defaults: dict[str, Any] = {
            "name": f"Template {next(self._numbers)}",
            "template_type": channel.value,
            "content": "Hello ((name))",
            "created_by_id": service.created_by_id,
        }
        if channel is not Channel.SMS:
            defaults["subject"] = "Your ((thing))"
        if channel is Channel.LETTER:
            defaults |= {"postage": "second", "letter_languages": "english"}
        template = models.Template(service_id=service.id, **defaults | values)
        await self.add(
            template,
            template.snapshot(),
            models.TemplateRedaction(template_id=template.id, updated_by_id=template.created_by_id),
        )
        return template

    async def api_key(
        self, service: models.Service, key_type: KeyType = KeyType.LIVE, *, secret: str | None = None, **values: Any
    ) -> models.ApiKey:
        """An API key, with its first version; `secret` is a random UUID by default."""
        key = models.ApiKey(
            service_id=service.id,
            **{
                "name": f"Key {next(self._numbers)}",
                "key_type": key_type.value,
                "secret": self._signer.sign(secret or str(uuid4())),
                "created_by_id": service.created_by_id,
            }
            | values,
        )
        await self.add(key, key.snapshot())
        return key

    async def job(self, template: models.Template, **values: Any) -> models.Job:
        """A job of one row that is finished."""
        defaults = {
            "original_file_name": "people.csv",
            "notification_count": 1,
            "job_status": "finished all notifications created",
            "created_by_id": template.created_by_id,
            "template_version": template.version,
        }
        return await self._add_row(
            models.Job(service_id=template.service_id, template_id=template.id, **defaults | values)
        )

    async def notification(
        self, template: models.Template, *, personalisation: Any = None, **values: Any
    ) -> models.Notification:
        """A delivered message."""
        to = {"sms": "07700900123", "email": "someone@example.com", "letter": "A. Person\n1 Street\nSW1A 1AA"}
        normalised = {"sms": "447700900123", "email": "someone@example.com", "letter": "a.person1streetsw1a1aa"}
        defaults: dict[str, Any] = {
            "to": to[template.template_type],
            "normalised_to": normalised[template.template_type],
            "notification_type": template.template_type,
            "template_version": template.version,
            "status": "delivered",
            "personalisation": self._signer.sign(personalisation or {}),
            "international": False,
            "billable_units": 1,
        }
        return await self._add_row(
            models.Notification(service_id=template.service_id, template_id=template.id, **defaults | values)
        )

    async def notification_history(self, template: models.Template, **values: Any) -> models.NotificationHistory:
        """The history of a delivered message, past its retention."""
        defaults: dict[str, Any] = {
            "id": uuid4(),
            "notification_type": template.template_type,
            "template_version": template.version,
            "status": "delivered",
            "key_type": "normal",
            "international": False,
            "billable_units": 1,
        }
        return await self._add_row(
            models.NotificationHistory(service_id=template.service_id, template_id=template.id, **defaults | values)
        )

    async def _add_row(self, row: M) -> M:
        await self.add(row)
        return row


def user_actor(
    user: models.User, *services: models.Service, permissions: Iterable[ServicePermission] = ALL_PERMISSIONS
) -> Actor:
    """A signed-in user with these permissions in each of the services."""
    return Actor(
        ActorKind.PERSON,
        user_id=user.id,
        permissions={service.id: frozenset(permissions) for service in services},
    )


def platform_admin(user: models.User) -> Actor:
    """A signed-in platform admin."""
    return Actor(ActorKind.ADMIN, user_id=user.id)


def stranger() -> Actor:
    """A signed-in user who is a member of nothing."""
    return Actor(ActorKind.PERSON, user_id=uuid4())


def organisation_member(user: models.User, *organisations: UUID) -> Actor:
    """A signed-in user who is a member of organisations, and of no service."""
    return Actor(ActorKind.PERSON, user_id=user.id, organisation_ids=frozenset(organisations))


def api_key_actor(api_key: models.ApiKey) -> Actor:
    """An API key, with the permissions of keys in its service."""
    return Actor(
        ActorKind.KEY,
        api_key_id=api_key.id,
        key_type=KeyType(api_key.key_type),
        permissions={api_key.service_id: API_KEY_PERMISSIONS},
    )
