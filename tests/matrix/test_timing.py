"""Missing rows and rows of another tenant are indistinguishable: by response, statements and time."""

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
"""Rounds until one is quiet enough; a real difference shows in each of them."""


def owner(world: World) -> Actor:
    (actor,) = [actor for role, actor in world.callers if role.name == "owner" and actor]
    return actor


async def ask(world: World, query: str, variables: dict[str, object]) -> tuple[object, float]:
    began = time.perf_counter()
    result = await schema.execute(query, variables, context_value=world.context_for(owner(world)))
    seconds = time.perf_counter() - began
    return (result.data, [error.message for error in result.errors or []]), seconds


@pytest.mark.parametrize("field", [*ROOT_FIELDS_BY_ID, "node"])
async def test_reading_a_foreign_row_runs_the_statements_of_a_missing_one(
    world: World, engine: AsyncEngine, field: str
) -> None:
    kind = "Service" if field == "node" else field.capitalize()
    query = f"query ($id: ID!) {{ {field}(id: $id) {{ __typename }} }}"
    foreign = str(world.theirs.ids[kind])
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith(SAVEPOINT_STATEMENTS):
            sent.append(statement)

    responses = []
    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        for row_id in (foreign, str(uuid4())):
            responses.append(((await ask(world, query, {"id": row_id}))[0], list(sent)))
            sent.clear()
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)

    assert responses[0] == responses[1]
    assert await timing_difference(world, query, foreign) is None


async def timing_difference(world: World, query: str, foreign: str) -> tuple[float, float] | None:
    """The medians of both if they differ in every round; attempts alternate, so that load delays both."""
    medians = 0.0, 0.0
    for _ in range(ROUNDS):
        seconds: dict[bool, list[float]] = {True: [], False: []}
        for number in range(2 * ATTEMPTS_PER_ROUND):
            is_foreign = number % 2 == 0
            seconds[is_foreign].append((await ask(world, query, {"id": foreign if is_foreign else str(uuid4())}))[1])
        medians = statistics.median(seconds[True]), statistics.median(seconds[False])
        if abs(medians[0] - medians[1]) < MAX_DIFFERENCE_RATIO * max(medians):
            return None
    return medians


@pytest.mark.parametrize(("mutation", "path"), FOREIGN, ids=str)
async def test_changing_a_foreign_row_runs_the_statements_of_a_missing_one(
    world: World, engine: AsyncEngine, mutation: str, path: tuple[str, ...]
) -> None:
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith(SAVEPOINT_STATEMENTS):
            sent.append(statement)

    arguments, counts, responses = valid_inputs(world.ours.arguments)[mutation], [], []
    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        for foreign in (world.theirs.arguments[path[-1]], str(uuid4())):
            data, _ = await ask(world, mutation_document(mutation), {"input": replace_at(arguments, path, foreign)})
            responses.append(str(data).replace(foreign, "the id"))
            counts.append(list(sent))
            sent.clear()
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)

    assert responses[0] == responses[1]
    assert counts[0] == counts[1]
