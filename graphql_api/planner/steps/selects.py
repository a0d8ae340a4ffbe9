"""SQL statements of steps: the columns of a table and of the rows joined to it, each with a place in the record."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from cachetools import FIFOCache
from sqlalchemy import Column, Select, and_, inspect, select
from sqlalchemy.dialects.postgresql import asyncpg

from graphql_api.auth import visibility
from graphql_api.auth.actors import Actor
from graphql_api.planner.errors import NotPlannable
from loaders.core import statements

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Dialect, FromClause
    from sqlalchemy.engine.interfaces import Compiled
    from sqlalchemy.sql import ClauseElement

    from graphql_api.models.base import Model
    from loaders.core import Many, One, Page, Row

TableColumn: TypeAlias = Column[Any]
TableSelect: TypeAlias = Select[Any]
"""SQLAlchemy's types of a column and a row: which columns a statement has is only known at run time."""

OWN_ALIAS = ""
"""The alias of a statement's own rows; joined ones have j0, j1 ..."""
MAX_STATEMENT_VARIANTS = 16
ACTOR_PARAMETERS = frozenset(visibility.bind_values(Actor.anonymous()))
"""Parameters whose values depend on the actor alone; a filter may have a similar name, such as `actor_id`."""
_KEY_OR_CURSOR_PARAMETER = re.compile(r"(key|cursor)_\d+")
DIALECT: Dialect = asyncpg.dialect()  # type: ignore[no-untyped-call]
NAMED_DIALECT: Dialect = asyncpg.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
"""The second writes parameters as `:name`, so that a text can be split at them."""


@dataclass(frozen=True, slots=True)
class SQLStatement:
    """SQL with numbered parameters, the name of each, and the values of those that are constants."""

    sql: str
    names: tuple[str, ...]
    constants: Mapping[str, object]
    uses_actor: bool
    generic_plan: bool
    """Whether one plan suits all values: keys are found by an index, values of filters may not be."""

    def arguments(self, values: Mapping[str, object]) -> list[object]:
        """The values of the parameters in their order."""
        return [values[name] if name in values else self.constants[name] for name in self.names]


class StatementCache:
    """The latest statements of one step, by what their text depends on: page shapes, filters and visibility scope."""

    __slots__ = ("_statements",)

    def __init__(self, maxsize: int = MAX_STATEMENT_VARIANTS) -> None:
        # The variants are long to hash, and a FIFO cache hashes once.
        self._statements: FIFOCache[Hashable, SQLStatement] = FIFOCache(maxsize)

    def get(self, variant: Hashable, build: Callable[[], SQLStatement]) -> SQLStatement:
        """The statement of a variant, which is built the first time."""
        try:
            return self._statements[variant]
        except KeyError:
            statement = self._statements[variant] = build()
            return statement


@dataclass(frozen=True, slots=True)
class _JoinedRow:
    near_alias: str
    edge: One


@dataclass(slots=True)
class RecordSelect:
    """What one statement selects; each column has a place in the record."""

    model: type[Model]
    columns: dict[tuple[str, str], int] = field(default_factory=dict)
    """Places by alias and attribute name."""
    joins: dict[str, _JoinedRow] = field(default_factory=dict)

    def column(self, alias: str, name: str) -> int:
        """The place of a column, which is added where it is not selected yet."""
        return self.columns.setdefault((alias, name), len(self.columns))

    def join(self, near_alias: str, edge: One) -> str:
        """The alias of the far rows of a to-one edge, which are joined where they are not yet."""
        if edge.row.archive is not None:
            raise NotPlannable
        for alias, join in self.joins.items():
            if join.near_alias == near_alias and join.edge is edge:
                return alias
        alias = f"j{len(self.joins)}"
        self.joins[alias] = _JoinedRow(near_alias, edge)
        return alias

    def names(self, alias: str) -> tuple[str, ...]:
        """The attributes to select of an alias: columns of the record, and keys of joins."""
        names = [name for owner, name in self.columns if owner == alias]
        for far_alias, join in self.joins.items():
            if join.near_alias == alias:
                names += join.edge.local
            if far_alias == alias:
                names += [key.key for key in join.edge.row.key]
        return tuple(dict.fromkeys(names))

    def rows_by_key(self, row: Row, scope: visibility.VisibilityScope) -> SQLStatement:
        """Rows whose keys are in the arrays `key_0`, `key_1` ..."""
        rows = statements.select_rows(row, scope, self.names(OWN_ALIAS)).subquery("item")
        return compile_statement(self._with_joins(rows, scope, []))

    def lists(self, many: Many, scope: visibility.VisibilityScope) -> SQLStatement:
        """The lists of all parents; the last column is the parent's key."""
        if self.joins:
            raise NotPlannable
        return compile_statement(
            statements.select_lists(many, scope, (*self.names(OWN_ALIAS), many.foreign_key.key)),
        )

    def pages(
        self, page: Page, scope: visibility.VisibilityScope, shape: statements.PageShape, *, sort_keys: bool
    ) -> SQLStatement:
        """Pages: the columns, with `sort_keys` the sort keys, and last the parent's ordinal unless there is one."""
        rows = statements.select_pages(page, scope, shape, self.names(OWN_ALIAS))
        single = page.foreign_key is None or shape.single_parent
        depth = len(shape.order.sort_keys(shape.order.descending))
        if single and not self.joins and [name for _, name in self.columns] == list(self.names(OWN_ALIAS)):
            return compile_statement(rows)
        item = (rows if single else rows.order_by(None)).subquery("item")
        sorts = [item.c[f"sort_{index}"] for index in range(depth)]
        ordinal = [] if single else [item.c[statements.ORDINAL_COLUMN]]
        statement = self._with_joins(item, scope, [*(sorts if sort_keys else ()), *ordinal])
        directed = (sort.desc() if shape.descending else sort.asc() for sort in sorts)
        return compile_statement(statement.order_by(*ordinal, *directed))

    def _with_joins(
        self, rows: FromClause, scope: visibility.VisibilityScope, others: Sequence[ColumnElement[Any]]
    ) -> TableSelect:
        """The columns of the record, then others."""
        tables = {OWN_ALIAS: rows}
        joined = rows
        for alias, join in self.joins.items():
            edge = join.edge
            far = statements.select_joinable_rows(edge.row, scope, self.names(alias)).subquery(alias)
            near = tables[join.near_alias]
            keys = [near.c[name] for name in edge.local] + list(edge.key_suffix)
            same = (far.c[key.key] == value for key, value in zip(edge.row.key, keys, strict=True))
            joined = joined.outerjoin(far, and_(*same))
            tables[alias] = far
        columns = [tables[alias].c[name].label(f"c{at}") for at, (alias, name) in enumerate(self.columns)]
        return select(*columns, *others).select_from(joined)


@lru_cache(maxsize=4_096)
def column_of(model: type[Model], name: str) -> TableColumn:
    """The column of an attribute."""
    return cast("TableColumn", inspect(model).column_attrs[name].columns[0])


def is_nullable(model: type[Model], name: str) -> bool:
    """Whether a column can be null, or be hidden from a caller who sees the row."""
    return bool(column_of(model, name).nullable) or (model, name) in visibility.COLUMN_VISIBILITY


def suits_generic_plan(name: str) -> bool:
    """Whether one plan of a statement suits every value of this parameter."""
    return name in ACTOR_PARAMETERS or _KEY_OR_CURSOR_PARAMETER.fullmatch(name) is not None


def compile_statement(statement: ClauseElement) -> SQLStatement:
    """The SQL of a statement of `loaders.core.statements`."""
    compiled, constants = compile_with(DIALECT, statement)
    names = tuple(compiled.positiontup or ())  # type: ignore[attr-defined]
    generic_plan = all(suits_generic_plan(name) for name in names if name not in constants)
    return SQLStatement(str(compiled), names, constants, not ACTOR_PARAMETERS.isdisjoint(names), generic_plan)


def compile_with(dialect: Dialect, statement: ClauseElement) -> tuple[Compiled, dict[str, object]]:
    """A compiled statement, and the values of its parameters that are constants, as the driver takes them."""
    compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    constants = {}
    for name, value in (compiled.params or {}).items():
        if value is not None:
            process = compiled._bind_processors.get(name)  # type: ignore[attr-defined]  # noqa: SLF001 - what SQLAlchemy itself does to run it
            constants[name] = process(value) if process else value
    return compiled, constants
