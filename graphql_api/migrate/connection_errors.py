"""Messages for errors that PostgreSQL, or a pooler, raises when a migration connects."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from graphql_api.database.sqlstates import sqlstate
from graphql_api.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

POOLER_MESSAGE = (
    "Migrations need a direct connection to PostgreSQL, and DATABASE_URL names a pooler: name the server itself."
)
STANDBY_MESSAGE = "Migrations need the primary, and DATABASE_URL names a standby, which is read-only: name the primary."

MESSAGES_BY_SQLSTATE = {
    "28P01": "PostgreSQL rejects the password in DATABASE_URL.",
    "28000": "PostgreSQL rejects the role in DATABASE_URL: see its pg_hba.conf.",
    "3D000": "The database in DATABASE_URL does not exist: create it first.",
    "42501": "The role in DATABASE_URL lacks a permission: migrate as the owner of the database and its tables.",
    "53300": "PostgreSQL has no free connection: try again later, or raise its max_connections.",
    "57P03": "PostgreSQL is starting or stopping: try again in a moment.",
    # Errors of poolers for startup settings and prepared statements.
    "08P01": POOLER_MESSAGE,
    "26000": POOLER_MESSAGE,
    "42P05": POOLER_MESSAGE,
}
"""By SQLSTATE. The driver's own messages can contain values, and are not shown."""


@contextlib.contextmanager
def translate_database_errors() -> Iterator[None]:
    """Raise `CommandError` for SQLSTATEs of `MESSAGES_BY_SQLSTATE`; other errors pass."""
    try:
        yield
    except DBAPIError as error:
        message = MESSAGES_BY_SQLSTATE.get(sqlstate(error) or "")
        if message is None:
            raise
        raise CommandError(message) from error
