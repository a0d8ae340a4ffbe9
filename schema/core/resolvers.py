"""Resolvers of declared fields for graphql-core: columns from the row, the rest through the request's loaders."""

import inspect
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Annotated, Any

import strawberry

from graphql_api.content.values import uuid_or_none
from loaders.core import One, Page, PageArguments
from schema.core.access import require_field_access, require_signed_in
from schema.core.arguments import FILTER_DESCRIPTION, ORDER_DESCRIPTION, PAGINATION_ARGUMENTS, Id
from schema.core.connections import Connection
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
from schema.core.info import Info
from schema.core.registry import entity_from_row, entity_of


def property_getter(declared: Any) -> Callable[[Any], Any] | None:
    """A function of the object alone, for columns and pure functions of them; None for other fields."""
    if isinstance(declared, ColumnField):
        read = attrgetter(f"row.{declared.name}")
        return (lambda root: read(root) or None) if declared.blank_is_null else read
    if isinstance(declared, ComputedField) and not declared.related and not declared.pass_context:
        values, via = _row_values_getter(declared.column_names), declared.via
        return lambda root: via(*values(root.row))
    return None


def resolver(name: str, declared: Any, annotation: Any) -> Callable[..., Any]:  # noqa: PLR0911 - a line for each kind of field
    """A Strawberry resolver for a declared field that needs more than the row."""
    match declared:
        case ComputedField():
            return _with_signature(name, _computed_resolver(declared), annotation)
        case ToOneField():
            return _with_signature(name, _to_one_resolver(declared), annotation)
        case ToUnionField():
            return _with_signature(name, _to_union_resolver(declared), annotation)
        case ToManyField():
            return _with_signature(name, _to_many_resolver(declared), annotation)
        case BatchedField():
            return _with_signature(name, _batched_resolver(declared), annotation)
        case ByIdField():
            return _with_signature(name, _by_id_resolver(declared), annotation, {"id": Id}, required=True)
        case ConnectionField():
            return _with_signature(name, _connection_resolver(declared), annotation, _connection_arguments(declared))
    raise TypeError(name)


def _connection_arguments(declared: ConnectionField) -> dict[str, Any]:
    """The types of a connection's arguments, by name."""
    arguments: dict[str, Any] = {}
    if declared.filter is not None:
        arguments["filter"] = Annotated[declared.filter | None, strawberry.argument(description=FILTER_DESCRIPTION)]
    if declared.order is not None:
        arguments["order_by"] = Annotated[declared.order | None, strawberry.argument(description=ORDER_DESCRIPTION)]
    return arguments | PAGINATION_ARGUMENTS


def _computed_resolver(declared: ComputedField) -> Callable[..., Any]:
    values = _row_values_getter(declared.column_names)

    async def resolve(root: Any, info: Info) -> Any:
        loaders = info.context.loaders
        rows = [await loaders.one(loader, root.row) for loader in declared.related]
        context = (info.context,) if declared.pass_context else ()
        return declared.via(*context, *values(root.row), *rows)

    return resolve


def _to_one_resolver(declared: ToOneField) -> Callable[..., Any]:
    path = (declared.loader, *declared.next_loaders)

    async def resolve(root: Any, info: Info) -> Any:
        return await _follow_path(path, root.row, info)

    return resolve


def _to_union_resolver(declared: ToUnionField) -> Callable[..., Any]:
    *others, last = declared.paths

    async def resolve(root: Any, info: Info) -> Any:
        with_key = (path for path in others if getattr(root.row, path[0].local[0]) is not None)
        return await _follow_path(next(with_key, last), root.row, info)

    return resolve


async def _follow_path(path: tuple[One, ...], row: Any, info: Info) -> Any:
    """The entity at the end of a path of to-one relationships; None where one of the rows is missing or not visible."""
    for loader in path:
        row = row and await info.context.loaders.one(loader, row)
    return entity_from_row(row, path[-1].row.model)


def _to_many_resolver(declared: ToManyField) -> Callable[..., Any]:
    async def resolve(root: Any, info: Info) -> Any:
        rows = await info.context.loaders.many(declared.loader, root.row)
        via = declared.via or entity_of(declared.loader.model).of
        return [via(row) for row in rows]

    return resolve


def _batched_resolver(declared: BatchedField) -> Callable[..., Any]:
    async def resolve(root: Any, info: Info) -> Any:
        _require_on_object(declared, root, info)
        value = await info.context.loaders.batch(declared.loader, root.row)
        if declared.via is None:
            return value
        return declared.via(info.context, value) if declared.pass_context else declared.via(value)

    return resolve


def _by_id_resolver(declared: ByIdField) -> Callable[..., Any]:
    async def resolve(root: Any, info: Info, id: str) -> Any:
        del root
        require_signed_in(info.context.actor)
        key = uuid_or_none(id)
        return entity_from_row(await info.context.loaders.row(declared.loader, key), declared.loader.model)

    return resolve


def _connection_resolver(declared: ConnectionField) -> Callable[..., Any]:
    page = declared.loader

    async def resolve(
        root: Any, info: Info, filter: Any = strawberry.UNSET, order_by: Any = strawberry.UNSET, **paging: Any
    ) -> Connection[Any]:
        _require_on_object(declared, root, info)
        arguments = read_arguments(declared, filter, order_by, paging)
        key = None if page.local is None else getattr(root.row, page.local)
        return Connection(page=page, parent_key=key, arguments=arguments, entity=entity_of(page.model))

    return resolve


def read_arguments(declared: ConnectionField, filter: Any, order_by: Any, paging: Mapping[str, Any]) -> PageArguments:
    """The arguments of a connection; without a filter, the filter's defaults hold."""
    page: Page = declared.loader
    order = page.order
    if order_by:
        order = page.orders[order_by.field].in_direction(order_by.direction == "desc")
    filter_or_default = filter or (declared.filter() if declared.filter else None)
    conditions = _filter_conditions(filter_or_default) if filter_or_default else {}
    return PageArguments.parse(
        order, conditions, **{name: value for name, value in paging.items() if value is not strawberry.UNSET}
    )


def _filter_conditions(filter: Any) -> dict[str, Any]:
    """The conditions that were given, by Python name; a nested input becomes a mapping by GraphQL name."""
    definition = filter.__strawberry_definition__
    conditions = {}
    for field in definition.fields:
        value = getattr(filter, field.python_name)
        if value is None or value is strawberry.UNSET:
            continue
        if hasattr(value, "__strawberry_definition__"):
            parts = {
                part.graphql_name or part.python_name: getattr(value, part.python_name)
                for part in value.__strawberry_definition__.fields
            }
            value = {name: None if part is strawberry.UNSET else part for name, part in parts.items()}
        conditions[field.python_name] = value
    return conditions


def _require_on_object(declared: ConnectionField | BatchedField, root: Any, info: Info) -> None:
    """Refuse a caller who sees the object but may not read this field of it."""
    require_field_access(
        declared, info.context.actor, getattr(root.row, root.service_column) if declared.permissions else None
    )


def _row_values_getter(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if not names:
        return lambda _: ()
    if len(names) == 1:
        (name,) = names
        return lambda row: (getattr(row, name),)
    return attrgetter(*names)


def _with_signature(
    name: str,
    resolve: Callable[..., Any],
    annotation: Any,
    arguments: Mapping[str, Any] | None = None,
    *,
    required: bool = False,
) -> Callable[..., Any]:
    """The resolver with the signature from which Strawberry reads its arguments and type."""
    default = inspect.Parameter.empty if required else strawberry.UNSET
    parameters = [
        inspect.Parameter("root", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Any),
        inspect.Parameter("info", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Info),
        *(
            inspect.Parameter(argument, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
            for argument, kind in (arguments or {}).items()
        ),
    ]
    resolve.__signature__ = inspect.Signature(parameters, return_annotation=annotation)  # type: ignore[attr-defined]
    resolve.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters} | {
        "return": annotation
    }
    resolve.__name__ = name
    return resolve
