"""What PostgreSQL, or what stands before it, says to whoever comes to migrate, in sentences."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from graphql_api.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

POOLER_MESSAGE = (
    "Migrations need a direct connection to PostgreSQL, and DATABASE_URL names a pooler: name the server itself."
)
STANDBY_MESSAGE = "Migrations need the primary, and DATABASE_URL names a standby, which is read-only: name the primary."

MESSAGES_BY_SQLSTATE = {
    "28P01": "PostgreSQL does not take the password of DATABASE_URL: mend it.",
    "28000": "PostgreSQL does not let the role of DATABASE_URL in: see its pg_hba.conf.",
    "3D000": "The database of DATABASE_URL does not exist: create it first.",
    "42501": "The role of DATABASE_URL may not do this: migrate as the owner of the database and its tables.",
    "53300": "PostgreSQL has no connection left: migrate when fewer are held, or raise its max_connections.",
    "57P03": "PostgreSQL is starting or stopping: try again in a moment.",
    # What a pooler makes of a connection that brings settings and prepared statements.
    "08P01": POOLER_MESSAGE,
    "26000": POOLER_MESSAGE,
    "42P05": POOLER_MESSAGE,
}
"""By SQLSTATE. The driver's own words can hold values, and are not told."""


@contextlib.contextmanager
def translate_database_errors() -> Iterator[None]:
    """Complain in a sentence of what is known; everything else passes."""
    try:
        yield
    except DBAPIError as error:
        sentence = MESSAGES_BY_SQLSTATE.get(getattr(error.orig, "sqlstate", None) or "")
        if sentence is None:
            raise
        raise CommandError(sentence) from error
