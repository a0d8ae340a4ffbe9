"""The SQL dialect of the engines, to compile a statement without one."""

from __future__ import annotations

from sqlalchemy.dialects.postgresql import asyncpg

DIALECT = asyncpg.dialect()  # type: ignore[no-untyped-call]
