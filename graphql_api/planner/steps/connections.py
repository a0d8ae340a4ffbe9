"""Connections as steps: the pages of all parents in one statement; counts and `has_previous` in one each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from graphql_api.planner.steps import selects
from loaders.core import statements
from loaders.core.paging import cursor_arrays, cursor_values, cut_page, encode_cursor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from graphql_api.planner.driver_pool import Record
    from graphql_api.planner.selections import ArgumentReader
    from graphql_api.planner.steps.arguments import ConnectionArguments, RequestedFields
    from graphql_api.planner.steps.codegen import JSONValue
    from graphql_api.planner.steps.steps import Key, OutputPlan, PlanRequest
    from loaders.core import Page


class _Pages(NamedTuple):
    """The records of the pages of several parents, one page after another."""

    records: Sequence[Record]
    stops: Sequence[int]
    """Where each page ends."""
    have_more: Sequence[bool]
    """Whether there are more rows, in the direction in which each was read."""


@dataclass(slots=True)
class ConnectionStep:
    """A connection for each parent, or one of a whole table."""

    page: Page
    arguments: ArgumentReader[ConnectionArguments]
    output: OutputPlan
    requested: RequestedFields
    function: Callable[..., JSONValue]
    """Takes has_next, has_previous, start_cursor, end_cursor, total_count, then slices of the values of `output`."""

    async def run(self, request: PlanRequest, keys: Sequence[Key]) -> list[JSONValue]:
        """A connection for each key; the key of a whole table is None."""
        arguments = self.arguments(request.variables)
        request.require_primary(self.page, arguments)
        parents = [key for key in dict.fromkeys(keys) if key is not None or self.page.foreign_key is None]
        if not parents:
            return [None] * len(keys)
        requested = self.requested
        totals = await self._total_counts(request, parents, arguments) if requested.total_count else {}
        if not requested.rows:
            connections = {key: self.function(None, None, None, None, totals.get(key, 0)) for key in parents}
            return [connections.get(key) for key in keys]
        previous = await self._have_previous(request, parents, arguments) if requested.has_previous else {}
        pages = await self._pages(request, parents, arguments)
        written = await self.output.run(request, pages.records, lambda record: self._cursor(record, arguments))
        connections = {}
        start = 0
        for key, stop, more in zip(parents, pages.stops, pages.have_more, strict=True):
            near = previous.get(key, False)
            has_next, has_previous = (near, more) if arguments.arguments.backwards else (more, near)
            start_cursor = end_cursor = None
            if requested.page_cursors and stop > start:
                start_cursor = self._cursor(pages.records[start], arguments)
                end_cursor = self._cursor(pages.records[stop - 1], arguments)
            values = (column[start:stop] for column in written)
            total = totals.get(key, 0)
            connections[key] = self.function(has_next, has_previous, start_cursor, end_cursor, total, *values)
            start = stop
        return [connections.get(key) for key in keys]

    async def _pages(self, request: PlanRequest, parents: Sequence[Key], arguments: ConnectionArguments) -> _Pages:
        shape = arguments.single_parent if len(parents) == 1 else arguments.many_parents
        statement = self.output.statements.get(
            (shape, request.scope),
            lambda: self.output.select.pages(self.page, request.scope, shape, sort_keys=self.requested.sort_keys),
        )
        size, backwards = arguments.arguments.size, arguments.arguments.backwards
        if self.page.foreign_key is None or shape.single_parent:
            values = {"key_0": parents[0], **arguments.filter_values, **cursor_values(arguments.arguments.cursor)}
            rows = await request.fetch(statement, values)
            records, more = cut_page(rows, size, backwards=backwards)
            return _Pages(records, [len(records)], [more])
        groups: list[list[Record]] = [[] for _ in parents]
        for row in await request.fetch(statement, self._values_of_parents(parents, arguments)):
            groups[row[-1] - 1].append(row)
        together: list[Record] = []
        stops, have_more = [], []
        for group in groups:
            records, more = cut_page(group, size, backwards=backwards)
            together += records
            stops.append(len(together))
            have_more.append(more)
        return _Pages(together, stops, have_more)

    def _cursor(self, record: Record, arguments: ConnectionArguments) -> str:
        order = arguments.arguments.order
        first = len(self.output.select.columns)
        return encode_cursor(record[first : first + len(order.sort_keys(False))], order)

    def _values_of_parents(self, parents: Sequence[Key], arguments: ConnectionArguments) -> Mapping[str, object]:
        cursors = cursor_arrays([arguments.arguments.cursor] * len(parents))
        return {"key_0": parents, **arguments.filter_values, **cursors}

    async def _total_counts(
        self, request: PlanRequest, parents: Sequence[Key], arguments: ConnectionArguments
    ) -> Mapping[Key, int]:
        shapes = arguments.filter_shapes
        statement = self.output.statements.get(
            ("total_count", shapes, request.scope),
            lambda: selects.compile_statement(statements.count_statement(self.page, request.scope, shapes)),
        )
        records = await request.fetch(statement, {"key_0": parents, **arguments.filter_values})
        return {parents[0]: records[0][0]} if self.page.foreign_key is None else {key: total for key, total in records}  # noqa: C416 - records are no pairs to mypy

    async def _have_previous(
        self, request: PlanRequest, parents: Sequence[Key], arguments: ConnectionArguments
    ) -> Mapping[Key, bool]:
        cursor, shape = arguments.arguments.cursor, arguments.many_parents
        if cursor is None:
            return {}
        statement = self.output.statements.get(
            ("has_previous", shape, request.scope),
            lambda: selects.compile_statement(
                statements.has_previous_statement(
                    self.page, request.scope, shape.order, shape.filter_shapes, backwards=shape.backwards
                )
            ),
        )
        if self.page.foreign_key is None:
            values = {**arguments.filter_values, **cursor_values(cursor)}
            return {parents[0]: (await request.fetch(statement, values))[0][0]}
        records = await request.fetch(statement, self._values_of_parents(parents, arguments))
        return {parents[ordinal - 1]: has_previous for ordinal, has_previous in records}
