"""Who created a database: no migration yet, our migrations, GOV.UK Notify's, or an unknown program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine.reflection import ObjectKind

from graphql_api import models
from graphql_api.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from alembic.script import Script
    from sqlalchemy.dialects.postgresql.base import PGInspector

VERSION_TABLE = "graphql_api_version"
"""The version table of our migrations; Notify's is `alembic_version`."""

MIGRATION_LOCK_ID = int.from_bytes(b"alembic\0", "big")
"""Id of the advisory lock. Notify's migrations take the same one, so the two never run at once."""

NOTIFY_TABLES = frozenset(
    """
    annual_billing api_keys api_keys_history auth_type branding_type complaints default_annual_allowance domain
    email_branding email_branding_to_organisation events ft_billing ft_billing_letter_despatch ft_notification_status
    ft_processing_time ft_service_stats inbound_numbers inbound_sms inbound_sms_history invite_status_type
    invited_organisation_users invited_users job_status jobs key_types letter_attachment letter_branding
    letter_branding_to_organisation letter_rates notification_history notification_status_types notifications
    notifications_all_time_view notifications_letter_despatch organisation organisation_permissions organisation_types
    organisation_user_permissions permissions protected_sender_ids provider_details provider_details_history rates
    report_requests returned_letters service_callback_api service_callback_api_history service_callback_type
    service_contact_list service_data_retention service_email_branding service_email_reply_to
    service_join_request_contacted_users service_join_requests service_letter_branding service_letter_contacts
    service_permission_types service_permissions service_sms_senders service_whitelist services services_history
    template_email_files template_email_files_history template_folder template_folder_map template_redacted templates
    templates_history unsubscribe_request unsubscribe_request_history unsubscribe_request_report
    user_folder_permissions user_to_organisation user_to_service users verify_codes webauthn_credential
    """.split()  # noqa: SIM905 a list of 78 quoted words is hard to read
)
"""The tables and the view of Notify at `SUPPORTED_NOTIFY_REVISION`; every other table is ours."""

SUPPORTED_NOTIFY_REVISION = "0560_add_nhs_notify_org"
"""Notify's revision that the models correspond to."""

NOTIFY_BASELINE_REVISION = "0013"
"""Our revision that a database created by Notify is stamped with; it is never downgraded below it."""

NOTIFY_INDEX_REVISIONS = {"0014", "0015", "0016", "0017", "0018", "0019", "0020", "0021", "0022", "0031"}
"""Revisions about Notify's tables that do not say so with `of_notify = True`, as later ones do."""

MAX_LISTED_NAMES = 12
"""Number of missing objects that a message names."""


@dataclass(frozen=True)
class DatabaseOrigin:
    """Revisions by which it is known who created a database."""

    revision: str | None
    """Ours; None before our first migration."""
    notify_revision: str | None
    """Notify's; None in a database that Notify did not create."""

    @classmethod
    def read(cls, connection: sa.Connection) -> DatabaseOrigin:
        """Read both version tables."""
        return cls(_read_revision(connection, VERSION_TABLE), _read_revision(connection, "alembic_version"))


def is_skipped_revision(script: Script) -> bool:
    """Whether a revision is about Notify's tables: in a database that Notify created it does nothing, up or down."""
    return script.revision in NOTIFY_INDEX_REVISIONS or getattr(script.module, "of_notify", False)


def require_supported_database(connection: sa.Connection, origin: DatabaseOrigin) -> None:
    """Raise `CommandError` for a database that our migrations do not support; nothing is changed."""
    inspector: Any = sa.inspect(connection)
    if origin.notify_revision:
        if missing := list(_missing_objects(inspector)):
            raise CommandError(
                f"GOV.UK Notify made this database, and at its revision {origin.notify_revision} it lacks what we "
                f"need: {_join_names(missing)}. Nothing was changed: bring it to Notify's {SUPPORTED_NOTIFY_REVISION} "
                "or later first."
            )
    elif not origin.revision and (
        unexpected := sorted(set(inspector.get_table_names()) & set(models.Model.metadata.tables))
    ):
        raise CommandError(
            f"The database holds tables of our names ({_join_names(unexpected)}), and neither {VERSION_TABLE} nor "
            "Notify's alembic_version records who created them. Nothing was changed: use an empty database, or restore "
            "the version table that belongs to them."
        )


def _read_revision(connection: sa.Connection, table: str) -> str | None:
    if not sa.inspect(connection).has_table(table):
        return None
    return connection.scalar(sa.select(sa.func.max(sa.column("version_num"))).select_from(sa.table(table)))


def _missing_objects(inspector: PGInspector) -> Iterator[str]:
    """Tables, columns and enum values of Notify that the models use and the database lacks."""
    tables = [table for table in models.Model.metadata.sorted_tables if table.name in NOTIFY_TABLES]
    reflected = inspector.get_multi_columns(kind=ObjectKind.ANY, filter_names=[table.name for table in tables])
    columns = {name: {column["name"] for column in reflected[key]} for key in reflected for name in [key[1]]}
    labels = {enum["name"]: set(enum["labels"]) for enum in inspector.get_enums()}
    enum_values: dict[str, list[str]] = {}
    for table in tables:
        if table.name not in columns:
            yield f"table {table.name}"
            continue
        yield from (
            f"column {table.name}.{column.name}" for column in table.c if column.name not in columns[table.name]
        )
        enum_values |= {
            column.type.name: column.type.enums
            for column in table.c
            if isinstance(column.type, sa.Enum) and column.type.native_enum and column.type.name
        }
    for name, values in enum_values.items():
        yield from (f"value {label} of type {name}" for label in values if label not in labels.get(name, ()))


def _join_names(names: Iterable[str]) -> str:
    *names, last = names
    if len(names) >= MAX_LISTED_NAMES:
        names, last = names[: MAX_LISTED_NAMES - 1], f"{len(names) - MAX_LISTED_NAMES + 2} more"
    return f"{', '.join(names)} and {last}" if names else last
