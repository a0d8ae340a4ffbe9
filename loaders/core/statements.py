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
from loaders.core.filters import also_tables

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from graphql_api.models import base
    from loaders.core.declarations import Many, Page, Row
    from loaders.core.orders import Order

ORDINAL_COLUMN = "ordinal"
FilterShapes = tuple[tuple[str, "Hashable"], ...]
ColumnNames = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PageShape:
    """What of a page's arguments the text of its statement depends on.

    `alone` is for one parent, without arrays; `peek` reads one row more, to know whether there is any.
    """

    order: Order
    size: int
    filter_shapes: FilterShapes
    backwards: bool
    has_cursor: bool
    single_parent: bool = False
    fetch_extra_row: bool = True

    @property
    def descending(self) -> bool:
        """Which way the rows are read."""
        return self.order.descending != self.backwards


@lru_cache(maxsize=512)
def readable_columns(model: Any) -> tuple[str, ...]:
    """Names of the attributes of a table that a read selects: all but the deferred ones, such as password hashes."""
    return tuple(attribute.key for attribute in inspect(model).column_attrs if not attribute.deferred)


@lru_cache(maxsize=2_048)
def row_statement(row: Row, scope: visibility.VisibilityScope) -> Any:
    """Rows by their unique keys, bound as the arrays `key_0`, `key_1` ...; the archive's after the table's own."""
    return select_rows(row, scope, readable_columns(row.model))


def select_rows(row: Row, scope: visibility.VisibilityScope, names: ColumnNames) -> Any:
    """`by_key` with these columns alone; not kept."""
    own = _select_by_key(row, row.model, scope, names)
    if row.archive is None:
        return own
    return union_all(own, _select_by_key(row, row.archive, scope, names))


@lru_cache(maxsize=64)
def table_index_statement(rows: tuple[Row, ...], scope: visibility.VisibilityScope) -> Any:
    """Which of several tables holds each id of the array `key_0`: its place in `rows`, and the id."""
    tables = [(index, model) for index, row in enumerate(rows) for model in (row.model, row.archive) if model]
    return union_all(
        *(
            _visible_rows(
                select(literal_column(str(index)).label("kind"), model.id.label("id")).where(  # type: ignore[attr-defined]
                    model.id == any_(_array_parameter("key_0", model.id))  # type: ignore[attr-defined]
                ),
                model,
                scope,
            )
            for index, model in tables
        )
    )


@lru_cache(maxsize=512)
def list_statement(many: Many, scope: visibility.VisibilityScope) -> Any:
    """Every parent's list, bound as the array `key_0`, in the list's order."""
    return select_lists(many, scope, readable_columns(many.model))


def select_lists(many: Many, scope: visibility.VisibilityScope, names: ColumnNames) -> Any:
    """`lists` with these columns alone; not kept."""
    statement = (
        select(*_columns(many.model, scope, names))
        .where(many.foreign_key == any_(_array_parameter("key_0", many.foreign_key)))
        .order_by(*_order_by_clauses(many.order, many.order.descending))
    )
    if many.where is not None:
        statement = statement.where(many.where)
    return _visible_rows(statement, many.model, scope)


@lru_cache(maxsize=1_024)
def page_statement(
    page: Page,
    scope: visibility.VisibilityScope,
    order: Order,
    size: int,
    shapes: FilterShapes,
    *,
    backwards: bool,
    has_cursor: bool,
) -> Select[Any]:
    """A page for every parent, one row more than asked for, nearest to the cursor first.

    Binds the arrays `key_0`, and `cursor_0`, `cursor_1` ... where the page goes `onwards` from a place.
    """
    going = PageShape(order, size, shapes, backwards=backwards, has_cursor=has_cursor)
    return select_pages(page, scope, going, readable_columns(page.model))


def select_pages(page: Page, scope: visibility.VisibilityScope, shape: PageShape, names: ColumnNames) -> Select[Any]:
    """`slices` with these columns alone, and for one parent as plain values instead of arrays; not kept."""
    descending = shape.descending
    keys = shape.order.sort_keys(shape.order.descending)
    alone = page.foreign_key is None or shape.single_parent
    parents = None if alone else _parent_table(page, keys, has_cursor=shape.has_cursor)
    # A page size is part of the text: PostgreSQL plans for an unknown limit badly.
    limit: Any = literal_column(str(shape.size + shape.fetch_extra_row))
    parts = [
        _select_page_of_table(page, model, scope, shape, names, parents).limit(limit)
        for model in _page_tables(page, shape.filter_shapes)
    ]
    ordered = parts[0]
    if len(parts) > 1:
        # Each table gives as much as the page can hold, in its own index's order; the rest is sorting two short lists.
        both = union_all(*parts).subquery("both")
        ordered = select(*both.c).order_by(*_sort_columns(both, keys, descending)).limit(limit)
    if parents is None:
        return ordered
    item = ordered.lateral("item")
    return (
        select(parents.c.ordinal, *item.c)
        .select_from(parents.join(item, true()))
        .order_by(parents.c.ordinal, *_sort_columns(item, keys, descending))
    )


def _select_page_of_table(
    page: Page,
    model: type[base.Model],
    scope: visibility.VisibilityScope,
    shape: PageShape,
    names: ColumnNames,
    parent_table: Any,
) -> Select[Any]:
    """The rows of a page that one of its tables holds, in the page's order."""
    keys = tuple(_rewrite_for_table(model, page, key) for key in shape.order.sort_keys(shape.order.descending))
    columns = _columns(model, scope, names, type_source=page.model)
    sorts = (key.label(f"sort_{index}") for index, key in enumerate(keys))
    statement = _with_conditions(select(*columns, *sorts), page, model, scope, shape.filter_shapes)
    if page.foreign_key is not None:
        statement = statement.where(
            _rewrite_for_table(model, page, page.foreign_key) == _parent_key(page, parent_table)
        )
    if shape.has_cursor:
        statement = statement.where(_after_cursor(keys, _cursor_values(keys, parent_table), shape.descending))
    if parent_table is not None:
        statement = statement.correlate(parent_table)
    return statement.order_by(*(key.desc() if shape.descending else key.asc() for key in keys))


@lru_cache(maxsize=2_048)
def has_previous_statement(
    page: Page,
    scope: visibility.VisibilityScope,
    order: Order,
    shapes: FilterShapes,
    *,
    backwards: bool,
    single_parent: bool = False,
) -> Select[Any]:
    """For every parent and cursor, whether anything lies on the near side of it, the cursor's own place included.

    For the whole table, or one parent `alone`, the parent and the place are bound as plain values.
    """
    descending = order.descending != backwards
    keys = order.sort_keys(order.descending)
    parents = None if page.foreign_key is None or single_parent else _parent_table(page, keys, has_cursor=True)
    found = []
    for model in _page_tables(page, shapes):
        wanted = _with_conditions(select(literal_column("1")), page, model, scope, shapes)
        near = tuple(_rewrite_for_table(model, page, key) for key in keys)
        wanted = wanted.where(_after_cursor(near, _cursor_values(keys, parents), not descending, inclusive=True))
        if page.foreign_key is not None:
            wanted = wanted.where(_rewrite_for_table(model, page, page.foreign_key) == _parent_key(page, parents))
        found.append(exists(wanted if parents is None else wanted.correlate(parents)))
    anything = or_(*found).label("found")
    return select(anything) if parents is None else select(parents.c.ordinal, anything).select_from(parents)


@lru_cache(maxsize=1_024)
def count_statement(
    page: Page, scope: visibility.VisibilityScope, shapes: FilterShapes, *, single_parent: bool = False
) -> Select[Any]:
    """How many there are: of the whole list, of one parent `alone`, or for every parent bound in the array `key_0`."""
    single_parent = single_parent or page.foreign_key is None
    parts = [
        _count_of_table(page, model, scope, shapes, single_parent=single_parent) for model in _page_tables(page, shapes)
    ]
    if len(parts) == 1:
        return parts[0]
    both = union_all(*parts).subquery("both")
    total = func.sum(both.c.total).cast(BigInteger).label("total")
    return select(total) if single_parent else select(both.c.key, total).group_by(both.c.key)


def _count_of_table(
    page: Page, model: type[base.Model], scope: visibility.VisibilityScope, shapes: FilterShapes, *, single_parent: bool
) -> Select[Any]:
    """How many of them one of a page's tables holds."""
    total = func.count().label("total")
    key: Any = None if page.foreign_key is None else _rewrite_for_table(model, page, page.foreign_key)
    counted: Any = select(total).select_from(model)
    if not single_parent:
        counted = select(key.label("key"), total).where(key == any_(_array_parameter("key_0", key))).group_by(key)
    elif key is not None:
        counted = counted.where(key == _parent_key(page, None))
    return _with_conditions(counted, page, model, scope, shapes)


def filter_shapes(page: Page, filters: Mapping[str, Any]) -> FilterShapes:
    """Which filters ask for something, and what of their values the text depends on."""
    found = ((name, page.filters[name].shape(value)) for name, value in sorted(filters.items()))
    return tuple((name, shape) for name, shape in found if shape is not None)


def filter_values(page: Page, filters: Mapping[str, Any], shapes: FilterShapes) -> dict[str, Any]:
    """What those filters bind."""
    bound: dict[str, Any] = {}
    for name, _ in shapes:
        bound |= page.filters[name].values(name, filters[name])
    return bound


def select_joinable_rows(row: Row, scope: visibility.VisibilityScope, names: ColumnNames) -> Select[Any]:
    """Every row of a table that a to-one edge may lead to, with these columns, to be joined by its key; not kept."""
    statement = select(*_columns(row.model, scope, names))
    return statement if row.inherits_visibility else _visible_rows(statement, row.model, scope)


def _select_by_key(
    row: Row, model: type[base.Model], scope: visibility.VisibilityScope, names: tuple[str, ...]
) -> Select[Any]:
    keys = [getattr(model, key.key) for key in row.key]
    arrays = [_array_parameter(f"key_{index}", key) for index, key in enumerate(row.key)]
    if len(keys) == 1:
        found: ColumnElement[bool] = keys[0] == any_(arrays[0])
    else:
        columns = (column(key.key, key.type) for key in keys)
        wanted = func.unnest(*arrays).table_valued(*columns, name="wanted").render_derived()
        found = tuple_(*keys).in_(select(*wanted.c))
    statement = select(*_columns(model, scope, names, type_source=row.model)).where(found)
    return statement if row.inherits_visibility else _visible_rows(statement, model, scope)


def _columns(
    model: type[base.Model],
    scope: visibility.VisibilityScope,
    names: tuple[str, ...],
    type_source: type[base.Model] | None = None,
) -> list[Any]:
    """The columns by attribute name: null where the table lacks one, or where the scope may not see its value."""
    result: list[Any] = []
    for name in names:
        attribute = getattr(model, name, None)
        if attribute is None:
            result.append(null().cast(getattr(type_source, name).type).label(name))
            continue
        guard = visibility.column_predicate(attribute, scope)
        result.append((attribute if guard is None else case((guard, attribute))).label(name))
    return result


def _visible_rows(statement: Any, model: type[base.Model], scope: visibility.VisibilityScope) -> Any:
    predicate = visibility.row_predicate(model, scope)
    return statement if predicate is None else statement.where(predicate)


def _with_conditions(
    statement: Select[Any], page: Page, model: type[base.Model], scope: visibility.VisibilityScope, shapes: FilterShapes
) -> Select[Any]:
    """What rows of a page's own table must fulfil, or of a second one; what lies in both counts once."""
    statement = _visible_rows(statement, model, scope)
    conditions = [page.filters[name].where(name, shape) for name, shape in shapes]
    if page.where is not None:
        conditions.append(page.where)
    statement = statement.where(*(_rewrite_for_table(model, page, condition) for condition in conditions))
    if model is page.model:
        return statement
    (key,) = inspect(page.model).primary_key
    # Asked of each row, and expected to hold of nearly all: else PostgreSQL reads the whole list before it cuts a page.
    first = select(key).where(key == model.__table__.c[key.name]).correlate(model).scalar_subquery()
    return statement.where(first.is_distinct_from(model.__table__.c[key.name]))


def _page_tables(page: Page, shapes: FilterShapes) -> list[type[base.Model]]:
    """The tables that a page is read from."""
    return [page.model, *also_tables(page.filters[name] for name, _ in shapes)]


def _rewrite_for_table(model: type[base.Model], page: Page, expression: Any) -> Any:
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


def _parent_table(page: Page, keys: tuple[Any, ...], *, has_cursor: bool) -> Any:
    """The batch's parents, and the places to go on from, as a table."""
    key: Any = page.foreign_key
    arrays = [_array_parameter("key_0", key)]
    columns: list[Any] = [column("key", key.type)]
    if has_cursor:
        arrays += [_array_parameter(f"cursor_{index}", one) for index, one in enumerate(keys)]
        columns += [column(f"cursor_{index}", one.type) for index, one in enumerate(keys)]
    return func.unnest(*arrays).table_valued(*columns, with_ordinality=ORDINAL_COLUMN, name="parent").render_derived()


def _array_parameter(name: str, type_source: Any) -> Any:
    return bindparam(name, type_=ARRAY(type_source.type))


def _parent_key(page: Page, parent_table: Any) -> Any:
    """The parent whose rows are wanted: bound alone, or one of many."""
    key: Any = page.foreign_key
    return bindparam("key_0", type_=key.type) if parent_table is None else parent_table.c.key


def _cursor_values(keys: tuple[Any, ...], parent_table: Any) -> tuple[Any, ...]:
    """Where to go on from: bound for all, or a place for each parent."""
    names = (f"cursor_{index}" for index in range(len(keys)))
    if parent_table is None:
        return tuple(bindparam(name, type_=key.type) for name, key in zip(names, keys, strict=True))
    return tuple(parent_table.c[name] for name in names)


def _sort_columns(rows: Any, keys: tuple[Any, ...], descending: bool) -> list[Any]:
    sorts = [rows.c[f"sort_{index}"] for index in range(len(keys))]
    return [sort.desc() if descending else sort.asc() for sort in sorts]


def _after_cursor(
    keys: tuple[Any, ...], cursor: tuple[Any, ...], descending: bool, *, inclusive: bool = False
) -> ColumnElement[bool]:
    """One row-value comparison: the only spelling that an index serves however deep the page."""
    here, there = tuple_(*keys), tuple_(*cursor)
    if inclusive:
        return and_(here <= there if descending else here >= there)
    return and_(here < there if descending else here > there)


def _order_by_clauses(order: Order, descending: bool) -> list[Any]:
    return [key.desc() if descending else key.asc() for key in order.sort_keys(order.descending)]
