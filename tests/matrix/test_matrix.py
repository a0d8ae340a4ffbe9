"""Every field of the schema, by every path and for every role: exactly what `policy.txt` allows."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import GraphQLObjectType

from loaders.core import statements
from schema.core import resolvers
from tests.graphql_schema import SCHEMA
from tests.matrix import documents
from tests.matrix.audiences import undefined_words
from tests.matrix.documents import Document
from tests.matrix.ground_truth import GroundTruth
from tests.matrix.policies import policy
from tests.matrix.runner import append_summary, run_for_every_role
from tests.matrix.worlds import World

MIN_CELLS = 5_000


def object_types() -> Iterator[GraphQLObjectType]:
    for kind in SCHEMA.type_map.values():
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__"):
            yield kind


def test_every_field_of_the_schema_has_a_rule_and_every_rule_a_field() -> None:
    ruled = {f"{kind}.{name}" for kind, fields in policy().fields.items() for name in fields}
    there = {f"{kind.name}.{name}" for kind in object_types() for name in kind.fields}

    assert sorted(there - ruled) == []
    assert sorted(ruled - there) == []


def test_the_policy_uses_known_words_only() -> None:
    rules = [rule.audience for fields in policy().fields.values() for rule in fields.values()]

    assert undefined_words(*policy().row_audiences.values(), *rules) == set()


def ids_of(world: World, document: Document) -> list[dict[str, Any]]:
    """The own row and the other tenant's row of the type that a document takes."""
    if document.id_type is None:
        return [{}]
    return [{"id": str(tenant.ids[document.id_type])} for tenant in (world.ours, world.theirs)]


@pytest.mark.timeout(1_800)
async def test_every_path_shows_each_role_what_the_policy_allows(world: World, truth: GroundTruth) -> None:
    began = time.perf_counter()
    result = await run_for_every_role(
        world,
        truth,
        [
            (document, ids_of(world, document))
            for document in documents.path_documents(int(os.environ.get("DEPTH", "4")))
        ],
    )
    append_summary("paths", result, time.perf_counter() - began)

    assert result.mismatches == []
    assert len(result.cells) > MIN_CELLS


async def test_every_row_shows_each_role_what_the_policy_allows(world: World, truth: GroundTruth) -> None:
    began = time.perf_counter()
    cases = [
        (document, [{"ids": [id_ for kind, id_ in truth.facts if kind == document.id_type]}])
        for document in documents.row_documents()
    ]
    result = await run_for_every_role(world, truth, cases)
    append_summary("rows", result, time.perf_counter() - began)

    assert result.mismatches == []


def documents_starting_at(candidates: list[Document], *names: str) -> list[Document]:
    """Documents that begin at these fields, for tests that faults are detected."""
    return [document for document in candidates if any(f" {name}(" in document.text[:60] for name in names)]


async def test_a_table_without_its_visibility_rule_is_detected(
    world: World, truth: GroundTruth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first planted fault: a look-up by id has no visibility predicate."""
    monkeypatch.setattr(statements, "visible_rows", lambda statement, _model, _scope: statement)
    caches = [value for value in vars(statements).values() if hasattr(value, "cache_clear")]
    for cached in caches:
        cached.cache_clear()
    cases = [
        (document, ids_of(world, document))
        for document in documents_starting_at(documents.path_documents(1), "user", "template")
    ]
    try:
        result = await run_for_every_role(world, truth, cases, roles={"stranger"}, planned_roles=())
    finally:
        for cached in caches:
            cached.cache_clear()

    assert result.counts_by_kind == {"leak": 2 * len(cases)}


async def test_a_column_without_its_visibility_rule_is_detected(
    world: World, truth: GroundTruth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second planted fault: fields require no permission."""
    monkeypatch.setattr(resolvers, "require_field_access", lambda *_: None)
    cases = [
        (document, ids_of(world, document))
        for document in documents_starting_at(documents.path_documents(2), "service")
    ]
    result = await run_for_every_role(
        world, truth, cases, roles={"member without permissions", "live key"}, planned_roles=()
    )

    assert result.counts_by_kind["errors"] >= 1
    assert result.counts_by_kind["leak"] >= 1
