"""The reads of one request: equal ones are done once, and those of siblings in one statement."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from aiodataloader import DataLoader

from graphql_api.auth import visibility
from loaders.core import statements
from loaders.core.paging import PageArguments, PageResult, cursor_arrays, cursor_values, cut_page, freeze

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping, Sequence
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.auth.actors import Actor
    from graphql_api.database.database import Database
    from loaders.core.declarations import Batch, Many, One, Page, Row

T = TypeVar("T")

MAX_CONNECTIONS_PER_REQUEST = 4
"""Connections that one request may hold at a time: fewer than the pool has, so that one query cannot take them all."""


class Loaders:
    """The reads of one caller within one request; never shared, and replaced after a mutation.

    With `bulk`, reads that are declared as bulk may come from a replica that has all changes of the caller.
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
        """The row with this key; None when there is none, the caller may not see it, or a part of the key is None."""
        if any(part is None for part in key):
            return None
        return await self._load(row, partial(self._rows, row), key)

    async def one(self, one: One, parent: Any) -> Any | None:
        """The row at the far side of a parent row's foreign key."""
        return await self.row(one.row, *(getattr(parent, name) for name in one.local), *one.key_suffix)

    async def table_index(self, rows: tuple[Row, ...], key: Any) -> int | None:
        """The index in `rows` of the table that holds the row with this id; None when the caller sees none."""
        index: int | None = await self._load(rows, partial(self._table_indexes, rows), key)
        return index

    async def many(self, many: Many, parent: Any) -> list[Any]:
        """The whole list of a parent row."""
        rows: list[Any] = await self._load(many, partial(self._lists, many), getattr(parent, many.local))
        return rows

    async def batch(self, batch: Batch, parent: Any) -> Any:
        """The value of a batch function for a parent row."""
        return await self._load(batch, partial(self._batch, batch), batch.key(parent))

    async def page(self, page: Page, key: Any, arguments: PageArguments) -> PageResult:
        """One page; `key` is the parent's, None for a list of the whole table."""
        read = partial(self._pages, page, arguments)
        result: PageResult = await self._load((page, arguments.batch_key), read, (key, arguments.cursor))
        return result

    async def total_count(self, page: Page, key: Any, filters: Mapping[str, Any]) -> int:
        """Number of rows in the whole list."""
        total: int = await self._load((page, "total", freeze(filters)), partial(self._totals, page, filters), (key,))
        return total

    async def has_previous(self, result: PageResult) -> bool:
        """Whether the list has rows before the page, in the direction of reading."""
        page, arguments = result.page, result.arguments
        if arguments.cursor is None:
            return False
        read = partial(self._has_previous, page, arguments)
        has_previous: bool = await self._load(
            (page, "has_previous", arguments.batch_key), read, (result.parent_key, arguments.cursor)
        )
        return has_previous

    def _load(
        self, batch_key: Hashable, batch_load_fn: Callable[[list[Any]], Coroutine[Any, Any, list[Any]]], key: Hashable
    ) -> Awaitable[Any]:
        """The value of a key; shielded, because other tasks may wait for the same value when this one is cancelled."""
        if batch_key not in self._loaders:
            self._loaders[batch_key] = DataLoader(batch_load_fn=batch_load_fn)
        return asyncio.shield(self._loaders[batch_key].load(key))

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]], *, bulk: bool = False) -> T:
        """The result of `work` on a connection: to a replica where both the read and the request are bulk."""
        bulk = bulk and self.bulk
        min_position = await self._last_write_position() if bulk and self.database.has_replica else 0
        task = asyncio.current_task()
        self._read_tasks.add(task)
        try:
            async with self._connection_limit:
                return await self.database.read(work, bulk=bulk, min_position=min_position)
        finally:
            self._read_tasks.discard(task)

    def cancel_reads(self) -> None:
        """Cancel reads that still run, after the client disconnected or the operation failed.

        Not for subscriptions, which share their reads.
        """
        for task in self._read_tasks:
            if task is not None:
                task.cancel()

    async def _last_write_position(self) -> int:
        """Position of the caller's last change in the write-ahead log; read once per request."""
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
        rows_by_key: dict[tuple[Any, ...], Any] = {}
        for fetched in await self._fetch(statements.row_statement(row, self.scope), values):
            rows_by_key.setdefault(tuple(getattr(fetched, name) for name in names), fetched)
        return [rows_by_key.get(key) for key in keys]

    async def _table_indexes(self, rows: tuple[Row, ...], keys: Sequence[Any]) -> list[Any]:
        statement = statements.table_index_statement(rows, self.scope)
        index_by_id = {fetched.id: fetched.kind for fetched in await self._fetch(statement, {"key_0": list(keys)})}
        return [index_by_id.get(key) for key in keys]

    async def _lists(self, many: Many, keys: Sequence[Any]) -> list[Any]:
        lists = defaultdict(list)
        for fetched in await self._fetch(statements.list_statement(many, self.scope), {"key_0": list(keys)}):
            lists[getattr(fetched, many.foreign_key.key)].append(fetched)
        return [lists[key] for key in keys]

    async def _batch(self, batch: Batch, keys: Sequence[Any]) -> list[Any]:
        values = await self.read(lambda connection: batch.load(connection, self.actor, keys), bulk=batch.bulk)
        return [values[key] if key in values else batch.default_factory() for key in keys]

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
            # Without parents, a statement takes one cursor: each page of a whole table has a statement of its own.
            groups = [await self._fetch(statement, values | cursor_values(cursor), bulk=bulk) for _, cursor in keys]
        else:
            groups = [[] for _ in keys]
            for fetched in await self._fetch(statement, values | _parent_values(keys), bulk=bulk):
                groups[fetched.ordinal - 1].append(fetched)
        order, size, backwards, filters = arguments.order, arguments.size, arguments.backwards, arguments.filters
        results = []
        for (key, cursor), group in zip(keys, groups, strict=True):
            rows, has_more = cut_page(group, size, backwards=backwards)
            own_arguments = PageArguments(order, size, backwards, cursor, filters)
            results.append(PageResult(page, key, own_arguments, rows, has_more))
        return results

    async def _has_previous(self, page: Page, arguments: PageArguments, keys: Sequence[tuple[Any, Any]]) -> list[Any]:
        bulk = page.is_bulk(arguments.filters)
        shapes = statements.filter_shapes(page, arguments.filters)
        statement = statements.has_previous_statement(
            page, self.scope, arguments.order, shapes, backwards=arguments.backwards
        )
        values = statements.filter_values(page, arguments.filters, shapes)
        if page.foreign_key is None:
            return [
                (await self._fetch(statement, values | cursor_values(cursor), bulk=bulk))[0].has_previous
                for _, cursor in keys
            ]
        fetched = await self._fetch(statement, values | _parent_values(keys), bulk=bulk)
        by_ordinal = {parent.ordinal: parent.has_previous for parent in fetched}
        return [by_ordinal[index + 1] for index in range(len(keys))]

    async def _totals(self, page: Page, filters: Mapping[str, Any], keys: Sequence[tuple[Any]]) -> list[Any]:
        bulk = page.is_bulk(filters)
        shapes = statements.filter_shapes(page, filters)
        statement = statements.count_statement(page, self.scope, shapes)
        values = statements.filter_values(page, filters, shapes)
        if page.foreign_key is None:
            return [(await self._fetch(statement, values, bulk=bulk))[0].total]
        fetched = await self._fetch(statement, values | {"key_0": [key for (key,) in keys]}, bulk=bulk)
        totals = {group.key: group.total for group in fetched}
        return [totals.get(key, 0) for (key,) in keys]


def _parent_values(keys: Sequence[tuple[Any, Any]]) -> dict[str, Any]:
    """Bind values of parents and their cursors, as arrays of equal length."""
    return {"key_0": [key for key, _ in keys], **cursor_arrays([cursor for _, cursor in keys])}
