"""Rules of the code's structure: layers, names, tables, page orders, the printed schema."""

import ast
import importlib
import io
import pkgutil
import re
import shutil
import subprocess
import sys
import tokenize
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import grimp
import pytest
from sqlalchemy import Table, UniqueConstraint, inspect
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
ROOT_PACKAGES = ("graphql_api", "loaders", "schema")
MAX_FILE_LINES = 400
TOP_LEVEL_MODULES = {"__init__", "__main__", "app", "context", "enums", "errors", "settings", "statuses", "tasks"}

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
"""Tables of which GraphQL exposes no row; the domain and counts may read them."""


def sources() -> Iterator[Path]:
    """Every Python file of the product."""
    for package in ROOT_PACKAGES:
        yield from (ROOT / package).rglob("*.py")


def packages() -> Iterator[Path]:
    """The folder of every package of the product."""
    for path in sources():
        if path.name == "__init__.py":
            yield path.parent


def test_the_top_level_holds_packages_and_few_modules() -> None:
    package = ROOT / "graphql_api"

    assert {path.stem for path in package.glob("*.py")} == TOP_LEVEL_MODULES
    assert [
        path.name
        for path in package.iterdir()
        if path.is_dir() and not path.name.startswith((".", "__")) and not (path / "__init__.py").exists()
    ] == ["static"]  # the built explorer


def test_the_root_holds_the_known_packages() -> None:
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == {*ROOT_PACKAGES, "benchmarks"}
    assert list(ROOT.glob("*.py")) == []


def test_the_map_names_every_package_once_in_the_order_of_the_layers() -> None:
    assert graphql_api.__doc__ is not None
    rows = [re.split(r"  +", line.strip())[0] for line in graphql_api.__doc__.splitlines() if line.startswith("    ")]

    named = [[name.strip() for name in row.split(",")] for row in rows]
    layers = [
        {module.removeprefix("graphql_api.") for module in layer} for layer in contract_layers("Layers look down only")
    ]
    order = {module: number for number, layer in enumerate(layers) for module in layer}
    assert Counter(name for row in named for name in row) == Counter(list(order))
    assert [order[name] for row in named for name in row] == sorted(order.values())


def contract_layers(name: str) -> list[list[str]]:
    """The layers of one import-linter contract, from the top; a layer is a list of modules."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = [contract for contract in contracts if contract["name"] == name]
    return [re.split(r" [|:] ", layer) for layer in contract["layers"]]


def test_both_layer_contracts_list_the_same_packages_in_the_same_order() -> None:
    rooms = [
        [module.removeprefix("graphql_api.") for module in layer if module.startswith("graphql_api.")]
        for layer in contract_layers("Layers look down only")
    ]

    assert contract_layers("Every package stands in a layer") == [room for room in rooms if room]


PLANTED = {
    "graphql_api/utils/__init__.py": "graphql_api.utils",
    "graphql_api/helpers.py": "graphql_api.helpers",
    "graphql_api/models/planted.py": "graphql_api.models.planted -> graphql_api.http.requests",
}
"""Files that break the contracts, and what import-linter says of each."""


def test_lint_fails_for_a_package_in_no_layer_and_for_an_upward_import(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for source in sources():
        copied = tmp_path / source.relative_to(ROOT)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.symlink_to(source)
    for name in PLANTED:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(
            "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from graphql_api.http import requests\n"
        )

    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache", "--no-logo"], cwd=tmp_path, capture_output=True, check=False, text=True
    )

    assert done.returncode == 1, done.stdout + done.stderr
    assert [finding for finding in PLANTED.values() if finding not in done.stdout] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Circles of types count; two are allowed: relationships of models, and references through `schema/refs.py`."""
    everything = grimp.build_graph(*ROOT_PACKAGES, cache_dir=None)
    at_run_time = grimp.build_graph(*ROOT_PACKAGES, cache_dir=None, exclude_type_checking_imports=True)

    def imported_by(module: str) -> set[str]:
        imported = set(everything.find_modules_directly_imported_by(module))
        if module == "schema.refs":
            return set()
        if module.startswith("graphql_api.models."):
            imported -= {
                name
                for name in imported - at_run_time.find_modules_directly_imported_by(module)
                if name.startswith("graphql_api.models.")
            }
        return imported

    assert circles(everything.modules, imported_by) == []


def test_the_cores_import_nothing_else_of_their_package() -> None:
    graph = grimp.build_graph(*ROOT_PACKAGES, cache_dir=None)

    assert [
        f"{module} -> {imported}"
        for package in ("schema", "loaders")
        for module in sorted(graph.find_descendants(f"{package}.core") | {f"{package}.core"})
        for imported in sorted(graph.find_modules_directly_imported_by(module))
        if imported.startswith(package) and not imported.startswith(f"{package}.core")
    ] == []


def circles(modules: Iterable[str], imported_by: Callable[[str], set[str]]) -> list[list[str]]:
    """Modules that import each other, a list for each strongly connected component (Tarjan's algorithm)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    components: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for imported in sorted(imported_by(module)):
            if imported not in index:
                visit(imported)
                low[module] = min(low[module], low[imported])
            elif imported in stack:
                low[module] = min(low[module], index[imported])
        if low[module] == index[module]:
            component = stack[stack.index(module) :]
            del stack[-len(component) :]
            if len(component) > 1:
                components.append(sorted(component))

    for module in sorted(modules):
        if module not in index:
            visit(module)
    return components


@pytest.mark.parametrize("folder", sorted(packages()), ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_package_lists_its_files_in_a_table_of_its_docstring(folder: Path) -> None:
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    rows = [line for line in docstring.splitlines() if line.startswith(("  ", "| "))]
    words = set(re.findall(r"\w+", "\n".join(rows)))

    files = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    assert files - {"__init__", "__main__"} - words == set()


IDIOM = frozenset(
    {
        *("whoever", "nobody", "somebody"),
        *("tell", "tells", "telling", "told", "hear", "hears", "heard", "asks"),
        *("patience", "pressure", "refusal", "refusals", "tally", "breathe", "owe", "owes"),
    }
)
"""Words of no identifier, docstring or comment: the field has a term, or the sentence has a subject."""
IDIOMATIC_PHRASES = ("lets go", "let go", "whose it is", "what there is", "none of", "by now")
REPLACED_NAMES = frozenset(
    {
        *("Asked", "Away", "Borrowed", "Callers", "Complaint", "Declined", "Desk", "Ends", "Follower", "Gate", "Going"),
        *("Guarded", "Hole", "Kept", "Lent", "Live", "Looked", "NotRun", "Pressure", "Ready", "Refusal"),
        *("Rejected", "Rig", "Seat", "Shell", "Standing", "Tally", "Telling", "Told", "ToldByKey", "Toll"),
        *("AGAIN", "GIVE_UP", "LONGEST", "MARK", "MOST", "PATIENCE"),
    }
)
"""Identifiers that a word of the field has replaced."""
ALLOWED_IDENTIFIERS = {
    "database_patience": "the setting DATABASE_PATIENCE, which operators know",
    "Complaint": "the model of Notify's table `complaints`",
}
SPLIT_IDENTIFIER = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def idiom_in(path: Path) -> Iterator[str]:
    """Each replaced word in the identifiers, docstrings and comments of a file, with its line."""
    text = path.read_text()
    prose = [
        (node.lineno, node.value.value)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            prose.append((token.start[0], token.string))
        elif token.type == tokenize.NAME and token.string not in ALLOWED_IDENTIFIERS:
            words = {word.lower() for word in SPLIT_IDENTIFIER.findall(token.string)}
            if token.string in REPLACED_NAMES or words & IDIOM:
                yield f"{path.name}:{token.start[0]}: {token.string}"
    for line, sentence in prose:
        plain = re.sub(r"`[^`]*`|\s+", " ", sentence.lower())
        words = set(re.findall(r"[a-z]+", plain)) & IDIOM
        words |= {phrase for phrase in IDIOMATIC_PHRASES if re.search(rf"\b{phrase}\b", plain)}
        yield from (f"{path.name}:{line}: {word}" for word in sorted(words))


@pytest.mark.parametrize("folder", sorted(packages()), ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_package_is_written_in_the_words_of_the_field(folder: Path) -> None:
    assert [finding for path in sorted(folder.glob("*.py")) for finding in idiom_in(path)] == []


def test_only_the_end_of_a_transaction_commits() -> None:
    committing = {
        str(path.relative_to(ROOT))
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "commit"
    }

    assert committing == set(), "a transaction commits at its end: see Database.transaction"


def test_every_table_has_a_visibility_or_is_listed_as_not_exposed() -> None:
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
    unindexed = {
        name
        for name, page, order in orders()
        if all(hasattr(key, "key") and hasattr(key, "property") for key in order.sort_keys(order.descending))
        and not is_indexed(page, [key.property.columns[0] for key in order.sort_keys(order.descending)])
    }

    assert unindexed == set()


def is_unique(page: Page, key: Any) -> bool:
    """Whether a column is unique among the rows of a page."""
    table = page.model.__table__
    assert isinstance(table, Table)
    (column,) = key.property.columns
    parent = [] if page.foreign_key is None else [page.foreign_key.property.columns[0]]
    uniques = [set(table.primary_key.columns)]
    uniques += [set(constraint.columns) for constraint in table.constraints if isinstance(constraint, UniqueConstraint)]
    return any(unique <= {column, *parent} for unique in uniques)


def is_indexed(page: Page, columns: list[Column[Any]]) -> bool:
    """Whether an index starts with the parent's column and then the order's; the last ones may be sorted instead."""
    table = page.model.__table__
    assert isinstance(table, Table)
    parent = [] if page.foreign_key is None else [page.foreign_key.property.columns[0]]
    wanted = [column.name for column in [*parent, *columns]]
    return any(
        names[: len(wanted)] == wanted or names == wanted[: len(names)] != wanted[: len(parent)]
        for names in index_columns(table)
    )


def index_columns(table: Table) -> list[list[str]]:
    """The columns of each index of a table, including those of constraints."""
    constraints = [constraint for constraint in table.constraints if isinstance(constraint, UniqueConstraint)]
    columns = [table.primary_key.columns, *(index.columns for index in table.indexes)]
    columns += [constraint.columns for constraint in constraints]
    return [[column.name for column in group] for group in columns]


def test_the_printed_schema_is_current() -> None:
    printed = (ROOT / "schema" / "schema.graphql").read_text()

    assert printed == schema.as_str() + "\n", "Update it: ./run schema --write"


def test_every_user_error_is_in_the_schema() -> None:
    kinds = {kind.__name__ for kind in errors.UserError.__subclasses__()}

    assert kinds == {kind.__name__ for kind, _ in errors.ERROR_TYPES.values()}
    assert all(f"type {kind} implements UserError" in schema.as_str() for kind in kinds)


def test_no_file_is_longer_than_400_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): n
        for path in sources()
        if (n := len(path.read_text().splitlines())) > MAX_FILE_LINES
    }

    assert long == {}


def test_schema_modules_keep_their_annotations() -> None:
    assert [
        path.name for path in (ROOT / "schema").glob("*.py") if "from __future__ import annotations" in path.read_text()
    ] == []


def test_relationships_are_never_loaded_lazily() -> None:
    lazy = [
        f"{mapper.class_.__name__}.{relationship.key}"
        for mapper in models.Model.registry.mappers
        if isinstance(mapper, Mapper)
        for relationship in mapper.relationships
        if relationship.lazy != "raise"
    ]

    assert lazy == []


def test_the_alembic_folder_does_not_shadow_the_library() -> None:
    assert not (ROOT / "alembic" / "__init__.py").exists()


def test_authentication_writes_no_rows() -> None:
    writes = re.compile(r"\b(insert|update|delete)\(|\btx\.add|\b(INSERT INTO|UPDATE|DELETE FROM|MERGE INTO)\s")

    assert [path.name for path in (ROOT / "graphql_api" / "auth").glob("*.py") if writes.search(path.read_text())] == []
