"""The arguments and the selected parts of a connection, for pushed-down connections and for steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import strawberry

from loaders.core import statements
from schema.core.resolvers import read_arguments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql_api.planner.selections import ArgumentReader, SelectedField, Selections
    from loaders.core import Page
    from loaders.core.paging import PageArguments
    from schema.core.fields import ConnectionField


@dataclass(slots=True)
class RequestedFields:
    """Which parts of a connection are selected, by what has to be read for them."""

    rows: bool = False
    sort_keys: bool = False
    """Of each row: for its cursor."""
    page_cursors: bool = False
    has_previous: bool = False
    total_count: bool = False

    def add_page_info(self, name: str) -> None:
        """Note a field of `pageInfo`."""
        self.page_cursors = self.page_cursors or name in {"startCursor", "endCursor"}
        self.sort_keys = self.sort_keys or self.page_cursors
        self.has_previous = self.has_previous or name in {"hasNextPage", "hasPreviousPage"}


def has_every_column(page: Page) -> bool:
    """Whether all rows of a page have every column: those of an archive may not."""
    return not page.also_tables(page.filters)


@dataclass(frozen=True, slots=True)
class ConnectionArguments:
    """The arguments of a connection, with the shapes and values that its statements need."""

    arguments: PageArguments
    filter_shapes: statements.FilterShapes
    filter_values: Mapping[str, object]
    single_parent: statements.PageShape
    many_parents: statements.PageShape

    @classmethod
    def of(cls, page: Page, arguments: PageArguments) -> ConnectionArguments:
        """Prepare the arguments of a page; raises `BadRequest` for a value that a filter does not take."""
        shapes = statements.filter_shapes(page, arguments.filters)
        values = statements.filter_values(page, arguments.filters, shapes)
        many_parents = statements.PageShape(
            arguments.order,
            arguments.size,
            shapes,
            backwards=arguments.backwards,
            has_cursor=arguments.cursor is not None,
        )
        return cls(arguments, shapes, values, replace(many_parents, single_parent=True), many_parents)


def connection_arguments(
    selections: Selections, field: SelectedField, declared: ConnectionField
) -> ArgumentReader[ConnectionArguments]:
    """A reader of a connection's arguments; arguments without variables are read once, here."""

    def prepare(values: Mapping[str, object]) -> ConnectionArguments:
        paging = dict(values)
        filter_, order_by = paging.pop("filter", strawberry.UNSET), paging.pop("order_by", strawberry.UNSET)
        return ConnectionArguments.of(declared.loader, read_arguments(declared, filter_, order_by, paging))

    read = selections.argument_reader(field)
    if field.has_variables:
        return lambda variables: prepare(read(variables))
    constant = prepare(read(selections.variables))
    return lambda _: constant
