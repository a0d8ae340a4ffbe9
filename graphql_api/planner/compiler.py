"""An operation becomes a plan: a source for each root field, told if PostgreSQL can write all of it, or else read.

Follow `service(id:) { name templates { nodes { name service { id } } } }`: `_root` finds a row that is looked up by its
id, and `_by_key` asks `telling` for one statement that answers everything; that is all.

Ask for `dailyLimits` too, which Python makes, and `telling` declines. Then `_by_key` makes a source of one row, whose
expression (`_entity`) copies `name`. The limits are a child of it, a batch. So are the templates, and `_pages` asks
`telling` again: it is only the service that has to be read. Could they not be told either, their rows' expression would
copy `name`, and `service` would be a table joined to the same statement. What is not made of declarations raises
`Declined`.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from graphql import DocumentNode, GraphQLNonNull, GraphQLObjectType, execute_sync, is_leaf_type
from graphql.execution.collect_fields import FragmentDetails, collect_fields
from graphql.execution.values import VariableValues

from graphql_api.planner.errors import Declined
from graphql_api.planner.pushdown.compiler import Telling
from graphql_api.planner.pushdown.sql_tree import VARIANTS
from graphql_api.planner.steps import arguments, connections, steps
from graphql_api.planner.steps.codegen import may_be_null
from graphql_api.planner.steps.selects import OWN, Table
from loaders.core import readable_columns
from loaders.core.request import MAX_CONNECTIONS_PER_REQUEST
from schema.core import Node, NodeQueries, entity_of, registered_entities
from schema.core.fields import (
    BatchedField,
    ByIdField,
    ColumnField,
    ComputedField,
    ConnectionField,
    ToManyField,
    ToOneField,
    ToUnionField,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql import FragmentDefinitionNode, OperationDefinitionNode

    from graphql_api.observability.error_masking import ErrorMaskingSchema
    from graphql_api.planner.selections import Details
    from loaders.core import One, Page


NO_VARIABLES = VariableValues({}, {})


@dataclass(slots=True)
class Plan:
    """What answers one operation: a source for each root field, or a value that is always the same."""

    roots: list[tuple[str, Any, bool]]
    size: int
    introspects: bool = False
    """Whether it tells of the schema, which not everybody may read."""

    async def run(self, request: steps.Request) -> dict[str, Any]:
        """The data of the answer; several root fields are read side by side, as many as a request may read at once."""
        reading = [root for _, root, fixed in self.roots if not fixed]
        values = iter([await reading[0].run(request, [None])] if len(reading) == 1 else await _all(reading, request))
        return {key: root if fixed else next(values)[0] for key, root, fixed in self.roots}


async def _all(reading: list[Any], request: steps.Request) -> list[Any]:
    """What all sources answer, or the first failure once all have ended, so that nothing is read for nobody."""
    turn = asyncio.Semaphore(MAX_CONNECTIONS_PER_REQUEST)

    async def read(one: Any) -> Any:
        async with turn:
            return await one.run(request, [None])

    values = await asyncio.gather(*map(read, reading), return_exceptions=True)
    for one in values:
        if isinstance(one, BaseException):
            raise one
    return values


def compiled(
    schema: ErrorMaskingSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: VariableValues,
) -> Plan:
    """The plan of a query, for these values of the variables that `@skip` and `@include` go by."""
    return _Compiler(schema, operation, fragments, variables).plan()


def introspected(
    schema: ErrorMaskingSchema, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> Plan:
    """The plan of a query of the schema alone, which has one answer; raises `Declined` where more is asked."""
    core = schema._schema  # noqa: SLF001 - Strawberry has no other name for it
    query: Any = core.query_type
    details = {name: FragmentDetails(one) for name, one in fragments.items()}
    collected = collect_fields(core, details, NO_VARIABLES, query, operation)
    names = {one[0].node.name.value for one in collected.grouped_field_set.values()}
    if operation.variable_definitions or not names <= {"__schema", "__type", "__typename"}:
        raise Declined
    result = execute_sync(core, DocumentNode(definitions=(operation, *fragments.values())))
    if result.errors or result.data is None:
        raise Declined
    written = {key: orjson.dumps(value) for key, value in result.data.items()}
    size = sum(map(len, written.values()))
    return Plan([(key, orjson.Fragment(value), True) for key, value in written.items()], size, introspects=True)


class _Compiler(Telling):
    def plan(self) -> Plan:
        query: Any = self._schema.query_type
        collected = collect_fields(self._schema, self._fragments, self._variables, query, self._operation)
        roots = [(key, *self._root(query, details)) for key, details in self._grouped(collected)]
        return Plan(roots, self._code.size + VARIANTS * self._letters + 4_000 * (self._sources + 1))

    def _root(self, query: GraphQLObjectType, details: Details) -> tuple[Any, bool]:
        node = details[0].node
        name = node.name.value
        if name == "__typename":
            return query.name, True
        if name not in query.fields:
            raise Declined
        definition = query.fields[name]
        field = definition.extensions["strawberry-definition"]
        declared = next((one for kind in field.origin.__mro__ if (one := _declared(kind).get(field.python_name))), None)
        match declared:
            case ByIdField():
                return self._found(declared, definition, details), False
            case ConnectionField():
                return self._allowed(declared, self._pages(declared, definition, details), root=True), False
        if name in {"node", "nodes"} and name in vars(NodeQueries):
            return self._nodes(definition, details), False
        raise Declined

    def _found(self, declared: ByIdField, definition: Any, details: Details) -> Any:
        found = self._by_key(declared.loader, details)
        return steps.ById(self._arguments(definition, details[0].node), found)

    def _nodes(self, definition: Any, details: Details) -> Any:
        kinds = [kind for kind in registered_entities().values() if issubclass(kind, Node)]
        found = [self._by_key(kind.by_id, details) for kind in kinds]
        arguments = self._arguments(definition, details[0].node)
        return steps.Nodes(arguments, tuple(kind.by_id for kind in kinds), found)

    def _by_key(self, row: Any, details: Details) -> Any:
        with contextlib.suppress(Declined):
            return self.told_by_key(row, details)
        rows = self._rows(row.model)
        expression = self._entity(rows, OWN, row.model, details, sure=row.archive is None)
        at = tuple(rows.table.column(OWN, key.key) for key in row.key)
        self._finish(rows, [expression])
        return steps.ByKey(row, rows, at)

    def _rows(self, model: Any) -> steps.Rows:
        self._sources += 1
        return steps.Rows(Table(model))

    def _finish(self, rows: steps.Rows, expressions: list[str]) -> None:
        rows.writers = [self._code.each(expression, len(rows.children)) for expression in expressions]

    # Entities: what is written of a record.

    def _entity(self, rows: steps.Rows, alias: str, model: Any, details: Details, *, sure: bool = True) -> str:
        """A mapping of the fields that were asked of an entity."""
        kind = self._type_of(model)
        declared = entity_of(model).fields
        parts = []
        for key, below in self._below(kind, details):
            name = below[0].node.name.value
            if name == "__typename":
                parts.append(f"{key!r}: {kind.name!r}")
                continue
            definition = kind.fields[name]
            field = declared.get(definition.extensions["strawberry-definition"].python_name)
            if isinstance(field, ColumnField):
                expression = self._column(rows, alias, model, field, definition, below, sure=sure)
            else:
                expression = self._field(rows, alias, model, field, definition, below)
            parts.append(f"{key!r}: {expression}")
        return "{" + ", ".join(parts) + "}"

    def _column(
        self,
        rows: steps.Rows,
        alias: str,
        model: Any,
        field: ColumnField,
        definition: Any,
        details: Details,
        *,
        sure: bool,
    ) -> str:
        place = rows.table.column(alias, field.name)
        if field.blank_is_null:
            return self._complete(definition.type, details, f"(r[{place}] or None)")
        required = isinstance(definition.type, GraphQLNonNull)
        kind = definition.type.of_type if required else definition.type
        written = self._code.column_leaf(kind, model, field.name, place) if is_leaf_type(kind) else None
        if written is None:
            return self._complete(definition.type, details, self._code.column(model, field.name, place))
        if sure and not may_be_null(model, field.name):
            return written
        if written == f"r[{place}]":
            return f"sure({written})" if required else written
        return f"({'fail()' if required else 'None'} if r[{place}] is None else {written})"

    def _field(  # noqa: PLR0911 - a line for each word of `schema.core.fields`
        self,
        rows: steps.Rows,
        alias: str,
        model: Any,
        field: Any,
        definition: Any,
        details: Details,
    ) -> str:
        """A field that is more than a column."""
        match field:
            case ComputedField():
                columns = [
                    self._code.column(model, name, rows.table.column(alias, name)) for name in field.column_names
                ]
                along = [self._row(rows, rows.table.join(alias, one), one.row.model) for one in field.related]
                before = ["context"] if field.pass_context else []
                call = f"{self._code.constant(field.via)}({', '.join([*before, *columns, *along])})"
                return self._complete(definition.type, details, call)
            case ToOneField():
                return self._required(
                    definition, self._to_one(rows, alias, (field.loader, *field.next_loaders), details)
                )
            case ToUnionField():
                return self._required(definition, self._either(rows, alias, field, details))
            case ToManyField():
                child = self._short_lists(field, definition, details)
                return self._child(rows, alias, child, f"r[{rows.table.column(alias, field.loader.local)}]")
            case BatchedField():
                return self._allowed_child(rows, alias, model, field, self._batches(field, definition, details))
            case ConnectionField():
                return self._allowed_child(rows, alias, model, field, self._pages(field, definition, details))
            case None:
                resolved = self._resolved(entity_of(model), definition, details)
                return self._child(rows, alias, resolved, self._row(rows, alias, model))
        raise Declined

    def _resolved(self, kind: Any, definition: Any, details: Details) -> steps.Resolved:
        """A field with a resolver of its own, which answers no entity: the resolver is called as graphql-core would."""
        self._sources += 1
        resolver = definition.extensions["strawberry-definition"].base_resolver
        if resolver is None:
            raise Declined
        expression = self._complete(definition.type, details, "v")
        write = self._code.function("context, values", f"[{expression} for v in values]")
        return steps.Resolved(kind.of, resolver.wrapped_func, self._arguments(definition, details[0].node), write)

    def _required(self, definition: Any, expression: str) -> str:
        return f"sure({expression})" if isinstance(definition.type, GraphQLNonNull) else expression

    def _to_one(self, rows: steps.Rows, alias: str, path: tuple[One, ...], details: Details) -> str:
        for one in path:
            alias = rows.table.join(alias, one)
        expression = self._entity(rows, alias, path[-1].row.model, details)
        return f"(None if r[{self._presence(rows, alias)}] is None else {expression})"

    def _either(self, rows: steps.Rows, alias: str, field: ToUnionField, details: Details) -> str:
        *others, last = field.paths
        expression = self._to_one(rows, alias, last, details)
        for path in reversed(others):
            place = rows.table.column(alias, path[0].local[0])
            expression = f"({self._to_one(rows, alias, path, details)} if r[{place}] is not None else {expression})"
        return expression

    def _presence(self, rows: steps.Rows, alias: str) -> int:
        """A column that is null where nothing was joined."""
        return rows.table.column(alias, rows.table.joins[alias].one.row.key[0].key)

    def _row(self, rows: steps.Rows, alias: str, model: Any) -> str:
        places = [rows.table.column(alias, name) for name in readable_columns(model)]
        return self._where_there(rows, alias, self._code.row(model, places))

    def _where_there(self, rows: steps.Rows, alias: str, expression: str) -> str:
        return expression if alias == OWN else f"(None if r[{self._presence(rows, alias)}] is None else {expression})"

    # Children: what is read for all records of a source at once.

    def _child(self, rows: steps.Rows, alias: str, child: Any, key: str) -> str:
        keys = self._code.function("context, rows", f"[{self._where_there(rows, alias, key)} for r in rows]")
        rows.children.append((keys, child))
        return f"k{len(rows.children) - 1}"

    def _allowed_child(
        self, rows: steps.Rows, alias: str, model: Any, field: ConnectionField | BatchedField, child: Any
    ) -> str:
        if isinstance(field, BatchedField):
            key = self._row(rows, alias, model)
        else:
            key = f"r[{rows.table.column(alias, field.loader.local or '')}]"
        service = entity_of(model).service_column
        if field.permissions:
            if service is None:
                raise Declined
            key = f"(r[{rows.table.column(alias, service)}], {key})"
        return self._child(rows, alias, self._allowed(field, child), key)

    def _allowed(self, field: ConnectionField | BatchedField, child: Any, *, root: bool = False) -> Any:
        if root or not field.permissions:
            asked = isinstance(field, ConnectionField) and (field.people_only or field.admins_only)
            return steps.AllowedAtAll(field, child) if asked else child
        return steps.Allowed(field, child)

    def _short_lists(self, field: ToManyField, definition: Any, details: Details) -> steps.ShortLists:
        many = field.loader
        rows = self._rows(many.model)
        kind = definition.type.of_type if isinstance(definition.type, GraphQLNonNull) else definition.type
        if field.via is None:
            expression = self._entity(rows, OWN, many.model, details)
        else:
            row = self._row(rows, OWN, many.model)
            expression = self._complete(kind.of_type, details, f"{self._code.constant(field.via)}({row})")
        self._finish(rows, [expression])
        return steps.ShortLists(many, rows)

    def _batches(self, field: BatchedField, definition: Any, details: Details) -> steps.Batches:
        self._sources += 1
        call = "v"
        if field.via is not None:
            call = f"{self._code.constant(field.via)}({'context, v' if field.pass_context else 'v'})"
        expression = self._complete(definition.type, details, call)
        return steps.Batches(field.loader, self._code.function("context, values", f"[{expression} for v in values]"))

    def _pages(self, field: ConnectionField, definition: Any, details: Details) -> Any:
        with contextlib.suppress(Declined):
            return self.told_pages(field, definition, details)
        page = field.loader
        rows = self._rows(page.model)
        ends = arguments.Ends()
        kind = definition.type.of_type if isinstance(definition.type, GraphQLNonNull) else definition.type
        expressions: list[str] = []
        parts = []
        for key, below in self._below(kind, details):
            name = below[0].node.name.value
            if name == "__typename":
                written = repr(kind.name)
            elif name == "totalCount":
                ends.total, written = True, "total"
            elif name == "pageInfo":
                ends.rows, written = True, self._page_info(kind.fields[name].type.of_type, below, ends)
            else:
                ends.rows, written = True, f"v{len(expressions)}"
                expressions.append(
                    self._entity(rows, OWN, page.model, below, sure=arguments.whole(page))
                    if name == "nodes"
                    else self._edge(rows, page, kind.fields[name].type.of_type.of_type.of_type, below, ends)
                )
            parts.append(f"{key!r}: {written}")
        self._finish(rows, expressions)
        values = [f"v{index}" for index in range(len(expressions))]
        names = ", ".join(["after", "before", "start", "end", "total", *values])
        write = self._code.function(names, "{" + ", ".join(parts) + "}")
        return connections.Pages(page, self._asked(field, definition, details[0].node), rows, ends, write)

    def _edge(
        self, rows: steps.Rows, page: Page, kind: GraphQLObjectType, details: Details, ends: arguments.Ends
    ) -> str:
        parts = []
        for key, below in self._below(kind, details):
            name = below[0].node.name.value
            ends.places = ends.places or name == "cursor"
            written = {"__typename": repr(kind.name), "cursor": "cursor(r)"}.get(name)
            parts.append(
                f"{key!r}: {written or self._entity(rows, OWN, page.model, below, sure=arguments.whole(page))}"
            )
        return "{" + ", ".join(parts) + "}"

    def _page_info(self, kind: GraphQLObjectType, details: Details, ends: arguments.Ends) -> str:
        parts = []
        for key, below in self._below(kind, details):
            name = below[0].node.name.value
            ends.note(name)
            written = {
                "__typename": repr(kind.name),
                "hasNextPage": "after",
                "hasPreviousPage": "before",
                "startCursor": "start",
                "endCursor": "end",
            }
            parts.append(f"{key!r}: {written[name]}")
        return "{" + ", ".join(parts) + "}"


def _declared(kind: type[Any]) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = vars(kind).get("fields", {})
    return fields
