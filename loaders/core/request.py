"""The reads of one request: equal ones are done once, sibling ones in one statement."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from aiodataloader import DataLoader

from graphql_api.auth import visibility
from loaders.core import statements
from loaders.core.paging import PageArguments, PageResult, cursor_arrays, cursor_values, freeze, page_rows

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping, Sequence
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.auth.actors import Actor
    from graphql_api.database.database import Database
    from loaders.core.declarations import Batch, Many, One, Page, Row

T = TypeVar("T")

MAX_CONNECTIONS_PER_REQUEST = 4
"""Connections that one request may hold at a time: below the pool's size, so that a wide query cannot drain it."""


class Loaders:
    """What one caller reads within one request; never shared, and replaced after a mutation.

    With `bulk`, what is declared so may come from a replica: one that has all that the caller has ever changed.
    """

    def __init__(self, database: Database, actor: Actor, *, bulk: bool = False) -> None:
        self.database = database
        self.actor = actor
        self.bulk = bulk
        self.scope = visibility.visibility_scope(actor)
        self._actor_values: dict[str, Any] | None = None
        self._connection_limit = asyncio.Semaphore(MAX_CONNECTIONS_PER_REQUEST)
        self._loaders: dict[Hashable, DataLoader[Any, Any]] = {}
        self._read_tasks: set[asyncio.Task[Any] | None] = set()

    async def row(self, row: Row, *key: Any) -> Any | None:
        """The row with this key; None when there is none, the caller may not see it, or part of the key is null."""
        if any(part is None for part in key):
            return None
        return await self._load(row, partial(self._rows, row), key)

    async def one(self, one: One, parent: Any) -> Any | None:
        """The row that a parent row points to."""
        return await self.row(one.row, *(getattr(parent, name) for name in one.local), *one.key_suffix)

    async def table_index(self, rows: tuple[Row, ...], key: Any) -> int | None:
        """Which of several tables holds the row with this id: its place in `rows`; None when the caller sees none."""
        found: int | None = await self._load(rows, partial(self._table_indexes, rows), key)
        return found

    async def many(self, many: Many, parent: Any) -> list[Any]:
        """The whole list of a parent row."""
        rows: list[Any] = await self._load(many, partial(self._lists, many), getattr(parent, many.local))
        return rows

    async def batch(self, batch: Batch, parent: Any) -> Any:
        """What a batch function answers for a parent row."""
        return await self._load(batch, partial(self._batch, batch), batch.key(parent))

    async def page(self, page: Page, key: Any, arguments: PageArguments) -> PageResult:
        """One page; `key` is the parent's, None for a list of the whole table."""
        read = partial(self._pages, page, arguments)
        found: PageResult = await self._load((page, arguments.batch_key), read, (key, arguments.cursor))
        return found

    async def total_count(self, page: Page, key: Any, filters: Mapping[str, Any]) -> int:
        """How many rows the whole list has."""
        total: int = await self._load((page, "total", freeze(filters)), partial(self._totals, page, filters), (key,))
        return total

    async def has_previous(self, result: PageResult) -> bool:
        """Whether there is anything on the near side of the place from which a page went on."""
        page, arguments = result.page, result.arguments
        if arguments.cursor is None:
            return False
        read = partial(self._has_previous, page, arguments)
        answer: bool = await self._load(
            (page, "behind", arguments.batch_key), read, (result.parent_key, arguments.cursor)
        )
        return answer

    def _load(
        self, batch_key: Hashable, batch_load_fn: Callable[[list[Any]], Coroutine[Any, Any, list[Any]]], key: Hashable
    ) -> Awaitable[Any]:
        """What a batch reads for a key, which others may wait for too: who is cancelled, leaves it to them."""
        if batch_key not in self._loaders:
            self._loaders[batch_key] = DataLoader(batch_load_fn=batch_load_fn)
        return asyncio.shield(self._loaders[batch_key].load(key))

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]], *, bulk: bool = False) -> T:
        """What `work` reads over a connection, by the bulk door where that is declared and no change went before."""
        bulk = bulk and self.bulk
        after = await self._last_write_position() if bulk and self.database.has_replica else 0
        task = asyncio.current_task()
        self._read_tasks.add(task)
        try:
            async with self._connection_limit:
                return await self.database.read(work, bulk=bulk, min_position=after)
        finally:
            self._read_tasks.discard(task)

    def cancel_reads(self) -> None:
        """Break off what is still read: whoever asked is gone, or what it was for has failed.

        Not for subscriptions, whose readings their followers share.
        """
        for task in self._read_tasks:
            if task is not None:
                task.cancel()

    async def _last_write_position(self) -> int:
        """Where in the log the caller's last change stands; asked once."""
        caller = self.actor.api_key_id or self.actor.user_id
        if caller is None:
            return 0
        position: int = await self._load("last write", self._last_write_positions, caller)
        return position

    async def _last_write_positions(self, callers: list[UUID]) -> list[int]:
        return [await self.database.last_write_position(caller) for caller in callers]

    async def _fetch(self, statement: Any, values: Mapping[str, Any], *, bulk: bool = False) -> Sequence[Any]:
        if self._actor_values is None:
            self._actor_values = visibility.bind_values(self.actor)
        bound = {**self._actor_values, **values}

        async def work(connection: AsyncConnection) -> Sequence[Any]:
            return (await connection.execute(statement, bound)).all()

        return await self.read(work, bulk=bulk)

    async def _rows(self, row: Row, keys: Sequence[tuple[Any, ...]]) -> list[Any]:
        names = [key.key for key in row.key]
        values = {f"key_{index}": [key[index] for key in keys] for index in range(len(names))}
        found: dict[tuple[Any, ...], Any] = {}
        for one in await self._fetch(statements.row_statement(row, self.scope), values):
            found.setdefault(tuple(getattr(one, name) for name in names), one)
        return [found.get(key) for key in keys]

    async def _table_indexes(self, rows: tuple[Row, ...], keys: Sequence[Any]) -> list[Any]:
        statement = statements.table_index_statement(rows, self.scope)
        found = {one.id: one.kind for one in await self._fetch(statement, {"key_0": list(keys)})}
        return [found.get(key) for key in keys]

    async def _lists(self, many: Many, keys: Sequence[Any]) -> list[Any]:
        found = defaultdict(list)
        for one in await self._fetch(statements.list_statement(many, self.scope), {"key_0": list(keys)}):
            found[getattr(one, many.foreign_key.key)].append(one)
        return [found[key] for key in keys]

    async def _batch(self, batch: Batch, keys: Sequence[Any]) -> list[Any]:
        found = await self.read(lambda connection: batch.load(connection, self.actor, keys), bulk=batch.bulk)
        return [found[key] if key in found else batch.default_factory() for key in keys]

    async def _pages(self, page: Page, arguments: PageArguments, keys: Sequence[tuple[Any, Any]]) -> list[Any]:
        bulk = page.is_bulk(arguments.filters)
        shapes = statements.filter_shapes(page, arguments.filters)
        statement = statements.page_statement(
            page,
            self.scope,
            arguments.order,
            arguments.size,
            shapes,
            backwards=arguments.backwards,
            has_cursor=arguments.cursor is not None,
        )
        values = statements.filter_values(page, arguments.filters, shapes)
        if page.foreign_key is None:
            # Without parents the places differ by statement, not by row: a root list is asked for one place at a time.
            groups = [await self._fetch(statement, values | cursor_values(cursor), bulk=bulk) for _, cursor in keys]
        else:
            groups = [[] for _ in keys]
            for one in await self._fetch(statement, values | cursor_arrays(keys), bulk=bulk):
                groups[one.ordinal - 1].append(one)
        return [
            _page_result(
                page,
                key,
                PageArguments(arguments.order, arguments.size, arguments.backwards, cursor, arguments.filters),
                rows,
            )
            for (key, cursor), rows in zip(keys, groups, strict=True)
        ]

    async def _has_previous(self, page: Page, arguments: PageArguments, keys: Sequence[tuple[Any, Any]]) -> list[Any]:
        bulk = page.is_bulk(arguments.filters)
        shapes = statements.filter_shapes(page, arguments.filters)
        statement = statements.has_previous_statement(
            page, self.scope, arguments.order, shapes, backwards=arguments.backwards
        )
        values = statements.filter_values(page, arguments.filters, shapes)
        if page.foreign_key is None:
            return [
                (await self._fetch(statement, values | cursor_values(cursor), bulk=bulk))[0].found for _, cursor in keys
            ]
        found = {
            one.ordinal: one.found for one in await self._fetch(statement, values | cursor_arrays(keys), bulk=bulk)
        }
        return [found[index + 1] for index in range(len(keys))]

    async def _totals(self, page: Page, filters: Mapping[str, Any], keys: Sequence[tuple[Any]]) -> list[Any]:
        bulk = page.is_bulk(filters)
        shapes = statements.filter_shapes(page, filters)
        statement = statements.count_statement(page, self.scope, shapes)
        values = statements.filter_values(page, filters, shapes)
        if page.foreign_key is None:
            return [(await self._fetch(statement, values, bulk=bulk))[0].total]
        found = {
            one.key: one.total
            for one in await self._fetch(statement, values | {"key_0": [key for (key,) in keys]}, bulk=bulk)
        }
        return [found.get(key, 0) for (key,) in keys]


def _page_result(page: Page, key: Any, arguments: PageArguments, rows: Sequence[Any]) -> PageResult:
    kept = page_rows(rows, arguments.size, backwards=arguments.backwards)
    return PageResult(page, key, arguments, kept, len(rows) > arguments.size)
