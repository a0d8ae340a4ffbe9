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
from tests.matrix import documents
from tests.matrix.audiences import words_of
from tests.matrix.documents import Document
from tests.matrix.ground_truth import Truth
from tests.matrix.policies import policy
from tests.matrix.runner import ask_everybody, note
from tests.matrix.worlds import World
from tests.schema.tenants import SCHEMA

FEWEST_CELLS = 5_000


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
    rules = [rule.who for fields in policy().fields.values() for rule in fields.values()]

    assert words_of(*policy().seen_by.values(), *rules) == set()


def ids_of(world: World, document: Document) -> list[dict[str, Any]]:
    """Our own row of the type that a document takes, and the other tenant's."""
    if document.takes is None:
        return [{}]
    return [{"id": str(tenant.ids[document.takes])} for tenant in (world.ours, world.theirs)]


@pytest.mark.timeout(300)
async def test_every_path_tells_everybody_what_the_policy_says(world: World, truth: Truth) -> None:
    began = time.perf_counter()
    found = await ask_everybody(
        world, truth, [(one, ids_of(world, one)) for one in documents.documents(int(os.environ.get("DEPTH", "4")))]
    )
    note("paths", found, time.perf_counter() - began)

    assert found.faults == []
    assert len(found.cells) > FEWEST_CELLS


async def test_every_row_tells_everybody_what_the_policy_says(world: World, truth: Truth) -> None:
    began = time.perf_counter()
    asked = [
        (document, [{"ids": [id_ for kind, id_ in truth.facts if kind == document.takes]}])
        for document in documents.rows()
    ]
    found = await ask_everybody(world, truth, asked)
    note("rows", found, time.perf_counter() - began)

    assert found.faults == []


def of_members(found: list[Document], *names: str) -> list[Document]:
    """Documents that begin at these fields, few enough for a test that something is found."""
    return [one for one in found if any(f" {name}(" in one.text[:60] for name in names)]


async def test_a_row_that_is_found_without_its_rule_is_a_leak(
    world: World, truth: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first planted fault: finding a row by its id asks nobody whose it is."""
    monkeypatch.setattr(statements, "_seen", lambda statement, _model, _scope: statement)
    caches = [value for value in vars(statements).values() if hasattr(value, "cache_clear")]
    for one in caches:
        one.cache_clear()
    asked = [(one, ids_of(world, one)) for one in of_members(documents.documents(1), "user", "template")]
    try:
        found = await ask_everybody(world, truth, asked, roles={"stranger"}, planned=())
    finally:
        for one in caches:
            one.cache_clear()

    assert found.kinds == {"leak": 2 * len(asked)}


async def test_a_field_that_has_lost_its_guard_is_a_leak(
    world: World, truth: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second planted fault: fields ask for no permission."""
    monkeypatch.setattr(resolvers, "require", lambda *_: None)
    asked = [(one, ids_of(world, one)) for one in of_members(documents.documents(2), "service")]
    found = await ask_everybody(world, truth, asked, roles={"member without permissions", "live key"}, planned=())

    assert found.kinds["errors"] >= 1
    assert found.kinds["leak"] >= 1
