"""Connections as Relay defines them, over keyset pages; each part costs a statement only when it is asked for."""

from typing import Any, Generic, TypeVar

import strawberry

from graphql_api.limits import points
from loaders.core import Page, PageArguments, PageResult
from schema.core.info import Info

T = TypeVar("T")


@strawberry.type(description="Where one page of a connection begins and ends.")
class PageInfo:
    """Where one page begins and ends."""

    result: strawberry.Private[PageResult]

    @strawberry.field(description="True when there is more after `endCursor`.")
    async def has_next_page(self, info: Info) -> bool:
        """Forwards it was seen, backwards it is looked up."""
        return (
            await info.context.loaders.has_previous(self.result)
            if self.result.arguments.backwards
            else self.result.has_more
        )

    @strawberry.field(description="True when there is more before `startCursor`.")
    async def has_previous_page(self, info: Info) -> bool:
        """Backwards it was seen, forwards it is looked up."""
        return (
            self.result.has_more
            if self.result.arguments.backwards
            else await info.context.loaders.has_previous(self.result)
        )

    @strawberry.field(description="Cursor of the first edge; null on an empty page.")
    def start_cursor(self) -> str | None:
        """The first row's place."""
        return self.result.cursor(self.result.rows[0]) if self.result.rows else None

    @strawberry.field(description="Cursor of the last edge; null on an empty page.")
    def end_cursor(self) -> str | None:
        """The last row's place."""
        return self.result.cursor(self.result.rows[-1]) if self.result.rows else None


@strawberry.type(description="One object in a page.")
class Edge(Generic[T]):
    """One object in a page."""

    cursor: str = strawberry.field(description="Opaque place in the list, for `after` and `before`.")
    node: T = strawberry.field(description="The object.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    """A page that is read when one of its rows is asked for, and counted when the count is."""

    page: strawberry.Private[Page]
    parent_key: strawberry.Private[Any]
    arguments: strawberry.Private[PageArguments]
    entity: strawberry.Private[Any] = None

    @strawberry.field(description="The page, with a cursor for each.")
    async def edges(self, info: Info) -> list[Edge[T]]:
        """The rows with their places."""
        result = await self.read_page(info)
        return [Edge(cursor=result.cursor(row), node=self.entity.of(row)) for row in result.rows]

    @strawberry.field(description="The page without cursors.")
    async def nodes(self, info: Info) -> list[T]:
        """The rows alone."""
        return [self.entity.of(row) for row in (await self.read_page(info)).rows]

    @strawberry.field(description="Where the page begins and ends.")
    async def page_info(self, info: Info) -> PageInfo:
        """The page's ends."""
        return PageInfo(result=await self.read_page(info))

    @strawberry.field(description="Size of the whole list; counted only when asked for.", metadata=points.weight(10))
    async def total_count(self, info: Info) -> int:
        """The size of the whole list."""
        return await info.context.loaders.total_count(self.page, self.parent_key, self.arguments.filters)

    async def read_page(self, info: Info) -> PageResult:
        """The rows of the page; read once however many fields ask for them."""
        return await info.context.loaders.page(self.page, self.parent_key, self.arguments)
