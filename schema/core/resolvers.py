"""How a declared field is answered through graphql-core: columns at once, the rest through the request's loaders."""

import inspect
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

import strawberry

from graphql_api.auth.actors import Actor
from graphql_api.errors import Forbidden, Unauthenticated
from loaders.core import Arguments, One, Page
from loaders.core.filters import uuid_or_none
from schema.core.connections import Connection
from schema.core.fields import Column, Computed, Edges, Either, Found, Looked, ToMany, ToOne
from schema.core.info import Info

PAGING = {"first": int | None, "after": str | None, "last": int | None, "before": str | None}


def reader(declared: Any) -> Callable[[Any], Any] | None:
    """A function of the object alone, for columns and pure functions of them; None for all else."""
    if isinstance(declared, Column):
        read = attrgetter(f"row.{declared.name}")
        return (lambda root: read(root) or None) if declared.blank_is_null else read
    if isinstance(declared, Computed) and not declared.along and not declared.context:
        values, via = _values(declared.names), declared.via
        return lambda root: via(*values(root.row))
    return None


def resolver(name: str, declared: Any, annotation: Any) -> Callable[..., Any]:  # noqa: PLR0911 - a line for each word
    """A Strawberry resolver for a declared field that needs more than the row."""
    match declared:
        case Computed():
            return _signed(name, _computed(declared), annotation)
        case ToOne():
            return _signed(name, _to_one(declared), annotation)
        case Either():
            return _signed(name, _either(declared), annotation)
        case ToMany():
            return _signed(name, _to_many(declared), annotation)
        case Looked():
            return _signed(name, _looked(declared), annotation)
        case Found():
            return _signed(name, _found(declared), annotation, {"id": strawberry.ID}, required=True)
        case Edges():
            taken = {} if declared.filter is None else {"filter": declared.filter | None}
            taken |= {} if declared.order is None else {"order_by": declared.order | None}
            return _signed(name, _edges(declared), annotation, taken | PAGING)
    raise TypeError(name)


def _computed(declared: Computed) -> Callable[..., Any]:
    values = _values(declared.names)

    async def resolve(root: Any, info: Info) -> Any:
        loaders = info.context.loaders
        rows = [await loaders.one(loader, root.row) for loader in declared.along]
        before = (info.context,) if declared.context else ()
        return declared.via(*before, *values(root.row), *rows)

    return resolve


def _to_one(declared: ToOne) -> Callable[..., Any]:
    path = (declared.loader, *declared.then)

    async def resolve(root: Any, info: Info) -> Any:
        return await _end_of(path, root.row, info)

    return resolve


def _either(declared: Either) -> Callable[..., Any]:
    *others, last = declared.paths

    async def resolve(root: Any, info: Info) -> Any:
        chosen = (path for path in others if getattr(root.row, path[0].local[0]) is not None)
        return await _end_of(next(chosen, last), root.row, info)

    return resolve


async def _end_of(path: tuple[One, ...], row: Any, info: Info) -> Any:
    """The entity that a path of edges ends at; None where one of them leads nowhere."""
    from schema.core.entities import of  # noqa: PLC0415 - entities are made with resolvers

    for edge in path:
        row = row and await info.context.loaders.one(edge, row)
    return of(row, path[-1].row.model)


def _to_many(declared: ToMany) -> Callable[..., Any]:
    from schema.core.entities import entity_of  # noqa: PLC0415 - entities are made with resolvers

    async def resolve(root: Any, info: Info) -> Any:
        rows = await info.context.loaders.many(declared.loader, root.row)
        via = declared.via or entity_of(declared.loader.model).of
        return [via(row) for row in rows]

    return resolve


def _looked(declared: Looked) -> Callable[..., Any]:
    async def resolve(root: Any, info: Info) -> Any:
        _require(declared, root, info)
        answer = await info.context.loaders.batch(declared.loader, root.row)
        if declared.via is None:
            return answer
        return declared.via(info.context, answer) if declared.context else declared.via(answer)

    return resolve


def _found(declared: Found) -> Callable[..., Any]:
    from schema.core.entities import of  # noqa: PLC0415 - entities are made with resolvers

    async def resolve(root: Any, info: Info, id: str) -> Any:
        del root
        if not info.context.actor.signed_in:
            raise Unauthenticated
        key = uuid_or_none(id)
        return of(await info.context.loaders.row(declared.loader, key), declared.loader.model)

    return resolve


def _edges(declared: Edges) -> Callable[..., Any]:
    from schema.core.entities import entity_of  # noqa: PLC0415 - entities are made with resolvers

    page = declared.loader

    async def resolve(
        root: Any, info: Info, filter: Any = strawberry.UNSET, order_by: Any = strawberry.UNSET, **paging: Any
    ) -> Connection[Any]:
        _require(declared, root, info)
        arguments = read_arguments(declared, filter, order_by, paging)
        key = None if page.local is None else getattr(root.row, page.local)
        return Connection(page=page, key=key, arguments=arguments, entity=entity_of(page.model))

    return resolve


def read_arguments(declared: Edges, filter: Any, order_by: Any, paging: Mapping[str, Any]) -> Arguments:
    """What a connection was asked for: the filter's defaults hold when no filter was given."""
    page: Page = declared.loader
    order = page.order
    if order_by:
        order = page.orders[order_by.field].towards(order_by.direction == "desc")
    chosen = filter
    if not chosen and declared.filter is not None:
        chosen = declared.filter()
    conditions = _conditions(chosen) if chosen else {}
    return Arguments.read(
        order, conditions, **{name: value for name, value in paging.items() if value is not strawberry.UNSET}
    )


def _conditions(filter: Any) -> dict[str, Any]:
    """The conditions that were given; an input within becomes a mapping by GraphQL's names."""
    definition = filter.__strawberry_definition__
    found = {}
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
        found[field.python_name] = value
    return found


def _require(declared: Edges | Looked, root: Any, info: Info) -> None:
    """Refuse a caller who sees the object but may not read this of it."""
    require(declared, info.context.actor, getattr(root.row, root.service_column) if declared.needs else None)


def require(declared: Edges | Looked, actor: Actor, service_id: Any) -> None:
    """Refuse an actor who may not read a field of an object of a service."""
    if not actor.signed_in:
        raise Unauthenticated
    if isinstance(declared, Edges):
        if declared.admins_only:
            actor.require_platform_admin()
        if declared.people_only and actor.api_key_id is not None:
            raise Forbidden("PERSON", "An API key may not read people: sign in as a person.")
    if declared.needs and not (actor.platform_wide or any(actor.may(one, service_id) for one in declared.needs)):
        raise Forbidden(declared.needs[0].name)


def _values(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if not names:
        return lambda _: ()
    if len(names) == 1:
        (name,) = names
        return lambda row: (getattr(row, name),)
    return attrgetter(*names)


def _signed(
    name: str,
    resolve: Callable[..., Any],
    annotation: Any,
    arguments: Mapping[str, Any] | None = None,
    *,
    required: bool = False,
) -> Callable[..., Any]:
    """The resolver with the signature that Strawberry reads its arguments and type from."""
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
    resolve.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": annotation}
    resolve.__name__ = name
    return resolve
