"""The log of administrative changes: every table and column is logged or named as not logged; no secret is logged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
import structlog
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError, ProgrammingError

from graphql_api import migrate, models
from graphql_api.auth.actors import Actor, ActorKind
from graphql_api.auth.audit_author import set_audit_author
from graphql_api.errors import CommandError
from graphql_api.migrate import change_triggers
from graphql_api.models.changes import LOGGED_TABLES
from loaders.changes import OBJECT_TYPES
from tests.builders import Builders, api_key_actor
from tests.conftest import SingleConnectionDatabase, Statements
from tests.migrations import create_notify_tables
from tests.models.databases import cloned, dump_sql, execute, open_connection, scratch_database

NOT_LOGGED_TABLES = {
    # Messages, and rows that belong to one.
    "complaints",
    "deliveries",
    "inbound_sms",
    "jobs",
    "job_runs",
    "notifications",
    "notifications_letter_despatch",
    "returned_letters",
    "service_contact_list",
    "unsubscribe_request",
    "unsubscribe_request_report",
    "uploads",
    # Rows that are only inserted.
    "api_keys_history",
    "change_log",
    "events",
    "inbound_sms_history",
    "notification_history",
    "provider_details_history",
    "service_callback_api_history",
    "services_history",
    "template_email_files_history",
    "templates_history",
    "unsubscribe_request_history",
    # Figures that the system computes.
    "api_key_usage_daily",
    "daily_usage",
    "ft_billing",
    "ft_billing_letter_despatch",
    "ft_notification_status",
    "ft_processing_time",
    "ft_service_stats",
    "health_snapshots",
    "table_count_snapshots",
    # Authentication and idempotency, for a limited time.
    "idempotency_keys",
    "last_writes",
    "rate_buckets",
    "report_requests",
    "service_join_request_contacted_users",
    "sessions",
    "verify_codes",
    # Permitted values and rates, which migrations insert; pages of a template.
    "auth_type",
    "branding_type",
    "default_annual_allowance",
    "invite_status_type",
    "job_status",
    "key_types",
    "letter_attachment",
    "letter_rates",
    "notification_status_types",
    "organisation_types",
    "protected_sender_ids",
    "rates",
    "service_callback_type",
    "service_permission_types",
}

NOT_LOGGED = {
    "*": {"id", "created_at", "updated_at", "version"},
    "annual_billing": {"service_id"},
    "api_key_lifetimes": {"api_key_id", "last_used_at"},
    "api_keys": {"secret", "service_id", "created_by_id"},
    "domain": {"organisation_id"},
    "email_branding": {"created_by", "updated_by"},
    "email_branding_to_organisation": {"organisation_id"},
    "invited_organisation_users": {"organisation_id"},
    "invited_users": {"service_id"},
    "letter_branding": {"created_by_id", "updated_by_id"},
    "letter_branding_to_organisation": {"organisation_id"},
    "organisation_permissions": {"organisation_id"},
    "organisation_user_permissions": {"organisation_id", "user_id"},
    "permissions": {"service_id", "user_id"},
    "provider_details": {"created_by_id"},
    "service_callback_api": {"service_id", "updated_by_id"},
    "service_data_retention": {"service_id"},
    "service_email_branding": {"service_id"},
    "service_email_reply_to": {"service_id"},
    "service_join_requests": {"service_id", "status_changed_at"},
    "service_letter_branding": {"service_id"},
    "service_letter_contacts": {"service_id"},
    "service_permissions": {"service_id"},
    "service_sms_senders": {"service_id"},
    "service_whitelist": {"service_id"},
    "services": {"confirmed_unique", "created_by_id", "normalised_service_name"},
    "template_email_files": {"archived_by_id", "created_by_id", "template_id", "template_version"},
    "template_folder": {"service_id"},
    "template_folder_map": {"template_id"},
    "template_redacted": {"template_id", "updated_by_id"},
    "templates": {"created_by_id", "service_id"},
    "user_folder_permissions": {"service_id", "user_id"},
    "users": {
        "current_session_id",
        "email_access_validated_at",
        "failed_login_count",
        "logged_in_at",
        "password_changed_at",
    },
    "webauthn_credential": {"credential_data", "logged_in_at", "registration_response", "user_id"},
}
"""Columns that are not logged, by table: ids of the row itself, and what other columns of the log hold."""

LOGGED_WITHOUT_VALUES = {
    "organisation": {
        "agreement_signed_on_behalf_of_email_address",
        "agreement_signed_on_behalf_of_name",
        "billing_contact_email_addresses",
        "billing_contact_names",
        "billing_reference",
        "notes",
        "purchase_order_number",
    },
    "invited_organisation_users": {"email_address"},
    "invited_users": {"email_address"},
    "service_callback_api": {"bearer_token", "url"},
    "service_join_requests": {"reason"},
    "service_whitelist": {"recipient"},
    "services": {
        "billing_contact_email_addresses",
        "billing_contact_names",
        "billing_reference",
        "notes",
        "purchase_order_number",
    },
    "template_email_files": {"link_text"},
    "templates": {"content", "letter_welsh_content", "letter_welsh_subject", "subject"},
    "users": {"_password", "email_address", "mobile_number", "name"},
    "webauthn_credential": {"name"},
}
"""Columns whose changes are logged without their values."""


@dataclass
class Trigger:
    """Arguments of the trigger of a table."""

    with_values: set[str]
    without_values: set[str]


async def triggers(database: SingleConnectionDatabase) -> dict[str, Trigger]:
    """The triggers of the database, by table."""
    async with database.read_connection() as connection:
        rows = await connection.execute(
            text("SELECT tgrelid::regclass::text, tgargs FROM pg_trigger WHERE tgname = 'log_change'")
        )
        arguments = {table: encoded.decode().split("\0") for table, encoded in rows}
    return {
        table: Trigger(set(with_values.split()), set(without_values.split()))
        for table, (*_, with_values, without_values, _) in arguments.items()
    }


async def columns(database: SingleConnectionDatabase) -> dict[str, set[str]]:
    """Columns of every table of the models."""
    async with database.read_connection() as connection:
        rows = await connection.execute(
            text("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'")
        )
        by_table: dict[str, set[str]] = {}
        for table, column in rows:
            by_table.setdefault(table, set()).add(column)
    return by_table


async def logged(database: SingleConnectionDatabase, *, since: int = 0) -> list[Any]:
    """Entries of the log after the first `since`, in order."""
    async with database.read_connection() as connection:
        rows = (await connection.execute(text("SELECT * FROM change_log ORDER BY occurred_at"))).all()
    return list(rows[since:])


async def test_every_table_is_logged_or_named_as_not_logged(database: SingleConnectionDatabase) -> None:
    tables = {table.name for table in models.Model.metadata.tables.values() if not table.info.get("view")}

    assert set() == LOGGED_TABLES & NOT_LOGGED_TABLES
    assert tables == LOGGED_TABLES | NOT_LOGGED_TABLES
    assert set(await triggers(database)) == LOGGED_TABLES
    assert set(OBJECT_TYPES) == LOGGED_TABLES


async def test_every_column_of_a_logged_table_is_logged_or_named_as_not_logged(
    database: SingleConnectionDatabase,
) -> None:
    by_table = await columns(database)
    unassigned = {
        table: by_table[table]
        ^ (
            trigger.with_values
            | trigger.without_values
            | NOT_LOGGED.get(table, set())
            | (NOT_LOGGED["*"] & by_table[table])
        )
        for table, trigger in (await triggers(database)).items()
    }

    assert {table: names for table, names in unassigned.items() if names} == {}


async def test_values_of_secrets_and_personal_data_are_not_logged(database: SingleConnectionDatabase) -> None:
    by_table = await triggers(database)

    assert {
        table: trigger.without_values for table, trigger in by_table.items() if trigger.without_values
    } == LOGGED_WITHOUT_VALUES
    assert not any(trigger.with_values & trigger.without_values for trigger in by_table.values())


async def test_an_entry_has_the_values_that_differ(database: SingleConnectionDatabase, make: Builders) -> None:
    service = await make.service(name="Old name", contact_link=None)
    before = len(await logged(database))
    async with database.transaction() as tx:
        await tx.execute(
            update(models.Service)
            .where(models.Service.id == service.id)
            .values(name="New name", contact_link="https://example.gov.uk", notes="Secret", prefix_sms=True)
        )

    (entry,) = await logged(database, since=before)

    assert (entry.operation, entry.table_name, entry.row_id, entry.service_id) == (
        "update",
        "services",
        service.id,
        service.id,
    )
    assert entry.before == {"name": "Old name", "contact_link": None, "notes": None}
    assert entry.after == {"name": "New name", "contact_link": "https://example.gov.uk", "notes": None}


async def test_a_change_of_columns_that_are_not_logged_adds_no_entry(
    database: SingleConnectionDatabase, make: Builders
) -> None:
    user = await make.user()
    before = len(await logged(database))

    async with database.transaction() as tx:
        statement = update(models.User).where(models.User.id == user.id)
        await tx.execute(
            statement.values(failed_login_count=3, logged_in_at=models.utcnow(), current_session_id=uuid4())
        )
        await tx.execute(statement.values(name=user.name))

    assert await logged(database, since=before) == []


async def test_a_row_that_belongs_to_an_entity_is_logged_as_its_update(
    database: SingleConnectionDatabase, make: Builders
) -> None:
    service = await make.service(features=())
    template = await make.template(service)
    folder = models.TemplateFolder(service_id=service.id, name="Letters")
    feature = models.ServiceFeature(service_id=service.id, permission="sms")
    before = len(await logged(database))

    await make.add(feature, folder, models.TemplateFolderEntry(template_id=template.id, template_folder_id=folder.id))
    async with database.transaction() as tx:
        await tx.delete(feature)

    assert [
        (entry.operation, entry.table_name, entry.row_id, entry.service_id, entry.before, entry.after)
        for entry in await logged(database, since=before)
    ] == [
        ("update", "service_permissions", service.id, service.id, None, {"permission": "sms"}),
        ("insert", "template_folder", folder.id, service.id, None, {"name": "Letters"}),
        ("update", "template_folder_map", template.id, service.id, None, {"template_folder_id": str(folder.id)}),
        ("update", "service_permissions", service.id, service.id, {"permission": "sms"}, None),
    ]


async def test_the_author_is_set_once_and_only_in_transactions_that_are_logged(
    database: SingleConnectionDatabase, make: Builders, statements: Statements
) -> None:
    service = await make.service()
    api_key = await make.api_key(service)
    structlog.contextvars.bind_contextvars(request_id="a-request")
    before = len(await logged(database))

    with statements(3):
        async with database.transaction() as tx:
            set_audit_author(tx, api_key_actor(api_key))
            statement = update(models.Service).where(models.Service.id == service.id)
            await tx.execute(statement.values(prefix_sms=False))
            await tx.execute(statement.values(prefix_sms=True))
    with statements(1):
        async with database.transaction() as tx:
            set_audit_author(tx, api_key_actor(api_key))
            tx.add(models.DailyUsage(service_id=service.id, day=models.utcnow().date(), kind="sms", count=1))
    structlog.contextvars.clear_contextvars()

    assert [
        (entry.actor_user_id, entry.actor_api_key_id, entry.request_id)
        for entry in await logged(database, since=before)
    ] == [(None, api_key.id, "a-request")] * 2


async def test_each_transaction_has_its_own_author(database_url: str) -> None:
    actor, query = Actor(ActorKind.PERSON, user_id=uuid4()), "SELECT current_setting('notify_graphql.user_id', true)"
    async with open_connection(database_url) as connection:
        async with connection.transaction():
            await connection.execute("SELECT set_config('notify_graphql.user_id', $1, true)", str(actor.user_id))
            inside = await connection.fetchval(query)
        after = await connection.fetchval(query)

    assert (inside, after) == (str(actor.user_id), "")


async def test_another_program_s_changes_have_no_author(database: SingleConnectionDatabase, make: Builders) -> None:
    service = await make.service()
    before = len(await logged(database))
    async with database.transaction() as tx:
        await tx.execute(text("SELECT set_config('notify_graphql.user_id', '', true)"))
        await tx.execute(text("UPDATE services SET restricted = true WHERE id = :id"), {"id": service.id})

    (entry,) = await logged(database, since=before)

    assert (entry.before, entry.after) == ({"restricted": False}, {"restricted": True})
    assert (entry.actor_user_id, entry.actor_api_key_id, entry.request_id) == (None, None, None)


@pytest.mark.parametrize(
    "attempt", ["UPDATE change_log SET row_id = id", "DELETE FROM change_log", "TRUNCATE change_log"]
)
async def test_the_log_cannot_be_changed(database: SingleConnectionDatabase, make: Builders, attempt: str) -> None:
    before = len(await logged(database))
    user = await make.user()

    with pytest.raises(DBAPIError, match="change_log is only ever added to"):
        async with database.transaction() as tx:
            await tx.execute(text(attempt))

    assert [entry.row_id for entry in await logged(database, since=before)] == [user.id]


async def test_a_role_that_may_write_a_table_needs_no_permission_on_the_log(
    database: SingleConnectionDatabase, make: Builders
) -> None:
    organisation = await make.organisation(name="Old name")
    before = len(await logged(database))
    async with database.transaction() as tx:
        await tx.execute(text("CREATE ROLE notify_writer"))
        await tx.execute(text("GRANT SELECT, UPDATE ON organisation TO notify_writer"))
        await tx.execute(text("SET LOCAL ROLE notify_writer"))
        await tx.execute(text("UPDATE organisation SET name = 'New name' WHERE id = :id"), {"id": organisation.id})
        await tx.execute(text("RESET ROLE"))

    (entry,) = await logged(database, since=before)

    assert (entry.organisation_id, entry.after) == (organisation.id, {"name": "New name"})


async def test_another_role_cannot_use_the_trigger_for_a_table_of_its_own(database: SingleConnectionDatabase) -> None:
    async with database.transaction() as tx:
        await tx.execute(text("CREATE ROLE notify_reader"))
        await tx.execute(text("SET LOCAL ROLE notify_reader"))
        await tx.execute(text("CREATE TEMPORARY TABLE services (id uuid, name text)"))
        trigger = "CREATE TRIGGER log AFTER INSERT ON pg_temp.services FOR EACH ROW EXECUTE FUNCTION log_change()"

        with pytest.raises(ProgrammingError, match="permission denied for function log_change"):
            async with tx.begin_nested():
                await tx.execute(text(trigger))
        await tx.execute(text("RESET ROLE"))


async def test_the_owner_of_a_table_can_change_its_columns(postgres_url: str) -> None:
    async with cloned(postgres_url) as url:
        await execute(
            url,
            "ALTER TABLE organisation ALTER COLUMN name TYPE text",
            "ALTER TABLE users DROP COLUMN take_part_in_research",
            "ALTER TABLE users ALTER COLUMN email_address TYPE text",
            "INSERT INTO users (id, name, email_address, created_at, _password, mobile_number, password_changed_at,"
            " failed_login_count, state, platform_admin, email_access_validated_at)"
            " VALUES (gen_random_uuid(), 'A', 'a@example.gov.uk', now(), '!', '+447700900001', now(), 0, 'active',"
            " false, now())",
            "REFRESH MATERIALIZED VIEW CONCURRENTLY search_entries",
        )

        async with open_connection(url) as connection:
            assert await connection.fetchval("SELECT table_name FROM change_log") == "users"
            assert await connection.fetchval("SELECT text FROM search_entries") == "a\na@example.gov.uk"


async def test_tables_that_notify_created_log_on_request(postgres_url: str) -> None:
    name = "UPDATE organisation SET name = name || '!'"
    async with scratch_database(postgres_url) as url:
        await create_notify_tables(url)
        before_upgrade = dump_sql(url, "organisation")
        with pytest.raises(CommandError, match="The database has no log yet"):
            await change_triggers.create(url, write_line=print)
        await migrate.upgrade(url)
        await execute(
            url,
            "INSERT INTO organisation (id, name, active, created_at, can_approve_own_go_live_requests)"
            " VALUES (gen_random_uuid(), 'Agency', true, now(), false)",
            name,
        )
        after_upgrade = dump_sql(url, "organisation")
        lines: list[str] = []

        for _ in range(2):
            await change_triggers.create(url, write_line=lines.append)
        await execute(url, name)

        async with open_connection(url) as connection:
            entries = [
                tuple(entry) for entry in await connection.fetch("SELECT before, after, actor_user_id FROM change_log")
            ]
            assert await connection.fetchval("SELECT count(*) FROM pg_trigger WHERE tgname = 'log_change'") == len(
                LOGGED_TABLES
            )
            assert not await connection.fetchval("SELECT has_function_privilege('public', 'log_change()', 'EXECUTE')")
        assert after_upgrade == before_upgrade
        assert lines == [f"{len(LOGGED_TABLES)} tables log their changes."] * 2
        assert entries == [('{"name": "Agency!"}', '{"name": "Agency!!"}', None)]

        await migrate.downgrade(url, "0050")
        await execute(url, name)

        assert dump_sql(url, "organisation") == before_upgrade
