"""Where the rows of a plan come from: each source answers its parents' keys with values that are ready to be written.

A source reads for all its parents at once, then asks its children for all its rows, then writes. Writers are generated
(`writing`): they copy columns of records into the answer.
"""

from __future__ import annotations

from asyncio import gather
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from graphql_api.auth import visibility
from graphql_api.content.values import uuid_or_none
from graphql_api.planner.errors import Declined
from graphql_api.planner.steps import selects
from loaders.core import statements
from schema.core.access import require_field_access
from schema.core.node import MAX_NODE_IDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from graphql.execution.values import VariableValues
    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.context import Context
    from graphql_api.planner.driver_pool import Reads
    from graphql_api.planner.steps.arguments import Asked
    from loaders.core import Batch, Many, Page, Row


class Request:
    """One operation of one caller, while its plan runs."""

    __slots__ = ("_values", "context", "reads", "scope", "variables")

    def __init__(self, context: Context, reads: Reads, variables: VariableValues) -> None:
        """Run for whoever the context belongs to."""
        self.context = context
        self.reads = reads
        self.variables = variables
        self.scope = visibility.visibility_scope(context.actor)
        self._values: dict[str, Any] | None = None

    def check(self, page: Page, asked: Asked) -> None:
        """Raise `Declined` where a page is for a replica: a plan reads from the primary."""
        if self.context.database.has_replica and page.is_bulk(asked.arguments.filters):
            raise Declined

    async def fetch(self, text: selects.Text, values: dict[str, Any]) -> Sequence[Any]:
        """The records of a statement with these values and the caller's."""
        if text.asks_who and self._values is None:
            self._values = visibility.bind_values(self.context.actor)
        arguments = text.arguments({**self._values, **values} if self._values else values)
        return await self.reads.fetch(text.sql, arguments, steady=text.steady)


@dataclass(slots=True)
class Rows:
    """What every source does with its records: children first, then each thing that is written of a record."""

    table: selects.Table
    children: list[tuple[Callable[[Any, Sequence[Any]], list[Any]], Any]] = field(default_factory=list)
    writers: list[Callable[..., list[Any]]] = field(default_factory=list)
    texts: selects.Texts = field(default_factory=selects.Texts)

    async def write(
        self, request: Request, records: Sequence[Any], cursor: Callable[[Any], str] | None = None
    ) -> list[list[Any]]:
        """For each writer, a value for each record."""
        below = [await child.run(request, keys(request.context, records)) for keys, child in self.children]
        return [write(request.context, cursor, records, *below) for write in self.writers]


@dataclass(slots=True)
class ByKey:
    """Rows by a unique key; null where there is none that the caller sees."""

    row: Row
    rows: Rows
    at: tuple[int, ...] = ()

    async def run(self, request: Request, keys: Sequence[Any]) -> list[Any]:
        """A value for each key, which is a tuple where the key has several columns."""
        wanted = [key for key in dict.fromkeys(keys) if key is not None]
        if not wanted:
            return [None] * len(keys)
        if len(self.at) == 1:
            values = {"key_0": wanted}
        else:
            values = {f"key_{index}": list(column) for index, column in enumerate(zip(*wanted, strict=True))}
        text = self.rows.texts.get(request.scope, lambda: self.rows.table.by_key(self.row, request.scope))
        records = await request.fetch(text, values)
        (written,) = await self.rows.write(request, records)
        found: dict[Any, Any] = {}
        for record, value in zip(records, written, strict=True):
            key = record[self.at[0]] if len(self.at) == 1 else tuple(record[at] for at in self.at)
            found.setdefault(key, value)
        return [found.get(key) for key in keys]


@dataclass(slots=True)
class ById:
    """The one row of a root field that takes an id."""

    arguments: Callable[[Request], dict[str, Any]]
    found: ByKey

    async def run(self, request: Request, keys: Sequence[Any]) -> list[Any]:
        """The value, as often as there are keys."""
        key = uuid_or_none(self.arguments(request)["id"])
        return await self.found.run(request, [key] * len(keys))


@dataclass(slots=True)
class ShortLists:
    """A short list for each parent."""

    many: Many
    rows: Rows

    async def run(self, request: Request, keys: Sequence[Any]) -> list[Any]:
        """A list for each key."""
        text = self.rows.texts.get(request.scope, lambda: self.rows.table.lists(self.many, request.scope))
        records = await request.fetch(text, {"key_0": list(dict.fromkeys(keys))})
        (written,) = await self.rows.write(request, records)
        found: dict[Any, list[Any]] = {}
        for record, value in zip(records, written, strict=True):
            found.setdefault(record[-1], []).append(value)
        return [found.get(key, []) for key in keys]


@dataclass(slots=True)
class Batches:
    """What a batch function answers; its parents' rows are whole."""

    batch: Batch
    write: Callable[[Context, list[Any]], list[Any]]

    async def run(self, request: Request, keys: Sequence[Any]) -> list[Any]:
        """A value for each row; null for none."""
        names = [None if row is None else self.batch.key(row) for row in keys]
        wanted = list(dict.fromkeys(name for row, name in zip(keys, names, strict=True) if row is not None))
        if not wanted:
            return [None] * len(keys)
        context = request.context

        async def work(connection: AsyncConnection) -> Mapping[Any, Any]:
            return await self.batch.load(connection, context.actor, wanted)

        found = await context.loaders.read(work, bulk=self.batch.bulk)
        answers = [found[name] if name in found else self.batch.default_factory() for name in wanted]
        values = dict(zip(wanted, self.write(context, answers), strict=True))
        return [None if row is None else values[name] for row, name in zip(keys, names, strict=True)]


@dataclass(frozen=True, slots=True)
class _Info:
    """What a resolver of ours wants of graphql-core's own."""

    context: Context


@dataclass(slots=True)
class Resolved:
    """What a resolver answers for each parent; its parents' rows are whole."""

    of: Callable[[Any], Any]
    resolve: Callable[..., Any]
    arguments: Callable[[Request], dict[str, Any]]
    write: Callable[[Context, list[Any]], list[Any]]

    async def run(self, request: Request, keys: Sequence[Any]) -> list[Any]:
        """A value for each row; null for none."""
        info, given = _Info(request.context), self.arguments(request)
        present = [at for at, row in enumerate(keys) if row is not None]
        answers = [self.resolve(self.of(keys[at]), info=info, **given) for at in present]
        if answers and isawaitable(answers[0]):
            answers = await gather(*answers)
        values: list[Any] = [None] * len(keys)
        for at, value in zip(present, self.write(request.context, answers), strict=True):
            values[at] = value
        return values


@dataclass(slots=True)
class Nodes:
    """Whichever objects have the ids: which table holds each is asked first."""

    arguments: Callable[[Request], dict[str, Any]]
    kinds: tuple[Row, ...]
    found: list[ByKey]
    texts: selects.Texts = field(default_factory=selects.Texts)

    async def run(self, request: Request, keys: Sequence[Any]) -> list[Any]:
        """The object of `id`, or the list of those of `ids`."""
        del keys
        arguments = self.arguments(request)
        ids = arguments.get("ids", [arguments.get("id")])
        if len(ids) > MAX_NODE_IDS:
            raise Declined
        wanted = [uuid_or_none(one) for one in ids]
        text = self.texts.get(
            request.scope, lambda: selects.text_of(statements.table_index_statement(self.kinds, request.scope))
        )
        present = [key for key in dict.fromkeys(wanted) if key is not None]
        records = await request.fetch(text, {"key_0": present}) if present else []
        held: dict[int, list[Any]] = {}
        for key, kind in {key: kind for kind, key in records}.items():
            held.setdefault(kind, []).append(key)
        values: dict[Any, Any] = {}
        for kind, members in held.items():
            values |= zip(members, await self.found[kind].run(request, members), strict=True)
        answers = [values.get(key) for key in wanted]
        return [answers if "ids" in arguments else answers[0]]


@dataclass(slots=True)
class AllowedAtAll:
    """A field that some callers may not read anywhere."""

    declared: Any
    source: Any

    async def run(self, request: Request, keys: Sequence[Any]) -> list[Any]:
        """The source's values."""
        if any(key is not None for key in keys) or self.source.page.foreign_key is None:
            require_field_access(self.declared, request.context.actor, None)
        values: list[Any] = await self.source.run(request, keys)
        return values


@dataclass(slots=True)
class Allowed:
    """A field that the caller may not read everywhere: asked of each parent's service first."""

    declared: Any
    source: Any

    async def run(self, request: Request, keys: Sequence[tuple[Any, Any] | None]) -> list[Any]:
        """The source's values, for keys that are pairs of the parent's service and the source's key."""
        for service_id in {pair[0] for pair in keys if pair is not None}:
            require_field_access(self.declared, request.context.actor, service_id)
        values: list[Any] = await self.source.run(request, [pair and pair[1] for pair in keys])
        return values
