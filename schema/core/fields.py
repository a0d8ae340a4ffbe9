"""Declarations of an entity's fields: data, of which `entity` makes Strawberry fields and the planner statements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql_api.enums import ServicePermission
    from loaders.core import Batch, Many, One, Page, Row

RequiredPermissions = tuple["ServicePermission", ...]
DEFAULT_BATCHED_FIELD_WEIGHT = 2
"""Objects that a batched field costs for one row, where its declaration gives no weight."""


@dataclass(frozen=True, slots=True)
class ColumnField:
    """A column of the row, under its own name or another; with `blank_is_null` an empty text is null."""

    name: str
    blank_is_null: bool = False


@dataclass(frozen=True, slots=True)
class ComputedField:
    """A pure function of columns of the row, then of the rows of the to-one relationships `related`.

    With `pass_context`, the function takes the request's context as its first argument.
    """

    column_names: tuple[str, ...]
    via: Callable[..., Any]
    related: tuple[One, ...] = ()
    pass_context: bool = False


@dataclass(frozen=True, slots=True)
class ToOneField:
    """Another entity: the far side of a foreign key, or of the path that `next_loaders` continue."""

    loader: One
    next_loaders: tuple[One, ...] = ()


@dataclass(frozen=True, slots=True)
class ToUnionField:
    """One of several entities: the end of the first path whose first foreign key is not null in the row."""

    paths: tuple[tuple[One, ...], ...]


@dataclass(frozen=True, slots=True)
class ToManyField:
    """A short list; `via` makes the item of each row; without it, the items are entities."""

    loader: Many
    via: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True)
class ConnectionField:
    """A connection: a keyset page of another entity, with its filter and order inputs.

    The caller needs one of `permissions` in the row's service; `people_only` excludes API keys, `admins_only` everyone
    but platform admins.
    """

    loader: Page
    filter: type[Any] | None = None
    order: type[Any] | None = None
    permissions: RequiredPermissions = ()
    people_only: bool = False
    admins_only: bool = False


@dataclass(frozen=True, slots=True)
class BatchedField:
    """The value that a batch function returns for the row, or what `via` makes of it."""

    loader: Batch
    via: Callable[..., Any] | None = None
    permissions: RequiredPermissions = ()
    pass_context: bool = False
    weight: int = 0


@dataclass(frozen=True, slots=True)
class ByIdField:
    """A root field with an argument `id`: the entity with that id; null where the caller sees none."""

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
    """Another entity, over one relationship or several: `service: refs.Service = to_one(loaders.templates.service)`."""
    return ToOneField(loader, next_loaders)


def to_union(*paths: One | tuple[One, ...]) -> Any:
    """One of several entities, by the foreign key that is not null: `created_by: Actor | None = to_union(...)`."""
    return ToUnionField(tuple(path if isinstance(path, tuple) else (path,) for path in paths))


def to_many(loader: Many, via: Callable[[Any], Any] | None = None) -> Any:
    """A short list: `features: list[ServiceFeature] = to_many(loaders.services.features, via=...)`."""
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
    """A connection: `templates: Connection[refs.Template] | None = connection(loaders.services.templates)`.

    `permissions` are those in the row's service of which the caller needs one.
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
    """The value of a batch function: `progress: JobProgress = batched(loaders.jobs.progress, via=...)`.

    `weight` is what the field costs for one row, in objects.
    """
    return BatchedField(loader, via, _permission_tuple(permissions), pass_context, weight)


def by_id(loader: Row) -> Any:
    """A root field by id: `template: Template | None = by_id(loaders.templates.by_id)`."""
    return ByIdField(loader)


def _permission_tuple(permissions: ServicePermission | RequiredPermissions) -> RequiredPermissions:
    return permissions if isinstance(permissions, tuple) else (permissions,)
