"""What an upgrade would do to a database, told before it is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alembic.script import ScriptDirectory

from graphql_api.migrate.database_origins import LAST_OF_NOTIFY, Owner, refuse, spared

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import Script
    from sqlalchemy import Connection


@dataclass(frozen=True)
class Plan:
    """What `upgrade` would do."""

    owner: Owner
    revisions: tuple[Script, ...]
    """The revisions to come, the next one first."""
    newer: bool
    """Whether a newer release than this one has migrated the database."""

    @classmethod
    def of(cls, connection: Connection, config: Config) -> Plan:
        """Look at a database. Raises Complaint where `upgrade` would."""
        owner = Owner.of(connection)
        refuse(connection, owner)
        scripts = list(ScriptDirectory.from_config(config).walk_revisions())
        begin = owner.revision or (LAST_OF_NOTIFY if owner.notify else "")
        later = [script for script in scripts if script.revision > begin]
        return cls(owner, tuple(reversed(later)), newer=begin > scripts[0].revision)

    def lines(self) -> list[str]:
        """The plan in words, a line for each revision."""
        if self.newer:
            return [f"A newer release has brought the database to revision {self.owner.revision}: nothing to do."]
        if not self.revisions:
            return [f"The database is at revision {self.owner.revision}: nothing to do."]
        if self.owner.revision:
            first = f"The database is at revision {self.owner.revision}. To come:"
        elif self.owner.notify:
            first = (
                f"GOV.UK Notify made this database ({self.owner.notify}). Its tables would stay as they are, revision "
                f"{LAST_OF_NOTIFY} be noted in a version table of our own, and then come:"
            )
        else:
            first = "The database is empty. To come:"
        return [first, *(titled(script, spare=bool(self.owner.notify)) for script in self.revisions)]


def titled(script: Script, *, spare: bool) -> str:
    """A revision's number and what it does; `spare` where Notify made the database."""
    rest = " (nothing: Notify's tables stay as they are)" if spare and spared(script) else ""
    return f"{script.revision} {(script.doc or '').rstrip('.')}{rest}"
