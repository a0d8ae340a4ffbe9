"""What the layout promises and imports alone cannot say."""

import ast
import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Index, Table, UniqueConstraint, inspect
from sqlalchemy.orm import Mapper
from sqlalchemy.sql.schema import Column

import graphql_api
import loaders
from graphql_api import models
from graphql_api.auth import visibility
from loaders.core import Page
from loaders.core.orders import Order
from schema import errors, schema

ROOT = Path(__file__).parents[1]
LAYERS = ("graphql_api", "loaders", "schema")
LONGEST_FILE = 400

NOT_EXPOSED = {
    "AnnualBilling",
    "ApiKeyHistory",
    "AuthType",
    "BillingFact",
    "BrandingType",
    "Complaint",
    "DataRetention",
    "DefaultAnnualAllowance",
    "Delivery",
    "EmailBranding",
    "EmailReplyToAddress",
    "Event",
    "FolderPermission",
    "GuestListEntry",
    "IdempotencyKey",
    "InboundMessage",
    "InboundMessageHistory",
    "InboundNumber",
    "InviteStatusType",
    "InvitedOrganisationUser",
    "InvitedUser",
    "JobStatus",
    "JoinRequest",
    "JoinRequestContact",
    "KeyType",
    "LastWrite",
    "LetterAttachment",
    "LetterBranding",
    "LetterContact",
    "LetterDespatch",
    "LetterDespatchFact",
    "LetterRate",
    "NotificationAllTime",
    "NotificationStatusFact",
    "NotificationStatusType",
    "OrganisationEmailBranding",
    "OrganisationLetterBranding",
    "OrganisationMemberPermission",
    "OrganisationMembership",
    "OrganisationType",
    "ProcessingTimeFact",
    "ProtectedSenderId",
    "Provider",
    "ProviderHistory",
    "Rate",
    "RateBucket",
    "ReportRequest",
    "ReturnedLetter",
    "SecurityKey",
    "ServiceEmailBranding",
    "ServiceFeatureType",
    "ServiceHistory",
    "ServiceLetterBranding",
    "ServiceStatisticsFact",
    "Session",
    "SmsSender",
    "TemplateEmailFile",
    "TemplateEmailFileHistory",
    "TemplateFolder",
    "TemplateFolderEntry",
    "UnsubscribeReport",
    "UnsubscribeRequest",
    "UnsubscribeRequestHistory",
    "VerifyCode",
    "Webhook",
    "WebhookHistory",
    "WebhookType",
}
"""Tables of which GraphQL shows no row; rules and counts may read them."""


def test_nothing_commits_but_the_end_of_a_transaction() -> None:
    committing = {
        str(path.relative_to(ROOT))
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "commit"
    }

    assert committing == set(), "a transaction commits by ending: see Database.transaction"


def test_every_table_says_who_sees_it_or_is_named_as_not_exposed() -> None:
    mapped = {mapper.class_.__name__ for mapper in models.Model.registry.mappers}
    seen = {model.__name__ for model in visibility.ROW_VISIBILITY}

    assert seen & NOT_EXPOSED == set()
    assert seen | NOT_EXPOSED == mapped


def test_every_guarded_column_exists() -> None:
    assert [
        (model.__name__, name)
        for model, name in visibility.COLUMN_VISIBILITY
        if name not in inspect(model).column_attrs
    ] == []


def orders() -> Iterator[tuple[str, Page, Order]]:
    """Every order of every page that the loaders declare."""
    for module in pkgutil.iter_modules(loaders.__path__, "loaders."):
        for name, page in vars(importlib.import_module(module.name)).items():
            if isinstance(page, Page):
                yield f"{module.name}.{name}", page, page.order
                for order in page.orders.values():
                    yield f"{module.name}.{name} by {order.name}", page, order


def test_every_page_order_is_total() -> None:
    partial = [name for name, page, order in orders() if not is_unique(page, order.sort_keys(order.descending)[-1])]

    assert partial == []


def test_every_page_order_over_plain_columns_has_its_index() -> None:
    unserved = {
        name
        for name, page, order in orders()
        if all(hasattr(key, "key") and hasattr(key, "property") for key in order.sort_keys(order.descending))
        and not served(page, [key.property.columns[0] for key in order.sort_keys(order.descending)])
    }

    assert unserved == set()


def is_unique(page: Page, key: Any) -> bool:
    """Whether a column tells the rows of a page apart."""
    table = page.model.__table__
    assert isinstance(table, Table)
    (column,) = key.property.columns
    parent = [] if page.foreign_key is None else [page.foreign_key.property.columns[0]]
    uniques = [set(table.primary_key.columns)]
    uniques += [set(one.columns) for one in table.constraints if isinstance(one, UniqueConstraint)]
    return any(unique <= {column, *parent} for unique in uniques)


def served(page: Page, columns: list[Column[Any]]) -> bool:
    """Whether an index begins with the parent's column and holds the order's in a row; a tail may be sorted."""
    table = page.model.__table__
    assert isinstance(table, Table)
    parent = [] if page.foreign_key is None else [page.foreign_key.property.columns[0]]
    wanted = [column.name for column in [*parent, *columns]]
    return any(
        names[: len(wanted)] == wanted or names == wanted[: len(names)] != wanted[: len(parent)]
        for names in index_columns(table)
    )


def index_columns(table: Table) -> list[list[str]]:
    """Columns of every index of a table, those behind constraints included."""
    found = [[column.name for column in table.primary_key.columns]]
    found += [[column.name for column in index.columns] for index in table.indexes if isinstance(index, Index)]
    found += [[column.name for column in one.columns] for one in table.constraints if isinstance(one, UniqueConstraint)]
    return found


def test_the_printed_schema_is_current() -> None:
    printed = (ROOT / "schema" / "schema.graphql").read_text()

    assert printed == schema.as_str() + "\n", "Write it anew: ./run schema --write"


def test_every_user_error_is_in_the_schema() -> None:
    kinds = {kind.__name__ for kind in errors.UserError.__subclasses__()}

    assert kinds == {kind.__name__ for kind, _ in errors.ERROR_TYPES.values()}
    assert all(f"type {kind} implements UserError" in schema.as_str() for kind in kinds)


def test_no_file_is_longer_than_a_story() -> None:
    long = {
        str(path.relative_to(ROOT)): n for path in sources() if (n := len(path.read_text().splitlines())) > LONGEST_FILE
    }

    assert long == {}


def test_schema_modules_keep_their_annotations() -> None:
    assert [
        path.name for path in (ROOT / "schema").glob("*.py") if "from __future__ import annotations" in path.read_text()
    ] == []


def test_relationships_are_never_loaded_by_surprise() -> None:
    lazy = [
        f"{mapper.class_.__name__}.{relationship.key}"
        for mapper in models.Model.registry.mappers
        if isinstance(mapper, Mapper)
        for relationship in mapper.relationships
        if relationship.lazy != "raise"
    ]

    assert lazy == []


def test_the_map_names_every_module_once() -> None:
    assert graphql_api.__doc__ is not None
    rows = [re.split(r"  +", line.strip())[0] for line in graphql_api.__doc__.splitlines() if line.startswith("    ")]
    named = [name for row in rows for name in re.split(r"[ ,|]+", row)]
    modules = {module.name for module in pkgutil.iter_modules(graphql_api.__path__)} | {"schema", "loaders"}

    assert Counter(named) == Counter(modules - {"__main__"})


def test_the_alembic_folder_does_not_shadow_the_library() -> None:
    assert not (ROOT / "alembic" / "__init__.py").exists()


def test_authentication_writes_no_rows() -> None:
    writes = re.compile(r"\b(insert|update|delete)\(|\btx\.add|\b(INSERT INTO|UPDATE|DELETE FROM|MERGE INTO)\s")

    assert [path.name for path in (ROOT / "graphql_api" / "auth").glob("*.py") if writes.search(path.read_text())] == []


def sources() -> Iterator[Path]:
    """Our own Python files."""
    for layer in LAYERS:
        yield from (ROOT / layer).rglob("*.py")
