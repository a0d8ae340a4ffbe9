"""The tree of an expression of SQL that is the JSON text of an object, and the steps that send it.

A `FromItem` is the rows of one table, each with the far rows of its to-one edges joined to it; a `ConnectionExpression`
is a connection of each row of a `FromItem`. A pushed-down step sends one statement for everything below it. Without the
guards against nulls, `service(id:) { name templates { nodes { name service { id } } } }` is:

    SELECT b1.id, '{"name":' || to_json(b1.name) || ',"templates":' || (
        SELECT '{"nodes":[' || string_agg(z0.x0, ',') || ']}' FROM (
            SELECT '{"name":' || to_json(b2.name) || ',"service":' || b3x.x || '}' AS x0
            FROM (a page of the templates of b1.id) AS b2
            LEFT JOIN LATERAL (
                SELECT '{"id":"' || b3.id || '"}' AS x FROM (the service of b2.service_id) AS b3 OFFSET 0
            ) AS b3x ON true
        ) AS z0
    ) || '}' FROM (the services of these ids) AS b1

The statements in brackets are fragments (`sql_fragments`) of the loaders, with their columns, visibility and order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import orjson

from graphql_api.planner.errors import NotPlannable
from graphql_api.planner.pushdown import sql_fragments
from graphql_api.planner.pushdown.sql_json import POISON, POISON_SQL, cursor_json, quoted
from graphql_api.planner.steps.selects import StatementCache
from loaders.core.orders import sort_key_types
from loaders.core.paging import cursor_values

if TYPE_CHECKING:
    from graphql_api.auth.visibility import VisibilityScope
    from graphql_api.planner.driver_pool import Record
    from graphql_api.planner.selections import ArgumentReader
    from graphql_api.planner.steps.arguments import ConnectionArguments, RequestedFields
    from graphql_api.planner.steps.codegen import JSONValue
    from graphql_api.planner.steps.selects import SQLStatement
    from graphql_api.planner.steps.steps import Key, PlanRequest
    from loaders.core import One, Page, Row, statements
    from schema.core.fields import ConnectionField

MAX_PUSHDOWN_VARIANTS = 4
"""Statements that one step keeps: few, because they are long."""
MAX_FUNCTION_ARGUMENTS = 100
"""Limit of PostgreSQL."""
_POISON_BYTES = POISON.encode()


class JSONLiteral(str):
    """JSON that is the same in every response; any other text of an expression is SQL."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A value computed from a page: `total_count`, `has_next`, `start_cursor`, `rows0`, or `cursor` of a row."""

    name: str


Part: TypeAlias = "str | Placeholder | ConnectionExpression"
Parts: TypeAlias = Sequence[Part]
"""An expression: JSON literals, SQL for values, placeholders and connections, one after another."""


class ExpressionBuilder(sql_fragments.StatementBuilder):
    """Builds a statement for the arguments of its connections."""

    def __init__(self, scope: VisibilityScope, arguments: Sequence[ConnectionArguments]) -> None:
        super().__init__(scope)
        self.arguments = arguments

    def expression(self, parts: Parts, placeholders: Mapping[str, str] | None = None) -> str:
        """The parts as SQL; `placeholders` are SQL by name."""
        operands: list[list[str]] = [[]]
        json = ""
        for part in (*parts, None):
            if isinstance(part, JSONLiteral):
                json += part
                continue
            if json:
                operands[-1].append(quoted(json))
                json = ""
            if isinstance(part, ConnectionExpression):
                operands += [[part.sql(self)], []]
            elif isinstance(part, Placeholder):
                operands[-1].append((placeholders or {})[part.name])
            elif part is not None:
                operands[-1].append(part)
        texts = ["||".join(run) for run in operands if run]
        if len(texts) == 1:
            return texts[0]
        # `concat` copies long texts once: each `||` would copy everything on its left. It treats null as empty.
        texts = [f"coalesce({text}, {POISON_SQL})" for text in texts]
        while len(texts) > 1:
            chunks = (
                texts[start : start + MAX_FUNCTION_ARGUMENTS] for start in range(0, len(texts), MAX_FUNCTION_ARGUMENTS)
            )
            texts = [f"concat({', '.join(chunk)})" for chunk in chunks]
        return texts[0]


@dataclass(slots=True)
class FromItem:
    """Rows of a table by their alias, and the lateral joins to each of them."""

    alias: str
    joins: list[LateralJoin] = field(default_factory=list)

    def column(self, name: str) -> str:
        """A column as SQL."""
        return f'{self.alias}."{name}"'

    def sql(self, rows: str, builder: ExpressionBuilder) -> str:
        """The item of a FROM clause, of the SQL of its rows."""
        return f"({rows}) AS {self.alias}{''.join(join.sql(self, builder) for join in self.joins)}"


@dataclass(slots=True)
class LateralJoin:
    """The far row of a to-one edge as JSON; null where the caller sees none.

    One that `passes_on` has a single part, the JSON of the next edge of a path.
    """

    edge: One
    far: FromItem
    parts: Parts
    passes_on: bool = False

    @property
    def json(self) -> str:
        """The JSON, for expressions of the near row."""
        return f"{self.far.alias}x.x"

    def sql(self, near: FromItem, builder: ExpressionBuilder) -> str:
        """The join. OFFSET 0 keeps PostgreSQL from merging it: it can memoize the JSON of rows that many lead to."""
        local = {f"near_{index}": near.column(name) for index, name in enumerate(self.edge.local)}
        row = builder.insert(sql_fragments.far_row(self.edge, builder.scope), local)
        from_item = self.far.sql(row, builder)
        json = builder.expression(self.parts)
        if not self.passes_on:
            json = f"coalesce({json}, {POISON_SQL})"
        rows = f"SELECT {json} AS x FROM {from_item} OFFSET 0"  # noqa: S608 - of the loaders' statements and this package's own texts
        return f" LEFT JOIN LATERAL ({rows}) AS {self.far.alias}x ON true"


@dataclass(slots=True)
class ConnectionExpression:
    """A connection of one parent, or of a whole table."""

    index: int
    """Index among the connections of the statement."""
    page: Page
    parent_key: str | None
    """As SQL; None for a whole table."""
    from_item: FromItem
    requested: RequestedFields
    rows: Sequence[Parts]
    """Expressions of a row, one for each selection of `nodes` and `edges`."""
    parts: Parts
    service_id: str = ""
    """As SQL: the service in which the actor must have a permission."""

    def sql(self, builder: ExpressionBuilder) -> str:
        """The connection as JSON."""
        arguments = builder.arguments[self.index]
        expressions = {} if self.parent_key is None else {"key_0": self.parent_key}
        selected = {part.name for part in self.parts if isinstance(part, Placeholder)}
        far_side, near_side = ("has_next", "has_previous")
        if arguments.single_parent.backwards:
            far_side, near_side = near_side, far_side
        shape = replace(arguments.single_parent, fetch_extra_row=far_side in selected)
        placeholders = {near_side: "'false'"}
        if "total_count" in selected:
            count = sql_fragments.total_count(self.page, builder.scope, shape.filter_shapes)
            placeholders["total_count"] = f"({builder.insert(count, expressions, self._prefix)})::text"
        if shape.has_cursor and near_side in selected:
            has_previous = sql_fragments.has_previous(self.page, builder.scope, shape)
            placeholders[near_side] = f"({builder.insert(has_previous, expressions, self._prefix)})::text"
        if shape.fetch_extra_row:
            placeholders[far_side] = f"(count(*) > {shape.size})::text"
        from_clause = ""
        if selected - {"total_count", near_side}:
            rows = self._rows_sql(builder, shape, expressions, placeholders)
            from_clause = f" FROM ({rows}) AS z{self.index}"
        json = f"(SELECT {builder.expression(self.parts, placeholders)}{from_clause})"
        if not self.service_id or builder.scope.sees_all:
            return json
        permitted = builder.parameter(permitted_services_parameter(self.index))
        return f"CASE WHEN {self.service_id} = ANY({permitted}::uuid[]) THEN {json} ELSE {POISON_SQL} END"

    @property
    def _prefix(self) -> str:
        return parameter_prefix(self.index)

    def _rows_sql(
        self,
        builder: ExpressionBuilder,
        shape: statements.PageShape,
        expressions: Mapping[str, str],
        placeholders: dict[str, str],
    ) -> str:
        """The rows of the page, each as JSON; adds the placeholders that are aggregates of them."""
        z = f"z{self.index}"
        depth = len(shape.order.sort_keys(shape.order.descending))
        sorts = [self.from_item.column(f"sort_{index}") for index in range(depth)]
        order_by = ", ".join(f"{sort} {'DESC' if shape.descending else 'ASC'}" for sort in sorts)
        cursor = ""
        if self.requested.sort_keys:
            cursor = cursor_json(shape.order.name, list(zip(sorts, sort_key_types(shape.order), strict=True)))
        columns = [
            f"coalesce({builder.expression(parts, {'cursor': cursor})}, {POISON_SQL}) AS x{index}"
            for index, parts in enumerate(self.rows)
        ]
        first_to_last, last_to_first, within_page = "", "", ""
        if shape.fetch_extra_row or self.requested.page_cursors or shape.backwards:
            columns.append(f"row_number() OVER (ORDER BY {order_by}) AS n")
            first_to_last, last_to_first = f" ORDER BY {z}.n", f" ORDER BY {z}.n DESC"
            within_page = f" FILTER (WHERE {z}.n <= {shape.size})"
        if shape.backwards:
            first_to_last, last_to_first = last_to_first, first_to_last
        for index in range(len(self.rows)):
            texts = f"string_agg({z}.x{index}, ','{first_to_last}){within_page}"
            placeholders[f"rows{index}"] = f"coalesce({texts}, '')"
        if self.requested.page_cursors:
            columns.append(f"{cursor} AS c")
            for name, ordered in ("start_cursor", first_to_last), ("end_cursor", last_to_first):
                placeholders[name] = f"coalesce((array_agg({z}.c{ordered}){within_page})[1], 'null')"
        rows = builder.insert(sql_fragments.page_rows(self.page, builder.scope, shape), expressions, self._prefix)
        return f"SELECT {', '.join(columns)} FROM {self.from_item.sql(rows, builder)} ORDER BY {order_by}"  # noqa: S608 - of the loaders' statements and this package's own texts


def parameter_prefix(index: int) -> str:
    """The prefix of the parameters of a connection."""
    return f"p{index}_"


def permitted_services_parameter(index: int) -> str:
    """The parameter with the services in which the actor may read a connection."""
    return f"permitted_services_{index}"


@dataclass(slots=True)
class StatementConnections:
    """The connections of one statement in their order: declarations and arguments."""

    declared: list[ConnectionField] = field(default_factory=list)
    readers: list[ArgumentReader[ConnectionArguments]] = field(default_factory=list)

    def add(self, declared: ConnectionField, reader: ArgumentReader[ConnectionArguments]) -> int:
        """The index of a connection that is added."""
        self.declared.append(declared)
        self.readers.append(reader)
        return len(self.readers) - 1

    def read_arguments(self, request: PlanRequest) -> list[ConnectionArguments]:
        """The arguments of each; raises `NotPlannable` where the actor may not read one anywhere."""
        actor = request.context.actor
        for declared in self.declared:
            if (declared.admins_only and not actor.platform_wide) or (
                declared.people_only and actor.api_key_id is not None
            ):
                raise NotPlannable
        arguments = [read(request.variables) for read in self.readers]
        for declared, connection_arguments in zip(self.declared, arguments, strict=True):
            request.require_primary(declared.loader, connection_arguments)
        return arguments

    def bind_values(self, request: PlanRequest, arguments: Sequence[ConnectionArguments]) -> dict[str, object]:
        """The values of their parameters."""
        values: dict[str, object] = {}
        for index, connection_arguments in enumerate(arguments):
            prefix = parameter_prefix(index)
            for name, value in connection_arguments.filter_values.items():
                values[prefix + name] = value
            for name, value in cursor_values(connection_arguments.arguments.cursor).items():
                values[prefix + name] = value
        actor = request.context.actor
        if not actor.platform_wide:
            for index, declared in enumerate(self.declared):
                if declared.permissions:
                    values[permitted_services_parameter(index)] = [
                        service_id
                        for service_id in actor.permissions
                        if any(actor.has_permission(permission, service_id) for permission in declared.permissions)
                    ]
        return values


@dataclass(slots=True)
class _PushedDownStep:
    """A step with one statement for each variant of its connections' arguments."""

    connections: StatementConnections
    statements: StatementCache = field(default_factory=lambda: StatementCache(MAX_PUSHDOWN_VARIANTS), kw_only=True)

    async def fetch(
        self, request: PlanRequest, values: Mapping[str, object], sql: Callable[[ExpressionBuilder], str]
    ) -> Sequence[Record]:
        """The records of the statement that `sql` writes with a builder."""
        arguments = self.connections.read_arguments(request)
        variant = (request.scope, *(connection.single_parent for connection in arguments))

        def build() -> SQLStatement:
            builder = ExpressionBuilder(request.scope, arguments)
            return builder.statement(sql(builder))

        statement = self.statements.get(variant, build)
        return await request.fetch(statement, {**values, **self.connections.bind_values(request, arguments)})


@dataclass(slots=True)
class PushedDownRows(_PushedDownStep):
    """Rows by a unique key of one column."""

    row: Row
    from_item: FromItem
    parts: Parts

    async def run(self, request: PlanRequest, keys: Sequence[Key]) -> list[JSONValue]:
        """A value for each key; null where there is no row that the caller sees."""
        distinct = [key for key in dict.fromkeys(keys) if key is not None]
        if not distinct:
            return [None] * len(keys)
        values: dict[Key, JSONValue] = {}
        for key, text in await self.fetch(request, {"key_0": distinct}, self._sql):
            values.setdefault(key, _json_fragment(text))
        return [values.get(key) for key in keys]

    def _sql(self, builder: ExpressionBuilder) -> str:
        rows = builder.insert(sql_fragments.rows_by_key(self.row, builder.scope), {})
        columns = f"{self.from_item.column(self.row.key[0].key)}, {_as_bytes(builder.expression(self.parts))}"
        return f"SELECT {columns} FROM {self.from_item.sql(rows, builder)}"  # noqa: S608 - of the loaders' statements and this package's own texts


@dataclass(slots=True)
class PushedDownConnections(_PushedDownStep):
    """A connection for each parent, or one of a whole table."""

    connection: ConnectionExpression
    key_type: str
    """The parents' keys, as a type of SQL."""

    async def run(self, request: PlanRequest, keys: Sequence[Key]) -> list[JSONValue]:
        """A connection for each key; the key of a whole table is None."""
        if self.connection.parent_key is None:
            ((text,),) = await self.fetch(request, {}, self._sql_of_table)
            return [_json_fragment(text)] * len(keys)
        distinct = [key for key in dict.fromkeys(keys) if key is not None]
        if not distinct:
            return [None] * len(keys)
        records = await self.fetch(request, {"key_0": distinct}, self._sql_of_parents)
        values = {key: _json_fragment(text) for key, text in records}
        return [values.get(key) for key in keys]

    def _sql_of_table(self, builder: ExpressionBuilder) -> str:
        return f"SELECT {_as_bytes(self.connection.sql(builder))}"

    def _sql_of_parents(self, builder: ExpressionBuilder) -> str:
        parents = f"unnest({builder.parameter('key_0')}::{self.key_type}[]) AS parent(key)"
        return f"SELECT parent.key, {_as_bytes(self.connection.sql(builder))} FROM {parents}"  # noqa: S608 - of the loaders' statements and this package's own texts


def _as_bytes(text: str) -> str:
    """A text as bytes of UTF-8, which go into the response as they are."""
    return f"convert_to({text}, 'UTF8')"


def _json_fragment(text: bytes | None) -> orjson.Fragment:
    """JSON that orjson copies; raises `NotPlannable` where it is null or contains the poison value."""
    if text is None or _POISON_BYTES in text:
        raise NotPlannable
    return orjson.Fragment(text)
