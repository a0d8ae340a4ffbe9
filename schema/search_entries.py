"""Search by part of a name, subject or address; the most similar results first."""

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
from schema.core.arguments import After, Before, First, Last
from schema.organisations import Organisation
from schema.services import Service
from schema.templates import Template
from schema.users import User

MIN_QUERY_CHARACTERS, MAX_QUERY_CHARACTERS = 3, 500

SearchResult = Annotated[
    Organisation | Service | Template | User,
    strawberry.union("SearchResult", description="An object that `search` can return."),
]


@value_object
class SearchResultEdge:
    """One SearchResult in a page."""

    cursor: str
    """Opaque position in the list, for `after` and `before`."""
    node: SearchResult
    """The object."""
    score: float
    """Similarity, from 0 to 1; results are in descending order of it."""


@strawberry.type(description="A page of SearchResult objects.")
class SearchResultConnection(Connection[SearchResult]):
    """A page of search entries; each object is read on its own, as the caller sees it now."""

    @strawberry.field(description="The objects of the page, each with its cursor.")
    async def edges(self, info: Info) -> list[SearchResultEdge]:
        """The objects with their cursors and scores."""
        result = await self.read_page(info)
        objects = zip(result.rows, await _read_objects(info, result), strict=True)
        return [
            SearchResultEdge(cursor=result.cursor(row), node=object_, score=row.sort_0)
            for row, object_ in objects
            if object_ is not None
        ]

    @strawberry.field(description="The objects of the page, without cursors.")
    async def nodes(self, info: Info) -> list[SearchResult]:
        """The objects alone."""
        return [object_ for object_ in await _read_objects(info, await self.read_page(info)) if object_ is not None]


async def _read_objects(info: Info, result: PageResult) -> list[Any]:
    """The objects of the entries; None for one that the caller no longer sees."""
    kinds = {kind.value: entity_of(model) for kind, model in SEARCHABLE_MODELS.items()}
    return await asyncio.gather(*(kinds[row.kind].read(info.context, row.row_id) for row in result.rows))


@strawberry.type
class SearchQueries:
    """The field of Query that searches."""

    @strawberry.field(
        description="Organisations, services, templates and people by part of a name, subject or address.",
        metadata=points.weight(100),
    )
    async def search(
        self,
        info: Info,
        query: Annotated[str, strawberry.argument(description="Text to search for, 3 to 500 characters.")],
        types: Annotated[
            list[SearchType] | None, strawberry.argument(description="Types of object to return; all when left out.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> SearchResultConnection | None:
        """Visible objects whose text contains the query, regardless of case; `%` and `_` are no wildcards."""
        require_signed_in(info.context.actor)
        query = query.strip()
        if not MIN_QUERY_CHARACTERS <= len(query) <= MAX_QUERY_CHARACTERS:
            raise BadRequest(f"`query` must have {MIN_QUERY_CHARACTERS} to {MAX_QUERY_CHARACTERS} characters.")
        filters = {"query": query} | ({} if types is None else {"types": types})
        arguments = PageArguments.parse(
            loaders.by_similarity, filters, first=first, after=after, last=last, before=before
        )
        return SearchResultConnection(page=loaders.entries, parent_key=None, arguments=arguments)
