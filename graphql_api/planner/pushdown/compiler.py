"""Compiles an entity, or a connection, and everything below it into one expression of SQL.

Every leaf must be one that PostgreSQL can write: `NotPlannable` is raised at the first that is not. The compiler of the
operation then makes a step of rows, and tries again what lies below them.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from graphql import GraphQLNonNull, get_nullable_type, is_leaf_type

from graphql_api.planner.errors import NotPlannable
from graphql_api.planner.pushdown import sql_json
from graphql_api.planner.pushdown.sql_json import POISON_SQL, quoted
from graphql_api.planner.pushdown.sql_tree import (
    ConnectionExpression,
    FromItem,
    JSONLiteral,
    LateralJoin,
    Part,
    Placeholder,
    PushedDownConnections,
    PushedDownRows,
    StatementConnections,
)
from graphql_api.planner.steps.arguments import RequestedFields, connection_arguments, has_every_column
from graphql_api.planner.steps.selects import DIALECT, column_of, is_nullable
from schema.core import entity_of
from schema.core.fields import ColumnField, ComputedField, ConnectionField, ToOneField, ToUnionField

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from graphql import GraphQLObjectType, GraphQLOutputType
    from graphql.execution.collect_fields import FieldDetailsList

    from graphql_api.models.base import Model
    from graphql_api.planner.selections import SelectedField, Selections
    from loaders.core import One, Page, Row

MAX_STATEMENT_CHARACTERS = 100_000
"""Planning a longer statement would take PostgreSQL longer than planning several shorter ones."""
FROM_ITEM_CHARACTERS = 2_000
"""Approximate length that the rows of one table add to a statement."""
_PAGE_INFO_PLACEHOLDERS = {
    "hasNextPage": "has_next",
    "hasPreviousPage": "has_previous",
    "startCursor": "start_cursor",
    "endCursor": "end_cursor",
}


class PushdownCompiler:
    """Compiles parts of one operation."""

    def __init__(self, selections: Selections) -> None:
        self._selections = selections
        self._from_item_count = 0
        self._max_characters = 0
        """Limit of the length of all expressions, with an estimate for FROM items, for the current statement."""
        self.connection_count = 0
        self.characters = 0
        """Length of all expressions, which each variant of a statement contains."""

    def rows(self, row: Row, nodes: FieldDetailsList) -> PushedDownRows:
        """Entities by their key."""
        if len(row.key) != 1:
            raise NotPlannable
        connections = StatementConnections()
        with self._limit_characters():
            from_item = self._from_item()
            parts = self._entity(connections, from_item, row.model, nodes, non_null=row.archive is None)
        return PushedDownRows(connections, row, from_item, parts)

    def connections(self, field: SelectedField, declared: ConnectionField) -> PushedDownConnections:
        """A connection for each parent, by its key, or of a whole table."""
        key = declared.loader.foreign_key
        connections = StatementConnections()
        with self._limit_characters():
            connection = self._connection(connections, None if key is None else "parent.key", field, declared)
        return PushedDownConnections(connections, connection, "" if key is None else key.type.compile(DIALECT))

    @contextmanager
    def _limit_characters(self) -> Iterator[None]:
        """Limit the length of a statement; a part that is not plannable does not count towards the operation."""
        characters = self.characters
        self._max_characters = characters + FROM_ITEM_CHARACTERS * self._from_item_count + MAX_STATEMENT_CHARACTERS
        try:
            yield
        except NotPlannable:
            self.characters = characters
            raise

    def _from_item(self) -> FromItem:
        self._from_item_count += 1
        return FromItem(f"b{self._from_item_count}")

    def _object(
        self,
        kind: GraphQLObjectType,
        nodes: FieldDetailsList,
        compile_field: Callable[[SelectedField], list[Part]],
    ) -> list[Part]:
        """An object; `compile_field` makes the value of each field but `__typename`."""
        parts: list[Part] = []
        for field in self._selections.fields(kind, nodes):
            parts.append(JSONLiteral(f'{"," if parts else "{"}"{field.response_key}":'))
            if field.name == "__typename":
                parts.append(JSONLiteral(f'"{kind.name}"'))
            else:
                parts += compile_field(field)
        return [*parts, JSONLiteral("}")] if parts else [JSONLiteral("{}")]

    # Entities.

    def _entity(
        self,
        connections: StatementConnections,
        from_item: FromItem,
        model: type[Model],
        nodes: FieldDetailsList,
        *,
        non_null: bool = True,
    ) -> list[Part]:
        """An entity; unless `non_null`, any column may be null, because the table may be an archive."""
        declarations = entity_of(model).fields

        def compile_field(field: SelectedField) -> list[Part]:
            match declared := declarations.get(field.strawberry.python_name):
                case ColumnField():
                    return [self._column(from_item, model, field, declared, non_null=non_null)]
                case ComputedField() if not declared.related and not declared.pass_context:
                    columns = {from_item.column(name): column_of(model, name) for name in declared.column_names}
                    json = sql_json.function_json(field.type, declared.via, columns, non_null=non_null)
                    return [_or_null(json, field.type)]
                case ToOneField():
                    path = (declared.loader, *declared.next_loaders)
                    return [_or_null(self._to_one(connections, from_item, path, field.nodes), field.type)]
                case ToUnionField():
                    return [_or_null(self._to_union(connections, from_item, declared, field.nodes), field.type)]
                case ConnectionField():
                    return [self._connection_of_row(connections, from_item, model, field, declared)]
            raise NotPlannable

        parts = self._object(self._selections.entity_type(model), nodes, compile_field)
        self.characters += sum(len(part) for part in parts if isinstance(part, str))
        if self.characters + FROM_ITEM_CHARACTERS * self._from_item_count > self._max_characters:
            raise NotPlannable
        return parts

    def _column(
        self, from_item: FromItem, model: type[Model], field: SelectedField, declared: ColumnField, *, non_null: bool
    ) -> str:
        kind = get_nullable_type(field.type)
        if not is_leaf_type(kind):
            raise NotPlannable
        nullable = is_nullable(model, declared.name) or not non_null
        sql = from_item.column(declared.name)
        if declared.blank_is_null:
            sql, nullable = f"nullif({sql}, '')", True
        json = sql_json.column_json(kind, column_of(model, declared.name), sql, nullable=nullable)
        return _or_null(json, field.type) if nullable else json

    def _to_one(
        self, connections: StatementConnections, near: FromItem, path: tuple[One, ...], nodes: FieldDetailsList
    ) -> str:
        """The entity at the end of a path of edges, as the SQL of JSON; null where there is none."""
        edge, *others = path
        if edge.row.archive is not None:
            raise NotPlannable
        far = self._from_item()
        parts: list[Part]
        if others:
            parts = [self._to_one(connections, far, tuple(others), nodes)]
        else:
            parts = self._entity(connections, far, edge.row.model, nodes)
        join = LateralJoin(edge, far, parts, passes_on=bool(others))
        near.joins.append(join)
        return join.json

    def _to_union(
        self, connections: StatementConnections, near: FromItem, declared: ToUnionField, nodes: FieldDetailsList
    ) -> str:
        *others, last = declared.paths
        json = self._to_one(connections, near, last, nodes)
        for path in reversed(others):
            of_path = self._to_one(connections, near, path, nodes)
            json = f"CASE WHEN {near.column(path[0].local[0])} IS NOT NULL THEN {of_path} ELSE {json} END"
        return json

    # Connections.

    def _connection_of_row(
        self,
        connections: StatementConnections,
        from_item: FromItem,
        model: type[Model],
        field: SelectedField,
        declared: ConnectionField,
    ) -> ConnectionExpression:
        key = from_item.column(declared.loader.local or "")
        connection = self._connection(connections, key, field, declared)
        if declared.permissions:
            service_column = entity_of(model).service_column
            if service_column is None:
                raise NotPlannable
            connection.service_id = from_item.column(service_column)
        return connection

    def _connection(
        self,
        connections: StatementConnections,
        parent_key: str | None,
        connection_field: SelectedField,
        declared: ConnectionField,
    ) -> ConnectionExpression:
        self.connection_count += 1
        index = connections.add(declared, connection_arguments(self._selections, connection_field, declared))
        page, from_item, requested = declared.loader, self._from_item(), RequestedFields()
        rows: list[list[Part]] = []

        def compile_field(field: SelectedField) -> list[Part]:
            if field.name == "totalCount":
                requested.total_count = True
                return [Placeholder("total_count")]
            requested.rows = True
            if field.name == "pageInfo":
                return self._page_info(field, requested)
            if field.name == "nodes":
                rows.append(self._row(connections, from_item, page, field.nodes))
            else:
                rows.append(self._edge(connections, from_item, page, field, requested))
            return [JSONLiteral("["), Placeholder(f"rows{len(rows) - 1}"), JSONLiteral("]")]

        parts = self._object(connection_field.object_type, connection_field.nodes, compile_field)
        return ConnectionExpression(index, page, parent_key, from_item, requested, rows, parts)

    def _row(
        self, connections: StatementConnections, from_item: FromItem, page: Page, nodes: FieldDetailsList
    ) -> list[Part]:
        return self._entity(connections, from_item, page.model, nodes, non_null=has_every_column(page))

    def _edge(
        self,
        connections: StatementConnections,
        from_item: FromItem,
        page: Page,
        edge_field: SelectedField,
        requested: RequestedFields,
    ) -> list[Part]:
        def compile_field(field: SelectedField) -> list[Part]:
            if field.name == "cursor":
                requested.sort_keys = True
                return [Placeholder("cursor")]
            return self._row(connections, from_item, page, field.nodes)

        return self._object(edge_field.object_type, edge_field.nodes, compile_field)

    def _page_info(self, page_info_field: SelectedField, requested: RequestedFields) -> list[Part]:
        def compile_field(field: SelectedField) -> list[Part]:
            requested.add_page_info(field.name)
            return [Placeholder(_PAGE_INFO_PLACEHOLDERS[field.name])]

        return self._object(page_info_field.object_type, page_info_field.nodes, compile_field)


def _or_null(json: str, kind: GraphQLOutputType) -> str:
    """JSON's null where there is no value, or the poison value where the type does not allow null."""
    return f"coalesce({json}, {POISON_SQL if isinstance(kind, GraphQLNonNull) else quoted('null')})"
