"""The operation plan and its steps: a step reads something for all of its parents at once.

A step sends one statement for the keys of its parents, runs its child steps for the keys of all records, and then calls
generated functions (`codegen`) that copy records, and what the children made, into values of the response.
"""

from __future__ import annotations

import asyncio
from asyncio import gather
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, cast

from graphql_api.auth import visibility
from graphql_api.content.values import uuid_or_none
from graphql_api.planner.errors import NotPlannable
from graphql_api.planner.steps import selects
from loaders.core import statements
from loaders.core.request import MAX_CONNECTIONS_PER_REQUEST
from schema.core.access import require_field_access
from schema.core.node import MAX_NODE_IDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from graphql.execution.values import VariableValues
    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.context import Context
    from graphql_api.planner.driver_pool import Record, StatementRunner
    from graphql_api.planner.selections import ArgumentReader
    from graphql_api.planner.steps.arguments import ConnectionArguments
    from graphql_api.planner.steps.codegen import CursorFunction, JSONValue, RecordsFunction, ValuesFunction
    from loaders.core import Batch, Many, Page, Row
    from schema.core.fields import BatchedField, ConnectionField

Key: TypeAlias = Any
"""The key by which a step reads for a parent: a column, a tuple of columns or a whole row; None for no parent.

The compiler gives each step the keys that it takes; no type connects a generated function with its step.
"""


class PlanRequest:
    """One operation of one caller, while its plan runs."""

    __slots__ = ("_actor_values", "context", "runner", "scope", "variables")

    def __init__(self, context: Context, runner: StatementRunner, variables: VariableValues) -> None:
        self.context = context
        self.runner = runner
        self.variables = variables
        self.scope = visibility.visibility_scope(context.actor)
        self._actor_values: dict[str, object] | None = None

    def require_primary(self, page: Page, arguments: ConnectionArguments) -> None:
        """Raise `NotPlannable` for a page that a replica reads: plans read from the primary."""
        if self.context.database.has_replica and page.is_bulk(arguments.arguments.filters):
            raise NotPlannable

    async def fetch(self, statement: selects.SQLStatement, values: Mapping[str, object]) -> Sequence[Record]:
        """The records of a statement, with these values and the actor's."""
        if statement.uses_actor and self._actor_values is None:
            self._actor_values = visibility.bind_values(self.context.actor)
        arguments = statement.arguments({**self._actor_values, **values} if self._actor_values else values)
        return await self.runner.fetch(statement.sql, arguments, generic_plan=statement.generic_plan)


class Step(Protocol):
    """A part of an operation plan."""

    async def run(self, request: PlanRequest, keys: Sequence[Key]) -> list[JSONValue]:
        """A value of the response for each key; null for a key that is None."""
        ...


class RootField(NamedTuple):
    """A root field: a step, or where that is None a value that never changes."""

    response_key: str
    step: Step | None
    constant: JSONValue = None


@dataclass(slots=True)
class OperationPlan:
    """The plan of one operation: its root fields."""

    roots: list[RootField]
    size: int
    """Approximate memory, in bytes."""
    introspects: bool = False
    """Whether it reads the schema, which requires permission."""

    async def run(self, request: PlanRequest) -> dict[str, JSONValue]:
        """The data of the response; root fields are read concurrently, within a request's number of connections."""
        steps = [root.step for root in self.roots if root.step is not None]
        values = iter([await steps[0].run(request, [None])] if len(steps) == 1 else await _run_all(steps, request))
        return {
            response_key: constant if step is None else next(values)[0] for response_key, step, constant in self.roots
        }


async def _run_all(steps: Sequence[Step], request: PlanRequest) -> list[list[JSONValue]]:
    """The results of all steps, or the first error once all have ended, so that none goes on after the response."""
    semaphore = asyncio.Semaphore(MAX_CONNECTIONS_PER_REQUEST)

    async def run(step: Step) -> list[JSONValue]:
        async with semaphore:
            return await step.run(request, [None])

    results = await gather(*map(run, steps), return_exceptions=True)
    values = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        values.append(result)
    return values


class ChildStep(NamedTuple):
    """A step that runs for the records of another, and the function that takes its keys from them."""

    keys: Callable[[Context, Sequence[Record]], list[Key]]
    step: Step


@dataclass(slots=True)
class OutputPlan:
    """The output of a step: runs the child steps, then each function makes one value of each record."""

    select: selects.RecordSelect
    children: list[ChildStep] = field(default_factory=list)
    functions: list[RecordsFunction] = field(default_factory=list)
    statements: selects.StatementCache = field(default_factory=selects.StatementCache)

    async def run(
        self, request: PlanRequest, records: Sequence[Record], cursor: CursorFunction | None = None
    ) -> list[list[JSONValue]]:
        """For each function, a value for each record."""
        children = [await child.step.run(request, child.keys(request.context, records)) for child in self.children]
        return [function(request.context, cursor, records, *children) for function in self.functions]


@dataclass(slots=True)
class RowStep:
    """Rows by a unique key; null where there is none that the caller sees."""

    row: Row
    output: OutputPlan
    key_places: tuple[int, ...]

    async def run(self, request: PlanRequest, keys: Sequence[Key]) -> list[JSONValue]:
        """A value for each key, which is a tuple where the key has several columns."""
        distinct = [key for key in dict.fromkeys(keys) if key is not None]
        if not distinct:
            return [None] * len(keys)
        if len(self.key_places) == 1:
            arrays = {"key_0": distinct}
        else:
            arrays = {f"key_{index}": list(column) for index, column in enumerate(zip(*distinct, strict=True))}
        statement = self.output.statements.get(
            request.scope, lambda: self.output.select.rows_by_key(self.row, request.scope)
        )
        records = await request.fetch(statement, arrays)
        (written,) = await self.output.run(request, records)
        values: dict[Key, JSONValue] = {}
        for record, value in zip(records, written, strict=True):
            values.setdefault(self._key(record), value)
        return [values.get(key) for key in keys]

    def _key(self, record: Record) -> Key:
        if len(self.key_places) == 1:
            return record[self.key_places[0]]
        return tuple(record[place] for place in self.key_places)


@dataclass(slots=True)
class RowByIdStep:
    """The row of a root field that takes an id."""

    arguments: ArgumentReader[Mapping[str, object]]
    rows: Step

    async def run(self, request: PlanRequest, keys: Sequence[Key]) -> list[JSONValue]:
        """The value, for each key."""
        key = uuid_or_none(cast("str", self.arguments(request.variables)["id"]))
        return await self.rows.run(request, [key] * len(keys))


@dataclass(slots=True)
class ListStep:
    """A short list for each parent."""

    many: Many
    output: OutputPlan

    async def run(self, request: PlanRequest, keys: Sequence[Key]) -> list[JSONValue]:
        """A list for each key."""
        statement = self.output.statements.get(
            request.scope, lambda: self.output.select.lists(self.many, request.scope)
        )
        records = await request.fetch(statement, {"key_0": list(dict.fromkeys(keys))})
        (written,) = await self.output.run(request, records)
        lists: dict[Key, list[JSONValue]] = {}
        for record, value in zip(records, written, strict=True):
            lists.setdefault(record[-1], []).append(value)
        return [lists.get(key, []) for key in keys]


@dataclass(slots=True)
class BatchStep:
    """The results of a batch function; keys are whole rows."""

    batch: Batch
    function: ValuesFunction

    async def run(self, request: PlanRequest, keys: Sequence[Key]) -> list[JSONValue]:
        """A value for each row; null for none."""
        batch_keys = [None if row is None else self.batch.key(row) for row in keys]
        distinct = list(dict.fromkeys(key for row, key in zip(keys, batch_keys, strict=True) if row is not None))
        if not distinct:
            return [None] * len(keys)
        context = request.context

        async def load(connection: AsyncConnection) -> Mapping[Key, object]:
            return await self.batch.load(connection, context.actor, distinct)

        loaded = await context.loaders.read(load, bulk=self.batch.bulk)
        results = [loaded[key] if key in loaded else self.batch.default_factory() for key in distinct]
        values = dict(zip(distinct, self.function(context, results), strict=True))
        return [None if row is None else values[key] for row, key in zip(keys, batch_keys, strict=True)]


@dataclass(frozen=True, slots=True)
class _ResolverInfo:
    """The part of Strawberry's `Info` that resolvers use."""

    context: Context


@dataclass(slots=True)
class ResolverStep:
    """The results of a resolver; keys are whole rows."""

    to_object: Callable[[Key], object]
    """Makes the object that has the field, from a row."""
    resolve: Callable[..., object]
    arguments: ArgumentReader[Mapping[str, object]]
    function: ValuesFunction

    async def run(self, request: PlanRequest, keys: Sequence[Key]) -> list[JSONValue]:
        """A value for each row; null for none."""
        info, arguments = _ResolverInfo(request.context), self.arguments(request.variables)
        present = [index for index, row in enumerate(keys) if row is not None]
        results = [self.resolve(self.to_object(keys[index]), info=info, **arguments) for index in present]
        if results and isawaitable(results[0]):
            results = await gather(*cast("list[Awaitable[object]]", results))
        values: list[JSONValue] = [None] * len(keys)
        for index, value in zip(present, self.function(request.context, results), strict=True):
            values[index] = value
        return values


@dataclass(slots=True)
class NodeStep:
    """Objects of any type by their ids: one statement finds their tables, then one for each type reads them."""

    arguments: ArgumentReader[Mapping[str, object]]
    rows: tuple[Row, ...]
    steps: list[Step]
    """Reads the objects of each of `rows`."""
    statements: selects.StatementCache = field(default_factory=selects.StatementCache)

    async def run(self, request: PlanRequest, keys: Sequence[Key]) -> list[JSONValue]:
        """The object of the argument `id`, or the list of those of `ids`."""
        del keys
        arguments = self.arguments(request.variables)
        ids = cast("Sequence[str]", arguments.get("ids", [arguments.get("id")]))
        if len(ids) > MAX_NODE_IDS:
            raise NotPlannable
        row_ids = [uuid_or_none(text) for text in ids]
        distinct = [key for key in dict.fromkeys(row_ids) if key is not None]
        statement = self.statements.get(
            request.scope,
            lambda: selects.compile_statement(statements.table_index_statement(self.rows, request.scope)),
        )
        records = await request.fetch(statement, {"key_0": distinct}) if distinct else []
        keys_by_table: dict[int, list[Key]] = {}
        for key, table in {key: table for table, key in records}.items():
            keys_by_table.setdefault(table, []).append(key)
        values: dict[Key, JSONValue] = {}
        for table, members in keys_by_table.items():
            values |= zip(members, await self.steps[table].run(request, members), strict=True)
        objects = [values.get(key) for key in row_ids]
        return [objects if "ids" in arguments else objects[0]]


@dataclass(slots=True)
class ActorAccessStep:
    """A connection that some actors may not read anywhere; raises `Forbidden`."""

    declared: ConnectionField
    step: Step

    async def run(self, request: PlanRequest, keys: Sequence[Key]) -> list[JSONValue]:
        """The values of the step."""
        if any(key is not None for key in keys) or self.declared.loader.foreign_key is None:
            require_field_access(self.declared, request.context.actor, None)
        return await self.step.run(request, keys)


@dataclass(slots=True)
class ServiceAccessStep:
    """A field that the actor may read in some services only; raises `Forbidden`."""

    declared: ConnectionField | BatchedField
    step: Step

    async def run(self, request: PlanRequest, keys: Sequence[Key]) -> list[JSONValue]:
        """The values of the step, for keys that are pairs of a service's id and a key of the step."""
        for service_id in {pair[0] for pair in keys if pair is not None}:
            require_field_access(self.declared, request.context.actor, service_id)
        return await self.step.run(request, [pair and pair[1] for pair in keys])
