"""What is not there and what is not one's own are told alike: the same words, as many statements, as long a wait."""

from __future__ import annotations

import statistics
import time
from uuid import uuid4

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from graphql_api.auth.actors import Actor
from schema import schema
from tests.conftest import SAVEPOINT_STATEMENTS
from tests.matrix.documents import ROOT_FIELDS_BY_ID
from tests.matrix.worlds import World
from tests.schema.tenants import mutation_document, replace_at, valid_inputs
from tests.schema.test_foreign_ids import FOREIGN

ATTEMPTS_PER_ROUND = 60
MAX_DIFFERENCE_RATIO = 0.05
ROUNDS = 20
"""Rounds until one is quiet enough; a real difference is there in each of them."""


def owner(world: World) -> Actor:
    (actor,) = [actor for role, actor in world.callers if role.name == "owner" and actor]
    return actor


async def ask(world: World, query: str, variables: dict[str, object]) -> tuple[object, float]:
    began = time.perf_counter()
    result = await schema.execute(query, variables, context_value=world.context_for(owner(world)))
    seconds = time.perf_counter() - began
    return (result.data, [error.message for error in result.errors or []]), seconds


@pytest.mark.parametrize("field", [*ROOT_FIELDS_BY_ID, "node"])
async def test_to_read_what_is_not_ones_own_is_to_read_nothing(world: World, engine: AsyncEngine, field: str) -> None:
    kind = "Service" if field == "node" else field.capitalize()
    query = f"query ($id: ID!) {{ {field}(id: $id) {{ __typename }} }}"
    foreign = str(world.theirs.ids[kind])
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith(SAVEPOINT_STATEMENTS):
            sent.append(statement)

    told = []
    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        for one in (foreign, str(uuid4())):
            told.append(((await ask(world, query, {"id": one}))[0], list(sent)))
            sent.clear()
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)

    assert told[0] == told[1]
    assert await timing_difference(world, query, foreign) is None


async def timing_difference(world: World, query: str, foreign: str) -> tuple[float, float] | None:
    """Medians of both, where they differ in every round; the tries take turns, so that a busy machine delays both."""
    medians = 0.0, 0.0
    for _ in range(ROUNDS):
        taken: dict[bool, list[float]] = {True: [], False: []}
        for number in range(2 * ATTEMPTS_PER_ROUND):
            there = number % 2 == 0
            taken[there].append((await ask(world, query, {"id": foreign if there else str(uuid4())}))[1])
        medians = statistics.median(taken[True]), statistics.median(taken[False])
        if abs(medians[0] - medians[1]) < MAX_DIFFERENCE_RATIO * max(medians):
            return None
    return medians


@pytest.mark.parametrize(("mutation", "path"), FOREIGN, ids=str)
async def test_to_change_what_is_not_ones_own_is_to_change_nothing(
    world: World, engine: AsyncEngine, mutation: str, path: tuple[str, ...]
) -> None:
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith(SAVEPOINT_STATEMENTS):
            sent.append(statement)

    given, counts, told = valid_inputs(world.ours.arguments)[mutation], [], []
    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        for foreign in (world.theirs.arguments[path[-1]], str(uuid4())):
            data, _ = await ask(world, mutation_document(mutation), {"input": replace_at(given, path, foreign)})
            told.append(str(data).replace(foreign, "the id"))
            counts.append(list(sent))
            sent.clear()
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)

    assert told[0] == told[1]
    assert counts[0] == counts[1]
