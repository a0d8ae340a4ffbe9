"""All changes of a team through GraphQL store the versions that Notify would have stored."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.database.database import Database
from tests.builders import Builders, platform_admin, user_actor
from tests.conftest import Ask
from tests.notify import reference_rules

DATED = {"version", "updated_at"}


class Team:
    """A person who creates a service and its rows."""

    def __init__(self, ask: Ask, actor: Actor) -> None:
        self.ask, self.actor = ask, actor

    async def __call__(self, mutation: str, answer: str, *, by: Actor | None = None, **values: Any) -> UUID:
        """Run a mutation; returns the id of the object."""
        kind = f"{mutation[0].upper()}{mutation[1:]}Input"
        document = (
            f"mutation ($input: {kind}!) {{ {mutation}(input: $input) {{ {answer} {{ id }} userErrors {{ code }} }} }}"
        )
        payload = (await self.ask(document, by=by or self.actor, input=values)).root_field
        assert payload["userErrors"] == []
        return UUID(payload[answer]["id"])


@pytest.mark.usefixtures("made_by_notify")
async def test_every_version_is_stored_the_current_one_included(ask: Ask, make: Builders, database: Database) -> None:
    user, admin = await make.user(email_address="ada@example.gov.uk"), platform_admin(await make.user())
    organisation = await make.organisation(organisation_type="central")
    beginner = Team(ask, user_actor(user))
    service = await beginner("createService", "service", name="Tax returns")
    async with database.transaction() as tx:
        do = Team(ask, user_actor(user, await tx.get_one(models.Service, service)))
    await do("updateService", "service", serviceId=str(service), name="Tax")
    await do("updateService", "service", serviceId=str(service), name="Tax")
    template = await do(
        "createTemplate", "template", serviceId=str(service), name="Due", content={"sms": {"body": "Pay ((sum))"}}
    )
    await do("updateTemplate", "template", templateId=str(template), content={"sms": {"body": "Pay ((sum)) now"}})
    await do("updateTemplate", "template", templateId=str(template), name="Due")
    await do("redactTemplate", "template", templateId=str(template))
    keys = [
        await do("createApiKey", "apiKey", serviceId=str(service), name=name, type="TEST") for name in ("One", "Two")
    ]
    await do("revokeApiKey", "apiKey", apiKeyId=str(keys[0]))
    await do("revokeApiKey", "apiKey", apiKeyId=str(keys[0]))
    async with database.transaction() as tx:
        owned = {"organisation": organisation.id, "service": service}
        await tx.execute(text("UPDATE services SET organisation_id = :organisation WHERE id = :service"), owned)
        await tx.execute(
            text("UPDATE services_history SET organisation_id = :organisation WHERE id = :service AND version = 2"),
            owned,
        )
    await do("updateOrganisation", "organisation", by=admin, organisationId=str(organisation.id), type="LOCAL")
    await do("archiveService", "service", serviceId=str(service))

    async with database.read_connection() as connection:
        assert await reference_rules.history_differences(connection) == []
        assert await reference_rules.history_gaps(connection) == []
        addressed = {"name", "normalised_service_name", "email_sender_local_part"}
        assert await reference_rules.version_changes(connection, "services", service) == [
            DATED | addressed | {"organisation_id"},
            DATED | {"organisation_type", "crown"},
            DATED | addressed | {"active"},
        ]
        assert await reference_rules.version_changes(connection, "templates", template) == [
            DATED | {"content"},
            DATED | {"archived"},
        ]
        for key in keys:
            assert await reference_rules.version_changes(connection, "api_keys", key) == [DATED | {"expiry_date"}]
        archived = await connection.scalar(text("SELECT name FROM services WHERE id = :id"), {"id": service})
    assert archived.startswith("_archived_20")
    assert archived.endswith("_Tax")
