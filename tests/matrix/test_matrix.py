"""Everything that the schema tells, to everybody, by every path: what `policy.txt` says, no more and no less."""

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


def test_every_word_of_the_policy_is_known() -> None:
    rules = [rule.audience for fields in policy().fields.values() for rule in fields.values()]

    assert undefined_words(*policy().row_audiences.values(), *rules) == set()


def ids_of(world: World, document: Document) -> list[dict[str, Any]]:
    """Our own row of the type that a document takes, and the other tenant's."""
    if document.id_type is None:
        return [{}]
    return [{"id": str(tenant.ids[document.id_type])} for tenant in (world.ours, world.theirs)]


@pytest.mark.timeout(1_800)
async def test_every_path_tells_everybody_what_the_policy_says(world: World, truth: GroundTruth) -> None:
    began = time.perf_counter()
    found = await run_for_every_role(
        world, truth, [(one, ids_of(world, one)) for one in documents.path_documents(int(os.environ.get("DEPTH", "4")))]
    )
    append_summary("paths", found, time.perf_counter() - began)

    assert found.mismatches == []
    assert len(found.cells) > MIN_CELLS


async def test_every_row_tells_everybody_what_the_policy_says(world: World, truth: GroundTruth) -> None:
    began = time.perf_counter()
    asked = [
        (document, [{"ids": [id_ for kind, id_ in truth.facts if kind == document.id_type]}])
        for document in documents.row_documents()
    ]
    found = await run_for_every_role(world, truth, asked)
    append_summary("rows", found, time.perf_counter() - began)

    assert found.mismatches == []


def documents_starting_at(found: list[Document], *names: str) -> list[Document]:
    """Documents that begin at these fields, few enough for a test that something is found."""
    return [one for one in found if any(f" {name}(" in one.text[:60] for name in names)]


async def test_a_row_that_is_found_without_its_rule_is_a_leak(
    world: World, truth: GroundTruth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first planted fault: finding a row by its id asks nobody whose it is."""
    monkeypatch.setattr(statements, "visible_rows", lambda statement, _model, _scope: statement)
    caches = [value for value in vars(statements).values() if hasattr(value, "cache_clear")]
    for one in caches:
        one.cache_clear()
    asked = [
        (one, ids_of(world, one)) for one in documents_starting_at(documents.path_documents(1), "user", "template")
    ]
    try:
        found = await run_for_every_role(world, truth, asked, roles={"stranger"}, planned_roles=())
    finally:
        for one in caches:
            one.cache_clear()

    assert found.counts_by_kind == {"leak": 2 * len(asked)}


async def test_a_field_that_has_lost_its_guard_is_a_leak(
    world: World, truth: GroundTruth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second planted fault: fields ask for no permission."""
    monkeypatch.setattr(resolvers, "require_field_access", lambda *_: None)
    asked = [(one, ids_of(world, one)) for one in documents_starting_at(documents.path_documents(2), "service")]
    found = await run_for_every_role(
        world, truth, asked, roles={"member without permissions", "live key"}, planned_roles=()
    )

    assert found.counts_by_kind["errors"] >= 1
    assert found.counts_by_kind["leak"] >= 1
