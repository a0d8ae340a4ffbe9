"""SQL of the declarations: Core statements that select labelled columns, for one scope of visibility.

The text of a statement depends on the declaration, the scope and the shape of the arguments, never on the number of
parents or on values; so each `*_statement` is built once and cached. The `select_*` functions are not cached: they
take the columns to select, for statements that the planner compiles.
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
    """The part of a page's arguments on which the text of its statement depends.

    With `single_parent`, the parent is a plain value, not an array; `fetch_extra_row` reads one row past the page.
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
        """The direction in which the rows are read."""
        return self.order.descending != self.backwards


@lru_cache(maxsize=512)
def readable_columns(model: Any) -> tuple[str, ...]:
    """Names of a table's attributes that reads select: all but deferred ones, such as password hashes."""
    return tuple(attribute.key for attribute in inspect(model).column_attrs if not attribute.deferred)


def visible_rows(statement: Any, model: type[base.Model], scope: visibility.VisibilityScope) -> Any:
    """A SELECT from the table of `model`, restricted to the rows that the scope may see."""
    predicate = visibility.row_predicate(model, scope)
    return statement if predicate is None else statement.where(predicate)


@lru_cache(maxsize=2_048)
def row_statement(row: Row, scope: visibility.VisibilityScope) -> Any:
    """Rows by their unique keys, bound as arrays `key_0`, `key_1` ...; rows of the archive come last."""
    return select_rows(row, scope, readable_columns(row.model))


def select_rows(row: Row, scope: visibility.VisibilityScope, names: ColumnNames) -> Any:
    """The same with these columns only."""
    own = _select_by_key(row, row.model, scope, names)
    if row.archive is None:
        return own
    return union_all(own, _select_by_key(row, row.archive, scope, names))


@lru_cache(maxsize=64)
def table_index_statement(rows: tuple[Row, ...], scope: visibility.VisibilityScope) -> Any:
    """For each id of the array `key_0`: the index in `rows` of the table that holds it (`kind`), and the id."""
    tables = [(index, model) for index, row in enumerate(rows) for model in (row.model, row.archive) if model]
    return union_all(
        *(
            visible_rows(
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
    """The lists of the parents in the array `key_0`, each in its order."""
    return select_lists(many, scope, readable_columns(many.model))


def select_lists(many: Many, scope: visibility.VisibilityScope, names: ColumnNames) -> Any:
    """The same with these columns only."""
    statement = (
        select(*_columns(many.model, scope, names))
        .where(many.foreign_key == any_(_array_parameter("key_0", many.foreign_key)))
        .order_by(*_order_by_clauses(many.order, many.order.descending))
    )
    if many.where is not None:
        statement = statement.where(many.where)
    return visible_rows(statement, many.model, scope)


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
    """A page for every parent, with one row more than its size, the nearest to the cursor first.

    Binds the array `key_0`, and with `has_cursor` the arrays `cursor_0`, `cursor_1` ...; a page of the whole table
    binds the cursor as plain values.
    """
    shape = PageShape(order, size, shapes, backwards=backwards, has_cursor=has_cursor)
    return select_pages(page, scope, shape, readable_columns(page.model))


def select_pages(page: Page, scope: visibility.VisibilityScope, shape: PageShape, names: ColumnNames) -> Select[Any]:
    """Pages of this shape, with these columns only."""
    descending = shape.descending
    keys = shape.order.sort_keys(shape.order.descending)
    single_parent = page.foreign_key is None or shape.single_parent
    parents = None if single_parent else _parent_table(page, keys, has_cursor=shape.has_cursor)
    # The page size is part of the text: PostgreSQL plans badly for an unknown limit.
    limit: Any = literal_column(str(shape.size + shape.fetch_extra_row))
    parts = [
        _select_page_of_table(page, model, scope, shape, names, parents).limit(limit)
        for model in _page_tables(page, shape.filter_shapes)
    ]
    ordered = parts[0]
    if len(parts) > 1:
        # Each table contributes at most one page, in the order of its index; only two short lists are left to sort.
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
    """The rows of a page from one of its tables, in the page's order."""
    keys = tuple(_rewrite_for_table(model, page, key) for key in shape.order.sort_keys(shape.order.descending))
    columns = _columns(model, scope, names, type_source=page.model)
    sorts = (key.label(f"sort_{index}") for index, key in enumerate(keys))
    statement = _with_conditions(select(*columns, *sorts), page, model, scope, shape.filter_shapes)
    if page.foreign_key is not None:
        statement = statement.where(
            _rewrite_for_table(model, page, page.foreign_key) == _parent_key(page, parent_table)
        )
    if shape.has_cursor:
        statement = statement.where(_after_cursor(keys, _cursor_parameters(keys, parent_table), shape.descending))
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
    """For every parent and cursor, whether the list has rows before the cursor's position or at it.

    For the whole table, or with `single_parent`, the parent and the cursor are bound as plain values.
    """
    descending = order.descending != backwards
    keys = order.sort_keys(order.descending)
    parents = None if page.foreign_key is None or single_parent else _parent_table(page, keys, has_cursor=True)
    conditions = []
    for model in _page_tables(page, shapes):
        rows = _with_conditions(select(literal_column("1")), page, model, scope, shapes)
        table_keys = tuple(_rewrite_for_table(model, page, key) for key in keys)
        cursor = _cursor_parameters(keys, parents)
        rows = rows.where(_after_cursor(table_keys, cursor, not descending, inclusive=True))
        if page.foreign_key is not None:
            rows = rows.where(_rewrite_for_table(model, page, page.foreign_key) == _parent_key(page, parents))
        conditions.append(exists(rows if parents is None else rows.correlate(parents)))
    has_previous = or_(*conditions).label("has_previous")
    return select(has_previous) if parents is None else select(parents.c.ordinal, has_previous).select_from(parents)


@lru_cache(maxsize=1_024)
def count_statement(
    page: Page, scope: visibility.VisibilityScope, shapes: FilterShapes, *, single_parent: bool = False
) -> Select[Any]:
    """The number of rows: in the whole table, of one parent, or for every parent in the array `key_0`."""
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
    """The number of rows in one of a page's tables."""
    total = func.count().label("total")
    key: Any = None if page.foreign_key is None else _rewrite_for_table(model, page, page.foreign_key)
    counted: Any = select(total).select_from(model)
    if not single_parent:
        counted = select(key.label("key"), total).where(key == any_(_array_parameter("key_0", key))).group_by(key)
    elif key is not None:
        counted = counted.where(key == _parent_key(page, None))
    return _with_conditions(counted, page, model, scope, shapes)


def filter_shapes(page: Page, filters: Mapping[str, Any]) -> FilterShapes:
    """The filters that set a condition, with the shapes of their values."""
    shapes = ((name, page.filters[name].shape(value)) for name, value in sorted(filters.items()))
    return tuple((name, shape) for name, shape in shapes if shape is not None)


def filter_values(page: Page, filters: Mapping[str, Any], shapes: FilterShapes) -> dict[str, Any]:
    """The bind values of these filters."""
    bound: dict[str, Any] = {}
    for name, _ in shapes:
        bound |= page.filters[name].values(name, filters[name])
    return bound


def select_joinable_rows(row: Row, scope: visibility.VisibilityScope, names: ColumnNames) -> Select[Any]:
    """All rows of a table that a to-one relationship can lead to, with these columns, to be joined by its key."""
    statement = select(*_columns(row.model, scope, names))
    return statement if row.inherits_visibility else visible_rows(statement, row.model, scope)


def _select_by_key(
    row: Row, model: type[base.Model], scope: visibility.VisibilityScope, names: tuple[str, ...]
) -> Select[Any]:
    keys = [getattr(model, key.key) for key in row.key]
    arrays = [_array_parameter(f"key_{index}", key) for index, key in enumerate(row.key)]
    if len(keys) == 1:
        has_key: ColumnElement[bool] = keys[0] == any_(arrays[0])
    else:
        columns = (column(key.key, key.type) for key in keys)
        requested = func.unnest(*arrays).table_valued(*columns, name="requested").render_derived()
        has_key = tuple_(*keys).in_(select(*requested.c))
    statement = select(*_columns(model, scope, names, type_source=row.model)).where(has_key)
    return statement if row.inherits_visibility else visible_rows(statement, model, scope)


def _columns(
    model: type[base.Model],
    scope: visibility.VisibilityScope,
    names: tuple[str, ...],
    type_source: type[base.Model] | None = None,
) -> list[Any]:
    """The columns of these attributes: null where the table lacks one, or where the scope may not see its value."""
    result: list[Any] = []
    for name in names:
        attribute = getattr(model, name, None)
        if attribute is None:
            result.append(null().cast(getattr(type_source, name).type).label(name))
            continue
        guard = visibility.column_predicate(attribute, scope)
        result.append((attribute if guard is None else case((guard, attribute))).label(name))
    return result


def _with_conditions(
    statement: Select[Any], page: Page, model: type[base.Model], scope: visibility.VisibilityScope, shapes: FilterShapes
) -> Select[Any]:
    """Restrict a SELECT from one of a page's tables to the rows of the list; rows in both tables count once."""
    statement = visible_rows(statement, model, scope)
    conditions = [page.filters[name].where(name, shape) for name, shape in shapes]
    if page.where is not None:
        conditions.append(page.where)
    statement = statement.where(*(_rewrite_for_table(model, page, condition) for condition in conditions))
    if model is page.model:
        return statement
    (key,) = inspect(page.model).primary_key
    # A subquery per row, which PostgreSQL expects to be true for nearly all: else it reads the whole list for a page.
    in_first_table = select(key).where(key == model.__table__.c[key.name]).correlate(model).scalar_subquery()
    return statement.where(in_first_table.is_distinct_from(model.__table__.c[key.name]))


def _page_tables(page: Page, shapes: FilterShapes) -> list[type[base.Model]]:
    """The tables that a page is read from."""
    return [page.model, *page.also_tables(name for name, _ in shapes)]


def _rewrite_for_table(model: type[base.Model], page: Page, expression: Any) -> Any:
    """An expression over a page's own table, rewritten for another table; columns that this one lacks are null."""
    if model is page.model:
        return expression
    own, columns = page.model.__table__, model.__table__.columns

    def replace(element: Any, **_: Any) -> Any:
        if getattr(element, "table", None) is not own:
            return None
        column_ = columns.get(element.name)
        return null().cast(element.type) if column_ is None else column_

    return visitors.replacement_traverse(expression, {}, replace)


def _parent_table(page: Page, keys: tuple[Any, ...], *, has_cursor: bool) -> Any:
    """The parents of a batch, and with `has_cursor` their cursors, as a table `parent`."""
    foreign_key: Any = page.foreign_key
    arrays = [_array_parameter("key_0", foreign_key)]
    columns: list[Any] = [column("key", foreign_key.type)]
    if has_cursor:
        arrays += [_array_parameter(f"cursor_{index}", key) for index, key in enumerate(keys)]
        columns += [column(f"cursor_{index}", key.type) for index, key in enumerate(keys)]
    return func.unnest(*arrays).table_valued(*columns, with_ordinality=ORDINAL_COLUMN, name="parent").render_derived()


def _array_parameter(name: str, type_source: Any) -> Any:
    return bindparam(name, type_=ARRAY(type_source.type))


def _parent_key(page: Page, parent_table: Any) -> Any:
    """The parent's key: a bind parameter, or the column of the table of parents."""
    key: Any = page.foreign_key
    return bindparam("key_0", type_=key.type) if parent_table is None else parent_table.c.key


def _cursor_parameters(keys: tuple[Any, ...], parent_table: Any) -> tuple[Any, ...]:
    """The cursor: bind parameters, or columns of the table of parents."""
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
    """One comparison of row values, the only form for which an index finds deep pages as fast as the first."""
    row, position = tuple_(*keys), tuple_(*cursor)
    if inclusive:
        return and_(row <= position if descending else row >= position)
    return and_(row < position if descending else row > position)


def _order_by_clauses(order: Order, descending: bool) -> list[Any]:
    return [key.desc() if descending else key.asc() for key in order.sort_keys(order.descending)]
