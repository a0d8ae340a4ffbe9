"""Migrations: bring a database to a revision of the schema, plan and check that, and create revisions.

    runner                            runs alembic: upgrade, downgrade, check, plan, current, create_revision
    upgrade_plans                     the revisions that an upgrade would apply
    database_origins                  who created a database: no migration yet, ours, GOV.UK Notify's, or unknown
    differences                       what autogenerate reports, as text
    dry_runs                          the SQL of an upgrade, from a run against a temporary PostgreSQL
    connections, connection_errors    a direct connection, and messages for errors of PostgreSQL
    locks, lock_waits                 the advisory lock and retries; reports of what a migration waits for
    indexes, change_triggers          indexes and triggers on tables that GOV.UK Notify created, on request only

`alembic/env.py` runs the revisions with these modules. It imports `models`, `database` and below, never `domain`.
"""

from graphql_api.migrate.runner import check, create_revision, current, downgrade, plan, upgrade

__all__ = ["check", "create_revision", "current", "downgrade", "plan", "upgrade"]
