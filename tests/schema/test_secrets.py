"""Every field that can be read of a service, by each kind of caller: secrets that must never be returned."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    graphql,
    is_required_argument,
)

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.auth.crypto import Signer
from graphql_api.context import Context
from graphql_api.database.database import Database
from graphql_api.enums import Channel, KeyType, ServicePermission
from graphql_api.errors import Forbidden
from graphql_api.gateways.object_store import Store
from graphql_api.settings import Settings
from tests.builders import ALL_PERMISSIONS, Builders, api_key_actor, organisation_member, platform_admin, user_actor
from tests.graphql_schema import SCHEMA

MAX_SELECTION_DEPTH = 7


def full_selection(kind: Any, depth: int = MAX_SELECTION_DEPTH, above: tuple[str, ...] = ()) -> str:
    """A selection of all fields of a type down to a depth; a type is not selected again below itself."""
    if isinstance(kind, GraphQLUnionType):
        parts = [f"... on {member.name} {full_selection(member, depth, above)}" for member in kind.types]
        return "{ __typename " + " ".join(parts) + " }"
    if not isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
        return ""
    chosen = ["__typename"]
    for name, field in kind.fields.items():
        inner = get_named_type(field.type)
        if any(is_required_argument(argument) for argument in field.args.values()) or inner.name in above:
            continue
        if isinstance(inner, GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType):
            if depth:
                # The same name may have another type in another part of a union.
                chosen.append(f"{kind.name}_{name}: {name} {full_selection(inner, depth - 1, (*above, kind.name))}")
        else:
            chosen.append(f"{kind.name}_{name}: {name}")
    return "{ " + " ".join(chosen) + " }"


ALL_FIELDS_QUERY = (
    "query ($service: ID!, $organisation: ID!, $template: ID!, $job: ID!, $notification: ID!) { "
    + " ".join(
        f"{name}(id: ${name}) {full_selection(SCHEMA.get_type(name.capitalize()), 3)}"
        for name in ("service", "organisation", "template", "job", "notification")
    )
    + f" viewer {full_selection(SCHEMA.get_type('Viewer'), 3)} }}"
)


class RedactedService:
    """A service with a message of a redacted template, and its secrets."""

    def __init__(self, make: Builders, context: Context) -> None:
        self._make, self._context = make, context
        self.value, self.secret = f"value-{uuid4()}", str(uuid4())

    async def build(self) -> None:
        """Create the rows."""
        make = self._make
        self.organisation = await make.organisation(notes="organisation-notes", billing_reference="billing-one")
        self.service = await make.service(
            organisation_id=self.organisation.id, notes="service-notes", billing_contact_names="billing-two"
        )
        self.user = await make.member(
            self.service,
            user=await make.user(name="A. Person", password="password-hash", mobile_number="+447700900987"),
        )
        template = await make.template(self.service, Channel.EMAIL, created_by_id=self.user.id, content="Dear ((name))")
        key_made = await make.api_key(self.service, secret=self.secret, created_by_id=self.user.id)
        job = await make.job(template, created_by_id=self.user.id)
        notification = await make.notification(
            template,
            personalisation={"name": self.value, "thing": self.value},
            job_id=job.id,
            job_row_number=0,
            api_key_id=key_made.id,
            key_type="normal",
            created_by_id=self.user.id,
        )
        self.template = template
        rows: dict[str, Any] = {
            "service": self.service,
            "organisation": self.organisation,
            "template": template,
            "job": job,
            "notification": notification,
        }
        self.ids = {name: str(row.id) for name, row in rows.items()}

    async def read_as(self, actor: Actor) -> str:
        """All values that a caller reads, as text."""
        context = replace(self._context, actor=actor)
        # Without limits, which such a large document exceeds.
        answer = await graphql(SCHEMA, ALL_FIELDS_QUERY, context_value=context, variable_values=self.ids)
        assert [error for error in answer.errors or [] if not isinstance(error.original_error, Forbidden)] == []
        return json.dumps(answer.data)


@pytest.fixture
async def redacted_service(
    make: Builders, database: Database, settings: Settings, signer: Signer, store: Store
) -> RedactedService:
    """The service, with its rows."""
    redacted = RedactedService(make, Context(Actor.anonymous(), database, settings, signer, store))
    await redacted.build()
    return redacted


async def redact(redacted_service: RedactedService, database: Database) -> None:
    async with database.transaction() as tx:
        row = await tx.get_one(models.TemplateRedaction, redacted_service.template.id)
        row.redact_personalisation = True


async def test_values_that_are_not_redacted_are_returned(redacted_service: RedactedService) -> None:
    assert redacted_service.value in await redacted_service.read_as(
        user_actor(redacted_service.user, redacted_service.service)
    )


async def test_values_of_a_redacted_template_are_never_returned(
    redacted_service: RedactedService, make: Builders, database: Database
) -> None:
    await redact(redacted_service, database)
    for actor in (
        user_actor(redacted_service.user, redacted_service.service),
        platform_admin(redacted_service.user),
        organisation_member(redacted_service.user, redacted_service.organisation.id),
        *[api_key_actor(await make.api_key(redacted_service.service, kind)) for kind in KeyType],
    ):
        text = await redacted_service.read_as(actor)
        assert redacted_service.value not in text
        assert redacted_service.ids["service"] in text


async def test_secrets_and_passwords_are_never_returned(redacted_service: RedactedService, make: Builders) -> None:
    for actor in (
        user_actor(redacted_service.user, redacted_service.service),
        platform_admin(redacted_service.user),
        api_key_actor(await make.api_key(redacted_service.service)),
    ):
        text = await redacted_service.read_as(actor)
        assert redacted_service.ids["service"] in text
        for hidden in (redacted_service.secret, redacted_service.secret[9:], "password-hash"):
            assert hidden not in text


async def test_a_key_reads_no_people_no_other_keys_and_no_organisation(
    redacted_service: RedactedService, make: Builders
) -> None:
    own = await make.api_key(redacted_service.service)

    text = await redacted_service.read_as(api_key_actor(own))

    assert str(own.id) in text
    for hidden in (
        "A. Person",
        redacted_service.user.email_address,
        "+447700900987",
        redacted_service.secret[:8],
        redacted_service.ids["organisation"],
    ):
        assert hidden not in text
    assert '"User"' not in text


async def test_notes_and_billing_details_are_for_platform_admins_only(
    redacted_service: RedactedService, make: Builders
) -> None:
    hidden = ("organisation-notes", "service-notes", "billing-one", "billing-two")

    text = await redacted_service.read_as(platform_admin(redacted_service.user))
    assert [secret for secret in hidden if secret not in text] == []

    for actor in (
        user_actor(redacted_service.user, redacted_service.service),
        organisation_member(redacted_service.user, redacted_service.organisation.id),
        api_key_actor(await make.api_key(redacted_service.service)),
    ):
        text = await redacted_service.read_as(actor)
        assert [secret for secret in hidden if secret in text] == []


async def test_phone_numbers_are_for_those_with_manage_users_only(
    redacted_service: RedactedService, make: Builders
) -> None:
    other = await make.member(redacted_service.service)
    some = ALL_PERMISSIONS - {ServicePermission.MANAGE_USERS}

    assert "+447700900987" in await redacted_service.read_as(user_actor(other, redacted_service.service))
    assert "+447700900987" not in await redacted_service.read_as(
        user_actor(other, redacted_service.service, permissions=some)
    )
    assert "+447700900987" not in await redacted_service.read_as(
        organisation_member(other, redacted_service.organisation.id)
    )


async def test_a_member_without_permissions_reads_no_messages_jobs_or_keys(
    redacted_service: RedactedService, make: Builders
) -> None:
    other = await make.member(redacted_service.service, ())

    text = await redacted_service.read_as(user_actor(other, redacted_service.service, permissions=()))

    assert redacted_service.ids["template"] in text
    for hidden in (
        redacted_service.value,
        redacted_service.ids["notification"],
        redacted_service.ids["job"],
        redacted_service.secret[:8],
        "someone@example.com",
    ):
        assert hidden not in text
