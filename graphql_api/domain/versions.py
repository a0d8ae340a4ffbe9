"""Versions of rows: each change increments the version, and adds the new state to the history table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from graphql_api.errors import VersionConflict
from graphql_api.models import utcnow

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any

    from graphql_api import models


class Versioned(Protocol):
    """A row with a version and a history table."""

    version: Any
    updated_at: Any

    def snapshot(self) -> Any:
        """A history row of the current state, not added to the session."""
        ...


def require_version(row: Versioned, expected_version: int | None) -> None:
    """Raise `VersionConflict` if the row's version is not the expected one; None skips the check."""
    if expected_version is not None and row.version != expected_version:
        raise VersionConflict(expected_version, row.version)


def apply_changes(row: models.Model, values: Mapping[str, Any]) -> bool:
    """Set the attributes that differ; returns whether there were any."""
    changed = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    return bool(changed)


def increment(row: Versioned, updated_at: datetime | None = None) -> Any:
    """Increment the version of a changed row; `updated_at` is naive UTC. The caller adds the history row returned."""
    row.version += 1
    row.updated_at = updated_at or utcnow()
    return row.snapshot()
