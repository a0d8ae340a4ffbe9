"""What an upgrade would do to a database, told before it is done."""

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
    """What `upgrade` would do."""

    origin: DatabaseOrigin
    revisions: tuple[Script, ...]
    """The revisions to come, the next one first."""
    database_is_newer: bool
    """Whether a newer release than this one has migrated the database."""

    @classmethod
    def build(cls, connection: Connection, config: Config) -> UpgradePlan:
        """Look at a database. Raises Complaint where `upgrade` would."""
        owner = DatabaseOrigin.read(connection)
        require_supported_database(connection, owner)
        scripts = list(ScriptDirectory.from_config(config).walk_revisions())
        begin = owner.revision or (NOTIFY_BASELINE_REVISION if owner.notify_revision else "")
        later = [script for script in scripts if script.revision > begin]
        return cls(owner, tuple(reversed(later)), database_is_newer=begin > scripts[0].revision)

    def lines(self) -> list[str]:
        """The plan in words, a line for each revision."""
        if self.database_is_newer:
            return [f"A newer release has brought the database to revision {self.origin.revision}: nothing to do."]
        if not self.revisions:
            return [f"The database is at revision {self.origin.revision}: nothing to do."]
        if self.origin.revision:
            first = f"The database is at revision {self.origin.revision}. To come:"
        elif self.origin.notify_revision:
            first = (
                f"GOV.UK Notify made this database ({self.origin.notify_revision}). "
                "Its tables would stay as they are, revision "
                f"{NOTIFY_BASELINE_REVISION} be noted in a version table of our own, and then come:"
            )
        else:
            first = "The database is empty. To come:"
        return [
            first,
            *(revision_title(script, made_by_notify=bool(self.origin.notify_revision)) for script in self.revisions),
        ]


def revision_title(script: Script, *, made_by_notify: bool) -> str:
    """A revision's number and what it does; `spare` where Notify made the database."""
    rest = " (nothing: Notify's tables stay as they are)" if made_by_notify and is_skipped_revision(script) else ""
    return f"{script.revision} {(script.doc or '').rstrip('.')}{rest}"
