"""Everything that the schema can tell of a service, asked for by each kind of caller: what it must never tell."""

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
from tests.builders import EVERY_PERMISSION, Builders, key, of_organisation, person, platform_admin
from tests.schema.tenants import SCHEMA

DEPTH = 7


def everything(kind: Any, depth: int = DEPTH, above: tuple[str, ...] = ()) -> str:
    """A selection of all that a type has, as deep as said; nobody is asked twice on the way down."""
    if isinstance(kind, GraphQLUnionType):
        parts = [f"... on {one.name} {everything(one, depth, above)}" for one in kind.types]
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
                chosen.append(f"{kind.name}_{name}: {name} {everything(inner, depth - 1, (*above, kind.name))}")
        else:
            chosen.append(f"{kind.name}_{name}: {name}")
    return "{ " + " ".join(chosen) + " }"


ALL = (
    "query ($service: ID!, $organisation: ID!, $template: ID!, $job: ID!, $notification: ID!) { "
    + " ".join(
        f"{name}(id: ${name}) {everything(SCHEMA.get_type(name.capitalize()), 3)}"
        for name in ("service", "organisation", "template", "job", "notification")
    )
    + f" viewer {everything(SCHEMA.get_type('Viewer'), 3)} }}"
)


class Told:
    """A service with a message of a redacted template, and the secrets around it."""

    def __init__(self, make: Builders, context: Context) -> None:
        self._make, self._context = make, context
        self.value, self.secret = f"value-{uuid4()}", str(uuid4())

    async def build(self) -> None:
        """Make them."""
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

    async def by(self, actor: Actor) -> str:
        """All that a caller reads, as text."""
        context = replace(self._context, actor=actor)
        # Without the limits of a request, which so wide a question passes.
        answer = await graphql(SCHEMA, ALL, context_value=context, variable_values=self.ids)
        assert [error for error in answer.errors or [] if not isinstance(error.original_error, Forbidden)] == []
        return json.dumps(answer.data)


@pytest.fixture
async def told(make: Builders, database: Database, settings: Settings, signer: Signer, store: Store) -> Told:
    """The service."""
    made = Told(make, Context(Actor.anonymous(), database, settings, signer, store))
    await made.build()
    return made


async def redact(told: Told, database: Database) -> None:
    async with database.transaction() as tx:
        row = await tx.get_one(models.TemplateRedaction, told.template.id)
        row.redact_personalisation = True


async def test_what_is_not_redacted_is_told(told: Told) -> None:
    assert told.value in await told.by(person(told.user, told.service))


async def test_values_of_a_redacted_template_are_told_to_nobody(told: Told, make: Builders, database: Database) -> None:
    await redact(told, database)
    for actor in (
        person(told.user, told.service),
        platform_admin(told.user),
        of_organisation(told.user, told.organisation.id),
        *[key(await make.api_key(told.service, kind)) for kind in KeyType],
    ):
        text = await told.by(actor)
        assert told.value not in text
        assert told.ids["service"] in text


async def test_a_secret_and_a_password_are_told_to_nobody(told: Told, make: Builders) -> None:
    for actor in (person(told.user, told.service), platform_admin(told.user), key(await make.api_key(told.service))):
        text = await told.by(actor)
        assert told.ids["service"] in text
        for hidden in (told.secret, told.secret[9:], "password-hash"):
            assert hidden not in text


async def test_a_key_reads_no_people_no_other_keys_and_no_organisation(told: Told, make: Builders) -> None:
    own = await make.api_key(told.service)

    text = await told.by(key(own))

    assert str(own.id) in text
    for hidden in ("A. Person", told.user.email_address, "+447700900987", told.secret[:8], told.ids["organisation"]):
        assert hidden not in text
    assert '"User"' not in text


async def test_notes_and_billing_are_told_to_platform_admins_alone(told: Told, make: Builders) -> None:
    hidden = ("organisation-notes", "service-notes", "billing-one", "billing-two")

    text = await told.by(platform_admin(told.user))
    assert [one for one in hidden if one not in text] == []

    for actor in (
        person(told.user, told.service),
        of_organisation(told.user, told.organisation.id),
        key(await make.api_key(told.service)),
    ):
        text = await told.by(actor)
        assert [one for one in hidden if one in text] == []


async def test_a_phone_number_is_told_to_those_who_manage_people_alone(told: Told, make: Builders) -> None:
    other = await make.member(told.service)
    some = EVERY_PERMISSION - {ServicePermission.MANAGE_USERS}

    assert "+447700900987" in await told.by(person(other, told.service))
    assert "+447700900987" not in await told.by(person(other, told.service, may=some))
    assert "+447700900987" not in await told.by(of_organisation(other, told.organisation.id))


async def test_whoever_only_belongs_reads_no_messages_jobs_or_keys(told: Told, make: Builders) -> None:
    other = await make.member(told.service, ())

    text = await told.by(person(other, told.service, may=()))

    assert told.ids["template"] in text
    for hidden in (told.value, told.ids["notification"], told.ids["job"], told.secret[:8], "someone@example.com"):
        assert hidden not in text
