"""Connections as Relay defines them, over keyset pages; each part costs a statement only when it is selected."""

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
        """Known from the rows of a page read forwards; looked up for one read backwards."""
        return (
            await info.context.loaders.has_previous(self.result)
            if self.result.arguments.backwards
            else self.result.has_more
        )

    @strawberry.field(description="True when there is more before `startCursor`.")
    async def has_previous_page(self, info: Info) -> bool:
        """Known from the rows of a page read backwards; looked up for one read forwards."""
        return (
            self.result.has_more
            if self.result.arguments.backwards
            else await info.context.loaders.has_previous(self.result)
        )

    @strawberry.field(description="Cursor of the first edge; null on an empty page.")
    def start_cursor(self) -> str | None:
        """The cursor of the first row."""
        return self.result.cursor(self.result.rows[0]) if self.result.rows else None

    @strawberry.field(description="Cursor of the last edge; null on an empty page.")
    def end_cursor(self) -> str | None:
        """The cursor of the last row."""
        return self.result.cursor(self.result.rows[-1]) if self.result.rows else None


@strawberry.type(description="One object in a page.")
class Edge(Generic[T]):
    """One object in a page."""

    cursor: str = strawberry.field(description="Opaque position in the list, for `after` and `before`.")
    node: T = strawberry.field(description="The object.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    """A page; its rows are read, and the list is counted, only where a field needs that.

    `entity` makes the objects of the rows (`of`); None where a subclass reads them itself.
    """

    page: strawberry.Private[Page]
    parent_key: strawberry.Private[Any]
    arguments: strawberry.Private[PageArguments]
    entity: strawberry.Private[Any] = None

    @strawberry.field(description="The objects of the page, each with its cursor.")
    async def edges(self, info: Info) -> list[Edge[T]]:
        """The objects with their cursors."""
        result = await self.read_page(info)
        return [Edge(cursor=result.cursor(row), node=self.entity.of(row)) for row in result.rows]

    @strawberry.field(description="The objects of the page, without cursors.")
    async def nodes(self, info: Info) -> list[T]:
        """The objects alone."""
        return [self.entity.of(row) for row in (await self.read_page(info)).rows]

    @strawberry.field(description="Where the page begins and ends.")
    async def page_info(self, info: Info) -> PageInfo:
        """The cursors of the page's ends, and whether there are more objects beyond them."""
        return PageInfo(result=await self.read_page(info))

    @strawberry.field(
        description="Number of objects in the whole list; counted only when selected.", metadata=points.weight(10)
    )
    async def total_count(self, info: Info) -> int:
        """Number of objects in the whole list."""
        return await info.context.loaders.total_count(self.page, self.parent_key, self.arguments.filters)

    async def read_page(self, info: Info) -> PageResult:
        """The rows of the page, read once for all fields."""
        return await info.context.loaders.page(self.page, self.parent_key, self.arguments)
