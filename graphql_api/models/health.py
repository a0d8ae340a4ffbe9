"""Measurements of the system and counts of rows, kept for a limited time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.models.base import Model


class HealthSnapshot(Model):
    """Measurements that a worker takes each minute."""

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
    """Number of rows of a table on a night."""

    __tablename__ = "table_count_snapshots"

    table_name: Mapped[str] = mapped_column(Text, primary_key=True)
    taken_at: Mapped[datetime] = mapped_column(primary_key=True)
    row_count: Mapped[int] = mapped_column(BigInteger)
