"""The words by which an entity declares a field: each is data until `entity` makes a Strawberry field of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql_api.enums import ServicePermission
    from loaders.core import Batch, Many, One, Page, Row

RequiredPermissions = tuple["ServicePermission", ...]
DEFAULT_BATCHED_FIELD_WEIGHT = 2
"""What a field that is looked up weighs, unless it says otherwise."""


@dataclass(frozen=True, slots=True)
class ColumnField:
    """A column of the row, under another name; with `blank_is_null` an empty text is none."""

    name: str
    blank_is_null: bool = False


@dataclass(frozen=True, slots=True)
class ComputedField:
    """A pure function of columns of the row; `along` are to-one edges whose rows come after the columns' values.

    With `context`, the function takes the request's context before all else.
    """

    column_names: tuple[str, ...]
    via: Callable[..., Any]
    related: tuple[One, ...] = ()
    pass_context: bool = False


@dataclass(frozen=True, slots=True)
class ToOneField:
    """Another entity: the far side of a foreign key; `then` leads on from there."""

    loader: One
    next_loaders: tuple[One, ...] = ()


@dataclass(frozen=True, slots=True)
class ToUnionField:
    """One of several entities: the end of the first path whose first key the row has."""

    paths: tuple[tuple[One, ...], ...]


@dataclass(frozen=True, slots=True)
class ToManyField:
    """A short list; `via` makes a value of each row, an entity where it is left out."""

    loader: Many
    via: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True)
class ConnectionField:
    """A connection: a keyset page of another entity, with the filter and order inputs that it takes."""

    loader: Page
    filter: type[Any] | None = None
    order: type[Any] | None = None
    permissions: RequiredPermissions = ()
    people_only: bool = False
    admins_only: bool = False


@dataclass(frozen=True, slots=True)
class BatchedField:
    """What a batch function answers for the row; `via` makes the field's value of it."""

    loader: Batch
    via: Callable[..., Any] | None = None
    permissions: RequiredPermissions = ()
    pass_context: bool = False
    weight: int = 0


@dataclass(frozen=True, slots=True)
class ByIdField:
    """A root field that takes an id: the entity with that id, null when the caller sees none."""

    loader: Row


def column(attribute: Any, *, blank_is_null: bool = False) -> Any:
    """A column under another name: `trial: bool = column(models.Service.restricted)`."""
    return ColumnField(attribute.key, blank_is_null)


def computed(
    *attributes: Any, via: Callable[..., Any], related: tuple[One, ...] = (), pass_context: bool = False
) -> Any:
    """A function of the row: `status_text: str = computed(models.Notification.status, via=text_of)`."""
    return ComputedField(tuple(attribute.key for attribute in attributes), via, related, pass_context)


def to_one(loader: One, *next_loaders: One) -> Any:
    """Another entity: `service: refs.Service = one(loaders.templates.service)`; several edges lead on one another."""
    return ToOneField(loader, next_loaders)


def to_union(*paths: One | tuple[One, ...]) -> Any:
    """One of several entities, whose columns say which: `created_by: Actor | None = either(...)`."""
    return ToUnionField(tuple(path if isinstance(path, tuple) else (path,) for path in paths))


def to_many(loader: Many, via: Callable[[Any], Any] | None = None) -> Any:
    """A short list: `features: list[ServiceFeature] = many(loaders.services.features, via=...)`."""
    return ToManyField(loader, via)


def connection(
    loader: Page,
    *,
    filter: type[Any] | None = None,
    order: type[Any] | None = None,
    permissions: ServicePermission | RequiredPermissions = (),
    people_only: bool = False,
    admins_only: bool = False,
) -> Any:
    """A connection: `templates: Connection[refs.Template] | None = edge(loaders.services.templates)`.

    `needs` are permissions in the row's service of which the caller must have one.
    """
    return ConnectionField(loader, filter, order, _permission_tuple(permissions), people_only, admins_only)


def batched(
    loader: Batch,
    via: Callable[..., Any] | None = None,
    *,
    permissions: ServicePermission | RequiredPermissions = (),
    pass_context: bool = False,
    weight: int = DEFAULT_BATCHED_FIELD_WEIGHT,
) -> Any:
    """What a batch function answers: `progress: JobProgress = lookup(loaders.jobs.progress, via=...)`.

    `weight` is what it costs for one row, in objects that are read for as much.
    """
    return BatchedField(loader, via, _permission_tuple(permissions), pass_context, weight)


def by_id(loader: Row) -> Any:
    """A root field by id: `template: Template | None = found(loaders.templates.by_id)`."""
    return ByIdField(loader)


def _permission_tuple(permissions: ServicePermission | RequiredPermissions) -> RequiredPermissions:
    return permissions if isinstance(permissions, tuple) else (permissions,)
