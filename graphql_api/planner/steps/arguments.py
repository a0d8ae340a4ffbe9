"""The arguments of a connection, read once for both ways of planning."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from loaders.core import statements
from loaders.core.filters import AlsoTable

if TYPE_CHECKING:
    from loaders.core import Page
    from loaders.core.paging import PageArguments


@dataclass(slots=True)
class Ends:
    """What a connection's own fields need."""

    rows: bool = False
    places: bool = False
    cursors: bool = False
    behind: bool = False
    total: bool = False

    def note(self, name: str) -> None:
        """That `pageInfo` is asked for one of its fields."""
        self.cursors = self.cursors or name in {"startCursor", "endCursor"}
        self.places = self.places or self.cursors
        self.behind = self.behind or name in {"hasNextPage", "hasPreviousPage"}


def whole(page: Page) -> bool:
    """Whether the rows of a page have every column: those of an archive may not."""
    return not any(isinstance(one, AlsoTable) for one in page.filters.values())


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments of a connection, as its statements want them: for one parent, and for several."""

    arguments: PageArguments
    shapes: statements.FilterShapes
    values: dict[str, Any]
    alone: statements.PageShape
    together: statements.PageShape

    @classmethod
    def of(cls, page: Page, arguments: PageArguments) -> Asked:
        """Read arguments; raises `BadRequest` where a filter refuses its value."""
        shapes = statements.filter_shapes(page, arguments.filters)
        values = statements.filter_values(page, arguments.filters, shapes)
        together = statements.PageShape(
            arguments.order,
            arguments.size,
            shapes,
            backwards=arguments.backwards,
            has_cursor=arguments.cursor is not None,
        )
        return cls(arguments, shapes, values, replace(together, single_parent=True), together)
