"""The loaders' statements as text, cut at their parameters: made once, and put together for each plan."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import asyncpg

from graphql_api.planner.steps.selects import OF_THE_CALLER, Text, compile_with, is_steady
from loaders.core import readable_columns, statements

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graphql_api.auth import visibility
    from loaders.core import One, Page, Row

_DIALECT = asyncpg.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
_PARAMETER = re.compile(r"(?<!:):([A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class Piece:
    """SQL, then the name of a parameter, then SQL again, and so on; the values of those that are always the same."""

    parts: Sequence[str]
    constants: Mapping[str, Any]


class Writer:
    """A text that is put together of pieces; its parameters are numbered as they come."""

    def __init__(self, scope: visibility.VisibilityScope) -> None:
        """Write for a scope of visibility."""
        self.scope = scope
        self._names: list[str] = []
        self._constants: dict[str, Any] = {}
        self._steady = True
        self._pieces = 0

    def parameter(self, name: str) -> str:
        """The number of a parameter."""
        if name not in self._names:
            self._names.append(name)
        return f"${self._names.index(name) + 1}"

    def put(self, piece: Piece, given: Mapping[str, str], whose: str = "") -> str:
        """A piece, some of whose parameters are SQL that is given; the others are told apart by `whose` they are."""
        self._pieces += 1
        written = list(piece.parts)
        for at in range(1, len(written), 2):
            name = written[at]
            if name in given:
                written[at] = given[name]
                continue
            if name in piece.constants:
                own = f"constant_{self._pieces}_{name}"
                self._constants[own] = piece.constants[name]
            else:
                self._steady = self._steady and is_steady(name)
                own = name if name in OF_THE_CALLER else whose + name
            written[at] = self.parameter(own)
        return "".join(written)

    def text(self, sql: str) -> Text:
        """The statement whose SQL has been written with this."""
        asks_who = not OF_THE_CALLER.isdisjoint(self._names)
        return Text(sql, tuple(self._names), self._constants, asks_who, self._steady)


@lru_cache(maxsize=2_048)
def page(declared: Page, scope: visibility.VisibilityScope, going: statements.PageShape) -> Piece:
    """A page, of one parent `key_0` or of the whole table."""
    return _cut(statements.select_pages(declared, scope, going, readable_columns(declared.model)))


@lru_cache(maxsize=512)
def total(declared: Page, scope: visibility.VisibilityScope, shapes: statements.FilterShapes) -> Piece:
    """How many there are."""
    return _cut(statements.count_statement(declared, scope, shapes, single_parent=True))


@lru_cache(maxsize=512)
def behind(declared: Page, scope: visibility.VisibilityScope, going: statements.PageShape) -> Piece:
    """Whether anything lies on the near side of the cursor."""
    backwards = going.backwards
    return _cut(
        statements.has_previous_statement(
            declared, scope, going.order, going.filter_shapes, backwards=backwards, single_parent=True
        )
    )


@lru_cache(maxsize=512)
def found(row: Row, scope: visibility.VisibilityScope) -> Piece:
    """Rows by the keys of the array `key_0`."""
    return _cut(statements.select_rows(row, scope, readable_columns(row.model)))


@lru_cache(maxsize=512)
def far(one: One, scope: visibility.VisibilityScope) -> Piece:
    """The row at the end of a to-one edge, from a near row that has the values `near_0`, `near_1` ..."""
    keys: list[Any] = list(one.row.key)
    values = [bindparam(f"near_{at}", type_=key.type) for at, key in enumerate(keys[: len(one.local)])]
    same = [key == value for key, value in zip(keys, [*values, *one.key_suffix], strict=True)]
    return _cut(statements.select_joinable_rows(one.row, scope, readable_columns(one.row.model)).where(*same))


def _cut(statement: Any) -> Piece:
    compiled, constants = compile_with(_DIALECT, statement)
    return Piece(_PARAMETER.split(str(compiled)), constants)
