"""Bulk loading: rows by COPY, a table at a time, and indexes created after the rows."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import inspect
from sqlalchemy.dialects.postgresql import JSONB

from graphql_api import models

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    import asyncpg

LARGE_TABLES: tuple[type[models.Model], ...] = (
    models.Notification,
    models.NotificationHistory,
    models.NotificationStatusFact,
    models.BillingFact,
)
"""Tables whose indexes are faster to create after the rows."""

INSERT_ORDER: tuple[type[models.Model], ...] = (
    models.User,
    models.Organisation,
    models.OrganisationDomain,
    models.OrganisationFeature,
    models.OrganisationMembership,
    models.OrganisationMemberPermission,
    models.Service,
    models.ServiceHistory,
    models.ServiceFeature,
    models.ServiceMembership,
    models.ServiceMemberPermission,
    models.InvitedUser,
    models.GuestListEntry,
    models.DataRetention,
    models.SmsSender,
    models.EmailReplyToAddress,
    models.LetterContact,
    models.ApiKey,
    models.ApiKeyHistory,
    models.ApiKeyLifetime,
    models.TemplateFolder,
    models.FolderPermission,
    models.Template,
    models.TemplateHistory,
    models.TemplateRedaction,
    models.TemplateFolderEntry,
    models.ContactList,
    models.Job,
    models.JobRun,
)
"""Tables in an order in which foreign keys hold."""


@cache
def column_names(model: type[models.Model]) -> dict[str, str]:
    """Column names in the database, by attribute of the model."""
    return {attribute.key: attribute.columns[0].name for attribute in inspect(model).column_attrs}


async def copy(
    connection: asyncpg.Connection,
    model: type[models.Model],
    attributes: Sequence[str],
    records: Iterable[tuple[Any, ...]],
) -> None:
    """Write records whose values are in the order of `attributes`."""
    columns = column_names(model)
    await connection.copy_records_to_table(
        model.__tablename__, records=records, columns=[columns[attribute] for attribute in attributes]
    )


async def copy_rows(connection: asyncpg.Connection, rows: Sequence[models.Model]) -> None:
    """Write rows, all of one model."""
    model = type(rows[0])
    attributes = list(column_names(model))
    read_values = attrgetter(*attributes)
    json_positions = [
        index
        for index, attribute in enumerate(inspect(model).column_attrs)
        if isinstance(attribute.columns[0].type, JSONB)
    ]
    records = map(read_values, rows)
    await copy(
        connection,
        model,
        attributes,
        (_encode_json(record, json_positions) for record in records) if json_positions else records,
    )


def _encode_json(record: tuple[Any, ...], positions: list[int]) -> tuple[Any, ...]:
    values = list(record)
    for position in positions:
        values[position] = orjson.dumps(values[position]).decode()
    return tuple(values)


@asynccontextmanager
async def without_indexes(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Drop the indexes of the large tables and create them again, within the caller's transaction.

    A superuser's foreign keys are not checked meanwhile: the generated rows satisfy them.
    """
    indexes = await connection.fetch(
        """
        SELECT pg_index.indexrelid::regclass::text AS name, pg_get_indexdef(pg_index.indexrelid) AS definition
        FROM pg_index LEFT JOIN pg_constraint ON pg_constraint.conindid = pg_index.indexrelid
        WHERE pg_index.indrelid = ANY($1::regclass[]) AND pg_constraint.oid IS NULL
        ORDER BY 1
        """,
        [model.__tablename__ for model in LARGE_TABLES],
    )
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['name']}")
    is_superuser = await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    if is_superuser:
        await connection.execute("SET LOCAL session_replication_role = replica")
    yield
    if is_superuser:
        await connection.execute("SET LOCAL session_replication_role = origin")
    await connection.execute("SET LOCAL maintenance_work_mem = '256MB'")
    for index in indexes:
        await connection.execute(index["definition"])
