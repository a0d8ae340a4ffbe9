"""Declarations of reads: data, from which `statements` makes SQL and `request` makes batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import configure_mappers

from loaders.core.filters import AlsoTable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.auth.actors import Actor
    from graphql_api.models import base
    from loaders.core.filters import Filter
    from loaders.core.orders import Order


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One row of `model` by unique columns.

    `archive` is a second table that is searched too, whose rows lack some columns. With `inherits_visibility`, every
    caller who sees a row that points to this one sees this one, so that the statement has no condition of visibility.
    """

    model: type[base.Model]
    key: tuple[Any, ...]
    archive: type[base.Model] | None = None
    inherits_visibility: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class One:
    """The far side of a foreign key: `local` are the attributes of the near row that hold the key of `row`.

    `key_suffix` are constant values for the last columns of the key.
    """

    local: tuple[str, ...]
    row: Row
    key_suffix: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Many:
    """A short, bounded list of `model` for each parent: rows whose `foreign_key` equals the parent's `local`."""

    model: type[base.Model]
    foreign_key: Any
    local: str
    order: Order
    where: ColumnElement[bool] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """Keyset pages of `model`: of the whole table, or of rows whose `foreign_key` equals the parent's `local`.

    With `bulk`, they may come from a replica: always, or when one of the named filters is given.
    """

    model: type[base.Model]
    foreign_key: Any | None
    local: str | None
    order: Order
    orders: Mapping[str, Order] = field(default_factory=dict)
    filters: Mapping[str, Filter] = field(default_factory=dict)
    where: ColumnElement[bool] | None = None
    bulk: bool | frozenset[str] = False

    def is_bulk(self, filters: Mapping[str, Any]) -> bool:
        """Whether the list may come from a replica, with these filters."""
        return self.bulk if isinstance(self.bulk, bool) else any(filters.get(name) for name in self.bulk)

    def also_tables(self, filter_names: Iterable[str]) -> list[type[base.Model]]:
        """The models of further tables that these filters read, in their order."""
        filters = (self.filters[name] for name in filter_names)
        return [filter_.model for filter_ in filters if isinstance(filter_, AlsoTable)]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Any other SQL: `load(connection, actor, keys)` returns values by key; `default_factory()` makes missing ones.

    With `bulk`, it may read from a replica.
    """

    load: Callable[[AsyncConnection, Actor, Sequence[Any]], Awaitable[Mapping[Any, Any]]]
    key: Callable[[Any], Hashable]
    default_factory: Callable[[], Any]
    bulk: bool = False


def row(*key: Any, archive: type[base.Model] | None = None, inherits_visibility: bool = False) -> Row:
    """One row by a unique key: `row(Template.id)`. Equal calls return the same object, and so share batches."""
    return _cached_row(key, archive, inherits_visibility)


def one(relationship: Any, *, archive: type[base.Model] | None = None, inherits_visibility: bool = False) -> One:
    """The far side of a foreign key: `one(Template.service)`."""
    pairs = _local_remote_pairs(relationship)
    return One(
        tuple(near for near, _ in pairs),
        row(*(far for _, far in pairs), archive=archive, inherits_visibility=inherits_visibility),
    )


def many(relationship: Any, order: Order, *, where: ColumnElement[bool] | None = None) -> Many:
    """A short, bounded list per parent: `many(Service.features, ordered_by(ServiceFeature.permission))`."""
    ((local, key),) = _local_remote_pairs(relationship)
    return Many(key.parent.class_, key, local, order, where)


def page(
    relationship: Any,
    order: Order,
    *,
    orders: Mapping[str, Order] | None = None,
    filters: Mapping[str, Filter] | None = None,
    where: ColumnElement[bool] | None = None,
    bulk: bool | frozenset[str] = False,
) -> Page:
    """A keyset page per parent: `page(Service.templates, ordered_by(Template.name, Template.id))`."""
    ((local, key),) = _local_remote_pairs(relationship)
    return Page(key.parent.class_, key, local, order, orders or {}, filters or {}, where, bulk)


def table_page(
    model: type[base.Model],
    order: Order,
    *,
    orders: Mapping[str, Order] | None = None,
    filters: Mapping[str, Filter] | None = None,
    where: ColumnElement[bool] | None = None,
    bulk: bool | frozenset[str] = False,
) -> Page:
    """A keyset page over all rows of a table that the caller sees."""
    return Page(model, None, None, order, orders or {}, filters or {}, where, bulk)


def _identity(parent: Any) -> Hashable:
    key: Hashable = parent
    return key


def batch(
    key: Callable[[Any], Hashable] = _identity, *, default_factory: Callable[[], Any] = lambda: None, bulk: bool = False
) -> Callable[[Callable[[AsyncConnection, Actor, Sequence[Any]], Awaitable[Mapping[Any, Any]]]], Batch]:
    """Declare an async function as a batch; `key` maps a parent to its key, by default the parent itself."""
    return lambda load: Batch(load, key, default_factory, bulk)


@cache
def _cached_row(key: tuple[Any, ...], archive: type[base.Model] | None, inherits_visibility: bool) -> Row:
    return Row(key[0].parent.class_, key, archive, inherits_visibility)


def _local_remote_pairs(relationship: Any) -> list[tuple[str, Any]]:
    """Names of the near attributes and the far attributes of a relationship, in the order of its key."""
    configure_mappers()
    prop = relationship.property
    near, far = prop.parent, prop.mapper
    return [
        (near.get_property_by_column(local).key, getattr(far.class_, far.get_property_by_column(remote).key))
        for local, remote in prop.local_remote_pairs
    ]
