"""Compiles an operation into a plan: a step for each root field, pushed down if PostgreSQL can write all of it.

`OperationCompiler` and `pushdown.PushdownCompiler` walk the same declarations of `schema` over the same `Selections`.
The first makes steps of rows and generated functions, and wherever a row or a connection begins it lets the second try.

Follow `service(id:) { name templates { nodes { name service { id } } } }`: `_root` finds a row by its id, and
`_rows_by_key` has the pushdown compiler make one statement for everything. That is all.

Select `dailyLimits` too, which Python computes, and the pushdown compiler raises `NotPlannable`. `_rows_by_key` then
makes a step for one row, whose expression (`_entity`) copies `name`. The limits are a child step, a batch. So are the
templates, for which `_connection` tries pushdown again: only the service itself is read by a step. If the templates
could not be pushed down either, the expression of their rows would copy `name`, and `service` would be a table that
their statement joins.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import orjson
from graphql import DocumentNode, GraphQLList, GraphQLNonNull, execute_sync
from graphql.execution.values import VariableValues

from graphql_api.planner.errors import NotPlannable
from graphql_api.planner.pushdown.compiler import PushdownCompiler
from graphql_api.planner.pushdown.sql_tree import MAX_PUSHDOWN_VARIANTS
from graphql_api.planner.selections import Selections
from graphql_api.planner.steps import steps
from graphql_api.planner.steps.arguments import RequestedFields, connection_arguments, has_every_column
from graphql_api.planner.steps.codegen import CodeGenerator
from graphql_api.planner.steps.connections import ConnectionStep
from graphql_api.planner.steps.selects import OWN_ALIAS, RecordSelect
from graphql_api.planner.steps.steps import ChildStep, OperationPlan, OutputPlan, RootField
from loaders.core import readable_columns
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

    from graphql import FragmentDefinitionNode, GraphQLOutputType, OperationDefinitionNode
    from graphql.execution.collect_fields import FieldDetailsList

    from graphql_api.models.base import Model
    from graphql_api.observability.error_masking import ErrorMaskingSchema
    from graphql_api.planner.selections import SelectedField
    from graphql_api.planner.steps.steps import Step
    from loaders.core import One, Page, Row
    from schema.core import Entity
    from schema.core.entities import FieldDeclaration

NO_VARIABLES = VariableValues({}, {})
STEP_BYTES = 4_000
"""Approximate memory of a step without its expressions."""
_INTROSPECTION_FIELDS = {"__schema", "__type", "__typename"}
_PAGE_INFO_NAMES = {
    "hasNextPage": "has_next",
    "hasPreviousPage": "has_previous",
    "startCursor": "start_cursor",
    "endCursor": "end_cursor",
}
"""Names of the fields of `pageInfo` as parameters of a connection's function."""


def compile_query(
    schema: ErrorMaskingSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: VariableValues,
) -> OperationPlan:
    """The plan of a query, for these values of the variables that `@skip` and `@include` use."""
    return OperationCompiler(Selections(schema, operation, fragments, variables)).plan()


def compile_introspection(
    schema: ErrorMaskingSchema, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> OperationPlan:
    """The plan of a query of the schema alone, whose result never changes; raises `NotPlannable` for any other."""
    selections = Selections(schema, operation, fragments, NO_VARIABLES)
    if operation.variable_definitions or not selections.root_field_names() <= _INTROSPECTION_FIELDS:
        raise NotPlannable
    result = execute_sync(selections.schema, DocumentNode(definitions=(operation, *fragments.values())))
    if result.errors or result.data is None:
        raise NotPlannable
    texts = {response_key: orjson.dumps(value) for response_key, value in result.data.items()}
    roots = [RootField(response_key, None, orjson.Fragment(text)) for response_key, text in texts.items()]
    return OperationPlan(roots, sum(map(len, texts.values())), introspects=True)


class OperationCompiler:
    """Compiles one operation."""

    def __init__(self, selections: Selections) -> None:
        self._selections = selections
        self._pushdown = PushdownCompiler(selections)
        self._code = CodeGenerator(selections)
        self._step_count = 0

    def plan(self) -> OperationPlan:
        """The plan; raises `NotPlannable`."""
        roots = [self._root(field) for field in self._selections.root_fields()]
        step_count = self._step_count + self._pushdown.connection_count
        characters = self._code.source_characters + MAX_PUSHDOWN_VARIANTS * self._pushdown.characters
        return OperationPlan(roots, characters + STEP_BYTES * (step_count + 1))

    def _root(self, field: SelectedField) -> RootField:
        if field.name == "__typename":
            return RootField(field.response_key, None, self._selections.query_type.name)
        python_name = field.strawberry.python_name
        classes = field.strawberry.origin.__mro__  # type: ignore[union-attr]  # a root field stands in a class
        declarations = (declared for cls in classes if (declared := _declarations(cls).get(python_name)))
        match declared := next(declarations, None):
            case ByIdField():
                return RootField(field.response_key, self._row_by_id(field, declared))
            case ConnectionField():
                step = self._checked(declared, self._connection(field, declared), root=True)
                return RootField(field.response_key, step)
        if field.name in {"node", "nodes"} and field.name in vars(NodeQueries):
            return RootField(field.response_key, self._nodes(field))
        raise NotPlannable

    def _row_by_id(self, field: SelectedField, declared: ByIdField) -> Step:
        rows = self._rows_by_key(declared.loader, field.nodes)
        return steps.RowByIdStep(self._selections.argument_reader(field), rows)

    def _nodes(self, field: SelectedField) -> Step:
        entities = [entity for entity in registered_entities().values() if issubclass(entity, Node)]
        by_table = [self._rows_by_key(entity.by_id, field.nodes) for entity in entities]
        rows = tuple(entity.by_id for entity in entities)
        return steps.NodeStep(self._selections.argument_reader(field), rows, by_table)

    def _rows_by_key(self, row: Row, nodes: FieldDetailsList) -> Step:
        with contextlib.suppress(NotPlannable):
            return self._pushdown.rows(row, nodes)
        output = self._output_plan(row.model)
        expression = self._entity(output, OWN_ALIAS, row.model, nodes, non_null=row.archive is None)
        key_places = tuple(output.select.column(OWN_ALIAS, key.key) for key in row.key)
        self._finish(output, [expression])
        return steps.RowStep(row, output, key_places)

    def _output_plan(self, model: type[Model]) -> OutputPlan:
        self._step_count += 1
        return OutputPlan(RecordSelect(model))

    def _finish(self, output: OutputPlan, expressions: list[str]) -> None:
        output.functions = [self._code.records_function(expression, len(output.children)) for expression in expressions]

    # Entities: expressions of a record.

    def _entity(
        self, output: OutputPlan, alias: str, model: type[Model], nodes: FieldDetailsList, *, non_null: bool = True
    ) -> str:
        """An entity as a dict; unless `non_null`, any column may be null, because the table may be an archive."""
        kind = self._selections.entity_type(model)
        declarations = entity_of(model).fields
        items = []
        for field in self._selections.fields(kind, nodes):
            if field.name == "__typename":
                items.append(f"{field.response_key!r}: {kind.name!r}")
                continue
            declared = declarations.get(field.strawberry.python_name)
            if isinstance(declared, ColumnField):
                place, blank_is_null = output.select.column(alias, declared.name), declared.blank_is_null
                expression = self._code.column(
                    field, model, declared.name, place, blank_is_null=blank_is_null, non_null=non_null
                )
            else:
                expression = self._field(output, alias, model, field, declared)
            items.append(f"{field.response_key!r}: {expression}")
        return "{" + ", ".join(items) + "}"

    def _field(  # noqa: PLR0911 - a line for each kind of field
        self,
        output: OutputPlan,
        alias: str,
        model: type[Model],
        field: SelectedField,
        declared: FieldDeclaration | None,
    ) -> str:
        """A field that is more than a column."""
        match declared:
            case ComputedField():
                return self._computed(output, alias, model, field, declared)
            case ToOneField():
                path = (declared.loader, *declared.next_loaders)
                return _or_fail(field.type, self._to_one(output, alias, path, field.nodes))
            case ToUnionField():
                return _or_fail(field.type, self._to_union(output, alias, declared, field.nodes))
            case ToManyField():
                key = f"r[{output.select.column(alias, declared.loader.local)}]"
                return self._child(output, alias, self._list(field, declared), key)
            case BatchedField():
                key = self._row(output, alias, model)
                return self._checked_child(output, alias, model, declared, self._batch(field, declared), key)
            case ConnectionField():
                key = f"r[{output.select.column(alias, declared.loader.local or '')}]"
                return self._checked_child(output, alias, model, declared, self._connection(field, declared), key)
            case None:
                step = self._resolver(entity_of(model), field)
                return self._child(output, alias, step, self._row(output, alias, model))
        raise NotPlannable

    def _computed(
        self, output: OutputPlan, alias: str, model: type[Model], field: SelectedField, declared: ComputedField
    ) -> str:
        select = output.select
        context = ["context"] if declared.pass_context else []
        columns = [self._code.column_value(model, name, select.column(alias, name)) for name in declared.column_names]
        rows = [self._row(output, select.join(alias, edge), edge.row.model) for edge in declared.related]
        call = f"{self._code.constant(declared.via)}({', '.join([*context, *columns, *rows])})"
        return self._code.value(field.type, field.nodes, call)

    def _to_one(self, output: OutputPlan, alias: str, path: tuple[One, ...], nodes: FieldDetailsList) -> str:
        """The entity at the end of a path of edges, or None."""
        for edge in path:
            alias = output.select.join(alias, edge)
        entity = self._entity(output, alias, path[-1].row.model, nodes)
        return self._none_unless_joined(output, alias, entity)

    def _to_union(self, output: OutputPlan, alias: str, declared: ToUnionField, nodes: FieldDetailsList) -> str:
        *others, last = declared.paths
        expression = self._to_one(output, alias, last, nodes)
        for path in reversed(others):
            place = output.select.column(alias, path[0].local[0])
            expression = f"({self._to_one(output, alias, path, nodes)} if r[{place}] is not None else {expression})"
        return expression

    def _row(self, output: OutputPlan, alias: str, model: type[Model]) -> str:
        """The whole row, or None."""
        places = [output.select.column(alias, name) for name in readable_columns(model)]
        return self._none_unless_joined(output, alias, self._code.row(model, places))

    def _none_unless_joined(self, output: OutputPlan, alias: str, expression: str) -> str:
        """An expression of the rows of an alias; None for a record to which none was joined, whose key is null."""
        if alias == OWN_ALIAS:
            return expression
        key = output.select.joins[alias].edge.row.key[0].key
        return f"(None if r[{output.select.column(alias, key)}] is None else {expression})"

    # Child steps: what is read for all records of a step at once.

    def _child(self, output: OutputPlan, alias: str, step: Step, key: str) -> str:
        """The value that a child step makes for the record, by the expression of its key."""
        keys = self._code.keys_function(self._none_unless_joined(output, alias, key))
        output.children.append(ChildStep(keys, step))
        return f"k{len(output.children) - 1}"

    def _checked_child(
        self,
        output: OutputPlan,
        alias: str,
        model: type[Model],
        declared: ConnectionField | BatchedField,
        step: Step,
        key: str,
    ) -> str:
        """The same of a field with conditions of access."""
        if declared.permissions:
            service_column = entity_of(model).service_column
            if service_column is None:
                raise NotPlannable
            key = f"(r[{output.select.column(alias, service_column)}], {key})"
        return self._child(output, alias, self._checked(declared, step), key)

    def _checked(self, declared: ConnectionField | BatchedField, step: Step, *, root: bool = False) -> Step:
        if declared.permissions and not root:
            return steps.ServiceAccessStep(declared, step)
        if isinstance(declared, ConnectionField) and (declared.people_only or declared.admins_only):
            return steps.ActorAccessStep(declared, step)
        return step

    def _list(self, field: SelectedField, declared: ToManyField) -> Step:
        many = declared.loader
        output = self._output_plan(many.model)
        if declared.via is None:
            expression = self._entity(output, OWN_ALIAS, many.model, field.nodes)
        else:
            item = f"{self._code.constant(declared.via)}({self._row(output, OWN_ALIAS, many.model)})"
            expression = self._code.value(_item_type(field.type), field.nodes, item)
        self._finish(output, [expression])
        return steps.ListStep(many, output)

    def _batch(self, field: SelectedField, declared: BatchedField) -> Step:
        self._step_count += 1
        value = "v"
        if declared.via is not None:
            value = f"{self._code.constant(declared.via)}({'context, v' if declared.pass_context else 'v'})"
        expression = self._code.value(field.type, field.nodes, value)
        return steps.BatchStep(declared.loader, self._code.values_function(expression))

    def _resolver(self, entity: type[Entity], field: SelectedField) -> Step:
        """A field with a resolver of its own, whose result is no entity; it is called as Strawberry would call it."""
        self._step_count += 1
        resolver = field.strawberry.base_resolver
        if resolver is None or not callable(resolver.wrapped_func):
            raise NotPlannable
        function = self._code.values_function(self._code.value(field.type, field.nodes, "v"))
        return steps.ResolverStep(entity.of, resolver.wrapped_func, self._selections.argument_reader(field), function)

    # Connections.

    def _connection(self, connection_field: SelectedField, declared: ConnectionField) -> Step:
        with contextlib.suppress(NotPlannable):
            return self._pushdown.connections(connection_field, declared)
        page = declared.loader
        output = self._output_plan(page.model)
        requested = RequestedFields()
        kind = connection_field.object_type
        rows: list[str] = []
        items = []
        for field in self._selections.fields(kind, connection_field.nodes):
            match field.name:
                case "__typename":
                    expression = repr(kind.name)
                case "totalCount":
                    requested.total_count, expression = True, "total_count"
                case "pageInfo":
                    requested.rows, expression = True, self._page_info(field, requested)
                case "nodes":
                    requested.rows, expression = True, f"v{len(rows)}"
                    rows.append(self._page_row(output, page, field.nodes))
                case _:
                    requested.rows, expression = True, f"v{len(rows)}"
                    rows.append(self._edge(output, page, field, requested))
            items.append(f"{field.response_key!r}: {expression}")
        self._finish(output, rows)
        columns = [f"v{index}" for index in range(len(rows))]
        names = ", ".join([*_PAGE_INFO_NAMES.values(), "total_count", *columns])
        function = self._code.function(names, "{" + ", ".join(items) + "}")
        arguments = connection_arguments(self._selections, connection_field, declared)
        return ConnectionStep(page, arguments, output, requested, function)

    def _page_row(self, output: OutputPlan, page: Page, nodes: FieldDetailsList) -> str:
        return self._entity(output, OWN_ALIAS, page.model, nodes, non_null=has_every_column(page))

    def _edge(self, output: OutputPlan, page: Page, edge_field: SelectedField, requested: RequestedFields) -> str:
        kind = edge_field.object_type
        items = []
        for field in self._selections.fields(kind, edge_field.nodes):
            match field.name:
                case "__typename":
                    expression = repr(kind.name)
                case "cursor":
                    requested.sort_keys, expression = True, "cursor(r)"
                case _:
                    expression = self._page_row(output, page, field.nodes)
            items.append(f"{field.response_key!r}: {expression}")
        return "{" + ", ".join(items) + "}"

    def _page_info(self, page_info_field: SelectedField, requested: RequestedFields) -> str:
        kind = page_info_field.object_type
        items = []
        for field in self._selections.fields(kind, page_info_field.nodes):
            requested.add_page_info(field.name)
            expression = repr(kind.name) if field.name == "__typename" else _PAGE_INFO_NAMES[field.name]
            items.append(f"{field.response_key!r}: {expression}")
        return "{" + ", ".join(items) + "}"


def _or_fail(kind: GraphQLOutputType, expression: str) -> str:
    return f"non_null({expression})" if isinstance(kind, GraphQLNonNull) else expression


def _item_type(kind: GraphQLOutputType) -> GraphQLOutputType:
    """The type of a list's items."""
    inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    if not isinstance(inner, GraphQLList):
        raise NotPlannable
    item: GraphQLOutputType = inner.of_type
    return item


def _declarations(cls: type[object]) -> Mapping[str, FieldDeclaration]:
    declarations: Mapping[str, FieldDeclaration] = vars(cls).get("fields", {})
    return declarations
