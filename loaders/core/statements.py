"""Declarations become SQL: Core statements that select labelled columns, for one scope of visibility.

The text of a statement depends on the declaration, the scope and the shape of the arguments, never on how many parents
a batch has or on any value; so each is built once and kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    any_,
    bindparam,
    case,
    column,
    exists,
    func,
    inspect,
    literal_column,
    null,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql import visitors

from graphql_api.auth import visibility
from loaders.core.filters import Also

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from graphql_api.models import base
    from loaders.core.declarations import Many, Page, Row
    from loaders.core.orders import Order

ORDINAL = "ordinal"
Shapes = tuple[tuple[str, "Hashable"], ...]
Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Going:
    """What of a page's arguments the text of its statement depends on.

    `alone` is for one parent, without arrays; `peek` reads one row more, to know whether there is any.
    """

    order: Order
    size: int
    shapes: Shapes
    backwards: bool
    onwards: bool
    alone: bool = False
    peek: bool = True

    @property
    def descending(self) -> bool:
        """Which way the rows are read."""
        return self.order.descending != self.backwards


@lru_cache(maxsize=512)
def readable(model: Any) -> tuple[str, ...]:
    """Names of the attributes of a table that a read selects: all but the deferred ones, such as password hashes."""
    return tuple(attribute.key for attribute in inspect(model).column_attrs if not attribute.deferred)


@lru_cache(maxsize=2_048)
def by_key(row: Row, scope: visibility.Scope) -> Any:
    """Rows by their unique keys, bound as the arrays `key_0`, `key_1` ...; the archive's after the table's own."""
    return found(row, scope, readable(row.model))


def found(row: Row, scope: visibility.Scope, names: Names) -> Any:
    """`by_key` with these columns alone; not kept."""
    own = _selected_by_key(row, row.model, scope, names)
    if row.archive is None:
        return own
    return union_all(own, _selected_by_key(row, row.archive, scope, names))


@lru_cache(maxsize=64)
def kinds(rows: tuple[Row, ...], scope: visibility.Scope) -> Any:
    """Which of several tables holds each id of the array `key_0`: its place in `rows`, and the id."""
    tables = [(index, model) for index, row in enumerate(rows) for model in (row.model, row.archive) if model]
    return union_all(
        *(
            _seen(
                select(literal_column(str(index)).label("kind"), model.id.label("id")).where(  # type: ignore[attr-defined]
                    model.id == any_(_array("key_0", model.id))  # type: ignore[attr-defined]
                ),
                model,
                scope,
            )
            for index, model in tables
        )
    )


@lru_cache(maxsize=512)
def lists(many: Many, scope: visibility.Scope) -> Any:
    """Every parent's list, bound as the array `key_0`, in the list's order."""
    return listed(many, scope, readable(many.model))


def listed(many: Many, scope: visibility.Scope, names: Names) -> Any:
    """`lists` with these columns alone; not kept."""
    statement = (
        select(*_columns(many.model, scope, names))
        .where(many.key == any_(_array("key_0", many.key)))
        .order_by(*_directed(many.order, many.order.descending))
    )
    if many.where is not None:
        statement = statement.where(many.where)
    return _seen(statement, many.model, scope)


@lru_cache(maxsize=1_024)
def slices(
    page: Page, scope: visibility.Scope, order: Order, size: int, shapes: Shapes, *, backwards: bool, onwards: bool
) -> Select[Any]:
    """A page for every parent, one row more than asked for, nearest to the cursor first.

    Binds the arrays `key_0`, and `cursor_0`, `cursor_1` ... where the page goes `onwards` from a place.
    """
    going = Going(order, size, shapes, backwards=backwards, onwards=onwards)
    return sliced(page, scope, going, readable(page.model))


def sliced(page: Page, scope: visibility.Scope, going: Going, names: Names) -> Select[Any]:
    """`slices` with these columns alone, and for one parent as plain values instead of arrays; not kept."""
    descending = going.descending
    keys = going.order.keys(going.order.descending)
    alone = page.key is None or going.alone
    parents = None if alone else _parents(page, keys, onwards=going.onwards)
    # A page size is part of the text: PostgreSQL plans for an unknown limit badly.
    limit: Any = literal_column(str(going.size + going.peek))
    parts = [_part(page, model, scope, going, names, parents).limit(limit) for model in _tables(page, going.shapes)]
    ordered = parts[0]
    if len(parts) > 1:
        # Each table gives as much as the page can hold, in its own index's order; the rest is sorting two short lists.
        both = union_all(*parts).subquery("both")
        ordered = select(*both.c).order_by(*_sorted(both, keys, descending)).limit(limit)
    if parents is None:
        return ordered
    item = ordered.lateral("item")
    return (
        select(parents.c.ordinal, *item.c)
        .select_from(parents.join(item, true()))
        .order_by(parents.c.ordinal, *_sorted(item, keys, descending))
    )


def _part(
    page: Page, model: type[base.Model], scope: visibility.Scope, going: Going, names: Names, parents: Any
) -> Select[Any]:
    """The rows of a page that one of its tables holds, in the page's order."""
    keys = tuple(_over(model, page, key) for key in going.order.keys(going.order.descending))
    columns = _columns(model, scope, names, like=page.model)
    sorts = (key.label(f"sort_{index}") for index, key in enumerate(keys))
    statement = _conditions(select(*columns, *sorts), page, model, scope, going.shapes)
    if page.key is not None:
        statement = statement.where(_over(model, page, page.key) == _owner(page, parents))
    if going.onwards:
        statement = statement.where(_beyond(keys, _places(keys, parents), going.descending))
    if parents is not None:
        statement = statement.correlate(parents)
    return statement.order_by(*(key.desc() if going.descending else key.asc() for key in keys))


@lru_cache(maxsize=2_048)
def behind(
    page: Page, scope: visibility.Scope, order: Order, shapes: Shapes, *, backwards: bool, alone: bool = False
) -> Select[Any]:
    """For every parent and cursor, whether anything lies on the near side of it, the cursor's own place included.

    For the whole table, or one parent `alone`, the parent and the place are bound as plain values.
    """
    descending = order.descending != backwards
    keys = order.keys(order.descending)
    parents = None if page.key is None or alone else _parents(page, keys, onwards=True)
    found = []
    for model in _tables(page, shapes):
        wanted = _conditions(select(literal_column("1")), page, model, scope, shapes)
        near = tuple(_over(model, page, key) for key in keys)
        wanted = wanted.where(_beyond(near, _places(keys, parents), not descending, included=True))
        if page.key is not None:
            wanted = wanted.where(_over(model, page, page.key) == _owner(page, parents))
        found.append(exists(wanted if parents is None else wanted.correlate(parents)))
    anything = or_(*found).label("found")
    return select(anything) if parents is None else select(parents.c.ordinal, anything).select_from(parents)


@lru_cache(maxsize=1_024)
def totals(page: Page, scope: visibility.Scope, shapes: Shapes, *, alone: bool = False) -> Select[Any]:
    """How many there are: of the whole list, of one parent `alone`, or for every parent bound in the array `key_0`."""
    alone = alone or page.key is None
    parts = [_counted(page, model, scope, shapes, alone=alone) for model in _tables(page, shapes)]
    if len(parts) == 1:
        return parts[0]
    both = union_all(*parts).subquery("both")
    total = func.sum(both.c.total).cast(BigInteger).label("total")
    return select(total) if alone else select(both.c.key, total).group_by(both.c.key)


def _counted(
    page: Page, model: type[base.Model], scope: visibility.Scope, shapes: Shapes, *, alone: bool
) -> Select[Any]:
    """How many of them one of a page's tables holds."""
    total = func.count().label("total")
    key: Any = None if page.key is None else _over(model, page, page.key)
    counted: Any = select(total).select_from(model)
    if not alone:
        counted = select(key.label("key"), total).where(key == any_(_array("key_0", key))).group_by(key)
    elif key is not None:
        counted = counted.where(key == _owner(page, None))
    return _conditions(counted, page, model, scope, shapes)


def shapes_of(page: Page, filters: Mapping[str, Any]) -> Shapes:
    """Which filters ask for something, and what of their values the text depends on."""
    found = ((name, page.filters[name].shape(value)) for name, value in sorted(filters.items()))
    return tuple((name, shape) for name, shape in found if shape is not None)


def values_of(page: Page, filters: Mapping[str, Any], shapes: Shapes) -> dict[str, Any]:
    """What those filters bind."""
    bound: dict[str, Any] = {}
    for name, _ in shapes:
        bound |= page.filters[name].values(name, filters[name])
    return bound


def beside(row: Row, scope: visibility.Scope, names: Names) -> Select[Any]:
    """Every row of a table that a to-one edge may lead to, with these columns, to be joined by its key; not kept."""
    statement = select(*_columns(row.model, scope, names))
    return statement if row.implied else _seen(statement, row.model, scope)


def _selected_by_key(row: Row, model: type[base.Model], scope: visibility.Scope, names: tuple[str, ...]) -> Select[Any]:
    keys = [getattr(model, key.key) for key in row.key]
    arrays = [_array(f"key_{index}", key) for index, key in enumerate(row.key)]
    if len(keys) == 1:
        found: ColumnElement[bool] = keys[0] == any_(arrays[0])
    else:
        columns = (column(key.key, key.type) for key in keys)
        wanted = func.unnest(*arrays).table_valued(*columns, name="wanted").render_derived()
        found = tuple_(*keys).in_(select(*wanted.c))
    statement = select(*_columns(model, scope, names, like=row.model)).where(found)
    return statement if row.implied else _seen(statement, model, scope)


def _columns(
    model: type[base.Model], scope: visibility.Scope, names: tuple[str, ...], like: type[base.Model] | None = None
) -> list[Any]:
    """The columns by attribute name: null where the table lacks one, or where the scope may not see its value."""
    result: list[Any] = []
    for name in names:
        attribute = getattr(model, name, None)
        if attribute is None:
            result.append(null().cast(getattr(like, name).type).label(name))
            continue
        guard = visibility.guard(attribute, scope)
        result.append((attribute if guard is None else case((guard, attribute))).label(name))
    return result


def _seen(statement: Any, model: type[base.Model], scope: visibility.Scope) -> Any:
    predicate = visibility.visible(model, scope)
    return statement if predicate is None else statement.where(predicate)


def _conditions(
    statement: Select[Any], page: Page, model: type[base.Model], scope: visibility.Scope, shapes: Shapes
) -> Select[Any]:
    """What rows of a page's own table must fulfil, or of a second one; what lies in both counts once."""
    statement = _seen(statement, model, scope)
    conditions = [page.filters[name].where(name, shape) for name, shape in shapes]
    if page.where is not None:
        conditions.append(page.where)
    statement = statement.where(*(_over(model, page, condition) for condition in conditions))
    if model is page.model:
        return statement
    (key,) = inspect(page.model).primary_key
    # Asked of each row, and expected to hold of nearly all: else PostgreSQL reads the whole list before it cuts a page.
    first = select(key).where(key == model.__table__.c[key.name]).correlate(model).scalar_subquery()
    return statement.where(first.is_distinct_from(model.__table__.c[key.name]))


def _tables(page: Page, shapes: Shapes) -> list[type[base.Model]]:
    """The tables that a page is read from."""
    asked = (page.filters[name] for name, _ in shapes)
    return [page.model, *(filter_.model for filter_ in asked if isinstance(filter_, Also))]


def _over(model: type[base.Model], page: Page, expression: Any) -> Any:
    """What is said of a page's own table, said of another: a column that it lacks is null there."""
    if model is page.model:
        return expression
    own, columns = page.model.__table__, model.__table__.columns

    def other(element: Any, **_: Any) -> Any:
        if getattr(element, "table", None) is not own:
            return None
        found = columns.get(element.name)
        return null().cast(element.type) if found is None else found

    return visitors.replacement_traverse(expression, {}, other)


def _parents(page: Page, keys: tuple[Any, ...], *, onwards: bool) -> Any:
    """The batch's parents, and the places to go on from, as a table."""
    key: Any = page.key
    arrays = [_array("key_0", key)]
    columns: list[Any] = [column("key", key.type)]
    if onwards:
        arrays += [_array(f"cursor_{index}", one) for index, one in enumerate(keys)]
        columns += [column(f"cursor_{index}", one.type) for index, one in enumerate(keys)]
    return func.unnest(*arrays).table_valued(*columns, with_ordinality=ORDINAL, name="parent").render_derived()


def _array(name: str, like: Any) -> Any:
    return bindparam(name, type_=ARRAY(like.type))


def _owner(page: Page, parents: Any) -> Any:
    """The parent whose rows are wanted: bound alone, or one of many."""
    key: Any = page.key
    return bindparam("key_0", type_=key.type) if parents is None else parents.c.key


def _places(keys: tuple[Any, ...], parents: Any) -> tuple[Any, ...]:
    """Where to go on from: bound for all, or a place for each parent."""
    names = (f"cursor_{index}" for index in range(len(keys)))
    if parents is None:
        return tuple(bindparam(name, type_=key.type) for name, key in zip(names, keys, strict=True))
    return tuple(parents.c[name] for name in names)


def _sorted(rows: Any, keys: tuple[Any, ...], descending: bool) -> list[Any]:
    sorts = [rows.c[f"sort_{index}"] for index in range(len(keys))]
    return [sort.desc() if descending else sort.asc() for sort in sorts]


def _beyond(
    keys: tuple[Any, ...], places: tuple[Any, ...], descending: bool, *, included: bool = False
) -> ColumnElement[bool]:
    """One row-value comparison: the only spelling that an index serves however deep the page."""
    here, there = tuple_(*keys), tuple_(*places)
    if included:
        return and_(here <= there if descending else here >= there)
    return and_(here < there if descending else here > there)


def _directed(order: Order, descending: bool) -> list[Any]:
    return [key.desc() if descending else key.asc() for key in order.keys(order.descending)]
