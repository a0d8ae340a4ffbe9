"""The statements of `loaders.core.statements` as text that is split at its parameters, to be put into other SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlalchemy import bindparam

from graphql_api.planner.steps.selects import (
    ACTOR_PARAMETERS,
    NAMED_DIALECT,
    SQLStatement,
    compile_with,
    suits_generic_plan,
)
from loaders.core import readable_columns, statements

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.sql import ClauseElement

    from graphql_api.auth.visibility import VisibilityScope
    from loaders.core import One, Page, Row

_PARAMETER = re.compile(r"(?<!:):([A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class SQLFragment:
    """SQL, then the name of a parameter, then SQL again, and so on; and the values of parameters that are constants."""

    parts: Sequence[str]
    constants: Mapping[str, object]


class StatementBuilder:
    """Numbers the parameters of one statement while its text is made of fragments."""

    def __init__(self, scope: VisibilityScope) -> None:
        self.scope = scope
        self._names: list[str] = []
        self._constants: dict[str, object] = {}
        self._generic_plan = True
        self._fragment_count = 0

    def parameter(self, name: str) -> str:
        """A parameter, as `$1`."""
        if name not in self._names:
            self._names.append(name)
        return f"${self._names.index(name) + 1}"

    def insert(self, fragment: SQLFragment, expressions: Mapping[str, str], prefix: str = "") -> str:
        """The text of a fragment.

        `expressions` are SQL for some of its parameters; the names of the others get the prefix, except the actor's.
        """
        self._fragment_count += 1
        parts = list(fragment.parts)
        for index in range(1, len(parts), 2):
            name = parts[index]
            if name in expressions:
                parts[index] = expressions[name]
                continue
            if name in fragment.constants:
                unique = f"constant_{self._fragment_count}_{name}"
                self._constants[unique] = fragment.constants[name]
            else:
                self._generic_plan = self._generic_plan and suits_generic_plan(name)
                unique = name if name in ACTOR_PARAMETERS else prefix + name
            parts[index] = self.parameter(unique)
        return "".join(parts)

    def statement(self, sql: str) -> SQLStatement:
        """The statement, of its complete text."""
        uses_actor = not ACTOR_PARAMETERS.isdisjoint(self._names)
        return SQLStatement(sql, tuple(self._names), self._constants, uses_actor, self._generic_plan)


@lru_cache(maxsize=2_048)
def page_rows(page: Page, scope: VisibilityScope, shape: statements.PageShape) -> SQLFragment:
    """The rows of a page of the parent `key_0`, or of the whole table."""
    return _fragment(statements.select_pages(page, scope, shape, readable_columns(page.model)))


@lru_cache(maxsize=512)
def total_count(page: Page, scope: VisibilityScope, shapes: statements.FilterShapes) -> SQLFragment:
    """The number of rows of the whole list."""
    return _fragment(statements.count_statement(page, scope, shapes, single_parent=True))


@lru_cache(maxsize=512)
def has_previous(page: Page, scope: VisibilityScope, shape: statements.PageShape) -> SQLFragment:
    """Whether the list has rows before the cursor's position, in the direction of reading, or at it."""
    statement = statements.has_previous_statement(
        page, scope, shape.order, shape.filter_shapes, backwards=shape.backwards, single_parent=True
    )
    return _fragment(statement)


@lru_cache(maxsize=512)
def rows_by_key(row: Row, scope: VisibilityScope) -> SQLFragment:
    """Rows whose keys are in the array `key_0`."""
    return _fragment(statements.select_rows(row, scope, readable_columns(row.model)))


@lru_cache(maxsize=512)
def far_row(edge: One, scope: VisibilityScope) -> SQLFragment:
    """The far row of a to-one edge; `near_0`, `near_1` ... are the near row's values of its key."""
    keys = edge.row.key
    values = [bindparam(f"near_{index}", type_=key.type) for index, key in enumerate(keys[: len(edge.local)])]
    same = [key == value for key, value in zip(keys, [*values, *edge.key_suffix], strict=True)]
    rows = statements.select_joinable_rows(edge.row, scope, readable_columns(edge.row.model))
    return _fragment(rows.where(*same))


def _fragment(statement: ClauseElement) -> SQLFragment:
    compiled, constants = compile_with(NAMED_DIALECT, statement)
    return SQLFragment(_PARAMETER.split(str(compiled)), constants)
