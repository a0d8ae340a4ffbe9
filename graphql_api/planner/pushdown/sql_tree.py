"""Answers that PostgreSQL writes: an entity and all below it as one expression of SQL, which is the JSON text.

A `Block` is the rows of one table, with the rows of to-one edges beside each; a `Listed` is a connection, an
expression of its parent's block. `Told` are sources: one statement for everything below them. Without the guards
against nulls, `service(id:) { name templates { nodes { name service { id } } } }` is:

    SELECT b1.id, '{"name":' || to_json(b1.name) || ',"templates":' || (
        SELECT '{"nodes":[' || string_agg(z0.x0, ',') || ']}' FROM (
            SELECT '{"name":' || to_json(b2.name) || ',"service":' || b3x.x || '}' AS x0
            FROM (a page of the templates of b1.id) AS b2
            LEFT JOIN LATERAL (
                SELECT '{"id":"' || b3.id || '"}' AS x FROM (the service of b2.service_id) AS b3 OFFSET 0
            ) AS b3x ON true
        ) AS z0
    ) || '}' FROM (the services of these ids) AS b1

The statements in brackets are the loaders' (`pieces`), with their columns, visibility and order.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import orjson

from graphql_api.planner.errors import Declined
from graphql_api.planner.pushdown import sql_fragments
from graphql_api.planner.pushdown.sql_json import GIVE_UP, MARK, cursor, quoted
from graphql_api.planner.steps.selects import Texts
from loaders.core.orders import sort_key_types

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from graphql_api.planner.steps.arguments import Asked, Ends
    from graphql_api.planner.steps.selects import Text
    from graphql_api.planner.steps.steps import Request
    from loaders.core import One, Page, Row, statements
    from schema.core.fields import ConnectionField

VARIANTS = 4
"""Texts that one source keeps: few, for they are long."""
MOST_ARGUMENTS = 100
"""What PostgreSQL takes in one call of a function."""


class Json(str):
    """JSON that is the same in every answer; other parts of an expression are SQL."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Hole:
    """What a connection finds out of its page: `total`, `after`, `before`, `start`, `end`, `cursor`, `rows0` ..."""

    name: str


class Writer(sql_fragments.Writer):
    """Writes for what each connection is asked for."""

    def __init__(self, scope: Any, asked: Sequence[Asked]) -> None:
        """Write for a scope, and for arguments in the order of the connections."""
        super().__init__(scope)
        self.asked = asked

    def expression(self, parts: Sequence[Any], holes: Mapping[str, str] | None = None) -> str:
        """The parts as one text."""
        runs: list[list[str]] = [[]]
        json = ""
        for part in (*parts, None):
            if isinstance(part, Json):
                json += part
                continue
            if json:
                runs[-1].append(quoted(json))
                json = ""
            if isinstance(part, Listed):
                runs += [[part.sql(self)], []]
            elif isinstance(part, Hole):
                runs[-1].append((holes or {})[part.name])
            elif part is not None:
                runs[-1].append(part)
        written = ["||".join(run) for run in runs if run]
        if len(written) == 1:
            return written[0]
        # Long texts are copied once: each `||` would copy all that stands before it.
        written = [f"coalesce({one}, {GIVE_UP})" for one in written]
        while len(written) > 1:
            some = (written[at : at + MOST_ARGUMENTS] for at in range(0, len(written), MOST_ARGUMENTS))
            written = [f"concat({', '.join(one)})" for one in some]
        return written[0]


@dataclass(slots=True)
class Block:
    """Rows by their alias, and what is joined to each of them."""

    alias: str
    joins: list[Join] = field(default_factory=list)

    def column(self, name: str) -> str:
        """A column's SQL."""
        return f'{self.alias}."{name}"'

    def beside(self, writer: Writer) -> str:
        """The rows of the to-one edges."""
        return "".join(join.sql(self, writer) for join in self.joins)


@dataclass(slots=True)
class Join:
    """The far row of a to-one edge, as JSON; null where there is none that the caller sees.

    One that only leads on is what the next is.
    """

    one: One
    block: Block
    parts: Sequence[Any]
    leads_on: bool = False

    @property
    def json(self) -> str:
        """Its SQL beside the near row."""
        return f"{self.block.alias}x.x"

    def sql(self, near: Block, writer: Writer) -> str:
        """A lateral join. Kept apart by OFFSET, so that PostgreSQL remembers the JSON of rows that many lead to."""
        given = {f"near_{at}": near.column(name) for at, name in enumerate(self.one.local)}
        far = writer.put(sql_fragments.far(self.one, writer.scope), given)
        rows = f"FROM ({far}) AS {self.block.alias}{self.block.beside(writer)}"
        written = writer.expression(self.parts)
        if not self.leads_on:
            written = f"coalesce({written}, {GIVE_UP})"
        return f" LEFT JOIN LATERAL (SELECT {written} AS x {rows} OFFSET 0) AS {self.block.alias}x ON true"


@dataclass(slots=True)
class Listed:
    """A connection of one parent, whose key is SQL, or of a whole table; `rows` are what is written of each row."""

    at: int
    page: Page
    key: str | None
    block: Block
    ends: Ends
    rows: Sequence[Sequence[Any]]
    parts: Sequence[Any]
    allowed: str = ""
    """The service in which the caller must have a permission, as SQL."""

    def sql(self, writer: Writer) -> str:
        """The connection as JSON."""
        asked = writer.asked[self.at]
        own = f"p{self.at}_"
        given = {} if self.key is None else {"key_0": self.key}
        wanted = {part.name for part in self.parts if isinstance(part, Hole)}
        more, behind = ("before", "after") if asked.alone.backwards else ("after", "before")
        going = replace(asked.alone, fetch_extra_row=more in wanted)
        holes = {behind: "'false'"}
        if "total" in wanted:
            holes["total"] = (
                f"({writer.put(sql_fragments.total(self.page, writer.scope, going.filter_shapes), given, own)})::text"
            )
        if going.has_cursor and behind in wanted:
            holes[behind] = f"({writer.put(sql_fragments.behind(self.page, writer.scope, going), given, own)})::text"
        if going.fetch_extra_row:
            holes[more] = f"(count(*) > {going.size})::text"
        source = ""
        if wanted - {"total", behind}:
            source = f" FROM ({self._rows(writer, going, given, holes)}) AS z{self.at}"
        found = f"(SELECT {writer.expression(self.parts, holes)}{source})"
        if not self.allowed or writer.scope.sees_all:
            return found
        may = writer.parameter(f"may_{self.at}")
        return f"CASE WHEN {self.allowed} = ANY({may}::uuid[]) THEN {found} ELSE {GIVE_UP} END"

    def _rows(
        self, writer: Writer, going: statements.PageShape, given: Mapping[str, str], holes: dict[str, str]
    ) -> str:
        """The page's rows, each written; fills the holes that are made of them."""
        ends, z = self.ends, f"z{self.at}"
        sorts = [self.block.column(f"sort_{at}") for at in range(len(going.order.sort_keys(going.order.descending)))]
        ordered = ", ".join(f"{one} {'DESC' if going.descending else 'ASC'}" for one in sorts)
        place = ""
        if ends.places:
            place = cursor(going.order.name, list(zip(sorts, sort_key_types(going.order), strict=True)))
        columns = [
            f"coalesce({writer.expression(parts, {'cursor': place})}, {GIVE_UP}) AS x{at}"
            for at, parts in enumerate(self.rows)
        ]
        numbered = going.fetch_extra_row or ends.cursors or going.backwards
        first, last, kept = "", "", ""
        if numbered:
            columns.append(f"row_number() OVER (ORDER BY {ordered}) AS n")
            first, last = f" ORDER BY {z}.n", f" ORDER BY {z}.n DESC"
            kept = f" FILTER (WHERE {z}.n <= {going.size})"
        if going.backwards:
            first, last = last, first
        for at in range(len(self.rows)):
            holes[f"rows{at}"] = f"coalesce(string_agg({z}.x{at}, ','{first}){kept}, '')"
        if ends.cursors:
            columns.append(f"{place} AS c")
            for name, order in ("start", first), ("end", last):
                holes[name] = f"coalesce((array_agg({z}.c{order}){kept})[1], 'null')"
        rows = writer.put(sql_fragments.page(self.page, writer.scope, going), given, f"p{self.at}_")
        alias = self.block.alias
        return f"SELECT {', '.join(columns)} FROM ({rows}) AS {alias}{self.block.beside(writer)} ORDER BY {ordered}"  # noqa: S608 - of the loaders' statements and our own words


@dataclass(slots=True)
class Lists:
    """The connections of one statement: what each is asked for, and who may not ask for it."""

    asking: list[Callable[[Request], Asked]] = field(default_factory=list)
    declared: list[ConnectionField] = field(default_factory=list)

    def asked(self, request: Request) -> list[Asked]:
        """The arguments of each; raises `Declined` where the caller may not read one anywhere."""
        actor = request.context.actor
        for one in self.declared:
            if (one.admins_only and not actor.platform_wide) or (one.people_only and actor.api_key_id is not None):
                raise Declined
        asked = [ask(request) for ask in self.asking]
        for edges, arguments in zip(self.declared, asked, strict=True):
            request.check(edges.loader, arguments)
        return asked

    def values(self, request: Request, asked: Sequence[Asked]) -> dict[str, Any]:
        """What their parameters are."""
        found: dict[str, Any] = {}
        for at, one in enumerate(asked):
            for name, value in one.values.items():
                found[f"p{at}_{name}"] = value
            for index, value in enumerate(one.arguments.cursor or ()):
                found[f"p{at}_cursor_{index}"] = value
        actor = request.context.actor
        if not actor.platform_wide:
            for at, declared in enumerate(self.declared):
                if declared.permissions:
                    services = actor.permissions
                    found[f"may_{at}"] = [
                        one for one in services if any(actor.has_permission(need, one) for need in declared.permissions)
                    ]
        return found


@dataclass(slots=True)
class Told:
    """What all sources of this kind do: one statement for each variant of what is asked for."""

    lists: Lists
    texts: Texts = field(default_factory=lambda: Texts(VARIANTS), kw_only=True)

    async def read(self, request: Request, values: Mapping[str, Any], sql: Callable[[Writer], str]) -> Sequence[Any]:
        """The records of the statement that `sql` writes."""
        asked = self.lists.asked(request)
        variant = (request.scope, *(one.alone for one in asked))

        def written() -> Text:
            writer = Writer(request.scope, asked)
            return writer.text(sql(writer))

        text = self.texts.get(variant, written)
        return await request.fetch(text, {**values, **self.lists.values(request, asked)})


@dataclass(slots=True)
class ToldByKey(Told):
    """Entities by a unique key."""

    row: Row
    block: Block
    parts: Sequence[Any]

    async def run(self, request: Request, keys: Sequence[Any]) -> list[Any]:
        """A value for each key; null where there is none that the caller sees."""
        wanted = [key for key in dict.fromkeys(keys) if key is not None]
        if not wanted:
            return [None] * len(keys)
        found: dict[Any, Any] = {}
        for key, text in await self.read(request, {"key_0": wanted}, self._sql):
            found.setdefault(key, _json(text))
        return [found.get(key) for key in keys]

    def _sql(self, writer: Writer) -> str:
        rows = writer.put(sql_fragments.found(self.row, writer.scope), {})
        columns = f"{self.block.column(self.row.key[0].key)}, {_bytes(writer.expression(self.parts))}"
        return f"SELECT {columns} FROM ({rows}) AS {self.block.alias}{self.block.beside(writer)}"  # noqa: S608 - of the loaders' statements and our own words


@dataclass(slots=True)
class ToldPages(Told):
    """A connection for each parent, or one over a whole table."""

    listed: Listed
    key_type: str

    @property
    def page(self) -> Page:
        """What is declared of it."""
        return self.listed.page

    async def run(self, request: Request, keys: Sequence[Any]) -> list[Any]:
        """A connection for each key."""
        if self.page.foreign_key is None:
            ((text,),) = await self.read(request, {}, lambda writer: f"SELECT {_bytes(self.listed.sql(writer))}")
            return [_json(text)] * len(keys)
        wanted = [key for key in dict.fromkeys(keys) if key is not None]
        if not wanted:
            return [None] * len(keys)
        records = await self.read(request, {"key_0": wanted}, self._sql)
        found = {key: _json(text) for key, text in records}
        return [found.get(key) for key in keys]

    def _sql(self, writer: Writer) -> str:
        parents = f"unnest({writer.parameter('key_0')}::{self.key_type}[]) AS parent(key)"
        return f"SELECT parent.key, {_bytes(self.listed.sql(writer))} FROM {parents}"  # noqa: S608 - of the loaders' statements and our own words


def _bytes(text: str) -> str:
    """A text as it goes over the wire and on to the caller."""
    return f"convert_to({text}, 'UTF8')"


def _json(text: bytes | None) -> Any:
    """A text that is written as it is; raises `Declined` where it is no JSON."""
    if text is None or MARK.encode() in text:
        raise Declined
    return orjson.Fragment(text)
