"""All models: defaults at construction, complete snapshots, relationships without lazy loading."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import inspect
from sqlalchemy.orm import RelationshipProperty

from graphql_api import models

OWN_TABLES = (
    models.Session,
    models.IdempotencyKey,
    models.Upload,
    models.ApiKeyLifetime,
    models.JobRun,
    models.DailyUsage,
    models.RateBucket,
    models.Delivery,
)


def service() -> models.Service:
    return models.Service(
        name="Fishing licences",
        normalised_service_name="fishing.licences",
        email_sender_local_part="fishing.licences",
        created_by_id=uuid4(),
        organisation_id=uuid4(),
        version=7,
        go_live_at=datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001 - columns hold naive UTC
        volume_sms=12,
        notes="Ask first",
    )


def template() -> models.Template:
    return models.Template(
        service_id=uuid4(),
        created_by_id=uuid4(),
        name="Reminder",
        template_type="letter",
        subject="Hello",
        content="((name))",
        letter_languages="english",
        postage="second",
        version=2,
    )


def api_key() -> models.ApiKey:
    return models.ApiKey(service_id=uuid4(), created_by_id=uuid4(), name="Website", secret="signed", key_type="team")


def webhook() -> models.Webhook:
    return models.Webhook(
        service_id=uuid4(), updated_by_id=uuid4(), url="https://example.gov.uk", bearer_token="signed"
    )


def email_file() -> models.TemplateEmailFile:
    return models.TemplateEmailFile(
        template_id=uuid4(), template_version=3, filename="form.pdf", retention_period=26, created_by_id=uuid4()
    )


def provider() -> models.Provider:
    return models.Provider(display_name="Post", identifier="post", notification_type="letter", priority=30)


@pytest.mark.parametrize("make", [service, template, api_key, webhook, email_file, provider])
def test_a_snapshot_has_every_column_of_its_row(make: type) -> None:
    row = make()

    snapshot = row.snapshot()

    columns = inspect(type(row)).column_attrs.keys()
    assert set(inspect(type(snapshot)).column_attrs.keys()) == set(columns)
    assert {name: getattr(snapshot, name) for name in columns} == {name: getattr(row, name) for name in columns}


def test_a_new_row_has_its_defaults_before_it_is_written() -> None:
    row = models.Template(name="Reminder")

    assert isinstance(row.id, UUID)
    assert (row.id.version, row.version, row.archived, row.updated_at) == (7, 1, False, None)
    assert row.created_at.tzinfo is None
    assert models.Template().id != row.id


def test_an_explicit_value_overrides_the_default() -> None:
    assert models.GuestListEntry(created_at=None).created_at is None


def test_a_misspelt_attribute_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"^Template has no attribute 'nam'$"):
        models.Template(nam="Reminder")


def test_sessions_and_uploads_have_random_ids() -> None:
    assert [models.Session().id.version, models.Upload().id.version] == [4, 4]


def relationships() -> list[RelationshipProperty[object]]:
    return [relationship for mapper in models.Model.registry.mappers for relationship in mapper.relationships]


def test_no_relationship_loads_lazily() -> None:
    assert [str(relationship) for relationship in relationships() if relationship.lazy != "raise"] == []


def test_the_password_is_deferred() -> None:
    assert inspect(models.User).column_attrs["password"].deferred is True


def test_every_table_has_a_class_in_the_package() -> None:
    mapped = {mapper.class_.__name__ for mapper in models.Model.registry.mappers}

    assert mapped == set(models.__all__) - {"Model", "utcnow"}


@pytest.mark.parametrize("model", OWN_TABLES)
def test_a_foreign_key_of_our_own_tables_has_an_index(model: type[models.Model]) -> None:
    table = inspect(model).local_table
    small_tables = {"key_types"}
    leading = {index.columns[0].name for index in table.indexes} | {next(iter(table.primary_key)).name}  # type: ignore[attr-defined]
    keys = {key.parent.name for key in table.foreign_keys if key.column.table.name not in small_tables}

    assert keys - leading == set()
