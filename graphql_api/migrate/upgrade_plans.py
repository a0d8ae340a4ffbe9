"""The revisions that an upgrade would apply to a database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alembic.script import ScriptDirectory

from graphql_api.migrate.database_origins import (
    NOTIFY_BASELINE_REVISION,
    DatabaseOrigin,
    is_skipped_revision,
    require_supported_database,
)

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import Script
    from sqlalchemy import Connection


@dataclass(frozen=True)
class UpgradePlan:
    """The revisions that `upgrade` would apply."""

    origin: DatabaseOrigin
    revisions: tuple[Script, ...]
    """Next one first."""
    database_is_newer: bool
    """Whether a newer release has migrated the database."""

    @classmethod
    def build(cls, connection: Connection, config: Config) -> UpgradePlan:
        """Read the revisions of a database. Raises `CommandError` where `upgrade` would refuse it."""
        origin = DatabaseOrigin.read(connection)
        require_supported_database(connection, origin)
        scripts = list(ScriptDirectory.from_config(config).walk_revisions())
        applied = origin.revision or (NOTIFY_BASELINE_REVISION if origin.notify_revision else "")
        pending = [script for script in scripts if script.revision > applied]
        return cls(origin, tuple(reversed(pending)), database_is_newer=applied > scripts[0].revision)

    def lines(self) -> list[str]:
        """The plan as text: a heading, and a line for each revision."""
        if self.database_is_newer:
            return [f"A newer release has brought the database to revision {self.origin.revision}: nothing to do."]
        if not self.revisions:
            return [f"The database is at revision {self.origin.revision}: nothing to do."]
        if self.origin.revision:
            heading = f"The database is at revision {self.origin.revision}. To come:"
        elif self.origin.notify_revision:
            heading = (
                f"GOV.UK Notify made this database ({self.origin.notify_revision}). "
                "Its tables would stay as they are, revision "
                f"{NOTIFY_BASELINE_REVISION} be noted in a version table of our own, and then come:"
            )
        else:
            heading = "The database is empty. To come:"
        return [
            heading,
            *(revision_title(script, made_by_notify=bool(self.origin.notify_revision)) for script in self.revisions),
        ]


def revision_title(script: Script, *, made_by_notify: bool) -> str:
    """A revision's number and title, with a remark where it is skipped because Notify created the tables."""
    remark = " (nothing: Notify's tables stay as they are)" if made_by_notify and is_skipped_revision(script) else ""
    return f"{script.revision} {(script.doc or '').rstrip('.')}{remark}"
