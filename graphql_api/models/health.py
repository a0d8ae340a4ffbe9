"""How the system is: measures of a moment, and counts of rows, both kept for a while."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.models.base import Model


class HealthSnapshot(Model):
    """Measures of one moment, which a worker takes once a minute."""

    __tablename__ = "health_snapshots"

    taken_at: Mapped[datetime] = mapped_column(primary_key=True)
    database_ok: Mapped[bool]
    connections_in_use: Mapped[int]
    connections_total: Mapped[int]
    latency_ms: Mapped[float | None]
    # A list of {name, depth, oldest_seconds}.
    queues: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    # A list of {identifier, channel, active, priority, slow_fraction, errors}.
    providers: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    cpu_fraction: Mapped[float | None]
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)


class TableCount(Model):
    """How many rows a table had one night."""

    __tablename__ = "table_count_snapshots"

    table_name: Mapped[str] = mapped_column(Text, primary_key=True)
    taken_at: Mapped[datetime] = mapped_column(primary_key=True)
    row_count: Mapped[int] = mapped_column(BigInteger)
