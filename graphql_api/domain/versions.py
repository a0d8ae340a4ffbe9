"""Versions: each change of a row raises its version by one, and the history keeps every state."""

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
    """A row with a version and a history."""

    version: Any
    updated_at: Any

    def snapshot(self) -> Any:
        """The history row of the present state."""
        ...


def require_version(row: Versioned, expected_version: int | None) -> None:
    """Refuse to go on when someone has saved since the caller read."""
    if expected_version is not None and row.version != expected_version:
        raise VersionConflict(expected_version, row.version)


def apply_changes(row: models.Model, values: Mapping[str, Any]) -> bool:
    """Set what differs; tells whether anything did."""
    different = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in different.items():
        setattr(row, name, value)
    return bool(different)


def increment(row: Versioned, updated_at: datetime | None = None) -> Any:
    """Make a changed row its next version; answers the history row that belongs to it, to be added."""
    row.version += 1
    row.updated_at = updated_at or utcnow()
    return row.snapshot()
