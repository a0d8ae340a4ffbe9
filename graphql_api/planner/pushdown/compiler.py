"""An entity and all below it become one expression of SQL, where every leaf is something that PostgreSQL can write.

It raises `Declined` at the first leaf that is not: `compiling` then reads rows, and tells what lies below them.

An expression is made of parts: JSON that is always the same, SQL for a value, a hole for what a connection finds out,
and connections (`blocks.Listed`). They become text when it is known who asks, and for which pages.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import strawberry
from graphql import GraphQLNonNull, is_leaf_type
from sqlalchemy.dialects.postgresql import asyncpg

from graphql_api.planner.errors import Declined
from graphql_api.planner.pushdown import sql_json
from graphql_api.planner.pushdown.sql_json import GIVE_UP, quoted
from graphql_api.planner.pushdown.sql_tree import Block, Hole, Join, Json, Listed, Lists, ToldByKey, ToldPages
from graphql_api.planner.selections import Details, Selections, has_variables
from graphql_api.planner.steps.arguments import Asked, Ends, whole
from graphql_api.planner.steps.codegen import column_of, may_be_null
from schema.core import entity_of
from schema.core.fields import ColumnField, ComputedField, ConnectionField, ToOneField, ToUnionField
from schema.core.resolvers import read_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from graphql import GraphQLObjectType

    from graphql_api.planner.steps.steps import Request
    from loaders.core import One, Page, Row

Parts = list[Any]
LONGEST, OF_A_BLOCK = 100_000, 2_000
"""Letters of SQL that are worth their planning, and what the rows of one table take of them, about."""
_DIALECT = asyncpg.dialect()  # type: ignore[no-untyped-call]


class Telling(Selections):
    """One operation, as far as PostgreSQL can write its answer."""

    _sources = 0
    _blocks = 0
    _letters = 0
    """How long the expressions are, of which each variant of a statement is made."""
    _most = 0

    def told_by_key(self, row: Row, details: Details) -> ToldByKey:
        """Entities by their key."""
        if len(row.key) != 1:
            raise Declined
        with self._within_reason():
            lists, block = Lists(), self._block()
            parts = self._entity_told(lists, block, row.model, details, sure=row.archive is None)
        return ToldByKey(lists, row, block, parts)

    def told_pages(self, field: ConnectionField, definition: Any, details: Details) -> ToldPages:
        """A connection for each of some parents, whose keys are given."""
        key = field.loader.foreign_key
        lists = Lists()
        with self._within_reason():
            listed = self._listed(lists, None if key is None else "parent.key", field, definition, details)
        return ToldPages(lists, listed, "" if key is None else key.type.compile(_DIALECT))

    @contextmanager
    def _within_reason(self) -> Iterator[None]:
        """Decline a statement so long that PostgreSQL would plan it for longer than several others."""
        letters = self._letters
        self._most = letters + OF_A_BLOCK * self._blocks + LONGEST
        try:
            yield
        except Declined:
            self._letters = letters
            raise

    def _block(self) -> Block:
        self._blocks += 1
        return Block(f"b{self._blocks}")

    def _object_told(self, kind: GraphQLObjectType, details: Details, tell: Any) -> Parts:
        """An object of fields; `tell` makes the parts of one, by its name."""
        parts: Parts = []
        for key, below in self._below(kind, details):
            name = below[0].node.name.value
            parts.append(Json(f'{"," if parts else "{"}"{key}":'))
            parts += [Json(f'"{kind.name}"')] if name == "__typename" else tell(name, below)
        return [*parts, Json("}")] if parts else [Json("{}")]

    def _entity_told(self, lists: Lists, block: Block, model: Any, details: Details, *, sure: bool = True) -> Parts:
        kind = self._type_of(model)
        declared = entity_of(model).fields

        def tell(name: str, below: Details) -> Parts:
            definition = kind.fields[name]
            field = declared.get(definition.extensions["strawberry-definition"].python_name)
            match field:
                case ColumnField():
                    return [self._column_told(block, model, field, definition.type, sure=sure)]
                case ComputedField() if not field.related and not field.pass_context:
                    columns = {block.column(one): column_of(model, one) for one in field.column_names}
                    written = sql_json.known(definition.type, field.via, columns, sure=sure)
                    return [_or_else(written, definition.type)]
                case ToOneField():
                    return [
                        _or_else(
                            self._one_told(lists, block, (field.loader, *field.next_loaders), below), definition.type
                        )
                    ]
                case ToUnionField():
                    return [_or_else(self._either_told(lists, block, field, below), definition.type)]
                case ConnectionField():
                    return [self._edges_told(lists, block, model, field, definition, below)]
            raise Declined

        parts = self._object_told(kind, details, tell)
        self._letters += sum(len(part) for part in parts if isinstance(part, str))
        if self._letters + OF_A_BLOCK * self._blocks > self._most:
            raise Declined
        return parts

    def _column_told(self, block: Block, model: Any, field: ColumnField, kind: Any, *, sure: bool) -> str:
        inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
        if not is_leaf_type(inner):
            raise Declined
        nullable = may_be_null(model, field.name) or not sure
        sql = block.column(field.name)
        if field.blank_is_null:
            sql, nullable = f"nullif({sql}, '')", True
        written = sql_json.leaf(inner, column_of(model, field.name), sql, nullable=nullable)
        return _or_else(written, kind) if nullable else written

    def _one_told(self, lists: Lists, near: Block, path: tuple[One, ...], details: Details) -> str:
        """The end of a path of edges as JSON, null where there is none."""
        one, *others = path
        if one.row.archive is not None:
            raise Declined
        block = self._block()
        if others:
            join = Join(one, block, [self._one_told(lists, block, tuple(others), details)], leads_on=True)
        else:
            join = Join(one, block, self._entity_told(lists, block, one.row.model, details))
        near.joins.append(join)
        return join.json

    def _either_told(self, lists: Lists, near: Block, field: ToUnionField, details: Details) -> str:
        *others, last = field.paths
        written = self._one_told(lists, near, last, details)
        for path in reversed(others):
            chosen = self._one_told(lists, near, path, details)
            written = f"CASE WHEN {near.column(path[0].local[0])} IS NOT NULL THEN {chosen} ELSE {written} END"
        return written

    def _edges_told(
        self, lists: Lists, block: Block, model: Any, field: ConnectionField, definition: Any, details: Details
    ) -> Listed:
        listed = self._listed(lists, block.column(field.loader.local or ""), field, definition, details)
        if field.permissions:
            service = entity_of(model).service_column
            if service is None:
                raise Declined
            listed.allowed = block.column(service)
        return listed

    def _listed(
        self, lists: Lists, key: str | None, field: ConnectionField, definition: Any, details: Details
    ) -> Listed:
        self._sources += 1
        at = len(lists.asking)
        lists.asking.append(self._asked(field, definition, details[0].node))
        lists.declared.append(field)
        page, block, ends = field.loader, self._block(), Ends()
        kind = definition.type.of_type if isinstance(definition.type, GraphQLNonNull) else definition.type
        rows: list[Parts] = []

        def tell(name: str, below: Details) -> Parts:
            if name == "totalCount":
                ends.total = True
                return [Hole("total")]
            ends.rows = True
            if name == "pageInfo":
                return self._page_info_told(kind.fields[name].type.of_type, below, ends)
            if name == "nodes":
                rows.append(self._entity_told(lists, block, page.model, below, sure=whole(page)))
            else:
                edge = kind.fields[name].type.of_type.of_type.of_type
                rows.append(self._edge_told(lists, block, page, edge, below, ends))
            return [Json("["), Hole(f"rows{len(rows) - 1}"), Json("]")]

        parts = self._object_told(kind, details, tell)
        return Listed(at, page, key, block, ends, rows, parts)

    def _asked(self, field: ConnectionField, definition: Any, node: Any) -> Callable[[Request], Asked]:
        """What a connection is asked for: found out now where no variable has a say."""

        def asked(given: Mapping[str, Any]) -> Asked:
            paging = dict(given)
            chosen, order = paging.pop("filter", strawberry.UNSET), paging.pop("order_by", strawberry.UNSET)
            return Asked.of(field.loader, read_arguments(field, chosen, order, paging))

        given = self._arguments(definition, node)
        if has_variables(node):
            return lambda request: asked(given(request))
        fixed = asked(self._given(definition, node, self._variables))
        return lambda _: fixed

    def _edge_told(
        self, lists: Lists, block: Block, page: Page, kind: GraphQLObjectType, details: Details, ends: Ends
    ) -> Parts:
        def tell(name: str, below: Details) -> Parts:
            if name == "cursor":
                ends.places = True
                return [Hole("cursor")]
            return self._entity_told(lists, block, page.model, below, sure=whole(page))

        return self._object_told(kind, details, tell)

    def _page_info_told(self, kind: GraphQLObjectType, details: Details, ends: Ends) -> Parts:
        holes = {"hasNextPage": "after", "hasPreviousPage": "before", "startCursor": "start", "endCursor": "end"}

        def tell(name: str, below: Details) -> Parts:
            del below
            ends.note(name)
            return [Hole(holes[name])]

        return self._object_told(kind, details, tell)


def _or_else(written: str, kind: Any) -> str:
    """JSON's null, or no JSON at all, where there is no value."""
    return f"coalesce({written}, {GIVE_UP if isinstance(kind, GraphQLNonNull) else quoted('null')})"
