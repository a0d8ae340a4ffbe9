"""Connections: pages of all parents in one statement, and what else of them is asked for, each in its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphql_api.planner.steps import selects
from loaders.core import statements
from loaders.core.paging import encode_cursor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graphql_api.planner.steps.arguments import Asked, Ends
    from graphql_api.planner.steps.steps import Request, Rows
    from loaders.core import Page


@dataclass(slots=True)
class Pages:
    """A connection for each parent, or one over a whole table."""

    page: Page
    arguments: Callable[[Request], Asked]
    rows: Rows
    ends: Ends
    write: Callable[..., Any]

    async def run(self, request: Request, keys: Sequence[Any]) -> list[Any]:
        """A connection for each key."""
        asked = self.arguments(request)
        request.check(self.page, asked)
        arguments, shapes, values = asked.arguments, asked.shapes, asked.values
        wanted = [key for key in dict.fromkeys(keys) if key is not None or self.page.foreign_key is None]
        if not wanted:
            return [None] * len(keys)
        totals = await self._totals(request, wanted, shapes, values) if self.ends.total else {}
        if not self.ends.rows:
            found = {key: self.write(None, None, None, None, totals.get(key, 0)) for key in wanted}
            return [found.get(key) for key in keys]
        going = asked.alone if len(wanted) == 1 else asked.together
        behind = await self._behind(request, wanted, going, arguments.cursor, values) if self.ends.behind else {}
        records, stops, more = await self._records(request, wanted, going, arguments.cursor, values)
        written = await self.rows.write(request, records, lambda record: self._cursor(record, going))
        found = {}
        start = 0
        for key, stop, after in zip(wanted, stops, more, strict=True):
            before = behind.get(key, False)
            forth, back = (before, after) if arguments.backwards else (after, before)
            ends = (
                (self._cursor(records[start], going), self._cursor(records[stop - 1], going))
                if self.ends.cursors and stop > start
                else (None, None)
            )
            found[key] = self.write(forth, back, *ends, totals.get(key, 0), *(column[start:stop] for column in written))
            start = stop
        return [found.get(key) for key in keys]

    async def _records(
        self,
        request: Request,
        keys: list[Any],
        going: statements.PageShape,
        cursor: tuple[Any, ...] | None,
        values: dict[str, Any],
    ) -> tuple[Sequence[Any], list[int], list[bool]]:
        """The records of all pages one after another, where each page stops, and whether there is more of it."""
        table, scope = self.rows.table, request.scope
        text = self.rows.texts.get(
            (going, scope), lambda: table.slices(self.page, scope, going, places=self.ends.places)
        )
        if self.page.foreign_key is None or going.single_parent:
            place = {f"cursor_{index}": value for index, value in enumerate(cursor or ())}
            records = await request.fetch(text, values | place | {"key_0": keys[0]})
            kept = _kept(records, going)
            return kept, [len(kept)], [len(records) > going.size]
        places = {f"cursor_{index}": [value] * len(keys) for index, value in enumerate(cursor or ())}
        groups: list[list[Any]] = [[] for _ in keys]
        for record in await request.fetch(text, values | places | {"key_0": keys}):
            groups[record[-1] - 1].append(record)
        together: list[Any] = []
        stops = []
        for group in groups:
            together += _kept(group, going)
            stops.append(len(together))
        return together, stops, [len(group) > going.size for group in groups]

    def _cursor(self, record: Any, going: statements.PageShape) -> str:
        first = len(self.rows.table.columns)
        depth = len(going.order.sort_keys(False))
        return encode_cursor(record[first : first + depth], going.order)

    async def _totals(
        self, request: Request, keys: list[Any], shapes: statements.FilterShapes, values: dict[str, Any]
    ) -> dict[Any, int]:
        text = self.rows.texts.get(
            ("total", shapes, request.scope),
            lambda: selects.text_of(statements.count_statement(self.page, request.scope, shapes)),
        )
        records = await request.fetch(text, values | {"key_0": keys})
        return {keys[0]: records[0][0]} if self.page.foreign_key is None else {key: total for key, total in records}  # noqa: C416 - records are no pairs to mypy

    async def _behind(
        self,
        request: Request,
        keys: list[Any],
        going: statements.PageShape,
        cursor: tuple[Any, ...] | None,
        values: dict[str, Any],
    ) -> dict[Any, bool]:
        if cursor is None:
            return {}
        text = self.rows.texts.get(
            ("behind", going, request.scope),
            lambda: selects.text_of(
                statements.has_previous_statement(
                    self.page, request.scope, going.order, going.filter_shapes, backwards=going.backwards
                )
            ),
        )
        if self.page.foreign_key is None:
            place = {f"cursor_{index}": value for index, value in enumerate(cursor)}
            return {keys[0]: (await request.fetch(text, values | place))[0][0]}
        places = {f"cursor_{index}": [value] * len(keys) for index, value in enumerate(cursor)}
        records = await request.fetch(text, values | places | {"key_0": keys})
        return {keys[ordinal - 1]: found for ordinal, found in records}


def _kept(records: Sequence[Any], going: statements.PageShape) -> Sequence[Any]:
    kept = records[: going.size]
    return kept[::-1] if going.backwards else kept
