"""The columns that one statement of a plan reads, its own and those of the rows joined to it, and the SQL for them."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, select
from sqlalchemy.dialects.postgresql import asyncpg

from graphql_api.auth import visibility
from graphql_api.auth.actors import Actor
from graphql_api.planner.errors import Declined
from loaders.core import statements

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from sqlalchemy import Select

    from loaders.core import Many, One, Page, Row

OWN = ""
"""The alias of a statement's own rows; joined ones have j0, j1 ..."""
OF_THE_CALLER = frozenset(visibility.bind_values(Actor.anonymous()))
"""Parameters that say who asks; a filter may be called nearly so, such as `actor_id`."""
_OF_A_PLACE = re.compile(r"(key|cursor)_\d+")
_DIALECT = asyncpg.dialect()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Text:
    """SQL with numbered parameters, what each is called, and the values of those that are always the same."""

    sql: str
    names: tuple[str, ...]
    constants: Mapping[str, Any]
    asks_who: bool
    """Whether a parameter says something of the caller."""
    steady: bool
    """Whether one way of running it is right for all values: keys go by an index, what a filter is given may not."""

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """The parameters in their order."""
        return [values[name] if name in values else self.constants[name] for name in self.names]


class Texts:
    """The latest SQL texts of one source: page sizes, directions and filters change them, and who asks."""

    __slots__ = ("_known", "_most")

    def __init__(self, most: int = 16) -> None:
        """Begin with none."""
        self._known: OrderedDict[Hashable, Text] = OrderedDict()
        self._most = most

    def get(self, variant: Hashable, make: Callable[[], Text]) -> Text:
        """The text of a variant."""
        text = self._known.get(variant)
        if text is None:
            text = self._known[variant] = make()
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return text


@dataclass(frozen=True, slots=True)
class _Join:
    near: str
    one: One


@dataclass(slots=True)
class Table:
    """What is read of the rows of one statement; each column has a place in the record."""

    model: Any
    columns: dict[tuple[str, str], int] = field(default_factory=dict)
    joins: dict[str, _Join] = field(default_factory=dict)

    def column(self, alias: str, name: str) -> int:
        """The place of a column."""
        return self.columns.setdefault((alias, name), len(self.columns))

    def join(self, near: str, one: One) -> str:
        """The alias of the rows that a to-one edge leads to from the rows of another alias."""
        if one.row.archive is not None:
            raise Declined
        for alias, known in self.joins.items():
            if known.near == near and known.one is one:
                return alias
        alias = f"j{len(self.joins)}"
        self.joins[alias] = _Join(near, one)
        return alias

    def names(self, alias: str) -> tuple[str, ...]:
        """Attributes to select of an alias: those asked for, and those that joins go by."""
        wanted = [name for owner, name in self.columns if owner == alias]
        for own, join in self.joins.items():
            if join.near == alias:
                wanted += join.one.local
            if own == alias:
                wanted += [key.key for key in join.one.row.key]
        return tuple(dict.fromkeys(wanted))

    def by_key(self, row: Row, scope: visibility.VisibilityScope) -> Text:
        """Rows by the arrays `key_0`, `key_1` ..."""
        found = statements.select_rows(row, scope, self.names(OWN)).subquery("item")
        return text_of(self._joined(found, scope, []))

    def lists(self, many: Many, scope: visibility.VisibilityScope) -> Text:
        """Every parent's list; the parent's key stands last."""
        if self.joins:
            raise Declined
        return text_of(statements.select_lists(many, scope, (*self.names(OWN), many.foreign_key.key)))

    def slices(
        self, page: Page, scope: visibility.VisibilityScope, going: statements.PageShape, *, places: bool
    ) -> Text:
        """Pages: the columns, with `places` the sort keys, and unless it is for one parent the parent's ordinal."""
        base = statements.select_pages(page, scope, going, self.names(OWN))
        alone = page.foreign_key is None or going.single_parent
        depth = len(going.order.sort_keys(going.order.descending))
        if alone and not self.joins and [name for _, name in self.columns] == list(self.names(OWN)):
            return text_of(base)
        found = (base if alone else base.order_by(None)).subquery("item")
        sorts = [found.c[f"sort_{index}"] for index in range(depth)]
        ordinal = [] if alone else [found.c[statements.ORDINAL_COLUMN]]
        statement = self._joined(found, scope, [*(sorts if places else ()), *ordinal])
        return text_of(statement.order_by(*ordinal, *(one.desc() if going.descending else one.asc() for one in sorts)))

    def _joined(self, found: Any, scope: visibility.VisibilityScope, others: Sequence[Any]) -> Select[Any]:
        tables = {OWN: found}
        joined = found
        for alias, join in self.joins.items():
            far = statements.select_joinable_rows(join.one.row, scope, self.names(alias)).subquery(alias)
            near = tables[join.near]
            keys = [near.c[name] for name in join.one.local] + list(join.one.key_suffix)
            same = (far.c[key.key] == value for key, value in zip(join.one.row.key, keys, strict=True))
            joined = joined.outerjoin(far, and_(*same))
            tables[alias] = far
        columns = [tables[alias].c[name].label(f"c{at}") for at, (alias, name) in enumerate(self.columns)]
        return select(*columns, *others).select_from(joined)


def is_steady(name: str) -> bool:
    """Whether one way of running a statement is right, whatever the value of this parameter."""
    return name in OF_THE_CALLER or _OF_A_PLACE.fullmatch(name) is not None


def text_of(statement: Any) -> Text:
    """The SQL of a statement of the loaders."""
    compiled, constants = compile_with(_DIALECT, statement)
    names = tuple(compiled.positiontup or ())
    steady = all(is_steady(name) for name in names if name not in constants)
    return Text(str(compiled), names, constants, not OF_THE_CALLER.isdisjoint(names), steady)


def compile_with(dialect: Any, statement: Any) -> tuple[Any, dict[str, Any]]:
    """A statement as SQLAlchemy compiles it, and the parameters that have a value already."""
    compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    constants = {}
    for name, value in compiled.params.items():
        if value is not None:
            process = compiled._bind_processors.get(name)  # noqa: SLF001 - what SQLAlchemy itself does to run it
            constants[name] = process(value) if process else value
    return compiled, constants
