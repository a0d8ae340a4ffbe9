"""Rows go to PostgreSQL by COPY, whole tables at a time."""

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
"""Tables so long that their indexes are better made afterwards."""

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
"""Tables in an order in which every row finds those that it refers to."""


@cache
def column_names(model: type[models.Model]) -> dict[str, str]:
    """The columns of a table: the model's attribute, and the name in the database."""
    return {attribute.key: attribute.columns[0].name for attribute in inspect(model).column_attrs}


async def copy(
    connection: asyncpg.Connection, model: type[models.Model], names: Sequence[str], records: Iterable[tuple[Any, ...]]
) -> None:
    """Write records of the attributes that are named."""
    columns_of = column_names(model)
    await connection.copy_records_to_table(
        model.__tablename__, records=records, columns=[columns_of[name] for name in names]
    )


async def copy_rows(connection: asyncpg.Connection, rows: Sequence[models.Model]) -> None:
    """Write rows of one model."""
    model = type(rows[0])
    names = list(column_names(model))
    read = attrgetter(*names)
    documents = [
        index
        for index, attribute in enumerate(inspect(model).column_attrs)
        if isinstance(attribute.columns[0].type, JSONB)
    ]
    records = map(read, rows)
    await copy(
        connection, model, names, records if not documents else (_encode_json(one, documents) for one in records)
    )


def _encode_json(record: tuple[Any, ...], documents: list[int]) -> tuple[Any, ...]:
    changed = list(record)
    for index in documents:
        changed[index] = orjson.dumps(changed[index]).decode()
    return tuple(changed)


@asynccontextmanager
async def without_indexes(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Take the indexes of the long tables away, and make them again as they were, within the caller's transaction.

    Foreign keys are not checked meanwhile, where the account may say so: what is written agrees by its making.
    """
    found = await connection.fetch(
        """
        SELECT pg_index.indexrelid::regclass::text AS name, pg_get_indexdef(pg_index.indexrelid) AS definition
        FROM pg_index LEFT JOIN pg_constraint ON pg_constraint.conindid = pg_index.indexrelid
        WHERE pg_index.indrelid = ANY($1::regclass[]) AND pg_constraint.oid IS NULL
        ORDER BY 1
        """,
        [model.__tablename__ for model in LARGE_TABLES],
    )
    for index in found:
        await connection.execute(f"DROP INDEX {index['name']}")
    unchecked = await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    if unchecked:
        await connection.execute("SET LOCAL session_replication_role = replica")
    yield
    if unchecked:
        await connection.execute("SET LOCAL session_replication_role = origin")
    await connection.execute("SET LOCAL maintenance_work_mem = '256MB'")
    for index in found:
        await connection.execute(index["definition"])
