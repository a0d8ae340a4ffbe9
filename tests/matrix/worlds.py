"""Two tenants with every kind of row, every column filled, and one authenticated caller of each kind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api import models
from graphql_api.auth import authentication, tokens
from graphql_api.auth.actors import Actor
from graphql_api.auth.crypto import Signer
from graphql_api.context import Context
from graphql_api.domain import credentials, search_entries
from graphql_api.enums import Channel, KeyType, ServicePermission
from graphql_api.errors import Unauthenticated
from graphql_api.gateways.object_store import Store
from graphql_api.settings import Settings
from tests.builders import ALL_PERMISSIONS, Builders
from tests.conftest import SingleConnectionDatabase
from tests.matrix.audiences import Role

NAME_PREFIX = "Matrix"
"""A part of every name, by which a search finds all rows."""
REDACTED_VALUE = "value-of-a-redacted-message"
NOW = models.utcnow()
DAY = timedelta(days=1)


class SharedConnectionDatabase(SingleConnectionDatabase):
    """The database of one test, without a savepoint for each read."""

    @asynccontextmanager
    async def read_connection(self) -> AsyncIterator[AsyncConnection]:
        """The connection, for one reader at a time."""
        async with self._lock:
            yield self._connection


@dataclass
class Tenant:
    """An organisation with a service, and ids of their rows by names of arguments and types."""

    organisation: models.Organisation
    service: models.Service
    owner: models.User
    ids: dict[str, UUID] = field(default_factory=dict)
    keys: dict[str, models.ApiKey] = field(default_factory=dict)
    templates: dict[str, models.Template] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    """Ids by the names of mutations' arguments."""


@dataclass
class World:
    """Both tenants, the callers, and the context of an executor."""

    ours: Tenant
    theirs: Tenant
    callers: list[tuple[Role, Actor | None]]
    context: Context

    def context_for(self, actor: Actor) -> Context:
        """The context of a new operation of a caller."""
        context = self.context
        return Context(actor, context.database, context.settings, context.signer, context.store)


class WorldBuilder:
    """Creates a world in a database."""

    def __init__(self, database: SingleConnectionDatabase, settings: Settings, signer: Signer, store: Store) -> None:
        self.make = Builders(database, signer)
        self.database, self.settings, self.signer, self.store = database, settings, signer, store

    async def build(self) -> World:
        """Both tenants and all callers."""
        ours, theirs = await self._tenant("ours"), await self._tenant("theirs")
        await self.make.add(
            models.HealthSnapshot(
                taken_at=NOW,
                database_ok=True,
                connections_in_use=1,
                connections_total=2,
                latency_ms=1.0,
                queues=[],
                providers=[],
            ),
            models.TableCount(table_name="services", taken_at=NOW, row_count=1),
        )
        callers = [caller async for caller in self._callers(ours, theirs)]
        async with self.database.transaction() as tx:
            await search_entries.refresh(tx)
        context = Context(Actor.system(), self.database, self.settings, self.signer, self.store)
        return World(ours, theirs, callers, context)

    async def _person(self, name: str, **values: Any) -> models.User:
        return await self.make.user(name=f"{NAME_PREFIX} {name}", logged_in_at=NOW, updated_at=NOW, **values)

    async def _tenant(self, name: str) -> Tenant:
        make = self.make
        owner = await self._person(f"owner of {name}")
        billing = {
            "notes": f"notes of {name}",
            "purchase_order_number": f"order of {name}",
            "billing_contact_names": f"contact of {name}",
            "billing_contact_email_addresses": f"{name}@example.com",
            "billing_reference": f"reference of {name}",
        }
        organisation = await make.organisation(
            name=f"{NAME_PREFIX} organisation of {name}",
            agreement_signed=True,
            agreement_signed_at=NOW,
            agreement_signed_by_id=owner.id,
            agreement_signed_version=1.0,
            agreement_signed_on_behalf_of_name=f"Signer of {name}",
            agreement_signed_on_behalf_of_email_address=f"signer.{name}@example.com",
            request_to_go_live_notes=f"Go live, {name}",
            **billing,
        )
        service = await make.service(
            name=f"{NAME_PREFIX} service of {name}",
            organisation_id=organisation.id,
            organisation_type="central",
            created_by_id=owner.id,
            updated_at=NOW,
            custom_email_sender_name=name,
            contact_link=f"https://{name}.example.gov.uk",
            consent_to_research=True,
            volume_email=1,
            volume_sms=2,
            volume_letter=3,
            **billing,
        )
        await make.member(service, user=owner)
        tenant = Tenant(organisation, service, owner)
        await make.add(
            models.OrganisationDomain(domain=f"{name}.example.gov.uk", organisation_id=organisation.id),
            models.OrganisationFeature(organisation_id=organisation.id, permission="can_ask_to_join_a_service"),
        )
        await self._keys(tenant)
        await self._templates(tenant, name)
        await self._messages(tenant, name)
        await self._mutable_rows(tenant)
        tenant.ids |= {
            "Organisation": organisation.id,
            "Service": service.id,
            "User": owner.id,
            "ApiKey": tenant.keys["live"].id,
            "Template": tenant.templates["email"].id,
        }
        return tenant

    async def _keys(self, tenant: Tenant) -> None:
        for name, kind in {"live": KeyType.LIVE, "team": KeyType.TEAM, "test": KeyType.TEST}.items():
            tenant.keys[name] = await self.make.api_key(tenant.service, kind, secret=str(uuid4()))
        revoked = await self.make.api_key(tenant.service, secret=str(uuid4()), expiry_date=NOW)
        tenant.keys["revoked"] = revoked
        await self.make.add(
            *(
                models.ApiKeyLifetime(
                    api_key_id=key.id,
                    expires_at=NOW + 9 * DAY,
                    revoked_at=NOW if key is revoked else None,
                    revoked_by_id=tenant.owner.id if key is revoked else None,
                    last_used_at=NOW,
                )
                for key in tenant.keys.values()
            ),
            *(
                models.ApiKeyUsage(api_key_id=key.id, day=NOW.date(), requests=2, succeeded=1, failed=1, total_ms=5.0)
                for key in tenant.keys.values()
            ),
        )

    async def _templates(self, tenant: Tenant, name: str) -> None:
        for channel in Channel:
            tenant.templates[channel.value] = await self.make.template(
                tenant.service, channel, name=f"{NAME_PREFIX} {channel.value} of {name}", updated_at=NOW
            )
        async with self.database.transaction() as tx:
            redaction = await tx.get_one(models.TemplateRedaction, tenant.templates["email"].id)
            redaction.redact_personalisation = True
        closed = models.TemplateFolder(service_id=tenant.service.id, name="Closed to most")
        await self.make.add(
            closed,
            models.TemplateFolderEntry(template_id=tenant.templates["letter"].id, template_folder_id=closed.id),
            models.FolderPermission(
                user_id=tenant.owner.id, template_folder_id=closed.id, service_id=tenant.service.id
            ),
        )

    async def _messages(self, tenant: Tenant, name: str) -> None:
        make, ids = self.make, tenant.ids
        whole: dict[str, Any] = {
            "client_reference": f"reference-{name}",
            "sent_at": NOW,
            "updated_at": NOW,
            "sent_by": "fake",
            "reply_to_text": f"reply-to-{name}",
            "phone_prefix": "44",
            "rate_multiplier": 1,
        }
        dates = {"scheduled_for": NOW, "processing_started": NOW, "processing_finished": NOW, "updated_at": NOW}
        by_person = await make.job(tenant.templates["letter"], **dates)
        by_key = await make.job(tenant.templates["email"], **dates | {"created_by_id": None})
        await make.add(
            models.JobRun(job_id=by_person.id),
            models.JobRun(job_id=by_key.id, api_key_id=tenant.keys["live"].id),
            models.DailyUsage(service_id=tenant.service.id, day=NOW.date(), kind="sms", count=1),
        )
        messages = {
            "text": await make.notification(
                tenant.templates["sms"],
                personalisation={"name": f"plain-{name}"},
                created_by_id=tenant.owner.id,
                **whole,
            ),
            "email": await make.notification(
                tenant.templates["email"],
                personalisation={"name": REDACTED_VALUE, "thing": REDACTED_VALUE},
                api_key_id=tenant.keys["live"].id,
                job_id=by_key.id,
                job_row_number=0,
                unsubscribe_link=f"https://{name}.example.com/leave",
                **whole,
            ),
            "letter": await make.notification(
                tenant.templates["letter"],
                personalisation={"name": name, "thing": name},
                job_id=by_person.id,
                job_row_number=0,
                created_by_id=tenant.owner.id,
                **whole | {"postage": "second", "phone_prefix": None, "rate_multiplier": None},
            ),
        }
        for kind in ("team", "test"):
            messages[kind] = await make.notification(
                tenant.templates["sms"],
                personalisation={"name": kind},
                api_key_id=tenant.keys[kind].id,
                key_type=kind,
                **whole,
            )
        del whole["reply_to_text"]
        erased = await make.notification_history(tenant.templates["sms"], **whole, created_by_id=tenant.owner.id)
        ids |= {"Job": by_key.id, "Notification": messages["email"].id, "erased": erased.id}

    async def _mutable_rows(self, tenant: Tenant) -> None:
        make, template = self.make, tenant.templates["sms"]
        job = await make.job(template, job_status="scheduled", scheduled_for=NOW + DAY / 24)
        colleague = await make.member(tenant.service)
        upload = models.Upload(
            user_id=tenant.owner.id, file_name="a.csv", byte_count=1, row_count=1, expires_at=NOW + DAY
        )
        await make.add(upload)
        tenant.arguments = {
            "organisationId": str(tenant.organisation.id),
            "serviceId": str(tenant.service.id),
            "userId": str(colleague.id),
            "templateId": str(template.id),
            "apiKeyId": str(tenant.keys["team"].id),
            "jobId": str(job.id),
            "uploadId": str(upload.id),
        }

    async def _callers(self, ours: Tenant, theirs: Tenant) -> AsyncIterator[tuple[Role, Actor | None]]:
        some: dict[str, Iterable[ServicePermission]] = {
            "member without permissions": (),
            **{f"member with {permission.name}": (permission,) for permission in ServicePermission},
            "member with everything": ALL_PERMISSIONS,
        }
        yield Role("anonymous", "anonymous"), Actor.anonymous()
        yield await self._signed_in(Role("stranger", "person"))
        yield await self._signed_in(Role("owner", "person"), ours, ALL_PERMISSIONS, user=ours.owner)
        for name, permissions in some.items():
            yield await self._signed_in(Role(name, "person"), ours, permissions)
        yield await self._signed_in(Role("member of the other tenant", "person"), theirs, ALL_PERMISSIONS)
        yield await self._signed_in(
            Role("person of the organisation", "person", organisations=frozenset({ours.organisation.id}))
        )
        yield await self._signed_in(Role("platform admin", "admin"))
        yield await self._signed_in(Role("platform admin who is a member", "admin"), ours, (ALL_PERMISSIONS))
        for kind, of in (("live", ours), ("team", ours), ("test", ours), ("live", theirs)):
            key = of.keys[kind]
            role = Role(
                f"{kind} key" if of is ours else "key of the other tenant",
                "key",
                key=key.id,
                key_type=key.key_type,
                services={of.service.id: frozenset()},
            )
            yield role, await self._authenticate(await self._token(key))
        try:
            await self._authenticate(await self._token(ours.keys["revoked"]))
        except Unauthenticated:
            yield Role("revoked key", "anonymous"), None

    async def _token(self, key: models.ApiKey) -> str:
        return f"any-{key.service_id}-{self.signer.unsign(key.secret)}"

    async def _authenticate(self, token: str) -> Actor:
        return await authentication.authenticate(
            token, None, database=self.database, store=credentials, settings=self.settings, signer=self.signer
        )

    async def _signed_in(
        self,
        role: Role,
        tenant: Tenant | None = None,
        permissions: Iterable[ServicePermission] = (),
        user: models.User | None = None,
    ) -> tuple[Role, Actor]:
        """A person with a session, and the actor of its token."""
        if user is None:
            user = await self._person(role.name, platform_admin=role.kind == "admin")
            if tenant:
                await self.make.member(tenant.service, permissions, user)
        await self.make.add(
            *(
                models.OrganisationMembership(user_id=user.id, organisation_id=organisation)
                for organisation in role.organisations
            )
        )
        session = models.Session(user_id=user.id, expires_at=NOW + DAY)
        await self.make.add(session)
        async with self.database.transaction() as tx:
            (await tx.get_one(models.User, user.id)).current_session_id = session.id
        services = {tenant.service.id: frozenset(permission.name for permission in permissions)} if tenant else {}
        role = Role(role.name, role.kind, user=user.id, services=services, organisations=role.organisations)
        return role, await self._authenticate(tokens.create_session_token(self.signer, user.id, session.id))
