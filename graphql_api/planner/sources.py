"""Where the rows of a plan come from: each source answers its parents' keys with values that are ready to be written.

A source reads for all its parents at once, then asks its children for all its rows, then writes. Writers are generated
(`writing`): they copy columns of records into the answer.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from graphql_api import access
from graphql_api.planner import tables
from graphql_api.planner.refusals import Declined
from loaders.core import statements
from loaders.core.filters import uuid_or_none
from loaders.core.paging import Arguments, write_cursor
from schema.core.node import MOST_IDS
from schema.core.resolvers import require

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from graphql.execution.values import VariableValues

    from graphql_api.context import Context
    from graphql_api.planner.connections import Reads
    from loaders.core import Batch, Many, Page, Row

VARIANTS = 16
"""Texts that one source keeps: page sizes, directions and filters change them."""


class Request:
    """One operation of one caller, while its plan runs."""

    __slots__ = ("_values", "context", "reads", "scope", "variables")

    def __init__(self, context: Context, reads: Reads, variables: VariableValues) -> None:
        """Run for whoever the context belongs to."""
        self.context = context
        self.reads = reads
        self.variables = variables
        self.scope = access.scope(context.actor)
        self._values: dict[str, Any] | None = None

    async def fetch(self, text: tables.Text, values: dict[str, Any]) -> Sequence[Any]:
        """The records of a statement with these values and the caller's."""
        if text.asks_who and self._values is None:
            self._values = access.values(self.context.actor)
        arguments = text.arguments({**self._values, **values} if self._values else values)
        return await self.reads.fetch(text.sql, arguments, steady=text.steady)


class Texts:
    """The latest SQL texts of one source."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        """Begin with none."""
        self._known: OrderedDict[Hashable, tables.Text] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], tables.Text]) -> tables.Text:
        """The text of a variant."""
        text = self._known.get(key)
        if text is None:
            text = self._known[key] = make()
            if len(self._known) > VARIANTS:
                self._known.popitem(last=False)
        return text


@dataclass(slots=True)
class Rows:
    """What every source does with its records: children first, then each thing that is written of a record."""

    table: tables.Table
    children: list[tuple[Callable[[Any, Sequence[Any]], list[Any]], Any]] = field(default_factory=list)
    writers: list[Callable[..., list[Any]]] = field(default_factory=list)
    texts: Texts = field(default_factory=Texts)

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
class Lists:
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
        async with context.database.reading() as connection:
            found = await self.batch.read(connection, context.actor, wanted)
        answers = [found[name] if name in found else self.batch.missing() for name in wanted]
        values = dict(zip(wanted, self.write(context, answers), strict=True))
        return [None if row is None else values[name] for row, name in zip(keys, names, strict=True)]


@dataclass(slots=True)
class Nodes:
    """Whichever objects have the ids: which table holds each is asked first."""

    arguments: Callable[[Request], dict[str, Any]]
    kinds: tuple[Row, ...]
    found: list[ByKey]
    texts: Texts = field(default_factory=Texts)

    async def run(self, request: Request, keys: Sequence[Any]) -> list[Any]:
        """The object of `id`, or the list of those of `ids`."""
        del keys
        arguments = self.arguments(request)
        ids = arguments.get("ids", [arguments.get("id")])
        if len(ids) > MOST_IDS:
            raise Declined
        wanted = [uuid_or_none(one) for one in ids]
        text = self.texts.get(request.scope, lambda: tables.text_of(statements.kinds(self.kinds, request.scope)))
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
        if any(key is not None for key in keys) or self.source.page.key is None:
            require(self.declared, request.context.actor, None)
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
            require(self.declared, request.context.actor, service_id)
        values: list[Any] = await self.source.run(request, [pair and pair[1] for pair in keys])
        return values


@dataclass(slots=True)
class Ends:
    """What a connection's own fields need."""

    rows: bool = False
    places: bool = False
    cursors: bool = False
    behind: bool = False
    total: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments of a connection, as its statements want them: for one parent, and for several."""

    arguments: Arguments
    shapes: statements.Shapes
    values: dict[str, Any]
    alone: statements.Going
    together: statements.Going

    @classmethod
    def of(cls, page: Page, arguments: Arguments) -> Asked:
        """Read arguments; raises `BadRequest` where a filter refuses its value."""
        shapes = statements.shapes_of(page, arguments.filters)
        values = statements.values_of(page, arguments.filters, shapes)
        together = statements.Going(
            arguments.order,
            arguments.size,
            shapes,
            backwards=arguments.backwards,
            onwards=arguments.cursor is not None,
        )
        return cls(arguments, shapes, values, replace(together, alone=True), together)


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
        arguments, shapes, values = asked.arguments, asked.shapes, asked.values
        wanted = [key for key in dict.fromkeys(keys) if key is not None or self.page.key is None]
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
        going: statements.Going,
        cursor: tuple[Any, ...] | None,
        values: dict[str, Any],
    ) -> tuple[Sequence[Any], list[int], list[bool]]:
        """The records of all pages one after another, where each page stops, and whether there is more of it."""
        table, scope = self.rows.table, request.scope
        text = self.rows.texts.get(
            (going, scope), lambda: table.slices(self.page, scope, going, places=self.ends.places)
        )
        if self.page.key is None or going.alone:
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

    def _cursor(self, record: Any, going: statements.Going) -> str:
        first = len(self.rows.table.columns)
        depth = len(going.order.keys(False))
        return write_cursor(record[first : first + depth], going.order)

    async def _totals(
        self, request: Request, keys: list[Any], shapes: statements.Shapes, values: dict[str, Any]
    ) -> dict[Any, int]:
        text = self.rows.texts.get(
            ("total", shapes, request.scope),
            lambda: tables.text_of(statements.totals(self.page, request.scope, shapes)),
        )
        records = await request.fetch(text, values | {"key_0": keys})
        return {keys[0]: records[0][0]} if self.page.key is None else {key: total for key, total in records}  # noqa: C416 - records are no pairs to mypy

    async def _behind(
        self,
        request: Request,
        keys: list[Any],
        going: statements.Going,
        cursor: tuple[Any, ...] | None,
        values: dict[str, Any],
    ) -> dict[Any, bool]:
        if cursor is None:
            return {}
        text = self.rows.texts.get(
            ("behind", going, request.scope),
            lambda: tables.text_of(
                statements.behind(self.page, request.scope, going.order, going.shapes, backwards=going.backwards)
            ),
        )
        if self.page.key is None:
            place = {f"cursor_{index}": value for index, value in enumerate(cursor)}
            return {keys[0]: (await request.fetch(text, values | place))[0][0]}
        places = {f"cursor_{index}": [value] * len(keys) for index, value in enumerate(cursor)}
        records = await request.fetch(text, values | places | {"key_0": keys})
        return {keys[ordinal - 1]: found for ordinal, found in records}


def _kept(records: Sequence[Any], going: statements.Going) -> Sequence[Any]:
    kept = records[: going.size]
    return kept[::-1] if going.backwards else kept
