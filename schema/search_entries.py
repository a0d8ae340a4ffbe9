"""Searching: whatever has a text in its name, subject or address, the most alike first."""

import asyncio
from typing import Annotated, Any

import strawberry

from graphql_api.auth.visibility import SEARCHABLE_MODELS
from graphql_api.enums import SearchType
from graphql_api.errors import BadRequest
from graphql_api.limits import points
from loaders import search_entries as loaders
from loaders.core import PageArguments, PageResult
from schema.core import Connection, Info, entity_of, require_signed_in, value_object
from schema.organisations import Organisation
from schema.services import Service
from schema.templates import Template
from schema.users import User

MIN_QUERY_CHARACTERS, MAX_QUERY_CHARACTERS = 3, 500

SearchResult = Annotated[
    Organisation | Service | Template | User,
    strawberry.union("SearchResult", description="Something a search can find."),
]


@value_object
class SearchResultEdge:
    """One SearchResult in a page."""

    cursor: str
    """Opaque place in the list, for `after` and `before`."""
    node: SearchResult
    """The object."""
    score: float
    """Similarity, higher is closer; results come in this order."""


@strawberry.type(description="A page of SearchResult objects.")
class SearchResultConnection(Connection[SearchResult]):
    """A page of entries; each object is read by itself, as the caller sees it now."""

    @strawberry.field(description="The page, with a cursor for each.")
    async def edges(self, info: Info) -> list[SearchResultEdge]:
        """The objects with their cursors and scores."""
        result = await self.read_page(info)
        objects = zip(result.rows, await _read_objects(info, result), strict=True)
        return [
            SearchResultEdge(cursor=result.cursor(row), node=object_, score=row.sort_0)
            for row, object_ in objects
            if object_ is not None
        ]

    @strawberry.field(description="The page without cursors.")
    async def nodes(self, info: Info) -> list[SearchResult]:
        """The objects alone."""
        return [object_ for object_ in await _read_objects(info, await self.read_page(info)) if object_ is not None]


async def _read_objects(info: Info, result: PageResult) -> list[Any]:
    """What the entries lead to; None for what has gone from the caller's sight since."""
    kinds = {kind.value: entity_of(model) for kind, model in SEARCHABLE_MODELS.items()}
    return await asyncio.gather(*(kinds[row.kind].read(info.context, row.row_id) for row in result.rows))


@strawberry.type
class SearchQueries:
    """The part of Query that searches."""

    @strawberry.field(
        description="Organisations, services, templates and people by part of a name, subject or address.",
        metadata=points.weight(100),
    )
    async def search(
        self,
        info: Info,
        query: str,
        types: list[SearchType] | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> SearchResultConnection | None:
        """Whatever the caller sees that has the text, whatever its case; `%` and the like stand for themselves."""
        require_signed_in(info.context.actor)
        wanted = query.strip()
        if not MIN_QUERY_CHARACTERS <= len(wanted) <= MAX_QUERY_CHARACTERS:
            raise BadRequest(f"Give {MIN_QUERY_CHARACTERS} to {MAX_QUERY_CHARACTERS} characters to look for.")
        filters = {"query": wanted} | ({} if types is None else {"types": types})
        arguments = PageArguments.parse(
            loaders.by_similarity, filters, first=first, after=after, last=last, before=before
        )
        return SearchResultConnection(page=loaders.entries, parent_key=None, arguments=arguments)
